import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.statistics import wilson_interval
from kis_bench.statistics.crossed import Crossed
from kis_bench.triplets.people import PEOPLE_RULES, agreement_of_people, interval_of_people

CHOICES = st.sampled_from([-1, 0, 1])


@given(st.lists(st.tuples(CHOICES, st.integers(0, 2), st.integers(0, 3)), max_size=25))
def test_agreement_of_people_by_loops(judgments):
    """A person who judges a triplet again is no other person."""
    choices, of, people = (np.array([j[i] for j in judgments], np.int64) for i in range(3))
    share, most = agreement_of_people(choices, of, people)
    for i, (choice, triplet, person) in enumerate(judgments):
        others = [c for c, t, p in judgments if t == triplet and p != person and c != 0]
        if choice == 0 or not others:
            assert math.isnan(share[i])
            assert math.isnan(most[i])
        else:
            same, different = others.count(choice), others.count(-choice)
            assert share[i] == pytest.approx(same / len(others))
            assert most[i] == (0.5 if same == different else float(same > different))


def simulated(rng, people, triplets, per_triplet, of_people=0.0, of_triplets=0.0):
    """Votes for candidate 1 with a known chance, which differs between people and between triplets."""
    n = int(triplets * per_triplet)
    triplet = np.concatenate([np.arange(triplets), rng.integers(0, triplets, n - triplets)])
    person = rng.integers(0, people, n)
    chance = (
        0.75
        + of_people * rng.uniform(-1, 1, people)[person]
        + of_triplets * rng.choice([-1, 1], triplets)[triplet]
    )
    return np.where(rng.random(n) < chance, -1, 1), Crossed.of(person, triplet)


def mean(rule, choices, crossed, rest):
    """Of the judgments that are left; `agreement_of_people` is tested by loops above."""
    each = agreement_of_people(choices[rest], crossed.triplets[rest], crossed.people[rest])[
        list(PEOPLE_RULES).index(rule)
    ]
    return np.nanmean(each)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(list(PEOPLE_RULES)))
def test_the_variance_is_that_of_leaving_out_one_after_the_other(seed, rule):
    """Really left out, and all counted anew. Each triplet has four or more people, so that every cluster matters."""
    rng = np.random.default_rng(seed)
    triplet = np.repeat(np.arange(30), 4)
    person = np.concatenate([rng.permutation(9)[:4] for _ in range(30)])
    choices, crossed = np.where(rng.random(120) < 0.7, -1, 1), Crossed.of(person, triplet)
    whole = mean(rule, choices, crossed, np.ones(120, bool))
    variances = []
    for codes in (crossed.people, crossed.triplets, crossed.pairs):
        without = np.array(
            [mean(rule, choices, crossed, codes != code) for code in np.unique(codes)]
        )
        variances.append((len(without) - 1) / len(without) * np.sum((without - whole) ** 2))
    variance = max(variances[0] + variances[1] - variances[2], variances[1])
    low, high = interval_of_people(PEOPLE_RULES[rule], choices, crossed, np.ones(120, bool))
    half = crossed.quantile(0.95) * math.sqrt(variance)
    assert (low, high) == pytest.approx((max(0, whole - half), min(1, whole + half)))


def test_only_some_judge():
    """Judges of one group, measured by everybody: the mean is theirs, and so is the interval around it."""
    choices, crossed = simulated(np.random.default_rng(2), 12, 80, 4)
    judges = crossed.people < 6
    each = agreement_of_people(choices, crossed.triplets, crossed.people)[0]
    low, high = interval_of_people(PEOPLE_RULES["another person"], choices, crossed, judges)
    assert (low + high) / 2 == pytest.approx(np.nanmean(each[judges]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("people", "triplets", "of_people", "of_triplets"),
    [(84, 300, 0.0, 0.0), (84, 300, 0.0, 0.2), (84, 600, 0.2, 0.0), (20, 300, 0.2, 0.0)],
)
def test_intervals_cover_what_people_agree_on_average(people, triplets, of_people, of_triplets):
    """The mean of all simulated studies stands for the truth. Without unequal people they are a little wide."""
    rng, found, bounds = np.random.default_rng(1), [], []
    for _ in range(1000):
        choices, crossed = simulated(rng, people, triplets, 3, of_people, of_triplets)
        everybody = np.ones(len(choices), bool)
        found.append(agreement_of_people(choices, crossed.triplets, crossed.people))
        bounds.append(
            [
                interval_of_people(PEOPLE_RULES[rule], choices, crossed, everybody)
                for rule in PEOPLE_RULES
            ]
        )
    for place, rule in enumerate(PEOPLE_RULES):
        truth = np.mean([np.nanmean(study[place]) for study in found])
        low, high = np.array(bounds)[:, place].T
        assert 0.93 < np.mean((low <= truth) & (truth <= high)) < 0.985, rule


def test_people_who_always_or_never_agree():
    crossed = Crossed.of([0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2])
    everybody = np.ones(6, bool)
    same, never = np.array([-1, -1, 1, 1, -1, -1]), np.array([-1, 1, 1, -1, -1, 1])
    assert interval_of_people(
        PEOPLE_RULES["another person"], same, crossed, everybody
    ) == wilson_interval(3, 3)
    assert interval_of_people(
        PEOPLE_RULES["another person"], never, crossed, everybody
    ) == wilson_interval(0, 3)


def test_nobody_to_compare_with():
    crossed = Crossed.of([0, 0, 0], [0, 1, 1])
    found = interval_of_people(
        PEOPLE_RULES["another person"], np.array([-1, 1, 1]), crossed, np.ones(3, bool)
    )
    assert all(map(math.isnan, found))
    one_triplet = Crossed.of([0, 1, 2], [0, 0, 0])
    found = interval_of_people(
        PEOPLE_RULES["another person"], np.array([-1, 1, 1]), one_triplet, np.ones(3, bool)
    )
    assert all(map(math.isnan, found))
