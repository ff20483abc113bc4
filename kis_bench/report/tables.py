"""Markdown tables in which every cell stays the text that it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kis_bench.files.text import make_plain, shorten

_MARKUP = re.compile(r"([\\`*_\[\]~|!#])")


def escape(text: object, limit: int | None = 240) -> str:
    """Text as Markdown that shows it literally: no markup, no HTML, no new cell or line; None cuts nothing."""
    line = make_plain(text) if limit is None else shorten(make_plain(text), limit)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", line)


def slug(heading: str) -> str:
    """The name by which links lead to a heading, as GitHub makes it.

    >>> slug("What combinations find: photos, long")
    'what-combinations-find-photos-long'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def link_section(words: str, heading: str) -> str:
    """A link to the section of that heading."""
    return f"[{escape(words)}](#{slug(make_plain(heading))})"


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    right: Iterable[int] = (),
    *,
    limit: int | None = 240,
) -> str:
    """A GitHub table; cells are escaped and cut here, the columns numbered in `right` are set flush right."""
    from tabulate import tabulate

    flush = set(right)
    return tabulate(
        [[escape(cell, limit) for cell in row] for row in rows],
        headers=[escape(name) for name in head],
        tablefmt="pipe",  # unlike "github" it says which columns are flush right
        disable_numparse=True,
        colalign=["right" if i in flush else "left" for i in range(len(head))],
    )
