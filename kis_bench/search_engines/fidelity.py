"""What a search engine did to the ranks of known items: per query, and over all queries with paired intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.metrics import hits_at_k
from kis_bench.records import Float64s, Int64s, Ranks
from kis_bench.search_engines.protocol import NO_ITEM
from kis_bench.search_engines.rescoring import Rescorer, count_hits
from kis_bench.statistics.paired_intervals import hit_intervals

#: Cut-offs of recall -> results that the engine is asked for.
CUTOFFS: Mapping[int, int] = {1: 1, 5: 10, 10: 10, 100: 100}
TIMED_RESULTS = 10  #: results of the search that is timed, whose recall is drawn against its speed
DEEPEST = 1000  #: results of the deepest search, in which targets are looked for
ASKED_ALONE = 50  #: queries that are asked again, together and one by one
DEPTHS = (*dict.fromkeys(CUTOFFS.values()), DEEPEST)
BUILDS = 3  #: of an engine that builds by chance
REBUILT = f"rebuilt@{TIMED_RESULTS}_"  #: columns of further builds begin so


@dataclass(frozen=True)
class Answers:
    """What an engine said to q queries: items ``[q, k]`` for each number of results k that was asked for."""

    by_depth: Mapping[int, Int64s]
    again: Int64s  # some of the queries once more, in one call, of `TIMED_RESULTS` results
    alone: Int64s  # likewise, each in a call of its own
    #: As many results of the same queries after each further build, of an engine that builds by chance.
    rebuilt: Sequence[Int64s] = field(default=())

    @property
    def deepest(self) -> Int64s:
        return self.by_depth[max(self.by_depth)]


def tabulate_queries(ranks: Ranks, answers: Answers, rescorer: Rescorer) -> pd.DataFrame:
    """Returns a row for each query: its exact rank, and where the engine has the target.

    ``position`` is that in the deepest answer as it was returned, ``rescored_best`` and ``rescored_worst`` that after
    all returned items were put into their exact order, all of them empty where no target was returned.
    ``exact@K`` and ``engine@K`` are the chances of being among the first K, ``returned@K`` whether the target is
    there as the engine ordered its answer. ``rebuilt@10_1`` and so on are ``engine@10`` after further builds.
    """
    places = {depth: rescorer.place(ids) for depth, ids in answers.by_depth.items()}
    deepest, named = places[max(places)], rescorer.find_targets(answers.deepest)
    found, tied = deepest.best > 0, ranks.worst - ranks.best + 1
    columns: dict[str, Any] = {
        "rank_best": ranks.best,
        "rank_worst": ranks.worst,
        "found": found,
        "position": make_nullable(np.where(found, named.argmax(axis=1) + 1, 0)),
        "rescored_best": make_nullable(deepest.best),
        "rescored_worst": make_nullable(deepest.worst),
        "rank_told": found & (deepest.best == ranks.best),
        "results": (answers.deepest != NO_ITEM).sum(axis=1),
    }
    for k, depth in CUTOFFS.items():
        asked = rescorer.find_targets(answers.by_depth[depth][:, :k])
        columns[f"exact@{k}"] = hits_at_k(ranks.best, ranks.worst, k)
        columns[f"engine@{k}"] = count_hits(places[depth], tied, k)
        columns[f"returned@{k}"] = asked.any(axis=1).astype(np.float64)
    columns |= dict.fromkeys((f"{REBUILT}{number}" for number in range(1, BUILDS)), np.nan)
    for number, ids in enumerate(answers.rebuilt, 1):
        columns[f"{REBUILT}{number}"] = count_hits(rescorer.place(ids), tied, TIMED_RESULTS)
    return pd.DataFrame(columns)


def make_nullable(places: Int64s) -> pd.Series:
    """Places with nulls for 0."""
    return pd.Series(places, dtype="Int64").mask(pd.Series(places) == 0)


def summarise_queries(table: pd.DataFrame, answers: Answers, clusters: Int64s) -> dict[str, Any]:
    """Returns the figures of one setting: shares from 0 to 1, losses in points of recall with 95% intervals.

    Args:
        table: of `tabulate_queries`.
        answers: of the same queries.
        clusters: numbers ``[q]``; queries that share a target are no independent evidence.
    """
    found: dict[str, Any] = {
        "found": table["found"].mean(),
        "rank_told": table["rank_told"].mean(),
        "tied": (table["rank_worst"] > table["rank_best"]).mean(),
    }
    for k in CUTOFFS:
        exact, engine = table[f"exact@{k}"].to_numpy(), table[f"engine@{k}"].to_numpy()
        loss, (low, high) = measure_loss(exact, engine, clusters)
        found |= {
            f"recall@{k}": exact.mean(),
            f"engine_recall@{k}": engine.mean(),
            f"returned_recall@{k}": table[f"returned@{k}"].mean(),
            f"lost@{k}": loss,
            f"lost@{k}_low": low,
            f"lost@{k}_high": high,
        }
    again = [f"{REBUILT}{number}" for number in range(1, 1 + len(answers.rebuilt))]
    lost = f"lost@{TIMED_RESULTS}"
    losses = 100 * (table[f"exact@{TIMED_RESULTS}"].mean() - table[again].mean())
    found |= {
        f"{lost}_lowest_build": min([found[lost], *losses]),
        f"{lost}_highest_build": max([found[lost], *losses]),
    }
    same = answers.by_depth[TIMED_RESULTS][: len(answers.again)]
    found["equal_again"] = share_of_equal_rows(same, answers.again)
    found["equal_alone"] = share_of_equal_rows(same, answers.alone)
    return found


def measure_loss(
    exact: Float64s, engine: Float64s, clusters: Int64s
) -> tuple[float, tuple[float, float]]:
    """Returns the points of recall that are lost, and their 95% interval, from hits ``[q]`` of both."""
    differences = (exact - engine)[None]
    low, high = hit_intervals(differences, clusters)[0]
    return 100 * float(differences.mean()), (100 * float(low), 100 * float(high))


def share_of_equal_rows(first: Int64s, second: Int64s) -> float:
    """Returns the share of rows ``[r, k]`` that are the same, order included."""
    return float((first == second).all(axis=1).mean()) if len(first) else float("nan")
