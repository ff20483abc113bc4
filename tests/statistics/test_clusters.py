"""Queries of one target: intervals and tests that draw and flip whole clusters, against enumeration and brute force."""

import itertools
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.analysis.conditions import conditions
from kis_bench.analysis.growth import compute_growth
from kis_bench.analysis.models import compare
from kis_bench.results.figures import metrics_table
from kis_bench.statistics import (
    bootstrap_interval,
    bootstrap_means,
    mcnemar_exact,
    paired_randomization_test,
    quantile_interval,
    resampled_means,
    sign_flip_tests,
    wilson_interval,
)
from kis_bench.statistics.clusters import (
    cluster_by_target,
    design_effects,
    link_sets,
    number_clusters,
    share_intervals,
    sum_clusters,
    variances,
    whole_flip_tests,
)
from kis_bench.statistics.paired_intervals import difference_intervals, hit_intervals


@given(st.lists(st.frozensets(st.integers(0, 12), min_size=1, max_size=3), min_size=1, max_size=12))
@settings(max_examples=80, deadline=None)
def test_clusters_are_the_connected_components_of_queries_and_targets(sets):
    found = link_sets(sets)
    touching = np.array([[bool(a & b) for b in sets] for a in sets])
    _, expected = scipy.sparse.csgraph.connected_components(
        scipy.sparse.csr_matrix(touching), directed=False
    )
    assert np.array_equal(found[:, None] == found, expected[:, None] == expected)
    assert list(dict.fromkeys(found.tolist())) == list(
        range(found.max() + 1)
    )  # in the order of first appearance


def test_targets_of_a_table():
    assert cluster_by_target(["a", "b", "c"]) is None
    assert cluster_by_target(["a|b", "c", "b", "c|d"]).tolist() == [0, 1, 0, 1]
    # Whoever's target isn't known stands alone, as do queries that an import could not pair.
    assert cluster_by_target(["", "", None, float("nan"), "a", "a"]).tolist() == [0, 1, 2, 3, 4, 4]
    assert number_clusters(["x", "y", "x"], 3).tolist() == [0, 1, 0]
    assert number_clusters(["y", "x"], 2) is None


def ranks(targets, models=("better", "worse"), seed=0):
    """A run's table of ranks for queries of these targets, which are of different difficulty."""
    rng = np.random.default_rng(seed)
    hard = dict(zip(dict.fromkeys(targets), rng.normal(1.5, 1.5, len(targets)), strict=False))
    rows = []
    for step, model in enumerate(models):
        own = {target: rng.normal(0, 0.6) for target in hard}
        for i, target in enumerate(targets):
            best = (
                int(min(990, np.exp(hard[target] + own[target] + 0.4 * step + rng.normal(0, 0.7))))
                + 1
            )
            rows.append((model, "d", "s", f"q{i}", "", target, float(best), best, best, 1000))
    columns = [
        "model",
        "dataset",
        "label_set",
        "query_id",
        "text",
        "item_id",
        "rank",
        "rank_best",
        "rank_worst",
        "n_items",
    ]
    return pd.DataFrame(rows, columns=columns)


def test_with_one_query_per_target_every_figure_is_the_same_to_the_last_bit():
    """As if nobody knew of targets: the column is missing, or its ids are others."""
    table = ranks([f"item {i}" for i in range(60)])
    without = table.assign(item_id="")
    one, other = conditions(table)["d", "s"], conditions(table.drop(columns="item_id"))["d", "s"]
    assert one.clusters is None
    assert one.n_targets == 60
    for function in (partial(compare, permutations=5_000), compute_growth):
        pd.testing.assert_frame_equal(function(one), function(other), check_exact=True)
    pd.testing.assert_frame_equal(metrics_table(table), metrics_table(without), check_exact=True)
    values, each = np.random.default_rng(0).random((3, 60)), np.arange(60) * 7
    assert np.array_equal(resampled_means(values, clusters=each), resampled_means(values))
    flips = partial(sign_flip_tests, values - 0.4, permutations=5_000)
    assert np.array_equal(flips(clusters=each), flips())
    assert bootstrap_interval(values[0], clusters=each) == bootstrap_interval(values[0])
    assert quantile_interval(values[0], 0.5, clusters=each) == quantile_interval(values[0], 0.5)
    hits = values > 0.4
    assert wilson_interval(hits[0], clusters=each) == wilson_interval(int(hits[0].sum()), 60)
    assert mcnemar_exact(hits[0], hits[1], clusters=each) == mcnemar_exact(hits[0], hits[1])


