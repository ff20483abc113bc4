"""Annotators of the same targets: their figures, and Krippendorff's alpha against his own example and every pair."""

import itertools

import numpy as np
import pandas as pd
import pytest

from kis_bench.analysis.annotators import (
    AGREEMENT,
    ANNOTATORS,
    between_annotators,
    by_annotator,
    krippendorff_alpha,
)
from kis_bench.analysis.conditions import conditions
from kis_bench.gate.verdicts import move
from kis_bench.metrics import FEW_MEASURES
from kis_bench.records import Query
from kis_bench.results.columns import TABLES
from kis_bench.results.figures import metrics_table
from kis_bench.results.pseudonyms import hide_queries, without_names
from kis_bench.results.tables import hide_private

X = np.nan
#: Of K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): 12 units, 4 observers; its alpha is 0.849.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, X, X, X],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, X, 3],
        [X, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, X],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, X],
    ]
).T


def test_alpha_is_that_of_its_author():
    assert krippendorff_alpha(PUBLISHED) == pytest.approx(0.849, abs=0.0005)


def by_pairs(units):
    """Observed and expected squared differences, pair by pair."""
    some = [row[~np.isnan(row)] for row in units]
    some = [row for row in some if len(row) > 1]
    every = np.concatenate(some)
    observed = sum(
        (a - b) ** 2 / (len(row) - 1) for row in some for a, b in itertools.permutations(row, 2)
    ) / len(every)
    expected = np.mean([(a - b) ** 2 for a, b in itertools.permutations(every, 2)])
    return 1 - observed / expected


@pytest.mark.parametrize("seed", range(4))
def test_alpha_by_all_pairs(seed):
    rng = np.random.default_rng(seed)
    units = rng.normal(0, 1, (20, 1)) + rng.normal(0, 0.8, (20, 3))
    units[rng.random((20, 3)) < 0.25] = np.nan
    assert krippendorff_alpha(units) == pytest.approx(by_pairs(units))
    hits = np.where(np.isnan(units), np.nan, units > 0)
    assert krippendorff_alpha(hits) == pytest.approx(by_pairs(hits))
    assert np.isnan(krippendorff_alpha(np.ones((4, 3))))


def table(best, annotators=("Ada", "Bo"), models=("m",)):
    """Ranks ``[m, a, t]`` of texts of each annotator for each target."""
    rows = [
        (
            model,
            "d",
            "s",
            f"q{t}/{name}",
            "a text",
            f"item {t}",
            float(rank),
            int(rank),
            int(rank),
            1000,
            name,
        )
        for model, each in zip(models, best, strict=True)
        for name, own in zip(annotators, each, strict=True)
        for t, rank in enumerate(own)
    ]
    columns = (
        "model dataset label_set query_id text item_id rank rank_best rank_worst n_items annotator"
    )
    return pd.DataFrame(rows, columns=columns.split())


def ranks(seed=0, targets=80, own=0.5):
    rng = np.random.default_rng(seed)
    levels = (
        rng.normal(2, 1.5, (2, 1, targets)) + rng.normal(0, own, (2, 2, targets)) + [[[0.0], [0.8]]]
    )
    return np.clip(np.exp(levels).astype(int) + 1, 1, 1000)


def test_each_annotators_figures_are_those_of_their_queries_alone():
    rows = table(ranks(), models=("m", "n"))
    condition = conditions(rows)["d", "s"]
    assert condition.n_targets == 80
    found = by_annotator(rows, condition)
    assert list(found) == ANNOTATORS
    assert found["model"].drop_duplicates().tolist() == list(condition.models)
    for name in ("Ada", "Bo"):
        alone = metrics_table(rows[rows["annotator"] == name])
        for model in ("m", "n"):
            mine = found[(found["annotator"] == name) & (found["model"] == model)].set_index(
                ["metric", "k"]
            )
            theirs = alone[alone["model"] == model].set_index(["metric", "k"])
            for key in (("recall", 1), ("recall", 10), ("recall", 100)):
                columns = ["value", "ci_low", "ci_high", "n", "n_targets"]
                assert mine.loc[key, columns].tolist() == pytest.approx(
                    theirs.loc[key, columns].tolist()
                )
    assert (found["n"] == 80).all()


