"""Ranks against exact rational arithmetic: planted ties, near-ties, blocks, threads, wrong input."""

import threading
from fractions import Fraction
from operator import mul

import numpy as np
import pytest
from builders import Sliced
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from in_shares import InShares
from threadpoolctl import threadpool_limits

from kis_bench import threads
from kis_bench.errors import BadVector, KisBenchError
from kis_bench.ranking import item_pass, marks, target_ranks, top_items, whole_order
from kis_bench.ranking.engines import Compared, NumpyEngine
from kis_bench.ranking.exact_scores import bound_lengths, float32_bound
from kis_bench.store.arrays import ShardedVectors

UP = np.float32(np.inf)
UNIT = Fraction(1, 2**298)  #: of products of float32s


class ThreeThreads(NumpyEngine):
    threads = 3


class WorstEngine:
    """Scores that are off by nearly as much as an engine's may be, upwards or downwards by chance."""

    threads = 1

    def __init__(self, queries):
        self.queries, self.rng = queries, np.random.default_rng(3)

    def multiply(self, rows, pieces):
        block = np.concatenate(pieces)
        b, v, d = block.shape
        flat, queries = block.reshape(-1, d), self.queries[rows]
        bound = float32_bound(bound_lengths(queries), bound_lengths(flat).max(), d)
        real = flat.astype(np.float64) @ queries.T.astype(np.float64)
        room = np.maximum(bound - 2.0**-24 * np.abs(real), 0)  # which rounding the sum may take
        off = self.rng.choice([-0.99, 0.0, 0.99], real.shape) * room
        return WorstScores((real + off).astype(np.float32).reshape(b, v, -1))


class WorstScores:
    def __init__(self, scores):
        self.scores = scores

    def read(self):
        return self.scores.max(axis=1)

    def compare(self, low, high, weights, *, keep):
        above = self.read() > high
        left = (self.scores >= low) & ~above[:, None]
        vectors, rows = np.nonzero(left.reshape(-1, len(low)))
        weights = np.ones(len(above), np.int64) if weights is None else weights
        return Compared(weights @ above, above[: len(above) if keep else 0], vectors, rows)


ENGINES = ["numpy", ThreeThreads, WorstEngine, InShares(), InShares(WorstEngine)]


