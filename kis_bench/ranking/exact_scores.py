"""Dot products of float32 vectors: proven bounds on their rounding, and exact comparison.

A dot product of length d summed in any order, with or without fused operations, errs by at most
``gamma_d |x|.|y|`` with ``gamma_d = d u / (1 - d u)`` and unit roundoff u (N. J. Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed. 2002, section 3.1), hence by at most ``gamma_d ||x|| ||y||`` (Cauchy-Schwarz).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.errors import BadVector
from kis_bench.records import Float32s, Float64s, Int64s

U32, U64 = 2.0**-24, 2.0**-53
SLACK = 1 + 2.0**-20  # more than what computing a bound in float64 can round away
LEAST_SQUARES, MOST_SQUARES = 2.0**-60, 2.0**100  #: between which float32 bounds lengths
CHUNK_VECTORS = 256  #: that are looked at in float64 together, so that they stay in the cache
LARGEST_LENGTH = (
    2.0**126
)  # float32 scores stay finite as long as the product of two lengths is below


def gamma(d: int, u: float) -> float:
    """Higham's ``gamma_d``, slightly enlarged."""
    return SLACK * d * u / (1 - d * u)


def bound_lengths(vectors: Float32s) -> Float64s:
    """Upper bounds of the Euclidean lengths of ``[n, d]``, exactly 0 for zero vectors: float64 ``[n]``.

    The squares are summed in float32. All of them are positive, so in whatever order, the sum is at least
    ``1 - gamma_d`` times the real one (Higham 2002, section 3.1), but for squares and sums that a processor flushes to
    zero, which lack less than ``2^-126`` each. Where sums are so small that this counts, or overflow, or are none,
    float64 does it again, in which squares are exact and can't over- or underflow.
    """
    d, squares = vectors.shape[1], sum_squares(vectors).astype(np.float64)
    bound: Float64s = bound_roots(squares, d)
    plain = (squares > LEAST_SQUARES) & (squares < MOST_SQUARES) & (d < 2**20)  # gamma < 1/2
    for i in range(0, 0 if plain.all() else len(bound), CHUNK_VECTORS):
        some = i + np.flatnonzero(~plain[i : i + CHUNK_VECTORS])
        wide = vectors[some].astype(np.float64)
        bound[some] = np.sqrt(np.einsum("ij,ij->i", wide, wide)) * SLACK
    return bound


def sum_squares(vectors: Float32s) -> Float32s:
    """Sums of the squares of ``[n, d]`` in float32, in any order: ``[n]``."""
    with np.errstate(over="ignore", invalid="ignore"):  # of which float64 tells
        # By BLAS, quicker than einsum.
        dots: Float32s = np.matmul(vectors[:, None], vectors[:, :, None])
    return dots.reshape(-1)


def bound_roots(squares: Any, d: int) -> Any:
    """Upper bounds of lengths, as `bound_lengths` proves them, from what `sum_squares` said of vectors of length d.

    One that is smaller belongs to a smaller sum, so that of the largest sum bounds all.
    """
    return np.sqrt((squares + d * 2.0**-125) * (1 + 2 * gamma(min(d, 2**20), U32))) * SLACK


def require_finite(bounds: Float64s, what: str, positions: Int64s) -> None:
    """Raises BadVector for the first length that is NaN or infinite; ``positions [n]`` are the names."""
    bad = np.flatnonzero(~np.isfinite(bounds))
    if len(bad):
        raise BadVector(f"{what} {positions[bad[0]]}: its vector has NaN or infinity")


def require_no_overflow(query_lengths: Any, item_lengths: Any, queries: Any, items: Any) -> None:
    """Raises BadVector for the first pair whose score could overflow float32; the last two are names ``[p]``."""
    product = np.atleast_1d(query_lengths * item_lengths)
    worst = int(product.argmax()) if len(product) else 0
    if len(product) and product[worst] >= LARGEST_LENGTH:
        query, item = np.atleast_1d(queries)[worst], np.atleast_1d(items)[worst]
        raise BadVector(
            f"query {query} and item {item}: their score could overflow float32; normalise the vectors"
        )


def float32_bound(query_lengths: Float64s, longest: float, d: int) -> Float64s:
    """Error bound of each query's float32 scores with vectors up to the length ``longest``: float64 ``[q]``.

    The second term covers subnormal products, sums and coordinates that a processor may flush to zero.
    """
    rounding = gamma(d, U32) * query_lengths * longest
    flushed = d * 2.0**-125 * (1 + query_lengths + longest)
    bound: Float64s = (rounding + flushed) * SLACK
    return bound


