"""Rewrites what the documentation takes from the code: ``python tools/docs.py``.

A page marks such a part with ``<!-- generated: NAME -->`` and ``<!-- end -->`` on lines of their own; NAME is a key of
:data:`GENERATORS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PART = re.compile(r"(^<!-- generated: (.+?) -->\n)(.*?)(^<!-- end -->$)", re.DOTALL | re.MULTILINE)

#: Name of a part -> what writes its Markdown.
GENERATORS: dict[str, Callable[[], str]] = {}


def find_pages() -> list[Path]:
    """Every Markdown page that may have generated parts."""
    return [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]


def regenerate(text: str) -> str:
    """A page with each generated part as the code has it now; KeyError for a name that nothing generates."""
    return PART.sub(lambda part: f"{part[1]}\n{GENERATORS[part[2]]().strip()}\n\n{part[4]}", text)


def main() -> None:
    for page in find_pages():
        old = page.read_text(encoding="utf-8")
        if old != (new := regenerate(old)):
            page.write_text(new, encoding="utf-8", newline="\n")
            print(f"rewritten: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
