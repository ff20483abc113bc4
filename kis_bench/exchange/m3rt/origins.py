"""The images and labels from which M3RT's saves were made, as far as they are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kis_bench.datasets import load
from kis_bench.datasets.label_formats.label_files import find_label_files, read_labels
from kis_bench.errors import BadFile, KisBenchError, UnknownName
from kis_bench.exchange.m3rt.ranks import Say
from kis_bench.exchange.m3rt.saves import LAYOUT_NAMES, Save, find_saves_folder
from kis_bench.files.csv_tables import read_rows
from kis_bench.records import Collection, Dataset, Query


@dataclass(frozen=True)
class Origin:
    """The images and labels from which saves were made, as far as they are available."""

    dataset: Dataset | None = None
    queries: tuple[Query, ...] = ()

    def list_queries(self, label_set: str) -> list[Query]:
        return [query for query in self.queries if query.label_set == label_set]


def find_origins(
    folder: Path, saves: Sequence[Save], given: Mapping[str, Path], say: Say
) -> dict[str, Origin]:
    """Maps each dataset of the saves to its origin: the given folder, else M3RT's own, else none."""
    names = {save.dataset: save.thesis_dataset for save in saves}
    for name in given:
        if name not in (*names, *names.values()):
            raise UnknownName("dataset", name, {*names, *names.values()}, "These have saves.")
    own = find_saves_folder(folder).resolve().parent / "datasets"
    return {
        ours: read_origin(ours, given.get(ours) or given.get(thesis), own / thesis, say)
        for ours, thesis in names.items()
    }


def read_origin(name: str, given: Path | None, own: Path, say: Say) -> Origin:
    """Reads images and labels, or labels alone, and reports what keeps a folder from being a dataset."""
    if given is None and not own.is_dir():
        return Origin()
    folder = given or own
    try:
        dataset = load(name, folder, layout=LAYOUT_NAMES.get(name))
        _ = dataset.fingerprint  # which looks into all images
        return Origin(dataset, dataset.all_queries)
    except KisBenchError as error:
        queries = read_labels_alone(name, folder)
        if given is not None and not queries:
            raise
        say(f"dataset {name}: taken without its images: {error}")
        return Origin(None, queries)


def read_labels_alone(name: str, folder: Path) -> tuple[Query, ...]:
    """Reads the queries of a folder without images; their items are those that the labels name."""
    items: dict[str, None] = {}
    for file in find_label_files(folder):
        items |= dict.fromkeys(
            row.get("ID", row.get("item_id", "")).strip() for _, row in read_rows(file)[1]
        )
    found = read_labels(
        find_label_files(folder), Collection(name, tuple(item for item in items if item), (), ())
    )
    for file, problems in found.problems.items():
        if problems:
            raise BadFile(file, problems)
    return tuple(found.queries)
