"""The line-up of this repository's suite."""

from pathlib import Path

import pytest

from kis_bench.encoders import read_models
from kis_bench.lineup import read_datasets

FIXTURES = Path(__file__).parent / "fixtures"
hook = pytest.hookimpl(optionalhook=True)  # so that -p no:kis_bench.plugin runs the other tests


@hook
def pytest_kis_models(config):
    return read_models(FIXTURES / "models.toml")


@hook
def pytest_kis_datasets(config):
    return read_datasets(FIXTURES / "datasets.toml")


@hook
def pytest_kis_published(config):
    return sorted((FIXTURES / "published").glob("*.csv"))
