"""A model made worse by noise on the vectors of chosen items, at several strengths, ranked and compared in earnest."""

import numpy as np
import pytest
from test_rules import ranks_of, run

from kis_bench.gate.rules import Rules, compare_cells
from kis_bench.gate.verdicts import Cell
from kis_bench.ranking import target_ranks

N, DIM = 400, 32
CHOSEN = range(100, 130)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def ranked(strength):
    """Ranks of 400 texts for as many pictures, 30 of which have noise of this strength."""
    rng = np.random.default_rng(1)
    pictures = rng.standard_normal((N, DIM))
    texts = unit(pictures + 0.9 * rng.standard_normal((N, DIM)))
    pictures[CHOSEN] += strength * rng.standard_normal((len(CHOSEN), DIM))
    ranks = target_ranks(texts, unit(pictures), [(i,) for i in range(N)])
    return ranks_of(ranks.best, worst=ranks.worst)


@pytest.fixture(scope="module")
def sound():
    return ranked(0.0)


@pytest.mark.parametrize(
    ("strength", "fails"), [(0.0, False), (0.02, False), (1.0, True), (2.0, True), (10.0, True)]
)
def test_noise_on_chosen_items_fails_the_gate_from_a_certain_strength_on(sound, strength, fails):
    worse = ranked(strength)
    rows = compare_cells(run(sound), run(worse), Cell("a", "mine", "short"), Rules(), 1)
    failed = [row for row in rows if row["verdict"] == "fail"]
    assert bool(failed) == fails
    before, after = (table["rank"].to_numpy() for table in (sound, worse))
    for row in failed:
        named = [int(one[1:4]) for one in row["queries"]]
        k = None if row["metric"] == "mrr" else int(row["metric"].partition("@")[2])
        lost = after > before if k is None else (before <= k) & (after > k)
        assert set(named) == set(
            np.flatnonzero(lost)
        )  # every query by which this measure fell, and none other
        assert row["n_queries"] == len(named)
        badness = [
            1 / before[i] - 1 / after[i] if k is None else after[i] / before[i] for i in named
        ]
        assert badness == sorted(badness, reverse=True)
        assert {*named[:5]} <= {*CHOSEN}


def test_the_stronger_the_noise_the_smaller_p(sound):
    found = []
    for strength in (0.3, 1.0, 3.0):
        rows = compare_cells(
            run(sound), run(ranked(strength)), Cell("a", "mine", "short"), Rules(), 1
        )
        found.append(min(row["p"] for row in rows))
    assert found == sorted(found, reverse=True)
    assert found[-1] < 1e-4


def test_exact_mode_sees_what_is_too_little_for_a_test(sound):
    slight = ranked(0.1)
    assert (slight["rank"] != sound["rank"]).any()
    pair = run(sound), run(slight)
    cell = Cell("a", "mine", "short")
    assert {row["verdict"] for row in compare_cells(*pair, cell, Rules(), 1)} == {"pass"}
    (row,) = compare_cells(*pair, cell, Rules(exact=True), 1)
    assert row["verdict"] == "fail"
    moved = {f"q{i:03d}" for i in np.flatnonzero((slight["rank"] != sound["rank"]).to_numpy())}
    assert {one.split(":")[0] for one in row["queries"]} == moved
