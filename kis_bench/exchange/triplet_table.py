"""Makes the table of triplets of a study of one's own, in the columns of RESET."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kis_bench.choices import IDENTICAL
from kis_bench.datasets.reset import (
    BIN_COLUMNS,
    DISTANCE_PAIRS,
    JUDGMENTS_DATABASE,
    JUDGMENTS_FILE,
    TRIPLET_COLUMNS,
    TRIPLET_FILES,
    parse_item_id,
)
from kis_bench.encoders.passes import find_first_of_content
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.exchange.reset_csv import format_csv, read_cells
from kis_bench.files.progress import track
from kis_bench.files.whole import write_whole
from kis_bench.measuring.wider_sets import find_near_duplicates
from kis_bench.ranking.relevance import NearDuplicates, Sets
from kis_bench.records import Collection, Embeddings, Float64s, Int64s, count_things
from kis_bench.statistics import wilson_interval
from kis_bench.triplets.margins import cosine_distances
from kis_bench.triplets.sampling import DrawnTriplets, draw_triplets, parse_bin_edges

LEAST_PICTURES = 4  #: a target, and a bin of candidates to choose from
TABLE_COLUMNS = ("triplet_id", "model", *TRIPLET_COLUMNS[1:], *BIN_COLUMNS, "class")
GENERAL, DISAGREE = "general", "disagree"  #: classes; the second is followed by two models


@dataclass(frozen=True)
class SampledTriplets:
    """Triplets of a collection that are to be judged."""

    collection: Collection
    models: tuple[str, ...]  # one, or two that choose differently
    drawn: DrawnTriplets
    lasts: Int64s  # the last rank of each bin
    copies: int  # pictures that were left out, because another has the same content
    distances: Mapping[str, Float64s]  # of each model [t, 3]

    @property
    def category(self) -> str:
        """What the column ``class`` says."""
        return GENERAL if len(self.models) == 1 else " ".join([DISAGREE, *self.models])


def sample_triplets(
    collection: Collection,
    models: Mapping[str, Embeddings],
    number: int,
    *,
    bins: str,
    seed: int,
    near_duplicates: NearDuplicates,
) -> SampledTriplets:
    """Draws triplets of a collection by bins of ranks under a model, or such on which two choose differently.

    Of pictures with the same content only the first takes part.

    Raises:
        KisBenchError: bins that are none, too few pictures, no triplet at all.
    """
    pool = np.array(
        [i for i, first in enumerate(find_first_of_content(collection)) if i == first], np.int64
    )
    if len(pool) < LEAST_PICTURES:
        raise KisBenchError(
            f"dataset {collection.name}: {len(pool)} different pictures are too few for triplets; add some"
        )
    lasts = parse_bin_edges(bins, len(pool) - 1)
    first = next(iter(models.values()))

    def find_alike(items: Sequence[int]) -> Sets:
        return find_near_duplicates(collection, first, [(i,) for i in items], near_duplicates)

    with track(f"{collection.name}: drawing triplets", unit="target") as step:
        drawn = draw_triplets(
            [items.vectors for items in models.values()],
            pool,
            lasts,
            number,
            seed=seed,
            alike=None if near_duplicates.method == IDENTICAL else find_alike,
            advance=step.advance,
        )
    if not len(drawn.places):
        reason = (
            f"{' and '.join(models)} choose alike wherever their bins of ranks differ"
            if len(models) > 1
            else f"{next(iter(models))} tells no two candidates apart"
        )
        raise KisBenchError(
            f"dataset {collection.name}: no triplet was found; {reason}; choose other models, or wider --bins"
        )
    distances = {
        name: cosine_distances(items.vectors, drawn.places)[0] for name, items in models.items()
    }
    copies = len(collection) - len(pool)
    return SampledTriplets(collection, tuple(models), drawn, lasts, copies, distances)


def spell_path(collection: Collection, place: int) -> str:
    """The path by which a table of triplets names a picture: its item id with the suffix of its file.

    Raises:
        KisBenchError: an item id that such a table can't hold.
    """
    item = collection.ids[place]
    path = f"{item}{os.path.splitext(collection.paths[place].name)[1]}"
    for spelt in (path, f"images/{path}"):
        if parse_item_id(spelt) == item:
            return spelt
    raise KisBenchError(
        f"item {item!r} can't stand in a table of triplets, where a backslash means a slash; rename it"
    )


def make_rows(sampled: SampledTriplets, *, distances: bool = False) -> list[dict[str, str]]:
    """The cells of each triplet by column, without its id."""
    rows = []
    for place, bins in zip(sampled.drawn.places.tolist(), sampled.drawn.bins.tolist(), strict=True):
        paths = (spell_path(sampled.collection, i) for i in place)
        cells = (sampled.models[0], *paths, *map(str, bins), sampled.category)
        rows.append(dict(zip(TABLE_COLUMNS[1:], cells, strict=True)))
    for name, each in sampled.distances.items() if distances else ():
        for row, three in zip(rows, each.tolist(), strict=True):
            row |= {
                f"{name}_cosdist_{pair}": repr(value)
                for pair, value in zip(DISTANCE_PAIRS, three, strict=True)
            }
    return rows


def write_triplets(
    folder: Path, rows: Sequence[Mapping[str, str]], *, append: bool = False, force: bool = False
) -> Path:
    """Writes triplets.csv, or adds rows to it; ids of triplets are numbers from 1, or from where they end.

    Raises:
        KisBenchError: the file is there, and judgments belong to it, or nobody said what is to become of it.
    """
    file = require_free_table(folder, append=append, force=force)
    header, *before = read_cells(file) if append and file.exists() else [[*TABLE_COLUMNS]]
    if absent := [column for column in TRIPLET_COLUMNS if column not in header]:
        raise BadFile(file, [f"line 1: missing column {column!r}" for column in absent])
    header = [*dict.fromkeys([*header, *(column for row in rows for column in row)])]
    table = [row + [""] * (len(header) - len(row)) for row in before]
    place = header.index(TABLE_COLUMNS[0])
    last = max((int(row[place]) for row in before if row[place].isdecimal()), default=0)
    for number, row in enumerate(rows, last + 1):
        cells = {**row, TABLE_COLUMNS[0]: str(number)}
        table.append([cells.get(column, "") for column in header])
    write_whole(file, format_csv([header, *table]))
    return file


def require_free_table(folder: Path, *, append: bool = False, force: bool = False) -> Path:
    """The table of triplets to write in a folder. Raises KisBenchError where that would lose or hide something."""
    extended, file = (folder / name for name in TRIPLET_FILES)
    if extended.exists():
        raise KisBenchError(
            f"{extended} is there and would be read in place of {file.name}; move it, or name a folder with --out"
        )
    if not file.exists() or append:
        return file
    judged = [name for name in (JUDGMENTS_FILE, JUDGMENTS_DATABASE) if (folder / name).exists()]
    if judged:
        raise KisBenchError(
            f"{file} is there, and {' and '.join(judged)} with judgments on its triplets; "
            "--append adds triplets to it, --out FOLDER begins another study"
        )
    if not force:
        raise KisBenchError(
            f"{file} is there already; --append adds triplets to it, --force writes over it, --out names another folder"
        )
    return file


def describe_sample(sampled: SampledTriplets, asked: int) -> list[str]:
    """What was drawn, and all that is not as it was asked for."""
    drawn, first = sampled.drawn, sampled.models[0]
    n, targets = len(drawn.places), len({*drawn.places[:, 0].tolist()})
    candidates = len({*drawn.places[:, 1:].ravel().tolist()})
    combined = len({tuple(sorted(two)) for two in drawn.bins.tolist()})
    said = [
        f"{count_things(n, 'triplet')} of {count_things(targets, 'target picture')}; "
        f"{count_things(combined, 'combination')} of bins of ranks under {first}, which end at "
        f"{', '.join(f'{last:,}' for last in sampled.lasts.tolist())}"
    ]
    if n < asked:
        said.append(f"{asked:,} were asked for; there are no more among these pictures and bins")
    for (a, b), number in sorted(drawn.lacking.items()):
        said.append(
            f"bins {a} and {b}: {count_things(number, 'planned triplet')} not found, other bins take their place"
        )
    if sampled.copies:
        said.append(
            f"{count_things(sampled.copies, 'picture')} left out, whose content another one has"
        )
    said.append(f"a candidate is in {2 * n / candidates:.2f} triplets on average")
    if len(sampled.models) > 1:
        low, high = wilson_interval(drawn.differing, drawn.compared)
        said.append(
            f"of {drawn.compared:,} pairs drawn by {first} alone, {' and '.join(sampled.models)} choose differently on "
            f"{drawn.differing:,} ({100 * drawn.differing / drawn.compared:.1f}%, 95% interval {100 * low:.1f} to "
            f"{100 * high:.1f}%); the other pairs would tell nothing of which of them chooses as people do"
        )
    return said
