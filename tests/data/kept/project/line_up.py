"""The line-up of the project whose run was kept: ``-p line_up``."""

from pathlib import Path

import pytest

from kis_bench.datasets import DatasetRow
from kis_bench.records import Checkpoint

HERE = Path(__file__).parent


@pytest.hookimpl
def pytest_kis_models(config):
    return [Checkpoint(name, f"python:numbered:{name}") for name in ("first", "second", "third")]


@pytest.hookimpl
def pytest_kis_datasets(config):
    return [
        DatasetRow("places", HERE / "places"),
        DatasetRow("study", HERE / "study", layout="reset"),
    ]


@pytest.hookimpl
def pytest_kis_published(config):
    return [HERE / "published.csv"]
