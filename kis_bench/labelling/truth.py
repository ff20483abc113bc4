"""What people wrote lies in one SQLite file: whole after a power cut, checked at each start."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from kis_bench.errors import BadFile, KisBenchError

SCHEMA_VERSION = 1
WAIT_FOR_OTHERS_S = 3.0
OLDEST_SQLITE = (3, 37)  #: has STRICT tables
OWN_TABLES_SQL = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE exports (
    file TEXT PRIMARY KEY,  -- its name in the folder
    digest TEXT NOT NULL,   -- SHA-256 of what was written last, or was about to be
    before TEXT NOT NULL    -- and of what was there then
) STRICT;
"""


class NotSaved(KisBenchError):
    """Something that was to be written didn't reach the disk; whoever sent it still has it and may send it again."""


class DamagedTruth(BadFile):
    """A database that can't be read as it is; its exported tables are what there is to go on from."""


def set_aside(file: Path, why: str) -> None:
    """Renames a database that a new one takes the place of, and says so; nothing of it is lost."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    for part in (file, file.with_name(f"{file.name}-wal")):
        if part.exists():
            part.rename(part.with_name(f"{part.name}.{why}-{now}"))
    print(f"{file} is {why}; it is now {file.name}.{why}-{now}")


def read_identity(file: Path) -> tuple[int, int] | None:
    """By which a file is told from another of its name; None if it isn't there."""
    try:
        about = os.stat(file)
    except OSError:
        return None
    return about.st_dev, about.st_ino


class Truth:
    """The database of one labelling or judging project; one process has it open at a time.

    Args:
        file: is made if it isn't there.
        kind: what it holds, such as "labels"; a database of another kind is refused.
        tables: SQL that makes the tables of this kind.
        backup: how to go on from the exported tables, told where the file is damaged.

    Raises:
        DamagedTruth: it is damaged.
        BadFile: it is locked, of another program or of a newer version, or can't be written.
    """

    def __init__(self, file: Path, *, kind: str, tables: str, backup: str) -> None:
        self.file, self.kind, self.backup = file, kind, backup
        self.lock = threading.RLock()
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise KisBenchError(
                f"SQLite {sqlite3.sqlite_version} is too old; Python needs one from 3.37 on"
            )
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600, exist_ok=True)  # participants' ages are nobody else's concern
            self.state = read_identity(file)
            self.connection = sqlite3.connect(
                file, timeout=WAIT_FOR_OTHERS_S, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self.explain(error) from error
        try:
            self.prepare(tables)
        except BaseException as error:
            self.connection.close()
            if isinstance(error, sqlite3.Error):
                raise self.explain(error) from error
            raise

    def prepare(self, tables: str) -> None:
        """Checks what is there, and makes what isn't."""
        run = self.connection.execute
        # With the lock kept there is no shared memory, so that it also works on a network's disk.
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
            run(f"PRAGMA {pragma}")
        run("PRAGMA foreign_keys=ON")
        run("BEGIN EXCLUSIVE")
        found = [text for (text,) in run("PRAGMA integrity_check(5)")]
        if found != ["ok"]:
            raise DamagedTruth(self.file, [f"damaged: {'; '.join(found)}", self.backup])
        (version,) = run("PRAGMA user_version").fetchone()
        has_tables = run("SELECT count(*) FROM sqlite_schema").fetchone() != (0,)
        if not has_tables:
            for statement in f"{OWN_TABLES_SQL}{tables}".split(";"):
                run(statement)
            run(f"PRAGMA user_version={SCHEMA_VERSION}")
            self.set_setting("kind", self.kind)
            self.set_setting("id", secrets.token_hex(8))
        elif version == 0 or self.read_setting("kind") != self.kind:
            raise BadFile(
                self.file, [f"is no database of {self.kind}; rename it, or name another --out"]
            )
        elif version > SCHEMA_VERSION:
            raise BadFile(self.file, ["was written by a newer kis-bench; install that one"])
        run("COMMIT")

    def explain(self, error: Exception) -> BadFile:
        """What is wrong with the file, and what to do."""
        said = str(error)
        if "locked" in said or "busy" in said:
            problem = "another kis-bench has it open; go on there, or stop it with Ctrl-C"
        elif type(error) is sqlite3.DatabaseError:  # damaged, or no database at all
            return DamagedTruth(self.file, [f"damaged ({said})", self.backup])
        else:
            problem = f"can't be written ({said}); free space, or name another folder with --out"
        return BadFile(self.file, [problem])

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which is on the disk at the end, or not at all.

        Raises:
            NotSaved: the disk is full, say. Nothing of it was written.
        """
        with self.lock:
            if self.state != read_identity(self.file):  # or all that follows would be in no file
                raise NotSaved(
                    f"{self.file} was removed or replaced; put it back, or stop with Ctrl-C and start again"
                )
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException as error:
                if self.connection.in_transaction:
                    with suppress(sqlite3.Error):  # it has rolled back by itself
                        self.connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise NotSaved(str(self.explain(error))) from error
                raise

    def read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows that a query finds. Raises BadFile if the file can't be read."""
        with self.lock:
            try:
                return self.connection.execute(query, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise self.explain(error) from error

    def read_setting(self, name: str, otherwise: str = "") -> str:
        found = self.read("SELECT value FROM settings WHERE name = ?", name)
        return str(found[0][0]) if found else otherwise

    def set_setting(self, name: str, value: str) -> None:
        with self.lock:
            try:
                self.connection.execute(
                    "INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value)
                )
            except sqlite3.DatabaseError as error:
                raise self.explain(error) from error

    def close(self) -> None:
        with self.lock:
            self.connection.close()
