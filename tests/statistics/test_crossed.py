import math

import numpy as np
import pytest
import scipy.stats

from kis_bench.statistics import adjust_known, crossed, holm, wilson_interval
from kis_bench.statistics.crossed import (
    Crossed,
    correlation_interval,
    crossed_intervals,
    draw_weights,
    paired_test,
    variance,
)

COVERED = 0.95 * 2000, 0.015 * 2000  #: of 2,000 simulations, and how far off


def judged(rng, people=84, triplets=1500, per_triplet=2.5, of_people=0.0, of_triplets=0.0, p=0.7):
    """Judgments with a known mean: some people are more reliable, some triplets harder; people judge unequally much."""
    n = int(triplets * per_triplet)
    triplet = np.concatenate([np.arange(triplets), rng.integers(0, triplets, n - triplets)])
    activity = rng.gamma(1.5, size=people)
    person = rng.choice(people, n, p=activity / activity.sum())
    chance = (
        p
        + of_people * rng.uniform(-1, 1, people)[person]
        + of_triplets * rng.choice([-1, 1], triplets)[triplet]
    )
    return Crossed.of(person, triplet), chance


def draw(rng, chance):
    return (rng.random(chance.shape) < chance).astype(float)


def test_numbers_follow_names():
    c = Crossed.of(["u2", "u1", "u2"], [7, 7, 9])
    assert c.people.tolist() == [1, 0, 1]
    assert c.triplets.tolist() == [0, 0, 1]
    assert (c.n_people, c.n_triplets, c.levels) == (2, 2, 2)
    assert c.quantile(0.95) == pytest.approx(
        12.706, abs=1e-3
    )  # Student's t with one degree of freedom
    assert c.where(np.array([True, False, True])).people.tolist() == [0, 0]


def test_variance_leaves_out_one_after_the_other():
    """By loops, as the definition says."""
    rng = np.random.default_rng(0)
    c, chance = judged(rng, people=5, triplets=12, of_people=0.2, of_triplets=0.1)
    y = draw(rng, chance)

    def by_loop(codes):
        without = [y[codes != level].mean() for level in np.unique(codes)]
        return (len(without) - 1) / len(without) * sum((w - y.mean()) ** 2 for w in without)

    expected = by_loop(c.people) + by_loop(c.triplets) - by_loop(c.pairs)
    assert variance(y, c) == pytest.approx(max(expected, by_loop(c.pairs) / 2))


def test_variance_with_one_person_is_that_over_triplets():
    """Then a judgment is a triplet, and the jackknife of a mean is the usual squared standard error."""
    y = np.array([1.0, 0, 1, 1, 0, 1, 0, 0, 1])
    expected = y.var(ddof=1) / len(y)
    assert variance(y, Crossed.of([0] * 9, range(9))) == pytest.approx(expected)
    assert variance(y, Crossed.of(range(9), [0] * 9)) == pytest.approx(expected)
    assert math.isnan(variance(y[:1], Crossed.of([0], [0])))


def test_resamples_draw_people_and_triplets(monkeypatch):
    monkeypatch.setattr(crossed, "CHUNK_VALUES", 64)  # so that there are many chunks
    c = Crossed.of([0, 0, 1, 1, 2], [0, 1, 0, 1, 2])
    drawn = np.concatenate(list(draw_weights(c, 4000, seed=1)))
    assert drawn.shape == (4000, 5)
    by_person = drawn[:, 0] * drawn[:, 3] - drawn[:, 1] * drawn[:, 2]
    assert (by_person == 0).all()  # each is a product of its person's and its triplet's count
    assert drawn.mean(axis=0) == pytest.approx(np.ones(5), abs=0.1)
    # E[count^2] of one of three levels drawn three times: 1 + 2/3; both factors are independent.
    assert (drawn**2).mean(axis=0) == pytest.approx(np.full(5, (5 / 3) ** 2), rel=0.15)


