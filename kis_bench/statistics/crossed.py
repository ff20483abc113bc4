"""Intervals and tests for judgments, each of which belongs to a person and a triplet (crossed factors).

Judgments of one person are alike, so are judgments on one triplet, and so are those on triplets of one target picture.
Treating them as independent makes intervals too narrow; people and pictures have to be drawn anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.records import Float32s, Float64s, Int64s
from kis_bench.statistics.intervals import (
    CHUNK_VALUES,
    NEAR_VALUES,
    check_confidence,
    wilson_interval,
)
from kis_bench.threads import one_blas_thread

CROSSED_RESAMPLES, RESAMPLING_SEED = 10_000, 0


@dataclass(frozen=True)
class Crossed:
    """Person and triplet of j judgments; triplets are nested in target pictures, and people cross both."""

    people: Int64s  # [j] a number of each judgment's person
    triplets: Int64s  # [j] of its triplet
    targets: NDArray[
        np.int64
    ]  # [j] and of that one's target picture, in the order of their first triplets

    @classmethod
    def of(cls, people: Any, triplets: Any, targets: Any = None) -> Crossed:
        """From names or numbers ``[j]`` of any kind; numbered from 0 without gaps.

        Args:
            targets: a triplet whose target picture is missing (None, NaN) shares it with no other; so do all without.

        Raises:
            ValueError: a triplet has two target pictures.
        """
        people, triplets = number_names(people), number_names(triplets)
        return cls(
            people, triplets, triplets if targets is None else number_targets(triplets, targets)
        )

    def where(self, chosen: NDArray[np.bool_]) -> Crossed:
        """Only the chosen judgments."""
        if chosen.all():
            return self
        return Crossed.of(self.people[chosen], self.triplets[chosen], self.targets[chosen])

    @cached_property
    def n_people(self) -> int:
        return int(self.people.max(initial=-1)) + 1

    @cached_property
    def n_triplets(self) -> int:
        return int(self.triplets.max(initial=-1)) + 1

    @cached_property
    def n_targets(self) -> int:
        return int(self.targets.max(initial=-1)) + 1

    @property
    def clusters(self) -> Int64s:
        """[j] the other unit of resampling beside people: the number of the target picture.

        Triplets if all have the same target: nobody can know about others, and figures speak of that picture only.
        """
        return self.targets if self.n_targets > 1 else self.triplets

    @property
    def n_clusters(self) -> int:
        return self.n_targets if self.n_targets > 1 else self.n_triplets

    @cached_property
    def pairs(self) -> Int64s:
        """[j] the number of the pair of person and cluster; a person may have judged several triplets of a target."""
        return number_names(self.people * self.n_clusters + self.clusters)

    @property
    def levels(self) -> int:
        """Number of levels of the smaller factor that has more than one; 1 if none has."""
        return min([n for n in (self.n_people, self.n_clusters) if n > 1], default=1)

    def quantile(self, confidence: float) -> float:
        """Two-sided quantile of Student's t with ``levels`` minus one degrees of freedom."""
        from scipy.special import stdtrit

        return float(stdtrit(self.levels - 1, (1 + confidence) / 2)) if self.levels > 1 else np.nan


def number_names(names: Any) -> Int64s:
    """A number for each name ``[j]``, equal for equal ones, from 0 without gaps."""
    return np.asarray(np.unique(np.asarray(names), return_inverse=True)[1], np.int64).reshape(-1)


def number_targets(triplets: Int64s, targets: Any) -> Int64s:
    """A number of each judgment's target picture ``[j]``; equal to ``triplets`` where no two of these share one."""
    names = pd.factorize(np.asarray(targets, object))[0].astype(np.int64)  # -1: missing
    names = np.where(names < 0, names.max(initial=-1) + 1 + triplets, names)
    where = np.unique(triplets, return_index=True)[1]
    if not (names == names[where][triplets]).all():
        raise ValueError("a triplet has two target pictures")
    _, first, number = np.unique(names[where], return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[number.reshape(-1)][triplets], np.int64)


