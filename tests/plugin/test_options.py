"""What is said of a value that an option can't have."""

import argparse

import pytest

from kis_bench import choices
from kis_bench.encoders.back_ends import list_forms
from kis_bench.metrics import TESTABLE, USUALLY_TESTED, list_measures
from kis_bench.options import OPTIONS

NUMBERS = {one.name: one for one in OPTIONS}


@pytest.mark.parametrize(("name", "text"), [("verify", "-1"), ("segment", "inf"), ("verify", "x")])
def test_a_wrong_value_is_named_with_what_the_option_is_for(name, text):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        NUMBERS[name].parse(text)
    assert str(error.value) == f"{text!r}: {NUMBERS[name].help}"


def test_help_names_all_forms_of_models_and_all_measures_that_there_are():
    assert list_forms() == choices.MODEL_FORMS
    assert list_measures(TESTABLE) == choices.TESTABLE_MEASURES
    assert list_measures(USUALLY_TESTED) == choices.TESTED_MEASURES