def test_the_chunks_of_resamples_change_nothing_but_memory(monkeypatch):
    rng = np.random.default_rng(2)
    c, chance = judged(rng, people=10, triplets=60)
    values = draw(rng, np.stack([chance, chance], axis=1))
    values[:5, 1] = np.nan
    first = crossed_intervals(values, c, resamples=3000)
    assert np.array_equal(first, crossed_intervals(values, c, resamples=3000))
    monkeypatch.setattr(crossed, "CHUNK_VALUES", 1000)
    assert crossed_intervals(values, c, resamples=3000) == pytest.approx(
        first, abs=0.02
    )  # other draws


def test_intervals_equal_those_of_each_column_alone():
    rng = np.random.default_rng(3)
    c, chance = judged(rng, people=12, triplets=80)
    values = draw(rng, np.stack([chance] * 3, axis=1))
    values[rng.random(values.shape) < 0.1] = np.nan
    together = crossed_intervals(values, c, resamples=2000)
    alone = np.concatenate(
        [crossed_intervals(values[:, i : i + 1], c, resamples=2000) for i in range(3)]
    )
    assert together == pytest.approx(alone, abs=1e-6)


def test_where_all_agree_the_interval_is_not_a_point():
    c = Crossed.of([0, 0, 1, 1], [0, 1, 0, 1])
    low, high = crossed_intervals(np.ones((4, 1)), c)[0]
    assert (low, high) == wilson_interval(2, 2)
    assert np.isnan(crossed_intervals(np.full((4, 1), np.nan), c)).all()


def test_a_single_judgment_has_no_interval_but_wilsons():
    assert crossed_intervals(np.array([[0.0]]), Crossed.of([0], [0]))[0] == pytest.approx(
        wilson_interval(0, 1)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("of_people", "of_triplets"),
    [(0.0, 0.0), (0.08, 0.0), (0.0, 0.2), (0.05, 0.2)],
    ids=["independent", "people differ", "triplets differ", "both differ"],
)
def test_intervals_cover_the_truth_as_often_as_they_say(of_people, of_triplets):
    rng, covered = np.random.default_rng(4), 0
    for _ in range(2000):
        c, chance = judged(rng, triplets=400, of_people=of_people, of_triplets=of_triplets)
        low, high = crossed_intervals(draw(rng, chance)[:, None], c, resamples=400)[0]
        covered += low <= 0.7 <= high
    assert covered == pytest.approx(COVERED[0], abs=COVERED[1])


@pytest.mark.slow
def test_intervals_that_ignore_people_cover_too_little():
    """What the correction is for: with unequal people, judgments taken as independent cover far less than 95%."""
    rng, covered = np.random.default_rng(5), 0
    for _ in range(500):
        _, chance = judged(rng, of_people=0.15)
        y = draw(rng, chance)
        low, high = wilson_interval(y.sum(), len(y))
        covered += low <= 0.7 <= high
    assert covered < 0.7 * 500


@pytest.mark.slow
@pytest.mark.parametrize("of_triplets", [0.0, 0.15])
def test_the_paired_test_rejects_equals_as_often_as_it_says(of_triplets):
    """Two extractors of equal quality, alike on most triplets; a person's reliability is the same for both."""
    rng, rejected = np.random.default_rng(6), 0
    for _ in range(2000):
        c, chance = judged(rng, triplets=400, of_people=0.05)
        first, second = (0.7 + of_triplets * rng.choice([-1, 1], 400)[c.triplets] for _ in range(2))
        common = rng.random(len(chance)) < 0.6
        a, b = (draw(rng, p + (chance - 0.7)) for p in (first, second))
        rejected += paired_test(a, np.where(common, a, b), c)[3] < 0.05
    assert rejected == pytest.approx(0.05 * 2000, abs=0.015 * 2000)


