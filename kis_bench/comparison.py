"""Whether one model is better than another on the same queries: paired tests, effect sizes, tiers, power."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.conditions import Condition
from kis_bench.statistics import holm, mcnemar_exact, resampled_means, sign_flip_tests

Floats = NDArray[np.float64]
#: What models are compared by: the name of the metric and k.
MEASURES = (("recall", 1), ("recall", 5), ("recall", 10), ("recall", 50), ("recall", 100), ("mrr", None))
COMPARISONS = [
    "dataset", "label_set", "metric", "k", "model_a", "model_b", "n", "value_a", "value_b", "difference", "ci_low",
    "ci_high", "test", "p", "p_holm", "wins", "ties", "losses", "effect_size", "queries_needed",
]  # fmt: skip
LEVEL, POWER = 0.05, 0.8


def values(condition: Condition, metric: str, k: int | None) -> Floats:
    """What each query adds to a measure, float64 ``[m, q]``: its hit within k, or 1 / rank."""
    return 1.0 / condition.rank if k is None else condition.hits(k)


def compare(
    condition: Condition, *, resamples: int = 10_000, permutations: int = 100_000, seed: int = 0,
    measures: Sequence[tuple[str, int | None]] = MEASURES,
) -> pd.DataFrame:  # fmt: skip
    """Every pair of models under every measure, one row each with the columns :data:`COMPARISONS`.

    a stands before b in ``condition.models``; ``difference`` is a less b, with a percentile interval over queries drawn
    jointly for all models. Hits are compared by McNemar's exact test (``test`` is "mcnemar"), other values, and hits
    that ties make shares, by the randomization test. ``p_holm`` is adjusted for all pairs under one measure.
    ``wins``, ``ties`` and ``losses`` of a compare ranks. ``effect_size`` is the mean difference over its standard
    deviation; ``queries_needed`` see :func:`queries_needed`.
    """
    pairs = list(itertools.combinations(range(len(condition.models)), 2))
    if not pairs:
        return typed(pd.DataFrame(columns=COMPARISONS))
    first, second = np.array(pairs).T
    each = np.stack([values(condition, metric, k) for metric, k in measures])  # [measures, m, q]
    means = each.mean(axis=2)
    drawn = resampled_means(each.reshape(-1, each.shape[2]), resamples=resamples, seed=seed)
    drawn = drawn.reshape(resamples, len(measures), -1)
    differences = each[:, first] - each[:, second]  # [measures, pairs, q]
    p, tests = p_values(each, differences, first, second, permutations, seed)
    won = win_tie_loss(condition)[first, second]
    names = [condition.models[i] for i in first], [condition.models[i] for i in second]
    tables = []
    for i, (metric, k) in enumerate(measures):
        low, high = np.quantile(drawn[:, i, first] - drawn[:, i, second], [0.025, 0.975], axis=0)
        tables.append(pd.DataFrame({
            "dataset": condition.dataset, "label_set": condition.label_set, "metric": metric, "k": k,
            "model_a": names[0], "model_b": names[1], "n": each.shape[2], "value_a": means[i, first],
            "value_b": means[i, second], "difference": means[i, first] - means[i, second], "ci_low": low,
            "ci_high": high, "test": tests[i], "p": p[i], "p_holm": holm(p[i]), "wins": won[:, 0], "ties": won[:, 1],
            "losses": won[:, 2], "effect_size": [effect_size(d) for d in differences[i]],
            "queries_needed": [queries_needed(d) for d in differences[i]],
        }))  # fmt: skip
    return typed(pd.concat(tables, ignore_index=True))


def typed(table: pd.DataFrame) -> pd.DataFrame:
    kinds: dict[str, str] = {"k": "Int64", "queries_needed": "Int64"}
    kinds |= dict.fromkeys(("n", "wins", "ties", "losses"), "int64")
    kinds |= dict.fromkeys(
        ("value_a", "value_b", "difference", "ci_low", "ci_high", "p", "p_holm", "effect_size"), "float64"
    )
    return table[COMPARISONS].astype(kinds)


def p_values(
    each: Floats, differences: Floats, first: NDArray[np.int64], second: NDArray[np.int64], permutations: int, seed: int
) -> tuple[Floats, list[str]]:
    """p ``[measures, pairs]``, and the name of each measure's test."""
    exact = [bool(np.isin(own, (0.0, 1.0)).all()) for own in each]
    p = np.ones(differences.shape[:2])
    for i in np.flatnonzero(exact):
        p[i] = [mcnemar_exact(np.sum(d > 0), np.sum(d < 0)) for d in differences[i]]
    shares = [i for i, binary in enumerate(exact) if not binary]
    if shares:
        rows = differences[shares].reshape(-1, differences.shape[2])
        p[shares] = sign_flip_tests(rows, permutations=permutations, seed=seed).reshape(len(shares), -1)
    return p, ["mcnemar" if binary else "randomization" for binary in exact]


