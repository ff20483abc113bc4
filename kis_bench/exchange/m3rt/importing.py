"""Imports M3RT's saves as a run and as embeddings in the store, to stand beside what is measured now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.encoders.catalogue import catalogue
from kis_bench.encoders.m3rt import find_saved_model, list_thesis_names, make_key
from kis_bench.errors import BadFile, KisBenchError, UnknownName
from kis_bench.exchange.m3rt.features import normalise_lengths, store_saved_features
from kis_bench.exchange.m3rt.origins import find_origins
from kis_bench.exchange.m3rt.ranks import (
    CellKey,
    check_ranks,
    expand_cumulation,
    make_rank_rows,
    merge_remarks,
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
from kis_bench.exchange.m3rt.study import SavedStudy, find_saved_study, read_saved_study
from kis_bench.files.cache import digest_file
from kis_bench.measuring.run import RunRecord, write_measured
from kis_bench.records import Collection, digest
from kis_bench.results.published import read_published
from kis_bench.store import Store

IMPORT_NOTE = (
    "Imported from M3RT, not measured here: ranks as saved there, where equal scores were ordered by larger image id, "
    "of pictures that were not turned by their EXIF orientation."
)


@dataclass(frozen=True)
class Imported:
    """The result of an import: what was written, and remarks for the user."""

    run: Path | None  # None: there were no ranks
    store_folders: tuple[Path, ...]
    remarks: tuple[str, ...]
    pictures: Mapping[str, Collection]  # by dataset, where its images are here


def import_saves(
    folder: Path,
    *,
    reports: Path,
    store: Store,
    datasets: Mapping[str, Path] | None = None,
    models: Mapping[str, str] | None = None,
    published: Sequence[Path] = (),
) -> Imported:
    """Writes ranks and the study's distances as one run below ``reports``, and the features into the store.

    A second import writes such a run again, beside the first, and finds the features stored.

    Args:
        folder: M3RT's, or its ``saves``.
        datasets: by our name or M3RT's, folders with images and labels; for the others M3RT's own are looked at.
        models: names at the start of files of other models than M3RT's nine -> ours, or any, or a model's source.
        published: CSV files of figures to show beside the ranks.

    Raises:
        BadFile: a file is damaged, holds what M3RT never saved, or contradicts another.
        KisBenchError: there is nothing to import, or nobody knows how many images were searched.
    """
    work = Import(folder, datasets or {}, models or {})
    stored = work.store_features(store)
    work.drop_other_images()
    rows = work.make_rows()
    run = None
    if rows or work.study:
        provenance = work.make_provenance(rows)
        similar = [(work.study.dataset, work.study.measured)] if work.study else []
        record = RunRecord(
            ranks=pd.DataFrame(rows),
            similar=similar,
            timings=[],
            provenance=provenance,
            published=read_published(published, provenance["datasets"]),
            remarks=work.remarks,
            device="not known",
            command=["kis-bench", "import", "m3rt", str(folder)],
            repository=Path.cwd(),
        )
        run = write_measured(reports, record)
    return Imported(run, stored, tuple(merge_remarks(work.remarks)), work.pictures)


class Import:
    """An import; all ranks and cumulations are read before anything is written."""

    def __init__(
        self, folder: Path, datasets: Mapping[str, Path], models: Mapping[str, str]
    ) -> None:
        given = {theirs: find_saved_model(ours)[0] for theirs, ours in models.items()}
        self.saves, remarks = find_saves(folder, {**list_thesis_names(), **given})
        for theirs in given.keys() - {save.thesis_model for save in self.saves}:
            own = {save.thesis_model for save in self.saves}
            raise UnknownName("model", theirs, own, f"No save in {folder} begins with it.")
        self.remarks = list(remarks)
        tables = find_saved_study(find_saves_folder(folder))
        self.study: SavedStudy | None = None
        if tables is not None:
            self.study = read_saved_study(tables, self.remarks.append)
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
            if save.kind != "features":
                continue
            ids, vectors = read_features(save.path)
            self.agree(save, len(ids))
            vectors = normalise_lengths(save, vectors, self.remarks.append)
            source = self.sources[save.dataset]
            collection = None if source.dataset is None else source.dataset.collection
            digested = self.digests[save]
            entry, of_dataset = store_saved_features(
                save, ids, vectors, collection, store, digested, self.remarks.append
            )
            if not of_dataset:
                self.sources[save.dataset] = replace(source, dataset=None)
            folders.append(entry.folder)
        return tuple(folders)

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
                ranks = expand_cumulation(key, self.counts[key][1], self.remarks.append)
            pairs, loose = pair(ranks, queries)
            self.lacks[model] += report_left_out(key, pairs, loose, queries, self.remarks.append)
            known = self.n_queries[dataset].get(label_set, 0)
            self.n_queries[dataset][label_set] = len(queries) or max(known, len(ranks))
            rows += make_rank_rows(key, pairs, loose, n_items)
        return rows

    def make_provenance(self, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        models, names = ({row[column] for row in rows} for column in ("model", "dataset"))
        judged = self.study
        return {
            "models": {
                **(judged.models if judged else {}),
                **{model: self.describe_model(model) for model in sorted(models)},
            },
            "datasets": {
                **{name: self.describe_dataset(name) for name in sorted(names)},
                **({judged.dataset.name: dict(judged.about)} if judged else {}),
            },
        }

    def describe_model(self, model: str) -> dict[str, Any]:
        """Provenance of a model; its key stands for all of its saves."""
        own = {save: sha for save, sha in self.digests.items() if save.model == model}
        said = [f"Ranks {what}: {count}." for what, count in self.lacks[model].items() if count]
        return {
            "source": f"m3rt:{next(iter(own)).thesis_model}",
            "key": f"m3rt-{model}-{digest(sorted(own.values()))[:16]}",
            "features": {
                save.dataset: make_key(save.model) for save in own if save.kind == "features"
            },
            "files": {
                f"{save.path.parent.name}/{save.path.name}": sha for save, sha in own.items()
            },
            "note": " ".join([IMPORT_NOTE, *said, find_note(model)]).strip(),
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


def find_note(model: str) -> str:
    row = catalogue().get(model)
    return "" if row is None else row.note


def make_cell(save: Save) -> CellKey:
    return save.model, save.dataset, save.label_set or ""
