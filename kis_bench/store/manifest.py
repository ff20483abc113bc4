"""The manifest of an entry: what its shards are, and how many vectors lie in one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kis_bench.errors import BadFile
from kis_bench.store.shards import SHARD_ITEMS, SHARD_NAME, STORE_VERSION, Shard

MANIFEST = "manifest.json"
KEYS = 2  #: of what keys are made: 2: those of functions cover their code


def make_manifest(
    key: str, n: int, about: Mapping[str, Any], digests: Mapping[Shard, str]
) -> bytes:
    """The content of a manifest; ``about`` is what it says beside."""
    shards = [
        {"file": shard.file_name, "start": shard.start, "stop": shard.stop, "sha256": digest}
        for shard, digest in digests.items()
    ]
    manifest = {
        "schema_version": STORE_VERSION,
        "keys": KEYS,
        "key": key,
        "n": n,
        **about,
        "shards": shards,
    }
    return json.dumps(manifest, indent=1, sort_keys=True).encode()


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
