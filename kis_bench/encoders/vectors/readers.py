"""Readers of vectors in the forms that people have them in, and of the ids beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.csv_tables import read_rows

#: Columns of ids by side: a table of texts may say which picture each is about, which is not what names its rows.
ID_COLUMNS = {
    "images": ("id", "item_id", "image_id", "image_path", "path", "file_name", "key"),
    "texts": ("query_id", "id", "key"),
}
TEXT_COLUMNS = ("text", "caption")
VECTOR_COLUMNS = ("vector", "embedding", "emb", "features")


@contextmanager
def locate_damage(file: Path) -> Iterator[None]:
    """What readers raise over a damaged file, as a BadFile."""
    try:
        yield
    except KisBenchError:
        raise
    except (OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise BadFile(file, [f"can't be read: {said}"]) from error


Read = tuple[NDArray[Any], list[str]]  # vectors, and ids that their file has beside them
Names = tuple[list[str], list[str]]  # ids and texts of rows; none of what a file doesn't have


def read_npy(file: Path) -> Read:
    return read_array(file, "r"), []


def read_array(file: Path, mapped: Literal["r"] | None = None) -> NDArray[Any]:
    with file.open("rb") as stream:
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(np.lib.format.read_magic(stream))
        dtype = read_header(stream)[2] if read_header else np.dtype(np.float32)
    if dtype.hasobject:
        said = "it holds Python objects, which are not read; save numbers as float32, ids as text: "
        raise BadFile(file, [f"{said}np.save(FILE, np.array([*map(str, ids)]))"])
    return np.asarray(np.load(file, mmap_mode=mapped, allow_pickle=False))


def read_parquet(file: Path) -> Read:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import pyarrow.types as types

    try:
        with pq.ParquetFile(file) as opened:
            schema = opened.schema_arrow
            lists = [
                field.name
                for field in schema
                if types.is_list(field.type)
                or types.is_large_list(field.type)
                or types.is_fixed_size_list(field.type)
            ]
            chosen = [name for name in VECTOR_COLUMNS if name in lists] or lists
            if len(chosen) != 1:
                wanted = f"one column {', '.join(VECTOR_COLUMNS)} with lists of numbers is needed"
                raise BadFile(file, [f"{wanted}; there are {', '.join(schema.names)}"])
            about = opened.metadata
            groups = [n for n in range(about.num_row_groups) if about.row_group(n).num_rows]
            arrays = [
                flatten_lists(file, opened.read_row_group(n, columns=chosen)[chosen[0]])
                for n in groups
            ]
    except pa.ArrowException as error:
        raise BadFile(file, [f"not a readable Parquet file: {error}"]) from error
    return np.concatenate(arrays or [np.empty((0, 0), np.float32)]), []


def flatten_lists(file: Path, column: Any) -> NDArray[Any]:
    """A column of lists of one length as ``[n, d]``."""
    found = column.combine_chunks()
    flat = found.flatten()
    d, rest = divmod(len(flat), len(found))
    lengths = set(found.value_lengths().to_pylist()) if hasattr(found, "value_lengths") else {d}
    if rest or found.null_count or flat.null_count or lengths != {d}:
        raise BadFile(file, ["its vectors are of several lengths, or some are empty"])
    numbers: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
    return numbers.reshape(-1, d)


def read_safetensors(file: Path) -> Read:
    """One tensor of rows, or one vector for each id. What it holds is checked by the library, then mapped."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as opened:
            names, about = list(opened.keys()), opened.metadata() or {}
            shapes = {name: opened.get_slice(name).get_shape() for name in names}
            flat = [name for name in names if len(shapes[name]) == 1]
            if names and flat == names:
                return np.stack([opened.get_tensor(name) for name in names]), names
    except SafetensorError as error:
        raise BadFile(file, [f"not a readable safetensors file: {error}"]) from error
    wide = [name for name in names if len(shapes[name]) > 1]
    if len(wide) != 1:
        said = f"one tensor of vectors, or a vector for each id, is needed; there are {len(names)}"
        raise BadFile(file, [f"{said} tensors"])
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(size))[wide[0]]
    types = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
    if header["dtype"] not in types:
        raise BadFile(file, [f"{header['dtype']} numbers; save them as float16 or float32"])
    start = 8 + size + header["data_offsets"][0]
    found = np.memmap(file, types[header["dtype"]], "r", start, tuple(header["shape"]))
    ids = json.loads(about["ids"]) if "ids" in about else []
    return np.asarray(found), [str(one) for one in ids]


