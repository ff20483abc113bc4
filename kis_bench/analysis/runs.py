"""Two runs side by side: what was changed between them, which figures moved beyond noise, and on which queries."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.analysis.conditions import Condition
from kis_bench.analysis.imported import explain_imported, is_imported, settle_ties
from kis_bench.analysis.models import compare
from kis_bench.errors import KisBenchError, UnknownName
from kis_bench.metrics import (
    COMPARED,
    CONSISTENCY,
    KNOWN,
    MEASURES,
    METRICS,
    RankPlaces,
    measure_name,
    name_measures,
)
from kis_bench.results import Run
from kis_bench.results.columns import JUDGMENTS
from kis_bench.results.merging import private, run_name, same_data, what_differs
from kis_bench.results.tables import stack_tables
from kis_bench.statistics import holm
from kis_bench.statistics.clusters import cluster_by_target
from kis_bench.statistics.crossed import Crossed, paired_test

FIGURES = [
    "dataset",
    "label_set",
    "model",
    "new_model",
    "metric",
    "k",
    "n",
    "n_targets",
    "old",
    "new",
    "difference",
    "ci_low",
    "ci_high",
    "test",
    "p",
    "p_holm",
    "verdict",
]
QUERIES = [
    "dataset",
    "label_set",
    "model",
    "new_model",
    "query_id",
    "text",
    "item_id",
    "old_rank",
    "new_rank",
    "octaves",
]
CHANGES = ["what", "name", "fact", "old", "new"]
#: What may be compared, as people write it.
FIGURE_NAMES = name_measures(COMPARED)
RUN_FACTS = ("git", "device", "command", "statistics", "interrupted", "privacy")
NOISE_LEVEL = 0.05
MOST_IDS = 5  #: how many queries a remark names
Pair = tuple[str, str]  #: name of a model in the old run, and in the new one


@dataclass(frozen=True)
class Comparison:
    """What differs between an old and a new run."""

    old: Run
    new: Run
    changes: pd.DataFrame  # CHANGES: of provenance
    figures: pd.DataFrame  # FIGURES: what was measured in both
    queries: (
        pd.DataFrame
    )  # QUERIES: each of them; octaves: log2 of new rank / old rank, above 0 is worse
    remarks: list[str]  # what could not be compared, and why

    @property
    def privacy(self) -> bool:
        return private([self.old, self.new])


def compare_runs(
    old: Run, new: Run, *, models: Sequence[Pair] = (), measures: Collection[str] | None = None
) -> Comparison:
    """Everything that both measured on the same datasets.

    Args:
        models: pairs of names that are compared too, beside models of the same name.
        measures: of `FIGURE_NAMES`; default: all. The queries are compared in any case.

    Raises:
        KisBenchError: nothing in common, or a model that its run doesn't have.
    """
    pairs = paired_models(old, new, models)
    chosen = [name for name in FIGURE_NAMES if measures is None or name in measures]
    remarks: list[str] = []
    comparable = same_datasets(old, new, remarks)
    if len(old.image_to_text) and len(new.image_to_text):
        remarks.append(
            "image-to-text retrieval is not compared; both runs have its figures in image_to_text.csv"
        )
    remarks += in_one_only(old, new, comparable, [name for name, other in pairs if name == other])
    figures: list[pd.DataFrame] = []
    queries: list[pd.DataFrame] = []
    for key, a, b in cells(old, new, pairs, comparable, remarks):
        figures.append(compare_cell(a, b, chosen).assign(**key))
        queries.append(changed(key, a, b))
    judged = [row for dataset in comparable for row in similarity(old, new, dataset, pairs)]
    if not queries and not judged:
        raise KisBenchError(nothing_in_common(old, new, remarks))
    if CONSISTENCY.name in chosen:
        figures.append(pd.DataFrame(judged))
    figures = [table for table in figures if len(table)]
    if not figures:
        raise KisBenchError(
            f"neither run has {' or '.join(chosen)} of what both measured; choose another --metric"
        )
    table = judge(stack_tables(figures))
    whole = (
        pd.concat(queries, ignore_index=True)[QUERIES] if queries else pd.DataFrame(columns=QUERIES)
    )
    return Comparison(old, new, changes(old, new), table, whole, remarks)


def list_models(run: Run) -> set[str]:
    return {*map(str, run.ranks["model"].unique()), *map(str, run.judgments["model"].unique())}


def paired_models(old: Run, new: Run, models: Sequence[Pair]) -> list[Pair]:
    known = list_models(old), list_models(new)
    for pair in models:
        for name, have, run in zip(pair, known, (old, new), strict=True):
            if name not in have:
                raise UnknownName("model", name, have, f"These are in {run_name(run)}.")
    return [*dict.fromkeys([*((name, name) for name in sorted(known[0] & known[1])), *models])]


def parse_pair(text: str, old: Run, new: Run) -> Pair:
    """``OLD=NEW`` as two names, either of which may have an equals sign in it."""
    parts = text.split("=")
    splits = [("=".join(parts[:i]), "=".join(parts[i:])) for i in range(1, len(parts))]
    splits = [pair for pair in splits if all(pair)]
    if not splits:
        raise KisBenchError(
            f"--model {text}: write OLD=NEW, names of models in the old and the new run"
        )
    known = list_models(old), list_models(new)
    return next((pair for pair in splits if pair[0] in known[0] and pair[1] in known[1]), splits[0])


def same_datasets(old: Run, new: Run, remarks: list[str]) -> list[str]:
    """Names of the datasets that are the same in both."""
    a, b = (run.provenance.get("datasets") or {} for run in (old, new))
    found = []
    for name in [name for name in a if name in b]:
        if same_data(a[name], b[name]):
            found.append(name)
        else:
            remarks.append(f"dataset {name} is not compared: {what_differs(a[name], b[name])}")
    return found


def in_one_only(
    old: Run, new: Run, datasets: Collection[str], models: Collection[str]
) -> Iterator[str]:
    """Of datasets and models that both runs have: label sets that a model was measured on in one of them only."""
    sides = [
        {
            (str(dataset), str(labels), str(model))
            for dataset, labels, model in run.ranks[["dataset", "label_set", "model"]]
            .drop_duplicates()
            .to_numpy()
            if dataset in datasets and model in models
        }
        for run in (old, new)
    ]
    for word, lone in (("old", sides[0] - sides[1]), ("new", sides[1] - sides[0])):
        for dataset, labels in sorted({key[:2] for key in lone}):
            those = sorted(model for *where, model in lone if where == [dataset, labels])
            yield f"{dataset}, {labels}: only the {word} run measured {', '.join(those)}"


def cells(
    old: Run, new: Run, pairs: Sequence[Pair], datasets: Sequence[str], remarks: list[str]
) -> Iterator[tuple[dict[str, str], pd.DataFrame, pd.DataFrame]]:
    """Rows of both runs for the same queries in the same order, for each pair of models and label set."""
    for dataset in datasets:
        sides = [run.ranks[run.ranks["dataset"] == dataset] for run in (old, new)]
        for label_set in map(str, dict.fromkeys(sides[0]["label_set"])):
            left: dict[str, list[str]] = {}
            for first, second in pairs:
                a, b = (
                    side[(side["label_set"] == label_set) & (side["model"] == model)].set_index(
                        "query_id"
                    )
                    for side, model in zip(sides, (first, second), strict=True)
                )
                if a.empty or b.empty:
                    continue
                both, why = match_queries(a, b)
                if why:
                    left.setdefault(why, []).append(both_names(first, second))
                a, b = a.loc[both], b.loc[both]
                saved = is_imported(old, first), is_imported(new, second)
                if len(both) and saved[0] != saved[1]:
                    if saved[0]:
                        b, settled = settle_ties(a, b)
                    else:
                        a, settled = settle_ties(b, a)
                    said = explain_imported("old" if saved[0] else "new", settled)
                    left.setdefault(said, []).append(both_names(first, second))
                if len(both):
                    key = {
                        "dataset": dataset,
                        "label_set": label_set,
                        "model": first,
                        "new_model": second,
                    }
                    yield key, a, b
            remarks += [
                f"{dataset}, {label_set}: {why} ({', '.join(models)})"
                for why, models in left.items()
            ]


def both_names(first: str, second: str) -> str:
    return first if first == second else f"{first} → {second}"


def match_queries(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.Index, str]:
    """Ids of the queries with the same target in both, and the same text where both have one; what is left out."""
    both = a.index.intersection(b.index, sort=False)
    x, y = a.loc[both], b.loc[both]
    texts = [side["text"].fillna("").astype(str) for side in (x, y)]
    target = (x["item_id"] == y["item_id"]).to_numpy(bool)
    text = ((texts[0] == texts[1]) | (texts[0] == "") | (texts[1] == "")).to_numpy(bool)
    left = {
        "only in the old run": a.index.difference(b.index, sort=False),
        "only in the new run": b.index.difference(a.index, sort=False),
        "with another target": both[~target],
        "with another text": both[target & ~text],
    }
    parts = [
        f"{len(ids):,} {why}: {', '.join(map(str, ids[:MOST_IDS]))}{', …' if len(ids) > MOST_IDS else ''}"
        for why, ids in left.items()
        if len(ids)
    ]
    return both[target & text], f"left out are queries, {'; '.join(parts)}" if parts else ""


def side_by_side(a: pd.DataFrame, b: pd.DataFrame) -> Condition:
    """Rows of the same queries of an old and a new run as those of two models, the new one first."""
    best, worst = (
        np.stack([side[column].to_numpy(np.int64) for side in (b, a)])
        for column in ("rank_best", "rank_worst")
    )
    clusters = cluster_by_target(a["item_id"])
    return Condition(
        "",
        "",
        ("new", "old"),
        tuple(map(str, a.index)),
        best,
        worst,
        int(a["n_items"].max()),
        clusters=clusters,
    )


def compare_cell(a: pd.DataFrame, b: pd.DataFrame, chosen: Collection[str]) -> pd.DataFrame:
    """Old and new figures of the same queries, with the tests and intervals of
    `kis_bench.analysis.models.compare`."""
    both = side_by_side(a, b)
    measures = [each for each in MEASURES if measure_name(*each) in chosen]
    tables = []
    if measures:
        columns = [
            "metric",
            "k",
            "value_b",
            "value_a",
            "difference",
            "ci_low",
            "ci_high",
            "test",
            "p",
        ]
        found = compare(both, measures=measures)[columns]
        tables.append(found.rename(columns={"value_a": "new", "value_b": "old"}))
    for quantile in (one for one in METRICS if one.kind == "quantile" and one.name in chosen):
        new, old = (
            quantile.figure(RankPlaces(*places))
            for places in zip(both.best, both.worst, strict=True)
        )
        row = {"metric": quantile.name, "old": old, "new": new, "difference": new - old}
        tables.append(pd.DataFrame([row]))
    same = all(bool((ranks[0] == ranks[1]).all()) for ranks in (both.best, both.worst))
    return stack_tables(tables or [pd.DataFrame()]).assign(
        n=len(a), n_targets=both.n_targets, same=same
    )


def similarity(old: Run, new: Run, dataset: str, pairs: Sequence[Pair]) -> Iterator[dict[str, Any]]:
    """Consistency with the judgments that have an agreement in both."""
    for first, second in pairs:
        a, b = (
            run.judgments[(run.judgments["dataset"] == dataset) & (run.judgments["model"] == model)]
            .reindex(columns=JUDGMENTS)
            .astype({"target_item": object})  # which an older run doesn't have
            for run, model in ((old, first), (new, second))
        )
        both = a.merge(b, on=["judgement_id", "triplet_id", "user_id"], suffixes=("", "_new"))
        x, y = (both[name].to_numpy(np.float64) for name in ("agreement", "agreement_new"))
        same = np.array_equal(x, y, equal_nan=True) and len(both) == len(a) == len(b)
        known = ~(np.isnan(x) | np.isnan(y))
        if not known.any():
            continue
        part = both[known]
        targets = part["target_item"].where(part["target_item"].notna(), part["target_item_new"])
        crossed = Crossed.of(part["user_id"], part["triplet_id"], targets)
        difference, low, high, p = paired_test(y[known], x[known], crossed)
        yield {
            "dataset": dataset,
            "label_set": "",
            "model": first,
            "new_model": second,
            "metric": CONSISTENCY.name,
            "n": len(part),
            "n_targets": crossed.n_targets if targets.notna().all() else None,
            "old": x[known].mean(),
            "new": y[known].mean(),
            "difference": difference,
            "ci_low": low,
            "ci_high": high,
            "test": "crossed t",
            "p": p,
            "same": same,
        }


def judge(figures: pd.DataFrame) -> pd.DataFrame:
    """With p adjusted over all rows of a measure, and what it says."""
    table = figures.reindex(columns=[*FIGURES, "same"]).astype({"k": "Int64", "n_targets": "Int64"})
    tested = table["p"].notna()
    table["p_holm"] = np.nan
    if tested.any():
        adjusted = table[tested].groupby(["metric", "k"], dropna=False)["p"].transform(holm)
        table.loc[tested, "p_holm"] = adjusted.astype(np.float64)
    rows = table[["metric", "same", "p_holm", "difference"]].itertuples(index=False, name=None)
    table["verdict"] = [verdict(*row) for row in rows]
    return table[FIGURES]


def verdict(metric: str, same: bool, p: float, difference: float) -> str:
    """In words; quantiles have no test, and stand beside means and proportions, which have."""
    if same:
        return "identical"
    if KNOWN[metric].kind == "quantile":
        return ""
    if np.isnan(p):
        return "too few to tell"
    if p >= NOISE_LEVEL:
        return "no change beyond noise"
    return "better" if difference > 0 else "worse"


def changed(key: Mapping[str, Any], a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Every query with both ranks, the one that fell most first."""
    old, new = (side["rank"].to_numpy(np.float64) for side in (a, b))
    text = a["text"].where(a["text"].fillna("") != "", b["text"])
    table = pd.DataFrame(
        {
            **key,
            "query_id": a.index,
            "text": text.to_numpy(),
            "item_id": a["item_id"].to_numpy(),
            "old_rank": old,
            "new_rank": new,
            "octaves": np.log2(new / old),
        }
    )
    return table.sort_values("octaves", ascending=False, kind="stable")


