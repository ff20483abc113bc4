"""What a run is compared with: another run, or what was saved of one in a single file that can be kept in git."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

from kis_bench.analysis.runs import list_models
from kis_bench.errors import BadFile, KisBenchError, UnknownName, spell_option
from kis_bench.files.whole import write_whole
from kis_bench.gate.verdicts import Cell
from kis_bench.records import Source
from kis_bench.results import Run, folder, read_run
from kis_bench.results.columns import TABLES
from kis_bench.results.merging import run_name
from kis_bench.results.tables import (
    READING_FAULTS,
    find_bad_cells,
    hide_private,
    read_parquet_table,
)

SUFFIX = ".kis.zip"
PROVENANCE = (
    "schema_version",
    "time",
    "models",
    "datasets",
    "versions",
    "git",
    "device",
    "statistics",
    "interrupted",
    "privacy",
    "merged_from",
)
#: What is told of models and datasets in free words, which may name people and folders.
LEFT_OUT = ("note", "remarks")
MEMBERS = ("baseline.json", "ranks.parquet", "judgments.parquet")
SAVE_AGAIN = "save it again with kis-bench baseline save RUN"
LARGEST = 2**30  #: bytes of a part of a baseline when unpacked
EPOCH = (1980, 1, 1, 0, 0, 0)  #: of all parts, so that the same run gives the same bytes


def read_baseline(place: Path) -> Run:
    """What a gate compares with: `read_earlier`, if it was measured to its end.

    Raises:
        KisBenchError: also if it was interrupted.
    """
    run = read_earlier(place)
    if run.provenance.get("interrupted"):
        raise KisBenchError(
            f"the baseline {place} was stopped before its end, so what it lacks would never be "
            "compared; measure it again to the end"
        )
    return run


def read_earlier(place: Path) -> Run:
    """The run in a folder, or what `save_baseline` kept of one.

    Raises:
        KisBenchError: it isn't there, isn't whole, is of a newer version, or has nothing in it.
    """
    try:
        there = place.exists()
    except OSError as error:  # a name that no file can have, or a folder that may not be entered
        raise KisBenchError(
            f"the baseline {place} can't be read: {error.strerror or error}"
        ) from error
    if not there:
        raise KisBenchError(
            f"there is no baseline {place}; it is a run folder such as reports/latest, or a file that "
            f"kis-bench baseline save wrote ({spell_option('baseline')}= runs without one)"
        )
    run = read_run(place) if place.is_dir() or place.name == "latest" else read_file(place)
    if not len(run.ranks) and not len(run.judgments):
        what = "but image-to-text retrieval, which is not compared"
        raise KisBenchError(
            f"the baseline {place} has nothing in it "
            + (what if len(run.image_to_text) else "that was measured")
        )
    return run


def name_of_baseline(run: Run) -> str:
    """How a baseline is called in verdicts: the name of its run."""
    return str(run.provenance.get("baseline_of") or run_name(run))


def read_file(file: Path) -> Run:
    """What `save_baseline` kept of a run."""
    content = unpack_parts(file)
    try:
        head = folder.check_head(json.loads(content["baseline.json"]), file)
    except (ValueError, RecursionError) as error:
        raise BadFile(
            file, [f"not a readable baseline: baseline.json: {error}; {SAVE_AGAIN}"]
        ) from error
    kept = {}
    for one in (TABLES["ranks"], TABLES["judgments"]):
        try:
            frame = read_parquet_table(io.BytesIO(content[one.file]), one, LARGEST)
        except BadFile as error:
            said = "; ".join(error.problems)
            raise BadFile(
                file, [f"not a readable baseline: {one.file}: {said}; {SAVE_AGAIN}"]
            ) from error
        wrong = [
            f"the column {name!r} is missing"
            for name in one.find_missing(frame.columns)
            if name in one.in_baselines
        ] or find_bad_cells(frame, one)
        if wrong:
            raise BadFile(file, [f"{one.file}: {problem}" for problem in wrong])
        kept[one.name] = hide_private(frame.reindex(columns=one.names), one)
    return folder.run_of(file, head, **kept)


def unpack_parts(file: Path) -> dict[str, bytes]:
    """The parts of a baseline file, none of them larger than `LARGEST` bytes, whatever it says of them.

    Raises:
        BadFile: it isn't a whole ZIP archive, lacks a part, or has one that is larger.
    """
    found = {}
    try:
        with zipfile.ZipFile(file) as archive:
            if absent := [name for name in MEMBERS if name not in archive.namelist()]:
                raise BadFile(file, [f"not a baseline: it lacks {', '.join(absent)}"])
            large = [name for name in MEMBERS if archive.getinfo(name).file_size > LARGEST]
            for name in () if large else MEMBERS:
                with archive.open(name) as part:
                    found[name] = part.read(LARGEST + 1)
                large += [name] if len(found[name]) > LARGEST else []
            if large:
                raise BadFile(
                    file,
                    [f"{name} is larger than {LARGEST:,} bytes when unpacked" for name in large],
                )
    except (zipfile.BadZipFile, zlib.error, *READING_FAULTS, EOFError) as error:
        raise BadFile(file, [f"not a readable baseline: {error}; {SAVE_AGAIN}"]) from error
    return found


def save_baseline(
    run: Run, file: Path, *, models: Collection[str] = (), datasets: Collection[str] = ()
) -> list[str]:
    """Writes what a comparison needs of a run to one file; returns what is in it, a line for each condition.

    Args:
        models, datasets: only these; default: all.

    Raises:
        KisBenchError: a name that the run doesn't have, nothing left, or a run that was interrupted.
    """
    for kind, wanted, known in (
        ("model", models, list_models(run)),
        ("dataset", datasets, list_measured(run)),
    ):
        for name in wanted:
            if name not in known:
                raise UnknownName(kind, name, known, f"These are in {run_name(run)}.")
    if run.provenance.get("interrupted"):
        raise KisBenchError(
            f"{run.folder} was stopped before its end; a baseline is made of a whole run"
        )
    kept = select_part(run, models or list_models(run), datasets or list_measured(run))
    if not len(kept.ranks) and not len(kept.judgments):
        raise KisBenchError(f"{run.folder} measured nothing of these models on these datasets")
    head = copy.deepcopy(
        {key: kept.provenance[key] for key in PROVENANCE if key in kept.provenance}
    )
    head["baseline_of"] = name_of_baseline(run)
    for facts in (head.get("models") or {}), (head.get("datasets") or {}):
        for name, about in facts.items():
            facts[name] = {key: value for key, value in about.items() if key not in LEFT_OUT}
            if "source" in about:
                facts[name]["source"] = Source.read(str(about["source"])).public
    for one in head.get("merged_from") or ():
        one.pop("command", None)
    parts = {
        "baseline.json": json.dumps(head, indent=1, sort_keys=True, default=str).encode(),
        "ranks.parquet": kept.ranks[TABLES["ranks"].in_baselines].to_parquet(index=False),
        "judgments.parquet": kept.judgments.reindex(columns=TABLES["judgments"].in_baselines)
        .astype({"agreement": "float64", "target_item": "string"})
        .to_parquet(index=False),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    write_whole(file, packed.getvalue())
    said = [
        f"{dataset}, {label_set}: {', '.join(dict.fromkeys(rows['model']))}"
        for (dataset, label_set), rows in kept.ranks.groupby(["dataset", "label_set"], sort=False)
    ]
    return said + [
        f"{dataset}, judgments: {', '.join(dict.fromkeys(rows['model']))}"
        for dataset, rows in kept.judgments.groupby("dataset", sort=False)
    ]


def list_cells(run: Run) -> list[Cell]:
    """All that a run measured, in its order."""
    ranked = run.ranks[["model", "dataset", "label_set"]].drop_duplicates().to_numpy()
    judged = run.judgments[["model", "dataset"]].drop_duplicates().to_numpy()
    return [Cell(*map(str, one)) for one in ranked] + [
        Cell(str(model), str(dataset), "") for model, dataset in judged
    ]


def list_measured(run: Run) -> set[str]:
    return {cell.dataset for cell in list_cells(run)}


def select_part(
    run: Run, models: Collection[str], datasets: Collection[str], label_set: str | None = None
) -> Run:
    """A run as if it had measured only these models and datasets, and only one label set if it is named."""
    ranks, judgments = (
        table[table["model"].isin([*models]) & table["dataset"].isin([*datasets])]
        for table in (run.ranks, run.judgments)
    )
    if label_set is not None:
        ranks = ranks[ranks["label_set"] == label_set]
    provenance = {
        **run.provenance,
        "models": {
            name: about
            for name, about in (run.provenance.get("models") or {}).items()
            if name in models
        },
        "datasets": {
            name: about
            for name, about in (run.provenance.get("datasets") or {}).items()
            if name in datasets
        },
    }
    return dataclasses.replace(run, ranks=ranks, judgments=judgments, provenance=provenance)
