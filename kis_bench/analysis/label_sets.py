"""What the text is worth: any two label sets compared on the same targets, and ranks against the length of texts."""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import category, normalize

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.analysis.conditions import Condition
from kis_bench.metrics import (
    FEW_MEASURES,
    MEDIAN_RANK,
    compute_values,
    hits_at_k,
    mean_reciprocal_rank,
)
from kis_bench.records import Float64s
from kis_bench.statistics import adjust_known, paired_tests, resampled_means, wilson_interval
from kis_bench.statistics.clusters import cluster_by_target, count_clusters

SUMMARY = [
    "dataset",
    "label_set_a",
    "label_set_b",
    "model",
    "metric",
    "k",
    "n",
    "n_targets",
    "value_a",
    "value_b",
    "difference",
    "ci_low",
    "ci_high",
    "p",
    "p_holm",
]
GAINS = [
    "dataset",
    "label_set_a",
    "label_set_b",
    "model",
    "query_a",
    "query_b",
    "item_id",
    "rank_a",
    "rank_b",
    "ratio",
]
LENGTHS = [
    "dataset",
    "label_set",
    "model",
    "words_low",
    "words_high",
    "n",
    "n_targets",
    "recall_at_10",
    "ci_low",
    "ci_high",
    "mrr",
]
CORRELATIONS = ["dataset", "model", "measure", "rho", "ci_low", "ci_high", "n"]
MEASURES = ("words", "characters", "detail")  #: of a text
RANK_RATIO = "rank_ratio"  #: in place of a metric
RESAMPLES_OF_MEDIANS = 2_000
TAILS = (0.025, 0.975)
#: Thai, Lao, Burmese, Khmer, Chinese, Japanese: written without spaces between words.
UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\ua4cf\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff])"
)


@dataclass(frozen=True)
class Matched:
    """Queries of two label sets that ask for the same target."""

    pairs: tuple[tuple[str, str], ...]  # query ids, in the order of the first
    left_out: tuple[int, int]  # queries of either side that have no partner


def match_sets(first: pd.DataFrame, second: pd.DataFrame) -> Matched:
    """Partners among the queries of two label sets of a dataset, from rows of a run's table of ranks.

    Those of equal id and equal target; of the others those whose target exactly one query of each side asks for.
    Several targets, joined by ``|``, are equal in any order.
    """
    a, b = targets(first), targets(second)
    pairs = {query: query for query, target in a.items() if b.get(query) == target}
    n_a, n_b = Counter(a.values()), Counter(b.values())
    of_b = {target: query for query, target in b.items()}
    pairs |= {query: of_b[t] for query, t in a.items() if n_a[t] == n_b[t] == 1}
    ordered = tuple((query, pairs[query]) for query in a if query in pairs)
    return Matched(ordered, (len(a) - len(ordered), len(b) - len(ordered)))


def targets(rows: pd.DataFrame) -> dict[str, frozenset[str]]:
    """Query -> its targets, in the table's order."""
    each = rows.drop_duplicates("query_id")
    return {
        str(q): frozenset(str(items).split("|"))
        for q, items in zip(each["query_id"], each["item_id"], strict=True)
    }


