"""One run out of several, such as of different models on different machines, if they belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.errors import KisBenchError, spell_option
from kis_bench.results.columns import COMMON, TABLES
from kis_bench.results.folder import Run, write_run
from kis_bench.results.provenance import of_study, unite_facts
from kis_bench.results.pseudonyms import as_private
from kis_bench.results.tables import stack_tables

#: What ranks and agreement mean depends on these: name in run.json -> option of a session.
MEANINGS = {
    "segment_s": "segment",
    "near_duplicates": "near-duplicates",
    "image_similarity": "image-similarity",
}
#: What may tell two datasets of one name apart, beside contents.
COUNTS = (
    "n_items",
    "n_queries",
    "n_groups",
    "n_triplets",
    "n_judgments",
    "n_participants",
    "layout",
    *MEANINGS,
)
#: What has to be measured alike where two runs measured it: columns of a cell, of a row, of what was measured, a word.
MEASURED = {
    "ranks": (
        ["model", "dataset", "label_set"],
        "query_id",
        ["rank_best", "rank_worst"],
        "queries",
    ),
    "judgments": (["model", "dataset"], "judgement_id", ["agreement"], "judgments"),
    "image_to_text": (
        ["model", "dataset", "label_set"],
        "item_id",
        ["rank_best", "rank_worst"],
        "pictures",
    ),
}
#: Of further tables: what tells things apart of which each is taken from one run only; default: the whole row.
MERGING_KEYS = {
    "distances": ["model", "dataset"],
    "agreement": ["model", "dataset", "kind"],
    "pairs": ["dataset", "model_a", "model_b"],
    "published": ["dataset", "label_set", "model", "metric", "k", "source", "direction"],
    "fused": ["dataset", "label_set", "method", "model_1", "model_2", "model_3"],
}
MOST = 20  #: problems that are shown
AGREED_FACTS = ("time", "git", "device", "versions", "command")


@dataclass(frozen=True)
class Merged:
    """What `kis_bench.results.write_run` takes, and what a reader should know."""

    ranks: pd.DataFrame
    judgments: pd.DataFrame
    timings: pd.DataFrame
    verdicts: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    provenance: dict[str, Any]
    remarks: list[str]


def merge(runs: Sequence[Run]) -> Merged:
    """The runs as one; in which order they are given doesn't matter, for the oldest always goes first.

    If one of them was measured under privacy so is the whole: texts, names of annotators, and what may name folders,
    are left out.

    Raises:
        KisBenchError: with everything that doesn't fit: other datasets or options, other weights, other ranks.
    """
    distinct = [*{run.folder.resolve(): run for run in runs}.values()]
    if private(distinct):
        distinct = [as_private(run) for run in distinct]
    named = names(
        sorted(
            distinct,
            key=lambda run: (str(run.provenance.get("time", "")), str(run.folder.resolve())),
        )
    )
    remarks = drop_undeclared(named)
    remarks += [f"{name}: {said}" for name, run in named.items() for said in run.list_remarks()]
    problems = [*datasets_differ(named), *models_differ(named)]
    measured = {table: taken_once(named, table, problems, remarks) for table in MEASURED}
    if problems:
        more = [f"... and {len(problems) - MOST:,} more"] if len(problems) > MOST else []
        raise KisBenchError("\n  ".join(["these runs can't be one:", *problems[:MOST], *more]))
    ordered = list(named.values())
    tables = {
        name: once([getattr(run, name) for run in ordered], MERGING_KEYS[name])
        for name, table in TABLES.items()
        if table.optional and name not in ("image_to_text", "text_figures")
    }
    tables["image_to_text"] = measured.pop("image_to_text")
    tables["metrics"] = once(
        [run.metrics[run.metrics["label_set"] == ""] for run in ordered], ["model", "dataset"]
    )
    tables["agreement"] = drop_common(tables["agreement"], ordered)
    remarks += apart(named)
    return Merged(
        measured["ranks"],
        measured["judgments"],
        stack_tables([run.timings for run in ordered]).drop_duplicates(ignore_index=True),
        stack_tables([run.verdicts for run in ordered]).drop_duplicates(ignore_index=True),
        tables,
        provenance(ordered, remarks),
        remarks,
    )


def drop_undeclared(runs: dict[str, Run]) -> list[str]:
    """Takes columns out of the runs that only a newer kis-bench knows; a remark for each run that had some."""
    remarks = []
    for name, run in runs.items():
        unknown = [
            f"{table.name}.{column}"
            for table in TABLES.values()
            for column in getattr(run, table.name)
            if column not in table.names
        ]
        if unknown:
            runs[name] = run.map_tables(
                lambda frame, table: frame.drop(columns=frame.columns.difference(table.names))
            )
            remarks.append(
                f"{name}: left out what only a newer kis-bench knows: {', '.join(unknown)}"
            )
    return remarks


def run_name(run: Run) -> str:
    """The name of its own folder, also where `latest` led to it."""
    return run.folder.resolve().name


def names(runs: Sequence[Run]) -> dict[str, Run]:
    """Runs by name, in their order; those whose folders are called alike by the whole path."""
    short = [run_name(run) for run in runs]
    return {
        name if short.count(name) == 1 else str(run.folder.resolve()): run
        for name, run in zip(short, runs, strict=True)
    }


def private(runs: Sequence[Run]) -> bool:
    return any(bool(run.provenance.get("privacy")) for run in runs)


def same_data(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether a dataset is known to be the same, by what two runs say about it."""
    return a.get("fingerprint") is not None and a.get("fingerprint") == b.get("fingerprint")


