"""Writes the queries of a dataset in the forms in which others hand out captions; the pictures stay where they are."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kis_bench.datasets.label_formats.label_files import (
    LONG_FORM,
    OPTIONAL_LABEL_COLUMNS,
    RANGE_COLUMNS,
)
from kis_bench.datasets.label_formats.picture_names import PictureNames
from kis_bench.errors import KisBenchError
from kis_bench.files.whole import write_first
from kis_bench.records import Dataset, Query


@dataclass(frozen=True)
class CaptionForm:
    """A form that queries are written in."""

    about: str
    file: str  # what its file is called
    write: Callable[[Dataset, Sequence[Query], Path], str]
    one_set: bool = True  # it has no place for the names of label sets


def find_picture_files(dataset: Dataset) -> dict[str, Path]:
    """Item -> file of its picture. Raises KisBenchError: pictures lie in archives."""
    pairs = zip(dataset.collection.ids, dataset.collection.paths, strict=True)
    files = {item: picture for item, picture in pairs if isinstance(picture, Path)}
    if len(files) < len(dataset.collection):
        raise KisBenchError(
            f"dataset {dataset.name}: pictures lie in archives, which files of captions don't name; unpack them, or "
            "export csv"
        )
    return files


def name_picture_files(dataset: Dataset, files: dict[str, Path]) -> dict[str, str]:
    """Item -> path from the innermost folder of all pictures, or from the dataset's where that would name several."""
    names = PictureNames(dataset.collection, folders_count=True)
    root = os.path.commonpath([os.path.abspath(picture.parent) for picture in files.values()])
    short = {item: Path(os.path.relpath(file, root)).as_posix() for item, file in files.items()}
    if all(names.find(name) == [item] for item, name in short.items()):
        return short
    whole = getattr(dataset.collection.paths, "root", root)
    return {item: Path(os.path.relpath(file, whole)).as_posix() for item, file in files.items()}


def name_below(picture: Path, folder: Path) -> str:
    """The path of a picture from a folder, perhaps through links; empty if it lies elsewhere."""
    ways = (
        os.path.relpath(os.path.abspath(picture), os.path.abspath(folder)),
        os.path.relpath(picture.resolve(), folder.resolve()),
    )
    inside = (Path(way).as_posix() for way in ways if way.split(os.sep)[0] != os.pardir)
    return next(inside, "")


def write_coco_captions(dataset: Dataset, queries: Sequence[Query], file: Path) -> str:
    """COCO's JSON: all pictures with numbers in their order, and an annotation for each text and target."""
    files = find_picture_files(dataset)
    numbers = {item: number for number, item in enumerate(files, start=1)}
    images = [
        {"id": numbers[item], "file_name": name}
        for item, name in name_picture_files(dataset, files).items()
    ]
    pairs = [(query, item) for query in queries for item in query.item_ids]
    annotations = [
        {"id": number, "image_id": numbers[item], "caption": query.text}
        for number, (query, item) in enumerate(pairs, start=1)
    ]
    content = {"images": images, "annotations": annotations}
    return json.dumps(content, ensure_ascii=False, indent=1)


def write_image_folder(dataset: Dataset, queries: Sequence[Query], file: Path) -> str:
    """Lines of JSON, which keep ids and texts as they are, with paths from the file's own folder."""
    below = file.parent
    files = find_picture_files(dataset)

    def list_lines() -> Iterator[str]:
        for query in queries:
            for item in query.item_ids:
                path = name_below(files[item], below)
                if not path:
                    said = f"{files[item]} doesn't lie below {below}"
                    raise KisBenchError(f"{said}; write the file beside the pictures or above them")
                record = {"file_name": path, "text": query.text}
                yield f"{json.dumps(record, ensure_ascii=False)}\n"

    return "".join(list_lines())


def write_label_file(dataset: Dataset, queries: Sequence[Query], file: Path) -> str:
    """Our own labels.csv, a row for each target."""
    stream = io.StringIO()
    columns = (*LONG_FORM, *OPTIONAL_LABEL_COLUMNS)
    rows = csv.DictWriter(stream, columns, lineterminator="\n", quoting=csv.QUOTE_ALL)
    rows.writeheader()
    for query in queries:
        span = dict(zip(RANGE_COLUMNS, query.range_s or (), strict=query.range_s is not None))
        for item in query.item_ids:
            texts = (query.query_id, item, query.label_set, query.text)
            about = {"annotator": query.annotator or "", "stage": query.stage or "", **span}
            rows.writerow({**dict(zip(LONG_FORM, texts, strict=True)), **about})
    return stream.getvalue()


CAPTION_FORMS = {
    "coco": CaptionForm("captions as COCO has them", "captions_NAME.json", write_coco_captions),
    "imagefolder": CaptionForm(
        "metadata of an image folder of the hub", "metadata.jsonl", write_image_folder
    ),
    "csv": CaptionForm("a label file", "labels.csv", write_label_file, one_set=False),
}


def list_caption_forms() -> str:
    """The forms in words, for help."""
    return "; ".join(f"{name}: {form.about} ({form.file})" for name, form in CAPTION_FORMS.items())


def export_captions(dataset: Dataset, form: str, file: Path, label_set: str | None = None) -> str:
    """Writes the queries of a dataset, of one label set where the form knows no others, and says what was written.

    Raises:
        KisBenchError: there are several label sets and none was named, no queries, or a file of that name.
    """
    sets = dataset.label_sets if label_set is None else (label_set,)
    if not sets:
        raise KisBenchError(f"dataset {dataset.name} has no queries to write")
    chosen = CAPTION_FORMS[form]
    if chosen.one_set and len(sets) > 1:
        said = f"{chosen.about} have one label set, and there are {', '.join(sets)}"
        raise KisBenchError(f"{said}; choose one with --labels")
    queries = [query for name in sets for query in dataset.queries(name)]
    content = chosen.write(dataset, queries, file)
    if not write_first(file, content.encode()):
        raise KisBenchError(f"{file} is there already; delete it, or write another with --out")
    lost = "; query ids are not kept" if chosen.one_set else ""
    return f"{file}: {len(queries):,} texts for {len(dataset.collection):,} pictures{lost}"
