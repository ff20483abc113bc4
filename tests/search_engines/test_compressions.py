"""Compressed vectors: codes against plain computations, and answers against a plain sort."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_bench.search_engines import compressions
from kis_bench.search_engines.compressions import (
    COMPRESSIONS,
    keep_bfloat16,
    make,
    scale_rows,
)


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    made = rng.standard_normal((240, 32)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def widen_all(codes):
    return codes.widen(codes.stored[0], slice(0, len(codes.stored[0])))


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_answers_are_the_best_of_what_was_kept(name, vectors, tmp_path):
    items, queries = vectors[:200], vectors[200:]
    (engine,) = (one for one in make(tmp_path) if one.name == f"numpy: {name}")
    engine.build(items)
    codes = COMPRESSIONS[name](items)
    scores = codes.turn(queries) @ widen_all(codes).T
    found = engine.search(queries, 7)
    assert found.shape == (40, 7)
    for row, ids in zip(scores, found, strict=True):
        assert len(set(ids)) == 7
        np.testing.assert_allclose(row[ids], np.sort(row)[::-1][:7], rtol=1e-5, atol=1e-6)
    assert engine.search(queries, 200).shape == (40, 200)
    engine.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) > 0


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("float16", 1e-3),
        ("bfloat16", 4e-3),
        ("int8, scaled to 1", 4e-3),
        ("int8, scaled by vector", 4e-3),
        ("int8, scaled by dimension", 4e-3),
    ],
)
def test_numbers_are_nearly_kept(name, most, vectors):
    np.testing.assert_allclose(widen_all(COMPRESSIONS[name](vectors)), vectors, atol=most, rtol=0)


@given(st.floats(-2, 2, width=32))
def test_bfloat16_is_the_nearest_number_with_16_bits(value):
    (found,) = widen_all(keep_bfloat16(np.full((1, 1), value, np.float32)))[0].tolist()
    bits = np.array([value], np.float32).view(np.uint32)[0] & np.uint32(0xFFFF0000)
    low = np.array([bits], np.uint32).view(np.float32)[0]
    high = np.array([bits + np.uint32(0x10000)], np.uint32).view(np.float32)[0]
    assert abs(found - value) == min(abs(low - value), abs(high - value))


def test_zero_vectors_and_one_item():
    zeros = np.zeros((1, 8), np.float32)
    assert scale_rows(zeros).tolist() == [[pytest.approx(1 / 127)]]
    for name, keep in COMPRESSIONS.items():
        assert np.isfinite(widen_all(keep(zeros))).all(), name


def test_all_components_keep_the_order(vectors):
    """PCA with all dimensions changes no order: what it takes from each score is the same for all items."""
    from kis_bench.search_engines.compressions import project_to_components

    codes = project_to_components(1)(vectors[:200])
    scores = codes.turn(vectors[200:]) @ widen_all(codes).T
    exact = vectors[200:] @ vectors[:200].T
    steps = scores - exact
    np.testing.assert_allclose(steps, steps[:, :1] * np.ones((1, 200)), atol=1e-5)


def test_many_queries_are_compared_in_blocks(vectors, tmp_path, monkeypatch):
    engine = make(tmp_path)[0]
    engine.build(vectors[:200])
    whole, sizes = engine.search(vectors[200:], 5), []
    monkeypatch.setattr(compressions, "SEARCHED_QUERIES", 16)
    plain = engine.search_some
    monkeypatch.setattr(engine, "search_some", lambda q, k: sizes.append(len(q)) or plain(q, k))
    assert engine.search(vectors[200:], 5).tolist() == whole.tolist()
    assert sizes == [16, 16, 8]
    assert engine.search(vectors[:0], 5).shape == (0, 5)


def test_a_quantile_is_of_items_from_all_over(monkeypatch):
    monkeypatch.setattr(compressions, "WIDENED_ITEMS", 50)
    items = np.concatenate([np.full((100, 4), 0.1), np.ones((100, 4))]).astype(np.float32)
    assert compressions.scale_to_quantile(items).item() == pytest.approx(1 / 127)
