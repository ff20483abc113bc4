"""The pytest plugin: hooks and fixtures. Glue only."""

from kis_bench.plugin.entry import (
    complementarity,
    dataset,
    image_similarity,
    known_item_search,
    model,
    pytest_addhooks,
    pytest_addoption,
    pytest_collection,
    pytest_configure,
    pytest_configure_node,
    pytest_generate_tests,
    pytest_plugin_registered,
    pytest_report_header,
    query_set,
    study_distances,
)

__all__ = [
    "complementarity",
    "dataset",
    "image_similarity",
    "known_item_search",
    "model",
    "pytest_addhooks",
    "pytest_addoption",
    "pytest_collection",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_generate_tests",
    "pytest_plugin_registered",
    "pytest_report_header",
    "query_set",
    "study_distances",
]
