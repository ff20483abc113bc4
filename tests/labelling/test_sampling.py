"""The sample: every picture as likely as any other, the same under a seed, and whatever else is there."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from kis_bench.labelling.texts.sampling import draw_items, hash_item, spread_over_groups

IDS = [f"day/{i:05d}" for i in range(1000)]


def draw(ids, seed=0, size=50, **settings):
    return draw_items(((each, None) for each in ids), seed, size, **settings)


def test_the_order_is_that_of_the_hashes():
    expected = sorted(IDS, key=lambda each: hash_item(3, each))
    assert list(draw(IDS, 3).items) == expected[:50]
    assert list(draw(IDS[::-1], 3).items) == expected[:50]
    first, second = draw(IDS, 3), draw(IDS, 3, after=draw(IDS, 3).last)
    assert [*first.items, *second.items] == expected[:100]
    assert list(draw(IDS, 3, 5000).items) == expected


def test_pictures_that_are_added_leave_the_order_of_the_others():
    more = [*IDS, *(f"new/{i}" for i in range(500))]
    before = list(draw(IDS, size=5000).items)
    after = [each for each in draw(more, size=5000).items if each in {*IDS}]
    assert after == before


def test_every_picture_is_as_likely_as_any_other():
    ids = IDS[:40]
    counts = Counter(each for seed in range(2000) for each in draw(ids, seed, 10).items)
    assert sum(counts.values()) == 20_000
    assert chisquare([counts[each] for each in ids]).pvalue > 1e-4
    pairs = Counter(
        tuple(sorted(draw(IDS[:5], seed, 2).items)) for seed in range(2000)
    )  # also together
    assert len(pairs) == 10
    assert chisquare(list(pairs.values())).pvalue > 1e-4


def test_seeds_differ():
    assert list(draw(IDS, 1).items) != list(draw(IDS, 2).items)


def test_what_comes_with_them_and_what_is_wanted():
    found = draw_items(((each, each.upper()) for each in IDS), 0, 3, wanted={IDS[7], "absent"})
    assert found.wanted == {IDS[7]: IDS[7].upper()}
    assert all(about == each.upper() for each, about in found.items.items())
    assert (found.n_items, found.has_twins) == (1000, False)
    assert draw([*IDS, IDS[500]]).has_twins
    assert draw([]).items == {}


def test_groups_come_once_before_any_comes_again():
    groups = np.repeat(["a", "b", "c"], [700, 200, 100]).tolist()
    order = spread_over_groups(IDS, groups, 5)
    assert sorted(order) == IDS
    of = dict(zip(IDS, groups, strict=True))
    turns = [of[each] for each in order]
    assert [{*turns[i : i + 3]} for i in range(0, 300, 3)] == [{"a", "b", "c"}] * 100
    assert turns.count("a") == 700
    assert set(turns[-500:]) == {"a"}
    only_a = [each for each in order if of[each] == "a"]
    assert only_a == sorted(only_a, key=lambda each: hash_item(5, each))


@pytest.mark.parametrize("size", [0, 1])
def test_few(size):
    assert len(draw(IDS, size=size).items) == size
