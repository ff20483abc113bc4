"""What do search engines do to the ranks of known items? Asked for: -m fidelity.

Each setting of an engine is built and asked in a process of its own. ``--kis-search-engine`` names engines, also one of
yours; ``KIS_FIDELITY_ITEMS=100000`` measures drawn vectors as well, with ``KIS_FIDELITY_QUERIES`` and
``KIS_FIDELITY_DIM``. ``test_engine_facts`` finds out what each engine does by itself. Tables and plots go into
``fidelity`` among the reports.
"""

import os

import pytest

from kis_bench.suite.fidelity_cases import draw_clustered
from kis_bench.suite.index_fidelity import IndexFidelity, generate_settings, report_fidelity

ITEMS = int(os.environ.get("KIS_FIDELITY_ITEMS", "0"))
QUERIES = int(os.environ.get("KIS_FIDELITY_QUERIES", "500"))
DIM = int(os.environ.get("KIS_FIDELITY_DIM", "512"))

pytestmark = pytest.mark.fidelity


def pytest_generate_tests(metafunc):
    drawn = metafunc.function is test_drawn_vectors
    generate_settings(metafunc, asked=ITEMS > 0 or not drawn)


@pytest.fixture(scope="module")
def fidelity_report(request):
    yield from report_fidelity(request)


@pytest.fixture
def index_fidelity(request, fidelity_report):
    return IndexFidelity(request)


def test_index_fidelity(model, dataset, query_set, search_setting, index_fidelity):
    row = index_fidelity(model, dataset, query_set, search_setting)

    assert 0 <= row["found"] <= 1


@pytest.mark.skipif(not ITEMS, reason="for drawn vectors set KIS_FIDELITY_ITEMS=100000")
def test_drawn_vectors(search_setting, index_fidelity):
    row = index_fidelity.measure_drawn(search_setting, lambda: draw_clustered(ITEMS, QUERIES, DIM))

    assert 0 <= row["found"] <= 1


def test_engine_facts(engine_name, index_fidelity):
    facts = index_fidelity.find_facts(engine_name)

    assert all(facts.values())
