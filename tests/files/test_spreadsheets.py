"""Texts in CSV files stay texts in a spreadsheet, and come back as they were."""

import pandas as pd
import pytest
from builders import make_ranks
from hypothesis import given
from hypothesis import strategies as st

from kis_bench.files.spreadsheets import guard, unguard, write_csv
from kis_bench.results import read_run, write_run
from kis_bench.results.columns import JUDGMENTS, TIMINGS, VERDICTS


@given(st.text(max_size=12) | st.text("'=+-@\t\r1", max_size=6))
def test_every_text_comes_back(text):
    assert unguard(guard(text)) == text
    assert not guard(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_stay_numbers(tmp_path):
    table = pd.DataFrame(
        {"text": ["=1+1", "a\nb", None, "\ud800"], "value": [-1.5, 2, None, 3]}, dtype=object
    )
    write_csv(table, tmp_path / "t.csv")
    written = (tmp_path / "t.csv").read_text(encoding="utf-8")
    assert written == 'text,value\n\'=1+1,-1.5\n"a\nb",2\n,\n?,3\n'


def test_heads_are_no_formulas(tmp_path):
    write_csv(pd.DataFrame({"=1+1": [1], "@model": [2], 7: [3]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "'=1+1,'@model,7\n1,2,3\n"


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "-minus", "'=quoted", "@at"])
def test_names_of_a_run_come_back(tmp_path, name):
    about = {"text": name, "n_items": 5, "truncated": False, "target_score": 0.5}
    named = {"model": name, "dataset": name, "label_set": name}
    folder = write_run(
        tmp_path,
        ranks=make_ranks([1], **named, **about, top_item_ids=[[]]),
        judgments=pd.DataFrame(columns=JUDGMENTS),
        timings=pd.DataFrame(
            [(name, name, name, "rank", 1.0, 1, 1.0, False, None)], columns=TIMINGS
        ),
        verdicts=pd.DataFrame(columns=VERDICTS),
        provenance={},
    )
    run = read_run(folder)
    assert (
        {*run.metrics.model}
        == {*run.metrics.dataset}
        == {*run.metrics.label_set}
        == {*run.timings.model}
        == {name}
    )
    for file in ("metrics.csv", "timings.csv"):
        cells = (folder / file).read_text(encoding="utf-8").splitlines()[1].split(",")
        assert not cells[0].strip('"').startswith(("=", "-", "@"))
