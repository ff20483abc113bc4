"""Reads the tables of RESET that M3RT extended: ``saves/reset_csvs``, with distances of models among the study's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kis_bench.datasets import load
from kis_bench.datasets.reset import JUDGMENTS_FILE, PARTICIPANTS_FILE, find_triplet_file
from kis_bench.encoders.catalogue import catalogue
from kis_bench.exchange.m3rt.saves import STUDY_FOLDER
from kis_bench.exchange.reset_csv import name_study_column
from kis_bench.files.cache import digest_file
from kis_bench.measuring.image_similarity import read_study_distances
from kis_bench.records import Dataset
from kis_bench.triplets.tables import Measured

STUDY_NAME = "reset"
STUDY_NOTE = "Distances as M3RT saved them, not measured here."


@dataclass(frozen=True)
class SavedStudy:
    """The study, and distances of models and of its own extractors over its triplets."""

    dataset: Dataset
    measured: Measured
    models: Mapping[str, Mapping[str, Any]]  # what a run says of each
    about: Mapping[str, Any]  # and of the dataset


def find_saved_study(saves: Path) -> Path | None:
    """The folder of the study's tables among M3RT's saves, if there is one."""
    folder = saves / STUDY_FOLDER
    return folder if folder.is_dir() else None


def read_saved_study(folder: Path, say: Callable[[str], None]) -> SavedStudy | None:
    """Reads the study's tables as M3RT extended them; None, with a remark, if they have no distances.

    Other tables beside them are named in a remark. Columns that M3RT added are of our models, under our names. It wrote
    1.11 where an image was missing.

    Raises:
        BadFile: a table is missing or has problems.
    """
    dataset = load(STUDY_NAME, folder, layout=STUDY_NAME)
    file = find_triplet_file(folder)
    assert file is not None  # else it could not be loaded
    for other in sorted(folder.glob("*.csv")):
        if other.name not in (file.name, PARTICIPANTS_FILE, JUDGMENTS_FILE):
            say(f"{other}: left out, the triplets are those of {file.name}")
    if not dataset.distances:
        say(f"{file}: left out, it has no distances")
        return None
    names = {
        name_study_column(row.thesis_name): row.name
        for row in catalogue().values()
        if row.thesis_name and row.vectors_per_item == 1
    }
    own = {column: names[column] for column in dataset.distances if column in names}
    found = read_study_distances(dataset, own, "mean")
    models: dict[str, Mapping[str, Any]] = {}
    for column, one in zip(dataset.distances, found, strict=True):
        models[one.model] = one.provenance["models"][one.model]
        if column in own:
            key = f"m3rt-{one.model}-{digest_file(file)[:16]}"
            models[one.model] = {"source": f"m3rt:{column}", "key": key, "note": STUDY_NOTE}
    return SavedStudy(
        dataset,
        {one.model: (one.distances, one.margins) for one in found},
        models,
        {
            **found[0].provenance["datasets"][STUDY_NAME],
            "note": "Imported from M3RT's saves/reset_csvs.",
        },
    )
