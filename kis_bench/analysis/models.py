"""Whether one model is better than another on the same queries: paired tests, effect sizes, tiers, power."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.analysis.conditions import Condition
from kis_bench.metrics import KNOWN, MEASURES, Measure, compute_values
from kis_bench.records import Float64s, Int64s
from kis_bench.statistics import holm, paired_tests
from kis_bench.statistics.clusters import design_effects
from kis_bench.statistics.paired_intervals import (
    difference_intervals,
    hit_intervals,
    mean_differences,
    standard_deviation,
)

COMPARISONS = [
    "dataset",
    "label_set",
    "metric",
    "k",
    "model_a",
    "model_b",
    "n",
    "n_targets",
    "value_a",
    "value_b",
    "difference",
    "ci_low",
    "ci_high",
    "test",
    "p",
    "p_holm",
    "wins",
    "ties",
    "losses",
    "effect_size",
    "queries_needed",
]
ALPHA, POWER = 0.05, 0.8
TEXT = {"dataset", "label_set", "metric", "model_a", "model_b", "test"}
#: For more than 52 tiers: Greek, Cyrillic, Chinese and so on.
OTHER_LETTERS = [c for c in map(chr, range(0x3B1, 0xA000)) if c.isalpha()]


def compare(
    condition: Condition,
    *,
    resamples: int = 10_000,
    permutations: int = 100_000,
    seed: int = 0,
    measures: Sequence[Measure] = MEASURES,
) -> pd.DataFrame:
    """Every pair of models under every measure, one row each with the columns `COMPARISONS`.

    a stands before b in ``condition.models``; ``difference`` is a minus b, its 95% interval ``ci_low`` to ``ci_high``
    that of `hit_intervals` for proportions and of `difference_intervals` for means. Where both models' hits
    are all 0 or 1, ``test`` is "mcnemar", McNemar's exact test; where ties make them shares, and for means, it is
    "randomization", the sign-flip test, with the same flips for all pairs. ``p_holm`` is adjusted for the family of all
    pairs under one measure in this condition; other measures and conditions are families of their own. ``wins``,
    ``ties`` and ``losses`` count queries where a ranks the target better, equally, worse, whatever the measure. For
    ``effect_size`` and ``queries_needed`` see the functions of those names. Intervals and tests are clustered by
    ``condition.clusters``, of which there are ``n_targets``.
    """
    first, second = np.triu_indices(len(condition.models), 1)
    if not len(first):
        return set_types(pd.DataFrame(columns=COMPARISONS))
    each = np.stack(
        [compute_values(condition, metric, k) for metric, k in measures]
    )  # [measures, m, q]
    differences, means = each[:, first] - each[:, second], each.mean(axis=2)
    proportions = [KNOWN[metric].kind == "proportion" for metric, _ in measures]
    binary = np.isin(each, (0.0, 1.0)).all(axis=2) & np.array(proportions)[:, None]
    exact = binary[:, first] & binary[:, second]
    clusters = condition.clusters
    p = paired_tests(differences, exact, permutations=permutations, seed=seed, clusters=clusters)
    names, won = np.array(condition.models, dtype=object), win_tie_loss(condition)[first, second]
    tables = []
    for i, (metric, k) in enumerate(measures):
        own, hits = differences[i], proportions[i]
        low, high = (
            hit_intervals(own, clusters)
            if hits
            else difference_intervals(own, resamples=resamples, seed=seed, clusters=clusters)
        ).T
        tables.append(
            pd.DataFrame(
                {
                    "dataset": condition.dataset,
                    "label_set": condition.label_set,
                    "metric": metric,
                    "k": pd.array([k] * len(own), "Int64"),
                    "model_a": names[first],
                    "model_b": names[second],
                    "n": each.shape[2],
                    "n_targets": condition.n_targets,
                    "value_a": means[i, first],
                    "value_b": means[i, second],
                    "difference": mean_differences(own),
                    "ci_low": low,
                    "ci_high": high,
                    "test": np.where(exact[i], "mcnemar", "randomization"),
                    "p": p[i],
                    "p_holm": holm(p[i]),
                    "wins": won[:, 0],
                    "ties": won[:, 1],
                    "losses": won[:, 2],
                    "effect_size": effect_size(own),
                    "queries_needed": queries_needed(own, hits=hits, clusters=clusters),
                }
            )
        )
    return set_types(pd.concat(tables, ignore_index=True))


def set_types(table: pd.DataFrame) -> pd.DataFrame:
    kinds = dict.fromkeys(COMPARISONS, "float64") | dict.fromkeys(TEXT, "object")
    kinds |= dict.fromkeys(("n", "n_targets", "wins", "ties", "losses"), "int64") | {
        "k": "Int64",
        "queries_needed": "Int64",
    }
    return table[COMPARISONS].astype(kinds)


def effect_size(differences: Float64s) -> Float64s:
    """Mean over standard deviation of paired differences ``[c, q]`` -> ``[c]``: d_z (J. Cohen, Statistical Power
    Analysis for the Behavioral Sciences, 1988).

    0 where the mean is 0; NaN where the differences are equal but not 0, because nothing tells how they vary.
    """
    mean, spread = mean_differences(differences), standard_deviation(differences)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean == 0, 0.0, np.where(spread > 0, mean / spread, np.nan))


def queries_needed(
    differences: Float64s, *, hits: bool, clusters: Int64s | None = None
) -> Float64s:
    """How many queries like these ``[c, q]`` a two-sided test at 5% takes to see their mean with 80% power: ``[c]``.

    ``((z_a + z_b) / d_z)^2`` with normal quantiles z and `effect_size`. For hits the formula for McNemar's test,
    ``((z_a sqrt(s) + z_b sqrt(s - d^2)) / d)^2`` with the share s of queries that differ and the difference d of the
    recalls (O. Miettinen, Biometrics 24, 1968; R. Connor, Biometrics 43, 1987); under ties s is the mean square. Both
    are approximations for large numbers. NaN where the mean is 0 or nothing tells how the differences vary: no number
    is enough, or none can be given. With clusters it takes `kis_bench.statistics.clusters.design_effects` as
    many, if targets have as many queries each as these.
    """
    from scipy.special import ndtri

    at_alpha, at_power = float(ndtri(1 - ALPHA / 2)), float(ndtri(POWER))
    mean = mean_differences(differences)
    with np.errstate(divide="ignore", invalid="ignore"):
        if hits:
            share = np.mean(differences**2, axis=1)
            root = at_alpha * np.sqrt(share) + at_power * np.sqrt(np.maximum(share - mean**2, 0.0))
            needed = (root / mean) ** 2
        else:
            needed = ((at_alpha + at_power) / effect_size(differences)) ** 2
        needed = np.ceil(needed * design_effects(differences, clusters))
    return np.where((mean != 0) & (needed < 1e15), needed, np.nan)  # what is more is rounding


def win_tie_loss(condition: Condition) -> Int64s:
    """``[m, m, 3]``: on how many queries the row's model ranks the target better, equally, worse than the column's."""
    rank = condition.rank
    better = np.stack([(own < rank).sum(axis=1) for own in rank]).astype(np.int64)
    return np.stack([better, rank.shape[1] - better - better.T, better.T], axis=2)


def select_measure(table: pd.DataFrame, metric: str, k: int | None) -> pd.DataFrame:
    """The rows about one measure of a table with columns ``metric`` and ``k``."""
    cutoff = table["k"].isna() if k is None else table["k"].eq(k)
    return table[(table["metric"] == metric) & cutoff]


def look_up_figures(metrics: pd.DataFrame) -> dict[tuple[str, str, int | None], Mapping[str, Any]]:
    """The rows of one condition's metrics by model, metric and k; of several rows the first."""
    found: dict[tuple[str, str, int | None], Mapping[str, Any]] = {}
    for row in metrics.to_dict("records"):
        k = None if pd.isna(row["k"]) else int(row["k"])
        named = {str(column): cell for column, cell in row.items()}
        found.setdefault((str(row["model"]), str(row["metric"]), k), named)
    return found


