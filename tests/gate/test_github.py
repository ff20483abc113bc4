"""What GitHub's runners read from the output of a job."""

import re

import pytest

from kis_bench.gate.github import MOST_ANNOTATIONS, error_lines, escape_command
from kis_bench.gate.verdicts import QUERY, SIGNIFICANCE, THRESHOLD, Cell, row

LINE = re.compile(r"::error ([^:]*)::(.*)")


def failed(
    model="a", rule=THRESHOLD, judged_by="fixtures/thresholds.toml, line 12", queries=(), ok=False
):
    return row(
        Cell(model, "mvk", "long"),
        rule,
        judged_by,
        "recall@10",
        "at least 45.0%",
        0.4,
        ok,
        queries=queries,
    )


def parsed(line):
    properties, text = LINE.fullmatch(line).groups()
    return dict(one.split("=", 1) for one in properties.split(",")), text


def test_an_error_stands_at_the_line_of_its_threshold():
    (line,) = error_lines([failed(), failed(ok=True)])
    about, text = parsed(line)
    assert about == {"title": "mvk%2C long%2C a", "file": "fixtures/thresholds.toml", "line": "12"}
    assert (
        text
        == "recall@10 is 40.0%25, expected at least 45.0%25 (fixtures/thresholds.toml, line 12)"
    )


def test_a_cell_has_one_error_with_all_that_failed_and_its_queries():
    rows = [
        failed(rule=SIGNIFICANCE, judged_by="run-1", queries=["q1: 3 → 9"]),
        failed(rule=QUERY, judged_by="run-1"),
    ]
    (line,) = error_lines(rows)
    about, text = parsed(line)
    assert "file" not in about
    assert text.count("%0A") == 2
    assert text.split("%0A")[1] == "1 query that left the first 10: q1: 3 → 9"


@pytest.mark.parametrize(
    "text", ["a,b: c%\r\n::error::x", "::set-output name=a::b", "\n::add-mask::x"]
)
def test_names_and_texts_cannot_begin_a_command_of_their_own(text):
    lines = error_lines([failed(model=text, judged_by=f"{text}.toml, line 3")], [text])
    for line in lines:
        assert "\n" not in line
        assert "\r" not in line
        parsed(line)
    assert "\n" not in escape_command(text)


def test_many_errors_end_with_how_many_more_there_are():
    lines = error_lines([failed(model=f"m{i}") for i in range(25)])
    assert len(lines) == MOST_ANNOTATIONS
    assert "16 more failed" in lines[-1]


def test_nothing_failed():
    assert error_lines([failed(ok=True), failed(ok="not compared")]) == []
