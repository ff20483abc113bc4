"""Vectors as they lie on disk, with what names their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kis_bench.encoders.vectors.files import SideFiles
from kis_bench.encoders.vectors.readers import (
    ID_COLUMNS,
    READERS_BY_SUFFIX,
    TEXT_COLUMNS,
    Names,
    locate_damage,
    read_names,
)
from kis_bench.errors import BadFile


@dataclass(frozen=True)
class VectorTable:
    """Vectors with what names their rows.

    Attributes:
        files: what they were read from, each with the number of its rows.
        parts: ``[m_i, v, d]``, float16, float32 or float64, in the order of the files.
        ids: m of them; of texts ``QUERY_ID`` or ``LABEL_SET/QUERY_ID``; empty: they go by their texts.
        texts: m of them, where the files have them.
    """

    files: tuple[Path, ...]
    parts: tuple[NDArray[Any], ...]
    ids: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def dim(self) -> int:
        return int(self.parts[0].shape[2])

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def locate(self, row: int) -> str:
        """File and row, counted from 0 in the file, of one of the m rows."""
        for file, part in zip(self.files, self.parts, strict=True):
            if row < len(part):
                return f"{file.name}, row {row:,} (counted from 0)"
            row -= len(part)
        raise IndexError(row)


def read_vector_table(files: SideFiles) -> VectorTable:
    """The vectors of files; of .npy and .safetensors mapped, and read when they are used.

    Raises:
        BadFile: one of them is damaged, has other numbers of rows and ids, or no ids.
    """
    names: list[Names] = []
    parts = []
    for file, beside in zip(files.vectors, files.names or [None] * len(files.vectors), strict=True):
        with locate_damage(file):
            found, own = READERS_BY_SUFFIX[file.suffix](file)
            part = shape_rows(file, found)
        parts.append(part)
        names.append(name_vectors(files, file, own, beside, len(part)))
    dims = {part.shape[1:] for part in parts}
    if len(dims) > 1:
        raise BadFile(files.vectors[0].parent, [f"parts have vectors of {sorted(dims)} numbers"])
    ids, texts = (join_parts(files, parts, [each[i] for each in names]) for i in (0, 1))
    if not ids and not texts:
        wanted = ID_COLUMNS[files.side]
        said = f"nothing says what its rows are; put {files.side}_ids.txt beside it, an id in each line"
        if files.names or files.vectors[0].suffix == ".parquet":
            said = f"nothing says what rows are: a column {', '.join(wanted)} is needed"
            said += f", or {' or '.join(TEXT_COLUMNS)}" * (files.side == "texts")
        raise BadFile((files.names or files.vectors)[0], [said])
    return VectorTable(files.vectors, tuple(parts), tuple(ids), tuple(texts))


def name_vectors(
    files: SideFiles, file: Path, own: list[str], beside: Path | None, n: int
) -> Names:
    """Ids and texts of the n rows of a file: its own, else those of the file beside it.

    Raises:
        BadFile: there are more or fewer than n, or both files name the rows and don't agree.
    """
    told: list[Names] = [(own, [])]
    places = [file]
    for place in (file if file.suffix == ".parquet" else None, beside):
        if place is not None:
            with locate_damage(place):
                told.append(read_names(place, files.side))
            places.append(place)
    if files.by_text:
        told = [([], texts) for _, texts in told]
    chosen: Names = ([], [])
    for place, names in zip(places, told, strict=True):
        for kind, known, new in zip(("ids", "texts"), chosen, names, strict=True):
            if new and len(new) != n:
                said = f"{len(new):,} {kind} for {n:,} vectors of {file.name}"
                raise BadFile(place, [f"{said}; write one for each, in their order"])
            if known and new and known != new:
                row = next(i for i in range(n) if known[i] != new[i])
                said = f"it and {file.name} both have {kind} of the rows, and differ in row {row:,}"
                raise BadFile(place, [f"{said} (counted from 0); delete those that are wrong"])
            known += [] if known else new
    return chosen


def join_parts(
    files: SideFiles, parts: Sequence[NDArray[Any]], some: Sequence[list[str]]
) -> list[str]:
    """Ids or texts of all parts, which have them all or not at all."""
    lacking = [i for i, found in enumerate(some) if not found]
    if lacking and len(lacking) < len(some):
        i = lacking[0]
        has = next(place for place, found in zip(files.names, some, strict=True) if found)
        what = "ids or texts" if files.side == "texts" else "ids"
        said = f"0 {what} for {len(parts[i]):,} vectors of {files.vectors[i].name}"
        raise BadFile(files.names[i], [f"{said}, unlike {has.name}; write the same columns in all"])
    return [one for found in some for one in found]


def shape_rows(file: Path, found: NDArray[Any]) -> NDArray[Any]:
    """An array as ``[n, v, d]``."""
    if found.dtype.kind != "f" or found.dtype.itemsize > 8 or found.ndim not in (2, 3):
        said = f"{found.dtype} {list(found.shape)}"
        raise BadFile(file, [f"{said}; float16, float32 or float64 [n, d] or [n, v, d] is needed"])
    if not found.size:
        raise BadFile(file, ["there are no vectors in it"])
    return found.reshape(len(found), -1, found.shape[-1])
