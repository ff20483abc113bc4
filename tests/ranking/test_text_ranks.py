"""Pictures that look for their own texts: against exact arithmetic, the search by texts turned over, and others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from in_shares import InShares

from kis_bench.errors import BadVector
from kis_bench.metrics import recall_at_k
from kis_bench.ranking import picture_panel, target_ranks
from kis_bench.ranking.exact_scores import exact_key
from kis_bench.ranking.text_ranks import rank_texts


def rank_slowly(items, texts, owners):
    """Picture -> best and worst rank, by scores that compare as real numbers do."""
    items = items if items.ndim == 3 else items[:, None]
    found = {}
    for picture in sorted({one for some in owners for one in some}):
        scores = [max(exact_key(vector, text) for vector in items[picture]) for text in texts]
        own = [i for i, some in enumerate(owners) if picture in some]
        mark = max(scores[i] for i in own)
        best = 1 + sum(score > mark for score in scores)
        tied = sum(score == mark for i, score in enumerate(scores) if i not in own)
        found[picture] = best, best + tied
    return found


def require_exact(items, texts, owners, **options):
    found = rank_texts(items, texts, owners, **options)
    places = zip(found.ranks.best.tolist(), found.ranks.worst.tolist(), strict=True)
    assert dict(zip(found.pictures.tolist(), places, strict=True)) == rank_slowly(
        items, texts, owners
    )
    np.testing.assert_array_equal(found.ranks.rank, (found.ranks.best + found.ranks.worst) / 2)
    return found


def draw_unit(rng, *shape):
    vectors = rng.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def draw_owners(rng, n, t):
    """Most texts of one picture, some of several; some pictures have none."""
    return [sorted({*rng.integers(0, n, rng.integers(1, 3)).tolist()}) for _ in range(t)]


COORDINATES = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 0.5, 1 + 2**-23, 1 - 2**-24, 2**-149, -(2**-60)]
)


@st.composite
def searches(draw):
    """Few coordinates of few values, so that scores tie or differ by a unit in the last place."""
    n, t, v, d = (draw(st.integers(1, most)) for most in (4, 6, 3, 3))
    items, texts = (
        draw(hnp.arrays(np.float32, shape, elements=COORDINATES)) for shape in ((n, v, d), (t, d))
    )
    some = st.lists(st.integers(0, n - 1), min_size=1, max_size=2)
    return items, texts, draw(st.lists(some, min_size=t, max_size=t))


@given(searches(), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=70)
def test_exact_arithmetic(search, block_items, block_texts):
    require_exact(*search)
    require_exact(*search, block_items=block_items, block_texts=block_texts)


@given(hnp.arrays(np.float32, (5, 3), elements=COORDINATES), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_one_text_for_each_picture_is_the_search_turned_over(items, seed):
    rng = np.random.default_rng(seed)
    texts, order = rng.permutation(items), rng.permutation(5)
    turned = target_ranks(items, texts, [[int(i)] for i in np.argsort(order)])
    found = rank_texts(items, texts, [[int(i)] for i in order])
    assert found.pictures.tolist() == [*range(5)]
    np.testing.assert_array_equal(found.ranks.best, turned.best)
    np.testing.assert_array_equal(found.ranks.worst, turned.worst)
    np.testing.assert_array_equal(found.ranks.target_score, turned.target_score)


@pytest.mark.parametrize("v", [1, 3, 32])
def test_unit_vectors_in_float64(v):
    """Of scores that differ by far more than rounding, float64 tells the order."""
    rng = np.random.default_rng(v)
    items, texts, owners = (
        draw_unit(rng, 150, v, 48),
        draw_unit(rng, 700, 48),
        draw_owners(rng, 150, 700),
    )
    scores = (items.astype(np.float64) @ texts.T.astype(np.float64)).max(axis=1)
    assert np.diff(np.sort(scores, axis=1)).min() > 1e-12
    own = np.array([[i in some for some in owners] for i in range(150)])
    known = own.any(axis=1)
    mark = np.where(own, scores, -np.inf).max(axis=1, keepdims=True)
    found = rank_texts(items, texts, owners, block_texts=96)
    assert found.pictures.tolist() == np.flatnonzero(known).tolist()
    np.testing.assert_array_equal(found.ranks.best, 1 + (scores > mark).sum(axis=1)[known])
    np.testing.assert_array_equal(found.ranks.worst, found.ranks.best)
    np.testing.assert_allclose(found.ranks.target_score, mark[known, 0], rtol=1e-6)


@pytest.mark.parametrize("v", [2, 32])
def test_vectors_of_a_picture_one_after_the_other(v):
    """As one query (p1, p2, ...) and a text as the items (t, 0, ...), (0, t, ...): the highest score is the same."""
    rng = np.random.default_rng(v)
    n, t, d = 12, 40, 4
    items = rng.integers(-2, 3, (n, v, d)).astype(np.float32)
    texts, owners = rng.integers(-2, 3, (t, d)).astype(np.float32), draw_owners(rng, n, t)
    wide = np.zeros((t, v, v * d), np.float32)
    for j in range(v):
        wide[:, j, j * d : (j + 1) * d] = texts
    found = rank_texts(items, texts, owners)
    targets = [[i for i, some in enumerate(owners) if p in some] for p in found.pictures]
    ranks = target_ranks(items.reshape(n, -1)[found.pictures], wide, targets, relevant=[targets])
    assert (ranks.worst > ranks.best).any()
    np.testing.assert_array_equal(found.ranks.best, ranks.relevant_best[:, 0])
    np.testing.assert_array_equal(found.ranks.worst, ranks.relevant_worst[:, 0])
    np.testing.assert_array_equal(found.ranks.target_score, ranks.target_score)


@pytest.mark.parametrize("v", [1, 4])
def test_near_ties_are_decided_by_all_digits(v):
    """Texts one unit in the last place beside a picture's own, by another of its vectors, too."""
    rng = np.random.default_rng(5)
    items, texts = draw_unit(rng, 20, v, 64), draw_unit(rng, 20, 64)
    items[:, v - 1] = items[:, 0][:, ::-1]
    near = [texts]
    for i in range(4):
        moved = texts.copy()
        moved[:, i] = np.nextafter(moved[:, i], np.float32(1 if i % 2 else -1))
        near += [moved, moved[:, ::-1]]
    texts = np.concatenate([*near, texts[:, ::-1]])
    require_exact(items, texts, [[i % 20] for i in range(20)] + [[3]] * (len(texts) - 20))


