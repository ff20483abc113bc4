"""Ranks on a real cluster of two nodes are those of one process, whatever happens to a node."""

import gc
import os
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from kis_bench.cluster import patience, ranking
from kis_bench.cluster.connection import disconnect, join_cluster
from kis_bench.cluster.ranking import OneThread, RayEngine
from kis_bench.encoders.vectors.unit_rows import UnitRows
from kis_bench.errors import BadVector, ClusterError, KisBenchError
from kis_bench.files.progress import watch
from kis_bench.ranking import target_ranks
from kis_bench.ranking.engines import find_engine
from kis_bench.ranking.text_ranks import rank_texts
from kis_bench.store import Store
from kis_bench.store.arrays import ShardedVectors


@pytest.fixture(autouse=True)
def many_shares(monkeypatch):
    monkeypatch.setattr(ranking, "LEAST_TERMS", 1)


@contextmanager
def known_here_only(ray):
    """What this module defines travels as code, for nodes don't know it."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        yield
    finally:
        ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def draw(kind, v=1, n=5000, q=40, d=24):
    """Items with many equal ones, queries near some, their targets, groups and wider sets."""
    rng = np.random.default_rng(7)
    if kind == "ties":
        items = rng.integers(-1, 2, (n, v, d)).astype(np.float32)
        items[rng.integers(0, n, n // 2)] = items[11]
    else:
        items = rng.standard_normal((n, v, d)).astype(np.float32)
        items[n // 2 :: 3] = items[: len(items[n // 2 :: 3])]
        items[1::2, 0, 0] = np.nextafter(items[1::2, 0, 0], np.float32(np.inf))
    queries = items[:q, 0] + np.float32(0.5) * items[q : 2 * q, 0]
    targets = [rng.integers(0, n, 1 + i % 3).tolist() for i in range(q)]
    wider = [[rng.integers(0, n, 3 * (i % 7)).tolist() for i in range(q)]]
    groups = rng.integers(0, n // 9, n).tolist()
    return queries, items, targets, {"groups": groups, "relevant": wider}


def require_equal(found, wanted):
    for name, value in vars(wanted).items():
        np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)


@pytest.mark.parametrize("v", [1, 3])
@pytest.mark.parametrize("kind", ["ties", "near ties"])
def test_ranks_are_those_of_one_process(cluster, ray, kind, v):
    queries, items, targets, wider = draw(kind, v)
    for k, width in [(0, None), (30, 64), (700, 257)]:
        options = {"top_k": k, "block_items": width, **wider}
        wanted = target_ranks(queries, items, targets, **options)
        engine, told = find_engine(f"ray:{cluster.address}"), []
        found = target_ranks(queries, items, targets, engine=engine, advance=told.append, **options)
        require_equal(found, wanted)
        assert sum(told) == len(queries) * len(items)
    assert len(told) > 1
    target_ranks(queries[:1], items[:1], [[0]], engine=engine)  # by one node, and that isn't all
    assert (engine.name, engine.device) == (
        "numpy",
        f"2 nodes of a cluster of Ray {ray.__version__}",
    )


def test_texts_are_ranked_there_too(cluster):
    texts, items, owners, _ = draw("ties", 2)
    engine = find_engine(f"ray:{cluster.address}")
    wanted = rank_texts(items, texts, owners)
    found = rank_texts(items, texts, owners, engine=engine, block_items=5)
    require_equal(found.ranks, wanted.ranks)
    assert engine.nodes


def write_entry(store, n=3000, d=16, seed=3):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, 1, d)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    entry = store.entry("dataset", "0" * 16, "model", "images", [f"i{i}" for i in range(n)])

    def encode(shards, look_up):
        for shard in shards:
            yield vectors[shard.start : shard.stop], None, {}

    return entry.fill(encode, dict).vectors, vectors


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Vectors of a store that are mapped, and the same in memory."""
    monkeypatch.setattr("kis_bench.store.arrays.READ_AT_ONCE", 0)
    return write_entry(Store(tmp_path / "store"))


def test_vectors_of_a_store_are_read_on_the_nodes(cluster, stored, ray):
    mapped, vectors = stored
    assert isinstance(mapped, ShardedVectors)
    assert len(ray.cloudpickle.dumps(mapped)) < vectors.nbytes / 10
    queries, targets = vectors[:30, 0] + vectors[30:60, 0], [[i] for i in range(30)]
    wanted = target_ranks(queries, vectors, targets, top_k=9)
    found = target_ranks(queries, mapped, targets, top_k=9, engine=f"ray:{cluster.address}")
    require_equal(found, wanted)


def test_rows_of_files_go_to_the_nodes(cluster, tmp_path):
    _, items, _, _ = draw("near ties", n=600)
    np.save(tmp_path / "items.npy", items)
    lengths = np.linalg.norm(items, axis=2).astype(np.float32)
    mapped = np.load(tmp_path / "items.npy", mmap_mode="r")
    rows = UnitRows([mapped[:200], mapped[200:]], lengths, np.arange(600)[::-1])
    queries, targets = np.asarray(rows)[:20, 0], [[i] for i in range(20)]
    for source in (rows, mapped):
        options = {"top_k": 9, "block_items": 50}
        found = target_ranks(queries, source, targets, engine=f"ray:{cluster.address}", **options)
        require_equal(found, target_ranks(queries, source, targets, **options))


