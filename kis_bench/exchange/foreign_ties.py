"""Scores that hold their order in other tools, and what these make of equal scores.

What each tool does stands in ``docs/report.md``, and ``tools/peers.py`` runs them to see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.records import Float64s, Int64s, count_things

SCORE_KINDS = ("similarity", "places")


def score_listed(n: int, best: int, worst: int) -> Float64s:
    """Scores ``[n]`` of a list's places, from 1 for the last, where those from best to worst are equal.

    Such scores say no more than the order; they are positive, and whole numbers that single precision holds.

    >>> score_listed(5, 2, 4)
    array([3., 2., 2., 2., 1.])
    """
    place = np.arange(1, n + 1)
    tied = np.where((place >= best) & (place <= worst), best, place)
    return np.asarray(np.unique(-tied, return_inverse=True)[1] + 1.0, np.float64)


@dataclass(frozen=True)
class ForeignRanking:
    """The ranking of a model as other tools read it: one entry for each line.

    Attributes:
        query: numbers of the queries, int64 ``[n]``, each with all its lines on end.
        score: float64 ``[n]``.
        relevant: whether the item is a target, bool ``[n]``.
        place: of the item's id in the order of all ids as they are written, int64 ``[n]``.
    """

    query: Int64s
    score: Float64s
    relevant: NDArray[np.bool_]
    place: Int64s

    def reciprocal_ranks(self, *, larger_first: bool, single: bool) -> Float64s:
        """1 / rank of each query's first target, float64 ``[q]``, where equal scores stand in the order of their ids.

        Args:
            larger_first: whether of equal scores the larger id stands first, or the smaller.
            single: whether scores are compared in single precision.
        """
        score = self.score.astype(np.float32) if single else self.score
        by_id = -self.place if larger_first else self.place
        order = np.lexsort((by_id, -score, self.query))
        rank = np.arange(len(order)) - np.searchsorted(self.query, self.query) + 1
        found = np.zeros(int(self.query.max(initial=-1)) + 1)
        hit = self.relevant[order]
        np.maximum.at(found, self.query[hit], 1.0 / rank[hit])
        return found

    def count_rivals(self, *, single: bool) -> Int64s:
        """How many items of each query have the score of its first target, int64 ``[q]``; 0 without one."""
        score = self.score.astype(np.float32) if single else self.score
        best = np.full(int(self.query.max(initial=-1)) + 1, -np.inf, score.dtype)
        np.maximum.at(best, self.query[self.relevant], score[self.relevant])
        return np.bincount(self.query[score == best[self.query]], minlength=len(best))

    def count_not_positive(self) -> int:
        """How many targets have a score of 0 or less."""
        return int((self.score[self.relevant] <= 0).sum())


def read_as_others(
    ranking: pd.DataFrame, targets: Mapping[str, Iterable[str]], spell: Callable[[str], str]
) -> ForeignRanking:
    """A table of rankings as other tools read it; ``spell`` writes ids as they stand in the file."""
    item, items = pd.factorize(ranking["doc_id"])
    query, queries = pd.factorize(ranking["query_id"])
    number = {name: i for i, name in enumerate(items)}
    pairs = [
        i * len(items) + number[target]
        for i, name in enumerate(queries)
        for target in targets.get(name, ())
        if target in number
    ]
    place = np.empty(len(items), np.int64)
    place[np.argsort([spell(str(one)) for one in items])] = np.arange(len(items))
    return ForeignRanking(
        np.asarray(query, np.int64),
        ranking["score"].to_numpy(np.float64),
        np.isin(query * len(items) + item, np.array(pairs, np.int64)),
        place[item],
    )


def describe_differences(read: ForeignRanking, ranks: pd.DataFrame) -> str:
    """What other tools count otherwise in a ranking than the ``ranks`` of its queries do; empty if nothing."""
    tied = int((ranks["rank_best"] < ranks["rank_worst"]).sum())
    rounded = int((read.count_rivals(single=False) < read.count_rivals(single=True)).sum())
    said = ""
    if tied or rounded:
        larger, smaller = (
            float(read.reciprocal_ranks(larger_first=way, single=way).mean())
            for way in (True, False)
        )
        more = f", {rounded:,} with more items in single precision" if rounded else ""
        said = (
            f"; {tied:,} of {len(ranks):,} targets tie with other items{more}: MRR {(1 / ranks['rank']).mean():.4f} "
            f"here, {larger:.4f} where the larger id stands first (trec_eval, ir_measures' RR, trectools), "
            f"{smaller:.4f} where the smaller does (ir_measures' RR@k, sentence-transformers)"
        )
    if lost := read.count_not_positive():
        said += (
            f"; {count_things(lost, 'target')} {'has a score' if lost == 1 else 'have scores'} of 0 or less, "
            "which torchmetrics takes for not found: "
            "--scores places writes positive ones"
        )
    return said
