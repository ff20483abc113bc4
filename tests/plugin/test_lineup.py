"""Which of the declared models take part."""

import importlib.util

import pytest
from reset_files import judgment, person, triplet, write_study

from kis_bench.datasets import DatasetRow
from kis_bench.encoders import find
from kis_bench.plugin.lineup import LineUp
from kis_bench.records import Checkpoint

DECLARED = [
    find("demo"),
    Checkpoint("histogram", "extractor:rgb-histogram-64", image_only=True, with_judgments=True),
]
EMBEDDED = [DatasetRow("openmoji"), DatasetRow("openmoji-triplets")]


def choose(**asked):
    given = {"models": DECLARED, "datasets": EMBEDDED} | asked
    return [model.name for model in LineUp.choose(**given).models]


@pytest.fixture
def study(tmp_path):
    """A folder with one judgment of one person."""
    one = triplet("t0", 0, 1, 2)
    write_study(tmp_path / "study", [one], [judgment("j0", one, "u0", 1)], [person("u0")])
    return tmp_path / "study"


def test_what_is_for_judgments_is_left_out_where_no_person_judged(tmp_path):
    absent = [*EMBEDDED, DatasetRow("reset"), DatasetRow("other", tmp_path / "absent")]
    assert choose() == choose(datasets=absent) == ["demo"]


def test_without_torch_the_model_that_needs_nothing_stands_in(monkeypatch):
    assert choose(models=()) == ["demo"]
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else find_spec(name)
    )
    assert choose(models=()) == ["demo", "colour-words"]
    assert choose() == ["demo"]
    assert choose(models=(), model_names=["demo"]) == ["demo"]


def test_it_takes_part_beside_judgments_of_people(study):
    assert choose(datasets=[DatasetRow("reset", study)]) == ["demo", "histogram"]
    assert choose(datasets=[*EMBEDDED, DatasetRow("mine", study)]) == ["demo", "histogram"]


def test_it_takes_part_where_it_or_a_dataset_is_named():
    assert choose(model_names=["histogram"]) == ["histogram"]
    assert choose(dataset_names=["openmoji-triplets"]) == ["demo", "histogram"]


def test_a_project_that_declares_nothing_else_has_it():
    assert choose(models=DECLARED[1:]) == ["histogram"]
