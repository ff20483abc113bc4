"""Makes texts fit: on one line, of limited length, as file names."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

# These turn the direction of what follows them, even outside their own cell.
_DIRECTION_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def shorten(text: str, limit: int) -> str:
    """Shortens a text to at most `limit` characters, with an ellipsis where something was left out."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def shorten_middle(text: str, limit: int) -> str:
    """Shortens a text to at most `limit` cells of a terminal, with an ellipsis in its middle; both ends stay.

    >>> shorten_middle("vit-so400m-14-siglip-384", 16)
    'vit-so40…lip-384'
    """
    if count_cells(text) <= limit:
        return text
    left, right = text[: len(text) // 2], text[len(text) // 2 :]
    while left and right and count_cells(left) + count_cells(right) > limit - 1:
        left, right = (left[:-1], right) if len(left) > len(right) else (left, right[1:])
    return f"{left}…{right}"


def count_cells(text: str) -> int:
    """How many cells of a terminal a text takes: two for a wide letter, none for a mark on one."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def cut_middle(text: str, letters: int) -> str:
    """The beginning and the end of a text, of so many letters together, with an ellipsis between them.

    >>> cut_middle("vit-so400m-14-siglip-384", 12)
    'vit-so…ip-384'
    """
    if letters >= len(text):
        return text
    end = letters // 2
    return f"{text[: letters - end].rstrip()}…{text[len(text) - end :].lstrip()}"


def list_first_names(names: Sequence[str], most: int = 9) -> str:
    """Names in one line, of many the first.

    >>> list_first_names(["a", "b", "c"], 1)
    'a and 2 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def make_plain(text: object) -> str:
    """The text on one line, without control characters and marks of writing direction."""
    line = _DIRECTION_MARKS.sub("", " ".join(str(text).split()))
    return "".join(c for c in line if c.isprintable() or c in "\u200c\u200d")


def make_file_name(*parts: str) -> str:
    """Joins parts to a name that every file system takes; different parts give different names."""
    joined = "-".join(parts)
    safe = re.sub(r"[^a-z0-9._-]+", "-", joined.lower()).strip("-.")[:80]
    if safe == joined and len(parts) == 1:
        return safe
    return f"{safe or 'x'}-{hashlib.sha256(chr(0).join(parts).encode('utf-8', 'replace')).hexdigest()[:6]}"
