"""The cache: a folder of things that can be made again, and facts about users' files."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.whole import digest_content, write_whole

MOST_NAMES = 900  #: in one question; older SQLite takes 999 parameters
FAULTS = (sqlite3.Error, OSError, UnicodeEncodeError)
YOUNG_NS = (
    2 * 10**9
)  #: a file changed less than this ago may change again without its time of change moving


def find_folder(kind: str) -> Path:
    """The cache folder for one kind of things, below ``KIS_CACHE`` or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("KIS_CACHE") or platformdirs.user_cache_dir("kis-bench")) / kind


def write_if_possible(file: Path, text: str) -> None:
    """Writes a file whole, or not at all: a cache that can't be written costs time, not the result."""
    with contextlib.suppress(KisBenchError):
        write_whole(file, text.encode())


def keep_bytes(file: Path, content: bytes) -> None:
    """Writes a file at once or not at all, without waiting for the disk, for it can be made again."""
    unfinished = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        os.replace(unfinished, file)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


class FileFacts:
    """Facts about files, of one kind (``digest``, ``hash``, ...), that still hold.

    A fact holds while the state under which it was found does; of a file, `read_file_state`.
    One SQLite database has them all; where it can't be read or written, nothing is known or kept.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def look_up(self, states: Mapping[str, str]) -> dict[str, str]:
        """Maps the names whose fact is known under the state in ``states`` (name -> state) to it."""
        found: dict[str, str] = {}
        names = list(states)
        with contextlib.suppress(*FAULTS), open_database() as facts:
            for start in range(0, len(names), MOST_NAMES):
                some = names[start : start + MOST_NAMES]
                query = f"SELECT name, state, fact FROM facts WHERE kind = ? AND name IN ({','.join('?' * len(some))})"
                found |= {
                    name: fact
                    for name, state, fact in facts.execute(query, (self.kind, *some))
                    if states[name] == state
                }
        return found

    def keep(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Stores rows of name, state and fact."""
        if not rows:
            return
        with contextlib.suppress(*FAULTS), open_database() as facts:
            facts.executemany(
                "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)",
                [(self.kind, *row) for row in rows],
            )


@contextlib.contextmanager
def open_database() -> Iterator[sqlite3.Connection]:
    """A connection for one transaction. Raises one of FAULTS."""
    file = find_folder("facts.sqlite")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection, connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS facts"
                " (kind TEXT, name TEXT, state TEXT, fact TEXT, PRIMARY KEY (kind, name)) WITHOUT ROWID"
            )
            yield connection
    except sqlite3.DatabaseError as error:
        if (
            type(error) is sqlite3.DatabaseError
        ):  # damaged, not just locked or full: the next one starts anew
            for part in (file, file.with_name(file.name + "-journal")):
                part.unlink(missing_ok=True)
        raise


def read_file_state(file: Path | str) -> str | None:
    """Size and time of change of a file; None while it is so young that a further change could go unnoticed."""
    about = os.stat(file)
    if time.time_ns() - about.st_mtime_ns < YOUNG_NS:
        return None
    return f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}"


def find_once(kind: str, file: Path, find: Callable[[Path], str]) -> str:
    """The result of ``find(file)``, which is called again only when the file has changed."""
    name, state, facts = str(file.resolve()), read_file_state(file), FileFacts(kind)
    if state is None:
        return find(file)
    known = facts.look_up({name: state})
    if name not in known:
        known[name] = find(file)
        facts.keep([(name, state, known[name])])
    return known[name]


def digest_file(file: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits; read again only when size or time of change differ.

    Raises:
        BadFile: it can't be read.
    """
    try:
        return find_once("digest", file, digest_content)
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
