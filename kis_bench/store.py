"""Embeddings on disk: Arrow shards that appear whole, and a manifest with their digests.

One folder per (fingerprint of the data, encoder key, role)::

    STORE/<dataset>-<fingerprint>/<encoder key>/<role>/000000-000512.arrow ... manifest.json

A shard is written beside its place and synced, a file that bears its digest too; then it gets its final name, unless
another process was faster, whose vectors then count for all. So whatever has its final name is whole, processes may
write the same shard at once, and interrupted work goes on at the first missing one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.strays import hold_lock, remove_strays
from kis_bench.files.whole import write_first, write_whole
from kis_bench.ranking.unit_vectors import require_unit_vectors
from kis_bench.records import Embeddings, Vectors

STORE_VERSION = 1
KEYS = 2  #: of what keys are made: 2: those of functions cover their code
SHARD_ITEMS = 512  #: where nobody chose another number
MANIFEST, SHARD_NAME = "manifest.json", re.compile(r"(\d+)-(\d+)\.arrow")
SETTLED_S = 2.0  #: age of a file from which on a change of its bytes changes its times
SHARD_DIGESTS: dict[Path, tuple[tuple[int, ...], str]] = {}  #: of shards that this process has read
READ_AT_ONCE = 64 * 2**20  #: bytes; several shards below this become one array


@dataclass(frozen=True)
class Shard:
    """The vectors of the items ``start`` to ``stop`` of a dataset."""

    start: int
    stop: int

    @property
    def file_name(self) -> str:
        return f"{self.start:06d}-{self.stop:06d}.arrow"


class Store:
    """A folder of embeddings.

    Args:
        path: the folder; made when something is written.
        shard_items: items in a shard of new entries; None: chosen by who fills them.
    """

    def __init__(self, path: str | Path, *, shard_items: int | None = None) -> None:
        self.path, self.shard_items = Path(path), shard_items

    def entry(
        self, dataset: str, fingerprint: str, key: str, role: str, ids: Sequence[str]
    ) -> Entry:
        """The place of one dataset's vectors under one encoder. ``role``: ``images`` or ``texts-...``.

        Raises:
            KisBenchError: the key says nothing.
            BadFile: its manifest is damaged.
        """
        if not key.strip():
            raise KisBenchError(
                f"the key of a model is {key!r}, under which vectors of any model could lie; it has to "
                "be a text that changes whenever the vectors could"
            )
        folder = self.path / f"{safe(dataset)}-{fingerprint[:16]}" / safe(key) / safe(role)
        chosen = find_shard_items(folder, len(ids)) or self.shard_items
        return Entry(folder, key, tuple(ids), chosen)


def default_store() -> Path:
    import platformdirs

    return Path(
        os.environ.get("KIS_STORE") or Path(platformdirs.user_cache_dir("kis-bench")) / "store"
    )


def safe(name: str) -> str:
    """A name that every file system takes; names that had to change carry a digest."""
    clean = re.sub(r"[^A-Za-z0-9._+-]", "_", name)[:100]
    return (
        clean
        if clean == name and clean.strip(".")
        else f"{clean}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    )


class StoredShard(NamedTuple):
    """A shard that is there and whole."""

    digest: str  # SHA-256 of its file
    table: pa.Table  # memory-mapped


#: Vectors of a shard, flags of its texts or None, and what made them; see `Entry.write_shard`.
Encoded = tuple[Vectors, NDArray[np.bool_] | None, Mapping[str, str | None]]
Encode = Callable[[list[Shard], Callable[[int], Vectors]], Generator[Encoded, None, None]]


@dataclass(frozen=True)
class Entry:
    """The vectors of one dataset's images or texts under one encoder."""

    folder: Path
    key: str
    ids: tuple[str, ...]
    shard_items: int | None  # None: it is new, and nobody chose yet

    def shards(self) -> list[Shard]:
        n, items = len(self.ids), self.shard_items or SHARD_ITEMS
        return [Shard(i, min(i + items, n)) for i in range(0, n, items)]

    def settle(self, shard_items: int) -> Entry:
        """The entry with so many items in a shard, or as many as another process chose that was faster.

        It is recorded in the manifest, and all who write to the entry keep to it.

        Raises:
            BadFile: see `find_shard_items`.
        """
        found = find_shard_items(self.folder, len(self.ids))
        if found is None:
            content = self.make_manifest({"shard_items": shard_items}, {})
            if not write_first(self.folder / MANIFEST, content):
                found = find_shard_items(self.folder, len(self.ids))
        return replace(self, shard_items=found or shard_items)

    def missing(self) -> list[Shard]:
        """Shards that are not there, or damaged; damaged ones will be written over."""
        return [shard for shard in self.shards() if self.find_shard(shard) is None]

    def lacks_files(self) -> bool:
        """Whether files of shards are missing; whether they are whole is not looked at, which would read them."""
        return not all((self.folder / shard.file_name).is_file() for shard in self.shards())

    def fill(self, encode: Encode, about: Callable[[], Mapping[str, Any]]) -> Embeddings:
        """All vectors: those that are missing are encoded, and kept as soon as a shard of them is whole.

        Args:
            encode: gets the missing shards, and a function that gives the vectors ``[v, d]`` of an item of an earlier
                shard by its position; yields what each shard holds. Not called if none is missing.
            about: what the manifest says of the encoder.

        Raises:
            BadVector, KisBenchError: see `write_shard`; what was finished before stays.
        """
        remove_strays(self.folder)
        settled = self.settle(self.shard_items or SHARD_ITEMS)
        if settled.shard_items != self.shard_items:
            return settled.fill(encode, about)
        shards, items = self.shards(), settled.shard_items or SHARD_ITEMS
        found = {shard: self.find_shard(shard) for shard in shards}
        missing = [shard for shard in shards if found[shard] is None]

        def look_up(item: int) -> Vectors:
            stored = found[shards[item // items]]
            assert stored is not None  # shards come in their order
            vector: Vectors = take_vectors(stored.table)[item % items]
            return vector

        if missing:
            with closing(encode(missing, look_up)) as encoded:
                for shard in missing:
                    found[shard] = self.write_shard(shard, *next(encoded))
        whole = {shard: stored for shard, stored in found.items() if stored is not None}
        if missing or not (self.folder / MANIFEST).exists():
            said = about() if missing else {}  # a model isn't loaded for it
            self.write_manifest(said, {shard: one.digest for shard, one in whole.items()})
        return self.join([stored.table for stored in whole.values()])

    def write_shard(
        self,
        shard: Shard,
        vectors: Vectors,
        truncated: NDArray[np.bool_] | None = None,
        made: Mapping[str, str | None] | None = None,
    ) -> StoredShard:
        """Keeps a shard, unless it is there by now: of several processes the first counts for all.

        Args:
            vectors: float32 ``[stop - start, v, d]``, unit length.
            truncated: of texts, which were cut, bool ``[stop - start]``.
            made: device and the like that made them.

        Returns:
            The shard that is there.

        Raises:
            BadVector: NaN, infinity, or not of unit length; names the item.
            KisBenchError: the disk is full or can't be written; nothing is left behind.
        """
        ids = self.ids[shard.start : shard.stop]
        require_unit_vectors(ids, vectors)
        if (stored := self.find_shard(shard)) is not None:
            return stored
        n, v, d = vectors.shape
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
        columns = {
            "id": pa.array(ids, pa.string()),
            "vectors": pa.FixedSizeListArray.from_arrays(flat, v * d),
        }
        if truncated is not None:
            columns["truncated"] = pa.array(truncated, pa.bool_())
        table = pa.table(columns).replace_schema_metadata(
            {
                "kis_bench": json.dumps(
                    {
                        "schema_version": STORE_VERSION,
                        "key": self.key,
                        "shape": [v, d],
                        "made": dict(made or {}),
                    }
                )
            }
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=n)
        payload = sink.getvalue().to_pybytes()
        # A file beside it bears the digest of the payload, so that damage shows before the manifest exists. Its name
        # does: of processes that write other vectors at once, as of a model with chance in it, each has a file.
        digest = hashlib.sha256(payload).hexdigest()
        write_whole(self.digest_file(shard, digest), b"")
        while not write_first(self.folder / shard.file_name, payload):
            if (stored := self.find_shard(shard)) is not None:
                if stored.digest != digest:
                    self.digest_file(shard, digest).unlink(missing_ok=True)
                return stored
            self.remove_damaged(shard)
        return StoredShard(digest, self.open_shard(shard))

    def remove_damaged(self, shard: Shard) -> None:
        """Makes room for a shard that is not whole, or not of these items; a whole one that is there by now stays."""
        file = self.folder / shard.file_name
        try:
            with hold_lock(self.folder, wait=True):
                # Looked for first: what another process puts where nothing is has to stay.
                if os.path.lexists(file) and self.find_shard(shard, anew=True) is None:
                    file.unlink()
        except OSError as error:
            raise KisBenchError(f"{file} is damaged and can't be removed: {error}") from error

    def digest_file(self, shard: Shard, digest: str) -> Path:
        return self.folder / f"{shard.file_name}.{digest}"

    def open_shard(self, shard: Shard) -> pa.Table:
        """The mapped table of a shard that was found whole or written before.

        Raises:
            KisBenchError: it isn't there any more.
        """
        try:
            with pa.memory_map(str(self.folder / shard.file_name)) as source:
                return pa.ipc.open_file(pa.BufferReader(source.read_buffer())).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise KisBenchError(
                f"{self.folder / shard.file_name} vanished or was damaged meanwhile; run again"
            ) from error

    def find_shard(self, shard: Shard, *, anew: bool = False) -> StoredShard | None:
        """The mapped shard, or None if it is missing, damaged or of other items.

        Args:
            anew: reads all of its bytes, which is done once in a process else, as long as the file seems the same.
        """
        file = self.folder / shard.file_name
        try:
            digest, mapped = digest_shard(file, anew)
            # Of an older version the digest stands in a file of one name.
            known = (
                self.digest_file(shard, digest).exists()
                or Path(f"{file}.sha256").read_text("ascii") == digest
            )
        except (OSError, UnicodeDecodeError):
            return None
        if not known:
            return None
        table = pa.ipc.open_file(pa.BufferReader(mapped)).read_all()
        said = about(table)
        same = said["schema_version"] == STORE_VERSION and said["key"] == self.key
        ids = self.ids[shard.start : shard.stop]
        return StoredShard(digest, table) if same and (*table["id"].to_pylist(),) == ids else None

    def read(self) -> Embeddings | None:
        """All vectors, or None while a shard is missing."""
        tables = []
        for shard in self.shards():
            stored = self.find_shard(shard)
            if stored is None:
                return None
            tables.append(stored.table)
        return self.join(tables)

    def join(self, tables: Sequence[pa.Table]) -> Embeddings:
        """The vectors of all shards, with what they say of themselves."""
        truncated = None
        if tables and "truncated" in tables[0].column_names:
            truncated = np.concatenate([table["truncated"].to_numpy() for table in tables])
        made: dict[str, list[str]] = {}
        for name, value in (
            pair for table in tables for pair in about(table).get("made", {}).items()
        ):
            if value is not None and value not in made.setdefault(name, []):
                made[name].append(value)
        joined = {name: " and ".join(values) for name, values in made.items() if values}
        return Embeddings(
            self.ids, join(list(map(take_vectors, tables))), self.key, truncated, joined
        )

    def write_manifest(self, encoder: Mapping[str, Any], digests: Mapping[Shard, str]) -> None:
        """What the shards are, their digests, and about the encoder."""
        write_whole(
            self.folder / MANIFEST,
            self.make_manifest({**encoder, "shard_items": self.shard_items}, digests),
        )

    def make_manifest(self, about: Mapping[str, Any], digests: Mapping[Shard, str]) -> bytes:
        shards = [
            {"file": shard.file_name, "start": shard.start, "stop": shard.stop, "sha256": digest}
            for shard, digest in digests.items()
        ]
        manifest = {
            "schema_version": STORE_VERSION,
            "keys": KEYS,
            "key": self.key,
            "n": len(self.ids),
            **about,
            "shards": shards,
        }
        return json.dumps(manifest, indent=1, sort_keys=True).encode()


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


def find_shard_items(folder: Path, n: int) -> int | None:
    """How many items a shard of an entry holds: as its manifest says, else as the names of its shards do.

    Args:
        n: items of the dataset.

    Returns:
        None for a new entry, of which there is neither.

    Raises:
        BadFile: the manifest is damaged, or says what can't be.
    """
    said = read_shard_items(folder / MANIFEST)
    if said is not None and (folder / Shard(0, min(said, n)).file_name).exists():
        return said
    names = [SHARD_NAME.fullmatch(file.name) for file in folder.glob("*.arrow")]
    places = [(int(name[1]), int(name[2])) for name in names if name]
    sizes = {stop - start for start, stop in places if stop < n}
    if said is not None and sizes and said not in sizes:
        raise BadFile(
            folder / MANIFEST,
            [
                f"shard_items is {said}, but the shards beside it hold {min(sizes)}: delete {MANIFEST}, and they count"
            ],
        )
    if said is not None or not places:
        return said
    return min(sizes) if sizes else SHARD_ITEMS


def read_shard_items(manifest: Path) -> int | None:
    """The number that a manifest records; None: there is no manifest, or it is of a version that recorded none.

    Raises:
        BadFile: it can't be read, or the number can't be one.
    """
    remedy = f"delete {MANIFEST}: the vectors beside it stay"
    try:
        about = json.loads(manifest.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise BadFile(manifest, [f"can't be read: {error}; {remedy}"]) from error
    if not isinstance(about, dict):
        raise BadFile(manifest, [f"is no JSON object; {remedy}"])
    said = about.get("shard_items")
    if said is None or (isinstance(said, int) and not isinstance(said, bool) and said > 0):
        return said
    raise BadFile(
        manifest, [f"shard_items is {said!r}; a whole number of at least 1 is needed; {remedy}"]
    )


def about(table: pa.Table) -> dict[str, Any]:
    """What a shard says of itself."""
    said: dict[str, Any] = json.loads(table.schema.metadata[b"kis_bench"])
    return said


def take_vectors(table: pa.Table) -> Vectors:
    v, d = about(table)["shape"]
    flat: Vectors = table["vectors"].chunk(0).flatten().to_numpy(zero_copy_only=True)
    return flat.reshape(-1, v, d)


def join(parts: list[Vectors]) -> Vectors:
    if len(parts) == 1:
        return parts[0]
    if sum(part.nbytes for part in parts) <= READ_AT_ONCE:
        return np.concatenate(parts)
    return ShardedVectors(parts)  # type: ignore[return-value]


class ShardedVectors(np.lib.mixins.NDArrayOperatorsMixin):
    """Several mapped arrays that read as one ``[n, v, d]``; slices touch only what they need."""

    def __init__(self, parts: list[Vectors]) -> None:
        self.parts = parts
        self.starts = np.cumsum([0] + [len(part) for part in parts])
        self.shape: tuple[int, ...] = (int(self.starts[-1]), *parts[0].shape[1:])
        self.ndim, self.dtype = 3, parts[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.concatenate(self.parts).astype(dtype or self.dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        arrays = [np.asarray(x) if isinstance(x, ShardedVectors) else x for x in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def __getitem__(self, index: Any) -> Any:
        first, rest = (index[0], index[1:]) if isinstance(index, tuple) else (index, ())
        if isinstance(first, slice):
            rows = self._slice(first)
            return rows[(slice(None), *rest)]
        wanted = np.atleast_1d(np.asarray(first))
        if wanted.dtype == bool:
            wanted = np.flatnonzero(wanted)
        wanted = np.where(wanted < 0, wanted + len(self), wanted)
        if ((wanted < 0) | (wanted >= len(self))).any():
            raise IndexError(f"index out of range for {len(self)} items")
        part = np.searchsorted(self.starts, wanted, side="right") - 1
        rows = np.stack(
            [self.parts[p][i - self.starts[p]] for p, i in zip(part, wanted, strict=True)]
        )
        return (rows[0] if np.ndim(first) == 0 else rows)[
            (slice(None), *rest) if np.ndim(first) else (*rest,)
        ]

    def _slice(self, wanted: slice) -> Vectors:
        start, stop, step = wanted.indices(len(self))
        if step != 1:
            return self[np.arange(start, stop, step)] if start != stop else self.parts[0][:0]
        first, last = np.searchsorted(self.starts, [start, max(start, stop - 1)], side="right") - 1
        pieces = [
            part[max(start - offset, 0) : max(stop - offset, 0)]
            for part, offset in zip(
                self.parts[first : last + 1], self.starts[first : last + 1], strict=False
            )
            if start < stop
        ]
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else self.parts[0][:0]

    def __iter__(self) -> Iterator[Vectors]:
        for part in self.parts:
            yield from part
