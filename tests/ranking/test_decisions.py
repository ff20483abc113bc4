"""Scores of single pairs, against correctly rounded ones: never further off than their bound says."""

import math

import numpy as np
import pytest

from kis_bench.ranking.decisions import bound_rough_scores, score_pairs
from kis_bench.ranking.exact_scores import U64, bound_lengths, float32_bound, gamma


@pytest.mark.parametrize("scale", [1.0, 2.0**-70, 2.0**-80, 2.0**-149, 2.0**60])
@pytest.mark.parametrize("d", [1, 7, 130, 1024])
def test_pairs_are_within_their_bounds(scale, d):
    """Vectors of the scale by those of length 1 and by one another: subnormal numbers, products and sums among them."""
    rng = np.random.default_rng(d)
    block = (rng.standard_normal((90, d)) * scale).astype(np.float32)
    other = (rng.standard_normal((50, d)) * scale).astype(np.float32)
    other[::2] = rng.standard_normal((25, d))
    other[0], block[0] = 0, -0.0
    half = d // 2
    other[1, half : 2 * half], other[2] = -other[1, :half], rng.choice(block)  # cancels; the same
    block[1, half : 2 * half] = block[1, :half]
    rows, vectors = np.divmod(rng.integers(0, 50 * 90, 700), 90)
    rows[:2], vectors[:2] = (1, 2), (1, 0)
    lengths, longest = bound_lengths(other), bound_lengths(block).max()
    wide = other.astype(np.float64)[rows] * block[vectors]
    real = np.array([math.fsum(terms) for terms in wide.tolist()])
    rough = score_pairs(other, block, rows, vectors, rough=True)
    bounds = bound_rough_scores(lengths, longest, d)[rows]
    assert (np.abs(rough - real) <= bounds).all()
    plain = score_pairs(other, block, rows, vectors)
    assert (
        np.abs(plain - real) <= gamma(d, U64) * lengths[rows] * longest + U64 * np.abs(real)
    ).all()
    if scale == 1 and d == 1024:  # else they would decide nothing
        some = rows != 0
        assert (bounds < float32_bound(lengths, longest, d)[rows] / 500)[some].all()
