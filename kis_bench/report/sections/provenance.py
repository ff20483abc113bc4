"""The report's part on provenance: what the figures were made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kis_bench.report.tables import table
from kis_bench.results.privacy import without_private


def _shown(value: object) -> str:
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _facts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every fact in a row of its own, those of a table within as well."""
    rows = []
    for key, value in about.items():
        if isinstance(value, Mapping):
            rows += [(f"{key}: {inner}", text) for inner, text in _facts(value)]
        else:
            rows.append((str(key), _shown(value)))
    return rows


def provenance_section(provenance: Mapping[str, Any], privacy: bool) -> list[str]:
    """How everything was measured, whole: nothing is cut, and under privacy what is not allowed is left out."""
    about = without_private(provenance) if privacy else dict(provenance)
    facts = _facts(
        {key: value for key, value in about.items() if key not in ("models", "datasets")}
    )
    lines = ["## Provenance", "", table(["what", "value"], facts, limit=None), ""]
    for kind in ("models", "datasets"):
        rows = [
            (name, *fact)
            for name, own in sorted((about.get(kind) or {}).items())
            if isinstance(own, Mapping)
            for fact in _facts({key: value for key, value in own.items() if key != "note"})
        ]
        if rows:
            lines += [table([kind.removesuffix("s"), "what", "value"], rows, limit=None), ""]
    return lines
