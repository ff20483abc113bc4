"""What a collection with equal items says of an engine."""

import numpy as np
import pytest

from kis_bench.search_engines.planted_ties import (
    GROUP_SIZES,
    GROUPS_OF_A_SIZE,
    PLANTED_DEPTHS,
    PlantedTies,
)


@pytest.fixture(scope="module")
def planted():
    return PlantedTies.make(16)


def answer(planted, order):
    """Exact answers whose equals stand in some order of their ids."""
    scores = planted.queries.astype(np.float64) @ planted.items.T.astype(np.float64)
    # Equal items are made exactly equal: a product of matrices may tell them apart.
    _, same = np.unique(planted.items, axis=0, return_inverse=True)
    first = np.unique(same, return_index=True)[1]
    scores = scores[:, first][:, same]
    tie = np.broadcast_to(order, scores.shape)
    return np.lexsort((tie, -scores), axis=1)


def test_groups_are_equal_and_the_best_of_their_query(planted):
    for group in range(len(GROUP_SIZES) * GROUPS_OF_A_SIZE):
        own = planted.items[planted.groups == group]
        assert (own == own[0]).all()
        assert len(own) == np.repeat(GROUP_SIZES, GROUPS_OF_A_SIZE)[group]
        scores = planted.items @ planted.queries[group]
        assert scores[planted.groups == group].min() > scores[planted.groups != group].max()


@pytest.mark.parametrize(("sign", "name"), [(1, "ascending"), (-1, "descending")])
def test_orders_are_named(planted, sign, name):
    order = answer(planted, sign * np.arange(len(planted.items)))
    found = planted.judge({k: order[:, :k] for k in PLANTED_DEPTHS})
    assert found["ties_order"] == name
    assert found["ties_change"] == 0
    assert found["twins_found"] == found["equal_queries"] == 1


def test_an_order_that_changes_with_the_number_of_results(planted):
    forth, back = (answer(planted, s * np.arange(len(planted.items))) for s in (1, -1))
    found = planted.judge({1: forth[:, :1], 10: forth[:, :10], 100: back[:, :100]})
    assert found["ties_change"] == 1
    assert found["ties_order"] == "descending"


def test_lost_twins_and_unequal_answers_are_counted(planted):
    order = answer(planted, np.arange(len(planted.items)))[:, :100]
    half = len(order) // 2
    order[half:] = np.where(np.arange(100) < 1, order[half:], -1)
    found = planted.judge({1: order[:, :1], 100: order})
    assert found["equal_queries"] == 0
    swapped = planted.judge({1: order[:, :1], 100: np.concatenate([order[half:], order[:half]])})
    assert swapped["twins_found"] == pytest.approx(np.mean([1 / size for size in GROUP_SIZES]))
    assert swapped["ties_order"] == ""
