"""Triplets that are drawn by bins of ranks, against the orders that they come from."""

from collections import Counter

import numpy as np
import pytest

from kis_bench.errors import KisBenchError
from kis_bench.ranking.similar_items import order_by_similarity
from kis_bench.triplets.margins import cosine_distances
from kis_bench.triplets.sampling import (
    draw_triplets,
    list_combinations,
    parse_bin_edges,
    spread_evenly,
)

N = 90


def unit(seed, n=N, d=8):
    vectors = np.random.default_rng(seed).standard_normal((n, 1, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def find_ranks(vectors, places):
    """The ranks of both candidates in the target's list ``[t, 2]``."""
    order = order_by_similarity(vectors, places[:, 0], np.arange(len(vectors)))
    return np.array(
        [
            [row.tolist().index(item) + 1 for item in pair]
            for row, pair in zip(order, places[:, 1:].tolist(), strict=True)
        ]
    )


def test_candidates_stand_in_their_bins_and_combinations_come_equally_often():
    vectors, lasts = unit(0), parse_bin_edges("powers", N - 1)
    assert lasts.tolist() == [1, 2, 4, 8, 16, 32, 64, 89]
    drawn = draw_triplets([vectors], np.arange(N), lasts, 80)
    ranks = find_ranks(vectors, drawn.places)
    assert (np.searchsorted(lasts, ranks) + 1 == drawn.bins).all()
    counts = Counter(tuple(sorted(pair)) for pair in drawn.bins.tolist())
    combinations = list_combinations(lasts)
    assert {*counts} == {*combinations}
    assert {counts[one] for one in combinations} == {2, 3}  # 80 of 34
    assert drawn.lacking == {}
    first_is_nearer = (drawn.bins[:, 0] < drawn.bins[:, 1]).mean()
    assert 0.2 < first_is_nearer < 0.7  # chance says which one is called the first


def test_targets_come_once_before_any_comes_twice_and_candidates_are_shared_little():
    drawn = draw_triplets([unit(1)], np.arange(N), parse_bin_edges("10,40,89", N - 1), N + 20)
    counts = Counter(drawn.places[:, 0].tolist())
    assert sorted(counts.values()) == [1] * (N - 20) + [2] * 20
    uses = Counter(drawn.places[:, 1:].ravel().tolist())
    assert max(uses.values()) <= 4  # 220 places for 90 pictures; by chance alone about 8
    assert len({(t, *sorted(two)) for t, *two in drawn.places.tolist()}) == N + 20


def test_the_seed_decides():
    vectors, lasts = unit(2), parse_bin_edges("powers", N - 1)
    one, same, other = (
        draw_triplets([vectors], np.arange(N), lasts, 30, seed=seed).places.tolist()
        for seed in (4, 4, 5)
    )
    assert one == same != other


def test_two_models_choose_differently_on_every_triplet():
    first = unit(3)
    second = first + 0.7 * unit(4)
    second /= np.linalg.norm(second, axis=-1, keepdims=True)
    lasts = parse_bin_edges("powers", N - 1)
    drawn = draw_triplets([first, second], np.arange(N), lasts, 60)
    margins = [cosine_distances(vectors, drawn.places)[1] for vectors in (first, second)]
    assert len(drawn.places) == 60
    assert (margins[0] * margins[1] < 0).all()
    ranks = find_ranks(first, drawn.places)
    assert (np.searchsorted(lasts, ranks) + 1 == drawn.bins).all()
    other = np.searchsorted(lasts, find_ranks(second, drawn.places))
    assert ((drawn.bins[:, 0] < drawn.bins[:, 1]) == (other[:, 0] > other[:, 1])).all()
    assert drawn.compared >= 60
    assert 0 < drawn.differing < drawn.compared


def test_models_that_agree_give_no_triplet():
    vectors = unit(5)
    drawn = draw_triplets([vectors, vectors], np.arange(N), parse_bin_edges("5,89", N - 1), 10)
    assert len(drawn.places) == 0
    assert drawn.lacking == {(1, 2): 10}
    assert (drawn.compared > 0, drawn.differing) == (True, 0)


def test_candidates_that_the_model_cannot_tell_apart_are_not_drawn():
    vectors = unit(6, 30)
    vectors[20:] = vectors[20]
    drawn = draw_triplets([vectors], np.arange(30), parse_bin_edges("powers", 29), 60)
    assert (cosine_distances(vectors, drawn.places)[1] != 0).all()
    blind = np.broadcast_to(vectors[:1], vectors.shape)
    assert len(draw_triplets([blind], np.arange(30), np.array([5, 29]), 10).places) == 0


def test_near_duplicates_are_never_compared_and_do_not_count_for_ranks():
    vectors = unit(7)

    def find_alike(items):  # neighbours in threes
        return [tuple(i for i in range(N) if i // 3 == item // 3) for item in items]

    lasts = parse_bin_edges("1,89", N - 1)
    drawn = draw_triplets([vectors], np.arange(N), lasts, 60, alike=find_alike)
    assert len(drawn.places) == 60
    assert all(len({*row}) == 3 for row in (drawn.places // 3).tolist())
    for (target, *pair), bins in zip(drawn.places.tolist(), drawn.bins.tolist(), strict=True):
        if 1 in bins:
            order = order_by_similarity(vectors, np.array([target]), np.arange(N))[0].tolist()
            nearest = next(item for item in order if item // 3 != target // 3)
            assert pair[bins.index(1)] == nearest


def test_bins_that_no_target_has_are_told_and_others_take_their_place():
    vectors = unit(8, 20)
    drawn = draw_triplets(
        [vectors], np.arange(20), np.array([1, 2, 19]), 40, alike=lambda items: [(0, 1, 2, 3)] * 20
    )
    assert len(drawn.places) == 40
    drawn = draw_triplets([vectors], np.arange(3), np.array([1, 2]), 10)
    assert len(drawn.places) == 3  # three pictures, each of them the target once
    assert drawn.lacking == {(1, 2): 7}


@pytest.mark.parametrize("text", ["", "0,5", "5,5", "10,5", "a", "1;2", "-1", "1.5"])
def test_bins_that_are_none(text):
    with pytest.raises(KisBenchError, match="last rank of each bin in ascending order"):
        parse_bin_edges(text, 100)


def test_edges_end_with_the_collection():
    assert parse_bin_edges("powers", 8).tolist() == [1, 2, 4, 8]
    assert parse_bin_edges("powers", 9).tolist() == [1, 2, 4, 8, 9]
    assert parse_bin_edges("10, 100,1000", 50).tolist() == [10, 50]
    assert parse_bin_edges("10,20", 50).tolist() == [10, 20]  # farther ones are not drawn


def test_a_number_is_spread_over_combinations():
    counts = spread_evenly(7, [(1, 2), (1, 3), (2, 3)], np.random.default_rng(0))
    assert sorted(counts.values()) == [2, 2, 3]
    assert spread_evenly(5, [], np.random.default_rng(0)).total() == 0
