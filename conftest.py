"""The line-up of this repository's suite."""

from pathlib import Path

from kis_bench.encoders import read_models
from kis_bench.lineup import read_datasets

FIXTURES = Path(__file__).parent / "fixtures"


def pytest_kis_models(config):
    return read_models(FIXTURES / "models.toml")


def pytest_kis_datasets(config):
    return read_datasets(FIXTURES / "datasets.toml")


def pytest_kis_published(config):
    return sorted((FIXTURES / "published").glob("*.csv"))
