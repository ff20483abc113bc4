"""Label sets compared on the same targets, and recall against the length of texts."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.metrics import hits_at_k, mean_reciprocal_rank, rank_quantile
from kis_bench.statistics import holm, mcnemar_exact, paired_randomization_test, resampled_means, wilson_interval

Floats = NDArray[np.float64]
SUMMARY = [
    "dataset", "label_set_a", "label_set_b", "model", "metric", "k", "n", "value_a", "value_b", "difference", "ci_low",
    "ci_high", "p", "p_holm",
]  # fmt: skip
GAINS = ["dataset", "label_set_a", "label_set_b", "model", "query_a", "query_b", "item_id", "rank_a", "rank_b", "ratio"]
LENGTHS = ["dataset", "model", "words_low", "words_high", "n", "recall_at_10", "ci_low", "ci_high", "mrr"]
CORRELATIONS = ["dataset", "model", "measure", "rho", "ci_low", "ci_high", "n"]
KS = (1, 10, 100)
RESAMPLES, PERMUTATIONS = 2_000, 20_000
# A word, or one letter of a script that doesn't part words: Thai, Lao, Khmer, kana, Chinese.
_WORDS = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]|[^\\W_]+(?:['\u2019-][^\\W_]+)*")


def matched(first: pd.DataFrame, second: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of queries of two label sets that ask for the same target; rows with ``query_id`` and ``item_id``.

    By equal id and target first; what is left, by a target for which just one query is left on either side.
    """
    a, b = (dict(zip(rows["query_id"], rows["item_id"], strict=True)) for rows in (first, second))
    same = {query for query, item in a.items() if b.get(query) == item}
    left: list[dict[str, list[str]]] = []
    for side in (a, b):
        by_item: dict[str, list[str]] = defaultdict(list)
        for query, item in side.items():
            if query not in same:
                by_item[item].append(query)
        left.append(by_item)
    partner = {left[0][item][0]: left[1][item][0] for item in left[0]
               if len(left[0][item]) == len(left[1].get(item, ())) == 1}  # fmt: skip
    return [(query, query if query in same else partner[query]) for query in a if query in same or query in partner]


