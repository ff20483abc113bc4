"""What a search engine returned, checked before anything is measured with it."""

from __future__ import annotations

import numpy as np

from kis_bench.errors import KisBenchError
from kis_bench.records import Int64s
from kis_bench.search_engines.protocol import NO_ITEM

NAMED_FAULTS = 3  #: of an answer


class WrongIds(KisBenchError):
    """A search engine returned what can't be the ids of results; the message names the first of each fault."""


def check_answer(engine: str, answer: object, q: int, k: int, n: int) -> Int64s:
    """Returns the ids as int64 ``[q, k]``, -1 where there are no more.

    Args:
        engine: its name, for messages.
        answer: whole numbers ``[q, k]`` or fewer columns; shorter rows end with -1.
        q: queries that were asked.
        k: results that were asked for.
        n: vectors that were searched.

    Raises:
        WrongIds: another shape, NaN, ids that aren't whole or not among the vectors, ids that a row repeats, or
            results behind the end of a row.
    """
    given = np.asarray(answer)
    if given.ndim != 2 or len(given) != q or given.shape[1] > k:
        shape = "x".join(map(str, given.shape)) or "one value"
        raise WrongIds(f"{engine}: {shape} ids for {q} queries and {k} results")
    if given.dtype.kind not in "iuf":
        raise WrongIds(f"{engine}: ids of type {given.dtype}, and they are whole numbers")
    if given.dtype.kind == "f":
        refuse_rows(engine, {"NaN as an id": np.isnan(given)}, given)
        refuse_rows(engine, {"an id that isn't whole": given != np.floor(given)}, given)
    outside = {"an id outside the collection": (given < NO_ITEM) | (given >= n)}
    refuse_rows(engine, outside, given)  # before a type is changed
    ids = np.full((q, k), NO_ITEM, np.int64)
    ids[:, : given.shape[1]] = given
    ended = ids == NO_ITEM
    behind = ~ended & np.maximum.accumulate(ended, axis=1)
    refuse_rows(engine, {"a result behind the end": behind, "an id twice": find_repeated(ids)}, ids)
    return ids


def refuse_rows(engine: str, faults: dict[str, np.ndarray], ids: np.ndarray) -> None:
    """Raises WrongIds if any of the faults ``[q, k]`` is there."""
    lines = []
    for what, wrong in faults.items():
        rows, columns = np.nonzero(wrong)
        some = [
            f"query {row} has {ids[row, column]!s} in place {column + 1}"
            for row, column in zip(rows[:NAMED_FAULTS], columns[:NAMED_FAULTS], strict=True)
        ]
        if some:
            count = len(np.unique(rows))
            lines.append(
                f"{what} in the answers to {count} of {len(ids)} queries ({', '.join(some)})"
            )
    if lines:
        raise WrongIds(f"{engine} returned {' and '.join(lines)}")


def find_repeated(ids: Int64s) -> np.ndarray:
    """Where a row ``[q, k]`` has an id that stands in it before: bool ``[q, k]``."""
    order = np.argsort(ids, axis=1, kind="stable")
    in_order = np.take_along_axis(ids, order, axis=1)
    again = np.zeros(ids.shape, bool)
    again[:, 1:] = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] != NO_ITEM)
    found = np.zeros_like(again)
    np.put_along_axis(found, order, again, axis=1)
    return found


def join_vectors_of_items(ids: Int64s, vectors_per_item: int, k: int) -> Int64s:
    """The items to which vectors ``[q, w]`` belong, each once where its best vector stands: int64 ``[q, k]``."""
    items = np.where(ids == NO_ITEM, NO_ITEM, ids // vectors_per_item)
    items[find_repeated(items)] = NO_ITEM
    return move_to_front(items)[:, :k]


def move_to_front(ids: Int64s) -> Int64s:
    """Rows ``[q, k]`` whose ids keep their order, with all -1 behind them."""
    order = np.argsort(ids == NO_ITEM, axis=1, kind="stable")
    moved: Int64s = np.take_along_axis(ids, order, axis=1)
    return moved