def width(interval):
    return interval[1] - interval[0]


def test_the_same_texts_four_times_tell_no_more():
    """Nearly equal texts of each target: intervals and p-values of the targets, not of four times as many."""
    once = ranks([f"item {i}" for i in range(100)])
    four = pd.concat(
        [once.assign(query_id=once["query_id"] + f"/{i}") for i in range(4)], ignore_index=True
    )
    a, b = (metrics_table(table) for table in (once, four))
    assert b["n"].eq(400).all()
    assert b["n_targets"].eq(100).all()
    assert b["value"].to_numpy() == pytest.approx(
        a["value"].to_numpy(), abs=1.6
    )  # quartiles may lie between two
    for metric in ("recall", "mrr", "median_rank"):
        wide, narrow = (
            width((t.loc[t.metric == metric, "ci_low"], t.loc[t.metric == metric, "ci_high"]))
            for t in (a, b)
        )
        assert (narrow.to_numpy() > 0.9 * wide.to_numpy()).all()
    c, d = (compare(conditions(table)["d", "s"], permutations=20_000) for table in (once, four))
    assert d["difference"].to_numpy() == pytest.approx(c["difference"].to_numpy())
    assert (width((d.ci_low, d.ci_high)) > 0.97 * width((c.ci_low, c.ci_high))).all()
    assert d["p"].to_numpy() == pytest.approx(c["p"].to_numpy(), abs=0.01)
    assert (d["queries_needed"] > 3.5 * c["queries_needed"]).all()
    e, f = (compute_growth(conditions(table)["d", "s"]) for table in (once, four))
    assert (width((f.ci_low, f.ci_high)) > 0.97 * width((e.ci_low, e.ci_high))).all()


SIZES = st.lists(st.integers(1, 4), min_size=2, max_size=7)


