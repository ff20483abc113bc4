"""What engines are asked for: ranked once, and the same for some of the queries."""

import numpy as np
import pytest

from kis_bench.suite.searched_vectors import SearchedVectors, SearchInput


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(0)
    items = rng.standard_normal((40, 2, 6)).astype(np.float32)
    items[7] = items[3]
    targets = [[1, 2], [2, 3], [1, 3], [7], [9], [9]]
    queries = rng.standard_normal((6, 6)).astype(np.float32)
    return SearchInput("m", "d", "l", [*"abcdef"], queries, items, targets)


@pytest.fixture
def whole(known):
    prepared = SearchedVectors.prepare(known)
    yield prepared
    prepared.folder.cleanup()


def test_queries_that_share_a_target_are_one_cluster(whole):
    assert whole.clusters.tolist() == [0, 0, 0, 1, 2, 2]


def test_fewer_queries_have_the_same_ranks(known, whole, monkeypatch):
    assert whole.take(None) is whole is whole.take(10**6)
    monkeypatch.setattr("kis_bench.suite.searched_vectors.target_ranks", None)  # once is enough
    few = whole.take(3 * 80)
    assert few is whole.take(3 * 80)
    chosen = [0, 2, 5]
    assert few.known.query_ids == [known.query_ids[i] for i in chosen]
    assert few.ranks.best.tolist() == whole.ranks.best[chosen].tolist()
    assert few.ranks.worst.tolist() == whole.ranks.worst[chosen].tolist()
    assert few.clusters.tolist() == whole.clusters[chosen].tolist()
    assert np.load(few.vectors / "queries.npy").tolist() == known.queries[chosen].tolist()
    assert np.load(few.vectors / "items.npy").tolist() == known.items.reshape(80, 6).tolist()
    everything = np.tile(np.arange(40), (6, 1))
    places = few.rescorer.place(everything[:3])
    assert places.best.tolist() == few.ranks.best.tolist()
    assert places.worst.tolist() == few.ranks.worst.tolist()
