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
from numpy.typing import NDArray

from kis_bench.ranking.blocks import choose_width
from kis_bench.ranking.decisions import Mark, score_pairs
from kis_bench.ranking.engines import Engine, MakeEngine, find_engine, find_true
from kis_bench.ranking.equal_items import number_equal
from kis_bench.ranking.exact_scores import (
    CHUNK_VECTORS,
    SLACK,
    U64,
    bound_lengths,
    exact_key,
    exact_signs,
    float32_bound,
    gamma,
    gather,
    require_finite,
    require_no_overflow,
)
from kis_bench.ranking.marks import ItemSets
from kis_bench.ranking.ranks import check_shapes
from kis_bench.records import Float32s, Float64s, Int64s, Ranks
from kis_bench.threads import count_shares, share_out

BLOCK_TEXTS = 1024


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
    job = PicturePanel(items, texts, lengths, owned, make_engine, block_texts or BLOCK_TEXTS)
    q, v, d = len(job.pictures), job.v, texts.shape[1]
    terms, threads = q * len(texts) * v * d, job.engine.threads
    job.width = block_items or choose_width(q, v, count_shares(terms, threads))
    parts = [(np.zeros((2, 0), np.int64), np.zeros(0, np.float32))]
    for found in share_out(job.rank_block, range(0, q, job.width), terms, threads):
        parts.append(found)
        if advance is not None:
            advance(found[0].shape[1] * len(texts))
    best, worst = np.concatenate([places for places, _ in parts], axis=1)
    none = np.zeros((q, 0), np.int64)
    scores = np.concatenate([own for _, own in parts])
    middle = (best + worst) / 2
    ranks = Ranks(best, worst, middle, None, none, scores, None, None, none, none)
    return TextRanks(job.pictures, ranks)