def test_blocks_threads_and_engines_change_nothing(monkeypatch):
    rng = np.random.default_rng(6)
    items, texts, owners = (
        draw_unit(rng, 300, 2, 16),
        draw_unit(rng, 900, 16),
        draw_owners(rng, 300, 900),
    )
    texts[::7] = texts[1::7][: len(texts[::7])]
    expected = require_exact(items[:30], texts, [[i % 30 for i in some] for some in owners])
    assert (expected.ranks.worst > expected.ranks.best).any()
    whole, said = rank_texts(items, texts, owners), []
    monkeypatch.setattr("kis_bench.threads.MANY_TERMS", 1)
    shares = {"block_items": 7, "engine": InShares()}
    pytest.importorskip("torch")
    for options in ({"block_items": 7}, {"block_texts": 1}, {"engine": "torch"}, shares):
        again = rank_texts(items, texts, owners, **options, advance=said.append)
        np.testing.assert_array_equal(again.ranks.best, whole.ranks.best)
        np.testing.assert_array_equal(again.ranks.worst, whole.ranks.worst)
        np.testing.assert_array_equal(again.ranks.target_score, whole.ranks.target_score)
        assert sum(said) == len(whole.pictures) * len(texts)
        said.clear()


class Slices:
    """A source of vectors that knows slices only."""

    def __init__(self, vectors):
        self.vectors, self.shape, self.most = vectors, vectors.shape, 0

    def __len__(self):
        return len(self.vectors)

    def __getitem__(self, part):
        assert isinstance(part, slice)
        self.most = max(self.most, len(self.vectors[part]))
        return self.vectors[part]