def compare_label_sets(
    ranks: pd.DataFrame, conditions: Sequence[Condition]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every two label sets a, b of one dataset on the targets of both, a before b among its conditions.

    First table, columns `SUMMARY`: under each model that was asked both, recall, MRR, median rank and rank ratio.
    ``difference`` is b minus a, with a percentile interval over pairs of queries; p is of McNemar's exact test for
    hits, of the randomization test for MRR, rank ratio, and hits that ties make shares; medians have none.
    ``p_holm`` is adjusted for the models. For ``rank_ratio`` the values are geometric means of the ranks and
    ``difference`` is a / b: how many times nearer the top the target stands under b.

    Second table, columns `GAINS`: for each pair of queries and model both ranks, and log2 of rank a / rank b.
    """
    summaries, gains = [], []
    of = {condition.label_set: condition for condition in conditions}
    for a, b in itertools.combinations(of, 2):
        models = tuple(model for model in of[a].models if model in of[b].models)
        own = [list_asked(ranks, of[name]) for name in (a, b)]
        pairs = match_sets(*own).pairs
        if not models or not pairs:
            continue
        sides = [
            of[name].of(models).asked([pair[side] for pair in pairs])
            for side, name in enumerate((a, b))
        ]
        names = {"dataset": of[a].dataset, "label_set_a": a, "label_set_b": b}
        summaries += [pd.DataFrame({**names, **columns}) for columns in compare_sets(*sides)]
        item = dict(zip(own[0]["query_id"].astype(str), own[0]["item_id"].astype(str), strict=True))
        rank_a, rank_b = (side.rank.ravel() for side in sides)
        gains.append(
            pd.DataFrame(
                {
                    **names,
                    "model": np.repeat(np.array(models, object), len(pairs)),
                    "query_a": [x for x, _ in pairs] * len(models),
                    "query_b": [x for _, x in pairs] * len(models),
                    "item_id": [item[x] for x, _ in pairs] * len(models),
                    "rank_a": rank_a,
                    "rank_b": rank_b,
                    "ratio": np.log2(rank_a / rank_b),
                }
            )
        )
    summary = (
        pd.concat(summaries, ignore_index=True)[SUMMARY]
        if summaries
        else pd.DataFrame(columns=SUMMARY)
    )
    order = ["label_set_a", "label_set_b", "model"]
    summary = pd.concat(
        [part for _, part in summary.groupby(order, sort=False)] or [summary], ignore_index=True
    )
    return summary.astype({"k": "Int64"}), pd.concat(
        gains, ignore_index=True
    ) if gains else pd.DataFrame(columns=GAINS)


def list_asked(ranks: pd.DataFrame, condition: Condition) -> pd.DataFrame:
    """A row for each query of a condition."""
    own = ranks[ranks["label_set"].astype(str) == condition.label_set].drop_duplicates("query_id")
    return own[own["query_id"].astype(str).isin(condition.queries)]


def compare_sets(a: Condition, b: Condition) -> Iterator[dict[str, Any]]:
    """For each metric the columns from ``model`` of `SUMMARY`; query i of a and of b ask for the same target.

    Where several pairs ask for one target, intervals and tests are clustered by it.
    """
    m, n = a.rank.shape
    shares = [(compute_values(a, *each), compute_values(b, *each)) for each in FEW_MEASURES]
    shares.append((-np.log2(a.rank), -np.log2(b.rank)))
    differences = np.stack([second - first for first, second in shares])  # [metrics, m, n]
    drawn = resampled_means(differences.reshape(-1, n), clusters=a.clusters)
    low, high = np.quantile(drawn, TAILS, axis=0).reshape(2, len(shares), m)
    exact = [np.full(m, bool(np.isin(pair, (0.0, 1.0)).all())) for pair in shares]
    p = paired_tests(differences, np.stack(exact), clusters=a.clusters)

    def columns(
        metric: str, k: int | None, values: Any, difference: Any, interval: Any, p: Any
    ) -> dict[str, Any]:
        return {
            "model": list(a.models),
            "metric": metric,
            "k": pd.array([k] * m, "Int64"),
            "n": n,
            "n_targets": a.n_targets,
            "value_a": values[0],
            "value_b": values[1],
            "difference": difference,
            "ci_low": interval[0],
            "ci_high": interval[1],
            "p": p,
            "p_holm": adjust_known(p),
        }

    for row, (metric, k) in enumerate(FEW_MEASURES):
        values = [side.mean(axis=1) for side in shares[row]]
        yield columns(metric, k, values, values[1] - values[0], (low[row], high[row]), p[row])
    medians = [np.median(side.rank, axis=1) for side in (a, b)]
    yield columns(
        MEDIAN_RANK.name,
        None,
        medians,
        medians[1] - medians[0],
        median_interval(a, b),
        np.full(m, np.nan),
    )
    means = [2 ** -side.mean(axis=1) for side in shares[-1]]
    yield columns(
        RANK_RATIO, None, means, means[0] / means[1], (2 ** low[-1], 2 ** high[-1]), p[-1]
    )


def median_interval(a: Condition, b: Condition, seed: int = 0) -> Float64s:
    """Percentile interval ``[2, m]`` of the median rank under b minus that under a, pairs of queries drawn jointly."""
    rng, n = np.random.default_rng(seed), len(a.queries)
    if a.clusters is not None:
        members = np.split(
            np.argsort(a.clusters, kind="stable"), np.cumsum(np.bincount(a.clusters))[:-1]
        )
        draws = rng.integers(0, len(members), (RESAMPLES_OF_MEDIANS, len(members)))
        some = [np.concatenate([members[i] for i in draw]) for draw in draws]
        each = [
            [np.median(y[x]) - np.median(z[x]) for x in some]
            for z, y in zip(a.rank, b.rank, strict=True)
        ]
        return np.asarray(np.quantile(each, TAILS, axis=1), np.float64)
    drawn = rng.integers(0, n, (RESAMPLES_OF_MEDIANS, n))
    each = [
        np.median(y[drawn], axis=1) - np.median(x[drawn], axis=1)
        for x, y in zip(a.rank, b.rank, strict=True)
    ]
    return np.asarray(np.quantile(each, TAILS, axis=1), np.float64)


def words(text: str) -> list[str]:
    """The words of a text in lower case, without marks around them.

    What stands between spaces and holds a letter or digit; in scripts that are written without spaces each character,
    which a dictionary would be needed to do better than.

    >>> words("A black-and-white cat, 2 dogs!"), words("红色的car")
    (['a', 'black-and-white', 'cat', '2', 'dogs'], ['红', '色', '的', 'car'])
    """
    return [*find_words(text)]


@functools.lru_cache(maxsize=2**15)  # several tables look at the same texts
def find_words(text: str) -> tuple[str, ...]:
    found = []
    for part in UNSPACED.sub(r" \1 ", normalize("NFC", text)).casefold().split():
        kinds = "".join(category(each)[0] for each in part)
        if "L" in kinds or "N" in kinds:  # an emoji may hold an M
            inside = [i for i, kind in enumerate(kinds) if kind in "LMN"]
            found.append(part[inside[0] : inside[-1] + 1])
    return tuple(found)


def detail(text: str) -> int:
    """How many different words of at least four letters, or characters of a script without spaces, a text has.

    A rough proxy for what it tells: it takes "something" for detail, and "red" for none.

    >>> detail("A boat, a red boat under a bridge"), detail("红色的红")
    (3, 3)
    """
    return len(
        {
            w
            for w in find_words(text)
            if UNSPACED.match(w) or sum(category(each)[0] in "LM" for each in w) >= 4
        }
    )


def measured_texts(ranks: pd.DataFrame) -> pd.DataFrame:
    """The rows whose text is known, with columns `MEASURES`."""
    known = ranks[ranks["text"].fillna("").astype(str).str.strip() != ""]
    texts = map(str, known["text"].unique())
    each = {
        text: (len(find_words(text)), len(normalize("NFC", text.strip())), detail(text))
        for text in texts
    }
    values = np.array([each[str(text)] for text in known["text"]], np.int64).reshape(
        -1, len(MEASURES)
    )
    return known.assign(**dict(zip(MEASURES, values.T, strict=True)))


def by_length(ranks: pd.DataFrame) -> pd.DataFrame:
    """Recall@10 with Wilson's interval, and MRR, by the number of words, of one dataset, columns `LENGTHS`.

    Bins are the quarters of all its texts, whatever their label set (``label_set`` is empty), merged where a quartile
    repeats; ``words_low`` and ``words_high`` are the fewest and most in a bin. Several texts of a target may be in one:
    intervals are clustered by target. Without rows where no text is known.
    """
    known = measured_texts(ranks)
    if known.empty:
        return pd.DataFrame(columns=LENGTHS)
    each = known.drop_duplicates(["label_set", "query_id"])["words"].to_numpy(np.int64)
    edges = np.unique(np.floor(np.quantile(each, [0.25, 0.5, 0.75])))
    bins = np.searchsorted(edges, each)  # up to and with an edge
    ends = [(int(each[bins == one].min()), int(each[bins == one].max())) for one in np.unique(bins)]
    found = []
    for model, own in known.groupby("model", sort=False):
        for low, high in ends:
            if not len(part := own[own["words"].between(low, high)]):
                continue
            hits, n = (
                hits_at_k(part["rank_best"].to_numpy(), part["rank_worst"].to_numpy(), 10),
                len(part),
            )
            clusters = cluster_by_target(part["item_id"])
            found.append(
                (
                    part["dataset"].iloc[0],
                    "",
                    str(model),
                    low,
                    high,
                    n,
                    count_clusters(clusters, n),
                    float(hits.mean()),
                    *wilson_interval(hits, clusters=clusters),
                    mean_reciprocal_rank(part["rank"].to_numpy(np.float64)),
                )
            )
    return pd.DataFrame(found, columns=LENGTHS)


def length_correlations(ranks: pd.DataFrame) -> pd.DataFrame:
    """Spearman's correlation of the rank with `MEASURES` of the text, for each model, columns `CORRELATIONS`.

    Below 0: longer texts find better. Over all texts of one dataset, whatever their label set; intervals are those of
    `correlations`, which draw targets, because the texts of a target share its difficulty. NaN where either does
    not vary. Characters include spaces; detail is the rough proxy `detail`. Without rows where no text is known.
    """
    known, found = measured_texts(ranks), []
    for model, own in known.groupby("model", sort=False):
        x = own[list(MEASURES)].to_numpy(np.float64).T
        clusters = cluster_by_target(own["item_id"])
        each = np.arange(len(own)) if clusters is None else clusters
        rows = correlations(x, own["rank"].to_numpy(np.float64), each)
        found += [
            (own["dataset"].iloc[0], str(model), measure, *row, len(own))
            for measure, row in zip(MEASURES, rows, strict=True)
        ]
    return pd.DataFrame(found, columns=CORRELATIONS)


def correlations(x: Float64s, y: Float64s, clusters: NDArray[Any]) -> Float64s:
    """Spearman's correlation of rows ``[c, q]`` with ``[q]``, and its interval: ``[c, 3]``, NaN where one is constant.

    Percentile bootstrap that draws whole clusters, numbered ``[q]`` from 0; midranks are taken as given.
    """
    ranks = pd.DataFrame(np.vstack([x, y])).rank(axis=1).to_numpy(np.float64, copy=True)
    ranks -= ranks.mean(axis=1, keepdims=True)
    a, b, one = ranks[:-1], ranks[-1], np.ones((1, len(y)))
    terms = np.concatenate([one, b[None], b[None] ** 2, a, a**2, a * b])
    sums = np.stack([np.bincount(clusters, row) for row in terms]).astype(np.float64)
    drawn = np.concatenate([sums.mean(axis=1)[None], resampled_means(sums)])
    n, sum_b, sum_bb = drawn[:, :1], drawn[:, 1:2] / drawn[:, :1], drawn[:, 2:3] / drawn[:, :1]
    sum_a, sum_aa, sum_ab = np.split(drawn[:, 3:] / n, 3, axis=1)
    product = np.maximum(sum_aa - sum_a**2, 0) * np.maximum(sum_bb - sum_b**2, 0)
    varies = product > 1e-12 * float(len(y)) ** 4  # what rounding leaves of none
    r = np.where(varies, (sum_ab - sum_a * sum_b) / np.sqrt(np.where(varies, product, 1.0)), np.nan)
    found = np.full((len(x), 3), np.nan)
    for row in np.flatnonzero(varies[0]):
        found[row] = (
            r[0, row],
            *(np.nanquantile(r[1:, row], TAILS) if sums.shape[1] > 2 else (np.nan, np.nan)),
        )
    return np.asarray(np.clip(found, -1.0, 1.0))
