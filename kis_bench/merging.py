"""One run out of several, such as of different models on different machines, if they belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kis_bench.errors import KisBenchError
from kis_bench.results import OPTIONAL_TABLES, Run

#: What ranks and agreement mean depends on these: name in run.json -> option of pytest.
MEANINGS = {
    "segment_s": "--kis-segment", "near_duplicates": "--kis-near-duplicates",
    "image_similarity": "--kis-image-similarity",
}  # fmt: skip
SAME_MODEL = ("key", "weights", "revision", "source")
CELL = ["model", "dataset", "label_set"]
#: How often the same thing may be measured: what tells rows of a table apart.
KEYS = {
    "judgments": ["model", "dataset"], "distances": ["model", "dataset"],
    "agreement": ["model", "dataset", "kind"], "pairs": ["dataset", "model_a", "model_b"],
    "published": ["dataset", "label_set", "model", "metric", "k", "source"],
    "fused": ["dataset", "label_set", "method", "model_1", "model_2", "model_3"],
}  # fmt: skip
OF_RUN = ("time", "git", "device", "versions", "command")


@dataclass(frozen=True)
class Merged:
    """What :func:`kis_bench.results.write_run` takes, and what a reader should know."""

    ranks: pd.DataFrame
    judgments: pd.DataFrame
    timings: pd.DataFrame
    verdicts: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    provenance: dict[str, Any]
    remarks: list[str]


def merge(runs: Sequence[Run]) -> Merged:
    """Raises KisBenchError with everything that doesn't fit: other datasets, options, weights, or other ranks."""
    problems = [*datasets_differ(runs), *models_differ(runs)]
    if problems:
        raise KisBenchError("\n  ".join(["these runs can't be one:", *dict.fromkeys(problems)]))
    remarks: list[str] = []
    ranks = all_ranks(runs, remarks)
    tables = {name: first_of(runs, name) for name in OPTIONAL_TABLES}
    similar = [run.metrics[run.metrics["label_set"] == ""] for run in runs]
    tables["metrics"] = once(similar, ["model", "dataset"])
    measured = [run.folder.name for run in runs if len(run.judgments)]
    if len(measured) > 1:
        remarks.append(f"image similarity: models of {' and '.join(measured)} are not tested against one another")
    if len({run.folder.name for run in runs if len(run.ranks)}) > 1:
        remarks.append("combinations of models: fused lists only of models that were measured in one run")
    return Merged(
        ranks, first_of(runs, "judgments"), pd.concat([run.timings for run in runs], ignore_index=True),
        pd.concat([run.verdicts for run in runs], ignore_index=True), tables, provenance(runs, remarks), remarks,
    )  # fmt: skip


def datasets_differ(runs: Sequence[Run]) -> list[str]:
    problems = []
    first: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for run in runs:
        for name, about in (run.provenance.get("datasets") or {}).items():
            where, other = first.setdefault(name, (run.folder.name, about))
            if about.get("fingerprint") != other.get("fingerprint"):
                problems.append(f"dataset {name} in {where} and {run.folder.name}: {what_differs(other, about)}")
            for key, option in MEANINGS.items():
                if key in about and key in other and about[key] != other[key]:
                    problems.append(
                        f"dataset {name}: {where} was measured with {option} {other[key]}, {run.folder.name} with "
                        f"{about[key]}; measure one of them anew"
                    )
    return problems


