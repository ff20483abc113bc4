"""Phrases and figures that the parts on image similarity share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kis_bench.files.text import list_first_names, make_plain, shorten
from kis_bench.report.plots.shares import Share
from kis_bench.report.tables import escape
from kis_bench.triplets.summary import Record

NAMED = 5  #: models that a cell names
CEILING = "ceiling of models"


def share_in(row: Record) -> Share:
    return Share(float(row["value"]), float(row["ci_low"]), float(row["ci_high"]), int(row["n"]))


def list_point(text: object) -> str:
    """Markdown of one point; its text begins no list of its own."""
    return "- " + re.sub(r"^(\d*)([.)+=-])", r"\1\\\2", escape(text, 1000))


def name_some(names: Sequence[str], limit: int = NAMED) -> str:
    return list_first_names([shorten(make_plain(name), 34) for name in names], limit)


def count_pictures(n: int) -> str:
    return f"{n:,} target pictures" if n > 1 else "one target picture"


def count_range(numbers: Iterable[int]) -> str:
    """The lowest and the highest of some numbers.

    >>> count_range([1200, 7, 7]), count_range([7])
    ('7 to 1,200', '7')
    """
    known = [int(n) for n in numbers]
    return " to ".join(dict.fromkeys(f"{n:,}" for n in (min(known), max(known))))