def read_faiss(file: Path) -> Read:
    """The vectors of a flat index; those of others are approximations."""
    import faiss

    index = faiss.read_index(str(file))
    ids: list[str] = []
    if isinstance(index, faiss.IndexIDMap | faiss.IndexIDMap2):
        ids = [str(one) for one in faiss.vector_to_array(index.id_map)]
        index = faiss.downcast_index(index.index)
    if not isinstance(index, faiss.IndexFlat):
        kind = type(index).__name__
        said = f"an {kind}, whose vectors are approximations; a flat index is needed"
        raise BadFile(file, [said])
    return index.reconstruct_n(0, index.ntotal), ids


READERS_BY_SUFFIX: Mapping[str, Callable[[Path], Read]] = {
    ".npy": read_npy,
    ".parquet": read_parquet,
    ".safetensors": read_safetensors,
    ".faiss": read_faiss,
    ".index": read_faiss,
}


def read_names(file: Path, side: str) -> Names:
    """Ids and texts of rows of ``images`` or ``texts``, as far as a file has them."""
    if file.suffix in (".parquet", ".csv"):
        return name_rows(file, side, *read_table(file))
    if file.suffix == ".txt":
        lines = file.read_text(encoding="utf-8-sig").rstrip().split("\n")
        return require_ids(file, [line.strip() for line in lines]), []
    if file.suffix == ".json":
        found: Any = json.loads(file.read_text(encoding="utf-8-sig"))
    else:
        found = read_array(file).tolist()
    if not isinstance(found, list) or not all(isinstance(one, str | bytes | int) for one in found):
        raise BadFile(file, ["a list of ids is needed"])
    return require_ids(file, [*map(spell_cell, found)]), []


Cells = Mapping[str, Sequence[object]]  # column -> a cell for each row; None and "" are empty


def read_table(file: Path) -> tuple[tuple[str, ...], Cells]:
    """The columns of a table, and the cells of those that may say something of rows."""
    if file.suffix == ".csv":
        header, numbered = read_rows(file)
        rows = [row for _, row in numbered]
        return header, {name: [row[name].strip() for row in rows] for name in header}
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        columns = tuple(opened.schema_arrow.names)
        known = {*ID_COLUMNS["images"], *ID_COLUMNS["texts"], *TEXT_COLUMNS, "label_set"}
        wanted = [name for name in columns if name in known]
        table = opened.read(columns=wanted)
        return columns, {name: table[name].to_pylist() for name in wanted}


def name_rows(file: Path, side: str, columns: Sequence[str], cells: Cells) -> Names:
    """Ids and texts of a table's rows; a .csv without a column that is known has ids in its first."""
    own_ids, of_texts = ID_COLUMNS[side], side == "texts"
    column = next((name for name in own_ids if name in cells), None)
    told = next((name for name in TEXT_COLUMNS if of_texts and name in cells), None)
    others = ID_COLUMNS["images" if of_texts else "texts"]
    if column is None and told is None and file.suffix == ".csv":
        if columns[0] in others:
            said = f"{side} are named by a column {', '.join(own_ids)}; there are"
            raise BadFile(file, [f"{said} {', '.join(columns)}"])
        column = columns[0]
    texts = [*map(spell_cell, cells[told])] if told else []
    if column is None:
        return [], texts
    ids = require_ids(file, [*map(spell_cell, cells[column])])
    if of_texts and "label_set" in cells:
        pairs = zip(cells["label_set"], ids, strict=True)
        ids = [f"{label_set}/{one}" if label_set else one for label_set, one in pairs]
    return ids, texts


def spell_cell(cell: object) -> str:
    """What a cell says; nothing where it is empty."""
    return cell.decode("utf-8") if isinstance(cell, bytes) else "" if cell is None else str(cell)


def require_ids(file: Path, ids: list[str]) -> list[str]:
    """The ids, none of which is empty."""
    if "" in ids:
        raise BadFile(file, [f"row {ids.index(''):,} (counted from 0) has no id; write one"])
    return ids
