"""Annotations as GitHub's runners take them from the output of a job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kis_bench.gate.verdicts import failed_cells, told

MOST_ANNOTATIONS = 10  #: of one kind that GitHub shows of a step
_PLACE = re.compile(r"(.+), line (\d+)")


def error_lines(
    rows: Iterable[Mapping[str, Any]], problems: Iterable[str] = (), folder: str = ""
) -> list[str]:
    """One line for each cell that failed, at the threshold that it missed if there is one; the rest as a count.

    ``folder`` is where the files of thresholds lie in the repository: "" or with a slash at its end.
    """
    lines = [format_command("kis-bench", problem) for problem in problems]
    for cell, failed in failed_cells(rows).items():
        places = [match for one in failed if (match := _PLACE.fullmatch(str(one["judged_by"])))]
        lines.append(
            format_command(
                str(cell), "\n".join(told(failed)), places[0] if places else None, folder
            )
        )
    if len(lines) > MOST_ANNOTATIONS:
        more = len(lines) - MOST_ANNOTATIONS + 1
        lines = [
            *lines[: MOST_ANNOTATIONS - 1],
            format_command("kis-bench", f"{more:,} more failed; see the summary"),
        ]
    return lines


def format_command(
    title: str, text: str, place: re.Match[str] | None = None, folder: str = ""
) -> str:
    """``::error title=...::...`` with everything escaped that would end it."""
    properties = {"title": title} | (
        {} if place is None else {"file": folder + place[1], "line": place[2]}
    )
    written = ",".join(f"{key}={escape_command(value, ':,')}" for key, value in properties.items())
    return f"::error {written}::{escape_command(text[:4000])}"


def escape_command(text: str, more: str = "") -> str:
    """Percent signs, ends of lines, and ``more`` as GitHub's own toolkit writes them.

    >>> escape_command("50%\\nof a: b", ":")
    '50%25%0Aof a%3A b'
    """
    return "".join(f"%{ord(c):02X}" if c in "%\r\n" + more else c for c in text)
