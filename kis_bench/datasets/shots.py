"""Reads V3C's shot boundaries: ``msb/06925.tsv`` beside the keyframes."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from kis_bench.errors import BadFile

BOUNDARY_COLUMNS = ("startframe", "starttime", "endframe", "endtime")


def read_shot_times(root: Path, videos: Iterable[str]) -> dict[tuple[str, int], float]:
    """Maps (video, shot) to the middle of the shot in seconds, the time of its keyframe.

    Shots count from 1, in the order of the rows. A video without a file of boundaries has no times.

    Raises:
        BadFile: a table is not as V3C's are.
    """
    folder = root / "msb"
    found: dict[tuple[str, int], float] = {}
    for video in sorted(videos) if folder.is_dir() else ():
        file = folder / f"{video}.tsv"
        if file.is_file():
            found |= {
                (video, shot): middle for shot, middle in enumerate(read_middles(file), start=1)
            }
    return found


def read_middles(file: Path) -> list[float]:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadFile(file, [f"not a readable table: {error}"]) from error
    found, problems = [], []
    for line, row in enumerate(rows, start=2):
        try:
            found.append((float(row["starttime"]) + float(row["endtime"])) / 2)
        except (KeyError, TypeError, ValueError):
            problems.append(
                f"line {line}: starttime and endtime in seconds are needed; V3C has {', '.join(BOUNDARY_COLUMNS)}"
            )
    if problems or not found:
        raise BadFile(file, problems or ["no shots"])
    return found
