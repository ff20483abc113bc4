"""Figures that others published, to be shown beside measured ones."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from pathlib import Path

import pandas as pd

from kis_bench.datasets.labels import read_rows, unexpected
from kis_bench.errors import BadFile
from kis_bench.results import PUBLISHED

WHOLE = ("k", "n")
NUMBERS = (*WHOLE, "value", "tolerance")
NEEDED = ("dataset", "model", "metric", "value", "source")


def read_published(files: Iterable[Path], datasets: Container[str]) -> pd.DataFrame:
    """The rows of CSV files with the columns ``results.PUBLISHED`` that are about some datasets.

    ``model`` is our name of the model, ``published_as`` that of the source; ``tolerance`` says how exactly the figure
    is known, 0 where it follows from printed counts.

    Raises:
        BadFile: a missing column or cell, or a number that is none.
    """
    found = []
    for file in files:
        problems: list[str] = []
        header, rows = read_rows(file, problems)
        if wrong := unexpected(header, tuple(PUBLISHED), ()):
            raise BadFile(file, [*wrong, f"expected {','.join(PUBLISHED)}"])
        for line, row in rows:
            problems += [f"line {line}: {name} is empty; fill it in" for name in NEEDED if not row[name].strip()]
            cells: dict[str, object] = dict(row)
            for name in NUMBERS:
                try:
                    number = float(row[name]) if row[name].strip() else None
                except ValueError:
                    number = math.nan
                if number is not None and not (number.is_integer() if name in WHOLE else math.isfinite(number)):
                    kind = "a whole number" if name in WHOLE else "a number"
                    problems.append(f"line {line}: {name} {row[name]!r} is not {kind}")
                cells[name] = number
            found.append(cells)
        if problems:
            raise BadFile(file, problems)
    table = pd.DataFrame([row for row in found if row["dataset"] in datasets], columns=PUBLISHED)
    return table.astype({"k": "Int64", "n": "Int64", "value": "float64", "tolerance": "float64"})