def compare_label_sets(ranks: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every two label sets of one dataset under every model that was asked both: columns SUMMARY, and GAINS per query.

    ``difference`` is b less a with a bootstrap interval over targets; p of hits is McNemar's, where ties make them
    shares and for MRR the randomization test's; Holm over the models. ``rank_ratio``: the geometric mean of rank_a /
    rank_b stands in ``difference``, how many times nearer to the top the target is with b. ``ratio`` is its logarithm
    (base 2) for one query.
    """
    summaries, gains = [], []
    sets = dict(tuple(ranks.groupby("label_set", sort=False)))
    for first, second in itertools.combinations(sets, 2):
        names = {"dataset": ranks["dataset"].iloc[0], "label_set_a": first, "label_set_b": second}
        rows = []
        for model in sets[first]["model"].unique():
            sides = [sets[name][sets[name]["model"] == model].drop_duplicates("query_id") for name in (first, second)]
            pairs = matched(*sides)
            if not pairs:
                continue
            a, b = (side.set_index("query_id").loc[list(queries)]
                    for side, queries in zip(sides, zip(*pairs, strict=True), strict=True))  # fmt: skip
            rows += [{**names, "model": model, **row} for row in differences(a, b)]
            rank_a, rank_b = (side["rank"].to_numpy(np.float64) for side in (a, b))
            gains.append(pd.DataFrame({
                **names, "model": model, "query_a": a.index, "query_b": b.index, "item_id": a["item_id"].to_numpy(),
                "rank_a": rank_a, "rank_b": rank_b, "ratio": np.log2(rank_a / rank_b),
            }))  # fmt: skip
        if rows:
            table = pd.DataFrame(rows).astype({"k": "Int64"})
            tested = table["p"].notna()
            table.loc[tested, "p_holm"] = table[tested].groupby(["metric", "k"], dropna=False)["p"].transform(holm)
            summaries.append(table[SUMMARY])
    return (
        pd.concat(summaries, ignore_index=True) if summaries else pd.DataFrame(columns=SUMMARY),
        pd.concat(gains, ignore_index=True)[GAINS] if gains else pd.DataFrame(columns=GAINS),
    )


def differences(a: pd.DataFrame, b: pd.DataFrame) -> list[dict[str, object]]:
    """One row per measure, for the same targets in the same order."""
    best = [side["rank_best"].to_numpy(np.int64) for side in (a, b)]
    worst = [side["rank_worst"].to_numpy(np.int64) for side in (a, b)]
    rank = [side["rank"].to_numpy(np.float64) for side in (a, b)]
    measures: list[tuple[str, int | None, list[Floats]]] = [
        ("recall", k, [hits_at_k(x, y, k) for x, y in zip(best, worst, strict=True)]) for k in KS
    ]
    measures.append(("mrr", None, [1 / each for each in rank]))
    rows: list[dict[str, object]] = []
    for metric, k, (x, y) in measures:
        low, high = interval(y - x)
        binary = k is not None and bool(np.isin([x, y], (0, 1)).all())
        p = mcnemar_exact(y, x) if binary else paired_randomization_test(y, x, permutations=PERMUTATIONS)
        rows.append({"metric": metric, "k": k, "n": len(x), "value_a": x.mean(), "value_b": y.mean(),
                     "difference": y.mean() - x.mean(), "ci_low": low, "ci_high": high, "p": p})  # fmt: skip
    logs = np.log(rank[0] / rank[1])
    low, high = (float(np.exp(each)) for each in interval(logs))
    middle = [rank_quantile(each, 0.5) for each in rank]
    rows.append({"metric": "rank_ratio", "k": None, "n": len(logs), "value_a": middle[0], "value_b": middle[1],
                 "difference": float(np.exp(logs.mean())), "ci_low": low, "ci_high": high, "p": np.nan})  # fmt: skip
    return [{**row, "p_holm": np.nan} for row in rows]


def interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(resampled_means(values[None], resamples=RESAMPLES), [0.025, 0.975])
    return float(low), float(high)


def words(text: str) -> list[str]:
    """The words of a text; of scripts that don't part words each letter.

    >>> words("a diver's light, 3 fish"), len(words("珊瑚礁"))
    (['a', "diver's", 'light', '3', 'fish'], 3)
    """
    return _WORDS.findall(text)


def detail(text: str) -> int:
    """The number of different words of four letters or more: a rough measure of how much a text says."""
    return len({word.casefold() for word in words(text) if len(word) >= 4})


def texts_of(ranks: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a text, with its number of words."""
    some = ranks[ranks["text"].fillna("").str.strip() != ""]
    return some.assign(words=some["text"].map(lambda text: len(words(text))))


def by_length(ranks: pd.DataFrame) -> pd.DataFrame:
    """Recall@10 and MRR for each quarter of a dataset's texts by number of words, columns :data:`LENGTHS`."""
    some = texts_of(ranks)
    if some.empty:
        return pd.DataFrame(columns=LENGTHS)
    lengths = some.drop_duplicates(["label_set", "query_id"])["words"]
    edges = np.unique(np.quantile(lengths, [0.25, 0.5, 0.75, 1], method="inverted_cdf"))
    quarter = np.searchsorted(edges, some["words"])
    rows = []
    for (model, quart), part in some.groupby([some["model"], quarter], sort=False):
        place = int(str(quart))
        hits = hits_at_k(part["rank_best"], part["rank_worst"], 10)
        low, high = wilson_interval(float(hits.sum()), len(part))
        above = lengths[lengths > (edges[place - 1] if place else 0)]
        rows.append((
            ranks["dataset"].iloc[0], model, int(above.min()), int(edges[place]), len(part), float(hits.mean()), low,
            high, mean_reciprocal_rank(part["rank"]),
        ))  # fmt: skip
    order = {model: i for i, model in enumerate(some["model"].unique())}
    table = pd.DataFrame(rows, columns=LENGTHS)
    return table.sort_values("words_low", kind="stable").sort_values(
        "model", key=lambda names: names.map(order), kind="stable", ignore_index=True
    )


def length_correlations(ranks: pd.DataFrame) -> pd.DataFrame:
    """Spearman's correlation of the rank with number of words, of characters, and :func:`detail`: CORRELATIONS.

    The interval is that of R. Fisher's z with the variance (1 + rho^2 / 2) / (n - 3) (D. Bonett and T. Wright,
    Psychometrika 65, 2000). Below zero: longer texts place the target nearer the top.
    """
    some = texts_of(ranks)
    rows = []
    for model, part in some.groupby("model", sort=False):
        rank = part["rank"].rank().to_numpy(np.float64)
        sizes = {"words": part["words"], "characters": part["text"].str.len(), "detail": part["text"].map(detail)}
        for name, size in sizes.items():
            other = size.rank().to_numpy(np.float64)
            if len(part) > 3 and np.ptp(rank) > 0 and np.ptp(other) > 0:
                rho = float(np.clip(np.corrcoef(rank, other)[0, 1], -1, 1))
                z, half = (
                    np.arctanh(np.clip(rho, -0.999999, 0.999999)),
                    1.96 * np.sqrt((1 + rho**2 / 2) / (len(part) - 3)),
                )
                low, high = float(np.tanh(z - half)), float(np.tanh(z + half))
                rows.append((ranks["dataset"].iloc[0], model, name, rho, low, high, len(part)))
    return pd.DataFrame(rows, columns=CORRELATIONS)
