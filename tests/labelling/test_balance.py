"""Who judges what: balance, overlap, sides and repetitions."""

from collections import Counter

import pytest

from kis_bench.labelling.judging.balance import (
    REPEAT_GAP,
    WAVE_TRIPLETS,
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


def take_turns(order, wanted, people, questions):
    """What each person was given when all have been asked so many questions, or nothing is left."""
    given, done = Counter(), {person: [] for person in range(people)}
    for _ in range(questions):
        for own in done.values():
            chosen = choose_triplet(order, wanted, given, {*own})
            if chosen is not None:
                wave = order.index(chosen) // WAVE_TRIPLETS
                left = [one for one in order if one not in own and given[one] < wanted[one]]
                assert wave == order.index(left[0]) // WAVE_TRIPLETS
                same = [one for one in left if order.index(one) // WAVE_TRIPLETS == wave]
                assert given[chosen] == min(given[one] for one in same)
                given[chosen] += 1
                own.append(chosen)
    return given, done


def test_every_triplet_gets_its_people_and_nobody_gets_one_twice():
    order, wanted = order_triplets(IDS[:90], 1), plan_overlap(IDS[:90], 1.5, 1)
    given, done = take_turns(order, wanted, 5, 100)
    assert given == wanted
    assert all(len({*own}) == len(own) for own in done.values())
    assert max(map(len, done.values())) - min(map(len, done.values())) <= 1


def test_a_study_that_ends_early_has_triplets_of_several_people():
    order, wanted = order_triplets(IDS, 1), plan_overlap(IDS, 2.0, 1)
    given, _ = take_turns(order, wanted, 2, 50)  # of 800 judgments only 100
    assert sum(n == 2 for n in given.values()) >= 40
    assert choose_triplet([], {}, {}, ()) is None


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
