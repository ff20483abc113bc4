"""Half-written files of killed processes: whoever writes holds a lock on them, which ends with the process."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: Names of what is being written: those of `claim_hidden`, and of run folders of older versions.
HIDDEN = re.compile(r"\..+-[0-9a-f]{16}|\.\d{8}T\d{6}Z-[0-9a-f]{6}\.partial")
SURELY_DEAD_S = 24 * 3600  #: age of what nobody writes any more, where there are no locks


@contextlib.contextmanager
def claim_hidden(place: Path, *, folder: bool = False) -> Iterator[Path]:
    """An empty hidden file or folder beside a place, for what is to be renamed to it; gone after the block.

    Raises:
        OSError: it can't be made there.
    """
    with contextlib.ExitStack() as locks:
        while True:
            hidden = place.with_name(f".{place.name}-{secrets.token_hex(8)}")
            hidden.mkdir() if folder else hidden.touch(exist_ok=False)
            # Before it was locked, another process may have taken it for a stray.
            with contextlib.suppress(FileNotFoundError):
                if locks.enter_context(hold_lock(hidden)) is not False and hidden.exists():
                    break
        try:
            yield hidden
        finally:
            remove_hidden(hidden)


@contextlib.contextmanager
def hold_lock(place: Path, *, wait: bool = False) -> Iterator[bool | None]:
    """Locks a file or folder for this process, until the block or the process ends, however it ends.

    Args:
        wait: until no other process holds it; False: try.

    Yields:
        True: it is held; False: another process holds it; None: nobody knows, for system or disk have no locks.

    Raises:
        OSError: it isn't there, or may not be opened.
    """
    if fcntl is None:
        yield None
        return
    handle = os.open(place, os.O_RDONLY if place.is_dir() else os.O_RDWR)
    try:
        held: bool | None = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            held = False if isinstance(error, BlockingIOError) else None
        yield held
    finally:
        os.close(handle)


def remove_strays(folder: Path) -> None:
    """Removes what killed processes left half written in a folder; what a living one writes stays."""
    with contextlib.suppress(OSError):
        for place in [place for place in folder.iterdir() if HIDDEN.fullmatch(place.name)]:
            with contextlib.suppress(OSError), hold_lock(place) as held:
                age_s = time.time() - place.lstat().st_mtime
                if held or (held is None and age_s > SURELY_DEAD_S):
                    remove_hidden(place)


def remove_hidden(place: Path) -> None:
    """Removes a file or folder as far as that is possible."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            place.unlink()
