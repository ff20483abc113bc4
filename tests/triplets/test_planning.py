"""What a plan promises, against studies that are simulated."""

import numpy as np
import pytest

from kis_bench.statistics.crossed import Crossed, crossed_intervals
from kis_bench.triplets.planning import (
    Assumptions,
    count_needed_people,
    estimate_design_effect,
    find_half_width,
    plan_comparison,
    plan_judgments,
    tabulate_plan,
)

P = Assumptions(consistency=0.7, people_agree=0.8, person_correlation=0.02)


def simulate_agreements(rng, people, triplets, assumed):
    """Agreements [j] with the correlations that a plan assumes: some are those of the triplet, some of the person."""
    n, p = len(people), assumed.consistency
    shares = np.sqrt([assumed.triplet_correlation, assumed.person_correlation])
    kind = rng.choice(3, n, p=[*shares, 1 - shares.sum()])
    sources = [rng.random(max(codes) + 1)[codes] for codes in (triplets, people)]
    drawn = np.select([kind == 0, kind == 1], sources, rng.random(n))
    return (drawn < p).astype(float)


def assign(n_triplets, overlap, n_people):
    triplets = np.repeat(np.arange(n_triplets), overlap)
    return triplets, np.arange(len(triplets)) % n_people


@pytest.mark.parametrize(("n_triplets", "overlap", "people"), [(600, 1, 12), (300, 3, 30)])
def test_the_variance_is_that_of_simulated_studies(n_triplets, overlap, people):
    rng = np.random.default_rng(overlap)
    triplets, who = assign(n_triplets, overlap, people)
    means = [simulate_agreements(rng, who, triplets, P).mean() for _ in range(3000)]
    effect = estimate_design_effect(np.bincount(triplets), np.bincount(who), P)
    planned = 0.7 * 0.3 / len(triplets) * effect
    assert np.var(means) == pytest.approx(planned, rel=0.1)


def test_two_people_agree_as_often_as_assumed():
    rng = np.random.default_rng(1)
    triplets, who = assign(20_000, 2, 400)
    agreed = simulate_agreements(rng, who, triplets, P).reshape(-1, 2)
    assert (agreed[:, 0] == agreed[:, 1]).mean() == pytest.approx(0.8, abs=0.015)


@pytest.mark.parametrize(("people", "half_width"), [(40, 0.05), (8, 0.1)])
def test_the_interval_of_a_planned_study_is_about_as_wide_as_wanted(people, half_width):
    n = plan_judgments(half_width, people, 2, P)
    triplets, who = assign(n // 2, 2, people)
    crossed = Crossed.of(who, triplets)
    rng, found = np.random.default_rng(2), []
    for _ in range(40):
        values = simulate_agreements(rng, who, triplets, P)[:, None]
        low, high = crossed_intervals(values, crossed, resamples=500)[0]
        found.append((high - low) / 2)
    assert np.mean(found) == pytest.approx(half_width, rel=0.12)


def test_independent_judgments_need_what_wilson_says():
    alone = Assumptions(person_correlation=0.0)
    n = plan_judgments(0.03, 1_000_000, 1, alone)
    assert find_half_width(n) <= 0.03 < find_half_width(n - 1)
    assert find_half_width(n, people=5) > 1.3 * find_half_width(n)  # Student's quantile


def test_more_judgments_of_one_triplet_or_person_tell_less():
    once, twice, three = (plan_judgments(0.05, 20, overlap, P) for overlap in (1, 2, 3))
    assert once < twice < three
    assert twice % 2 == three % 3 == 0
    assert plan_judgments(0.05, 100, 1, P) < once


def test_too_few_people_never_suffice():
    least = count_needed_people(0.03, 1, P)
    assert plan_judgments(0.03, least - 1, 1, P) is None
    assert plan_judgments(0.03, least, 1, P) is not None
    (row,) = tabulate_plan([0.03], least - 1, P)
    assert row == ["±3 points", *[f"not by fewer than {least} people"] * 3]
    assert plan_comparison(0.55, 2, assumed=P) is None
    assert plan_judgments(0.4, 2, 3, P) is None  # three people for each triplet


def test_a_comparison_of_the_planned_size_has_the_planned_power():
    people = 30
    n = plan_comparison(0.6, people, assumed=P)
    assumed = Assumptions(consistency=0.6, people_agree=0.8, person_correlation=0.02)
    rng, (triplets, who) = np.random.default_rng(3), assign(n, 1, people)
    effect = estimate_design_effect(np.ones(n), np.bincount(who), P)
    means = np.array([simulate_agreements(rng, who, triplets, assumed).mean() for _ in range(2000)])
    told = np.abs(means - 0.5) > 1.96 * np.sqrt(0.25 * effect / n)
    assert told.mean() == pytest.approx(0.8, abs=0.04)


def test_people_who_never_agree_by_more_than_chance_have_no_common_triplets():
    assert Assumptions(people_agree=0.5).triplet_correlation == 0.0
    assert Assumptions(people_agree=1.0).triplet_correlation == 1.0
