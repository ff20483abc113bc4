"""Triplets that share their target picture: what one picture is like moves the judgments on all of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.statistics import wilson_interval
from kis_bench.statistics.crossed import (
    Crossed,
    correlation_interval,
    crossed_intervals,
    paired_test,
    variance,
)
from kis_bench.triplets.people import PEOPLE_RULES, agreement_of_people, interval_of_people
from kis_bench.triplets.tables import interval_per_triplet

SIMULATIONS, DESIGNS = 2000, 20
EACH = SIMULATIONS // DESIGNS
RESAMPLES = 400
TRUTH = 0.7
EVERYBODY = np.ones(400, bool)


def study(rng, people=84, targets=60, per_target=6, judgments=1.5):
    """Who judged which triplet of which target; people judge unequally much, targets have unequally many triplets."""
    target_of = np.repeat(np.arange(targets), 1 + rng.poisson(per_target - 1, targets))
    n = len(target_of)
    triplet = np.concatenate([np.arange(n), rng.integers(0, n, int((judgments - 1) * n))])
    activity = rng.gamma(1.5, size=people)
    person = rng.choice(people, len(triplet), p=activity / activity.sum())
    return Crossed.of(person, triplet, target_of[triplet])


def agreed(rng, crossed, of_people=0.0, of_triplets=0.0, of_targets=0.2, times=EACH):
    """[j, times] simulated agreements whose mean is known: people, triplets and targets differ by so much."""
    effects = (
        (of_people, crossed.people, crossed.n_people),
        (of_triplets, crossed.triplets, crossed.n_triplets),
        (of_targets, crossed.targets, crossed.n_targets),
    )
    chance = TRUTH + sum(
        size * rng.choice([-1, 1], (n, times))[codes] for size, codes, n in effects
    )
    return (rng.random(chance.shape) < chance).astype(float)


def without_targets(crossed):
    return Crossed.of(crossed.people, crossed.triplets)


def test_targets_are_numbered_in_the_order_of_their_triplets():
    c = Crossed.of(
        ["u", "v", "u", "v", "u"], ["t3", "t1", "t2", "t1", "t4"], ["a", "b", "a", "b", "c"]
    )
    assert c.triplets.tolist() == [2, 0, 1, 0, 3]
    assert c.targets.tolist() == [1, 0, 1, 0, 2]
    assert (c.n_triplets, c.n_targets, c.n_clusters) == (4, 3, 3)
    part = c.where(np.array([True, False, True, False, True]))
    assert (part.triplets.tolist(), part.targets.tolist()) == ([1, 0, 2], [0, 0, 1])


def test_an_unknown_target_is_shared_with_no_other_triplet():
    """An older run doesn't say which target a triplet has."""
    c = Crossed.of([0] * 5, [0, 1, 2, 3, 3], ["a", "a", None, np.nan, None])
    assert c.targets.tolist() == [0, 0, 1, 2, 2]
    assert Crossed.of([0] * 3, [2, 1, 0], [None] * 3).targets.tolist() == [2, 1, 0]


def test_a_triplet_has_one_target():
    with pytest.raises(ValueError, match="two target pictures"):
        Crossed.of([0, 0], [1, 1], ["a", "b"])


def test_triplets_of_a_single_target_are_what_varies():
    """Nobody can know about other targets then; as with a single person."""
    y, people = np.array([1.0, 0, 1, 1, 0, 1]), [0, 1, 2, 0, 1, 2]
    shared, alone = Crossed.of(people, range(6), ["a"] * 6), Crossed.of(people, range(6))
    assert (shared.n_targets, shared.n_clusters, shared.levels) == (1, 6, 3)
    assert variance(y, shared) == variance(y, alone)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_where_no_two_triplets_share_a_target_nothing_changes(seed):
    """To the last bit."""
    rng = np.random.default_rng(seed)
    person, triplet = rng.integers(0, 7, 400), rng.integers(0, 40, 400)
    with_targets = Crossed.of(person, triplet, rng.permutation(40)[triplet])
    alone = Crossed.of(person, triplet)
    a, b = rng.choice([0.0, 0.5, 1.0], (2, 400))
    found = [
        (
            crossed_intervals(np.stack([a, b], axis=1), c, resamples=100).tolist(),
            paired_test(a, b, c),
            variance(a, c),
            correlation_interval(a + b, b, c),
            *(
                interval_of_people(rule, np.where(a > 0, 1, -1), c, EVERYBODY)
                for rule in PEOPLE_RULES.values()
            ),
        )
        for c in (with_targets, alone)
    ]
    assert found[0] == found[1]


