"""Vectors stored smaller and searched exhaustively, in numpy: what precision alone costs, whatever the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kis_bench.records import Float32s, Int64s

WIDENED_ITEMS = 8192  #: that are widened to float32 and multiplied together
SEARCHED_QUERIES = 2048  #: that are compared with them at once


class Codes(NamedTuple):
    """Items as they are stored, and how to compare queries with them."""

    stored: tuple[NDArray[Any], ...]  # all that has to be kept; the first is ``[n, ...]``
    #: Of codes of some items and the whole of the rest: float32 vectors ``[b, e]``.
    widen: Callable[[NDArray[Any], slice], Float32s]
    turn: Callable[[Float32s], Float32s] = lambda queries: (
        queries
    )  # queries ``[q, d]`` to ``[q, e]``


def keep_float32(items: Float32s) -> Codes:
    return Codes((items,), lambda codes, rows: codes)


def keep_float16(items: Float32s) -> Codes:
    return Codes((items.astype(np.float16),), lambda codes, rows: codes.astype(np.float32))


def keep_bfloat16(items: Float32s) -> Codes:
    """The upper 16 bits of each float32, rounded to nearest and ties to even."""
    bits = items.view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> 16
    return Codes((rounded.astype(np.uint16),), widen_bfloat16)


def widen_bfloat16(codes: NDArray[Any], rows: slice) -> Float32s:
    return (codes.astype(np.uint32) << np.uint32(16)).view(np.float32)


def keep_int8(items: Float32s, scales: Float32s) -> Codes:
    """Numbers from -127 to 127 that stand for so many times the scales, of which there is one or one each."""
    codes = np.clip(np.rint(items / scales), -127, 127).astype(np.int8)
    own = scales if scales.shape[0] == len(items) and scales.ndim == 2 else None

    def widen(some: NDArray[Any], rows: slice) -> Float32s:
        scaled: Float32s = some.astype(np.float32) * (scales if own is None else own[rows])
        return scaled

    return Codes((codes, scales), widen)


def scale_to_one(items: Float32s) -> Float32s:
    """As if numbers went from -1 to 1, which those of unit vectors hardly do."""
    return np.full((1, 1), 1 / 127, np.float32)


def scale_to_largest(items: Float32s) -> Float32s:
    """By the largest number of all."""
    scale = positive(np.abs(items).max(initial=0)) / 127
    return np.full((1, 1), scale, np.float32)


def scale_to_quantile(items: Float32s) -> Float32s:
    """By the 99.9% quantile of the numbers of all items, of many of some that are drawn; larger ones are cut off."""
    rng, some = np.random.default_rng(0), min(len(items), WIDENED_ITEMS)
    drawn = np.abs(items[rng.choice(len(items), some, replace=False)])
    return np.full((1, 1), positive(np.quantile(drawn, 0.999)) / 127, np.float32)


def scale_columns(items: Float32s) -> Float32s:
    """By the largest number of each dimension."""
    return np.asarray(positive(np.abs(items).max(axis=0, keepdims=True)) / 127, np.float32)


def scale_rows(items: Float32s) -> Float32s:
    """By the largest number of each vector."""
    return np.asarray(positive(np.abs(items).max(axis=1, keepdims=True)) / 127, np.float32)


def positive(sizes: Any) -> Any:
    """The same with 1 for 0."""
    return np.where(sizes == 0, 1, sizes)


def keep_signs(items: Float32s) -> Codes:
    """One bit for each number, which queries keep whole (asymmetric comparison)."""
    return Codes((np.packbits(items >= 0, axis=1),), widen_signs_to(items.shape[1]))


def keep_signs_of_both(items: Float32s) -> Codes:
    """One bit for each number of items and queries: the order is that of the Hamming distance."""
    d = items.shape[1]
    packed = np.packbits(items >= 0, axis=1)
    return Codes(
        (packed,),
        widen_signs_to(d),
        lambda queries: np.where(queries >= 0, 1, -1).astype(np.float32),
    )


def widen_signs_to(d: int) -> Callable[[NDArray[Any], slice], Float32s]:
    def widen(codes: NDArray[Any], rows: slice) -> Float32s:
        bits = np.unpackbits(codes, axis=1, count=d)
        return bits.astype(np.float32) * 2 - 1

    return widen


def cut_dimensions(part: int) -> Callable[[Float32s], Codes]:
    """The first of the dimensions, one of so many parts, without making vectors unit again."""

    def keep(items: Float32s) -> Codes:
        left = max(1, items.shape[1] // part)
        first = np.ascontiguousarray(items[:, :left])
        return Codes((first,), lambda codes, rows: codes, lambda queries: queries[:, :left])

    return keep


def project_to_components(part: int) -> Callable[[Float32s], Codes]:
    """The principal components of the items, as many as one of so many parts of the dimensions.

    Queries are projected as items are; the part of a score that the mean of the items makes is the same for all items.
    """

    def keep(items: Float32s) -> Codes:
        left = max(1, items.shape[1] // part)
        mean = items.mean(axis=0, dtype=np.float64)
        centred = items - mean.astype(np.float32)
        values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        axes = vectors[:, np.argsort(-values)[:left]].astype(np.float32)
        return Codes(
            (centred @ axes, axes), lambda codes, rows: codes, lambda queries: queries @ axes
        )

    return keep


@dataclass
class Compressed:
    """All items compared with each query, from what was kept of them."""

    name: str
    folder: Path
    keep: Callable[[Float32s], Codes]
    packages: tuple[str, ...] = ("numpy",)
    largest_k: int | None = None
    codes: Codes | None = field(default=None, repr=False)

    def build(self, items: Float32s) -> None:
        self.codes = self.keep(items)

    def search(self, queries: Float32s, k: int) -> Int64s:
        starts = range(0, len(queries), SEARCHED_QUERIES)
        some = [self.search_some(queries[i : i + SEARCHED_QUERIES], k) for i in starts]
        return np.concatenate(some) if some else np.zeros((0, k), np.int64)

    def search_some(self, queries: Float32s, k: int) -> Int64s:
        assert self.codes is not None  # it was built
        first, turned = self.codes.stored[0], self.codes.turn(queries)
        best_ids = np.zeros((len(queries), 0), np.int64)
        best = np.zeros((len(queries), 0), np.float32)
        for start in range(0, len(first), WIDENED_ITEMS):
            rows = slice(start, start + WIDENED_ITEMS)
            scores = turned @ self.codes.widen(first[rows], rows).T
            ids = np.broadcast_to(np.arange(start, start + scores.shape[1]), scores.shape)
            best, best_ids = keep_best(
                np.concatenate([best, scores], axis=1), np.concatenate([best_ids, ids], axis=1), k
            )
        order = np.lexsort((best_ids, -best), axis=1)
        found: Int64s = np.take_along_axis(best_ids, order, axis=1)
        return found

    def close(self) -> None:
        assert self.codes is not None
        for number, kept in enumerate(self.codes.stored):
            np.save(self.folder / f"{number}.npy", kept)
        self.codes = None


def keep_best(scores: Float32s, ids: Int64s, k: int) -> tuple[Float32s, Int64s]:
    """The k best scores of each row ``[q, w]`` with their ids, in no order."""
    if scores.shape[1] <= k:
        return scores, ids
    some = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return np.take_along_axis(scores, some, axis=1), np.take_along_axis(ids, some, axis=1)


#: Names of settings -> what is kept of the items.
COMPRESSIONS: dict[str, Callable[[Float32s], Codes]] = {
    "float32": keep_float32,
    "float16": keep_float16,
    "bfloat16": keep_bfloat16,
    "int8, scaled to 1": lambda items: keep_int8(items, scale_to_one(items)),
    "int8, scaled to the largest": lambda items: keep_int8(items, scale_to_largest(items)),
    "int8, scaled to 99.9%": lambda items: keep_int8(items, scale_to_quantile(items)),
    "int8, scaled by dimension": lambda items: keep_int8(items, scale_columns(items)),
    "int8, scaled by vector": lambda items: keep_int8(items, scale_rows(items)),
    "binary": keep_signs_of_both,
    "binary, queries float32": keep_signs,
    "half of the dimensions": cut_dimensions(2),
    "a quarter of the dimensions": cut_dimensions(4),
    "PCA, half": project_to_components(2),
    "PCA, a quarter": project_to_components(4),
}


def make(folder: Path) -> list[Compressed]:
    return [Compressed(f"numpy: {name}", folder, keep) for name, keep in COMPRESSIONS.items()]