def variance(values: Float64s, crossed: Crossed) -> float:
    """Variance of the mean of ``values [j]`` over other people and targets; NaN where it can't be estimated.

    V(people) + V(targets) - V(person and target) (C. Cameron, J. Gelbach, D. Miller, J. of Business & Economic
    Statistics 29, 2011), each by leaving out one level after the other (J. MacKinnon, M. Nielsen, M. Webb, 2023,
    prefer that for few or unequal levels). Triplets are nested in targets, so V(targets) holds what triplets vary by.
    At least half of the last term, because the sum is a noisy estimate and may come out negative. A factor with a
    single level can't be drawn anew: then the mean speaks about that person, or that target picture, only.
    """
    both = crossed.n_people > 1 and crossed.n_clusters > 1
    single = jackknife_variance(values, crossed.pairs)
    if not both:
        others = [
            codes
            for codes, n in (
                (crossed.people, crossed.n_people),
                (crossed.clusters, crossed.n_clusters),
            )
            if n > 1
        ]
        return jackknife_variance(values, others[0]) if others else np.nan
    return max(
        jackknife_variance(values, crossed.people)
        + jackknife_variance(values, crossed.clusters)
        - single,
        single / 2,
    )


def jackknife_variance(values: Float64s, codes: Int64s) -> float:
    """Jackknife variance of the mean, leaving out one cluster at a time (B. Efron and C. Stein, 1981)."""
    sizes, sums = np.bincount(codes), np.bincount(codes, values)
    if len(sizes) < 2:
        return np.nan
    without = (values.sum() - sums) / (len(values) - sizes)
    return float((len(sizes) - 1) / len(sizes) * np.sum((without - values.mean()) ** 2))


