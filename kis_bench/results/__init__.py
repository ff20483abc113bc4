"""A run's tables and provenance: measured, written in one piece, read back."""

from kis_bench.results.folder import Run, write_run
from kis_bench.results.reading import read_run

__all__ = [
    "Run",
    "read_run",
    "write_run",
]
