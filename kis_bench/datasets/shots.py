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


def read_frame_rate(root: Path, video: str) -> float | None:
    """Frames a second of a video, by the beginning of its last shot; None where no file tells it. Raises BadFile."""
    file = root / "msb" / f"{video}.tsv"
    found = None
    for line, row in enumerate(read_boundary_rows(file), start=2) if file.is_file() else ():
        for edge in ("end", "start"):
            try:
                frame, time_s = float(row[f"{edge}frame"]), float(row[f"{edge}time"])
            except (KeyError, TypeError, ValueError) as error:
                said = f"line {line}: V3C has {', '.join(BOUNDARY_COLUMNS)}, in frames and seconds"
                raise BadFile(file, [said]) from error
            if frame > 0 and time_s > 0:
                found = frame / time_s
    return found


def read_boundary_rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadFile(file, [f"not a readable table: {error}"]) from error


def read_middles(file: Path) -> list[float]:
    found, problems = [], []
    for line, row in enumerate(read_boundary_rows(file), start=2):
        try:
            found.append((float(row["starttime"]) + float(row["endtime"])) / 2)
        except (KeyError, TypeError, ValueError):
            problems.append(
                f"line {line}: starttime and endtime in seconds are needed; V3C has {', '.join(BOUNDARY_COLUMNS)}"
            )
    if problems or not found:
        raise BadFile(file, problems or ["no shots"])
    return found
