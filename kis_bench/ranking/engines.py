"""Float32 scores of blocks of items, compared with limits: what an engine may do in another way or place.

An engine says which items are surely above a limit and which it can't tell; `kis_bench.ranking.decisions` decides
these. So ranks are the same whatever the engine, as long as its scores keep `exact_scores.float32_bound`: products and
sums of float32, in any order, with or without fused operations, but in no narrower format.
"""

from __future__ import annotations

import importlib
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kis_bench.choices import CLUSTER_ENGINES, ENGINE_MODULES
from kis_bench.errors import KisBenchError, explain_install, unknown
from kis_bench.records import Float32s, Int64s

CALLS_TO_TURN = 2  #: with the same queries; before, it costs more than it saves
TURNED_AT_ONCE = 8  #: queries, so that what is written fits the cache
#: Queries up to which a block is multiplied where it lies, piece by piece of so many numbers; for more, all at once is
#: quicker by a twentieth, even if it has to be copied.
FEW_QUERIES, FEW_NUMBERS = 256, 2**19
BAND_ROWS = 248  #: of scores that are compared at once; uint8 has to count them
ROW_NUMBERS = 2048  #: of a row
SPARSE = 1 / 128  #: of scores that reach a limit, up to which it is quicker to look at each


class Compared(NamedTuple):
    """What float32 scores say of the items of a block and a limit of each query."""

    counts: Int64s  # [q] items that are surely above, each counted as often as its weight
    above: NDArray[np.bool_]  # [b, q] which these are; of size 0 unless asked for
    vectors: Int64s  # of pairs that are left to decide: the vector in the block, j of item i being i v + j ...
    rows: Int64s  # ... and the query; the item is not counted above, its other vectors are surely below


class BlockScores(Protocol):
    """Scores of one block of items for some queries, valid until the same thread multiplies again."""

    def compare(
        self, low: Float32s, high: Float32s, weights: Int64s | None, *, keep: bool
    ) -> Compared:
        """Compares each item's highest score with the limits of each query.

        Args:
            low: scores below are surely below the real limit ``[q]``.
            high: scores above are surely above it ``[q]``.
            weights: how often each item counts ``[b]``; None: once.
            keep: whether `Compared.above` is wanted.
        """

    def read(self) -> Float32s:
        """The highest score of each item, ``[b, q]``."""


class Engine(Protocol):
    """Multiplies blocks of items by queries."""

    threads: (
        int | None
    )  #: that may call it at once; None: as many as the library of numpy's products would use

    def multiply(self, rows: slice, pieces: Sequence[Float32s]) -> BlockScores:
        """Scores of the items of some ``pieces [p, v, d]`` for some of the queries that the engine was made with.

        The items aren't checked yet; scores of NaN or infinity are read by nobody.
        """


class MakeEngine(Protocol):
    """Makes an engine for some queries."""

    @property
    def name(self) -> str:
        """That of a library, as runs record it."""

    @property
    def device(self) -> str:
        """Where products are computed, as runs record it."""

    def __call__(self, queries: Float32s, /) -> Engine:
        """An engine for ``queries [q, d]``."""


