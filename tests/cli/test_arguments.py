"""Numbers on the command line."""

import argparse

import pytest

from kis_bench.cli.arguments import parse_natural, parse_positive


def test_whole_numbers():
    assert (parse_positive("1"), parse_natural("0"), parse_natural("12")) == (1, 0, 12)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", ""])
def test_what_is_no_positive_number_is_named(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"{text!r} is not a whole number from 1"):
        parse_positive(text)