def test_pictures_are_read_by_blocks():
    rng = np.random.default_rng(7)
    items, texts, owners = draw_unit(rng, 90, 8), draw_unit(rng, 60, 8), draw_owners(rng, 90, 60)
    source = Slices(items)
    found = rank_texts(source, texts, owners, block_items=10)
    np.testing.assert_array_equal(found.ranks.best, rank_texts(items, texts, owners).ranks.best)
    assert 1 <= source.most <= 10


def test_texts_that_say_the_same():
    """A picture's own equal texts are no rivals of one another; that of another picture is, and ties."""
    one, other = np.eye(2, dtype=np.float32)
    texts = np.stack([one, one, one, other])
    found = rank_texts(np.stack([one, other]), texts, [[0], [0], [1], [1]])
    assert found.ranks.best.tolist() == [1, 1]
    assert found.ranks.worst.tolist() == [2, 1]
    assert recall_at_k(found.ranks.best, found.ranks.worst, 1) == 0.75
    shared = rank_texts(np.stack([one, other]), texts[:3], [[0], [0], [0, 1]])
    assert (shared.ranks.best.tolist(), shared.ranks.worst.tolist()) == ([1, 1], [1, 3])


def test_a_model_that_says_the_same_of_everything():
    items, texts = np.ones((50, 3, 4), np.float32), np.ones((200, 4), np.float32)
    found = rank_texts(items, texts, [[i % 50] for i in range(200)])
    assert {*found.ranks.best.tolist()} == {1}
    assert {*found.ranks.worst.tolist()} == {197}


@pytest.mark.slow  # ranx compiles itself
def test_recall_as_others_measure_it():
    """On data without ties: ranx counts a hit if any of a picture's texts is among the first k."""
    ranx = pytest.importorskip("ranx")
    rng = np.random.default_rng(8)
    items, texts = draw_unit(rng, 60, 12), draw_unit(rng, 300, 12)
    found = rank_texts(items, texts, [[i // 5] for i in range(300)])
    scores = items @ texts.T
    wanted = {f"p{i}": {f"t{5 * i + j}": 1 for j in range(5)} for i in range(60)}
    run = {
        f"p{i}": {f"t{j}": float(score) for j, score in enumerate(row)}
        for i, row in enumerate(scores)
    }
    for k in (1, 5, 10):
        theirs = ranx.evaluate(ranx.Qrels(wanted), ranx.Run(run), f"hit_rate@{k}")
        assert recall_at_k(found.ranks.best, found.ranks.worst, k) == pytest.approx(theirs)


def test_wrong_vectors_and_owners_are_named():
    items, texts = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)
    with pytest.raises(ValueError, match="query 1 has no target"):
        rank_texts(items, texts, [[0], [], [1]])
    with pytest.raises(ValueError, match="query 2: target 3"):
        rank_texts(items, texts, [[0], [1], [3]])
    with pytest.raises(ValueError, match="fit"):
        rank_texts(items[:, :2], texts, [[0], [1], [2]])
    for name, (a, b) in {"item 2": (items.copy(), texts), "query 2": (items, texts.copy())}.items():
        (a if name[0] == "i" else b)[2, 0] = np.nan
        with pytest.raises(BadVector, match=name):
            rank_texts(a, b, [[0], [1], [2]])
    with pytest.raises(BadVector, match="query 1 and item 0"):
        rank_texts(items[:1] * 1e20, np.stack([texts[0], texts[0] * 1e20]), [[0], [0]])
    empty = rank_texts(items, texts[:0], [])
    assert (len(empty.pictures), len(empty.ranks.rank)) == (0, 0)


def test_many_equal_texts_of_a_picture_are_compared_once_each(monkeypatch):
    compared = []

    class Key(tuple):
        __slots__ = ()

        def __gt__(self, other):
            compared.append(self)
            return tuple(self) > tuple(other)

    monkeypatch.setattr(picture_panel, "exact_key", lambda *pair: Key(exact_key(*pair)))
    items, n = np.array([[1, 2**-60]], np.float32), 40
    texts = np.array([[1, k * 2**-6] for k in range(n)], np.float32)  # as good within float64
    found = require_exact(items, texts, [[0]] * n)
    assert found.ranks.best.tolist() == [1]
    assert n - 1 <= len(compared) < 2 * n
