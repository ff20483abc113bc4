"""What is said of a value that an option can't have."""

import argparse

import pytest

from kis_bench.options import OPTIONS

NUMBERS = {one.name: one for one in OPTIONS}


@pytest.mark.parametrize(("name", "text"), [("verify", "-1"), ("segment", "inf"), ("verify", "x")])
def test_a_wrong_value_is_named_with_what_the_option_is_for(name, text):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        NUMBERS[name].parse(text)
    assert str(error.value) == f"{text!r}: {NUMBERS[name].help}"
