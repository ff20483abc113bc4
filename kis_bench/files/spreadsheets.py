"""Writes CSV files in which a spreadsheet takes no text for a formula."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def guard(text: str) -> str:
    """Puts an apostrophe before a text that a spreadsheet would calculate; `unguard` removes it.

    >>> guard("=1+1"), guard("a=b"), unguard(guard("'=1")) == "'=1"
    ("'=1+1", 'a=b', True)
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unguard(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def write_csv(frame: pd.DataFrame, file: Path) -> None:
    """Texts and heads guarded, numbers as they are, half characters as question marks; lines end alike everywhere."""
    safe = frame.copy()
    for column in safe.columns:
        if not (
            pd.api.types.is_numeric_dtype(safe[column]) or pd.api.types.is_bool_dtype(safe[column])
        ):
            cells = [guard(cell) if isinstance(cell, str) else cell for cell in safe[column]]
            safe[column] = pd.Series(
                cells, safe.index, object
            )  # arrow's texts refuse half characters
    safe.columns = [guard(name) if isinstance(name, str) else name for name in safe.columns]
    safe.to_csv(file, index=False, encoding="utf-8", lineterminator="\n", errors="replace")
