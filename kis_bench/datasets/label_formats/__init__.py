"""The forms in which texts about pictures lie beside them: one module each, which has its form as ``FORMAT``.

What a dataset folder has is found here alone; a new form is a new module and nothing else.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kis_bench.datasets.label_formats.label_format import (
    IN_TABLES,
    DatasetFolder,
    LabelFormat,
    Labels,
    Purpose,
    tell_no_parts,
)
from kis_bench.datasets.papers import compare_counts
from kis_bench.datasets.parquet import spell_tables
from kis_bench.datasets.parts import ALL, DatasetPart
from kis_bench.datasets.picture_folder import find_picture_folder
from kis_bench.errors import BadFile
from kis_bench.files.text import list_first_names


@functools.cache
def list_label_formats() -> tuple[LabelFormat, ...]:
    """All forms of labels, those that go before others first."""
    modules = pkgutil.iter_modules(__path__, f"{__name__}.")
    found = [getattr(importlib.import_module(one.name), "FORMAT", None) for one in modules]
    return tuple(sorted((one for one in found if one is not None), key=lambda one: one.turn))


@dataclass(frozen=True)
class FoundLabels:
    """The files of one form from which the queries of a dataset folder are read, perhaps none."""

    root: Path
    form: LabelFormat | None = None
    files: tuple[Path, ...] = ()
    others: tuple[str, ...] = ()  # what else is there and isn't read, in words

    @property
    def beside(self) -> bool:
        """Whether there are files of texts, which lie beside the pictures and not in the same archives."""
        return self.form is not None and not self.form.packed

    @property
    def in_tables(self) -> bool:
        """Whether the queries are texts in the tables of pictures, or would be if there were some."""
        return self.form is None or self.form.name == IN_TABLES

    def list_sets(self, part: DatasetPart) -> tuple[str, ...]:
        """The names of the label sets, in order; reads no picture. Raises BadFile."""
        self.require_part(part)
        pictures = find_picture_folder(self.root)
        return () if self.form is None else self.form.list_sets(self.files, part.split, pictures)

    def require_part(self, part: DatasetPart) -> None:
        """Raises BadFile: a part is asked for as none can be, where there are parts."""
        if part.wrong and self.form is not None and self.form.parts:
            raise BadFile(self.root, [part.wrong])

    def read(self, purpose: Purpose) -> Labels:
        """The queries, with the problems of the files."""
        part = purpose.part
        self.require_part(part)
        labels = Labels() if self.form is None else self.form.read(self.files, purpose)
        labels.unread += self.others
        if self.form is not None and not self.form.parts and (part.split or part.most_texts):
            labels.remarks.append(tell_no_parts(self.form.about))
        if purpose.packed and not self.in_tables:
            packed = [one for texts in purpose.packed.values() for one in texts]
            names = list_first_names([*dict.fromkeys(one.label_set for one in packed)], 5)
            said = f"texts of {names} in {spell_tables(map(Path, {one.file for one in packed}))}"
            labels.unread.append(f"{said}, because there is {self.files[0].name}")
        labels.remarks += self.compare_with_papers(labels, purpose)
        return labels

    def compare_with_papers(self, labels: Labels, purpose: Purpose) -> Iterator[str]:
        """A remark where captions aren't those on which papers report; pictures count whether they can be read or not.

        Labels of other forms, or several sets of captions, claim nothing of the kind.
        """
        if self.form is None or not self.form.parts:
            return
        if len({query.label_set for query in labels.queries}) != 1:
            return
        ids, searched = purpose.collection.ids, labels.searched
        pictures = sum(searched is None or one in searched for one in ids)
        texts = len(labels.queries) + labels.repeated.total()
        form = "" if labels.about else self.form.about
        yield from compare_counts(labels.about, purpose.part, pictures, texts, form)


def find_labels(
    root: Path, part: DatasetPart | None = None, *, beside: bool = False
) -> FoundLabels:
    """The labels of a dataset folder: of the forms that are there, the one that goes before the others.

    Args:
        part: the one that is asked for; a form that lacks it lets one go first that has it.
        beside: don't look into archives of pictures.
    """
    folder = DatasetFolder(root)
    there: list[tuple[LabelFormat, list[Path]]] = []
    for form in list_label_formats():
        if (form.deep and there) or (form.packed and beside):
            continue
        if files := form.find(folder):
            there.append((form, files))
    if not there:
        return FoundLabels(root)
    form, files = there.pop(choose_form(there, part.split if part else ""))
    others = [
        f"{list_first_names([file.name for file in own], 3)} ({other.about}), because there is {files[0].name}"
        for other, own in there
    ]
    return FoundLabels(root, form, tuple(files), tuple(others))


def choose_form(there: Sequence[tuple[LabelFormat, Sequence[Path]]], split: str) -> int:
    """The place of the first form, or of one that has the split which the first lacks."""
    first, files = there[0]
    if split in ("", ALL) or first.has_split is None or first.has_split(files, split):
        return 0
    having = (
        place
        for place, (form, own) in enumerate(there)
        if form.has_split is not None and form.has_split(own, split)
    )
    return next(having, 0)
