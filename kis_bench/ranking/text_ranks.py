"""Exact ranks in the other direction: of each picture's own texts among all texts, the best-placed of which counts.

A picture of v vectors is a query of v vectors here. Its score with a text is the same as when the text is the query:
the highest dot product over the v vectors. So pictures stay what is read by blocks and multiplied by an engine, and
the scores are compared along the other axis, with one mark for each picture. What float32 leaves open is decided in
float64, and what that can't separate by exact signs: a difference ``p.t - p'.t'`` of products of two vectors of a
picture is one difference ``(p, p').((t, 0) - (0, t'))`` of products with one query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kis_bench.ranking.blocks import choose_width
from kis_bench.ranking.engines import MakeEngine, find_engine
from kis_bench.ranking.exact_scores import (
    bound_lengths,
    require_finite,
)
from kis_bench.ranking.marks import ItemSets
from kis_bench.ranking.picture_panel import NO_RANKS, PicturePanel, join_picture_ranks
from kis_bench.ranking.ranks import check_shapes
from kis_bench.ranking.shares import BlockRange, find_shares
from kis_bench.records import Float32s, Int64s, Ranks
from kis_bench.threads import count_shares


class TextRanks(NamedTuple):
    """Where each picture that has texts finds the first of them."""

    pictures: Int64s  # [q] their positions, ascending
    ranks: Ranks  # [q]; no list of first texts


def rank_texts(
    items: Any,
    texts: Float32s,
    owners: Sequence[Sequence[int]],
    *,
    block_items: int | None = None,
    block_texts: int | None = None,
    engine: str | MakeEngine = "numpy",
    advance: Callable[[int], None] | None = None,
) -> TextRanks:
    """Ranks all texts for each picture that has some of its own.

    With s the highest score over a picture's own texts: ``best = 1 + #{score > s}``,
    ``worst = best + #{others with score = s}``, ``rank = (best + worst) / 2``. Own texts are no rivals of one another;
    a text of another picture that says the same is one, and ties exactly.

    Args:
        items: float32 pictures ``[n, d]`` or ``[n, v, d]``, or anything with a length, a shape and slices; read once.
        texts: float32 ``[t, d]``.
        owners: the positions of the pictures of each text, at least one.
        block_items: pictures in a block of scores. It changes speed and memory, never a result.
        block_texts: texts in a block of scores, likewise.
        engine: as `kis_bench.ranking.target_ranks` takes it.
        advance: is told the number of scores in each block that is done; there are q x t.

    Raises:
        ValueError: shapes or owners that don't fit, an unknown engine.
        KisBenchError: the library of an engine isn't installed.
        BadVector: NaN or infinity, or vectors so long that a float32 score could overflow; texts are called queries.
    """
    make_engine = find_engine(engine) if isinstance(engine, str) else engine
    texts = np.ascontiguousarray(texts, dtype=np.float32)
    check_shapes(texts.shape, tuple(items.shape), None, 0, block_items, block_texts)
    owned = ItemSets.check(owners, len(texts), len(items))
    lengths = bound_lengths(texts)
    require_finite(lengths, "query", np.arange(len(texts)))
    panel = PicturePanel(items.shape, texts, lengths, owned, make_engine, block_texts)
    q, shares = len(panel.pictures), find_shares(make_engine)
    if shares is None:
        own = make_engine(panel.texts)
        panel.width = block_items or choose_width(
            q, panel.v, count_shares(panel.terms, own.threads)
        )
        best, worst, scores = panel.rank(items, own, BlockRange(0, panel.count_blocks()), advance)
    else:
        panel.width = block_items or choose_width(q, panel.v, 1)
        parts = {BlockRange(0, 0): NO_RANKS}
        for share, part in shares.run_shares(panel, items):
            parts[share] = part
            if advance is not None:
                advance(len(part.best) * len(texts))
        best, worst, scores = join_picture_ranks([parts[each] for each in sorted(parts)])
    none = np.zeros((q, 0), np.int64)
    middle = (best + worst) / 2
    ranks = Ranks(best, worst, middle, None, none, scores, None, None, none, none)
    return TextRanks(panel.pictures, ranks)