@pytest.fixture(scope="module", autouse=True)
def many_threads_and_early_looks_for_copies():
    """Small products are shared out, too, few queries at once, and few undecided pairs make items be compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "MANY_TERMS", 0)
        patch.setattr(item_pass, "MANY_PAIRS", 1)
        patch.setattr(marks, "FEW_PAIRS", 10)  # larger sets are narrowed
        patch.setattr(whole_order, "PRODUCT_SCORES", 0)
        patch.setattr(whole_order, "LEAST_QUERIES", 3)
        yield


def exact_scores(queries, items):
    """Scores [q][n] as whole multiples of `UNIT`; the slow and obvious way."""

    def scale(array):
        return [[int(Fraction(x) * 2**149) for x in vector] for vector in array.tolist()]

    items = items[:, None] if items.ndim == 2 else items
    vectors = [scale(item) for item in items]
    return [[max(sum(map(mul, q, x)) for x in item) for item in vectors] for q in scale(queries)]


def check(queries, items, targets, groups=None, k=3, wider=(), **blocks):
    ranks = target_ranks(queries, items, targets, groups=groups, top_k=k, relevant=wider, **blocks)
    for i, scores in enumerate(exact_scores(queries, items)):
        for r, sets in enumerate(wider):
            mark = max((scores[t] for t in sets[i]), default=None)
            best = 0 if mark is None else 1 + sum(s > mark for s in scores)
            rivals = [s for j, s in enumerate(scores) if j not in sets[i]]
            found = ranks.relevant_best[i, r], ranks.relevant_worst[i, r]
            assert found == (best, best and best + sum(s == mark for s in rivals))
        mark = max(scores[t] for t in targets[i])
        best, worst = 1 + sum(s > mark for s in scores), sum(s >= mark for s in scores)
        assert (ranks.best[i], ranks.worst[i], ranks.rank[i]) == (best, worst, (best + worst) / 2)
        order = sorted(range(len(scores)), key=lambda j, s=scores: (-s[j], j))
        assert ranks.top_items[i].tolist() == order[:k]
        assert ranks.target_score[i] == np.float32(float(mark * UNIT))
        if groups is not None:
            of_group = {
                g: max(s for s, h in zip(scores, groups, strict=True) if h == g)
                for g in set(groups)
            }
            mark = max(of_group[groups[t]] for t in targets[i])
            best, worst = (
                1 + sum(s > mark for s in of_group.values()),
                sum(s >= mark for s in of_group.values()),
            )
            assert ranks.group_rank[i] == (best + worst) / 2
    return ranks


WHOLE = st.integers(-2, 2).map(np.float32)
ANY = st.floats(-4, 4, width=32, allow_nan=False)
TINY_AND_HUGE = st.sampled_from(
    [0.0, 1e-45, -1e-45, 1e-38, 1.0, 1 + 2**-23, -1.0, 1e-20, 1e10]
).map(np.float32)


@st.composite
def cases(draw):
    numbers = draw(st.sampled_from([WHOLE, ANY, TINY_AND_HUGE, None]))
    most = (40, 6, 12) if numbers is None else (12, 4, 5)
    n, q, d = (draw(st.integers(1, each)) for each in most)
    shape = (n, draw(st.integers(1, 3)), d) if draw(st.booleans()) else (n, d)
    if numbers is None:
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        items, queries = (rng.standard_normal(each, np.float32) for each in (shape, (q, d)))
    else:
        items = draw(hnp.arrays(np.float32, shape, elements=numbers))
        queries = draw(hnp.arrays(np.float32, (q, d), elements=numbers))
    for source, goal in draw(
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=4)
    ):
        items[goal] = items[source]  # duplicates
    for place, back in draw(
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=3)
    ):
        items[place] = items[back]  # one unit in the last place apart
        items[place, ..., 0] = np.nextafter(items[place, ..., 0], UP)
    targets = draw(
        st.lists(st.lists(st.integers(0, n - 1), min_size=1, max_size=4), min_size=q, max_size=q)
    )
    groups = draw(st.none() | st.lists(st.sampled_from("abcd"), min_size=n, max_size=n))
    some = st.lists(st.integers(0, n - 1), max_size=12)
    wider = [[draw(some) for _ in range(q)] for _ in range(draw(st.integers(0, 2)))]
    return queries, items, targets, groups, draw(st.integers(0, 13)), wider


@given(
    cases(),
    st.none() | st.integers(1, 5),
    st.none() | st.integers(1, 13),
    st.sampled_from(ENGINES),
    st.sampled_from([0, top_items.ALL_SHARE]),
)
@settings(deadline=None, max_examples=400)
def test_ranks_are_those_of_rational_arithmetic(case, block_queries, block_items, engine, share):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_items, "ALL_SHARE", share)  # candidates query by query, or all at once
        check(*case, block_queries=block_queries, block_items=block_items, engine=engine)


def planted(seed=0, n=400, q=12, d=48, v=None):
    """Unit vectors with exact duplicates of targets and rivals that differ by one unit in the last place."""
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((n, d) if v is None else (n, v, d))
    items = (items / np.linalg.norm(items, axis=-1, keepdims=True)).astype(np.float32)
    targets = [[int(t)] for t in rng.choice(n // 2, q, replace=False)]
    for i, (t,) in enumerate(targets):
        items[n // 2 + 3 * i] = items[t]
        items[n // 2 + 3 * i + 1] = items[t]
        items[n // 2 + 3 * i + 1, ..., i % d] = np.nextafter(items[t, ..., i % d], UP)
    queries = (
        items.reshape(n, -1, d)[[t for (t,) in targets], 0] + 0.5 * items.reshape(n, -1, d)[:q, 0]
    )
    return queries.astype(np.float32), items, targets, [f"g{i % 37}" for i in range(n)]


@pytest.mark.parametrize("engine", ["numpy", InShares()])
@pytest.mark.parametrize("v", [None, 2])
def test_planted_ties_do_not_depend_on_blocks(v, engine, monkeypatch):
    queries, items, targets, groups = planted(v=v)
    first = check(queries, items, targets, groups, k=7)
    assert (first.worst > first.best).all()
    for rows, columns in [(1, 1), (5, 7), (12, 64), (100, 399), (3, 1000)]:
        monkeypatch.setattr(top_items, "ALL_SHARE", 12 * (rows % 2))
        blocks = {"block_queries": rows, "block_items": columns, "engine": engine}
        other = target_ranks(queries, items, targets, groups=groups, top_k=7, **blocks)
        for name, value in vars(first).items():
            np.testing.assert_array_equal(getattr(other, name), value)


def copies(kind, v, n=60, d=5):
    """Items that are copies of a few, and queries, one of which sees but two coordinates."""
    rng = np.random.default_rng(4)
    distinct = {"constant": 1, "seven": 7, "half": n // 2}[kind]
    items = rng.standard_normal((distinct, v, d)).astype(np.float32)
    items = items[rng.integers(0, distinct, n)]
    items[::2] *= np.where(items[::2] == 0, np.float32(-1), np.float32(1))  # -0 is 0
    if kind == "half":  # others differ in the last place only
        items[1::5, 0, 0] = np.nextafter(items[1::5, 0, 0], UP)
    queries = rng.standard_normal((9, d)).astype(np.float32)
    queries[3, 2:] = 0
    targets = [rng.choice(n, 1 + i % 2, replace=False).tolist() for i in range(9)]
    wider = [[rng.choice(n, 11 * (i % 3), replace=False).tolist() for i in range(9)]]
    return queries, items[:, 0] if v == 1 else items, targets, wider


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("v", [1, 32])
@pytest.mark.parametrize("kind", ["constant", "seven", "half"])
def test_many_equal_items(kind, v, engine):
    queries, items, targets, wider = copies(kind, v)
    for groups, width in [([i // 7 for i in range(60)], 16), ([i % 9 for i in range(60)], 60)]:
        check(queries, items, targets, groups, 4, wider, block_items=width, engine=engine)
    check(queries, items, targets, list(range(60)), 0, wider, block_items=33, engine=engine)


def test_threads_do_not_change_ranks():
    case = planted(n=3000, q=64, d=256)
    first = target_ranks(*case[:3], groups=case[3], top_k=5)
    for count in (1, 2):
        with threadpool_limits(count):
            other = target_ranks(*case[:3], groups=case[3], top_k=5, block_items=100)
        for name, value in vars(first).items():
            np.testing.assert_array_equal(getattr(other, name), value)


def test_progress_of_shares_is_told():
    queries, items, targets, _ = planted()
    told = []
    target_ranks(queries, items, targets, block_items=7, engine=InShares(), advance=told.append)
    assert sum(told) == len(queries) * len(items)
    assert 1 < len(told) < -(-len(items) // 7)


def test_progress_is_told_by_the_thread_that_asked():
    queries, items, targets, _ = planted()
    told = []
    target_ranks(
        queries,
        items,
        targets,
        block_items=7,
        engine=ThreeThreads,
        advance=lambda scores: told.append((scores, threading.get_ident())),
    )
    assert sum(scores for scores, _ in told) == len(queries) * len(items)
    assert {thread for _, thread in told} == {threading.get_ident()}
    assert len(told) == -(-len(items) // 7)


def test_cancellation_needs_exact_sums():
    # The scores differ by 2^-80 beside terms of 1: beyond float64.
    queries = np.float32([[1, 1, 1]])
    items = np.float32([[1, -1, 0], [1, -1, 2.0**-80], [1, -1, -(2.0**-80)], [1, 2.0**-80, -1]])
    ranks = check(queries, items, [[0]], groups="abca", k=4)
    assert (ranks.best[0], ranks.worst[0]) == (3, 3)


def test_long_orthogonal_vectors_have_their_own_bound():
    # A score near 0 between vectors of length 1e10 is still off by far more than one of unit vectors.
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((4, 32)).astype(np.float32)
    items = (1e10 * rng.standard_normal((60, 32))).astype(np.float32)
    items[:, 0] -= (items[:, :] @ queries[0] / queries[0, 0]).astype(np.float32)
    check(queries, items, [[3], [4], [5], [6]], k=9, block_items=7)


def test_zero_vectors_tie():
    items = np.zeros((5, 3), np.float32)
    ranks = check(np.float32([[0, 0, 0], [1, 2, 3]]), items, [[2], [4]], groups="aabbc", k=5)
    assert ranks.rank.tolist() == [3, 3]
    assert ranks.group_rank.tolist() == [2, 2]


def test_several_targets_count_by_the_best():
    items = np.float32([[1], [2], [3], [4]])
    assert target_ranks(np.float32([[1]]), items, [[0, 2, 2]]).best.tolist() == [2]


@pytest.mark.parametrize("engine", ENGINES)
def test_groups_in_several_panels(monkeypatch, engine):
    queries, items, targets, groups = planted(n=120, q=12, d=8)
    monkeypatch.setattr("kis_bench.ranking.ranks.GROUP_MARK_BYTES", 5 * 37)
    check(queries, items, targets, groups, k=4, block_items=10, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("share", [0, 12])
def test_top_items_of_very_many_ties_are_settled_on_the_way(share, engine, monkeypatch):
    monkeypatch.setattr(top_items, "SPARE_CANDIDATES", 10)
    monkeypatch.setattr(top_items, "ALL_SHARE", share)
    rng = np.random.default_rng(2)
    items = rng.integers(-1, 2, (90, 3)).astype(np.float32)
    check(
        rng.integers(-1, 2, (6, 3)).astype(np.float32),
        items,
        [[i] for i in range(6)],
        k=11,
        block_items=8,
        engine=engine,
    )


class Vanishing(Sliced):
    def __getitem__(self, part):
        if part.start == 200:  # a whole block
            raise KisBenchError("000200.arrow vanished; run again")
        return super().__getitem__(part)


def test_what_a_thread_cannot_read_ends_all_as_it_was_said():
    queries, items, targets, _ = planted()
    before, blas = threading.active_count(), threads.read_blas_threads()
    with pytest.raises(KisBenchError, match="000200.arrow vanished; run again"):
        target_ranks(queries, Vanishing(items), targets, block_items=10, engine=ThreeThreads)
    assert (threading.active_count(), threads.read_blas_threads()) == (before, blas)
    items[[250, 333], 0] = np.nan
    with pytest.raises(BadVector, match="item 250"):  # the first, whatever thread meets it when
        target_ranks(queries, items, targets, block_items=10, engine=ThreeThreads)
    with pytest.raises(BadVector, match="item (250|333)"):
        target_ranks(queries, items, targets, block_items=10, engine=InShares())


def test_items_are_read_in_slices(tmp_path):
    queries, items, targets, groups = planted()
    wanted = target_ranks(queries, items, targets, groups=groups, top_k=3)
    np.save(tmp_path / "items.npy", items)
    for source in (Sliced(items), np.load(tmp_path / "items.npy", mmap_mode="r")):
        found = target_ranks(queries, source, targets, groups=groups, top_k=3, block_items=32)
        for name, value in vars(wanted).items():
            np.testing.assert_array_equal(getattr(found, name), value)


@pytest.mark.parametrize("v", [1, 2])
def test_items_in_shards_are_read_where_they_lie(v):
    """Blocks of several shards, of which few or all vectors are decided, and one that is bad."""
    queries, items, targets, groups = planted(v=v)
    sources = [items, ShardedVectors(np.split(items, [5, 6, 130, 399]))]
    for width in (7, 128, 1000):
        wanted, found = (
            target_ranks(queries, some, targets, groups=groups, top_k=3, block_items=width)
            for some in sources
        )
        for name, value in vars(wanted).items():
            np.testing.assert_array_equal(getattr(found, name), value)
        alike = [
            target_ranks(queries, some, targets, block_items=width, engine=WorstEngine)
            for some in sources
        ]
        assert [some.worst.tolist() for some in alike] == [wanted.worst.tolist()] * 2
    items[[131, 140], 0] = np.inf
    with pytest.raises(BadVector, match="item 131"):
        target_ranks(queries, ShardedVectors(np.split(items, [5, 6, 130, 399])), targets)


def test_no_queries():
    ranks = target_ranks(
        np.zeros((0, 2), np.float32), np.ones((3, 2), np.float32), [], groups="abc", top_k=2
    )
    assert ranks.best.shape == ranks.group_rank.shape == (0,)
    assert ranks.top_items.shape == (0, 2)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_named(wrong):
    items, queries = np.ones((9, 2), np.float32), np.ones((3, 2), np.float32)
    items[7, 1] = wrong
    with pytest.raises(BadVector, match="item 7"):
        target_ranks(queries, items, [[0]] * 3, block_items=4)
    with pytest.raises(BadVector, match="item 7"):
        target_ranks(queries, items, [[0], [7], [0]])
    queries[1, 0] = wrong
    with pytest.raises(BadVector, match="query 1"):
        target_ranks(queries, np.ones((9, 2), np.float32), [[0]] * 3)


def test_overflow_is_refused():
    items = np.float32([[1, 1], [3e38, 3e38]])
    with pytest.raises(BadVector, match=r"query 0 and item 1.*overflow"):
        target_ranks(np.float32([[1, 1]]), items, [[0]])
    check(np.float32([[1e-30, 0]]), items, [[0]], k=2)  # long, but no score is


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": [[0], []]}, "query 1 has no target"),
        ({"targets": [[0], [1, 3]]}, "query 1: target 3"),
        ({"targets": [[-1], [1]]}, "query 0: target -1"),
        ({"targets": [[0]]}, "1 lists of targets for 2 queries"),
        ({"queries": np.ones((2, 3), np.float32)}, "fit"),
        ({"queries": np.ones(2, np.float32)}, "fit"),
        ({"items": np.ones((3, 0, 2), np.float32)}, "fit"),
        ({"groups": "ab"}, "2 groups for 3 items"),
        ({"top_k": -1}, "top_k"),
        ({"block_items": 0}, "block"),
        ({"engine": "abacus"}, "abacus"),
    ],
)
def test_wrong_arguments(change, message):
    call = {
        "queries": np.ones((2, 2), np.float32),
        "items": np.ones((3, 2), np.float32),
        "targets": [[0], [1]],
    }
    with pytest.raises(ValueError, match=message):
        target_ranks(**(call | change))
