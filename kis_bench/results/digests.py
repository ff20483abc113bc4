"""Digests of a run's files, by which a damaged one is told from one that somebody changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from kis_bench.errors import BadFile
from kis_bench.files.whole import digest_content

DIGESTS = "digests.json"


class Written(NamedTuple):
    """What a file of a run was when the run was written."""

    bytes: int
    sha256: str


def write_digests(folder: Path) -> None:
    """Writes size and SHA-256 of each file of a folder into digests.json."""
    found = {
        file.name: {"bytes": file.stat().st_size, "sha256": digest_content(file)}
        for file in sorted(folder.iterdir())
    }
    (folder / DIGESTS).write_text(json.dumps(found, indent=1) + "\n", encoding="ascii")


def read_digests(folder: Path) -> dict[str, Written] | None:
    """What the files of a run were; None for a run of an older version.

    Raises:
        BadFile: digests.json can't be read.
    """
    file = folder / DIGESTS
    try:
        if not file.exists():
            return None
        said = json.loads(file.read_text(encoding="ascii"))
        return {
            str(name): Written(int(one["bytes"]), str(one["sha256"])) for name, one in said.items()
        }
    except (ValueError, OSError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadFile(
            file, [f"can't be read ({error}); {tell_remedy('the run without it')}"]
        ) from error


def find_changed(
    folder: Path, digests: Mapping[str, Written] | None, names: Iterable[str]
) -> tuple[str, ...]:
    """Which of some files were written anew, by hand or by another program, since the run was: their sizes differ.

    Raises:
        BadFile: a file has its size and other content, so that it is damaged; or it can't be read.
    """
    if digests is None:
        return ()
    changed = []
    for name in names:
        written, file = digests.get(name), folder / name
        try:
            if written is None or file.stat().st_size != written.bytes:
                changed.append(name)
            elif digest_content(file) != written.sha256:
                problem = f"damaged: its SHA-256 is not that in {DIGESTS}; {tell_remedy('it all the same')}"
                raise BadFile(file, [problem])
        except OSError as error:
            raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
    return tuple(changed)


def tell_remedy(what: str) -> str:
    return f"take it from a copy, or delete {DIGESTS} to read {what}"
