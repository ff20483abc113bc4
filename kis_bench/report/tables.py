"""Markdown tables in which every cell stays the text that it is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

# These turn the direction of what follows them, even outside their own cell.
_DIRECTION_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_MARKUP = re.compile(r"([\\`*_\[\]~|!#])")


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where something was left out."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def plain(text: object) -> str:
    """On one line, without control characters and marks that turn the writing direction."""
    line = _DIRECTION_MARKS.sub("", " ".join(str(text).split()))
    return "".join(c for c in line if c.isprintable() or c in "\u200c\u200d")


def escaped(text: object, limit: int | None = 240) -> str:
    """Text as Markdown that shows it literally: no markup, no HTML, no new cell or line; None cuts nothing."""
    line = plain(text) if limit is None else shortened(plain(text), limit)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", line)


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], right: Iterable[int] = (), *, limit: int | None = 240
) -> str:
    """A GitHub table; cells are escaped and cut here, the columns numbered in `right` are set flush right."""
    from tabulate import tabulate

    flush = set(right)
    return tabulate(
        [[escaped(cell, limit) for cell in row] for row in rows],
        headers=[escaped(name) for name in head],
        tablefmt="pipe",  # unlike "github" it says which columns are flush right
        disable_numparse=True,
        colalign=["right" if i in flush else "left" for i in range(len(head))],
    )


def file_name(*parts: str) -> str:
    """A name that every file system takes; names that differ stay different."""
    joined = "-".join(parts)
    safe = re.sub(r"[^a-z0-9._-]+", "-", joined.lower()).strip("-.")[:80]
    if safe == joined and len(parts) == 1:
        return safe
    return f"{safe or 'x'}-{hashlib.sha256(chr(0).join(parts).encode('utf-8', 'replace')).hexdigest()[:6]}"
