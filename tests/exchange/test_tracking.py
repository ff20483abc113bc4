"""What experiment trackers are told of a run; that they take it is tried in an environment that has them."""

import importlib.util
import types
from dataclasses import replace

import numpy as np
import pytest
from builders import call_cli, make_ranks, make_run, make_text_figures, run_pytest

from kis_bench.choices import TRACKERS
from kis_bench.errors import KisBenchError
from kis_bench.exchange import tracking
from kis_bench.exchange.tracking.contents import REFUSED_LETTERS, list_tracked
from kis_bench.metrics import recall_at_k
from kis_bench.results import write_run
from kis_bench.results.figures import metrics_table


@pytest.fixture
def run(tmp_path):
    ranks = [
        make_ranks([1, 3, 12], model="a"),
        make_ranks([2, 2, 40], [4, 2, 40], model="b (beta)"),
    ]
    found = make_run(tmp_path, *ranks, git={"commit": "3f2a", "dirty": False}, interrupted=False)
    return replace(found, metrics=metrics_table(found.ranks))


def test_each_figure_has_a_name_that_all_trackers_take(run):
    first, second = list_tracked(run)
    assert (first.model, second.model) == ("a", "b (beta)")
    assert first.figures["mine/short/recall_at_10"] == pytest.approx(2 / 3)
    assert second.figures["mine/short/recall_at_1"] == recall_at_k([2, 2, 40], [4, 2, 40], 1)
    assert first.figures["mine/short/mrr_ci_low"] <= first.figures["mine/short/mrr"]
    assert len(first.figures) == 3 * (run.metrics["model"] == "a").sum()
    assert not any(REFUSED_LETTERS.search(name) for one in (first, second) for name in one.figures)
    assert first.facts["git/dirty"] == "false"
    assert first.facts["model/key"] == "a-fp32"
    assert first.facts["dataset/mine/n_items"] == "10000"


def test_the_other_direction_has_names_of_its_own(run):
    plain, _ = list_tracked(run)
    turned = make_text_figures([1, 1, 8], model="a")
    first, second = list_tracked(replace(run, text_figures=turned))
    assert first.figures["mine/short/image-to-text/recall_at_1"] == 2 / 3
    assert {**first.figures, **plain.figures} == first.figures
    assert not any("image-to-text" in name for name in second.figures)


def test_what_is_no_number_is_left_out(run):
    lost = run.metrics["ci_high"].where(run.metrics["metric"] != "mrr", np.nan)
    first, _ = list_tracked(replace(run, metrics=run.metrics.assign(ci_high=lost)))
    assert "mine/short/mrr" in first.figures
    assert "mine/short/mrr_ci_high" not in first.figures
    assert all(np.isfinite([*first.figures.values()]))


def test_names_that_become_one_are_refused(tmp_path):
    ranks = [make_ranks([1, 2], dataset=name) for name in ("mine (1)", "mine _1_")]
    found = make_run(tmp_path, *ranks)
    with pytest.raises(KisBenchError, match="two datasets or label sets are both 'mine _1_/short"):
        list_tracked(replace(found, metrics=metrics_table(found.ranks)))


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_told_with_its_remedy(name, run, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(KisBenchError, match=rf"{TRACKERS[name]} is not installed; .*\[{name}\]"):
        tracking.log_run(name, run)


@pytest.mark.parametrize("error", [ConnectionError("no\nroute"), ValueError(), OSError(28, "full")])
def test_what_a_tracker_raises_is_one_line(error, run, monkeypatch):
    def log(*_):
        raise error

    broken = types.SimpleNamespace(log_to_mlflow=log, log_to_wandb=log)
    monkeypatch.setattr(tracking, "find_tracker", lambda _: broken)
    with pytest.raises(KisBenchError, match=r"^MLflow failed: \S") as said:
        tracking.log_run("mlflow", run)
    assert "\n" not in str(said.value)


def test_a_run_without_figures_is_refused(run):
    with pytest.raises(KisBenchError, match="has no figures"):
        tracking.log_run("mlflow", replace(run, metrics=run.metrics[:0]))


def test_the_command_hands_a_run_on(run, tmp_path, monkeypatch):
    seen = []

    def log(given, models):
        seen.append((given.folder.resolve(), [one.model for one in models]))
        return ["it is there"]

    kept = types.SimpleNamespace(log_to_mlflow=log, log_to_wandb=log)
    monkeypatch.setattr(tracking, "find_tracker", lambda _: kept)
    tables = {name: getattr(run, name) for name in ("ranks", "judgments", "timings", "verdicts")}
    folder = write_run(tmp_path / "reports", **tables, provenance=run.provenance)
    done = call_cli("export", "wandb", folder, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "it is there\n"), done.stderr
    assert seen == [(folder.resolve(), ["a", "b (beta)"])]
    refused = call_cli("export", "wandb", folder, "--out", "x", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--out has no meaning for wandb" in refused.stderr


def test_a_session_ends_before_it_measures_where_the_tracker_is_not_there(tmp_path):
    """In a process in which no package is called so, whatever is installed here."""
    (tmp_path / "conftest.py").write_text(
        "import importlib.util\nfound = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'mlflow' else found(name, *a)\n"
    )
    (tmp_path / "test_one.py").write_text(
        "def test_one(model, dataset, query_set):\n    open('ran', 'w')\n"
    )
    options = ["--kis-dataset=openmoji", "--kis-model=colour-words", "--kis-log=mlflow"]
    done = run_pytest(*options, cwd=tmp_path, drawn=False)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "kis-bench: MLflow is not installed; " in said
    assert "(--kis-log); nothing was measured" in said
    assert "Traceback" not in said
    assert not (tmp_path / "ran").exists()
