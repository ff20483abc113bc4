"""What is asked for: presets, files, and what is wrong with them."""

import pytest

from kis_bench.errors import BadFile, UnknownName
from kis_bench.labelling.texts.task import TextTask, choose_task

GOOD = """
guide = "Describe what moves."
goal = 30
memory_s = 5
[[label_set]]
name = "what moves"
guide = "One verb."
lines = 1
[[label_set]]
name = "setting"
optional = true
"""


def test_as_in_the_thesis():
    for given in (None, "thesis"):
        task = choose_task(given, [])
        assert (task.names, task.goal, task.memory_s) == (("short", "long"), 100, 0)
        assert all(one.guide for one in task.label_sets)


def test_a_file(tmp_path):
    file = tmp_path / "task.toml"
    file.write_text(GOOD)
    task = choose_task(str(file), [])
    assert task.label_sets == (
        TextTask("what moves", "One verb.", 1),
        TextTask("setting", optional=True),
    )
    assert (task.guide, task.goal, task.memory_s) == ("Describe what moves.", 30, 5)
    changed = choose_task(str(file), ["setting", "place"], goal=7, memory_s=9)
    assert changed.label_sets == (TextTask("setting", optional=True), TextTask("place"))
    assert (changed.goal, changed.memory_s, changed.guide) == (7, 9, task.guide)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("goal = 30", 'goal = "many"', "goal is not a whole number"),
        ("goal = 30", "goal = 0", "goal is 0"),
        ("goal = 30", "gaol = 30", "unknown key 'gaol'"),
        ("memory_s = 5", "memory_s = -1", "memory_s is -1"),
        ('name = "setting"', 'name = "what moves"', "is there twice"),
        ('name = "setting"', "", "label_set.* 2: name is missing"),
        ('name = "setting"', 'name = " x"', "no blanks at its ends"),
        ("lines = 1", "lines = 100", "lines is not 1 to 20"),
        ("lines = 1", "lines = true", "lines is not a whole number"),
        ("optional = true", "optional = 1", "optional is not true or false"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, old, new, said):
    file = tmp_path / "task.toml"
    assert GOOD.count(old) == 1
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(BadFile, match=said):
        choose_task(str(file), [])


def test_no_label_sets(tmp_path):
    (tmp_path / "task.toml").write_text("goal = 3\n")
    with pytest.raises(BadFile, match="no label set"):
        choose_task(str(tmp_path / "task.toml"), [])


def test_what_is_no_task():
    with pytest.raises(UnknownName, match="thesis"):
        choose_task("thesys", [])
    with pytest.raises(BadFile, match="is there twice"):
        choose_task(None, ["short", "short"])


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("a", True),
        ("", False),
        ("\n\t ", False),
        ("x" * 2000, True),
        ("x" * 2001, False),
        ("\0", False),
    ],
)
def test_texts(text, fine):
    task = choose_task(None, ["only"])
    assert (task.find_problems({"only": text}) == {}) == fine


def test_an_optional_text_may_be_empty(tmp_path):
    (tmp_path / "task.toml").write_text(GOOD)
    task = choose_task(str(tmp_path / "task.toml"), [])
    assert task.find_problems({"what moves": "swims", "setting": ""}) == {}
    assert [*task.find_problems({"what moves": "", "setting": ""})] == ["what moves"]
