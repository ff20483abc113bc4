"""faiss, usearch and hnswlib answer in one form, also for few items, and the exact ones exactly."""

import numpy as np
import pytest
from engine_packages import need_engine

from kis_bench.search_engines.answers import check_answer
from kis_bench.search_engines.catalogue import list_settings
from kis_bench.search_engines.protocol import EngineRefused

SETTINGS = {one.name: one for one in list_settings(["faiss", "usearch", "hnswlib"])}
EXACT = ("faiss: flat", "usearch: f32, exact")
TRAINED = "faiss: flat, product quantised"


@pytest.fixture(params=SETTINGS)
def setting(request):
    need_engine(SETTINGS[request.param])
    return SETTINGS[request.param]


def draw_units(n, d):
    drawn = np.random.default_rng([n, d]).standard_normal((n, d)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def build(setting, folder, items):
    folder.mkdir(exist_ok=True)
    engine = setting.make(folder)
    engine.build(items)
    return engine


@pytest.mark.parametrize("n", [1, 9, 300])
def test_ids_of_one_form(setting, n, tmp_path):
    items, queries = draw_units(n, 16), draw_units(7, 16)
    if setting.name == TRAINED and n < 256:
        with pytest.raises(EngineRefused, match=f"here are {n} of 16 numbers"):
            build(setting, tmp_path / "index", items)
        return
    engine = build(setting, tmp_path / "index", items)
    for k in sorted({1, min(5, n), n}):
        for some in (queries, queries[:1]):
            found = check_answer(setting.name, engine.search(some, k), len(some), k, n)
            assert (found[:, 0] >= 0).all()
    engine.close()
    assert sum(file.stat().st_size for file in (tmp_path / "index").rglob("*")) > 0


@pytest.mark.parametrize("name", EXACT)
def test_exact_settings(name, tmp_path):
    need_engine(SETTINGS[name])
    items, queries = draw_units(400, 24), draw_units(30, 24)
    engine = build(SETTINGS[name], tmp_path / "index", items)
    wanted = np.argsort(-(queries.astype(np.float64) @ items.T.astype(np.float64)), axis=1)
    assert engine.search(queries, 20).tolist() == wanted[:, :20].tolist()


def test_a_number_that_cannot_be_split(tmp_path):
    need_engine(SETTINGS[TRAINED])
    with pytest.raises(EngineRefused, match="a multiple of 8 numbers, and 256 items or more"):
        build(SETTINGS[TRAINED], tmp_path / "index", draw_units(300, 12))


def test_more_items_than_a_graph_reaches(tmp_path):
    """hnswlib gives nothing at all where it finds fewer than were asked for; what it does find is taken."""
    setting = SETTINGS["hnswlib: default"]
    need_engine(setting)
    engine = build(setting, tmp_path / "index", draw_units(20, 8))
    found = check_answer("hnswlib", engine.search(draw_units(3, 8), 32), 3, 32, 20)
    assert ((found >= 0).sum(axis=1) == 20).all()


def test_an_error_of_a_graph_is_no_short_answer(tmp_path):
    setting = SETTINGS["hnswlib: default"]
    need_engine(setting)
    engine = build(setting, tmp_path / "index", draw_units(20, 8))

    class Broken:
        def knn_query(self, queries, k):
            raise RuntimeError("the file is gone")

    engine.index = Broken()
    with pytest.raises(RuntimeError, match="the file is gone"):
        engine.search(draw_units(3, 8), 2)


def test_graphs_are_built_as_their_names_say(tmp_path):
    for name, build_ef, search_ef in (("ef 40/16", 40, 16), ("ef 256/256", 256, 256)):
        setting = SETTINGS[f"faiss: HNSW, M 32, {name}"]
        need_engine(setting)
        graph = build(setting, tmp_path / str(build_ef), draw_units(20, 8)).index.hnsw
        assert (graph.efConstruction, graph.efSearch) == (build_ef, search_ef)
