"""The order of real scores from rounded ones, against fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.ranking import score_order
from kis_bench.ranking.score_order import order_scores

FINE = Fraction(1, 2**60)


@st.composite
def rounded_scores(draw):
    """Real scores of some rows, what they are rounded to, and by how much that may be off."""
    rows = draw(st.integers(1, 3))
    n = draw(st.sampled_from([1, 2, 5, 9, 30]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([2.0**-200, 1.0, 2.0**90]))
    real, bounds = [], np.zeros(rows)
    scores = np.zeros((rows, n))
    for row in range(rows):
        # From far apart to some steps of the last place, in which many are equal.
        spread = draw(st.sampled_from([0, 3, 40, 2**12, 2**40, 2**52]))
        units = rng.integers(-spread, spread + 1, n).tolist()
        base = draw(st.sampled_from([0.0, 1.0, -3.0]))
        exact = [Fraction(base) + unit * FINE for unit in units]
        error = draw(st.sampled_from([0, 1, 50, 2**20]))  # of the rounding, in the same units
        moved = [
            float(each + rng.integers(-error, error + 1).item() * FINE) if error else float(each)
            for each in exact
        ]
        real.append(exact)
        scores[row] = moved
        most = max(abs(Fraction(a) - b) for a, b in zip(moved, exact, strict=True))
        bounds[row] = np.nextafter(float(most), np.inf)
    return real, scores * scale, bounds * scale, scale


@pytest.mark.parametrize("short_bits", [12, 0])  # numbers of 32 bits, and of 64
@given(rounded_scores(), st.integers(1, 30), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=150)
def test_the_order_is_that_of_the_real_scores(short_bits, case, k, padded, numbered):
    real, scores, bounds, scale = case
    n, counts, number = scores.shape[1], None, None
    asked = []
    if numbered:  # columns that copy others
        copies = np.arange(n) // 2
        real = [[each[i] for i in copies] for each in real]
        scores, number = scores[:, copies], copies
    if padded:
        counts = np.full(len(scores), n)
        scores = np.pad(scores, ((0, 0), (0, 3)), constant_values=7.0)
        number = None
    k = min(k, n)

    def find_keys(row, columns):
        asked.append(row)
        assert (np.diff(columns) > 0).all()
        return [(real[row][column] * Fraction(scale),) for column in columns.tolist()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_order, "SHORT_BITS", short_bits)
        turned = scores.copy("F")
        found = order_scores(turned, bounds, k, find_keys, number, counts)
        assert (order_scores(scores, bounds, k, find_keys, number, counts) == found).all()
    assert (turned == scores).all()
    best = np.take_along_axis(scores, found, axis=1)
    assert (best[:, 1:] <= best[:, :-1]).all()
    for row, one in zip(found.tolist(), real, strict=True):
        assert row == sorted(range(n), key=lambda i, one=one: (-one[i], i))[:k]
    for row, own, one in zip(found.tolist(), best.tolist(), real, strict=True):
        pairs = zip(row, row[1:], own, own[1:], strict=False)
        assert all(high == low for a, b, high, low in pairs if one[a] == one[b])


def refuse(row, columns):
    raise AssertionError("needless")


@pytest.mark.parametrize("n", [7, 3000, 5000])
def test_equal_columns_need_no_exact_scores(n):
    scores, bounds = np.full((2, n), 0.25), np.full(2, 2.0**-50)
    found = order_scores(scores, bounds, n - 2, refuse, np.zeros(n, np.int64))
    assert (found == np.arange(n - 2)).all()
    assert (order_scores(scores, bounds * 0, n, refuse) == np.arange(n)).all()
    assert (order_scores(scores, bounds, n, lambda row, columns: None) == np.arange(n)).all()


@pytest.mark.parametrize("n", [10, 5000])
def test_an_item_a_little_lower_leaves_its_place_to_equal_ones_beyond_the_last(n):
    """Columns 0 and 2 to 9 are equal; column 1 is lower by less than the whole numbers tell, or scores."""
    number = np.where(np.arange(n) < 10, 0, np.arange(n))
    number[1] = n
    real = [Fraction(1) if i == 0 else -Fraction(i, n) for i in number.tolist()]
    real[1] = 1 - Fraction(1, 2**60)
    scores, bounds = np.array([[float(one) for one in real]]), np.full(1, 2.0**-50)

    def find_keys(row, columns):
        return [(real[column],) for column in columns.tolist()]

    assert scores[0, 0] == scores[0, 1]
    assert order_scores(scores, bounds, 3, find_keys, number).tolist() == [[0, 2, 3]]


@pytest.mark.parametrize("n", [1617, 5000])
def test_only_what_rounded_scores_leave_open_is_asked_for(n):
    scores = np.random.default_rng(n).standard_normal((40, n))
    scores[3, 5] = scores[3, 700] + 1e-13
    asked = []

    def find_keys(row, columns):
        asked.append((row, columns.tolist()))
        return [(1,), (0,)]

    bounds = np.full(40, 1e-13)
    wanted = np.argsort(-scores, axis=1)
    for k in (n, n // 3):
        found = order_scores(scores, bounds, k, find_keys)
        assert (found[:3] == wanted[:3, :k]).all()
        assert (found[4:] == wanted[4:, :k]).all()
    assert (3, [5, 700]) in asked
    assert len(asked) <= 3