def test_a_node_that_does_not_see_the_store_is_named(cluster, stored, tmp_path):
    mapped, vectors = stored
    (tmp_path / "store").rename(tmp_path / "elsewhere")  # what is mapped here stays readable
    said = r"node \S+ \(\S+\): \S*store\S+\.arrow isn't there.* shared folder"
    with pytest.raises(KisBenchError, match=said):
        target_ranks(vectors[:9, 0], mapped, [[0]] * 9, engine=f"ray:{cluster.address}")


def test_other_vectors_under_the_same_name_are_not_ranked(cluster, stored, tmp_path):
    mapped, vectors = stored
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    write_entry(Store(tmp_path / "store"), seed=4)  # as on a node whose home is its own
    said = (
        r"node \S+ \(\S+\): \S*store\S+\.arrow holds other vectors than where the run was started"
    )
    with pytest.raises(ClusterError, match=said):
        target_ranks(vectors[:9, 0], mapped, [[0]] * 9, engine=f"ray:{cluster.address}")


class Told(list):
    """What steps there were."""

    def begin(self, step):
        self.append(step.what)

    def update(self, step):
        pass

    end = update


def test_a_cluster_that_others_use_is_told_and_given_up(cluster, ray, monkeypatch):
    monkeypatch.setattr(patience, "QUIET_S", 0.1)
    monkeypatch.setattr(patience, "BUSY_S", 3.6)
    queries, items, targets, _ = draw("ties", n=300)
    engine = find_engine(f"ray:{cluster.address}")

    class Other:
        """Somebody else's work."""

    used = [ray.remote(num_cpus=1)(Other).remote() for _ in range(2)]
    ray.get([each.__ray_ready__.remote() for each in used])
    busy = "a node with 1 free CPU is wanted; 2 of 2 CPUs are taken"
    told = Told()
    with watch(told), pytest.raises(ClusterError, match=f"did nothing for 0.001 h: {busy}"):
        target_ranks(queries, items, targets, engine=engine)
    assert told[0] == f"waiting for the cluster: {busy}"
    for each in used:
        ray.kill(each)
    require_equal(
        target_ranks(queries, items, targets, engine=engine), target_ranks(queries, items, targets)
    )


class Tired(OneThread):
    """Raises what nobody expects."""

    def multiply(self, rows, pieces):
        raise MemoryError("no more")


def test_what_fails_on_a_node_is_told_with_it(cluster, ray):
    queries, items, targets, _ = draw("ties", n=300)
    engine = RayEngine(join_cluster(cluster.address), Tired)
    said = r"^node \S+ \(\S+\): MemoryError: no more"
    with known_here_only(ray), pytest.raises(ClusterError, match=said):
        target_ranks(queries, items, targets, engine=engine)


def test_what_is_wrong_with_an_item_is_told_as_here(cluster):
    queries, items, targets, _ = draw("ties")
    items[4321, 0, 2] = np.nan
    with pytest.raises(BadVector, match="item 4321"):
        target_ranks(queries, items, targets, engine=f"ray:{cluster.address}")


def test_what_ends_early_may_be_left(cluster, ray):
    queries, items, targets, _ = draw("ties")

    def stop(_):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough") as caught:
        target_ranks(
            queries, items, targets, engine=f"ray:{cluster.address}", block_items=50, advance=stop
        )
    disconnect()
    del caught  # and with it the frames in which shares are waited for
    gc.collect()
    assert not ray.is_initialized()


class Killing(OneThread):
    """Ends the process that is to multiply, each time, as what takes too much memory would."""

    def multiply(self, rows, pieces):
        os._exit(1)


def test_a_share_that_nobody_can_do_ends_all(cluster, ray, monkeypatch):
    monkeypatch.setattr(ranking, "RETRIES", 1)
    queries, items, targets, _ = draw("ties", n=300)
    engine = RayEngine(join_cluster(cluster.address), Killing)
    said = f"the cluster at {cluster.address} didn't do a share of the ranking, even when .* again"
    with known_here_only(ray), pytest.raises(KisBenchError, match=said):
        target_ranks(queries, items, targets, engine=engine)


class Slow(OneThread):
    """Takes its time, and notes down each block that it begins."""

    pause_s, notes = 0.2, None

    def multiply(self, rows, pieces):
        with open(self.notes, "a") as file:
            file.write(".")
        time.sleep(self.pause_s)
        return super().multiply(rows, pieces)


@pytest.mark.slow
def test_a_node_that_is_killed_costs_time_and_no_rank(cluster, ray, tmp_path):
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    queries, items, targets, wider = draw("ties")
    options = {"top_k": 30, "block_items": 100, **wider}
    wanted = target_ranks(queries, items, targets, **options)
    slow = type("Slow", (Slow,), {"notes": str(tmp_path / "notes"), "name": "slow"})
    engine, killed = RayEngine(join_cluster(cluster.address), slow), []

    def kill_once_it_works(_):
        if node.node_id in engine.nodes and not killed:
            killed.append(len(engine.nodes))
            cluster.remove_node(node, allow_graceful=False)

    with known_here_only(ray):
        found = target_ranks(
            queries, items, targets, engine=engine, advance=kill_once_it_works, **options
        )
    assert killed
    require_equal(found, wanted)
    begun, blocks = len((tmp_path / "notes").read_text()), -(-len(items) // 100)
    assert begun > blocks  # what the node had begun was done again