def draw_weights(
    crossed: Crossed, resamples: int = CROSSED_RESAMPLES, seed: int = RESAMPLING_SEED
) -> Iterator[Float32s]:
    """Yields the weight of each judgment in each resample, ``[r, j]`` at a time.

    People, and targets with all their triplets, are drawn with replacement, independently, and a judgment counts the
    product of its two (A. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007). Chunks hold a bounded
    number of values.
    """
    rng = np.random.default_rng(seed)
    step, near = (max(1, n // max(1, len(crossed.people))) for n in (CHUNK_VALUES, NEAR_VALUES))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        people = draw_counts(rng, size, crossed.n_people)
        clusters = draw_counts(rng, size, crossed.n_clusters)
        for first in range(0, size, near):
            some = slice(first, first + near)
            total = np.take(people[some], crossed.people, axis=1, mode="clip")  # all are in range
            total *= np.take(clusters[some], crossed.clusters, axis=1, mode="clip")
            yield total


def draw_counts(rng: np.random.Generator, resamples: int, levels: int) -> Float32s:
    """How often each level is drawn in each resample, ``[r, levels]``; a single level counts once."""
    drawn = rng.integers(0, levels, (resamples, levels), dtype=np.int64)
    drawn += levels * np.arange(resamples)[:, None]
    return (
        np.bincount(drawn.ravel(), minlength=resamples * levels)
        .reshape(resamples, levels)
        .astype(np.float32)
    )


def crossed_intervals(
    values: Float64s,
    crossed: Crossed,
    *,
    confidence: float = 0.95,
    resamples: int = CROSSED_RESAMPLES,
    seed: int = RESAMPLING_SEED,
) -> Float64s:
    """Intervals ``[m, 2]`` of the means of m columns ``[j, m]`` of shares 0 ... 1; NaN in a column does not count.

    Quantiles of the resampled means, drawn towards the mean as `calibrate` says. All columns share the draws.
    Where all values are equal, resampling would pretend certainty: then Wilson's interval over the targets is given.
    """
    check_confidence(confidence)
    known = ~np.isnan(values)
    sums, sizes = (part.astype(np.float32) for part in (np.where(known, values, 0.0), known))
    whole = bool(known.all())
    draws = np.full((resamples, values.shape[1]), np.nan)
    done = 0
    with one_blas_thread(CHUNK_VALUES * values.shape[1]):
        for chunk in draw_weights(crossed, resamples, seed):
            total = chunk.sum(axis=1, keepdims=True) if whole else chunk @ sizes
            with np.errstate(invalid="ignore"):  # 0 / 0: nothing of a column was drawn
                draws[done : done + len(chunk)] = (chunk @ sums) / total
            done += len(chunk)
    found = np.full((values.shape[1], 2), np.nan)
    for column in range(values.shape[1]):
        some = known[:, column]
        if not some.any():
            continue
        own, part = values[some, column], crossed.where(some)
        if (own == own[0]).all():
            found[column] = wilson_interval(own[0] * part.n_clusters, part.n_clusters, confidence)
        else:
            found[column] = calibrate(draws[:, column], own, part, confidence)
    return np.asarray(np.clip(found, 0.0, 1.0))


def calibrate(
    draws: Float64s, values: Float64s, crossed: Crossed, confidence: float = 0.95
) -> Float64s:
    """The interval ``[2]`` of the mean of ``values [j]`` from resampled means ``[r]``, with the spread that is right.

    Drawing two factors counts what is peculiar to single judgments three times (Owen 2007): the draws vary by
    V(people) + V(targets) + V(person and target), where `variance` has a minus. They are moved towards the
    mean by the ratio of the two standard deviations, and away from it by that of Student's and the normal quantile.
    Draws that don't vary, because all clusters have one mean, pretend certainty: then it is Wilson's over the targets.
    """
    from scipy.special import ndtri

    spread, right, mean = float(np.nanstd(draws)), variance(values, crossed), float(values.mean())
    tail = (1 - confidence) / 2
    if not np.isfinite(right) or crossed.levels == 1:
        return np.array([np.nan, np.nan])
    if spread == 0 or right == 0:
        return np.array(wilson_interval(mean * crossed.n_clusters, crossed.n_clusters, confidence))
    ratio = float(np.sqrt(right) / spread) * crossed.quantile(confidence) / ndtri(1 - tail)
    return np.asarray(mean + ratio * (np.nanquantile(draws, [tail, 1 - tail]) - mean), np.float64)


def paired_test(
    first: Float64s, second: Float64s, crossed: Crossed, confidence: float = 0.95
) -> tuple[float, ...]:
    """Difference of two means over the same judgments ``[j]``, its interval, and the two-sided p-value.

    Student's t of the difference over the root of its `variance`. NaN where either is NaN, which leaves the
    judgment out; where the differences don't vary, p is that of a sign test over the people, or targets if fewer, and
    there is no interval.
    """
    from scipy.special import stdtr

    some = ~np.isnan(first) & ~np.isnan(second)
    if not some.any():
        return np.nan, np.nan, np.nan, np.nan
    each, part = first[some] - second[some], crossed.where(some)
    difference = float(each.mean())
    error = float(np.sqrt(variance(each, part)))
    if (each == each[0]).all() or not error > 0:
        return difference, np.nan, np.nan, 1.0 if difference == 0 else 2.0 ** (1 - part.levels)
    half = part.quantile(confidence) * error
    p = float(2 * stdtr(part.levels - 1, -abs(difference) / error))
    return difference, difference - half, difference + half, p


def correlation_interval(
    x: Float64s, y: Float64s, crossed: Crossed, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of Pearson's correlation of ``[j]`` and ``[j]``; of midranks: of Spearman's, as if the ranks were given.

    R. Fisher's z plus and minus Student's t times the root of the `variance` of its influence, which for
    standard scores a, b and the correlation r is ``(a b - r (a^2 + b^2) / 2) / (1 - r^2)`` (S. Devlin, R. Gnanadesikan,
    J. Kettenring, Biometrika 62, 1975). NaN where either is constant or nobody can know.
    """
    some = np.isfinite(x) & np.isfinite(y)
    part = crossed.where(some)
    if some.sum() < 3 or np.ptp(x[some]) == 0 or np.ptp(y[some]) == 0:
        return np.nan, np.nan
    a, b = ((values - values.mean()) / values.std() for values in (x[some], y[some]))
    r = float(np.mean(a * b))
    if abs(r) > 1 - 1e-12:
        return r, r
    error = np.sqrt(variance((a * b - r * (a * a + b * b) / 2) / (1 - r * r), part))
    if not error > 0:
        return np.nan, np.nan
    half = part.quantile(confidence) * error
    return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))
