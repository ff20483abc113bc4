"""Walks the files below a folder in parallel, as they come; nothing is opened."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

from kis_bench.datasets.found import SPECIAL_FILES, is_hidden
from kis_bench.errors import BadFile

#: Files; folders with those above them; the number of pipes, sockets and devices.
Contents = tuple[list[str], list[tuple[str, frozenset[tuple[int, int]]]], int]
RUN_FOLDER = re.compile(
    r"\d{8}T\d{6}Z-[0-9a-f]{6}"
)  #: with a run.json in it: its plots are no pictures
READING_THREADS = 8  #: more than cores, because on a network's disk most of the time is waiting


def walk(root: Path, ignored: Counter[str]) -> Iterator[str]:
    """Yields the files below a folder as relative paths with ``/``, in no particular order; follows links.

    Pipes, sockets and devices, which reading may wait for without end, are counted in ``ignored``.
    """

    def read(prefix: str, above: frozenset[tuple[int, int]]) -> Contents:
        files, folders, n_special = [], [], 0
        about = os.stat(root / prefix)
        here = (about.st_dev, about.st_ino)
        if here in above:  # a link leads back
            return [], [], 0
        with os.scandir(root / prefix) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir():
                    folders.append((f"{prefix}{entry.name}/", above | {here}))
                # A link that leads nowhere is named when it is read.
                elif entry.is_file() or not os.path.exists(entry.path):
                    files.append(prefix + entry.name)
                else:
                    n_special += 1
        if f"{prefix}run.json" in files and RUN_FOLDER.fullmatch(
            os.path.basename(os.path.realpath(root / prefix))
        ):
            return [], [], 0
        return files, folders, n_special

    with ThreadPoolExecutor(READING_THREADS) as pool:
        running = {pool.submit(read, "", frozenset())}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    files, folders, n_special = future.result()
                    ignored.update({SPECIAL_FILES: n_special} if n_special else {})
                    running |= {pool.submit(read, *folder) for folder in folders}
                    yield from files
        except OSError as error:
            raise BadFile(error.filename or root, [f"can't be read: {error.strerror}"]) from error
        finally:
            for future in running:
                future.cancel()
