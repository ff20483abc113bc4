"""The page about speed says what was measured, and its plots are drawn from the same file."""

import re
import runpy
from pathlib import Path

from pages import find_parts, regenerate_parts

from kis_bench.suite.measured_rows import (
    SpeedRow,
    find_spread,
    keep_measured,
    measure_seconds,
    read_measured,
)

ROOT = Path(__file__).parents[2]
speed = runpy.run_path(str(ROOT / "tools" / "speed.py"))
MOST_BYTES = 100_000


def test_the_page_has_what_was_measured():
    text = speed["PAGE"].read_text(encoding="utf-8")
    rows = read_measured(speed["FILE"])
    assert regenerate_parts(text, "speed", speed["make_writers"](rows)) == text, (
        "run: python tools/speed.py"
    )
    assert len(find_parts("speed").findall(text)) == len(speed["WRITERS"])
    for row in rows:
        assert f"| {' | '.join(speed['write_cells'](row))} |" in text


def test_measured_sizes_and_verified_ranks():
    rows = read_measured(speed["FILE"])
    curve = [row for row in rows if row["work"] == "curve" and row["against"] == "product"]
    assert {row["queries"] for row in curve} >= {"100", "1000", "10000"}
    assert {row["items"] for row in curve} >= {"1000", "10000", "100000", "1000000"}
    assert all(int(row["verified"]) > 0 for row in rows if row["part"] == "ranking")


def test_plots_are_drawn_from_the_file(tmp_path):
    speed["draw_plots"](read_measured(speed["FILE"]), tmp_path)
    for name in speed["PLOTS"]:
        drawn, kept = ((folder / name).read_bytes() for folder in (tmp_path, speed["DOCS"]))
        assert len(drawn) < MOST_BYTES
        assert b"items, of 512 numbers" in kept
        if find_version(drawn) == find_version(kept):  # others draw otherwise
            assert drawn == kept, "run: python tools/speed.py"


def find_version(drawn):
    return re.search(rb"Matplotlib v[\d.]+", drawn)[0]


def test_a_row_replaces_that_of_the_same_work(tmp_path):
    file = tmp_path / "made" / "speed.csv"

    def keep(ratio, **other):
        words = {"against": "product", "items": 10, "queries": 5} | other
        keep_measured(
            SpeedRow(
                "ranking", "few", ratio=ratio, lowest=1, highest=2, rounds=3, seconds=1, **words
            ),
            file,
        )

    keep(1.0)
    keep(2.0, items=20)
    keep(0.123456)
    keep(3.0, threads=2)
    kept = [(row["ratio"], row["items"], row["threads"]) for row in read_measured(file)]
    assert kept == [("2", "20", "1"), ("0.1235", "10", "1"), ("3", "10", "2")]
    assert read_measured(file)[0]["at_least"] == ""  # no aim is no number


def test_seconds_and_spread():
    assert find_spread([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)
    assert measure_seconds(lambda: sum(range(10**6))) > 0
