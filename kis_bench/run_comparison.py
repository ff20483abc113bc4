"""Two runs side by side: what was changed between them, which figures moved beyond noise, and on which queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.comparison import MEASURES
from kis_bench.crossed import Crossed, paired_test
from kis_bench.errors import KisBenchError
from kis_bench.merging import what_differs
from kis_bench.metrics import hits_at_k, rank_quantile
from kis_bench.results import Run
from kis_bench.statistics import holm, mcnemar_exact, paired_randomization_test, resampled_means

FIGURES = [
    "dataset", "label_set", "model", "new_model", "metric", "k", "n", "old", "new", "difference", "ci_low", "ci_high",
    "p", "p_holm", "verdict",
]  # fmt: skip
QUERIES = [
    "dataset", "label_set", "model", "new_model", "query_id", "text", "item_id", "old_rank", "new_rank", "octaves",
]  # fmt: skip
CHANGES = ["what", "name", "fact", "old", "new"]
RESAMPLES, PERMUTATIONS = 10_000, 100_000
LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """What differs between an old and a new run."""

    old: Run
    new: Run
    changes: pd.DataFrame  # CHANGES: of provenance
    figures: pd.DataFrame  # FIGURES: what was measured in both
    queries: pd.DataFrame  # QUERIES: of these each query; octaves: log2 of new rank / old rank, above 0 is worse
    remarks: list[str]  # what could not be compared, and why

    @property
    def privacy(self) -> bool:
        return any(bool(run.provenance.get("privacy")) for run in (self.old, self.new))


def compare_runs(old: Run, new: Run, *, models: Mapping[str, str] | None = None) -> Comparison:
    """Everything that both measured on the same datasets; ``models``: also old name -> new name.

    Raises:
        KisBenchError: nothing in common, or a model that is in neither.
    """
    pairs = paired_models(old, new, models or {})
    remarks: list[str] = []
    comparable = same_datasets(old, new, remarks)
    figures: list[dict[str, Any]] = []
    queries: list[pd.DataFrame] = []
    for key, a, b in cells(old, new, pairs, comparable, remarks):
        figures += [{**key, **row} for row in measured(a, b)]
        queries.append(changed(key, a, b))
    figures += [row for dataset in comparable for row in similarity(old, new, dataset, pairs)]
    if not figures:
        raise KisBenchError(nothing_in_common(old, new, remarks))
    table = pd.DataFrame(figures)
    tested = table["p"].notna()
    table["p_holm"] = np.nan
    table.loc[tested, "p_holm"] = table[tested].groupby(["metric", "k"], dropna=False)["p"].transform(holm)
    table["verdict"] = [verdict(*row) for row in table[["same", "p_holm", "difference"]].itertuples(index=False)]
    whole = pd.concat(queries, ignore_index=True)[QUERIES] if queries else pd.DataFrame(columns=QUERIES)
    return Comparison(old, new, changes(old, new), table.astype({"k": "Int64"})[FIGURES], whole, remarks)


def paired_models(old: Run, new: Run, models: Mapping[str, str]) -> list[tuple[str, str]]:
    known = [{*run.ranks["model"], *run.judgments["model"]} for run in (old, new)]
    for name, where, run in [(a, known[0], old) for a in models] + [(b, known[1], new) for b in models.values()]:
        if name not in where:
            raise KisBenchError(f"there is no model {name!r} in {run.folder}; it has {', '.join(sorted(where))}")
    return [(name, name) for name in sorted(known[0] & known[1])] + list(models.items())


def same_datasets(old: Run, new: Run, remarks: list[str]) -> list[str]:
    """Names of the datasets that are the same in both."""
    a, b = (run.provenance.get("datasets") or {} for run in (old, new))
    found = []
    for name in a:
        if name not in b:
            continue
        if a[name].get("fingerprint") != b[name].get("fingerprint"):
            remarks.append(f"dataset {name} is not compared: {what_differs(a[name], b[name])}")
        else:
            found.append(name)
    return found


def cells(
    old: Run, new: Run, pairs: list[tuple[str, str]], datasets: list[str], remarks: list[str]
) -> Iterator[tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]]:
    """Rows of both runs for the same queries in the same order, for each pair of models and label set."""
    for dataset in datasets:
        sides = [run.ranks[run.ranks["dataset"] == dataset] for run in (old, new)]
        for label_set in dict.fromkeys(sides[0]["label_set"]):
            for first, second in pairs:
                a, b = (
                    side[(side["label_set"] == label_set) & (side["model"] == model)].set_index("query_id")
                    for side, model in zip(sides, (first, second), strict=True)
                )
                if a.empty or b.empty:
                    continue
                both = the_same(a, b)
                if left := len({*a.index, *b.index}) - len(both):
                    remarks.append(
                        f"{dataset}, {label_set}, {second}: {left:,} queries are not in both, or not the same"
                    )
                if len(both):
                    key = {"dataset": dataset, "label_set": label_set, "model": first, "new_model": second}
                    yield key, a.loc[both], b.loc[both]


def the_same(a: pd.DataFrame, b: pd.DataFrame) -> pd.Index:
    """Ids of the queries with the same target in both, and the same text where both have one."""
    both = a.index.intersection(b.index, sort=False)
    x, y = a.loc[both], b.loc[both]
    texts = [side["text"].fillna("").astype(str) for side in (x, y)]
    read = (texts[0] == texts[1]) | (texts[0] == "") | (texts[1] == "")
    return both[(x["item_id"] == y["item_id"]) & read]


def measured(a: pd.DataFrame, b: pd.DataFrame) -> list[dict[str, Any]]:
    """Old and new figures with paired tests."""
    rank = [side["rank"].to_numpy(np.float64) for side in (a, b)]
    same = bool((a["rank_best"].to_numpy() == b["rank_best"].to_numpy()).all())
    same = same and bool((a["rank_worst"].to_numpy() == b["rank_worst"].to_numpy()).all())
    rows = []
    for metric, k in MEASURES:
        x, y = (
            1 / each if k is None else hits_at_k(side["rank_best"], side["rank_worst"], k)
            for each, side in zip(rank, (a, b), strict=True)
        )
        binary = k is not None and bool(np.isin([x, y], (0, 1)).all())
        p = mcnemar_exact(x, y) if binary else paired_randomization_test(x, y, permutations=PERMUTATIONS)
        low, high = np.quantile(resampled_means((y - x)[None], resamples=RESAMPLES), [0.025, 0.975])
        rows.append({
            "metric": metric, "k": k, "n": len(x), "old": x.mean(), "new": y.mean(),
            "difference": y.mean() - x.mean(), "ci_low": low, "ci_high": high, "p": p, "same": same,
        })  # fmt: skip
    middle = [rank_quantile(each, 0.5) for each in rank]
    rows.append({
        "metric": "median_rank", "k": None, "n": len(a), "old": middle[0], "new": middle[1],
        "difference": middle[1] - middle[0], "ci_low": np.nan, "ci_high": np.nan, "p": np.nan, "same": same,
    })  # fmt: skip
    return rows


def similarity(old: Run, new: Run, dataset: str, pairs: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Consistency with the judgments that both know."""
    for first, second in pairs:
        a, b = (
            run.judgments[(run.judgments["dataset"] == dataset) & (run.judgments["model"] == model)]
            for run, model in ((old, first), (new, second))
        )
        both = a.merge(b, on="judgement_id", suffixes=("", "_new"))
        if both.empty:
            continue
        x, y = (both[name].to_numpy(np.float64) for name in ("agreement", "agreement_new"))
        difference, low, high, p = paired_test(y, x, Crossed.of(both["user_id"], both["triplet_id"]))
        yield {"dataset": dataset, "label_set": "", "model": first, "new_model": second, "metric": "consistency",
               "k": None, "n": len(x), "old": np.nanmean(x), "new": np.nanmean(y), "difference": difference,
               "ci_low": low, "ci_high": high, "p": p, "same": bool((x == y).all())}  # fmt: skip


