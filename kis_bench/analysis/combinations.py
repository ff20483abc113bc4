"""What pairs and triples of models gain over the best single one: the bound, and what can be built."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kis_bench.analysis.conditions import Condition
from kis_bench.analysis.tied_ranks import (
    interleaving_hits,
    interleaving_rank,
    smallest_hits,
    smallest_rank,
    switching_hits,
    switching_rank,
)
from kis_bench.metrics import (
    FEW_MEASURES,
    LEADING_MEASURES,
    RECALL,
    RankPlaces,
    compute_values,
    measure_words,
)
from kis_bench.records import Float64s, Int64s
from kis_bench.statistics import (
    adjust_known,
    bootstrap_interval,
    resampled_means,
    sign_flip_tests,
)
from kis_bench.statistics.clusters import variances
from kis_bench.statistics.cross_validation import assign_parts, choose_on_others

Clusters = Int64s | None
COMBINED_GAINS = [
    "dataset",
    "label_set",
    "method",
    "kind",
    "model_1",
    "model_2",
    "model_3",
    "parameter",
    "metric",
    "k",
    "value",
    "ci_low",
    "ci_high",
    "best_single",
    "gain",
    "gain_low",
    "gain_high",
    "p",
    "p_holm",
    "n",
    "n_targets",
]
ADVICE = [
    "dataset",
    "label_set",
    "size",
    "method",
    "model_1",
    "model_2",
    "model_3",
    "best_single",
    "gain",
    "honest_gain",
    "honest_low",
    "honest_high",
    "p",
    "tried",
    "n",
    "n_targets",
    "advice",
]
WAYS = {
    "rrf": "reciprocal rank fusion",
    "comb_sum": "CombSUM",
    "comb_mnz": "CombMNZ",
    "weighted": "a weighted sum",
    "switch": "switching from one to the other",
    "interleave": "looking at both in turn",
}
SWITCHES = (
    10,
    20,
    5,
    50,
    2,
    100,
    1,
    200,
    500,
)  #: pictures before a switch; of equally good ones the first
RESAMPLES, PERMUTATIONS, ADVICE_LEVEL = 2_000, 50_000, 0.05
MOST_SWITCHED = 10  #: the oracle's triples are those of so many best models


@dataclass(frozen=True)
class Combination:
    """Where the targets of q queries stand, or what they cost, if some models are used together."""

    method: str
    models: tuple[str, ...]
    rank: Float64s  # [q] the mean, where models tie
    hits: Callable[[int], Float64s]  # k -> [q] the chance to be among the first k
    parameter: float = math.nan  # that of most queries
    places: RankPlaces | None = None  # where ranks and chances follow from a best and a worst place

    @property
    def kind(self) -> str:
        return "bound" if self.method == "oracle" else "achievable"


def combinations(condition: Condition, fused: pd.DataFrame) -> list[Combination]:
    """All that can be said of models together: from their ranks alone, and from ranks in fused lists, where given.

    What comes down to one of its models alone is no combination, and left out.
    """
    real = [*policies(condition), *from_table(condition, fused)]
    return [*oracles(condition), *(one for one in real if not alone(one, condition))]


def alone(one: Combination, condition: Condition) -> bool:
    """Whether it is one of its models: on every query, or by the weight or the switch that most queries were given."""
    if one.parameter in {"weighted": (0, 1), "switch": (0, condition.n_items)}.get(one.method, ()):
        return True
    own = [condition.models.index(model) for model in one.models]
    same = (1.0 / condition.rank[own] == 1.0 / one.rank).all(axis=1)
    if same.any():
        chosen = condition.of(one.models)
        for k in RECALL.few_cutoffs:
            same &= (chosen.hits(k) == one.hits(k)).all(axis=1)
    return bool(same.any())


def oracles(condition: Condition) -> Iterator[Combination]:
    m = len(condition.models)
    triples = itertools.combinations(range(min(m, MOST_SWITCHED)), 3)
    for some in [*itertools.combinations(range(m), 2), *triples]:
        models, places = (
            tuple(condition.models[i] for i in some),
            (condition.best[[*some]], condition.worst[[*some]]),
        )
        yield Combination("oracle", models, smallest_rank(*places), partial(smallest_hits, *places))


def policies(condition: Condition) -> Iterator[Combination]:
    """Alternating between two lists, and switching to the other after n pictures, n chosen on other queries.

    Among the choices are never to switch and to switch at once.
    """
    parts = assign_parts(condition.parts)
    switches = np.array([condition.n_items, *(n for n in SWITCHES if n < condition.n_items), 0])
    places = list(zip(condition.best, condition.worst, strict=True))
    for i, j in itertools.permutations(range(len(condition.models)), 2):
        models, pair = (condition.models[i], condition.models[j]), (places[i], places[j])
        if i < j:
            yield Combination(
                "interleave", models, interleaving_rank(*pair), partial(interleaving_hits, *pair)
            )
        ranks = np.stack([switching_rank(*pair, n) for n in switches], axis=1)
        pick = choose_on_others(1.0 / ranks, parts)
        if pick is not None:
            n = switches[pick]
            hits = partial(switching_hits, *pair, n)
            yield Combination("switch", models, switching_rank(*pair, n), hits, most_frequent(n))


def most_frequent(values: ArrayLike) -> float:
    """NaN of nothing but NaN; of equally frequent ones the smallest."""
    found, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    return float(found[counts.argmax()])


def from_table(condition: Condition, fused: pd.DataFrame) -> Iterator[Combination]:
    """Those of ``results.FUSED`` that hold every query of the condition."""
    if fused.empty:
        return
    place = {query: i for i, query in enumerate(condition.queries)}
    at = np.array([place.get(query, -1) for query in fused["query_id"]], np.int64)
    columns = ["method", "model_1", "model_2", "model_3"]
    number = fused.groupby(columns, dropna=False, sort=False).ngroup().to_numpy()
    names = fused[columns].to_numpy(object)
    best, worst = (fused[f"rank_{end}"].to_numpy(np.int64) for end in ("best", "worst"))
    parameter = fused["parameter"].to_numpy(np.float64)
    for rows in np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1]):
        method, *members = names[rows[0]]
        models = tuple(str(name) for name in members if isinstance(name, str))
        asked, own = rows[at[rows] >= 0], np.full(len(place), -1)
        own[at[asked]] = asked
        if (own >= 0).all() and {*models} <= {*condition.models}:
            places = RankPlaces(best[own], worst[own])
            value = most_frequent(parameter[own])
            yield Combination(str(method), models, places.rank, places.hits, value, places)


def gains(condition: Condition, found: Sequence[Combination]) -> pd.DataFrame:
    """Each of `combinations` under every measure against the best single model, columns `COMBINED_GAINS`.

    ``kind`` is "bound" for the oracle, which nobody can build, else "achievable"; it bounds choices between lists,
    ``switch`` and ``interleave``, whose ranks are browsing costs, but not lists that are made anew of scores or ranks.
    Models tie independently of one another (`kis_bench.analysis.tied_ranks`). Intervals are percentile bootstrap
    over queries, drawn jointly. ``p`` is that of the paired randomization test of the gain, ``p_holm`` adjusts it for
    all achievable combinations under that measure; a bound has neither, since it can't be below any of its models.
    Queries with a target in common are drawn, flipped and kept in one fold together.
    """
    if not found:
        return pd.DataFrame(columns=COMBINED_GAINS)
    single = np.stack([compute_values(condition, *each) for each in FEW_MEASURES])
    best = single.mean(axis=2).argmax(axis=1)  # [measures]
    each = np.stack([compute_each(found, *measure) for measure in FEW_MEASURES])
    differences = each - single[np.arange(len(best)), best][:, None]  # [measures, c, q]
    built = np.array([one.kind == "achievable" for one in found])
    p = test_gains(differences, built, condition.clusters)
    tables = []
    for i, (metric, k) in enumerate(FEW_MEASURES):
        rows = np.concatenate([each[i], differences[i]])
        drawn = resampled_means(rows, resamples=RESAMPLES, clusters=condition.clusters)
        drawn = np.ascontiguousarray(drawn.T)  # quantiles of rows take less time than of columns
        low, high = np.quantile(drawn, [0.025, 0.975], axis=1).reshape(2, 2, len(found))
        table = pd.DataFrame(
            {
                "dataset": condition.dataset,
                "label_set": condition.label_set,
                "method": [c.method for c in found],
                "kind": [c.kind for c in found],
                **name_models(found),
                "parameter": [c.parameter for c in found],
                "metric": metric,
                "k": k,
                "value": each[i].mean(axis=1),
                "ci_low": low[0],
                "ci_high": high[0],
                "best_single": condition.models[best[i]],
                "gain": differences[i].mean(axis=1),
                "gain_low": low[1],
                "gain_high": high[1],
                "p": p[i],
                "p_holm": adjust_known(p[i]),
                "n": len(condition.queries),
                "n_targets": condition.n_targets,
            }
        )
        tables.append(table.astype({"k": "Int64"}))
    return pd.concat(tables, ignore_index=True)[COMBINED_GAINS]


def compute_each(found: Sequence[Combination], metric: str, k: int | None) -> Float64s:
    """What each query adds to a measure under each combination ``[c, q]``."""
    values = np.empty((len(found), len(found[0].rank)))
    known = [i for i, one in enumerate(found) if one.places is not None]
    if known:  # together, which takes less time
        places = [one.places for one in found if one.places is not None]
        best, worst = (
            np.stack([getattr(one, side) for one in places]) for side in ("best", "worst")
        )
        values[known] = compute_values(RankPlaces(best, worst), metric, k)
    for i, one in enumerate(found):
        if one.places is None:
            values[i] = compute_values(one, metric, k)
    return values


def test_gains(differences: Float64s, of_family: NDArray[np.bool_], clusters: Clusters) -> Float64s:
    """p-values ``[m, c]`` of rows of paired differences ``[m, c, q]``; NaN of those of no family ``[c]``."""
    p = np.full(differences.shape[:2], np.nan)
    rows = differences[:, of_family]
    if rows.size:
        p[:, of_family] = sign_flip_tests(
            rows.reshape(-1, rows.shape[2]), permutations=PERMUTATIONS, clusters=clusters
        ).reshape(rows.shape[:2])
    return p


def name_models(found: Sequence[Combination]) -> dict[str, list[str | None]]:
    return {
        f"model_{i + 1}": [c.models[i] if i < len(c.models) else None for c in found]
        for i in range(3)
    }


def advice(condition: Condition, found: Sequence[Combination]) -> pd.DataFrame:
    """Whether the best pair, and triple, by the leading measure is worth it: a row each, columns `ADVICE`.

    The best of many combinations owes some of its ``gain`` to luck. ``honest_gain`` repeats the choice, of combination
    and of single model, on nine tenths of the queries and counts what it brings on the others (M. Stone, J. of the
    Royal Statistical Society B 36, 1974); ``honest_low`` and ``honest_high`` are its interval (`widen`).
    ``p`` allows for the ``tried`` combinations: `snooping_p`. Advised is what passes both. What is learned within
    a combination (a weight, when to switch) was chosen for each query on others already, but not anew on the nine
    tenths: the ranks alone don't allow it.
    """
    leading = LEADING_MEASURES[0]
    single, parts = compute_values(condition, *leading), assign_parts(condition.parts)
    alone = choose_on_others(single.T, parts)
    top = int(single.mean(axis=1).argmax())
    rows: list[dict[str, Any]] = []
    for size in (2, 3):
        some = [c for c in found if c.kind == "achievable" and len(c.models) == size]
        if not some or alone is None:
            continue
        each = compute_each(some, *leading)
        pick = choose_on_others(each.T, parts)
        assert pick is not None  # as alone isn't
        row = np.arange(len(parts))
        best = some[int(each.mean(axis=1).argmax())]
        honest = each[pick, row] - single[alone, row]
        low, high = widen(honest, int(parts.max()) + 1, condition.clusters)
        about = {
            "gain": float((each - single[top]).mean(axis=1).max()),
            "honest_gain": float(honest.mean()),
            "honest_low": low,
            "honest_high": high,
            "p": snooping_p(each - single[top], condition.clusters),
            "tried": len(some),
        }
        rows.append(
            {
                "dataset": condition.dataset,
                "label_set": condition.label_set,
                "size": size,
                "method": best.method,
                **{name: values[0] for name, values in name_models([best]).items()},
                "best_single": condition.models[top],
                **about,
                "n": len(parts),
                "n_targets": condition.n_targets,
                "advice": word_advice(
                    best, condition.models[top], about, "pair" if size == 2 else "triple"
                ),
            }
        )
    return pd.DataFrame(rows, columns=ADVICE)


def widen(values: Float64s, parts: int, clusters: Clusters = None) -> tuple[float, float]:
    """Bootstrap interval of the mean of ``values [q]``, each under a choice that was made on the other parts.

    The choices overlap in what they saw, so that the means of parts are alike and vary together. For that the variance
    is multiplied by ``1 + parts / (parts - 1)`` (C. Nadeau and Y. Bengio, Machine Learning 52, 2003). It is an
    approximation: the exact variance can't be learned from one set of queries.
    """
    mean = float(values.mean())
    factor = math.sqrt(1 + parts / (parts - 1))
    low, high = (
        mean + factor * (end - mean) for end in bootstrap_interval(values, clusters=clusters)
    )
    return low, high


def snooping_p(differences: Float64s, clusters: Clusters = None) -> float:
    """p-value of the best of c mean differences ``[c, q]`` being above 0, though it is the best of so many.

    The bootstrap of the largest t-value under the hypothesis that none is above 0 (H. White, Econometrica 68, 2000;
    in units of standard errors as P. Hansen, J. of Business & Economic Statistics 23, 2005).
    """
    n, mean = differences.shape[1], differences.mean(axis=1)
    error = (
        differences.std(axis=1) / math.sqrt(n)
        if clusters is None
        else np.sqrt(variances(differences, clusters))
    )
    varies = error > 0
    if not varies.any():
        return 1.0
    drawn = (
        resampled_means(differences[varies], resamples=RESAMPLES, clusters=clusters) - mean[varies]
    )
    largest = (drawn / error[varies]).max(axis=1)
    observed = float((mean[varies] / error[varies]).max())
    return float((np.sum(largest >= observed) + 1) / (len(largest) + 1))


def word_advice(best: Combination, top: str, about: dict[str, float], kind: str) -> str:
    what = f"{', '.join(best.models[:-1])} and {best.models[-1]} by {WAYS.get(best.method, best.method)}"
    gain, honest, low, high = (
        f"{about[name]:+.3f}".replace("-", "\N{MINUS SIGN}")
        for name in ("gain", "honest_gain", "honest_low", "honest_high")
    )
    measure = measure_words(*LEADING_MEASURES[0])
    tried = f"p = {about['p']:.3f}"
    if about["tried"] > 1:
        tried += f", allowing for the {about['tried']:,} combinations tried"
    unseen = f"{honest} [{low}, {high}] on queries that the choice did not see"
    if about["p"] < ADVICE_LEVEL and about["honest_low"] > 0:
        return f"Best {kind}: {what}: {gain} {measure} over {top}, {unseen} ({tried})."
    if about["gain"] < 0:
        return (
            f"No {kind} is worth it: even the best, {what}, loses {gain[1:]} {measure} against {top}, {unseen}. "
            f"Stay with {top}."
        )
    return (
        f"No {kind} is worth it: the best, {what}, gains {gain} {measure} over {top}, {unseen} ({tried}), "
        f"no more than noise. Stay with {top}."
    )
