"""The pictures whose texts are ranked, block by block: what `kis_bench.ranking.text_ranks` rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kis_bench.ranking.decisions import Mark, score_pairs
from kis_bench.ranking.engines import Engine, MakeEngine, find_true
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
from kis_bench.ranking.shares import BlockRange
from kis_bench.records import Float32s, Float64s, Int64s
from kis_bench.threads import share_out

BLOCK_TEXTS = 1024


class PictureRanks(NamedTuple):
    """Where some pictures find the first of their texts, and its score: ``[b]`` each."""

    best: Int64s
    worst: Int64s
    scores: Float32s


NO_RANKS = PictureRanks(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))


def join_picture_ranks(parts: Sequence[PictureRanks]) -> PictureRanks:
    return PictureRanks(*map(np.concatenate, zip(*parts, strict=True)))


class PicturePanel:
    """Pictures and the texts that they are compared with, equal ones once; see `kis_bench.ranking.shares.SharedWork`.

    Args:
        shape: of the pictures ``[n, (v,) d]``.
        texts: ``[t, d]``, of lengths ``[t]``.
        owned: the pictures of each text.
        make_engine: makes what multiplies.
        block_texts: how many are multiplied at once; None: what suits.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        texts: Float32s,
        lengths: Float64s,
        owned: ItemSets,
        make_engine: MakeEngine,
        block_texts: int | None,
    ) -> None:
        self.v, d = shape[1] if len(shape) == 3 else 1, shape[-1]
        self.lengths, self.longest_text = lengths, float(lengths.max(initial=0))
        first, number = number_equal(texts[:, None], np.ones(texts.shape[1], bool))
        self.texts, self.weights = texts[first], np.bincount(number, minlength=len(first))
        self.make_engine = make_engine
        step = block_texts or BLOCK_TEXTS
        self.panels = [slice(i, min(i + step, len(first))) for i in range(0, len(first), step)]
        # Pairs of a picture and one of its texts, how many of them are equal, and where those of each picture start.
        pairs, self.copies = np.unique(
            owned.positions * max(1, len(first)) + number[owned.owner], return_counts=True
        )
        self.owner, self.own = np.divmod(pairs, max(1, len(first)))
        self.pictures, starts = np.unique(self.owner, return_index=True)
        self.starts = np.append(starts, len(pairs))
        self.terms = len(self.pictures) * len(texts) * self.v * d
        self.width = 1  # pictures in a block

    def count_blocks(self) -> int:
        return -(-len(self.pictures) // self.width)

    def run(self, items: Any, share: BlockRange) -> PictureRanks:
        return self.rank(items, self.make_engine(self.texts), share)

    def rank(
        self,
        items: Any,
        engine: Engine,
        share: BlockRange,
        advance: Callable[[int], None] | None = None,
    ) -> PictureRanks:
        """Ranks texts for the pictures of some blocks, in threads, and tells how many scores each block took."""
        found = [NO_RANKS]
        starts = range(share.start * self.width, share.stop * self.width, self.width)
        rank_block = partial(self.rank_block, items, engine)
        for ranks in share_out(rank_block, starts, self.terms, engine.threads):
            found.append(ranks)
            if advance is not None:
                advance(len(ranks.best) * len(self.lengths))
        return join_picture_ranks(found)

    def rank_block(self, items: Any, engine: Engine, start: int) -> PictureRanks:
        """Ranks texts for the pictures of one block."""
        some = self.pictures[start : start + self.width]
        block = gather(items, some)
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
            scores = engine.multiply(rows, [block]).read()
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
        return PictureRanks(best, best + level - mark.level, mark.round_scores(flat[own]))

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