class NumpyEngine:
    """Scores laid out items by queries, so that counts add up whole rows; buffers are kept for each thread."""

    name, device = "numpy", "cpu"
    threads: int | None = None

    def __init__(self, queries: Float32s) -> None:
        self.queries, self.kept = queries, threading.local()
        self.calls, self.turned = Counter[int](), dict[int, Float32s]()  # of each first row

    def multiply(self, rows: slice, pieces: Sequence[Float32s]) -> NumpyScores:
        b, (_, v, d) = sum(map(len, pieces)), pieces[0].shape
        turned = self.turn(rows)
        q = turned.shape[1]
        every = self.take_buffer("every", np.float32, b * v * q).reshape(b * v, q)
        step = max(1, FEW_NUMBERS // (v * d))
        if q > FEW_QUERIES:
            step = b
            if len(pieces) > 1:
                copied = self.take_buffer("block", np.float32, b * v * d).reshape(b, v, d)
                pieces = [np.concatenate(pieces, out=copied)]
        left = every
        with np.errstate(over="ignore", invalid="ignore"):  # the vectors may not be checked yet
            for piece in pieces:
                for start in range(0, len(piece), step):
                    flat = piece[start : start + step].reshape(-1, d)
                    np.matmul(flat, turned, out=left[: len(flat)])
                    left = left[len(flat) :]
        size = min(b * q, BAND_ROWS * max(q, ROW_NUMBERS))
        flags = (self.take_buffer(name, np.bool_, size) for name in ("above", "open"))
        if v == 1:
            return NumpyScores(every, every, *flags)
        best = self.take_buffer("best", np.float32, b * q).reshape(b, q)
        np.max(every.reshape(b, v, q), axis=1, out=best)
        return NumpyScores(every, best, *flags)

    def turn(self, rows: slice) -> Float32s:
        """Some queries as columns ``[d, q]``; they are copied, which makes products quicker, once that pays."""
        self.calls[rows.start] += 1
        if self.calls[rows.start] == CALLS_TO_TURN:
            self.turned[rows.start] = turn_rows(self.queries[rows])
        return self.turned.get(rows.start, self.queries[rows].T)

    def take_buffer(self, name: str, kind: type, size: int) -> NDArray[Any]:
        """An array in memory that was used before, as a rule: fresh memory costs as much as what is done in it."""
        kept: NDArray[Any] | None = getattr(self.kept, name, None)
        if kept is None or len(kept) < size:
            kept = np.empty(size, kind)
            setattr(self.kept, name, kept)
        return kept[:size]


def turn_rows(rows: Float32s) -> Float32s:
    """Rows ``[q, d]`` as columns ``[d, q]`` that lie together."""
    turned = np.empty(rows.shape[::-1], np.float32)
    for start in range(0, len(rows), TURNED_AT_ONCE):
        part = slice(start, start + TURNED_AT_ONCE)
        turned[:, part] = rows[part].T
    return turned


class NumpyScores:
    """Scores of vectors ``every [b v, q]`` and the best of each item's, ``[b, q]``; two buffers for bands."""

    def __init__(
        self, every: Float32s, best: Float32s, above: NDArray[np.bool_], open_: NDArray[np.bool_]
    ) -> None:
        self.every, self.best, self.flags = every, best, (above, open_)

    def read(self) -> Float32s:
        return self.best

    def compare(
        self, low: Float32s, high: Float32s, weights: Int64s | None, *, keep: bool
    ) -> Compared:
        b, q = self.best.shape
        counts, places = np.zeros(q, np.int64), [np.zeros(0, np.int64)]
        kept = np.zeros((b if keep else 0, q), bool)
        # Some rows of few queries as one, for what is done with a row costs as much as 100 numbers in it.
        fold = choose_fold(b, q)
        low_row, high_row = np.tile(low, fold), np.tile(high, fold)
        for start in range(0, b, BAND_ROWS * fold):
            part = slice(start, start + BAND_ROWS * fold)
            alike = None if weights is None else weights[part]
            scores = self.best[part].reshape(-1, fold * q)
            above, open_ = (flags[: scores.size].reshape(scores.shape) for flags in self.flags)
            np.greater_equal(scores, low_row, out=open_)
            if np.count_nonzero(open_) <= scores.size * SPARSE:
                found = find_true(open_)
                item, row = np.divmod(found, q)
                surely = scores.reshape(-1)[found] > high[row]
                some = None if alike is None else alike[item[surely]]
                counts += np.bincount(row[surely], some, minlength=q).astype(np.int64)
                places.append(found[~surely] + start * q)
                if keep:
                    kept[part][item[surely], row[surely]] = True
                continue
            np.greater(scores, high_row, out=above)
            np.not_equal(above, open_, out=open_)  # what is above is not below
            places.append(find_true(open_) + start * q)
            if alike is None:
                sums = np.add.reduce(above.view(np.uint8), axis=0, dtype=np.uint8)
                counts += sums.reshape(fold, q).sum(axis=0, dtype=np.int64)
            else:  # exact, for they are small; BLAS has no product of whole numbers
                flags = above.reshape(-1, q).astype(np.float32)
                counts += (alike.astype(np.float32) @ flags).astype(np.int64)
            if keep:
                kept[part] = above.reshape(-1, q)
        items, rows = np.divmod(np.concatenate(places), q)
        if len(self.every) > b:
            v = len(self.every) // b
            vectors = (items[:, None] * v + np.arange(v)).ravel()
            rows = np.repeat(rows, v)
            near = self.every[vectors, rows] >= low[rows]
            items, rows = vectors[near], rows[near]
        return Compared(counts, kept, items, rows)


def choose_fold(b: int, q: int) -> int:
    """A power of two that divides the rows ``b``, of which so many make one of `ROW_NUMBERS` at most."""
    fold = 1
    while 2 * fold * q <= ROW_NUMBERS and b % (2 * fold) == 0:
        fold *= 2
    return fold


def find_true(flags: NDArray[np.bool_]) -> Int64s:
    """Where some flags, which lie together, are True: faster than flatnonzero where hardly any is."""
    flat = flags.reshape(-1)
    whole = len(flat) // 8 * 8
    words = np.flatnonzero(flat[:whole].view(np.uint64) != 0)
    places = (words[:, None] * 8 + np.arange(8)).ravel()
    found = places[flat[places]]
    return found if whole == len(flat) else np.append(found, whole + np.flatnonzero(flat[whole:]))


def find_engine(name: str, device: str = "auto") -> MakeEngine:
    """What ``target_ranks(engine=...)`` takes, by name.

    Other libraries than numpy are imported here only, by the table of `kis_bench.choices`.

    Args:
        name: ``"numpy"``, or a library of that table; ``"ray"`` or ``"ray:ADDRESS"`` for the nodes of a cluster.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, for libraries that know several.

    Raises:
        ValueError: the name is unknown.
        KisBenchError: the library isn't installed, the device isn't there, or no cluster is at the address.
    """
    if name == NumpyEngine.name:
        return NumpyEngine
    library, colon, address = name.partition(":")
    if library in CLUSTER_ENGINES and (address or not colon):
        name, device = library, address
    if name not in ENGINE_MODULES:
        raise ValueError(unknown("engine", name, [NumpyEngine.name, *ENGINE_MODULES]))
    try:
        module = importlib.import_module(ENGINE_MODULES[name])
    except (ImportError, OSError) as error:  # OSError: a library that it was built with is missing
        missing = isinstance(error, ModuleNotFoundError) and error.name == name
        why = (
            f"is not installed; {explain_install('demo')}"
            if missing
            else f"can't be imported: {error}"
        )
        raise KisBenchError(f"{name} {why}") from error
    made: MakeEngine = module.make_engine(device)
    return made
