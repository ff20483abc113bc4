import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench import triplets
from kis_bench.records import Collection, Triplet
from kis_bench.triplets import (
    agreement,
    ceiling,
    consistency,
    cosine_distances,
    majority,
    normalise_margins,
)

CHOICES = st.sampled_from([-1, 0, 1])


def unit(rng, *shape):
    vectors = rng.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_positions_of_missing_images():
    collection = Collection("c", ("a", "b"), (), ())
    assert triplets.positions([Triplet("t", "b", "a", "nowhere", "")], collection).tolist() == [
        [1, 0, -1]
    ]
    assert triplets.positions([], collection).shape == (0, 3)


@pytest.mark.parametrize("d", [3, 64, 513])
def test_distances_are_one_less_the_cosine(d):
    rng = np.random.default_rng(d)
    vectors = unit(rng, 50, 1, d)
    places = rng.integers(0, 50, (3000, 3))  # more than two blocks
    distances, margins = cosine_distances(vectors, places)
    exact = vectors[:, 0].astype(np.float64) @ vectors[:, 0].astype(np.float64).T
    for row, (t, a, b) in enumerate(places):
        expected = [max(0.0, 1 - exact[pair]) for pair in ((t, a), (t, b), (a, b))]
        assert distances[row] == pytest.approx(expected, abs=1e-12)
        assert margins[row] == pytest.approx(exact[t, a] - exact[t, b], abs=1e-12)


def test_a_missing_image_leaves_the_whole_triplet_out():
    distances, margins = cosine_distances(
        unit(np.random.default_rng(0), 4, 1, 8), np.array([[0, 1, -1], [0, 1, 2]])
    )
    assert np.isnan(distances[0]).all()
    assert np.isnan(margins[0])
    assert np.isfinite(distances[1]).all()


def test_no_triplets():
    distances, margins = cosine_distances(
        unit(np.random.default_rng(0), 4, 1, 8), np.zeros((0, 3), np.int64)
    )
    assert distances.shape == (0, 3)
    assert margins.shape == (0,)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans())
def test_the_sign_of_a_margin_is_true(seed, d, close):
    """Against exact fractions; candidates are equal, or differ in the last bit of one number."""
    rng = np.random.default_rng(seed)
    target, first = unit(rng, d), unit(rng, d)
    second = first.copy()
    if close:
        place = rng.integers(d)
        second[place] = np.nextafter(second[place], np.float32(2))
    vectors = np.stack([target, first, second])[:, None]
    _, margins = cosine_distances(vectors, np.array([[0, 1, 2], [0, 2, 1]]))
    exact = sum(
        Fraction(float(t)) * (Fraction(float(a)) - Fraction(float(b)))
        for t, a, b in zip(target, first, second, strict=True)
    )
    assert np.sign(margins[0]) == (exact > 0) - (exact < 0)
    assert margins[1] == -margins[0]


def test_equal_sums_of_different_vectors_tie():
    """0.5 x 0.5 + 0 and 0 + 0.5 x 0.5 are equal whatever the order of summation."""
    target = np.array([0.5, 0.5, 0.5, 0.5], np.float32)
    first, second = np.array([1, 0, 0, 0], np.float32), np.array([0, 0, 0, 1], np.float32)
    _, margins = cosine_distances(np.stack([target, first, second])[:, None], np.array([[0, 1, 2]]))
    assert margins[0] == 0


def test_several_vectors_by_hand():
    """Image 1 has one vector like the target's and one opposite; image 2 has two that are half like it."""
    x, y = [1.0, 0.0], [0.0, 1.0]
    half = [math.sqrt(0.5), math.sqrt(0.5)]
    vectors = np.array([[x, x], [x, y], [half, half]], np.float32)
    mean, margins = cosine_distances(vectors, np.array([[0, 1, 2]]), "mean")
    assert mean[0] == pytest.approx([1 - math.sqrt(0.5), 1 - math.sqrt(0.5), 0], abs=1e-7)
    assert margins[0] == pytest.approx(0, abs=1e-7)
    best, margins = cosine_distances(vectors, np.array([[0, 1, 2]]), "max")
    assert best[0] == pytest.approx([0, 1 - math.sqrt(0.5), 1 - math.sqrt(0.5)], abs=1e-7)
    assert margins[0] == pytest.approx(1 - math.sqrt(0.5), abs=1e-7)


def test_max_over_pairs_is_that_of_loops_and_equal_images_tie():
    rng = np.random.default_rng(1)
    vectors = unit(rng, 12, 5, 16)
    vectors[7] = vectors[3]
    places = np.array([[0, 3, 7], *rng.integers(0, 12, (40, 3))])
    distances, margins = cosine_distances(vectors, places, "max")
    for row, (t, a, b) in enumerate(places):
        best = [
            max(float(np.float64(p) @ np.float64(q)) for p in vectors[t] for q in vectors[c])
            for c in (a, b)
        ]
        assert distances[row, :2] == pytest.approx(
            [max(0.0, 1 - value) for value in best], abs=1e-12
        )
    assert margins[0] == 0
    with pytest.raises(ValueError, match="choose mean or max"):
        cosine_distances(vectors, places, "median")