def changes(old: Run, new: Run) -> pd.DataFrame:
    """What provenance says was other: models, datasets, versions, and how it was run."""
    rows: list[tuple[str, str, str, Any, Any]] = []
    a, b = old.provenance, new.provenance
    for kind, word in (("models", "model"), ("datasets", "dataset")):
        before, after = a.get(kind) or {}, b.get(kind) or {}
        for name in dict.fromkeys([*before, *after]):
            if name in before and name in after:
                rows += list_changes(word, name, before[name] or {}, after[name] or {})
            else:
                rows.append(
                    (
                        word,
                        name,
                        "measured",
                        *("yes" if name in side else "no" for side in (before, after)),
                    )
                )
    rows += list_changes("version", "", a.get("versions") or {}, b.get("versions") or {})
    rows += list_changes("run", "", *({key: side.get(key) for key in RUN_FACTS} for side in (a, b)))
    return pd.DataFrame(rows, columns=CHANGES)


def list_changes(
    what: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[tuple[str, str, str, Any, Any]]:
    keys = [key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)]
    return [(what, name, key, before.get(key), after.get(key)) for key in keys]


def nothing_in_common(old: Run, new: Run, remarks: list[str]) -> str:
    def of(run: Run) -> str:
        columns = ["dataset", "model"]
        found = stack_tables(
            [table[columns] for table in (run.ranks, run.judgments)]
        ).drop_duplicates()
        listed = [
            f"{d}: {', '.join(sorted(map(str, part['model'])))}"
            for d, part in found.groupby("dataset")
        ]
        other = "only image-to-text retrieval, which is not compared"
        nothing = other if len(run.image_to_text) else "nothing"
        return f"{run_name(run)} has {'; '.join(listed) or nothing}"

    said = [
        f"{of(old)}.",
        f"{of(new)}.",
        *remarks,
        "--model OLD=NEW compares models of different names.",
    ]
    return "\n  ".join(["there is nothing that both runs measured.", *said])