def verdict(same: bool, p: float, difference: float) -> str:
    if same:
        return "identical"
    if np.isnan(p):
        return ""
    if p >= LEVEL:
        return "no change beyond noise"
    return "better" if difference > 0 else "worse"


def changed(key: Mapping[str, Any], a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Every query with both ranks, the worst change first."""
    old, new = (side["rank"].to_numpy(np.float64) for side in (a, b))
    table = pd.DataFrame({
        **key, "query_id": a.index, "text": a["text"].to_numpy(), "item_id": a["item_id"].to_numpy(), "old_rank": old,
        "new_rank": new, "octaves": np.log2(new / old),
    })  # fmt: skip
    return table.sort_values("octaves", ascending=False, kind="stable")


def changes(old: Run, new: Run) -> pd.DataFrame:
    """What provenance says was other: models, datasets, versions, and how it was run."""
    rows: list[tuple[str, str, str, Any, Any]] = []
    a, b = old.provenance, new.provenance
    for kind, word in (("models", "model"), ("datasets", "dataset")):
        before, after = a.get(kind) or {}, b.get(kind) or {}
        for name in dict.fromkeys([*before, *after]):
            if name not in before or name not in after:
                rows.append(
                    (word, name, "measured", "yes" if name in before else "no", "yes" if name in after else "no")
                )
                continue
            rows += differing(word, name, before[name], after[name])
    rows += differing("version", "", a.get("versions") or {}, b.get("versions") or {})
    top = ("git", "device", "command", "statistics", "interrupted", "privacy")
    rows += differing("run", "", {k: a.get(k) for k in top}, {k: b.get(k) for k in top})
    return pd.DataFrame(rows, columns=CHANGES)


def differing(
    what: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[tuple[str, str, str, Any, Any]]:
    keys = [key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)]
    return [(what, name, key, before.get(key), after.get(key)) for key in keys]


def nothing_in_common(old: Run, new: Run, remarks: list[str]) -> str:
    def of(run: Run) -> str:
        cells = pd.concat([run.ranks[["dataset", "model"]], run.judgments[["dataset", "model"]]]).drop_duplicates()
        listed = [f"{d}: {', '.join(sorted(map(str, part['model'])))}" for d, part in cells.groupby("dataset")]
        return f"{run.folder.name} has {'; '.join(listed) or 'nothing'}"

    said = [f"{of(old)}.", f"{of(new)}.", *remarks, "--model OLD=NEW compares models of different names"]
    return "\n  ".join(["there is nothing that both runs measured.", *said])