@pytest.mark.slow
def test_intervals_of_correlations_cover():
    """x of the triplet and y of the judgment share a part of known size: the correlation is 1 / sqrt(1 + 2)."""
    rng, covered = np.random.default_rng(7), 0
    for _ in range(2000):
        c, _ = judged(rng, triplets=500)
        x = rng.standard_normal(500)[c.triplets]
        y = x + rng.standard_normal(500)[c.triplets] + rng.standard_normal(len(x))
        low, high = correlation_interval(x, y, c)
        covered += low <= 1 / math.sqrt(3) <= high
    assert covered == pytest.approx(COVERED[0], abs=COVERED[1])


def test_the_paired_test_of_independent_judgments_is_nearly_the_usual_one():
    rng = np.random.default_rng(8)
    a, b = rng.random(400), rng.random(400) + 0.05
    c = Crossed.of([0] * 400, range(400))  # one person: a judgment is a triplet
    difference, low, high, p = paired_test(a, b, c)
    expected = scipy.stats.ttest_rel(a, b)
    assert (difference, p) == pytest.approx((float((a - b).mean()), expected.pvalue))
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval()))
    assert paired_test(b, a, c) == pytest.approx((-difference, -high, -low, p))


def test_pairs_that_never_differ_or_always_do():
    c = Crossed.of([0] * 6, range(6))
    same = np.array([1.0, 0, 1, 0, 1, 1])
    assert paired_test(same, same, c)[0] == 0
    assert paired_test(same, same, c)[3] == 1
    assert paired_test(np.ones(6), np.zeros(6), c)[3] == pytest.approx(2 / 2**6)
    assert all(math.isnan(x) for x in paired_test(np.full(6, np.nan), same, c))


def test_differences_that_cancel_out_within_every_cluster():
    """One person who contradicts themselves on each triplet: no spread to measure by, and no division by it."""
    each = Crossed.of([0, 0, 1, 1], [0, 0, 1, 1])
    first, second, none = (
        np.array(values, float) for values in ([1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0])
    )
    assert paired_test(first, second, each)[0::3] == (0, 1)
    assert paired_test(first, none, each)[0::3] == (0.5, 0.5)
    assert crossed_intervals(first[:, None], each)[0] == pytest.approx(wilson_interval(1, 2))
    alone = Crossed.of([0, 0, 0, 0], [0, 0, 1, 1])
    assert all(map(math.isnan, correlation_interval(np.array([1.0, 1, 0, 0]), first, alone)))


def test_correlation_interval_of_independent_judgments_is_nearly_fishers():
    rng = np.random.default_rng(9)
    x = rng.standard_normal(2000)
    y = 0.5 * x + rng.standard_normal(2000)
    found = correlation_interval(x, y, Crossed.of([0] * 2000, range(2000)))
    assert found == pytest.approx(
        tuple(scipy.stats.pearsonr(x, y).confidence_interval()), abs=0.006
    )
    assert all(
        math.isnan(v)
        for v in correlation_interval(x, np.ones(2000), Crossed.of([0] * 2000, range(2000)))
    )
    assert correlation_interval(x, x, Crossed.of([0] * 2000, range(2000))) == pytest.approx((1, 1))


def test_holm_is_its_definition():
    rng = np.random.default_rng(10)
    for _ in range(50):
        p = rng.random(rng.integers(1, 12)).round(1)
        order = np.argsort(p, kind="stable")
        expected, largest = np.empty(len(p)), 0.0
        for rank, i in enumerate(order):
            largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
            expected[i] = largest
        assert holm(p) == pytest.approx(expected)
    assert holm([]).tolist() == []
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm([0.5, float("nan")])


def test_what_was_not_tested_stays_out_of_the_family():
    found = adjust_known([0.01, float("nan"), 0.04, 0.03])
    assert np.isnan(found[1])
    assert found[[0, 2, 3]].tolist() == holm([0.01, 0.04, 0.03]).tolist()
    assert np.isnan(adjust_known([float("nan")] * 2)).all()
    assert adjust_known([]).tolist() == []
