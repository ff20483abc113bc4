"""Each database finds what comparing all items finds, where it is exact, and answers in one form."""

import importlib
import threading
import warnings

import numpy as np
import pytest
from engine_packages import need_engine

from kis_bench.errors import NotReady
from kis_bench.search_engines.catalogue import SEARCH_MODULES, list_settings
from kis_bench.search_engines.protocol import NO_ITEM, EngineRefused

DATABASES = ("sqlite-vec", "duckdb", "lancedb", "qdrant", "milvus-lite", "chroma")
EXACT = (
    "sqlite-vec: vec0, L2",
    "sqlite-vec: vec0, cosine",
    "sqlite-vec: vec_distance_cosine",
    "duckdb: exact, cosine",
    "duckdb: exact, inner product",
    "lancedb: flat",
    "qdrant: local, exact",
    "milvus-lite: FLAT",
)
#: Exact for so few items, as they are all candidates.
WIDE = (
    "duckdb: HNSW, M 16, ef 128/256",
    "milvus-lite: HNSW, M 32, ef 256/256",
    "chroma: HNSW, cosine, M 32, ef 256/256",
)
SETTINGS = {one.name: one for one in list_settings(DATABASES)}


@pytest.fixture(params=SETTINGS)
def setting(request):
    found = SETTINGS[request.param]
    need_engine(found)
    return found


