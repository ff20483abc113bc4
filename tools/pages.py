"""Pages of which parts come from code or from files of measurements: what the tools that write them share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path


def find_parts(mark: str) -> re.Pattern[str]:
    """Matches the parts of a page that a tool writes, between ``<!-- MARK: NAME -->`` and ``<!-- end -->``."""
    return re.compile(
        rf"(^<!-- {mark}: (.+?) -->\n)(.*?)(^<!-- end -->$)", re.DOTALL | re.MULTILINE
    )


def regenerate_parts(text: str, mark: str, writers: Mapping[str, Callable[[], str]]) -> str:
    """The page with each part as its writer has it; KeyError for one that nothing writes."""
    return find_parts(mark).sub(
        lambda part: f"{part[1]}\n{writers[part[2]]().strip()}\n\n{part[4]}", text
    )


def write_page(page: Path, mark: str, writers: Mapping[str, Callable[[], str]]) -> bool:
    """Writes a page anew if a part of it has changed, and returns whether one has."""
    old = page.read_text(encoding="utf-8")
    new = regenerate_parts(old, mark, writers)
    if new != old:
        page.write_text(new, encoding="utf-8", newline="\n")
    return new != old


def write_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", r"\|") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
