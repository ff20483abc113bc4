"""For conftest.py: the datasets that a repository declares."""

from kis_bench.datasets.catalogue import read_datasets

__all__ = [
    "read_datasets",
]
