"""Recall@k against the size of the collection, from ranks alone: exact for smaller, extrapolated for larger ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kis_bench.analysis.conditions import Condition
from kis_bench.records import Float64s, Int64s
from kis_bench.statistics.clusters import share_intervals

GROWTH = [
    "dataset",
    "label_set",
    "model",
    "k",
    "size",
    "value",
    "ci_low",
    "ci_high",
    "low",
    "high",
    "extrapolated",
]
GROWTH_CUTOFFS = (1, 10, 100)
PRIORS = (0.5, 1.0, 0.0)  #: of the share of rivals that outrank a target; the first gives the value
STEPS = 12  #: sizes in each power of ten
SMALLEST = 10
SUMMED = (
    4096  #: places of a tie that are summed one by one; a longer one is the difference of two sums
)


def expected_recall(
    best: ArrayLike, worst: ArrayLike, n_items: int, k: int, sizes: ArrayLike
) -> Float64s:
    """Recall@k in random parts of the collection that hold the target: float64 ``[s]`` for sizes 1 ... n_items.

    Of the size - 1 other items, the number that stand before a target of rank r is hypergeometric: drawn without
    replacement from n_items - 1, of which r - 1 do. It has to stay below k. Ranks best ... worst are equally likely.

    >>> expected_recall([1, 3], [1, 3], 5, 1, [1, 3, 5]).round(3).tolist()
    [1.0, 0.583, 0.5]
    """
    return np.asarray(hits_in_parts(best, worst, n_items, k, sizes).mean(axis=1), np.float64)


def extrapolated_recall(
    best: ArrayLike, worst: ArrayLike, n_items: int, k: int, sizes: ArrayLike, prior: float = 0.5
) -> Float64s:
    """Recall@k in larger collections, as if further items were like these: float64 ``[s]`` for sizes >= n_items.

    How likely an item outranks the target is unknown; r - 1 of n_items - 1 did. With a Beta(prior, prior) distribution
    before, the number among the new items is beta-binomial. ``prior`` 0 takes the share that was seen for the truth
    where it is 0, so that no further item outranks a target in first place; 1 is the uniform prior; 0.5 that of
    H. Jeffreys.

    >>> extrapolated_recall([1], [1], 100, 1, [100, 200], prior=1).round(3).tolist()
    [1.0, 0.5]
    """
    return np.asarray(hits_beyond(best, worst, n_items, k, sizes, prior).mean(axis=1), np.float64)


def hits_in_parts(
    best: ArrayLike, worst: ArrayLike, n_items: int, k: int, sizes: ArrayLike
) -> Float64s:
    """What each query adds to `expected_recall`: float64 ``[s, q]``.

    Of the places 1 ... n_items - 1 of the rivals let Y be the k-th that is drawn. A target of rank r is among the first
    k where Y >= r; so the mean over the ranks of a tie is P(Y >= worst), and for each place y from best to worst - 1
    its probability times the share of the tie's ranks up to y.
    """
    (first, last), wanted = (
        check_ranks_within(best, worst, n_items, k),
        check_sizes(sizes, 1, n_items),
    )
    pairs, which = np.unique(np.stack([first, last]), axis=1, return_inverse=True)
    found = np.asarray(hypergeometric(k - 1, n_items - 1, pairs[1] - 1, wanted[:, None] - 1))
    for i in np.flatnonzero(pairs[0] < pairs[1]):
        found[:, i] += tie_share(int(pairs[0, i]), int(pairs[1, i]), n_items, k, wanted)
    return np.asarray(np.clip(found, 0.0, 1.0)[:, which.reshape(-1)], np.float64)


def tie_share(best: int, worst: int, n_items: int, k: int, sizes: Int64s) -> Float64s:
    """Sum over y = best ... worst - 1 of P(Y = y) (y - best + 1) / (worst - best + 1): ``[s]``.

    Of a long tie, y P(Y = y) is k n_items / size times the probability that y + 1 is the k+1-th that is drawn when
    ``size`` of n_items are: its sum is a difference of distribution functions.
    """
    drawn, width = sizes[:, None] - 1, worst - best + 1
    if width <= SUMMED:
        y = np.arange(best, worst)
        places = (
            log_choose(y - 1, k - 1)
            + log_choose(n_items - 1 - y, drawn - k)
            - log_choose(n_items - 1, drawn)
        )
        return np.asarray(np.exp(places) @ ((y - best + 1) / width), np.float64)
    ends = np.array([best, worst])
    at_least = hypergeometric(k - 1, n_items - 1, ends - 1, drawn)
    weighed = k * n_items / sizes * -np.diff(hypergeometric(k, n_items, ends, drawn + 1))[:, 0]
    return np.asarray((weighed + (best - 1) * np.diff(at_least)[:, 0]) / width, np.float64)


def hits_beyond(
    best: ArrayLike, worst: ArrayLike, n_items: int, k: int, sizes: ArrayLike, prior: float = 0.5
) -> Float64s:
    """What each query adds to `extrapolated_recall`: float64 ``[s, q]``."""
    (first, last), wanted = (
        check_ranks_within(best, worst, n_items, k),
        check_sizes(sizes, n_items, None),
    )
    if not prior >= 0:
        raise ValueError(f"prior {prior} is not a number from 0")
    # Only the ranks 1 ... k of a tie have a chance; so their sum is one of the first k columns.
    rank = np.arange(1, min(k, n_items) + 1)
    a, b = (np.asarray(seen + prior, np.float64) for seen in (rank - 1, n_items - rank))
    sums = np.zeros((len(wanted), len(rank) + 1))
    np.cumsum(beta_binomial(k - rank, wanted[:, None] - n_items, a, b), axis=1, out=sums[:, 1:])
    top = sums[:, np.minimum(last, len(rank))] - sums[:, np.minimum(first - 1, len(rank))]
    return np.asarray(np.clip(top / (last - first + 1), 0.0, 1.0), np.float64)


def check_ranks_within(
    best: ArrayLike, worst: ArrayLike, n_items: int, k: int
) -> tuple[Int64s, Int64s]:
    first, last = np.asarray(best), np.asarray(worst)
    if first.shape != last.shape or first.ndim != 1 or not len(first):
        raise ValueError("best and worst are rows of ranks of the same queries, at least one")
    whole = (first == np.floor(first)) & (last == np.floor(last))
    if not (whole & (first >= 1) & (first <= last) & (last <= n_items)).all():
        raise ValueError(f"ranks have to be whole numbers, 1 <= best <= worst <= {n_items}")
    if k < 1:
        raise ValueError(f"k is {k}: at least 1 is needed")
    return first.astype(np.int64), last.astype(np.int64)


def check_sizes(sizes: ArrayLike, least: int, most: int | None) -> Int64s:
    wanted = np.asarray(sizes)
    if wanted.ndim != 1 or (wanted != np.floor(wanted)).any():
        raise ValueError("sizes are a row of whole numbers")
    if (wanted < least).any() or (most is not None and (wanted > most).any()):
        raise ValueError(
            f"sizes have to be at least {least}" + ("" if most is None else f" and at most {most}")
        )
    return wanted.astype(np.int64)


def log_choose(n: ArrayLike, chosen: ArrayLike) -> Float64s:
    """Logarithm of the binomial coefficient; minus infinity where it is 0."""
    from scipy.special import gammaln

    n, chosen = np.asarray(n), np.asarray(chosen)
    inside = (chosen >= 0) & (chosen <= n)
    safe, top = np.where(inside, chosen, 0), np.maximum(n, 0)
    log = gammaln(top + 1.0) - gammaln(safe + 1.0) - gammaln(top - safe + 1.0)
    return np.where(inside, log, -np.inf)


def hypergeometric(x: int, total: int, good: Int64s, drawn: Int64s) -> Float64s:
    """P(X <= x) of drawing ``drawn [s, 1]`` from ``total``, of which ``good [r]``: a sum of x + 1 terms, ``[s, r]``."""
    whole, found = log_choose(total, drawn), np.zeros(np.broadcast_shapes(good.shape, drawn.shape))
    for i in range(min(x, int(good.max(initial=0))) + 1):
        found += np.exp(log_choose(good, i) + log_choose(total - good, drawn - i) - whole)
    return np.where((good <= x) | (drawn <= x), 1.0, np.minimum(found, 1.0))


def beta_binomial(x: Int64s, n: Int64s, a: Float64s, b: Float64s) -> Float64s:
    """P(X <= x) for ``x, a, b [r]``, x >= 0, and ``n [s, 1]``: ``[s, r]``; a = 0: none ever, else b = 0: all n."""
    from scipy.special import betaln

    found = np.zeros(np.broadcast_shapes(x.shape, n.shape))
    some = np.flatnonzero((a > 0) & (b > 0))
    for i in range(int(np.max(x[some], initial=-1)) + 1):
        here = some[x[some] >= i]
        terms = (
            log_choose(n, i)
            + betaln(i + a[here], np.maximum(n - i, 0) + b[here])
            - betaln(a[here], b[here])
        )
        found[:, here] += np.exp(terms)
    return np.where((a <= 0) | (x >= n), 1.0, np.minimum(found, 1.0))


def compute_growth(
    condition: Condition,
    *,
    ks: Sequence[int] = GROWTH_CUTOFFS,
    sizes: ArrayLike | None = None,
    upto: int = 1_000_000,
) -> pd.DataFrame:
    """Recall@k of every model at sizes from ten items to ``upto``, columns `GROWTH`.

    ``ci_low`` and ``ci_high``: 95% over queries (`kis_bench.statistics.clusters.share_intervals`); at the whole
    collection Wilson's, where no target is tied. ``low`` and ``high``: beyond the collection, the least and the most
    that the priors 0, 0.5 and 1 give, which is 1 and 0 unless k is near the size of the collection; within it
    ``value``.
    """
    n, shape = condition.n_items, condition.best.shape
    wanted = spread_sizes(n, upto) if sizes is None else np.unique(check_sizes(sizes, 1, None))
    within, beyond = wanted[wanted <= n], wanted[wanted > n]
    best, worst = condition.best.ravel(), condition.worst.ravel()
    tables = []
    for k in ks:
        parts = hits_in_parts(best, worst, n, k, within)
        chances = [
            np.concatenate([parts, hits_beyond(best, worst, n, k, beyond, prior)])
            for prior in PRIORS
        ]
        each = (
            np.stack(chances).reshape(len(PRIORS), len(wanted), *shape).swapaxes(1, 2)
        )  # [priors, m, s, q]
        means = each.mean(axis=3).reshape(len(PRIORS), -1)
        low, high = share_intervals(each[0].reshape(-1, shape[1]), clusters=condition.clusters)
        tables.append(
            pd.DataFrame(
                {
                    "dataset": condition.dataset,
                    "label_set": condition.label_set,
                    "model": np.repeat(np.array(condition.models, object), len(wanted)),
                    "k": k,
                    "size": np.tile(wanted, shape[0]),
                    "value": means[0],
                    "ci_low": low,
                    "ci_high": high,
                    "low": means.min(axis=0),
                    "high": means.max(axis=0),
                    "extrapolated": np.tile(wanted > n, shape[0]),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)[GROWTH] if tables else pd.DataFrame(columns=GROWTH)


def spread_sizes(n_items: int, upto: int) -> Int64s:
    """Sizes evenly on the log axis, the powers of ten and the whole collection among them."""
    most = max(n_items, upto)
    steps = np.geomspace(
        SMALLEST, most, 1 + int(STEPS * np.log10(max(most / SMALLEST, 1.0001)))
    ).round()
    tens = 10 ** np.arange(1, int(np.log10(most)) + 1)
    found = np.unique(np.concatenate([steps, tens, [n_items]]).astype(np.int64))
    return found[(found >= 1) & (found <= most)]