def test_agreement_says_whether_it_matters_who_describes():
    alike, apart = (table(ranks(own=own), models=("m", "n")) for own in (0.05, 4.0))
    near, far = (between_annotators(rows, conditions(rows)["d", "s"]) for rows in (alike, apart))
    assert list(near) == AGREEMENT
    assert (near["n_targets"] == 80).all()
    assert (near["n_annotators"] == 2).all()
    assert (near["alpha_rank"] > 0.75).all()
    assert (far["alpha_rank"] < 0.35).all()
    assert (near["found_alike"] > far["found_alike"]).all()
    assert (near["octaves_apart"] < far["octaves_apart"]).all()
    for one in (near, far):
        assert (
            (one["alpha_rank_low"] < one["alpha_rank"])
            & (one["alpha_rank"] < one["alpha_rank_high"])
        ).all()
    one = conditions(alike)["d", "s"].of(("m",))
    found = between_annotators(alike, one).iloc[0]
    logs = np.log2(one.rank[0].reshape(2, 80).T)
    assert found["alpha_rank"] == pytest.approx(krippendorff_alpha(logs))
    hits = one.hits(10)[0].reshape(2, 80)
    assert found["found_alike"] == pytest.approx(np.mean(hits[0] == hits[1]))
    assert found["octaves_apart"] == pytest.approx(np.sqrt(np.mean((logs[:, 0] - logs[:, 1]) ** 2)))


def test_nothing_to_compare():
    rows = table(ranks()[:1])
    alone = rows[rows["annotator"] == "Ada"]
    for some in (
        alone,
        rows.drop(columns="annotator"),
        rows.assign(annotator=None),
        rows.assign(annotator=""),
    ):
        assert by_annotator(some, conditions(some)["d", "s"]).empty
        assert between_annotators(some, conditions(some)["d", "s"]).empty
    # Two who described other targets each: figures, but no agreement.
    other = rows[
        (rows["annotator"] == "Ada") == rows["item_id"].str.endswith(("0", "2", "4", "6", "8"))
    ]
    assert len(by_annotator(other, conditions(other)["d", "s"])) == 2 * len(FEW_MEASURES)
    assert between_annotators(other, conditions(other)["d", "s"]).empty


def test_pseudonyms_are_the_same_for_queries_and_for_tables_of_them():
    written = [
        Query(f"q{i}/{name}", (f"item {i}",), label_set, "a text", name)
        for label_set in ("short", "long")
        for i in range(3)
        for name in ("Zoe", "Ada", "Bo/Ada")
    ]
    plain = (
        Query("q9", ("item 9",), "long", "a text", "Zoe"),
        Query("q10", ("item 9",), "long", "a text"),
    )
    every = [*written, *plain]
    shown = hide_queries(every[5:], every)
    assert [q.query_id for q in shown[-2:]] == ["q9", "q10"]
    assert shown[-2].annotator == "annotator-3"
    assert shown[-1].annotator is None
    assert not any(name in str(q) for q in shown for name in ("Zoe", "Ada", "Bo", "a text"))
    assert len({(q.label_set, q.query_id) for q in hide_queries(every, every)}) == len(every)
    rows = pd.DataFrame([(q.label_set, q.query_id, q.annotator) for q in every])
    rows.columns = ["label_set", "query_id", "annotator"]
    rows = rows.assign(dataset="d", target_group="Zoe's birthday")
    fused = rows[["dataset", "label_set", "query_id"]]
    told = [(move("q1/Ada", 3, 212), move("q1/Bo/Ada", 1, 2)), (move("q1/Ada", 3, 4),), ()]
    verdicts = pd.DataFrame({"dataset": ["d", "e", "d"], "queries": told})
    found, other, said = without_names(rows, fused, verdicts)
    assert found["query_id"].tolist() == [q.query_id for q in hide_queries(every, every)]
    assert found["annotator"].tolist() == [q.annotator for q in hide_queries(every, every)]
    assert hide_private(found, TABLES["ranks"])["target_group"].isna().all()
    assert other["query_id"].tolist() == found["query_id"].tolist()
    assert said["queries"].tolist() == [
        (move("q1/annotator-1", 3, 212), move("q1/annotator-2", 1, 2)),
        *told[1:],
    ]
