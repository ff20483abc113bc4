"""The forms in which texts about pictures lie beside them: one module each, which has its form as ``FORMAT``.

What a dataset folder has is found here alone; a new form is a new module and nothing else.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path

from kis_bench.datasets.label_formats.label_format import (
    IN_TABLES,
    DatasetFolder,
    LabelFormat,
    Labels,
    Purpose,
)
from kis_bench.datasets.parts import DatasetPart
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

    def list_sets(self, part: DatasetPart) -> tuple[str, ...]:
        """The names of the label sets, in order; reads no picture. Raises BadFile."""
        self.require_part(part)
        return () if self.form is None else self.form.list_sets(self.files, part.split)

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
            said = f"{self.form.about} has no parts, so that all of it is read"
            labels.remarks.append(f"{said}, whatever the dataset's name asks for")
        names = dict.fromkeys(one.label_set for texts in purpose.packed.values() for one in texts)
        if names and self.form is not None and self.form.name != IN_TABLES:
            said = f"texts of {list_first_names([*names], 5)} in Parquet tables"
            labels.unread.append(f"{said}, because there is {self.files[0].name}")
        return labels


def find_labels(root: Path, *, beside: bool = False) -> FoundLabels:
    """The labels of a dataset folder: of the forms that are there, the one that goes before the others.

    Args:
        beside: don't look into archives of pictures.
    """
    folder = DatasetFolder(root)
    found: FoundLabels | None = None
    others: list[str] = []
    for form in list_label_formats():
        if (form.deep and found is not None) or (form.packed and beside):
            continue
        if files := form.find(folder):
            if found is None:
                found = FoundLabels(root, form, tuple(files))
            else:
                names = list_first_names([file.name for file in files], 3)
                others.append(f"{names} ({form.about}), because there is {found.files[0].name}")
    return (
        FoundLabels(root)
        if found is None
        else FoundLabels(root, found.form, found.files, tuple(others))
    )
