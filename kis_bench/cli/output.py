"""What commands print: no control characters of other people's names, and no letter that the output can't take."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, cast

from kis_bench.errors import escape_controls


class PlainOutput:
    """A stream of text that shows control characters as escapes, and as question marks what its encoding lacks."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        plain = escape_controls(text).encode(encoding, "replace").decode(encoding)
        return int(self.stream.write(plain))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def write_plain() -> Iterator[None]:
    """Lets standard output and error be `PlainOutput`."""
    out, err = (cast(Any, PlainOutput(stream)) for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield


def open_closed_streams() -> None:
    """Leads standard streams that were closed nowhere, before a file of ours gets their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        with suppress(OSError):
            try:
                os.fstat(number)
            except OSError:
                # It gets the lowest number that is free; pytest, which run starts, needs it too.
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            if number and getattr(sys, name) is None:
                file = io.FileIO(number, "w", closefd=False)
                setattr(sys, name, io.TextIOWrapper(file, "utf-8", "replace", write_through=True))
