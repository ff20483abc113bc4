"""A run that an earlier kis-bench made is read, and the same project measures the same today.

``tests/data/kept`` has the project (48 pictures in groups, two label sets, annotators, several targets, a small study;
three models whose vectors are whole numbers, made unit vectors) and what it measured before columns were declared in
``kis_bench.results.columns``: ``WORSE=x pytest -p line_up measure.py`` with its thresholds and its baseline, which the
same project gave without ``WORSE``. Reports were not kept, and the platform's name was shortened.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from gated_project import environment

from kis_bench.gate.baselines import read_baseline
from kis_bench.results import read_run
from kis_bench.results.columns import TABLES

DATA = Path(__file__).parents[1] / "data" / "kept"
KEPT = DATA / "run"
#: Of verdicts, what tells of the machine: a package that isn't the baseline's.
OF_MACHINE = ["remark"]
#: Tables that came later, which a run has only where its other direction was asked for.
LATER = ("image_to_text", "text_figures")


def old_columns(name):
    """The columns that the kept table has in its file."""
    file = KEPT / TABLES[name].file
    if file.suffix == ".csv":
        return [*pd.read_csv(file, nrows=0)]
    return pq.read_schema(file).names


def test_a_run_of_an_earlier_version_is_read():
    run = read_run(KEPT)
    for name, table in TABLES.items():
        frame = getattr(run, name)
        if name in LATER:
            assert list(frame) == table.names
            assert len(frame) == 0
            continue
        assert len(frame) > 0, name
        assert [*frame][: len(old_columns(name))] == old_columns(name)
        later = frame[[column for column in table.names if column not in old_columns(name)]]
        assert later.isna().all(axis=None), name
    assert {*run.verdicts["verdict"]} >= {"pass", "fail"}
    assert run.verdicts["queries"].map(len).max() > 1
    assert run.ranks["item_id"].str.contains("|", regex=False).any()


def test_a_baseline_of_an_earlier_version_is_read():
    baseline = read_baseline(DATA / "project" / "baseline.kis.zip")
    assert list(baseline.ranks) == TABLES["ranks"].names
    assert baseline.ranks["rank"].notna().all()
    assert baseline.judgments["agreement"].notna().all()


@pytest.mark.slow
def test_the_same_is_measured_today(tmp_path):
    project = shutil.copytree(DATA / "project", tmp_path / "project")
    options = ["thresholds=thresholds.toml", "baseline=baseline.kis.zip", "query-factor=4"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "line_up", "measure.py"]
        + [f"--kis-{option}" for option in options],
        cwd=project,
        env=environment(project, WORSE="x"),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    then, now = read_run(KEPT), read_run(project / "reports" / "latest")
    for name in [name for name in TABLES if name not in ("timings", *LATER)]:
        columns = [column for column in old_columns(name) if column not in OF_MACHINE]
        found, kept = getattr(now, name)[columns], getattr(then, name)[columns]
        if "metric" in columns:  # metrics that came later are left out
            found = found[found["metric"].isin({*kept["metric"]})].reset_index(drop=True)
        # The last digits of means differ between machines; ranks are whole or half.
        pd.testing.assert_frame_equal(found, kept, rtol=1e-9, obj=name)
    same = [run.timings[["model", "dataset", "label_set", "step"]] for run in (now, then)]
    pd.testing.assert_frame_equal(*same)
    several = now.ranks["item_id"].str.count(r"\|")
    assert now.ranks["n_targets"].tolist() == (several + 1).tolist()
