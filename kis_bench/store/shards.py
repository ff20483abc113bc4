"""One file of vectors: its name, its digest, and what it says of itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kis_bench.errors import KisBenchError
from kis_bench.records import Vectors

STORE_VERSION = 1
SHARD_ITEMS = 512  #: where nobody chose another number
SHARD_NAME = re.compile(r"(\d+)-(\d+)\.arrow")
SETTLED_S = 2.0  #: age of a file from which on a change of its bytes changes its times
SHARD_DIGESTS: dict[Path, tuple[tuple[int, ...], str]] = {}  #: of shards that this process has read


@dataclass(frozen=True)
class Shard:
    """The vectors of the items ``start`` to ``stop`` of a dataset."""

    start: int
    stop: int

    @property
    def file_name(self) -> str:
        return f"{self.start:06d}-{self.stop:06d}.arrow"


class StoredShard(NamedTuple):
    """A shard that is there and whole."""

    digest: str  # SHA-256 of its file
    table: pa.Table  # memory-mapped


def format_shard(
    ids: Sequence[str],
    vectors: Vectors,
    truncated: NDArray[np.bool_] | None,
    key: str,
    made: Mapping[str, str | None],
) -> bytes:
    """The content of a shard's file; see `kis_bench.store.Entry.write_shard`."""
    n, v, d = vectors.shape
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    columns = {
        "id": pa.array(ids, pa.string()),
        "vectors": pa.FixedSizeListArray.from_arrays(flat, v * d),
    }
    if truncated is not None:
        columns["truncated"] = pa.array(truncated, pa.bool_())
    said = {"schema_version": STORE_VERSION, "key": key, "shape": [v, d], "made": dict(made)}
    table = pa.table(columns).replace_schema_metadata({"kis_bench": json.dumps(said)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=n)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def digest_shard(file: Path, anew: bool) -> tuple[str, pa.Buffer]:
    """SHA-256 of a shard's bytes, and the bytes, mapped.

    The digest of a file that was read before in this process is remembered, for each label set reads it again.
    What changes its bytes and leaves inode, size and times as they were, such as a failing disk, isn't seen until the
    next process reads it.

    Raises:
        OSError: it can't be read.
    """
    before = identify_shard(file)
    with pa.memory_map(str(file)) as source:
        mapped = source.read_buffer()
    known, digest = SHARD_DIGESTS.get(file, ((), ""))
    if anew or known != before or identify_shard(file) != before:
        digest = hashlib.sha256(mapped).hexdigest()
        now_ns = time.time_ns()
        if identify_shard(file) == before and now_ns - max(before[2:]) > SETTLED_S * 1e9:
            SHARD_DIGESTS[file] = (before, digest)
        else:
            SHARD_DIGESTS.pop(file, None)
    return digest, mapped


def identify_shard(file: Path) -> tuple[int, ...]:
    """What changes when another file takes its place, or something writes into it; the last two are times in ns."""
    found = os.stat(file)
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def map_shard(file: Path) -> pa.Table:
    """The mapped table of a shard that was found whole, or written, before: by this process or by another.

    Raises:
        KisBenchError: it isn't there any more.
    """
    try:
        with pa.memory_map(str(file)) as source:
            return pa.ipc.open_file(pa.BufferReader(source.read_buffer())).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise KisBenchError(f"{file} vanished or was damaged meanwhile; run again") from error


def about(table: pa.Table) -> dict[str, Any]:
    """What a shard says of itself."""
    said: dict[str, Any] = json.loads(table.schema.metadata[b"kis_bench"])
    return said


def take_vectors(table: pa.Table) -> Vectors:
    v, d = about(table)["shape"]
    flat: Vectors = table["vectors"].chunk(0).flatten().to_numpy(zero_copy_only=True)
    return flat.reshape(-1, v, d)
