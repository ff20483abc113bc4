"""Several models' lists for measuring what fused lists cost, and a plain way to fuse some of them again."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from kis_bench.fusion import comb_sum, normalise, rank_scores, reciprocal_rank_fusion
from kis_bench.measuring.fused_ranks import DEPTH, fuse_ranks
from kis_bench.measuring.top_lists import make_top_list
from kis_bench.ranking import target_ranks
from kis_bench.records import Float32s, Ranks
from kis_bench.suite.measured_rows import SpeedRow, find_spread, measure_seconds
from kis_bench.suite.ranking_cases import make_units

CHECKED_QUERIES = 3
PLACED_COLUMNS = ["method", "model_1", "model_2", "query_id", "rank_best", "rank_worst"]
NOISE = 2.0  #: of a query and of a model's picture, beside what all models see


class FusingCase:
    """Models that see the same pictures, each in its own way; queries near their targets."""

    table: pd.DataFrame

    def __init__(self, models: int, queries: int, items: int, dim: int) -> None:
        rng = np.random.default_rng(0)
        seen = make_units(rng, items, dim)
        self.targets = rng.integers(0, items, queries).tolist()
        self.items = [self.blur(rng, seen) for _ in range(models)]
        self.queries = [self.blur(rng, own[self.targets]) for own in self.items]
        self.models = [f"model-{i}" for i in range(models)]
        self.found: list[Ranks] = []

    @staticmethod
    def blur(rng: np.random.Generator, vectors: Float32s) -> Float32s:
        mixed: Float32s = vectors + np.float32(NOISE) * make_units(rng, *vectors.shape)
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        return mixed

    def rank(self, top_k: int) -> float:
        """Returns the CPU seconds of `target_ranks` of all models."""

        def rank_all() -> None:
            self.found = [
                target_ranks(
                    queries, items, [[t] for t in self.targets], top_k=top_k, top_scores=top_k > 0
                )
                for queries, items in zip(self.queries, self.items, strict=True)
            ]

        return measure_seconds(rank_all)

    def fuse(self) -> float:
        """Returns the CPU seconds of the ranks in all fused lists."""

        def fuse_all() -> None:
            self.table = fuse_ranks(
                [make_top_list(ranks) for ranks in self.found],
                [[t] for t in self.targets],
                self.models,
                [str(i) for i in range(len(self.targets))],
                n_items=len(self.items[0]),
            )

        return measure_seconds(fuse_all)

    def compare(self, rounds: int) -> list[SpeedRow]:
        """Rows of ranks alone to the first 1,001 items, with their scores, and to fused lists of them."""
        n = len(self.items[0])
        depth = min(DEPTH + 1, n)
        measured = [(self.rank(0), self.rank(depth), self.fuse()) for _ in range(rounds)]
        alone, named, fused = np.array(measured).T
        verified = self.verify()
        each = 1000 / (len(self.targets) * len(self.models))
        return [
            SpeedRow(
                "fusing",
                work,
                "ranks alone",
                *find_spread((alone / seconds).tolist()),
                items=n,
                rounds=rounds,
                seconds=float(np.median(seconds)),
                queries=len(self.targets),
                dim=self.items[0].shape[1],
                models=len(self.models),
                verified=verified,
                note=f"{each * np.median(seconds):.3g} ms a query and model",
            )
            for work, seconds in (
                (f"the first {depth:,} named", named - alone),
                ("fused lists", fused),
                ("all of it", named - alone + fused),
            )
        ]

    def verify(self) -> int:
        """Fuses lists of some queries again, item by item, from vectors; returns of how many queries.

        Raises:
            AssertionError: a rank differs.
        """
        pairs = self.table[self.table.model_3.isna()]
        placed = {
            tuple(row[:4]): tuple(row[4:]) for row in pairs[PLACED_COLUMNS].to_numpy().tolist()
        }
        checked = range(min(CHECKED_QUERIES, len(self.targets)))
        for i, (first, second) in itertools.product(
            checked, itertools.combinations(range(len(self.models)), 2)
        ):
            lists = []
            for own in (first, second):
                wide = self.queries[own][i].astype(np.float64)
                scores = self.items[own].astype(np.float64) @ wide
                order = np.argsort(-scores, kind="stable")
                scores[order[DEPTH:]] = np.nan
                lists.append(scores)
            fused = {
                "rrf": np.nan_to_num(reciprocal_rank_fusion(rank_scores(lists))),
                "comb_sum": comb_sum(normalise(lists)),
            }
            for method, scores in fused.items():
                target = scores[self.targets[i]]
                above, reach = (scores > target).sum(), (scores >= target).sum()
                key = (method, self.models[first], self.models[second], str(i))
                assert placed[key] == (above + 1, reach), key
        return len(checked)
