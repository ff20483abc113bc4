"""Who judges what: balance, overlap, sides and repetitions."""

from collections import Counter

import pytest

from kis_bench.labelling.judging.balance import (
    REPEAT_GAP,
    choose_left,
    choose_repeat,
    choose_triplet,
    is_repeat_due,
    order_triplets,
    plan_overlap,
)

IDS = [str(i) for i in range(400)]


@pytest.mark.parametrize(("overlap", "share"), [(1.0, 0.0), (1.2, 0.2), (2.5, 0.5), (3.0, 0.0)])
def test_so_many_people_are_planned_for_each_triplet(overlap, share):
    counts = Counter(plan_overlap(IDS, overlap, 0).values())
    assert {*counts} <= {int(overlap), int(overlap) + 1}
    assert counts[int(overlap) + 1] / len(IDS) == pytest.approx(share, abs=0.07)


def test_a_plan_stays_when_triplets_are_added():
    few = plan_overlap(IDS[:50], 1.5, 3)
    assert few.items() <= plan_overlap(IDS, 1.5, 3).items()
    order = order_triplets(IDS, 3)
    assert [one for one in order if int(one) < 50] == order_triplets(IDS[:50], 3)
    assert order != order_triplets(IDS, 4)


def test_every_triplet_gets_its_people_and_nobody_gets_one_twice():
    order, wanted = order_triplets(IDS[:60], 1), plan_overlap(IDS[:60], 1.5, 1)
    given, done = Counter(), {person: [] for person in range(5)}
    active = [*done]
    while active:
        for person in [*active]:
            chosen = choose_triplet(order, wanted, given, {*done[person]})
            if chosen is None:
                active.remove(person)
                continue
            left = [n for one, n in given.items() if one not in done[person] and n < wanted[one]]
            assert given[chosen] == 0 or 0 not in [given[one] for one in order]
            assert all(given[chosen] <= n for n in left)
            given[chosen] += 1
            done[person].append(chosen)
    assert given == wanted
    assert all(len({*own}) == len(own) for own in done.values())
    assert max(map(len, done.values())) - min(map(len, done.values())) <= 1


def test_sides_are_chance():
    lefts = [choose_left(one, person, 0) for one in IDS for person in range(5)]
    assert {*lefts} == {1, 2}
    assert 0.46 < lefts.count(1) / len(lefts) < 0.54
    assert choose_left("7", 3, 0) == choose_left("7", 3, 0)
    alike = sum(choose_left(one, 1, 0) == choose_left(one, 2, 0) for one in IDS)
    assert 0.4 < alike / len(IDS) < 0.6


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.1, 0.3, 0.5])
def test_so_many_questions_are_repetitions(share):
    due = [n for n in range(1, 1001) if is_repeat_due(n, share)]
    assert len(due) == pytest.approx(1000 * share, abs=6)
    assert all(n > REPEAT_GAP for n in due)


def test_what_is_repeated_was_asked_long_ago_and_only_once():
    asked = IDS[:30]
    repeated = []
    while (chosen := choose_repeat(asked, repeated, 0)) is not None:
        assert len(asked) - asked.index(chosen) >= REPEAT_GAP
        repeated.append(chosen)
    assert sorted(repeated, key=int) == asked[: 31 - REPEAT_GAP]
    assert choose_repeat(IDS[: REPEAT_GAP - 1], [], 0) is None