def test_the_variance_leaves_out_whole_targets():
    """By loops, as the definition says."""
    rng = np.random.default_rng(0)
    c = study(rng, people=9, targets=8)
    y = agreed(rng, c, 0.1, 0.1, 0.1, times=1)[:, 0]

    def by_loop(names):
        without = [y[[other != name for other in names]].mean() for name in set(names)]
        return (len(without) - 1) / len(without) * sum((w - y.mean()) ** 2 for w in without)

    people, targets = c.people.tolist(), c.targets.tolist()
    both = list(zip(people, targets, strict=True))
    expected = by_loop(people) + by_loop(targets) - by_loop(both)
    assert variance(y, c) == pytest.approx(max(expected, by_loop(both) / 2))


@pytest.mark.parametrize("rule", PEOPLE_RULES)
def test_people_are_measured_anew_without_each_target(rule):
    """Really left out, and all counted anew. Every triplet has four people, so that every cluster matters."""
    rng = np.random.default_rng(3)
    triplet, target_of = np.repeat(np.arange(30), 4), np.arange(30) // 3
    person = np.concatenate([rng.permutation(9)[:4] for _ in range(30)])
    choices, c = (
        np.where(rng.random(120) < 0.7, -1, 1),
        Crossed.of(person, triplet, target_of[triplet]),
    )

    def mean(rest):
        every = agreement_of_people(choices[rest], triplet[rest], person[rest])
        return np.nanmean(every[list(PEOPLE_RULES).index(rule)])

    def by_loop(codes):
        without = np.array([mean(codes != code) for code in np.unique(codes)])
        return (len(without) - 1) / len(without) * np.sum((without - mean(EVERYBODY[:120])) ** 2)

    of_targets = by_loop(c.targets)
    spread = max(by_loop(person) + of_targets - by_loop(100 * person + c.targets), of_targets)
    whole, half = mean(EVERYBODY[:120]), c.quantile(0.95) * math.sqrt(spread)
    found = interval_of_people(PEOPLE_RULES[rule], choices, c, EVERYBODY[:120])
    assert found == pytest.approx((max(0, whole - half), min(1, whole + half)))


def test_where_all_agree_the_interval_is_that_of_so_many_targets():
    c = Crossed.of([0, 1] * 6, range(12), np.arange(12) // 4)
    assert crossed_intervals(np.ones((12, 1)), c)[0] == pytest.approx(wilson_interval(3, 3))


def test_per_triplet_it_is_wilsons_unless_triplets_share_targets():
    each = np.array([1.0, 1, 0, 1, 0, 1, 1, 1])
    alone, shared, one = (
        Crossed.of([0] * 8, range(8), t) for t in (range(8), np.arange(8) // 2, [0] * 8)
    )
    assert (
        interval_per_triplet(each, alone)
        == interval_per_triplet(each, one)
        == wilson_interval(6, 8)
    )
    assert interval_per_triplet(each, shared) == pytest.approx(
        crossed_intervals(each[:, None], shared)[0]
    )
    assert all(map(math.isnan, interval_per_triplet(each[:0], alone.where(np.zeros(8, bool)))))


def rate(found):
    return np.mean(found, dtype=float)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("of_people", "of_triplets", "of_targets"),
    [
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.2),
        (0.08, 0.1, 0.1),
    ],
    ids=["independent", "targets differ", "all differ"],
)
def test_intervals_cover_the_truth_as_often_as_they_say(of_people, of_triplets, of_targets):
    rng, found, ignored = np.random.default_rng(1), [], []
    for _ in range(DESIGNS):
        c = study(rng)
        y = agreed(rng, c, of_people, of_triplets, of_targets)
        for each, kept in ((c, found), (without_targets(c), ignored)):
            low, high = crossed_intervals(y, each, resamples=RESAMPLES).T
            kept.append((low <= TRUTH) & (high >= TRUTH))
    assert rate(found) == pytest.approx(0.95, abs=0.015)
    if of_targets == 0.2:
        assert rate(ignored) < 0.85  # what the third factor is for