@given(
    st.lists(
        st.tuples(
            st.sampled_from([-0.3, -0.1, 0.0, 0.2, float("nan")]), CHOICES, st.sampled_from([1, 2])
        )
    )
)
def test_agreement_by_cases(cases):
    margins, choices, left = ([case[i] for case in cases] for i in range(3))
    default = agreement(margins, choices)
    published = agreement(margins, choices, protocol="published", left=left)
    for (margin, choice, side), ours, theirs in zip(cases, default, published, strict=True):
        if choice == 0 or math.isnan(margin):
            assert math.isnan(ours)
            assert math.isnan(theirs)
        elif margin == 0:
            assert ours == 0.5
            assert theirs == ((choice == -1) == (side == 1))  # the left option is taken
        else:
            assert ours == theirs == ((margin > 0) == (choice == -1))


def test_agreement_does_not_know_which_candidate_came_first():
    rng = np.random.default_rng(2)
    margins, choices = rng.integers(-2, 3, 500) / 10, rng.integers(-1, 2, 500)
    assert np.array_equal(
        agreement(margins, choices), agreement(-margins, -choices), equal_nan=True
    )


def test_agreement_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="choose default or published"):
        agreement([0.1], [1], protocol="theirs")
    with pytest.raises(ValueError, match="margins for"):
        agreement([0.1, 0.2], [1])


def test_consistency_of_nothing_is_no_number():
    assert math.isnan(consistency([float("nan")]))
    assert math.isnan(consistency([]))


@given(st.lists(st.tuples(CHOICES, st.integers(0, 3)), max_size=30))
def test_majority_by_loops(judgments):
    choices, of = [c for c, _ in judgments], np.array([t for _, t in judgments], np.int64)
    found = majority(choices, of, 5)
    for t in range(5):
        own = [c for c, triplet in judgments if triplet == t]
        left, right = own.count(-1), own.count(1)
        assert found[t] == (0 if len(own) < 2 else (right > left) - (left > right))


def test_normalised_margins_of_the_study():
    distances = np.array(
        [[0.2, 0.6, 0.8], [0.0, 0.0, 0.5], [0.3, 0.3, 0.0], [0.1, 0.2, 0.0], [np.nan, 0.2, 0.1]]
    )
    found = normalise_margins(distances)
    assert found["difference"][:4] == pytest.approx([0.4, 0, 0, 0.1])
    assert found["max_normalised"][:4] == pytest.approx([0.4 / 0.6, 0, 0, 0.5])
    assert found["candidates_normalised"][:4] == pytest.approx([0.5, 0, 0, 0.1 / 1e-5])
    assert all(np.isnan(each[4]) for each in found.values())


def test_near_copies_give_no_wild_margins():
    """Rounded vectors are not quite of length 1: distances of copies would be a little below 0, and ratios anything."""
    rng = np.random.default_rng(5)
    target = unit(rng, 400, 64)
    first, second = (
        np.float32(target + 1e-7 * rng.standard_normal(target.shape)) for _ in range(2)
    )
    vectors = np.stack([target, first, second], axis=1).reshape(1200, 1, 64)
    distances, margins = cosine_distances(vectors, np.arange(1200).reshape(400, 3))
    assert (distances >= 0).all()
    relative = normalise_margins(distances, margins)["max_normalised"]
    assert (np.abs(relative) <= 1).all()
    assert (np.sign(relative) == np.sign(margins)).all()


def test_correlations_are_those_of_scipy():
    rng = np.random.default_rng(3)
    x = rng.integers(-3, 4, 200).astype(float)
    y = np.clip(np.round(x / 2 + rng.standard_normal(200)), -2, 2)
    assert triplets.pearson(x, y) == pytest.approx(scipy.stats.pearsonr(x, y).statistic)
    ranks = triplets.midranks(x), triplets.midranks(y)
    assert triplets.pearson(*ranks) == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert math.isnan(triplets.pearson(x, np.ones(200)))
    x[0] = np.nan
    assert triplets.pearson(x, y) == pytest.approx(scipy.stats.pearsonr(x[1:], y[1:]).statistic)
    assert math.isnan(triplets.midranks(x)[0])


@given(st.lists(st.tuples(st.sampled_from([-1, 1]), st.integers(0, 3)), min_size=1, max_size=20))
def test_the_ceiling_is_the_best_of_all_models(judgments):
    """Every model is tried: one choice or a tie on each triplet."""
    choices, of = (np.array(each) for each in zip(*judgments, strict=True))
    of = np.unique(of, return_inverse=True)[1]
    models = product([-1.0, 0.0, 1.0], repeat=int(of.max()) + 1)
    best = max(consistency(agreement(np.array(model)[of], choices)) for model in models)
    assert ceiling(choices, of) == pytest.approx(best)


def test_without_judgments_there_is_no_ceiling():
    assert math.isnan(ceiling([], np.array([], np.int64)))
