"""Which joint-embedding model finds my image? Known-item search and similarity benchmarks."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: Public name -> the module that has it, imported when the name is first asked for.
_HOMES = {
    "Dataset": "records",
    "Run": "results",
    "Store": "store",
    "embed_collection": "embed",
    "embed_texts": "embed",
    "measure_image_similarity": "measuring",
    "measure_known_items": "measuring",
    "rank": "measuring",
    "read_datasets": "lineup",
    "read_models": "encoders",
    "read_run": "results",
    "target_ranks": "ranking",
    "write_run": "measuring",
}
_MODULES = (
    *("datasets", "embed", "encoders", "errors", "fusion", "lineup", "measuring", "metrics"),
    *("ranking", "records", "results", "statistics", "store", "triplets"),
)

__all__ = ["__version__", *_MODULES, *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