class PicturePanel:
    """Pictures and the texts that they are compared with, equal ones once.

    Args:
        items: pictures ``[n, (v,) d]``.
        texts: ``[t, d]``, of lengths ``[t]``.
        owned: the pictures of each text.
        make_engine: makes what multiplies.
        step: texts that are multiplied at once.
    """

    def __init__(
        self,
        items: Any,
        texts: Float32s,
        lengths: Float64s,
        owned: ItemSets,
        make_engine: MakeEngine,
        step: int,
    ) -> None:
        self.items, self.v = items, items.shape[1] if len(items.shape) == 3 else 1
        self.lengths, self.longest_text = lengths, float(lengths.max(initial=0))
        first, number = number_equal(texts[:, None], np.ones(texts.shape[1], bool))
        self.texts, self.weights = texts[first], np.bincount(number, minlength=len(first))
        self.engine: Engine = make_engine(self.texts)
        self.panels = [slice(i, min(i + step, len(first))) for i in range(0, len(first), step)]
        # Pairs of a picture and one of its texts, how many of them are equal, and where those of each picture start.
        pairs, self.copies = np.unique(
            owned.positions * max(1, len(first)) + number[owned.owner], return_counts=True
        )
        self.owner, self.own = np.divmod(pairs, max(1, len(first)))
        self.pictures, starts = np.unique(self.owner, return_index=True)
        self.starts = np.append(starts, len(pairs))
        self.width = 1  # pictures in a block

    def rank_block(self, start: int) -> tuple[Int64s, Float32s]:
        """Best and worst ranks of some pictures ``[2, b]``, and the scores of their best-placed texts ``[b]``."""
        some = self.pictures[start : start + self.width]
        block = gather(self.items, some)
        b, v, d = block.shape
        flat = block.reshape(-1, d)
        sizes = bound_lengths(flat)
        require_finite(sizes, "item", np.repeat(some, v))
        longest, at = float(sizes.max()), sizes.argmax() // v
        require_no_overflow(self.longest_text, longest, self.lengths.argmax(), some[at])
        fine = gamma(d, U64) * self.longest_text * longest * SLACK
        part = slice(self.starts[start], self.starts[start + b])
        mark = self.find_mark(flat, np.searchsorted(some, self.owner[part]), part, fine, b)
        rough = float32_bound(np.array([self.longest_text]), longest, d)
        low, high = (limit[:, None] for limit in mark.limits(rough, slice(None)))
        above, level = np.zeros((2, b), np.int64)
        for rows in self.panels:
            scores = self.engine.multiply(rows, [block]).read()
            surely = scores > high
            open_ = scores >= low
            np.not_equal(surely, open_, out=open_)  # what is above is not below
            above += np.count_nonzero(surely, axis=1)
            weights = self.weights[rows]
            if len(several := np.flatnonzero(weights > 1)):
                above += surely[:, several] @ (weights[several] - 1)
            item, text = np.divmod(find_true(open_), open_.shape[1])
            signs = self.decide(flat, mark, item, rows.start + text, fine)
            for sign, counts in ((1, above), (0, level)):
                known = signs == sign
                np.add.at(counts, item[known], weights[text[known]])
        best = 1 + above
        own = np.arange(b) * v + mark.inner
        return np.stack([best, best + level - mark.level]), mark.round_scores(flat[own])

    def find_mark(self, flat: Float32s, item: Int64s, part: slice, bound: float, b: int) -> Mark:
        """The best of each picture's own texts and its score, decided exactly.

        Args:
            flat: vectors of the pictures ``[b v, d]``.
            item: whose the pairs are ``[p]``, ascending.
            part: which of all pairs.
            bound: how far scores in float64 may be off.
            b: pictures.

        Returns:
            A mark for each picture: `Mark.items` is the number of its text, `Mark.inner` the vector of the picture, and
            `Mark.level` how many of its texts have this very score.
        """
        own, copies, v = self.own[part], self.copies[part], self.v
        scores = self.score_all(flat, item, own)
        top = np.full(b, -np.inf)
        np.maximum.at(top, item, scores.max(axis=1))
        pair, inner = np.nonzero(scores >= (top - 2 * bound * SLACK)[item][:, None])
        near = np.bincount(item[pair], minlength=b)
        winner = np.cumsum(near) - near  # the first
        level = copies[pair[winner]]
        for i in np.flatnonzero(near > 1).tolist():
            some = winner[i] + np.arange(near[i])
            known: dict[tuple[bytes, int], tuple[float, ...]] = {}
            keys = []
            for place, j in zip(pair[some].tolist(), inner[some].tolist(), strict=True):
                vector, text = flat[i * v + j], int(own[place])
                name = vector.tobytes(), text
                if name not in known:
                    known[name] = exact_key(vector, self.texts[text])
                keys.append(known[name])
            best_key = max(keys)
            tied = some[[key == best_key for key in keys]]
            winner[i], level[i] = tied[0], copies[np.unique(pair[tied])].sum()
        best, chosen = own[pair[winner]], scores[pair[winner], inner[winner]]
        return Mark(chosen, np.full(b, bound), self.texts[best], best, inner[winner], level)

    def decide(
        self, flat: Float32s, mark: Mark, item: Int64s, text: Int64s, bound: float
    ) -> NDArray[np.int8]:
        """Signs of the real scores of pairs of a picture and a text minus the picture's mark: int8 ``[p]``."""
        signs = np.zeros(len(item), np.int8)
        others = np.flatnonzero(text != mark.items[item])  # the mark's own text is level with it
        item, text = item[others], text[others]
        difference = self.score_all(flat, item, text) - mark.scores[item][:, None]
        margin = (bound + mark.rounding[item])[:, None] * SLACK**2
        found = np.sign(difference).astype(np.int8).max(axis=1, initial=-1)
        near = (np.abs(difference) <= margin) & ~(difference > margin).any(axis=1, keepdims=True)
        pair, inner = np.nonzero(near)
        found[pair] = -1  # what else there is of these is below
        for start in range(0, len(pair), CHUNK_VECTORS):
            some = slice(start, start + CHUNK_VECTORS)
            who = item[pair[some]]
            exact = self.compare_exactly(flat, mark, who, inner[some], text[pair[some]])
            np.maximum.at(found, pair[some], exact)
        signs[others] = found
        return signs

    def score_all(self, flat: Float32s, item: Int64s, text: Int64s) -> Float64s:
        """Scores in float64 of pairs of a picture and a text with each vector of the picture, ``[p, v]``."""
        vectors = (item[:, None] * self.v + np.arange(self.v)).ravel()
        return score_pairs(self.texts, flat, np.repeat(text, self.v), vectors).reshape(-1, self.v)

    def compare_exactly(
        self, flat: Float32s, mark: Mark, item: Int64s, inner: Int64s, text: Int64s
    ) -> NDArray[np.int8]:
        """Signs of the real ``p.t - p'.t'`` of pairs, p' and t' being the mark's vectors: int8 ``[p]``."""
        left, right = flat[item * self.v + inner], flat[item * self.v + mark.inner[item]]
        new, old = self.texts[text], mark.vectors[item]
        signs = np.empty(len(item), np.int8)
        one = inner == mark.inner[item]
        signs[one] = exact_signs(left[one], new[one], old[one])
        left, right, new, old = (each[~one] for each in (left, right, new, old))
        none = np.zeros_like(new)
        signs[~one] = exact_signs(
            *(np.concatenate(both, axis=1) for both in ((left, right), (new, none), (none, old)))
        )
        return signs
