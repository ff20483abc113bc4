"""Task files that the Showdowns of 2018 to 2020 were played from: a CSV table, and lines of JSON (``tasks.db``).

Their segments are counted in frames, and they don't tell how many of these a second has.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kis_bench.datasets.captions import put_on_one_line
from kis_bench.datasets.label_formats.json_files import read_json
from kis_bench.datasets.shots import read_frame_rate
from kis_bench.errors import BadFile
from kis_bench.exchange.vbs.clocks import FPS, LARGEST_NUMBER, SECONDS, take_number
from kis_bench.exchange.vbs.json_values import HINT, LIST, Place, ValueKind
from kis_bench.files.csv_tables import read_rows

COLUMNS_OF_2018 = (
    "name",
    "type",
    "videoNumber",
    "startFrame",
    "endFrame",
    "text1",
    "text2",
    "text3",
)
RANGES, TEXTS = "videoRanges", "textList"  #: of a line of JSON
TEXTUAL = "KIS_Textual"
PLACEHOLDERS = ("Enter query text...", "Enter query text")
RATE_COLUMNS = ("video", "fps")
ASK_FOR_RATES = (
    "a table with the columns video,fps, or the archive's list VBS_TextualQueries_19-24.json"
)

FindRate = Callable[[str], float | None]
FRAME = ValueKind(f"a number of frames from 0 to {LARGEST_NUMBER:.0f}", take_number)
VIDEO_NUMBER = ValueKind[str](
    "the number of a video, from 1 to 99999",
    lambda value: f"{value:05}" if type(value) is int and 0 < value < 100_000 else None,
)


def find_played_tasks(text: str) -> list[dict[str, Any]] | None:
    """The tasks in the text of a file, with the keys that lines of JSON have; None if it is another form."""
    lines = text.splitlines()
    if {*COLUMNS_OF_2018} <= {*(lines[0].split(";") if lines else ())}:
        return [*map(spell_as_json, csv.DictReader(io.StringIO(text), delimiter=";"))]
    try:
        found = [json.loads(line) for line in lines if line.strip()]
    except (ValueError, RecursionError):
        return None
    return found if any(isinstance(one, dict) and RANGES in one for one in found) else None


def spell_as_json(row: Mapping[str, str | None]) -> dict[str, Any]:
    """A row of the table of 2018 as later years write a task."""
    span = {key: take_whole_number(row[key]) for key in ("videoNumber", "startFrame", "endFrame")}
    texts = [row.get(f"text{n}") for n in (1, 2, 3)]
    shown = [{"delay": n, "text": text} for n, text in enumerate(texts) if text]
    return {"name": row["name"], "type": row["type"], RANGES: [span], TEXTS: shown}


def take_whole_number(cell: str | None) -> Any:
    return int(cell) if cell and cell.isascii() and cell.isdigit() and len(cell) < 20 else cell


def name_played_kind(found: Any) -> str | None:
    """The type of a task that is no textual known-item search; None for others."""
    if not isinstance(found, dict):
        return None
    kind = found.get("type")
    kind = kind[:80] if isinstance(kind, str) else "unknown"
    if not kind.startswith(TEXTUAL):
        return kind
    shown = found.get(TEXTS)
    if not isinstance(shown, list):
        return None
    texts = [one.get("text") for one in shown if isinstance(one, dict)]
    return None if {*map(str, texts)} - {*PLACEHOLDERS} else f"{kind} without a text"


def take_played_parts(
    task: Place,
) -> tuple[str | None, list[float | None], list[tuple[float, str | None]]]:
    """The video of a task, the first and last frame of its segment, and its texts with the seconds of their delay."""
    ranges = task.each(RANGES)
    if len(ranges) != 1 and task.take(RANGES, LIST) is not None:
        task.problems.append(f"{task.name}.{RANGES} holds {len(ranges)} segments; write one")
    span = ranges[0] if ranges else Place({}, task.name, [])  # else a problem is known
    frames = [span.take(key, FRAME) for key in ("startFrame", "endFrame")]
    shown = []
    for each in task.each(TEXTS):
        delay, text = each.take("delay", SECONDS), each.take("text", HINT)
        blank = text in PLACEHOLDERS
        shown.append((delay or 0.0, "" if blank else text and join_lines(text)))
    return span.take("videoNumber", VIDEO_NUMBER), frames, shown


def join_lines(text: str) -> str:
    r"""A text on one line, also where its line breaks were written as a backslash and an n.

    >>> join_lines(r"a man\nin red"), join_lines("a man, in red")
    ('a man in red', 'a man, in red')
    """
    return put_on_one_line(text.replace("\\n", "\n"))


def read_frame_rates(file: Path) -> dict[str, float]:
    """Video -> frames a second, from a table or from the archive's list of tasks.

    Raises:
        BadFile: it is neither, or has problems.
    """
    problems: list[str] = []
    found: dict[str, float] = {}
    if file.suffix.lower() == ".json":
        for place, video, rate in list_archive_rates(file):
            add_rate(found, place, video, rate, problems)
    else:
        header, rows = read_rows(file)
        if not {*RATE_COLUMNS} <= {*header}:
            raise BadFile(file, [f"its columns are {', '.join(header)}; give {ASK_FOR_RATES}"])
        for line, row in rows:
            add_rate(found, f"line {line}", row["video"], parse_rate(row["fps"]), problems)
    if problems:
        raise BadFile(file, problems)
    return found


def list_archive_rates(file: Path) -> list[tuple[str, Any, Any]]:
    content = read_json(file)
    rows = content if isinstance(content, list) else []
    named = [(i, row) for i, row in enumerate(rows) if isinstance(row, dict) and "answer" in row]
    if not named:
        raise BadFile(file, [f"it is no list of tasks of the archive; give {ASK_FOR_RATES}"])
    return [(f"[{i}]", row["answer"], row.get("fps")) for i, row in named]


def parse_rate(cell: str) -> float | None:
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return None


def add_rate(
    found: dict[str, float], place: str, video: Any, rate: Any, problems: list[str]
) -> None:
    """Notes the rate of a video, or a problem."""
    name, number = strip_zeros(str(video).strip()), FPS.read(rate)
    if not name or number is None or not isinstance(video, str):
        problems.append(f"{place}: {video!r}, {rate!r} are no video and {FPS.expected}")
    elif found.setdefault(name, number) != number:
        problems.append(
            f"{place}: video {video} has {number:g} frames a second here, and {found[name]:g} before"
        )


def strip_zeros(video: str) -> str:
    """The name of a video without zeros before its number, which not all write."""
    return video.lstrip("0") if video.isdigit() else video


def make_rate_finder(file: Path | None, root: Path | None) -> FindRate:
    """Makes a function that finds the frames a second of a video: in a file, else in V3C's tables of shots."""
    told = {} if file is None else read_frame_rates(file)

    def find(video: str) -> float | None:
        rate = told.get(strip_zeros(video))
        return read_frame_rate(root, video) if rate is None and root is not None else rate

    return find