def effect_size(differences: Floats) -> float:
    """Mean over standard deviation of paired differences ``[q]`` (J. Cohen's d_z); NaN where these don't vary."""
    if not differences.any():
        return 0.0
    spread = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    return float(differences.mean()) / spread if spread > 0 else math.nan


def queries_needed(differences: Floats) -> float:
    """How many queries like these ``[q]`` a two-sided test at 5% takes to see their mean with 80% power; NaN: never.

    ``((z_a sqrt(s2 + m^2) + z_b s) / m)^2`` with the mean m, variance s2 and normal quantiles z: under the hypothesis
    the second moment is the variance. For hits, s2 + m^2 is the share of discordant queries, and the formula that of
    R. Connor (Biometrics 43, 1987) for McNemar's test.
    """
    from scipy.special import ndtri

    mean = float(differences.mean())
    if mean == 0:
        return math.nan
    second = float(np.mean(differences**2))
    root = ndtri(1 - LEVEL / 2) * math.sqrt(second) + ndtri(POWER) * math.sqrt(max(second - mean**2, 0.0))
    return float(math.ceil((root / mean) ** 2))


def win_tie_loss(condition: Condition) -> NDArray[np.int64]:
    """``[m, m, 3]``: on how many queries the row's model ranks the target better, equally, worse than the column's."""
    rank = condition.rank
    better = (rank[:, None] < rank[None]).sum(axis=2)
    equal = (rank[:, None] == rank[None]).sum(axis=2)
    return np.stack([better, equal, better.T], axis=2).astype(np.int64)


def tiers(comparisons: pd.DataFrame, metric: str, k: int | None, level: float = LEVEL) -> dict[str, str]:
    """Model -> its letters under one measure, from the table that :func:`compare` gives of one condition."""
    rows = comparisons[
        (comparisons["metric"] == metric) & (comparisons["k"].isna() if k is None else comparisons["k"].eq(k))
    ]
    means: dict[str, float] = dict(zip(rows["model_a"], rows["value_a"], strict=True))
    means |= dict(zip(rows["model_b"], rows["value_b"], strict=True))
    order = sorted(means, key=lambda model: -means[model])
    apart = rows[rows["p_holm"] < level]
    return letters(order, [frozenset(pair) for pair in zip(apart["model_a"], apart["model_b"], strict=True)])


def letters(order: Sequence[str], separable: Collection[frozenset[str]]) -> dict[str, str]:
    """Letters such that two models share one if and only if they aren't separable, a for the best.

    Insert and absorb (H.-P. Piepho, J. of Computational and Graphical Statistics 13, 2004): every separable pair splits
    the groups that hold both, and groups inside others go. After z comes a1.

    >>> letters(["A", "B", "C"], [frozenset("AC")])
    {'A': 'a', 'B': 'ab', 'C': 'b'}
    """
    groups = [frozenset(order)]
    for pair in separable:
        split = [group - {model} for group in groups if pair <= group for model in sorted(pair)]
        kept = [group for group in groups if not pair <= group] + split
        groups = [g for g in dict.fromkeys(kept) if not any(g < other for other in kept)]
    place = {model: i for i, model in enumerate(order)}
    groups.sort(key=lambda group: sorted(place[model] for model in group))
    names = [chr(97 + i % 26) + (str(i // 26) if i >= 26 else "") for i in range(len(groups))]
    return {m: "".join(name for name, group in zip(names, groups, strict=True) if m in group) for m in order}
