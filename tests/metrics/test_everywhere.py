"""Whatever stands in METRICS is measured, compared, judged and shown, without being named anywhere else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kis_bench.analysis.conditions import conditions
from kis_bench.analysis.findings import Findings
from kis_bench.analysis.models import compare
from kis_bench.analysis.runs import compare_runs
from kis_bench.gate.rules import MAY_BE_TESTED
from kis_bench.gate.thresholds import Threshold, check, index_figures, wrong_metric
from kis_bench.gate.verdicts import Cell
from kis_bench.metrics import COMPARED, KNOWN, METRICS, TESTABLE, measure_words, name_measures
from kis_bench.report.compared import figure_rows
from kis_bench.report.sections.known_items import show_figures
from kis_bench.report.terminal import summarise_ranks
from kis_bench.results.figures import metrics_table
from kis_bench.results.folder import run_of

OF_QUERIES = [one for one in METRICS if not one.of_judgments]


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(0)
    rows = []
    for model in ("a", "b"):
        best = rng.integers(1, 60, 30)
        worst = best + rng.integers(0, 5, 30)
        for i, (low, high) in enumerate(zip(best.tolist(), worst.tolist(), strict=True)):
            places = {"rank": (low + high) / 2, "rank_best": low, "rank_worst": high}
            others = {f"segment_{name}": place for name, place in places.items()}
            about = {"query_id": f"q{i}", "item_id": f"i{i}", "text": "", "n_items": 64}
            rows.append(
                {"model": model, "dataset": "d", "label_set": "s", **about, **places, **others}
            )
    ranks = pd.DataFrame(rows)
    facts = {"datasets": {"d": {"fingerprint": "f"}}}
    return run_of(Path("r"), facts, ranks=ranks, metrics=metrics_table(ranks))


@pytest.mark.parametrize("metric", OF_QUERIES, ids=lambda metric: metric.name)
def test_a_metric_is_measured_with_an_interval_around_it(run, metric):
    names = {metric.name} | ({f"segment_{metric.name}"} if metric.relevances else set())
    for name in names:
        own = run.metrics[(run.metrics["model"] == "a") & (run.metrics["metric"] == name)]
        assert own["k"].dropna().tolist() == list(metric.cutoffs)
        assert ((own["ci_low"] <= own["value"]) & (own["value"] <= own["ci_high"])).all()


@pytest.mark.parametrize("metric", OF_QUERIES, ids=lambda metric: metric.name)
def test_a_metric_is_shown(run, metric):
    comparisons = compare(conditions(run.ranks)["d", "s"])
    shown = show_figures(run.metrics, conditions(run.ranks)["d", "s"], comparisons)
    head = next(line for line in shown if line.startswith("| model")).splitlines()[0]
    terminal = summarise_ranks(Findings(run)).splitlines()[0]
    for name, k in metric.measures():
        if metric.values_of is not None:
            assert measure_words(name, k) in head
        if metric.heading:
            assert measure_words(metric.heading, k) in terminal


def test_runs_are_compared_by_every_metric_that_says_so(run):
    figures = compare_runs(run, run, models=[("a", "b")]).figures
    own = figures[figures["model"].eq("a") & figures["new_model"].eq("b")]
    wanted = [measure for one in COMPARED if not one.of_judgments for measure in one.measures()]
    assert [
        (m, None if pd.isna(k) else k) for m, k in zip(own["metric"], own["k"], strict=True)
    ] == wanted
    assert {row[3] for row in figure_rows(own)} == {measure_words(*each) for each in wanted}
    assert set(MAY_BE_TESTED) == {*name_measures(TESTABLE)}


@pytest.mark.parametrize("name", KNOWN)
def test_a_threshold_may_name_it(run, name):
    known = KNOWN[name]
    metric = f"{name}@10" if known.cutoffs else name
    assert wrong_metric(metric) == ""
    assert bool(wrong_metric(name)) == bool(known.cutoffs)
    of_run = index_figures(run.metrics[run.metrics["model"] == "a"])
    if metric in of_run:
        limit = {"min": 2.0} if known.higher_is_better else {"max": 0.5}
        (row,) = check([Threshold(metric, **limit)], Cell("a", "d", "s"), of_run, run.ranks)
        assert row["verdict"] == "fail"
        assert row["n_queries"] > 0
