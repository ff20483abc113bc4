"""The pytest plugin: hooks and fixtures. Glue only."""

from kis_bench.plugin.entry import (
    complementarity,
    dataset,
    image_similarity,
    image_to_text,
    known_item_search,
    model,
    pytest_addhooks,
    pytest_addoption,
    pytest_configure,
    pytest_configure_node,
    pytest_generate_tests,
    pytest_plugin_registered,
    pytest_sessionstart,
    query_set,
    study_distances,
)
from kis_bench.plugin.stopping import pytest_cmdline_main

__all__ = [
    "complementarity",
    "dataset",
    "image_similarity",
    "image_to_text",
    "known_item_search",
    "model",
    "pytest_addhooks",
    "pytest_addoption",
    "pytest_cmdline_main",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_generate_tests",
    "pytest_plugin_registered",
    "pytest_sessionstart",
    "query_set",
    "study_distances",
]
