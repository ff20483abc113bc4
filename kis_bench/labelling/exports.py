"""Writes the tables that others read from a database: whole, after each change, and never over somebody's edits."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from kis_bench.errors import KisBenchError
from kis_bench.files.whole import digest_content, write_whole
from kis_bench.labelling.truth import Truth

#: What a cell has to be quoted for; blanks at its ends, too, for readers may take them off otherwise.
QUOTED_FOR = re.compile(r'[,"\r\n]|^\s|\s$')
RETRY_S = 5.0  #: after a table couldn't be written
REST_S = 0.3  #: before each writing: what many save meanwhile is written at once, and the next page comes first


def say_at_once(text: str) -> None:
    """Prints a line also where the output is no terminal."""
    print(text, flush=True)


class Exports:
    """A thread that writes tables into a folder; changes that come while it writes share the next time.

    Args:
        render: the content of each table by its file's name; called in the thread, and has to be quick.
        remedy: what to do where a table was changed by hand, such as the command that takes its edits over.
        say: told when tables can't be written, and when they can again.
    """

    def __init__(
        self,
        truth: Truth,
        folder: Path,
        render: Callable[[], Mapping[str, bytes]],
        *,
        remedy: str,
        say: Callable[[str], None] = say_at_once,
    ) -> None:
        self.truth, self.folder, self.render, self.remedy, self.say = (
            truth,
            folder,
            render,
            remedy,
            say,
        )
        self.problem = ""  # why the tables aren't what the database has; for the page
        self.left: dict[str, tuple[tuple[int, int, int], str]] = {}  # state and digest of each file
        self.wanted, self.ending = threading.Event(), threading.Event()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.work, name="exports", daemon=True)

    def start(self) -> None:
        """Writes all tables, and begins to follow changes."""
        self.write()
        remove_unfinished(self.folder, self.left)
        self.thread.start()

    def request(self) -> None:
        """Something has changed; returns at once."""
        self.wanted.set()

    def stop(self) -> None:
        """Writes all tables for the last time."""
        self.ending.set()
        self.wanted.set()
        if self.thread.is_alive():
            self.thread.join()
        self.write()

    def work(self) -> None:
        while not self.ending.is_set():
            self.wanted.wait(RETRY_S if self.problem else None)
            self.ending.wait(REST_S)
            self.wanted.clear()
            if not self.ending.is_set():
                self.write()

    def write(self) -> None:
        """Writes what differs; what prevents it stands in ``problem``."""
        with self.lock:
            problem = " ".join(self.write_tables())
            if problem != self.problem:
                self.say(problem or "the tables are written again")
            self.problem = problem

    def write_tables(self) -> Iterator[str]:
        """Yields what prevents a table from being written; the others are written nevertheless."""
        try:
            tables = self.render()
        except (KisBenchError, sqlite3.Error) as error:
            yield f"{self.truth.file}: {error}"
            return
        for name, content in tables.items():
            file = self.folder / name
            try:
                self.write_table(file, content)
            except KisBenchError as error:
                yield str(error)
            except (OSError, sqlite3.Error) as error:  # the file is gone again, say
                yield f"{file} can't be written ({error}); it is tried again."

    def write_table(self, file: Path, content: bytes) -> None:
        """Raises KisBenchError if somebody else has changed the file since, or it can't be written."""
        known = self.truth.read("SELECT digest, before FROM exports WHERE file = ?", file.name)
        new, old = hashlib.sha256(content).hexdigest(), self.digest_present(file)
        if old and (not known or old not in known[0]) and old != new:
            raise KisBenchError(
                f"{file} was changed by hand, and is left as it is; what is written here is safe in "
                f"{self.truth.file.name}. {self.remedy}"
            )
        if not known or (new, old) != known[0]:
            # Before the file: else one that is written when the power fails would look like somebody's edit.
            with self.truth.writing() as rows:
                rows.execute(
                    "INSERT OR REPLACE INTO exports VALUES (?, ?, ?)", (file.name, new, old)
                )
        if old != new:
            write_whole(file, content)
        self.left[file.name] = read_left_state(file), new

    def digest_present(self, file: Path) -> str:
        """The digest of the file as it is now; empty if there is none."""
        try:
            state, digest = self.left.get(file.name, (None, ""))
            return digest if state == read_left_state(file) else digest_content(file)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise KisBenchError(f"{file} can't be read: {error.strerror}") from error


def read_left_state(file: Path) -> tuple[int, int, int]:
    about = os.stat(file)
    return about.st_ino, about.st_size, about.st_mtime_ns


def remove_unfinished(folder: Path, names: Iterable[str]) -> None:
    """Removes what a process left that died while it wrote one of these tables; nobody else writes them."""
    pattern = re.compile(rf"\.({'|'.join(map(re.escape, names))})-[0-9a-f]{{16}}")
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for unfinished in [entry.path for entry in entries if pattern.fullmatch(entry.name)]:
            os.unlink(unfinished)


def quote_cell(text: str) -> str:
    """A cell by RFC 4180.

    >>> quote_cell('a "red" kite'), quote_cell("kite"), quote_cell(" kite")
    ('"a ""red"" kite"', 'kite', '" kite"')
    """
    return '"' + text.replace('"', '""') + '"' if QUOTED_FOR.search(text) else text


def make_row(cells: Iterable[object]) -> bytes:
    """A line of a table."""
    return (",".join(quote_cell(str(cell)) for cell in cells) + "\n").encode()
