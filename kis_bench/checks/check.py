"""One finding of a check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    name: str
    passed: bool | None  # None: worth knowing, and no fault
    finding: str
