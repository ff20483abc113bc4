"""Annotators of one label set: how well models find what each describes, and how far they agree on the same targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kis_bench.analysis.conditions import Condition
from kis_bench.metrics import FEW_MEASURES, KNOWN, compute_values
from kis_bench.records import Float64s
from kis_bench.statistics import resampled_means, wilson_interval
from kis_bench.statistics.paired_intervals import difference_intervals

ANNOTATORS = [
    "dataset",
    "label_set",
    "model",
    "annotator",
    "metric",
    "k",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "n_targets",
]
AGREEMENT = [
    "dataset",
    "label_set",
    "model",
    "n_annotators",
    "n_targets",
    "n",
    "found_alike",
    "alpha_found",
    "alpha_found_low",
    "alpha_found_high",
    "octaves_apart",
    "alpha_rank",
    "alpha_rank_low",
    "alpha_rank_high",
]
FOUND = 10  #: places within which a target counts as found


def list_annotators(rows: pd.DataFrame, condition: Condition) -> NDArray[np.object_]:
    """Who wrote each query of a condition ``[q]``, None where nobody knows; ``rows``: of a run's table of ranks."""
    if "annotator" not in rows:
        return np.full(len(condition.queries), None, object)
    own = rows[rows["annotator"].notna() & rows["annotator"].ne("")]
    known = dict(zip(own["query_id"].astype(str), own["annotator"].astype(str), strict=True))
    return np.array([known.get(query) for query in condition.queries], object)


def by_annotator(rows: pd.DataFrame, condition: Condition) -> pd.DataFrame:
    """Figures of every model on the queries of each annotator, columns `ANNOTATORS`.

    Intervals are clustered by target. Without rows where fewer than two annotators are known.
    """
    who = list_annotators(rows, condition)
    names = sorted({name for name in who if name is not None})
    found: list[tuple[Any, ...]] = []
    for name in names if len(names) > 1 else ():
        own = condition.asked(
            [query for query, each in zip(condition.queries, who, strict=True) if each == name]
        )
        n = len(own.queries), own.n_targets
        for metric, k in FEW_MEASURES:
            each = compute_values(own, metric, k)
            if KNOWN[metric].kind == "proportion":
                intervals: Any = [wilson_interval(row, clusters=own.clusters) for row in each]
            else:
                intervals = np.clip(difference_intervals(each, clusters=own.clusters), 0.0, 1.0)
            for model, row, (low, high) in zip(own.models, each, intervals, strict=True):
                key = condition.dataset, condition.label_set, model, name
                found.append((*key, metric, k, row.mean(), low, high, *n))
    table = pd.DataFrame(found, columns=ANNOTATORS).astype({"k": "Int64"})
    order = {model: i for i, model in enumerate(condition.models)}
    return table.sort_values(
        "model", key=lambda column: column.map(order), kind="stable", ignore_index=True
    )


def between_annotators(rows: pd.DataFrame, condition: Condition) -> pd.DataFrame:
    """How far annotators agree on targets that several described, a row for each model, columns `AGREEMENT`.

    Two texts of one target agree where the model finds it within the first ten by both or by neither:
    ``found_alike`` is the share of pairs that do, ``alpha_found`` the same beyond chance
    (`krippendorff_alpha`). ``octaves_apart`` is the root of the mean squared difference of log2 of their ranks,
    ``alpha_rank`` the part of these logarithms' variation that is the target's, whoever describes it. Intervals are
    percentile bootstrap over targets. An annotator's several queries of a target count with their mean.
    """
    who = list_annotators(rows, condition)
    names = sorted({name for name in who if name is not None})
    clusters = np.arange(len(who)) if condition.clusters is None else condition.clusters
    known = np.array([name is not None for name in who], bool)
    place = {name: i for i, name in enumerate(names)}
    cell = clusters[known] * max(1, len(names)) + np.array(
        [place[name] for name in who[known]], np.int64
    )
    shape = (int(clusters.max()) + 1, len(names))
    counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    shared = (counts > 0).sum(axis=1) > 1
    if not shared.any():
        return pd.DataFrame(columns=AGREEMENT)
    found = []
    for i, model in enumerate(condition.models):
        about: list[float] = []
        for each in (condition.hits(FOUND)[i], np.log2(condition.rank[i])):
            with np.errstate(invalid="ignore"):
                units = np.bincount(cell, each[known], shape[0] * shape[1]).reshape(shape) / counts
            parts = coincidences(units[shared])
            observed = float(parts[0].sum() / parts[1].sum())
            about += [observed, krippendorff_alpha(units[shared]), *alpha_interval(parts)]
        numbers = (
            int((counts[shared] > 0).any(axis=0).sum()),
            int(shared.sum()),
            int(counts[shared].sum()),
        )
        key = condition.dataset, condition.label_set, model
        found.append((*key, *numbers, 1 - about[0], *about[1:4], np.sqrt(about[4]), *about[5:]))
    return pd.DataFrame(found, columns=AGREEMENT)


def krippendorff_alpha(units: ArrayLike) -> float:
    """Agreement beyond chance of values ``[u, a]`` that a annotators give to u units, NaN where one gives none.

    1 - observed / expected squared difference (K. Krippendorff, Content Analysis, 2004, chapter 11, interval metric; of
    0 and 1 also the nominal one): 1 is perfect, 0 what chance gives. Units with one value don't count. NaN where all
    values are equal, as then nothing could have differed.
    """
    return float(alphas(coincidences(np.asarray(units, np.float64)).sum(axis=1)[None])[0])


def coincidences(units: Float64s) -> Float64s:
    """What each unit adds ``[4, u]``: squared differences of its pairs, each value counted once; and the number, sum
    and sum of squares of its values."""
    known = ~np.isnan(units)
    number = known.sum(axis=1)
    values = np.where(known, units, 0.0)
    total, square = values.sum(axis=1), (values**2).sum(axis=1)
    pairable = number > 1
    apart = np.where(pairable, 2 * (number * square - total**2) / np.maximum(number - 1, 1), 0.0)
    return np.stack(
        [np.maximum(apart, 0.0), number * pairable, total * pairable, square * pairable]
    )


def alphas(sums: Float64s) -> Float64s:
    """Krippendorff's alpha ``[r]`` from sums ``[r, 4]`` of `coincidences`."""
    apart, number, total, square = sums.T
    all_pairs = 2 * (number * square - total**2)
    varies = all_pairs > 1e-9 * number * np.maximum(square, 1e-300)
    ratio = np.divide(apart, all_pairs, out=np.full(len(sums), np.nan), where=varies)
    return np.asarray(1 - (number - 1) * ratio, np.float64)


def alpha_interval(parts: Float64s, resamples: int = 2_000) -> tuple[float, float]:
    """Percentile bootstrap over units of what `coincidences` gives; NaN where a resample may not vary."""
    drawn = alphas(resampled_means(parts, resamples=resamples) * parts.shape[1])
    if parts.shape[1] < 2 or np.isnan(drawn).all():
        return np.nan, np.nan
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)
