"""What img2dataset notes beside what it downloads: ``00000_stats.json`` and ``00000.parquet``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kis_bench.datasets.label_formats.label_format import Labels
from kis_bench.datasets.saved_datasets import read_note
from kis_bench.errors import BadFile
from kis_bench.files.text import list_first_names
from kis_bench.records import count_things

STATS_NAME = re.compile(r"(\d+)_stats\.json")
MOST_REASONS = 3  #: of failures, that are named, and notes
SUCCESS = "success"


def find_download_notes(files: Iterable[Path]) -> list[Path]:
    """The counts of each shard, and the table of its rows, where pictures lie elsewhere than in it."""
    found = []
    for file in sorted(file for file in files if STATS_NAME.fullmatch(file.name)):
        number = file.name.partition("_")[0]
        table, folder = file.with_name(f"{number}.parquet"), file.with_name(number)
        elsewhere = folder.is_dir() or file.with_name(f"{number}.tar").is_file()
        found += [file, table] if elsewhere and table.is_file() else [file]
    return found


def tell_failed_rows(labels: Labels, files: Sequence[Path]) -> Labels:
    """The labels with a remark on rows without a picture, and with the notes among files that are read.

    A note without counts costs nothing but these: it is named.
    """
    n_rows, n_successes, reasons, without = 0, 0, Counter[str](), list[str]()
    notes = [file for file in files if STATS_NAME.fullmatch(file.name)]
    for file in notes:
        try:
            content = read_note(file)
        except BadFile:
            content = None
        numbers = take_counts(content)
        if {"count", "successes"} <= numbers.keys():
            n_rows += numbers["count"]
            n_successes += numbers["successes"]
            reasons.update(take_counts(content.get("status_dict")))
        else:
            without.append(file.name)
    reasons.pop(SUCCESS, None)
    if n_rows > n_successes:
        said = f"{n_rows - n_successes:,} of {count_things(n_rows, 'row')} have no picture"
        why = ", ".join(f"{n:,} {reason}" for reason, n in reasons.most_common(MOST_REASONS))
        labels.remarks.append(f"img2dataset: {said}{f' ({why})' if why else ''}")
    if without:
        said = f"{len(without)} of {count_things(len(notes), 'note')} on downloads can't be read"
        labels.remarks.append(f"img2dataset: {said}: {list_first_names(without, MOST_REASONS)}")
    tables = {file.with_name(f"{file.name.partition('_')[0]}.parquet") for file in notes}
    labels.used.update({".json": len(notes), ".parquet": len(tables.intersection(files))})
    return labels


def take_counts(content: Any) -> dict[str, int]:
    """The whole numbers in an object of JSON; none of anything else."""
    return {k: n for k, n in content.items() if type(n) is int} if isinstance(content, dict) else {}
