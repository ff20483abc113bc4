"""What do search engines do to the ranks of known items? Asked for: -m fidelity.

Each setting of an engine is built and asked in a process of its own. ``--kis-search-engine`` names engines, also one of
yours; ``KIS_FIDELITY_ITEMS=100000`` measures drawn vectors as well, with ``KIS_FIDELITY_QUERIES`` and
``KIS_FIDELITY_DIM``. ``test_engine_facts`` finds out what each engine does by itself. Tables and plots go into
``fidelity`` among the reports.
"""

import pytest

from kis_bench.suite.fidelity_cases import draw_clustered
from kis_bench.suite.fidelity_parameters import generate_settings
from kis_bench.suite.index_fidelity import (
    IndexFidelity,
    is_exhaustive,
    loses_nothing,
    report_fidelity,
)

pytestmark = pytest.mark.fidelity


def pytest_generate_tests(metafunc):
    generate_settings(metafunc)


@pytest.fixture(scope="module")
def fidelity_report(request):
    yield from report_fidelity(request)


@pytest.fixture
def index_fidelity(request, fidelity_report):
    return IndexFidelity(request)


def test_index_fidelity(model, dataset, query_set, search_setting, index_fidelity):
    row = index_fidelity(model, dataset, query_set, search_setting)

    assert loses_nothing(row) or not is_exhaustive(search_setting)


def test_drawn_vectors(drawn_sizes, search_setting, index_fidelity):
    row = index_fidelity.measure_drawn(search_setting, lambda: draw_clustered(*drawn_sizes))

    assert loses_nothing(row) or not is_exhaustive(search_setting)


def test_engine_facts(engine_name, index_fidelity):
    facts = index_fidelity.find_facts(engine_name)

    assert not [
        value for value in facts.values() if "process ended" in value or "not found out" in value
    ]
