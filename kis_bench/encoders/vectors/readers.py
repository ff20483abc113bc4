"""Readers of vectors in the forms that people have them in, and of the ids beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.csv_tables import read_rows

ROW_ID_COLUMNS = ("id", "item_id", "image_id", "query_id", "image_path", "path", "file_name", "key")
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


Read = tuple[NDArray[Any], list[str], list[str]]  # vectors, ids and texts of their rows


def read_npy(file: Path) -> Read:
    return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False)), [], []


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
            groups = range(opened.metadata.num_row_groups)
            arrays = [
                flatten_lists(file, opened.read_row_group(n, columns=chosen)[chosen[0]])
                for n in groups
            ]
            ids, texts = read_columns(opened)
    except pa.ArrowException as error:
        raise BadFile(file, [f"not a readable Parquet file: {error}"]) from error
    return np.concatenate(arrays), ids, texts


def flatten_lists(file: Path, column: Any) -> NDArray[Any]:
    """A column of lists of one length as ``[n, d]``."""
    found = column.combine_chunks()
    if len(found) == 0:
        return np.empty((0, 0), np.float32)
    flat = found.flatten()
    d, rest = divmod(len(flat), len(found))
    lengths = set(found.value_lengths().to_pylist()) if hasattr(found, "value_lengths") else {d}
    if rest or found.null_count or flat.null_count or lengths != {d}:
        raise BadFile(file, ["its vectors are of several lengths, or some are empty"])
    numbers: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
    return numbers.reshape(-1, d)


def read_columns(opened: Any) -> tuple[list[str], list[str]]:
    """Ids and texts of a Parquet table's rows, as far as it has columns of them."""
    names = opened.schema_arrow.names
    chosen = [
        next((c for c in some if c in names), None) for some in (ROW_ID_COLUMNS, TEXT_COLUMNS)
    ]
    label_sets = opened.read(columns=["label_set"])["label_set"] if "label_set" in names else None
    found = [
        []
        if name is None
        else [str(cell) for cell in opened.read(columns=[name])[name].to_pylist()]
        for name in chosen
    ]
    if label_sets is not None:
        pairs = zip(label_sets.to_pylist(), found[0], strict=True) if found[0] else ()
        found[0] = [f"{label_set}/{one}" for label_set, one in pairs]
    return found[0], found[1]


def read_safetensors(file: Path) -> Read:
    """One tensor of rows, or one vector for each id. What it holds is checked by the library, then mapped."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as opened:
            names, about = list(opened.keys()), opened.metadata() or {}
            shapes = {name: opened.get_slice(name).get_shape() for name in names}
            flat = [name for name in names if len(shapes[name]) == 1]
            if names and flat == names:
                return np.stack([opened.get_tensor(name) for name in names]), names, []
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
    return np.asarray(found), [str(one) for one in ids], []


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
    return index.reconstruct_n(0, index.ntotal), ids, []


READERS_BY_SUFFIX: Mapping[str, Callable[[Path], Read]] = {
    ".npy": read_npy,
    ".parquet": read_parquet,
    ".safetensors": read_safetensors,
    ".faiss": read_faiss,
    ".index": read_faiss,
}


def read_names(file: Path) -> tuple[list[str], list[str]]:
    """Ids and texts of rows, from a file beside the vectors."""
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(file) as opened:
            return read_columns(opened)
    if file.suffix == ".txt":
        return file.read_text(encoding="utf-8-sig").splitlines(), []
    if file.suffix == ".csv":
        header, rows = read_rows(file)
        column = next((one for one in ROW_ID_COLUMNS if one in header), header[0])
        sets = "label_set" in header
        return [f"{row['label_set']}/{row[column]}" if sets else row[column] for _, row in rows], []
    if file.suffix == ".json":
        found: Any = json.loads(file.read_text(encoding="utf-8"))
    else:
        found = np.load(file, allow_pickle=False).tolist()
    if not isinstance(found, list) or not all(isinstance(one, str | int) for one in found):
        raise BadFile(file, ["a list of ids is needed"])
    return [str(one) for one in found], []