def float64_scores(left: Float32s, right: Float32s) -> Float64s:
    """Row-wise dot products of ``[p, d]`` and ``[p, d]`` in float64, good to gamma_d(2^-53): ``[p]``."""
    scores: Float64s = np.einsum("ij,ij->i", left.astype(np.float64), right.astype(np.float64))
    return scores


def round_up(values: Float64s) -> Float32s:
    """The next float32 that is surely above: after rounding to nearest, one step further covers both roundings."""
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))


def round_down(values: Float64s) -> Float32s:
    """The next float32 that is surely below."""
    return np.nextafter(values.astype(np.float32), np.float32(-np.inf))


def exact_key(query: Float32s, vector: Float32s) -> tuple[float, ...]:
    """Numbers that compare, in lexicographic order, as the real dot products compare.

    The first is the dot product correctly rounded, the next the correctly rounded rest, and so on to a rest of 0.
    Rounding is monotonic, so the first numbers that differ decide. Products of two float32 are exact in float64.

    >>> one = np.ones(2, np.float32)
    >>> exact_key(one, np.float32([1, 2**-60]))
    (1.0, 8.673617379884035e-19, 0.0)
    """
    terms = (query.astype(np.float64) * vector).tolist()
    parts: list[float] = []
    while not parts or parts[-1] != 0:
        parts.append(math.fsum(terms))
        terms.append(-parts[-1])
    return tuple(parts)


def exact_signs(queries: Float32s, left: Float32s, right: Float32s) -> NDArray[np.int8]:
    """Signs of the real ``queries.left - queries.right``, row by row of three ``[p, d]``: int8 ``[p]``."""
    # Finite numbers times 0 are 0, so a pair may differ where the query is 0.
    differ = np.flatnonzero(~((left == right) | (queries == 0)).all(axis=1))
    signs = np.zeros(len(queries), np.int8)
    queries, left, right = queries[differ], left[differ], right[differ]
    difference = float64_scores(queries, left) - float64_scores(queries, right)
    bound = (
        gamma(queries.shape[1], U64)
        * bound_lengths(queries)
        * (bound_lengths(left) + bound_lengths(right))
        * SLACK
    )
    signs[differ] = np.sign(difference)
    # Where the bound is 0 every product is 0, so the difference of 0 is exact.
    for i in np.flatnonzero((np.abs(difference) <= bound) & (bound > 0)):
        query = queries[i].astype(np.float64)
        total = math.fsum(np.concatenate([query * left[i], -query * right[i]]).tolist())
        signs[differ[i]] = (total > 0) - (total < 0)
    return signs


def to_block(items: Any) -> Float32s:
    """Items ``[b, d]`` or ``[b, v, d]`` as contiguous float32 ``[b, v, d]``."""
    block = np.ascontiguousarray(items, dtype=np.float32)
    return block[:, None] if block.ndim == 2 else block


def gather(items: Any, positions: Int64s) -> Float32s:
    """The items at these positions, float32 ``[p, v, d]``; sources that only know slices are read run by run."""
    if isinstance(items, np.ndarray):
        return to_block(items[positions])
    starts = np.flatnonzero(np.diff(positions, prepend=-2) != 1)
    firsts, lasts = positions[starts], positions[np.append(starts[1:], len(positions)) - 1]
    runs = zip(firsts.tolist(), lasts.tolist(), strict=True)
    return to_block(np.concatenate([items[first : last + 1] for first, last in runs]))


class ExactScores:
    """Exact comparison of items under one query, with each distinct vector summed once."""

    def __init__(self, query: Float32s) -> None:
        self.query = query
        self.known: dict[bytes, tuple[float, ...]] = {}

    def key(self, vectors: Float32s) -> tuple[float, ...]:
        """`exact_key` of the best of ``vectors [v, d]``."""
        return max(self.vector_key(vector) for vector in vectors)

    def vector_key(self, vector: Float32s) -> tuple[float, ...]:
        name = vector.tobytes()
        if name not in self.known:
            self.known[name] = exact_key(self.query, vector)
        return self.known[name]


class ItemKeys:
    """What sorts as the real scores of items for some queries ``[q, d]`` do."""

    def __init__(self, queries: Float32s, items: Any) -> None:
        self.queries, self.items = queries, items
        self.known: dict[int, ExactScores] = {}

    def find(self, row: int, positions: Int64s) -> list[tuple[float, ...]] | None:
        """Of some items for one query; None: they are the same wherever it isn't 0, which needs no sums."""
        vectors, query = gather(self.items, positions), self.queries[row]
        seen = vectors[:, :, query != 0]
        if (seen == seen[0]).all():
            return None
        exact = self.known.setdefault(row, ExactScores(query))
        return [exact.key(each) for each in vectors]
