"""The vectors of one dataset under one encoder: which shards are there, filled and read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kis_bench.errors import KisBenchError
from kis_bench.files.strays import hold_lock, remove_strays
from kis_bench.files.whole import write_first, write_whole
from kis_bench.ranking.unit_vectors import require_unit_vectors
from kis_bench.records import Embeddings, Vectors
from kis_bench.store.arrays import join
from kis_bench.store.manifest import MANIFEST, find_shard_items, make_manifest
from kis_bench.store.shards import (
    SHARD_ITEMS,
    STORE_VERSION,
    Shard,
    StoredShard,
    about,
    digest_shard,
    format_shard,
    map_shard,
    take_vectors,
)

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
            content = make_manifest(self.key, len(self.ids), {"shard_items": shard_items}, {})
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
        return self.join([*whole.values()])

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
        payload = format_shard(ids, vectors, truncated, self.key, made or {})
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
        """The mapped table of a shard that was found whole or written before; see `map_shard`."""
        return map_shard(self.folder / shard.file_name)

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
        found = []
        for shard in self.shards():
            stored = self.find_shard(shard)
            if stored is None:
                return None
            found.append(stored)
        return self.join(found)

    def join(self, found: Sequence[StoredShard]) -> Embeddings:
        """The vectors of all shards, with what they say of themselves."""
        truncated, tables = None, [stored.table for stored in found]
        if tables and "truncated" in tables[0].column_names:
            truncated = np.concatenate([table["truncated"].to_numpy() for table in tables])
        made: dict[str, list[str]] = {}
        for name, value in (
            pair for table in tables for pair in about(table).get("made", {}).items()
        ):
            if value is not None and value not in made.setdefault(name, []):
                made[name].append(value)
        joined = {name: " and ".join(values) for name, values in made.items() if values}
        files = [self.folder / shard.file_name for shard in self.shards()]
        digests = [stored.digest for stored in found]
        vectors = join(list(map(take_vectors, tables)), files, digests)
        return Embeddings(self.ids, vectors, self.key, truncated, joined)

    def write_manifest(self, encoder: Mapping[str, Any], digests: Mapping[Shard, str]) -> None:
        """What the shards are, their digests, and about the encoder."""
        write_whole(
            self.folder / MANIFEST,
            make_manifest(
                self.key,
                len(self.ids),
                {**encoder, "shard_items": self.shard_items},
                digests,
            ),
        )
