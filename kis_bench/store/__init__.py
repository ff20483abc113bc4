"""Embeddings on disk: Arrow shards that appear whole, and a manifest with their digests.

One folder per (fingerprint of the data, encoder key, role)::

    STORE/<dataset>-<fingerprint>/<encoder key>/<role>/000000-000512.arrow ... manifest.json

A shard is written beside its place and synced, a file that bears its digest too; then it gets its final name, unless
another process was faster, whose vectors then count for all. So whatever has its final name is whole, processes may
write the same shard at once, and interrupted work goes on at the first missing one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from kis_bench.errors import KisBenchError
from kis_bench.store.entry import Entry
from kis_bench.store.manifest import KEYS, find_shard_items

__all__ = ["KEYS", "Entry", "Store", "default_store"]


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
