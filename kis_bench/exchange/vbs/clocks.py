"""Points in time in files of tasks: in milliseconds, seconds, frames and as clocks write them."""

from __future__ import annotations

import re
from typing import Any

from kis_bench.exchange.vbs.json_values import ValueKind

LARGEST_NUMBER = 1e12
PER_SECOND = {"MILLISECONDS": 1000.0, "Millisecond": 1000.0, "SECONDS": 1.0}
UNITS = (
    "MILLISECONDS",
    "SECONDS",
    "FRAME_NUMBER",
    "TIMECODE",
    "Millisecond",
    "Frame",
    "Timecode",
)  #: likewise
TIMECODE = re.compile(
    r"(?:(?:(?:(\d+):)?([0-5]?\d):)?([0-5]?\d)(?::(\d+)|\.(\d{3}))|(\d+))", re.ASCII
)
NUMERAL = re.compile(r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)


def take_number(value: Any) -> float | None:
    right = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value <= LARGEST_NUMBER
    )
    return float(value) if right else None


def take_rate(value: Any) -> float | None:
    return take_number(value) if (take_number(value) or 0.0) >= 0.001 else None


def parse_timecode(value: Any) -> tuple[float, float] | None:
    """Seconds and frames of ``hours:minutes:seconds:frames``, of which the first may be left out, or with ``.480``."""
    parts = (
        TIMECODE.fullmatch(value.strip()) if isinstance(value, str) and len(value) < 40 else None
    )
    if parts is None:
        return None
    hours, minutes, seconds, frames, thousandths, only_frames = (
        int(part or 0) for part in parts.groups()
    )
    return 3600 * hours + 60 * minutes + seconds + thousandths / 1000, frames + only_frames


def make_clock(unit: str) -> ValueKind[tuple[float, float]]:
    """Makes the kind of a time in this unit, converted to seconds and frames."""
    if unit.upper() == "TIMECODE":
        return ValueKind("a time such as 0:01:30:12 with 12 frames, or 0:01:30.480", parse_timecode)

    def read(value: Any) -> tuple[float, float] | None:
        count = take_number(
            float(value) if isinstance(value, str) and NUMERAL.fullmatch(value) else value
        )
        seconds = PER_SECOND.get(unit)
        return None if count is None else (count / seconds, 0.0) if seconds else (0.0, count)

    return ValueKind(f"a number from 0 to {LARGEST_NUMBER:.0f}, in quotes or not", read)


MILLISECONDS = ValueKind(f"milliseconds, a number from 0 to {LARGEST_NUMBER:.0f}", take_number)
SECONDS = ValueKind(f"seconds, a number from 0 to {LARGEST_NUMBER:.0f}, or null", take_number)
FPS = ValueKind("frames per second, a number from 0.001, or null", take_rate)
UNIT = ValueKind[str](f"one of {', '.join(UNITS)}", lambda value: value if value in UNITS else None)
