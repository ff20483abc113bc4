"""Label sets on the same targets, and ranks against the length of texts."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.analysis.conditions import conditions
from kis_bench.analysis.label_sets import (
    CORRELATIONS,
    GAINS,
    LENGTHS,
    SUMMARY,
    by_length,
    compare_label_sets,
    correlations,
    detail,
    length_correlations,
    match_sets,
    words,
)
from kis_bench.metrics import FEW_MEASURES, hits_at_k, mean_reciprocal_rank, recall_at_k
from kis_bench.statistics import holm, mcnemar_exact, paired_randomization_test, wilson_interval


def compared(ranks):
    return compare_label_sets(ranks, [*conditions(ranks).values()])


def rows(label_set, queries, ranks, texts=None, dataset="d"):
    """Rows of the table of ranks: ``queries`` are ids and targets, ``ranks`` model -> rank, or best and worst."""
    found = []
    for model, own in ranks.items():
        for i, ((query, item), each) in enumerate(zip(queries, own, strict=True)):
            best, worst = each if isinstance(each, tuple) else (each, each)
            found.append(
                {
                    "model": model,
                    "dataset": dataset,
                    "label_set": label_set,
                    "query_id": query,
                    "item_id": item,
                    "text": texts[i] if texts else f"{label_set} text of {query}",
                    "rank": (best + worst) / 2,
                    "rank_best": best,
                    "rank_worst": worst,
                    "n_items": 1000,
                }
            )
    return pd.DataFrame(found)


def asked(*queries):
    return rows(
        "any",
        [tuple(query.split()) for query in queries],
        {"m": [1] * len(queries), "n": [2] * len(queries)},
    )


def simulated(seed=0, n=40, models=("m0", "m1", "m2"), tied=False):
    rng = np.random.default_rng(seed)
    hard = rng.normal(3, 1.5, n)
    parts = []
    for label_set, less in (("short", 0.0), ("long", 0.8)):
        ranks = {}
        for model in models:
            best = np.clip(np.exp(hard - less + rng.normal(0, 1, n)).astype(int) + 1, 1, 900)
            ranks[model] = [
                (int(x), int(x) + (i % 7 == 0 if tied else 0)) for i, x in enumerate(best)
            ]
        texts = [
            " ".join(["word"] * int(k))
            for k in rng.integers(1, 12, n) * (1 if label_set == "short" else 3)
        ]
        parts.append(rows(label_set, [(f"q{i}", f"i{i}") for i in range(n)], ranks, texts))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    ("first", "second", "pairs", "left_out"),
    [
        (["q1 x", "q2 y"], ["q2 y", "q1 x"], [("q1", "q1"), ("q2", "q2")], (0, 0)),
        (["a x", "b y"], ["c y", "d x", "e z"], [("a", "d"), ("b", "c")], (0, 1)),  # other ids
        (
            ["q1 x", "q2 y"],
            ["q1 y", "q2 x"],
            [("q1", "q2"), ("q2", "q1")],
            (0, 0),
        ),  # the same ids, other targets
        (["a x", "b x"], ["c x"], [], (2, 1)),  # nobody knows which
        (["a x", "b x", "c y"], ["b x", "a x", "d x"], [("a", "a"), ("b", "b")], (1, 1)),
        (["a x", "b x"], ["a x", "d x"], [("a", "a")], (1, 1)),  # once among the rest is not once
        (["a x|y"], ["b y|x"], [("a", "b")], (0, 0)),
        (["a x|y"], ["a x"], [], (1, 1)),
        (["a x"], ["b y"], [], (1, 1)),
        (["é 狗"], ["ü 狗"], [("é", "ü")], (0, 0)),
    ],
)
def test_queries_are_matched_by_id_and_target_and_else_by_target(first, second, pairs, left_out):
    found = match_sets(asked(*first), asked(*second))
    assert found.pairs == tuple(pairs)
    assert found.left_out == left_out


@given(
    st.lists(st.sampled_from("xyz"), max_size=6),
    st.lists(st.sampled_from("xyz"), max_size=6),
    st.randoms(),
)
@settings(max_examples=100, deadline=None)
def test_partners_ask_for_the_same_and_nobody_has_two(first, second, random):
    names = [random.sample("abcdefgh", len(side)) for side in (first, second)]
    a, b = (
        dict(zip(ids, side, strict=True)) for ids, side in zip(names, (first, second), strict=True)
    )
    tables = [
        pd.DataFrame({"query_id": list(side), "item_id": list(side.values())}, dtype=object)
        for side in (a, b)
    ]
    found = match_sets(*tables)
    one, other = ([pair[i] for pair in found.pairs] for i in (0, 1))
    assert len(set(one)) == len(set(other)) == len(found.pairs)
    assert all(a[x] == b[y] for x, y in found.pairs)
    assert found.left_out == (len(a) - len(one), len(b) - len(one))
    back = match_sets(*tables[::-1])
    assert {(y, x) for x, y in back.pairs} == set(found.pairs)
    assert {(q, q) for q in a if b.get(q) == a[q]} <= set(found.pairs)


@pytest.mark.parametrize("tied", [False, True])
def test_the_summary_against_its_definitions(tied):
    ranks = simulated(tied=tied)
    summary, gains = compared(ranks)
    assert list(summary) == SUMMARY
    assert list(gains) == GAINS
    assert len(summary) == 3 * (len(FEW_MEASURES) + 2)
    assert len(gains) == 3 * 40
    assert set(zip(summary["label_set_a"], summary["label_set_b"], strict=True)) == {
        ("short", "long")
    }
    for model in ("m0", "m1", "m2"):
        a, b = (
            ranks[(ranks["model"] == model) & (ranks["label_set"] == name)]
            for name in ("short", "long")
        )
        own = summary[summary["model"] == model].set_index(
            ["metric", summary["k"].fillna(0)[summary["model"] == model]]
        )
        for k in (1, 10, 100):
            row = own.loc[("recall", k)]
            hits = [
                np.clip((k - x["rank_best"] + 1) / (x["rank_worst"] - x["rank_best"] + 1), 0, 1)
                for x in (a, b)
            ]
            assert row["value_a"] == pytest.approx(recall_at_k(a["rank_best"], a["rank_worst"], k))
            assert row["value_b"] == pytest.approx(recall_at_k(b["rank_best"], b["rank_worst"], k))
            assert row["difference"] == pytest.approx(row["value_b"] - row["value_a"])
            shares = ranks["rank_best"].le(k) & ranks["rank_worst"].gt(k)
            expected = paired_randomization_test(*hits) if shares.any() else mcnemar_exact(*hits)
            assert row["p"] == pytest.approx(expected, abs=0.01)
        row = own.loc[("mrr", 0)]
        assert row["value_b"] == pytest.approx(mean_reciprocal_rank(b["rank"]))
        assert row["p"] == pytest.approx(
            paired_randomization_test(1 / a["rank"], 1 / b["rank"]), abs=0.01
        )
        difference = 1 / b["rank"].to_numpy() - 1 / a["rank"].to_numpy()
        half = 1.96 * difference.std() / np.sqrt(40)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(
            (difference.mean() - half, difference.mean() + half), abs=0.02
        )
        row = own.loc[("median_rank", 0)]
        assert row["difference"] == b["rank"].median() - a["rank"].median()
        assert row["ci_low"] <= row["difference"] <= row["ci_high"]
        assert np.isnan(row["p"])
        row = own.loc[("rank_ratio", 0)]
        logs = np.log(a["rank"].to_numpy() / b["rank"].to_numpy())
        half = 1.96 * logs.std() / np.sqrt(40)
        assert row["value_a"] == pytest.approx(scipy.stats.gmean(a["rank"]))
        assert row["difference"] == pytest.approx(np.exp(logs.mean()))
        assert np.log([row["ci_low"], row["ci_high"]]) == pytest.approx(
            [logs.mean() - half, logs.mean() + half], abs=0.1
        )
    for _, part in summary[summary["p"].notna()].groupby(["metric", summary["k"].fillna(0)]):
        assert part["p_holm"].to_numpy() == pytest.approx(holm(part["p"]))


def test_gains_name_their_queries():
    first = rows("a", [("q1", "x|y"), ("q2", "z")], {"m": [8, 3]})
    second = rows("b", [("p1", "y|x"), ("p2", "w"), ("p3", "z")], {"m": [(1, 3), 1, 12]})
    _, gains = compared(pd.concat([first, second]))
    assert gains.to_dict("records") == [
        {
            "dataset": "d",
            "label_set_a": "a",
            "label_set_b": "b",
            "model": "m",
            "query_a": "q1",
            "query_b": "p1",
            "item_id": "x|y",
            "rank_a": 8.0,
            "rank_b": 2.0,
            "ratio": 2.0,
        },
        {
            "dataset": "d",
            "label_set_a": "a",
            "label_set_b": "b",
            "model": "m",
            "query_a": "q2",
            "query_b": "p3",
            "item_id": "z",
            "rank_a": 3.0,
            "rank_b": 12.0,
            "ratio": -2.0,
        },
    ]


def test_every_two_label_sets_in_the_order_of_the_table():
    queries = [("q", "x")]
    table = pd.concat(
        [
            rows("stage-2", queries, {"m": [4], "n": [2]}),
            rows("stage-1", queries, {"m": [8]}),
            rows("other", [("q", "y")], {"m": [1]}),
        ]
    )
    summary, _ = compared(table)
    assert set(
        zip(summary["label_set_a"], summary["label_set_b"], summary["model"], strict=True)
    ) == {("stage-2", "stage-1", "m")}
    ratio = summary.set_index("metric").loc["rank_ratio"]
    assert (ratio["value_a"], ratio["value_b"], ratio["difference"], ratio["n"]) == (4, 8, 0.5, 1)


def test_nothing_to_compare_and_nothing_that_differs():
    queries = [("q1", "x"), ("q2", "y")]
    one = rows("a", queries, {"m": [1, 1], "n": [1, 1]})
    apart = pd.concat([one, rows("b", [("q1", "z")], {"m": [1]})])
    other_models = pd.concat([one, rows("b", queries, {"o": [1, 1]})])
    for table in (one, apart, other_models):
        summary, gains = compared(table)
        assert (len(summary), list(summary)) == (0, SUMMARY)
        assert (len(gains), list(gains)) == (0, GAINS)
    summary, gains = compared(pd.concat([one, rows("b", queries, {"m": [1, 1], "n": [1, 1]})]))
    assert (summary["value_a"] == 1).all()
    assert summary["p"].dropna().eq(1).all()
    assert (
        summary.loc[summary["metric"] == "rank_ratio", ["ci_low", "difference", "ci_high"]]
        .eq(1)
        .all(axis=None)
    )
    assert (gains["ratio"] == 0).all()


@pytest.mark.parametrize(
    ("text", "found", "details"),
    [
        ("A small, red boat.", ["a", "small", "red", "boat"], 2),
        ("don't — stop & go  (now)!", ["don't", "stop", "go", "now"], 2),
        ("word Word WORD", ["word"] * 3, 1),
        ("红色的car。停着", [*"红色的", "car", *"停着"], 5),
        ("ねこ2匹", ["ね", "こ", "2", "匹"], 3),
        ("हिन्दी में", ["हिन्दी", "में"], 1),
        ("🐶 & ❤\ufe0f", [], 0),
        ("Cafe\u0301 (caf\u00e9)", ["caf\u00e9", "caf\u00e9"], 1),
        ("", [], 0),
        ("2024 12345", ["2024", "12345"], 0),
        ("한국어 문장입니다", ["한국어", "문장입니다"], 1),
    ],
)
def test_words_and_detail(text, found, details):
    assert words(text) == found
    assert detail(text) == details


def test_lengths_against_brute_force():
    ranks = simulated(tied=True)
    found = by_length(ranks)
    assert list(found) == LENGTHS
    n_words = ranks["text"].map(lambda text: len(text.split()))
    for _, row in found.iterrows():
        own = ranks[
            (ranks["model"] == row["model"]) & n_words.between(row["words_low"], row["words_high"])
        ]
        assert row["n"] == len(own)
        assert row["recall_at_10"] == pytest.approx(
            recall_at_k(own["rank_best"], own["rank_worst"], 10)
        )
        assert row["n_targets"] == own["item_id"].nunique()
        hits = hits_at_k(own["rank_best"], own["rank_worst"], 10)
        low, high = wilson_interval(hits, clusters=own["item_id"])
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high))
        assert (high - low > np.ptp(wilson_interval(hits))) == (row["n_targets"] < row["n"])
        assert row["mrr"] == pytest.approx(mean_reciprocal_rank(own["rank"]))
    assert found.groupby("model")["n"].sum().eq(80).all()
    assert found.groupby("model").size().eq(4).all()
    assert found["n"].between(10, 30).all()  # quarters of 80, where many texts are equally long
    assert found["label_set"].eq("").all()


def test_bins_are_merged_where_quartiles_repeat():
    table = rows(
        "a",
        [(f"q{i}", f"i{i}") for i in range(8)],
        {"m": [1] * 8, "n": [20] * 8},
        ["one"] * 7 + ["one two"],
    )
    found = by_length(table)
    assert found[["words_low", "words_high", "n"]].to_numpy().tolist() == [[1, 1, 7], [2, 2, 1]] * 2
    single = by_length(rows("a", [("q", "i")], {"m": [1]}, ["one"]))
    assert single[["words_low", "words_high", "n", "recall_at_10"]].to_numpy().tolist() == [
        [1, 1, 1, 1]
    ]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_bins_hold_every_text_once(lengths):
    texts = [" ".join("w" * n) for n in lengths]
    found = by_length(
        rows("a", [(f"q{i}", "x") for i in range(len(texts))], {"m": [1] * len(texts)}, texts)
    )
    assert found["n"].sum() == len(texts)
    assert (found["words_low"] <= found["words_high"]).all()
    assert (found["words_low"].to_numpy()[1:] > found["words_high"].to_numpy()[:-1]).all()
    assert 1 <= len(found) <= 4


@pytest.mark.parametrize("hidden", ["", " ", None])
def test_without_texts_there_is_nothing_to_measure(hidden):
    table = rows("a", [("q1", "x"), ("q2", "y")], {"m": [1, 2]}, [hidden, hidden])
    assert (len(by_length(table)), list(by_length(table))) == (0, LENGTHS)
    assert (len(length_correlations(table)), list(length_correlations(table))) == (0, CORRELATIONS)
    some = pd.concat([table, rows("b", [("q1", "x")], {"m": [3]}, ["a text"])])
    assert by_length(some)["n"].tolist() == [1]


def test_correlations_are_spearmans():
    ranks = simulated(tied=True)
    found = length_correlations(ranks)
    assert list(found) == CORRELATIONS
    assert found["measure"].tolist() == ["words", "characters", "detail"] * 3
    for _, row in found[found["measure"] != "detail"].iterrows():
        own = ranks[ranks["model"] == row["model"]]
        lengths = [len(t.split()) if row["measure"] == "words" else len(t) for t in own["text"]]
        assert row["rho"] == pytest.approx(
            scipy.stats.spearmanr(lengths, np.log(own["rank"])).statistic
        )
        assert row["ci_low"] < row["rho"] < row["ci_high"]
        assert row["n"] == 80
    assert (
        found.loc[found["measure"] == "detail", ["rho", "ci_low", "ci_high"]].isna().all(axis=None)
    )  # always 1


def test_intervals_of_correlations():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(400)
    y = 0.5 * x + rng.standard_normal(400)
    rho, low, high = correlations(x[None], y, np.arange(400))[0]
    half = 1.96 * np.sqrt((1 + rho**2 / 2) / 397)  # D. Bonett and T. Wright, Psychometrika 65, 2000
    assert (low, high) == pytest.approx(
        (np.tanh(np.arctanh(rho) - half), np.tanh(np.arctanh(rho) + half)), abs=0.02
    )
    # Texts that come in threes of one target are worth a third of as many.
    thrice = correlations(np.tile(x, 3)[None], np.tile(y, 3), np.tile(np.arange(400), 3))[0]
    assert thrice == pytest.approx([rho, low, high], abs=0.01)
    assert correlations(x[None], x, np.arange(400))[0] == pytest.approx([1, 1, 1])
    assert np.isnan(correlations(x[None], np.ones(400), np.arange(400))).all()
    few = correlations(np.array([[1.0, 2.0]]), np.array([3.0, 1.0]), np.array([0, 1]))[0]
    assert few[0] == pytest.approx(-1)
    assert np.isnan(few[1:]).all()
    assert np.isnan(correlations(np.array([[1.0]]), np.array([3.0]), np.array([0]))).all()
