"""Combinations of models where several queries have one target: as without where each has its own, else by target."""

from dataclasses import replace

import numpy as np
import pandas as pd

from kis_bench.analysis import combinations
from kis_bench.analysis.combinations import advice, gains, snooping_p, widen
from kis_bench.analysis.conditions import Condition, conditions
from kis_bench.results.columns import FUSED
from kis_bench.statistics.cross_validation import assign_parts

NOTHING = pd.DataFrame(columns=FUSED)


def several(texts, targets=50, seed=0, own=0.4):
    """Two models that are good at other targets, which have so many texts each."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(2, 1.3, targets) + rng.normal(0, 1, (2, targets))
    levels = np.repeat(hard, texts, axis=1) + rng.normal(0, own, (2, targets * texts))
    best = np.clip(np.exp(levels).astype(np.int64) + 1, 1, 900)
    queries = tuple(f"q{i}" for i in range(targets * texts))
    return Condition(
        "d", "s", ("a", "b"), queries, best, best, 1_000, 0, np.repeat(np.arange(targets), texts)
    )


def with_combinations(one, lists):
    """A condition with its combinations, those of fused lists among them."""
    return one, combinations.combinations(one, lists)


def test_with_one_query_per_target_nothing_changes():
    one = several(1)
    alone = replace(one, clusters=None)
    for table in (gains, advice):
        own, other = (table(*with_combinations(each, NOTHING)) for each in (one, alone))
        pd.testing.assert_frame_equal(own, other, check_exact=True)


def test_the_same_texts_four_times_tell_no_more():
    once, four = replace(several(1, own=0.0), clusters=None), several(4, own=0.0)
    assert np.array_equal(four.best[:, ::4], once.best)
    naive = replace(four, clusters=None)
    a, b, c = (
        gains(*with_combinations(one, NOTHING)).query("method == 'interleave'")
        for one in (once, four, naive)
    )
    width = [(t["gain_high"] - t["gain_low"]).to_numpy() for t in (a, b, c)]
    assert (width[1] > 0.9 * width[0]).all()
    assert (width[2] < 0.6 * width[0]).all()  # what it was
    assert np.allclose(a["p"].astype(float), b["p"].astype(float), atol=0.02)
    assert (b["n"] == 200).all()
    assert (b["n_targets"] == 50).all()


def test_folds_never_part_the_queries_of_a_target(monkeypatch):
    seen = []

    def kept(keys):
        seen.append(assign_parts(keys))
        return seen[-1]

    monkeypatch.setattr(combinations, "assign_parts", kept)
    one = several(3)
    mixed = one.asked(
        [one.queries[i] for i in np.random.default_rng(1).permutation(len(one.queries))]
    )
    advice(*with_combinations(mixed, NOTHING))
    assert len(seen) >= 2
    for parts in seen:
        for target in range(50):
            assert len(set(parts[mixed.clusters == target])) == 1


def test_the_best_of_many_is_no_surer_for_being_measured_four_times():
    rng = np.random.default_rng(2)
    d = rng.normal(0.12, 1, (3, 60))
    four, which = np.repeat(d, 4, axis=1), np.repeat(np.arange(60), 4)
    assert abs(snooping_p(four, which) - snooping_p(d)) < 0.03
    assert snooping_p(four) < 0.5 * snooping_p(d)
    assert np.ptp(widen(four[0], 10, which)) > 0.95 * np.ptp(widen(d[0], 10))
    tested = combinations.test_gains
    all_built = np.ones(3, bool)
    repeated, single = tested(four[None], all_built, which), tested(d[None], all_built, None)
    assert repeated.tolist() == single.tolist()


def test_conditions_know_which_queries_have_a_target_in_common():
    names = "model dataset label_set query_id item_id rank_best rank_worst n_items"
    rows = [
        ("m", "d", "s", f"q{i}", item, 1, 1, 9)
        for i, item in enumerate(["a", "b|c", "c", "a", "d"])
    ]
    one = conditions(pd.DataFrame(rows, columns=names.split()))["d", "s"]
    assert one.clusters.tolist() == [0, 1, 1, 0, 2]
    assert one.n_targets == 3
    part = one.asked(["q4", "q3", "q2"])
    assert part.clusters is None
    assert (part.n_targets, part.queries) == (3, ("q4", "q3", "q2"))
    assert one.asked(["q3", "q4", "q0"]).clusters.tolist() == [0, 1, 0]
    assert one.of(("m",)).clusters.tolist() == one.clusters.tolist()
