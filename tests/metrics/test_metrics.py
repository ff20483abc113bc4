import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench import metrics

PLACES = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 9)).map(lambda pair: (pair[0], sum(pair))),
    min_size=1,
    max_size=20,
)


@given(PLACES, st.integers(1, 45))
@settings(deadline=None)
def test_hits_are_the_share_of_places_within_k(places, k):
    best, worst = np.transpose(places)
    share = [np.mean([place <= k for place in range(a, b + 1)]) for a, b in places]
    np.testing.assert_allclose(metrics.hits_at_k(best, worst, k), share)
    assert metrics.recall_at_k(best, worst, k) == pytest.approx(np.mean(share))


@given(PLACES, st.integers(1, 45))
@settings(deadline=None)
def test_curve_is_recall_at_every_rank(places, max_rank):
    best, worst = np.transpose(places)
    curve = metrics.cumulative_curve(best, worst, max_rank)
    assert curve.shape == (max_rank,)
    np.testing.assert_allclose(
        curve, [metrics.recall_at_k(best, worst, k) for k in range(1, max_rank + 1)], atol=1e-13
    )


def test_curve_without_ties_is_exact():
    rank = np.random.default_rng(0).integers(1, 1000, 300)
    curve = metrics.cumulative_curve(rank, rank, 1000)
    assert curve.tolist() == [np.mean(rank <= k) for k in range(1, 1001)]


def test_reciprocal_and_quantile():
    assert metrics.mean_reciprocal_rank([1.5, 3]) == pytest.approx(0.5)
    assert metrics.rank_quantile([1, 2, 3, 4, 5], 0.75) == 4


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.recall_at_k([], [], 1),
        lambda: metrics.mean_reciprocal_rank([]),
        lambda: metrics.cumulative_curve([], [], 3),
        lambda: metrics.rank_quantile([], 0.5),
    ],
)
def test_no_queries(call):
    with pytest.raises(ValueError, match="at least one query"):
        call()
