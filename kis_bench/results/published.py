"""Figures that others published, to be shown beside measured ones."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from kis_bench.choices import IMAGE_TO_TEXT
from kis_bench.errors import BadFile
from kis_bench.files.csv_tables import find_unexpected_columns, read_rows
from kis_bench.results.columns import ALL_PUBLISHED, PUBLISHED

ITEMS = "items"  #: a column that a file may have: size of the collection that was searched
TEXTS = "texts"  #: another: texts of the label set, with those that repeat
DIRECTION = "direction"  #: another, which tables have: "image-to-text", or empty
WHOLE = ("k", "n", ITEMS, TEXTS)
NUMBER_COLUMNS = (*WHOLE, "value", "tolerance")
OPTIONAL_COLUMNS = (ITEMS, TEXTS, DIRECTION)
FIGURE = ("dataset", "label_set", "metric", "k", DIRECTION)  #: what is measured of a model
NEEDED_COLUMNS = ("dataset", "model", "metric", "value", "source")


def read_published(files: Iterable[Path], datasets: Container[str]) -> pd.DataFrame:
    """The rows of CSV files with the columns ``results.PUBLISHED`` that are about some datasets.

    ``model`` is our name of the model, ``published_as`` that of the source; ``tolerance`` says how exactly the figure
    is known, 0 where it follows from printed counts. Columns that may be missing: ``items``, size of the collection;
    ``texts``, how many the label set has; ``direction``, ``image-to-text`` where pictures look for their texts.

    Args:
        datasets: names; or names with what a run says of each, and then rows of collections of another size are left
            out.

    Raises:
        BadFile: a missing column or cell, or a number that is none.
    """
    found = []
    for file in files:
        problems: list[str] = []
        header, rows = read_rows(file, problems)
        if wrong := find_unexpected_columns(header, tuple(PUBLISHED), OPTIONAL_COLUMNS):
            raise BadFile(file, [*wrong, f"expected {','.join(PUBLISHED)}"])
        for line, row in rows:
            problems += [
                f"line {line}: {name} is empty; fill it in"
                for name in NEEDED_COLUMNS
                if not row[name].strip()
            ]
            cells: dict[str, object] = dict(row)
            if cells.setdefault(DIRECTION, "") not in ("", IMAGE_TO_TEXT):
                problems.append(
                    f"line {line}: direction {row[DIRECTION]!r} is not {IMAGE_TO_TEXT}, or empty"
                )
            for name in [name for name in NUMBER_COLUMNS if name in row]:
                try:
                    number = float(row[name]) if row[name].strip() else None
                except ValueError:
                    number = math.nan
                if number is not None and not (
                    number.is_integer() if name in WHOLE else math.isfinite(number)
                ):
                    kind = "a whole number" if name in WHOLE else "a number"
                    problems.append(f"line {line}: {name} {row[name]!r} is not {kind}")
                cells[name] = number
            found.append(cells)
        if problems:
            raise BadFile(file, problems)
    mine = [
        {**row, "dataset": name}
        for row in found
        for name in name_datasets(row, datasets)
        if as_large({**row, "dataset": name}, datasets)
    ]
    table = pd.DataFrame(mine, columns=ALL_PUBLISHED)
    return table.astype({"k": "Int64", "n": "Int64", "value": "float64", "tolerance": "float64"})


def name_datasets(row: Mapping[str, object], datasets: Container[str]) -> list[str]:
    """What the dataset of a row is called: its name, or that with a part, such as ``flickr30k:test``.

    The latter only where the row says how large the collection was, for parts are of several sizes.
    """
    whole = str(row["dataset"])
    if row.get(ITEMS) is None or not isinstance(datasets, Mapping):
        return [whole] if whole in datasets else []
    return [name for name in datasets if name == whole or name.partition(":")[0] == whole]


def as_large(row: Mapping[str, object], datasets: Container[str]) -> bool:
    """Whether a row may be about the collection that a run searched, as far as its size tells.

    One of another number of queries is no danger: it is never taken for what was measured.
    """
    if row.get(ITEMS) is None or not isinstance(datasets, Mapping):
        return True
    about = datasets[row["dataset"]]
    if not isinstance(about, Mapping):
        return True
    own, more = (
        about.get(fact, {}).get(row["label_set"], 0) for fact in ("n_queries", "n_repeated")
    )
    if own and row["n"] not in (None, own, own + more) and not row[DIRECTION]:
        return True
    return about.get("n_items") == row[ITEMS] and row.get(TEXTS) in (None, own + more)


def select_direction(published: pd.DataFrame, direction: str = "") -> pd.DataFrame:
    """The published figures of one direction; empty: all but those of the other."""
    own: pd.Series = (
        published[DIRECTION].fillna("")
        if DIRECTION in published
        else pd.Series("", published.index)
    )
    return published[own == direction]


def count_repeated(provenance: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """Dataset and label set -> texts that are queries once in a run, and count each time in papers."""
    return {
        (name, label_set): n
        for name, about in provenance.get("datasets", {}).items()
        for label_set, n in about.get("n_repeated", {}).items()
    }


def comparable(
    published: pd.DataFrame,
    obtained: pd.DataFrame,
    repeated: Mapping[tuple[str, str], int] = MappingProxyType({}),
) -> pd.DataFrame:
    """The published figures of which the same was measured here: on a set of as many queries, triplets or judgments.

    A name alone tells nothing: everybody's own photos may be called ``photos``. A figure that doesn't say of how many
    it is, or whose model wasn't measured under either of its names, is left out.

    Args:
        obtained: a run's table of metrics, columns ``results.METRICS``, and ``direction`` where that isn't the usual.
        repeated: `count_repeated`.
    """
    rows = obtained.to_dict("records")
    sizes = [
        {**row, "n": row["n"] + repeated.get((str(row["dataset"]), str(row["label_set"])), 0)}
        for row in rows
    ]
    return published[match_figures(published, [*rows, *sizes], [*FIGURE, "n"])]


def find_other_sizes(
    published: pd.DataFrame,
    obtained: pd.DataFrame,
    repeated: Mapping[tuple[str, str], int] = MappingProxyType({}),
) -> pd.DataFrame:
    """The published figures that were measured here on another number of queries; arguments as of `comparable`."""
    same = match_figures(published, obtained.to_dict("records"), FIGURE)
    return published[same].drop(comparable(published, obtained, repeated).index)


def match_figures(
    published: pd.DataFrame, obtained: Sequence[Mapping[Any, Any]], keys: Sequence[str]
) -> pd.Series:
    """Whether figures that say of how many they are were measured: equal ``keys``, and either name of the model."""
    known = {(*key(row, keys), str(row["model"])) for row in obtained}
    kept = [
        not pd.isna(row["n"])
        and any(
            (*key(row, keys), str(name)) in known for name in (row["model"], row["published_as"])
        )
        for row in published.to_dict("records")
    ]
    return pd.Series(kept, published.index, bool)


def key(row: Mapping[Any, Any], names: Sequence[str]) -> tuple[str, ...]:
    """Texts as they are, numbers whatever their kind is, nothing for what is missing."""
    cells = (row.get(name) for name in names)  # tables without a direction are of the usual one
    return tuple(
        "" if pd.isna(cell) else cell if isinstance(cell, str) else repr(float(cell))
        for cell in cells
    )