@pytest.mark.slow
def test_random_halves_of_the_targets_differ_by_noise():
    """Where targets differ as much as in studies with many triplets of each, without the third factor 0 is held in a
    third of the cases, and intervals have to be more than twice as wide.
    """
    rng, found, ignored, widths = np.random.default_rng(2), [], [], []
    for _ in range(DESIGNS):
        c = study(rng, targets=120, per_target=25)
        y = agreed(rng, c, of_targets=0.25)
        half = (rng.permutation(c.n_targets) < c.n_targets / 2)[c.targets]
        difference = y[half].mean(axis=0) - y[~half].mean(axis=0)
        spread = []
        for kept, each in ((found, c), (ignored, without_targets(c))):
            intervals = [
                crossed_intervals(y[part], each.where(part), resamples=RESAMPLES)
                for part in (half, ~half)
            ]
            half_width = np.hypot(*(np.diff(one)[:, 0] / 2 for one in intervals))
            kept.append(np.abs(difference) <= half_width)
            spread.append(half_width)
        widths.append(spread[0] / spread[1])
    assert rate(found) == pytest.approx(0.95, abs=0.015)
    assert rate(ignored) < 0.6
    assert np.mean(widths) > 2


@pytest.mark.slow
@pytest.mark.parametrize("of_targets", [0.0, 0.2])
def test_the_paired_test_rejects_equals_as_often_as_it_says(of_targets):
    """Two models that are equally good, each on targets of its own."""
    rng, found, ignored = np.random.default_rng(3), [], []
    for _ in range(DESIGNS):
        c = study(rng)
        first, second = (agreed(rng, c, 0.05, 0.05, of_targets).T for _ in range(2))
        for each, kept in ((c, found), (without_targets(c), ignored)):
            kept.append(
                [paired_test(a, b, each)[3] < 0.05 for a, b in zip(first, second, strict=True)]
            )
    assert rate(found) == pytest.approx(0.05, abs=0.015)
    if of_targets:
        assert rate(ignored) > 0.1


@pytest.mark.slow
def test_intervals_of_correlations_cover():
    """x of the target and y of the judgment share a part of known size: the correlation is 1 / sqrt(1 + 2)."""
    rng, found = np.random.default_rng(4), []
    for _ in range(DESIGNS):
        c = study(rng, targets=100)
        for _ in range(EACH):
            x = rng.standard_normal(c.n_targets)[c.targets]
            y = x + rng.standard_normal(c.n_targets)[c.targets] + rng.standard_normal(len(x))
            low, high = correlation_interval(x, y, c)
            found.append(low <= 1 / math.sqrt(3) <= high)
    assert rate(found) == pytest.approx(0.95, abs=0.015)


@pytest.mark.slow
def test_intervals_per_triplet_cover():
    rng, found = np.random.default_rng(5), []
    for _ in range(DESIGNS):
        c = study(rng, people=1, judgments=1)
        low, high = crossed_intervals(agreed(rng, c), c, resamples=RESAMPLES).T
        found.append((low <= TRUTH) & (high >= TRUTH))
    assert rate(found) == pytest.approx(0.95, abs=0.015)


@pytest.mark.slow
def test_intervals_cover_what_people_agree_on_average():
    """Some targets have an obvious answer, and on others people guess. Where they are alike but for that, as here, the
    intervals are a little wide. The mean of all studies stands for the truth.
    """
    rng = np.random.default_rng(6)
    found, bounds = [], []
    for _ in range(300):
        c = study(rng, targets=40, per_target=4, judgments=2.5)
        chance = rng.choice([0.5, 0.95], c.n_targets)[c.targets]
        choices = np.where(rng.random(len(chance)) < chance, -1, 1)
        found.append(
            [np.nanmean(each) for each in agreement_of_people(choices, c.triplets, c.people)]
        )
        everybody = np.ones(len(choices), bool)
        bounds.append(
            [interval_of_people(rule, choices, c, everybody) for rule in PEOPLE_RULES.values()]
        )
    truth, (low, high) = np.mean(found, axis=0), np.moveaxis(bounds, 2, 0)
    for covered in ((low <= truth) & (truth <= high)).T:
        assert 0.92 < rate(covered) < 0.99