def draw_clusters(n, d, seed=0):
    random = np.random.default_rng([n, d, seed])
    centres = random.normal(size=(max(1, n // 20), d))
    rows = centres[random.integers(len(centres), size=n)] + 0.5 * random.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def rank_all(queries, items):
    scores = queries.astype(np.float64) @ items.T.astype(np.float64)
    return np.argsort(-scores, axis=1, kind="stable")


def order_again(found, queries, items):
    """The ids of each row by their exact scores."""
    scores = np.einsum("qkd,qd->qk", items[found].astype(np.float64), queries.astype(np.float64))
    return np.take_along_axis(found, np.argsort(-scores, axis=1, kind="stable"), axis=1)


def open_engine(setting, folder, items):
    folder.mkdir(exist_ok=True)
    engine = setting.make(folder)
    engine.build(items)
    return engine


def test_all_settings_are_made_without_their_libraries():
    names = [one.name for one in SETTINGS.values()]
    assert len(set(names)) == len(names)
    assert all(name.partition(":")[0] in DATABASES for name in names)
    assert set(EXACT + WIDE) <= set(names)


@pytest.mark.parametrize(
    ("name", "d"),
    # a graph doesn't get from one half of a line to the other
    [(name, d) for name in EXACT + WIDE for d in (1, 64, 768) if d > 1 or name in EXACT],
)
def test_what_comparing_all_items_finds(name, d, tmp_path):
    setting = SETTINGS[name]
    need_engine(setting)
    items, queries = draw_clusters(200, d), draw_clusters(7, d, 1)
    engine = open_engine(setting, tmp_path, items)
    try:
        for k in (1, 10, 200, 230):
            found = engine.search(queries, k)
            assert found.shape == (7, k)
            assert found.dtype == np.int64
            assert (found[:, 200:] == NO_ITEM).all()
            scores = queries.astype(np.float64) @ items.T.astype(np.float64)
            wanted = -np.sort(-scores, axis=1)[:, :k]
            got = np.take_along_axis(scores, found[:, :200], axis=1)
            np.testing.assert_allclose(got, wanted, atol=2e-6)  # close calls may fall otherwise
            assert all(len(set(row)) == len(row) for row in found[:, :200].tolist())
        if d > 1:  # where all scores are 1 and -1
            best = order_again(engine.search(queries, 10), queries, items)
            np.testing.assert_array_equal(best, rank_all(queries, items)[:, :10])
    finally:
        engine.close()


def test_answers_of_each_setting(setting, tmp_path):
    items, queries = draw_clusters(300, 64), draw_clusters(5, 64, 1)
    engine = open_engine(setting, tmp_path, items)
    found = engine.search(queries, 20)
    alone = np.concatenate([engine.search(query[None], 20) for query in queries])
    itself = engine.search(items[:50], 5)
    engine.close()
    assert found.shape == (5, 20)
    assert ((found >= NO_ITEM) & (found < 300)).all()
    np.testing.assert_array_equal(found, alone)
    own = (itself == np.arange(50)[:, None]).any(axis=1)
    assert own.mean() > 0.8  # codes of few bits lose some


def test_one_item_and_equal_items(setting, tmp_path):
    one = draw_clusters(1, 64)
    for i, copies in enumerate((1, 300)):
        try:
            engine = open_engine(setting, tmp_path / str(i), np.repeat(one, copies, axis=0))
        except EngineRefused as error:
            assert copies == 1 and "lancedb: IVF" in setting.name, error  # noqa: PT017, PT018
            continue
        found = engine.search(one, 10)[0].tolist()
        engine.close()
        given = [i for i in found if i != NO_ITEM]
        assert len(set(given)) == len(given) == min(copies, 10)
        assert set(given) <= set(range(copies))


def test_built_again_beside_the_first(setting, tmp_path):
    """Nothing of an engine is left where another begins, in one process as in several."""
    items = draw_clusters(300, 64)
    first = open_engine(setting, tmp_path / "first", items)
    first.close()
    turned = open_engine(setting, tmp_path / "second", items[::-1].copy())
    found = turned.search(items[:20], 3)
    turned.close()
    assert (found == 299 - np.arange(20)[:, None]).any(axis=1).mean() > 0.8


@pytest.mark.parametrize("engine", DATABASES)
def test_nothing_keeps_the_process_from_ending(engine, tmp_path):
    setting = next(one for one in SETTINGS.values() if one.engine == engine)
    need_engine(setting)
    before = {*threading.enumerate()}
    opened = open_engine(setting, tmp_path, draw_clusters(300, 64))
    opened.search(draw_clusters(1, 64), 1)
    opened.close()
    left = [one for one in {*threading.enumerate()} - before if not one.daemon]
    for thread in left:
        thread.join(10)
    assert [one.name for one in left if one.is_alive()] == []


def test_results_beyond_a_limit_are_refused(tmp_path):
    setting = SETTINGS["sqlite-vec: vec0, L2"]
    need_engine(setting)
    engine = open_engine(setting, tmp_path, draw_clusters(10, 8))
    assert engine.largest_k == 4096
    assert engine.search(draw_clusters(1, 8), 4096).shape == (1, 4096)
    with pytest.raises(EngineRefused, match="at most 4,096 results, and 4,097 are asked for"):
        engine.search(draw_clusters(1, 8), 4097)
    engine.close()


def test_more_numbers_than_a_table_takes(tmp_path):
    setting = SETTINGS["sqlite-vec: vec0, L2"]
    need_engine(setting)
    with pytest.raises(EngineRefused, match="sqlite-vec: vec0, L2: .*maximum 8192"):
        open_engine(setting, tmp_path, draw_clusters(2, 8193))


def test_too_few_items_to_train_codes(tmp_path):
    setting = SETTINGS["lancedb: IVF, PQ"]
    need_engine(setting)
    with pytest.raises(
        EngineRefused, match=r"lancedb: IVF, PQ: 255 items would be compared one by one.*256"
    ):
        open_engine(setting, tmp_path, draw_clusters(255, 64))
    setting.make(tmp_path / "b").build(draw_clusters(256, 64))


def test_an_extension_of_another_version(tmp_path, monkeypatch):
    setting = SETTINGS["duckdb: exact, cosine"]
    need_engine(setting)
    module = importlib.import_module(SEARCH_MODULES["duckdb"])
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotReady, match="has no extension for DuckDB v.* Install both"):
        open_engine(setting, tmp_path, draw_clusters(2, 8))


def test_a_fault_is_no_limit(tmp_path, monkeypatch):
    """What isn't known as a limit of an engine is raised as it is, and so fails instead of being skipped."""
    setting = SETTINGS["sqlite-vec: vec0, L2"]
    need_engine(setting)
    engine = setting.make(tmp_path)
    engine.table = "create virtual table items using none_such(vector {column})"
    with pytest.raises(Exception, match="no such module"):
        engine.build(draw_clusters(2, 8))
    setting = SETTINGS["duckdb: exact, cosine"]
    need_engine(setting)
    with pytest.raises(Exception, match="(?i)cannot open|io error"):
        setting.make(tmp_path / "nowhere").build(draw_clusters(2, 8))


def test_graph_of_duckdb_is_used(tmp_path):
    setting = SETTINGS["duckdb: HNSW"]
    need_engine(setting)
    items = draw_clusters(100, 8)
    engine = open_engine(setting, tmp_path, items)
    asked = [items[0].tolist(), 5]
    plan = engine.database.execute(f"explain {engine.statement}", asked).fetchall()
    engine.close()
    assert "HNSW_INDEX_SCAN" in plan[0][1]


def test_index_of_milvus_lite_is_used(tmp_path):
    """What isn't indexed yet is compared one by one, and all 20,000 come; few lists hold fewer."""
    setting = SETTINGS["milvus-lite: IVF_FLAT"]
    need_engine(setting)
    items = draw_clusters(6000, 16)
    engine = open_engine(setting, tmp_path, items)
    found = engine.search(items[:5], 6000)
    engine.close()
    assert (found != NO_ITEM).sum(axis=1).max() < 3000


def test_no_warning_of_many_points(tmp_path):
    setting = SETTINGS["qdrant: local, exact"]
    need_engine(setting)
    items = draw_clusters(20_001, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine = open_engine(setting, tmp_path, items)
        assert engine.search(items[:1], 1).shape == (1, 1)
        engine.close()
