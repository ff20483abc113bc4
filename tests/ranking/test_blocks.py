"""Blocks of items in several pieces: lengths that are no shorter than the real ones, and vectors at some places."""

import numpy as np
import pytest

from kis_bench.errors import BadVector
from kis_bench.ranking.blocks import Block, find_longest


def cut_block(vectors, places):
    pieces = np.split(vectors, places)
    return Block(40, len(vectors), pieces)


@pytest.mark.parametrize("scale", [0.0, 2.0**-149, 2.0**-70, 2.0**-29, 1.0, 2.0**49, 2.0**80])
@pytest.mark.parametrize("places", [[], [1, 20]])
def test_no_vector_is_longer_than_said(scale, places):
    rng = np.random.default_rng(7)
    for d in (1, 5, 600):
        vectors = (rng.standard_normal((31, 2, d)) * scale).astype(np.float32)
        real = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=2)).max()
        longest = find_longest(cut_block(vectors, places), np.array([2.0**-9, 1.0]), 0)
        assert real <= longest <= real * 1.002


@pytest.mark.parametrize(
    ("number", "message"),
    [(np.nan, "item 43: .*NaN"), (-np.inf, "item 43: .*NaN"), (2.0**100, "query 7 and item 43")],
)
def test_a_vector_that_cannot_be_ranked_is_named(number, message):
    vectors = np.ones((6, 2, 3), np.float32)
    vectors[3, 1, 2] = number
    with pytest.raises(BadVector, match=message):
        find_longest(cut_block(vectors, [2, 5]), np.array([1.0, 2.0**30]), 6)


def test_vectors_are_found_in_pieces():
    vectors = np.arange(20 * 2 * 3, dtype=np.float32).reshape(20, 2, 3)
    block = cut_block(vectors, [1, 9, 10])
    for places in ([], [0], [39, 0, 2, 17, 18, 18], list(range(40))):
        found, where = block.find_vectors(np.array(places, np.int64))
        assert (found[where] == vectors.reshape(-1, 3)[places]).all()