def what_differs(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """In words, of two datasets that aren't `same_data`."""
    if a.get("fingerprint") is None or b.get("fingerprint") is None:
        return "nobody knows whether they are the same, for a fingerprint is missing"
    found = []
    for key in COUNTS:
        x, y = a.get(key), b.get(key)
        if key not in a or key not in b or x == y:
            continue
        if isinstance(x, Mapping) and isinstance(y, Mapping):
            sets = [name for name in dict.fromkeys([*x, *y]) if x.get(name) != y.get(name)]
            found += [
                f"{key} of {name} {x.get(name, 'none')} and {y.get(name, 'none')}" for name in sets
            ]
        else:
            found.append(f"{key} {x} and {y}")
    x, y = a.get("contents") or {}, b.get("contents") or {}
    found += [
        f"other {part}"
        for part in dict.fromkeys([*x, *y])
        if x and y and x.get(part) != y.get(part)
    ]
    return (
        f"not the same ({', '.join(found)})"
        if found
        else "equally large, but other pictures, ids or texts"
    )


def datasets_differ(runs: Mapping[str, Run]) -> list[str]:
    problems = []
    first: dict[str, tuple[str, Mapping[str, Any]]] = {}
    options: dict[tuple[str, str], tuple[str, Any]] = {}
    for here, run in runs.items():
        for name, about in (run.provenance.get("datasets") or {}).items():
            where, other = first.setdefault(name, (here, about))
            if where != here and not same_data(other, about):
                problems.append(
                    f"dataset {name} in {where} and {here}: {what_differs(other, about)}"
                )
            for key in [key for key in MEANINGS if about.get(key) is not None]:
                where, value = options.setdefault((name, key), (here, about[key]))
                if value != about[key]:
                    problems.append(
                        f"dataset {name}: {where} was measured with {spell_option(MEANINGS[key])} {value}, "
                        f"{here} with {about[key]}; measure one of them anew"
                    )
    return problems


def models_differ(runs: Mapping[str, Run]) -> list[str]:
    problems = []
    first: dict[tuple[str, str], tuple[str, Any]] = {}
    for here, run in runs.items():
        for name in run.provenance.get("models") or {}:
            for key, value in identity(run.provenance, name).items():
                where, other = first.setdefault((name, key), (here, value))
                if other != value:
                    problems.append(
                        f"model {name}: {key} is {other} in {where} and {value} in {here}; call one of them otherwise "
                        f"and measure it anew, or see kis-bench compare {where} {here}"
                    )
                    break
    return problems


def identity(provenance: Mapping[str, Any], model: str) -> dict[str, Any]:
    """What two models of one name have to share; the source, where nothing better is known."""
    about = provenance["models"][model] or {}
    known = {key: about[key] for key in ("weights", "key") if about.get(key) is not None}
    return {"taken from a study": of_study(provenance, model)} | (
        known or {"source": about.get("source")}
    )


def taken_once(
    runs: Mapping[str, Run], table: str, problems: list[str], remarks: list[str]
) -> pd.DataFrame:
    """Each cell of a table from the first run that has it; the others have to have measured the same."""
    cell, row, values, word = MEASURED[table]
    kept: dict[tuple[str, ...], tuple[str, pd.DataFrame]] = {}
    repeated = 0
    for here, run in runs.items():
        for key, rows in getattr(run, table).groupby(cell, sort=False):
            where, other = kept.setdefault(tuple(map(str, key)), (here, rows))
            if where == here:
                continue
            repeated += 1
            a, b = (each.set_index(row)[values].sort_index() for each in (other, rows))
            if not a.index.equals(b.index):
                told = f"{len(a):,} {word} in {where}, {len(b):,} in {here}, not the same; measure one of them anew"
                problems.append(f"{', '.join(map(str, key))}: {told}")
                continue
            differ = ((a != b) & ~(a.isna() & b.isna())).any(axis=1).to_numpy()
            if differ.any():
                one = a.index[differ][0]
                shown = " and ".join(show_rank(each.loc[one].tolist()) for each in (a, b))
                problems.append(
                    f"{', '.join(map(str, key))}: {int(differ.sum()):,} of {len(a):,} {word} differ between {where} "
                    f"and {here}, first {one}: {shown}; see kis-bench compare {where} {here}"
                )
    if repeated:
        what = "model, dataset and label set" if "label_set" in cell else "model and dataset"
        remarks.append(
            f"{table}: {repeated:,} times a {what} measured in two runs, alike, and taken once"
        )
    return (
        stack_tables([rows for _, rows in kept.values()])
        if kept
        else getattr(next(iter(runs.values())), table)
    )


def show_rank(values: Sequence[Any]) -> str:
    """The middle of best and worst, or the single value."""
    return f"{sum(map(float, values)) / len(values):g}"


def apart(runs: Mapping[str, Run]) -> list[str]:
    """What could be told only if everything had been measured in one run."""
    found = []
    judged = [name for name, run in runs.items() if len(run.judgments)]
    if len(judged) > 1:
        found.append(
            f"image similarity: models of {' and '.join(judged)} are not tested against one another"
        )
    if sum(len(run.ranks) > 0 for run in runs.values()) > 1 and any(
        len(run.fused) for run in runs.values()
    ):
        found.append(
            "combinations of models: fused lists only of models that were measured in one run"
        )
    return found


def once(tables: Sequence[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """All rows of the first table, and of each further one those about something that no table before it had."""
    found: list[pd.DataFrame] = []
    seen: set[tuple[str, ...]] = set()
    for table in [table for table in tables if len(table)]:
        texts = table.reindex(columns=keys).astype(object)
        own = list(texts.where(texts.notna(), "").astype(str).itertuples(index=False, name=None))
        found.append(table[[key not in seen for key in own]])
        seen |= {*own}
    return stack_tables(found or tables[:1])


def drop_common(agreement: pd.DataFrame, runs: Sequence[Run]) -> pd.DataFrame:
    """Without what only the models of one run have in common, of datasets that several runs measured."""
    names = [name for run in runs for name in run.agreement["dataset"].unique()]
    several = [name for name in {*names} if names.count(name) > 1]
    gone = (agreement["part"] == COMMON) & agreement["dataset"].isin(several)
    return agreement[~gone].reset_index(drop=True)


def provenance(runs: Sequence[Run], remarks: Sequence[str]) -> dict[str, Any]:
    """What all agree on; of models and datasets everything; and which runs these were."""
    heads = [run.provenance for run in runs]
    merged: dict[str, Any] = {}
    for kind in ("models", "datasets"):
        about: dict[str, dict[str, Any]] = {}
        for head in heads:
            for name, facts in (head.get(kind) or {}).items():
                own = about.get(name, {})
                known = {key: value for key, value in own.items() if value is not None}
                about[name] = unite_facts({**own, **(facts or {})}, known)
        merged[kind] = about
    apart = (*merged, "time", "command", "versions", "remarks", "merged_from")
    for key in dict.fromkeys(key for head in heads for key in head if key not in apart):
        merged[key] = (
            heads[0].get(key) if all(head.get(key) == heads[0].get(key) for head in heads) else None
        )
    if gates := [*dict.fromkeys(str(head["gate"]) for head in heads if head.get("gate"))]:
        merged["gate"] = "; ".join(gates)
    versions: list[Mapping[str, Any]] = [head.get("versions") or {} for head in heads]
    merged["versions"] = {
        name: v
        for name, v in versions[0].items()
        if all(other.get(name) == v for other in versions)
    }
    merged["interrupted"] = any(bool(head.get("interrupted")) for head in heads)
    merged["privacy"] = private(runs)
    merged["merged_from"] = [one for run in runs for one in origins(run)]
    merged["remarks"] = [
        *dict.fromkeys([*(text for head in heads for text in head.get("remarks") or ()), *remarks])
    ]
    return merged


def origins(run: Run) -> list[dict[str, Any]]:
    """The run itself, or the runs that it was merged from."""
    return run.provenance.get("merged_from") or [
        {"run": run_name(run), **{key: run.provenance.get(key) for key in AGREED_FACTS}}
    ]


def write_merged(parent: Path, runs: Sequence[Run]) -> tuple[Path, list[str]]:
    """Writes one run folder of several runs; returns it, and what a reader should know."""
    merged = merge(runs)
    folder = write_run(
        parent,
        ranks=merged.ranks,
        judgments=merged.judgments,
        tables=merged.tables,
        timings=merged.timings,
        verdicts=merged.verdicts,
        provenance={
            **merged.provenance,
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    )
    return folder, merged.remarks
