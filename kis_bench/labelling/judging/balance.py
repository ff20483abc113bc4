"""Which triplet a person is shown next, on which sides, and when one is shown again as a check of attention.

What is chance follows from keyed hashes, so that it is the same after a restart and when triplets are added.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from kis_bench.labelling.texts.sampling import hash_item

WAVE_TRIPLETS = (
    20  #: that are handed out together, so that those begun soon have as many people as planned
)
REPEAT_GAP = 10  #: questions at least between a triplet and its repetition


def order_triplets(triplet_ids: Iterable[str], seed: int) -> list[str]:
    """All triplets in the order of chance."""
    return sorted(triplet_ids, key=lambda one: (hash_item(seed, one), one))


def plan_overlap(triplet_ids: Iterable[str], overlap: float, seed: int) -> dict[str, int]:
    """How many people are to judge each triplet: with 1.2 each one, and about a fifth of them two.

    Whichever are judged by more stays so when others are added.

    >>> plan_overlap(["a", "b"], 2.0, 0)
    {'a': 2, 'b': 2}
    """
    whole = math.floor(overlap)
    bound = (overlap - whole) * 2**64
    return {one: whole + (hash_item(seed, f"overlap\0{one}") < bound) for one in triplet_ids}


def choose_triplet(
    order: Sequence[str],
    wanted: Mapping[str, int],
    given: Mapping[str, int],
    done: Collection[str],
) -> str | None:
    """The triplet of the first wave that fewest people were given, of equals the first; None: nothing is left.

    A wave is some triplets one after the other in the order. The next one begins for somebody when none of this is
    left for them: so a study that ends early has complete triplets, judged by several where that was planned.

    Args:
        wanted: how many people are to judge each.
        given: how many were given it.
        done: what this person was given.

    >>> choose_triplet(["b", "a", "c"], dict.fromkeys("abc", 2), {"a": 1, "b": 1}, {"c"})
    'b'
    """
    for start in range(0, len(order), WAVE_TRIPLETS):
        wave = order[start : start + WAVE_TRIPLETS]
        left = [one for one in wave if one not in done and given.get(one, 0) < wanted[one]]
        if left:
            return min(left, key=lambda one: given.get(one, 0))
    return None


def choose_left(triplet_id: str, person: int, seed: int) -> int:
    """Which candidate a person sees on the left, 1 or 2."""
    return 1 + hash_item(seed, f"side\0{triplet_id}\0{person}") % 2


def is_repeat_due(number: int, share: float) -> bool:
    """Whether a person's question of this number, from 1, repeats an earlier one.

    >>> [n for n in range(1, 61) if is_repeat_due(n, 0.05)]
    [20, 40, 60]
    """
    return number > REPEAT_GAP and math.floor(number * share + 1e-9) > math.floor(
        (number - 1) * share + 1e-9
    )


def choose_repeat(asked: Sequence[str], repeated: Collection[str], seed: int) -> str | None:
    """The triplet to show again, of those asked long enough ago and not yet repeated; None: there is none.

    Args:
        asked: triplets of this person's questions in their order, repetitions left out.
    """
    old = [one for one in asked[: max(0, len(asked) + 1 - REPEAT_GAP)] if one not in repeated]
    return min(old, key=lambda one: hash_item(seed, f"repeat\0{one}"), default=None)
