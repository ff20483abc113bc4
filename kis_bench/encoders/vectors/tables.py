"""Vectors as they lie on disk, with what names their rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kis_bench.encoders.vectors.files import SideFiles
from kis_bench.encoders.vectors.readers import READERS_BY_SUFFIX, locate_damage, read_names
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
    ids: list[str] = []
    texts: list[str] = []
    parts = []
    for number, file in enumerate(files.vectors):
        with locate_damage(file):
            part, own, said = READERS_BY_SUFFIX[file.suffix](file)
            part = shape_rows(file, part)
        parts.append(part)
        if files.names:
            named = files.names[min(number, len(files.names) - 1)]
            with locate_damage(named):
                own, said = read_names(named)
            if max(len(own), len(said)) != len(part):
                told = f"{max(len(own), len(said)):,} rows for {len(part):,} vectors of {file.name}"
                raise BadFile(named, [f"{told}; write one for each, in their order"])
        ids += own
        texts += said
    dims = {part.shape[1:] for part in parts}
    if len(dims) > 1:
        raise BadFile(files.vectors[0].parent, [f"parts have vectors of {sorted(dims)} numbers"])
    if not ids and not texts:
        side = files.vectors[0].stem
        raise BadFile(
            files.vectors[0],
            [f"nothing says what its rows are; put {side}_ids.txt beside it, an id in each line"],
        )
    return VectorTable(
        files.vectors, tuple(parts), () if files.by_text else tuple(ids), tuple(texts)
    )


def shape_rows(file: Path, found: NDArray[Any]) -> NDArray[Any]:
    """An array as ``[n, v, d]``."""
    if found.dtype.kind != "f" or found.dtype.itemsize > 8 or found.ndim not in (2, 3):
        said = f"{found.dtype} {list(found.shape)}"
        raise BadFile(file, [f"{said}; float16, float32 or float64 [n, d] or [n, v, d] is needed"])
    if not found.size:
        raise BadFile(file, ["there are no vectors in it"])
    return found.reshape(len(found), -1, found.shape[-1])
