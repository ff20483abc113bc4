"""Which model a test belongs to, by its id, when processes share the tests."""

from types import SimpleNamespace

import pytest

from kis_bench.plugin.xdist import ByModel

MODELS = ["demo", "clip-vit-b-32", "vit-b-32", "a.b", "demo-2"]


@pytest.fixture
def scheduler():
    config = SimpleNamespace(
        option=SimpleNamespace(loadscopereorder=True),
        getvalue=lambda name: ["popen"] if name == "tx" else None,
    )
    return ByModel(config, None, MODELS)


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("benchmarks/test_known_item_search.py::test_known_item_search[mvk-long-demo]", "demo"),
        ("t.py::test[mvk-long-clip-vit-b-32]", "clip-vit-b-32"),
        ("t.py::test[mvk-long-vit-b-32]", "vit-b-32"),
        ("t.py::test[demo-triplets-vit-b-32]", "vit-b-32"),
        ("t.py::test[demo-demo-2]", "demo-2"),
        ("t.py::test[mvk-a.b-3]", "a.b"),
        ("t.py::test[mvk-axb]", "t.py::test[mvk-axb]"),
        ("t.py::test[demo]", "demo"),
        ("demo/test_demo.py::test_demo", "demo/test_demo.py::test_demo"),
        ("t.py::test_complementarity[mvk-long]", "t.py::test_complementarity[mvk-long]"),
    ],
)
def test_the_last_model_of_an_id(scheduler, nodeid, scope):
    assert scheduler._split_scope(nodeid) == scope