def what_differs(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """In words, of two fingerprints that are not the same."""
    counts = [
        f"{key} {a.get(key)} and {b.get(key)}"
        for key in ("n_items", "n_queries", "n_groups", "n_triplets", "n_judgments", "n_participants", "layout")
        if a.get(key) != b.get(key) and (key in a) == (key in b)
    ]
    return f"not the same ({', '.join(counts)})" if counts else "equally large, but pictures, ids or texts differ"


def models_differ(runs: Sequence[Run]) -> list[str]:
    problems = []
    first: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for run in runs:
        for name, about in (run.provenance.get("models") or {}).items():
            where, other = first.setdefault(name, (run.folder.name, about))
            for key in SAME_MODEL:
                if key in about and key in other and about[key] != other[key]:
                    problems.append(
                        f"model {name}: {key} is {other[key]} in {where} and {about[key]} in {run.folder.name}; "
                        "kis-bench compare tells what that changed"
                    )
                    break
    return problems


def all_ranks(runs: Sequence[Run], remarks: list[str]) -> pd.DataFrame:
    """Each model, dataset and label set once; measured twice it has to have the same ranks."""
    kept: dict[tuple[str, ...], tuple[str, pd.DataFrame]] = {}
    for run in runs:
        for cell, rows in run.ranks.groupby(CELL, sort=False):
            key = tuple(map(str, cell))
            if key not in kept:
                kept[key] = run.folder.name, rows
                continue
            where, other = kept[key]
            same_ranks(key, where, other, run.folder.name, rows)
            remarks.append(f"{', '.join(key)}: in {where} and {run.folder.name} alike, taken once")
    parts = [rows for _, rows in kept.values()]
    return pd.concat(parts, ignore_index=True) if parts else runs[0].ranks


def same_ranks(key: tuple[str, ...], where: str, other: pd.DataFrame, here: str, rows: pd.DataFrame) -> None:
    columns = ["rank_best", "rank_worst"]
    a, b = (table.set_index("query_id")[columns].sort_index() for table in (other, rows))
    if not a.index.equals(b.index):
        raise KisBenchError(f"{', '.join(key)}: {where} and {here} have not the same queries; measure one of them anew")
    differ = (a != b).any(axis=1)
    if differ.any():
        place = int(differ.to_numpy().argmax())
        one = f"{a.index[place]}: {a['rank_best'].iloc[place]} and {b['rank_best'].iloc[place]}"
        raise KisBenchError(
            f"{', '.join(key)}: {int(differ.sum()):,} queries rank otherwise in {here} than in {where}, such as {one}; "
            f"see kis-bench compare {where} {here}"
        )


def first_of(runs: Sequence[Run], name: str) -> pd.DataFrame:
    return once([getattr(run, name) for run in runs], KEYS[name])


def once(tables: Sequence[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """All rows of the first table, and of each further one those about something that no table before it had."""
    found = [table for table in tables if len(table)][:1]
    seen = {key for table in found for key in keys_of(table, keys)}
    for table in [table for table in tables if len(table)][1:]:
        own = keys_of(table, keys)
        found.append(table[[key not in seen for key in own]])
        seen |= {*own}
    return pd.concat(found, ignore_index=True) if found else tables[0]


def keys_of(table: pd.DataFrame, keys: list[str]) -> list[tuple[str, ...]]:
    return list(table[keys].astype(object).astype(str).itertuples(index=False, name=None))


def provenance(runs: Sequence[Run], remarks: list[str]) -> dict[str, Any]:
    """What all agree on; of models and datasets everything; and which runs these were."""
    heads = [run.provenance for run in runs]
    merged: dict[str, Any] = {kind: {} for kind in ("models", "datasets")}
    for head in heads:
        for kind, about in merged.items():
            for name, facts in (head.get(kind) or {}).items():
                about[name] = {**facts, **about.get(name, {})}
    keys = dict.fromkeys(key for head in heads for key in head if key not in (*merged, "time", "command"))
    for key in keys:
        if all(key in head and head[key] == heads[0].get(key) for head in heads):
            merged[key] = heads[0][key]
    versions: list[Mapping[str, Any]] = [head.get("versions") or {} for head in heads]
    merged["versions"] = {name: v for name, v in versions[0].items() if all(other.get(name) == v for other in versions)}
    merged["interrupted"] = any(head.get("interrupted") for head in heads)
    merged["privacy"] = any(head.get("privacy") for head in heads)
    merged["merged_from"] = [
        {"run": run.folder.name, **{key: run.provenance.get(key) for key in OF_RUN}} for run in runs
    ]
    merged["remarks"] = remarks
    return merged
