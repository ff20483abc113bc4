"""In a checkout only: the suite's tests are those of ``benchmarks/``, so that an editable install has them too."""

from __future__ import annotations

from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent
BENCHMARKS = PACKAGE.parents[1] / "benchmarks"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path != PACKAGE / "__init__.py":
        return None
    folder: pytest.Collector = pytest.Dir.from_parent(parent, path=BENCHMARKS)
    return folder