@given(SIZES, st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_hits_in_clusters_are_tested_by_every_sign_of_every_target(sizes, seed):
    rng = np.random.default_rng(seed)
    which = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    a, b = rng.integers(0, 2, (2, len(which)))
    totals = np.bincount(which, a - b)
    signs = np.array([*itertools.product((1, -1), repeat=len(sizes))])
    expected = np.mean(np.abs(signs @ totals) >= abs(totals.sum()) - 1e-9)
    assert mcnemar_exact(a, b, clusters=which) == pytest.approx(expected)
    assert paired_randomization_test(a, b, clusters=which) == pytest.approx(expected)
    assert mcnemar_exact(b, a, clusters=[f"item {i}" for i in which]) == pytest.approx(expected)


def test_many_hits_in_clusters_are_as_exact():
    totals = np.array([[1] * 30 + [-1] * 18, [2] * 30 + [-2] * 18])
    assert whole_flip_tests(totals) == pytest.approx([scipy.stats.binomtest(18, 48).pvalue] * 2)
    large = np.r_[np.full(3_000, 1), np.full(2_900, -1), np.full(40, 3)][None]
    normal = 2 * scipy.stats.norm.sf((large.sum() - 1) / np.sqrt((large**2).sum()))
    assert whole_flip_tests(large) == pytest.approx([normal], rel=0.01)


def test_sums_that_cancel_out_are_no_difference():
    """0.1 + 0.2 - 0.3 is not 0 to a computer; the sign of what rounding leaves is no coin."""
    d = np.tile([0.1, 0.2, -0.3], 20)
    which = np.repeat(np.arange(20), 3)
    assert (sum_clusters(d[None], which) == 0).all()
    assert paired_randomization_test(d, np.zeros(60), clusters=which) == 1.0


def test_means_over_clusters_of_any_sizes():
    """Against drawing whole clusters one resample after the other, and the variance against its definition."""
    rng = np.random.default_rng(1)
    which = np.repeat(np.arange(30), rng.integers(1, 6, 30))
    values = rng.normal(0, 1, 30)[which] + rng.normal(0, 0.5, len(which))
    drawn = resampled_means(values[None], resamples=4_000, clusters=which)[:, 0]
    theirs = []
    for _ in range(4_000):
        picked = np.concatenate([values[which == one] for one in rng.integers(0, 30, 30)])
        theirs.append(picked.mean())
    assert drawn.mean() == pytest.approx(np.mean(theirs), abs=0.02)
    assert drawn.std() == pytest.approx(np.std(theirs), rel=0.06)
    assert np.sqrt(variances(values[None], which)[0]) == pytest.approx(drawn.std(), rel=0.06)
    naive = resampled_means(values[None], resamples=4_000)[:, 0]
    assert drawn.std() > 1.4 * naive.std()
    own = bootstrap_means(values[None], resamples=4_000, clusters=which)[0]
    assert bootstrap_interval(values, resamples=4_000, clusters=which) == pytest.approx(tuple(own))

    def mean(some, axis):  # not known to be a mean
        return some.mean(axis=axis)

    assert bootstrap_interval(values, mean, resamples=4_000, clusters=which) == pytest.approx(
        tuple(own), abs=0.03
    )
    # In equal sizes the mean is that of the clusters' means, and so is its interval.
    equal = np.repeat(np.arange(30), 4)
    values = rng.normal(0, 1, 30)[equal] + rng.normal(0, 0.5, 120)
    means = values.reshape(30, 4).mean(axis=1)
    found = difference_intervals(values[None], clusters=equal)[0]
    assert found == pytest.approx(difference_intervals(means[None])[0])


def test_order_and_names_of_clusters_make_no_difference():
    rng = np.random.default_rng(2)
    which, values = np.repeat(np.arange(25), 3), rng.normal(0.3, 1, (2, 75))
    hits, mixed = (values > 0).astype(float), rng.permutation(75)
    for function in (
        hit_intervals,
        lambda v, c: np.stack(share_intervals(v, clusters=c)),
        design_effects,
    ):
        data = hits - hits[::-1] if function is hit_intervals else hits
        again = function(data[:, mixed], number_clusters(which[mixed], 75))
        assert function(data, which) == pytest.approx(again)


def test_design_effects_lie_between_independent_and_of_one_mind():
    rng = np.random.default_rng(3)
    which = np.repeat(np.arange(400), 5)
    same = rng.integers(0, 2, 400)[which].astype(float)
    alone = rng.integers(0, 2, 2_000).astype(float)
    against = np.tile([1.0, 0, 1, 0, 1], 400)  # each target found by some texts, missed by others
    never = np.zeros(2_000)
    found = design_effects(np.stack([same, alone, against, never]), which)
    assert found[0] == pytest.approx(5)
    assert 1 <= found[1] < 1.2
    assert found[2] == pytest.approx(1, abs=0.01)
    assert found[3] == 5
    assert design_effects(same[None], None).tolist() == [1]
    # Nothing found of 400 targets is as good as nothing found of 400 queries, up to Student's t.
    assert wilson_interval(never, clusters=which)[1] == pytest.approx(
        wilson_interval(0, 400)[1], rel=0.02
    )
    assert wilson_interval(never + 1, clusters=which)[0] == pytest.approx(
        wilson_interval(400, 400)[0], rel=0.02
    )


def test_one_target_tells_nothing_of_others():
    which = np.zeros(5, int)
    assert np.isnan(
        difference_intervals(np.array([[0.1, 0.5, 0.2, 0.2, 1.0]]), clusters=which)
    ).all()
    low, high = wilson_interval([1, 1, 0, 1, 1], clusters=which)
    assert (low, high) == pytest.approx(wilson_interval(0.8, 1))
    assert paired_randomization_test([1, 1, 1, 1, 1], [0, 0, 0, 0, 0], clusters=which) == 1.0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: wilson_interval(3, 10, clusters=[1] * 10), "hits of each query"),
        (lambda: wilson_interval([1, 0, 1], 2), "each query needs one"),
        (lambda: wilson_interval([1, 0, 1], clusters=[1, 1]), "each of the 3 queries needs one"),
        (lambda: mcnemar_exact(1, 2, clusters=[1, 1, 1]), "hits of each query"),
        (lambda: mcnemar_exact([1, 0], [0, 0], clusters=[1]), "each of the 2 queries needs one"),
        (lambda: bootstrap_interval([1, 0, 2], clusters=[[1], [1], [1]]), "shape"),
        (
            lambda: paired_randomization_test([1, 0], [0, 0], clusters=[1, 2, 3]),
            "each of the 2 queries needs one",
        ),
    ],
)
def test_wrong_clusters_say_what(call, said):
    with pytest.raises(ValueError, match=said):
        call()