def tiers(
    comparisons: pd.DataFrame, metric: str, k: int | None, alpha: float = ALPHA
) -> dict[str, str]:
    """Model -> its `letters` under one measure, from the table that `compare` gives of one condition."""
    rows = select_measure(comparisons, metric, k)
    means: dict[str, float] = {}
    for side in ("a", "b"):
        means |= dict(zip(rows[f"model_{side}"], rows[f"value_{side}"], strict=True))
    order = sorted(means, key=lambda model: -means[model])
    pairs = zip(rows["model_a"], rows["model_b"], rows["p_holm"] < alpha, strict=True)
    return letters(order, {frozenset((a, b)): bool(apart) for a, b, apart in pairs})


def letters(order: Sequence[str], separable: Mapping[frozenset[str], bool]) -> dict[str, str]:
    """Letters such that two models share one if and only if they aren't separable, a for the best tier.

    Insert and absorb (H.-P. Piepho, J. of Computational and Graphical Statistics 13, 2004): every separable pair splits
    the tiers that hold both, and tiers inside others go. ``order`` has the best model first. Each tier has one
    character: a to z, A to Z, then the letters of other alphabets.

    >>> letters(["A", "B", "C"], {frozenset("AC"): True})
    {'A': 'a', 'B': 'ab', 'C': 'b'}
    """
    found = [frozenset(order)]
    for pair in (pair for pair, apart in separable.items() if apart):
        split = [tier - {model} for tier in found if pair <= tier for model in sorted(pair)]
        kept = list(dict.fromkeys([tier for tier in found if not pair <= tier] + split))
        found = [tier for tier in kept if not any(tier < other for other in kept)]
    place = {model: i for i, model in enumerate(order)}
    found.sort(key=lambda tier: sorted(place[model] for model in tier))
    alphabet = itertools.chain(
        "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", OTHER_LETTERS
    )
    named = list(zip(alphabet, found, strict=False))
    return {model: "".join(letter for letter, tier in named if model in tier) for model in order}
