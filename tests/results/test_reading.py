"""A run folder of which something is lost: read whole or not at all, or what is left with what that means."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from builders import make_ranks, run_cli

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.report import write_report
from kis_bench.results import read_run, write_run
from kis_bench.results.columns import (
    ALL_VERDICTS,
    JUDGMENTS,
    TABLES,
    TIMINGS,
)

PLACES = np.arange(1, 13) * 7 % 40 + 1
TIMES = [("a", "mine", "", "embed images", 1.5, 40, 26.7, False, None)]
FUSED = {
    "dataset": "mine",
    "label_set": "short",
    "method": "rrf",
    "model_1": "a",
    "model_2": "b",
    "model_3": None,
    "parameter": None,
}


@pytest.fixture
def run(tmp_path):
    """A run folder of two models with fused lists, times and a verdict, and with judgments."""
    ranks = pd.concat([make_ranks(PLACES), make_ranks(PLACES[::-1].copy(), model="b")])
    places = {"rank": PLACES, "rank_best": PLACES, "rank_worst": PLACES}
    fused = pd.DataFrame({"query_id": ranks["query_id"][:12], **FUSED, **places})
    verdict = dict.fromkeys(ALL_VERDICTS) | {"model": "a", "dataset": "mine", "label_set": "short"}
    verdict |= {
        "metric": "recall@10",
        "expected": "at least 10%",
        "obtained": 0.3,
        "verdict": "pass",
    }
    verdict |= {"queries": (), "rule": "threshold", "judged_by": "thresholds.toml:3"}
    judged = [("a", "study", f"j{i}", f"t{i}", "p1", i % 2, 0.1, f"x{i}") for i in range(6)]
    return write_run(
        tmp_path,
        ranks=ranks,
        judgments=pd.DataFrame(judged, columns=JUDGMENTS),
        timings=pd.DataFrame(TIMES, columns=TIMINGS),
        verdicts=pd.DataFrame([verdict], columns=ALL_VERDICTS),
        tables={"fused": fused},
        provenance={"models": {}, "datasets": {}, "gate": "thresholds.toml"},
    )


REQUIRED = [table.file for table in TABLES.values() if not table.optional]


def test_a_run_says_which_tables_it_was_written_with(run):
    head = json.loads((run / "run.json").read_text())
    sizes = {"ranks.parquet": 24, "judgments.parquet": 6, "timings.csv": 1, "verdicts.csv": 1}
    metrics = len(read_run(run).metrics)
    assert head["tables"] == {**sizes, "metrics.csv": metrics, "fused.parquet": 12}
    assert read_run(run).lacking == {}
    assert read_run(run, whole=False).lacking == {}


@pytest.mark.parametrize("file", [*REQUIRED, "fused.parquet"])
def test_a_table_that_is_missing_is_an_error_with_a_remedy(run, file):
    (run / file).unlink()
    said = f"is not a whole run: missing {file}; kis-bench report .* shows what is left"
    with pytest.raises(KisBenchError, match=said):
        read_run(run)


@pytest.mark.parametrize("file", [*REQUIRED, "fused.parquet"])
@pytest.mark.parametrize("damage", ["missing", "unreadable"])
def test_the_rest_of_a_run_is_read_and_what_is_lost_is_named(run, file, damage):
    whole = read_run(run)
    if damage == "missing":
        (run / file).unlink()
    else:
        (run / file).write_bytes(b'"\x00\xff')
        with pytest.raises(BadFile):
            read_run(run)
    rest = read_run(run, whole=False)
    (lost,) = rest.lacking
    assert TABLES[lost].file == file
    what = "is missing" if damage == "missing" else r"can't be read (not a readable"
    assert rest.lacking[lost].startswith(f"{file} {what}")
    assert str(run) not in rest.lacking[lost]
    for name in {*TABLES} - {lost}:
        pd.testing.assert_frame_equal(getattr(rest, name), getattr(whole, name))
    if lost == "metrics":
        assert rest.lacking[lost].endswith(
            "the figures of known-item search were computed anew from ranks.parquet. "
            "Those of image similarity can't be."
        )
        pd.testing.assert_frame_equal(rest.metrics, whole.metrics, check_dtype=False)
    else:
        assert len(getattr(rest, lost)) == 0


def test_figures_of_cells_that_lost_theirs_are_computed_anew(run):
    whole = read_run(run).metrics
    kept = whole[whole["model"] == "a"]
    kept.to_csv(run / "metrics.csv", index=False)
    rest = read_run(run, whole=False)
    assert rest.lacking["metrics"].startswith("metrics.csv lacks 1 of 2 cells: the figures of")
    pd.testing.assert_frame_equal(rest.metrics.reset_index(drop=True), whole, check_dtype=False)


def test_what_nobody_knows_to_be_missing_is_not_named(run):
    """An older run doesn't say which tables it had: one without fused lists may never have had any."""
    head = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**head, "tables": None}))
    (run / "fused.parquet").unlink()
    assert read_run(run).lacking == {}
    assert read_run(run, whole=False).lacking == {}


def test_without_run_json_nobody_knows_what_may_be_shown(run):
    (run / "run.json").unlink()
    for whole in (True, False):
        with pytest.raises(KisBenchError, match=r"missing run\.json"):
            read_run(run, whole=whole)


def test_a_run_without_any_results_is_an_error(run):
    for file in ("ranks.parquet", "judgments.parquet", "metrics.csv"):
        (run / file).unlink()
    with pytest.raises(KisBenchError, match=r"nothing is left of .*: ranks\.parquet is missing; "):
        read_run(run, whole=False)


# The report


def draw(run):
    write_report(run, read_run(run, whole=False))
    return (run / "report.md").read_text("utf-8")


def test_a_report_shows_what_is_left_and_names_what_is_not(run):
    for file in ("timings.csv", "verdicts.csv", "fused.parquet", "metrics.csv"):
        (run / file).unlink()
    found = run_cli("report", run)
    assert found.returncode == 0, found.stderr
    for file in ("timings.csv", "verdicts.csv", "fused.parquet", "metrics.csv"):
        assert f"note: {file} is missing" in found.stderr
    text = (run / "report.md").read_text("utf-8")
    assert text.count("> **Not whole:**") == 4
    assert "computed anew from ranks.parquet" in text
    assert "## Timings" not in text
    gate = text.split("## Gate")[1].split("## ")[0]
    assert "it must not be taken for passed" in gate
    assert "nothing was checked" not in text
    assert "#### Which differences are more than noise" in text


def test_without_ranks_figures_stand_alone(run):
    (run / "ranks.parquet").unlink()
    text = draw(run)
    rows = text.split("## Figures as measured")[1].split("## ")[0]
    assert [line.split("|")[3].strip() for line in rows.splitlines()[4:6]] == ["a", "b"]
    recall = read_run(run, whole=False).metrics.query(
        "model == 'a' and metric == 'recall' and k == 10"
    )
    assert f"{100 * recall['value'].iloc[0]:.1f}%" in rows
    assert "## study: image similarity" in text


def test_several_runs_are_merged_only_if_they_are_whole(run):
    (run / "timings.csv").unlink()
    found = run_cli("report", run, run)
    assert found.returncode == 2
    assert "is not a whole run: missing timings.csv" in found.stderr
