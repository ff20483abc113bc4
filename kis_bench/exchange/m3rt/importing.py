"""Imports M3RT's saves as a run and as embeddings in the store, to stand beside what is measured now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.datasets import load
from kis_bench.datasets.labels import find_label_files, parse_number, read_labels
from kis_bench.encoders.catalogue import catalogue
from kis_bench.errors import BadFile, KisBenchError, UnknownName
from kis_bench.exchange.m3rt.ranks import (
    CellKey,
    Say,
    check_ranks,
    expand_cumulation,
    list_some,
    make_rank_rows,
    pair,
    report_left_out,
)
from kis_bench.exchange.m3rt.saves import (
    Save,
    find_saves,
    find_saves_folder,
    read_cumulation,
    read_features,
    read_ranks,
)
from kis_bench.files.cache import digest_file
from kis_bench.files.csv_tables import read_rows
from kis_bench.measuring.run import RunRecord, write_measured
from kis_bench.records import Collection, Dataset, Query, Vectors, digest
from kis_bench.store import Store

IMPORT_NOTE = (
    "Imported from M3RT, not measured here: ranks as saved there, "
    "where equal scores were ordered by larger image id."
)
LENGTH_ROUNDING = 1e-5  #: lengths of float32 vectors are nearer to 1 than that


@dataclass(frozen=True)
class Imported:
    """The result of an import: what was written, and remarks for the user."""

    run: Path | None  # None: there were no ranks
    store_folders: tuple[Path, ...]
    remarks: tuple[str, ...]
    pictures: Mapping[str, Collection]  # by dataset, where its images are here


@dataclass(frozen=True)
class Origin:
    """The images and labels from which saves were made, as far as they are available."""

    dataset: Dataset | None = None
    queries: tuple[Query, ...] = ()

    def list_queries(self, label_set: str) -> list[Query]:
        return [query for query in self.queries if query.label_set == label_set]


def import_saves(
    folder: Path,
    *,
    reports: Path,
    store: Store,
    datasets: Mapping[str, Path] | None = None,
) -> Imported:
    """Writes the ranks as one run below ``reports``, and the features into the store.

    A second import writes such a run again, beside the first, and finds the features stored.

    Args:
        folder: M3RT's, or its ``saves``.
        datasets: by our name or M3RT's, folders with images and labels; for the others M3RT's own are looked at.

    Raises:
        BadFile: a file is damaged, holds what M3RT never saved, or contradicts another.
        KisBenchError: there is nothing to import, or nobody knows how many images were searched.
    """
    work = Import(folder, datasets or {})
    stored = work.store_features(store)
    work.drop_other_images()
    rows = work.make_rows()
    run = None
    if rows:
        record = RunRecord(
            ranks=pd.DataFrame(rows),
            timings=[],
            provenance=work.make_provenance(rows),
            device="not known",
            command=["kis-bench", "import", "m3rt", str(folder)],
            repository=Path.cwd(),
        )
        run = write_measured(reports, record)
    return Imported(run, stored, tuple(work.remarks), work.pictures)


class Import:
    """An import; all ranks and cumulations are read before anything is written."""

    def __init__(self, folder: Path, datasets: Mapping[str, Path]) -> None:
        self.saves, remarks = find_saves(folder, read_thesis_models())
        self.remarks = list(remarks)
        self.sources = find_origins(folder, self.saves, datasets, self.remarks.append)
        self.digests = {save: digest_file(save.path) for save in self.saves}
        self.ranks = {
            make_cell(save): (save, read_ranks(save.path))
            for save in self.saves
            if save.kind == "ranks"
        }
        self.counts = {
            make_cell(s): (s, read_cumulation(s.path)) for s in self.saves if s.kind == "cumulation"
        }
        self.sizes: dict[
            str, tuple[int, Path]
        ] = {}  # dataset -> how many images it had, and which file says so
        for save, numbers in self.counts.values():
            self.agree(save, len(numbers))
        self.lacks: dict[str, Counter[str]] = defaultdict(
            Counter
        )  # model -> what can't be had from its ranks
        self.n_queries: dict[str, dict[str, int]] = defaultdict(
            dict
        )  # dataset -> label set -> queries

    def agree(self, save: Save, n: int) -> None:
        """Records the number of images of a file; all files of a dataset must have the same."""
        known, file = self.sizes.setdefault(save.dataset, (n, save.path))
        if known != n:
            message = f"it is about {n} images, {file} about {known}; take away what is of another state of the dataset"
            raise BadFile(save.path, [message])

    def store_features(self, store: Store) -> tuple[Path, ...]:
        folders = []
        for save in self.saves:
            if save.kind == "features":
                ids, vectors = read_features(save.path)
                self.agree(save, len(ids))
                folders.append(
                    self.keep(
                        save, ids, normalise_lengths(save.path, vectors, self.remarks.append), store
                    )
                )
        return tuple(folders)

    def keep(self, save: Save, ids: tuple[str, ...], vectors: Vectors, store: Store) -> Path:
        """Stores features under the ids of the dataset's images and in their order, if they are of the same images."""
        source = self.sources[save.dataset]
        fingerprint, items = digest(["m3rt", *ids]), ids
        if source.dataset is not None:
            collection = source.dataset.collection
            order = match_images(save.path, ids, collection, self.remarks.append)
            if order is None:
                self.sources[save.dataset] = replace(source, dataset=None)
            else:
                fingerprint, items, vectors = collection.fingerprint, collection.ids, vectors[order]
        entry = store.entry(save.dataset, fingerprint, self.make_key(save), "images", items)
        about = {"encoder": save.model, "source": f"m3rt:{save.thesis_model}"}
        entry.fill(
            lambda missing, _: ((vectors[one.start : one.stop, None], None, {}) for one in missing),
            lambda: about,
        )
        return entry.folder

    def make_key(self, save: Save) -> str:
        return f"m3rt-{save.model}-{self.digests[save][:16]}"

    def drop_other_images(self) -> None:
        """Drops the images of a folder if their number isn't that of the images searched."""
        for name, source in list(self.sources.items()):
            if source.dataset is not None and len(source.dataset.collection) != self.count_searched(
                name
            ):
                self.remarks.append(
                    f"dataset {name}: its folder has {len(source.dataset.collection)} images, but by "
                    f"{self.sizes[name][1]} {self.count_searched(name)} were searched; taken without its images"
                )
                self.sources[name] = replace(source, dataset=None)

    def count_searched(self, name: str) -> int:
        """Number of images of a dataset that were searched."""
        dataset = self.sources[name].dataset
        if name not in self.sizes and dataset is None:
            raise KisBenchError(
                f"dataset {name}: nobody knows how many images were searched; put a cumulation or the image features "
                "beside the ranks, or give the dataset's folder with its images"
            )
        return (
            self.sizes[name][0]
            if name in self.sizes
            else len(dataset.collection if dataset else ())
        )

    @property
    def pictures(self) -> dict[str, Collection]:
        return {
            name: source.dataset.collection
            for name, source in self.sources.items()
            if source.dataset
        }

    def make_rows(self) -> list[dict[str, Any]]:
        """The rows of ranks.parquet for all cells."""
        rows: list[dict[str, Any]] = []
        for key in sorted({*self.ranks, *self.counts}):
            model, dataset, label_set = key
            queries, n_items = (
                self.sources[dataset].list_queries(label_set),
                self.count_searched(dataset),
            )
            if key in self.ranks:
                ranks = check_ranks(
                    key, *self.ranks[key], self.counts.get(key), n_items, self.remarks.append
                )
            else:
                ranks = expand_cumulation(key, *self.counts[key], self.remarks.append)
            pairs, loose = pair(ranks, queries)
            self.lacks[model] += report_left_out(key, pairs, loose, queries, self.remarks.append)
            known = self.n_queries[dataset].get(label_set, 0)
            self.n_queries[dataset][label_set] = len(queries) or max(known, len(ranks))
            rows += make_rank_rows(key, pairs, loose, n_items)
        return rows

    def make_provenance(self, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        models, names = ({row[column] for row in rows} for column in ("model", "dataset"))
        return {
            "models": {model: self.describe_model(model) for model in sorted(models)},
            "datasets": {name: self.describe_dataset(name) for name in sorted(names)},
        }

    def describe_model(self, model: str) -> dict[str, Any]:
        """Provenance of a model; its key stands for all of its saves."""
        own = {save: sha for save, sha in self.digests.items() if save.model == model}
        said = [f"Ranks {what}: {count}." for what, count in self.lacks[model].items() if count]
        return {
            "source": f"m3rt:{next(iter(own)).thesis_model}",
            "key": f"m3rt-{model}-{digest(sorted(own.values()))[:16]}",
            "features": {
                save.dataset: self.make_key(save) for save in own if save.kind == "features"
            },
            "files": {
                f"{save.path.parent.name}/{save.path.name}": sha for save, sha in own.items()
            },
            "note": " ".join([IMPORT_NOTE, *said, catalogue()[model].note]).strip(),
        }

    def describe_dataset(self, name: str) -> dict[str, Any]:
        """Provenance of a dataset; without its images, the fingerprint is that of the saves."""
        own = {save: sha for save, sha in self.digests.items() if save.dataset == name}
        dataset = self.sources[name].dataset
        return {
            "fingerprint": dataset.fingerprint
            if dataset
            else digest(["m3rt", *sorted(own.values())]),
            "n_items": self.count_searched(name),
            "n_queries": self.n_queries[name],
            "note": f"Imported from M3RT's dataset {next(iter(own)).thesis_dataset}.",
        }


def read_thesis_models() -> dict[str, str]:
    """Maps the model names at the start of M3RT's file names to ours.

    It kept one vector per image, of BLIP-2 too, which therefore is our model without projection.
    """
    rows = [row for row in catalogue().values() if row.thesis_name and row.vectors_per_item == 1]
    own_code = ("CLIP", "ALIGN", "BLIP2")  # the others it loaded with open_clip
    names = [
        row.thesis_name.lower() if row.thesis_name in own_code else f"openclip-{row.thesis_name}"
        for row in rows
    ]
    return dict(zip(names, (row.name for row in rows), strict=True))


def make_cell(save: Save) -> CellKey:
    return save.model, save.dataset, save.label_set or ""


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
        dataset = load(name, folder)
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


def normalise_lengths(file: Path, vectors: Vectors, say: Say) -> Vectors:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    off = float(np.abs(lengths - 1).max())
    if off <= LENGTH_ROUNDING:
        return vectors
    say(
        f"{file}: lengths were up to {off:.1g} off 1, as half precision leaves them; they were made 1"
    )
    made: Vectors = (vectors / lengths).astype(np.float32)
    return made


def match_images(
    file: Path, ids: Sequence[str], collection: Collection, say: Say
) -> list[int] | None:
    """Positions in ``ids`` of the collection's images; None, with a report, if these are other images.

    M3RT named an image by its file up to the first dot, or by the number that this is.
    """
    named: dict[str | int, set[str]] = defaultdict(set)
    for item in collection.ids:
        base = item.rsplit("/", 1)[-1].split(".")[0]
        for name in (base, parse_number(base)):
            if name is not None:
                named[name].add(item)
    places: dict[str, int] = {}
    strange: list[str] = []
    for place, known in enumerate(ids):
        number = parse_number(known)
        found = {known} & collection.position.keys() or named.get(known) or set()
        if not found and number is not None:
            found = named.get(number, set())
        if len(found) == 1 and not found & places.keys():
            places[next(iter(found))] = place
        else:
            strange.append(known)
    lacking = [item for item in collection.ids if item not in places]
    if strange or lacking:
        say(
            f"{file}: stored under its own image ids; {len(strange)} of {len(ids)} are not, or not for certain, in the "
            f"dataset{list_some(strange)}, and {len(lacking)} of the dataset's {len(collection)} are not in the file"
            f"{list_some(lacking)}"
        )
        return None
    return [places[item] for item in collection.ids]
