"""Draws that are kept, and rows that are tested together, give what each would alone."""

import numpy as np
from threadpoolctl import threadpool_info

from kis_bench.statistics import (
    bootstrap_interval,
    intervals,
    paired,
    resampled_means,
    sign_flip_tests,
)
from kis_bench.statistics import crossed as crossed_draws
from kis_bench.statistics.crossed import Crossed, draw_weights
from kis_bench.statistics.paired import ROWS_AT_ONCE, draw_signs
from kis_bench.threads import MANY_TERMS, one_blas_thread


def test_means_are_the_same_where_draws_are_not_kept(monkeypatch):
    values = np.random.default_rng(0).random((3, 40))
    kept = resampled_means(values, resamples=500)
    monkeypatch.setattr(intervals, "KEPT_DRAWS", 0)
    assert resampled_means(values, resamples=500).tolist() == kept.tolist()


def test_intervals_are_the_same_where_draws_are_not_kept(monkeypatch):
    rng = np.random.default_rng(2)
    rows = [rng.random(n) for n in (40, 40, 1_700, 40)]
    kept = [bootstrap_interval(row, resamples=500) for row in rows]
    monkeypatch.setattr(intervals, "KEPT_DRAWS", 0)
    assert [bootstrap_interval(row, resamples=500) for row in rows] == kept


def test_signs_and_weights_are_the_same_however_many_are_held_at_once(monkeypatch):
    crossed = Crossed.of([1, 1, 2, 2, 3], [1, 2, 2, 3, 4])

    def draw():
        signs = np.concatenate([*draw_signs(13, 300, 1)])
        return signs.tolist(), np.concatenate([*draw_weights(crossed, 70, 2)]).tolist()

    together = draw()
    for module in (paired, crossed_draws):
        monkeypatch.setattr(module, "NEAR_VALUES", 40)
    assert max(map(len, draw_signs(13, 300, 1))) == 3
    assert draw() == together


def test_a_row_among_many_has_the_p_value_that_it_has_alone():
    rows = np.random.default_rng(1).normal(0.1, 1, (ROWS_AT_ONCE + 3, 50))
    together = sign_flip_tests(rows, permutations=2_000)
    alone = [sign_flip_tests(row[None], permutations=2_000)[0] for row in rows]
    assert together.tolist() == alone


def test_thin_products_run_on_one_thread_and_others_on_all():
    def count():
        return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]

    before = count()
    with one_blas_thread(MANY_TERMS - 1):
        assert 1 in count()
    with one_blas_thread(MANY_TERMS):
        assert count() == before
    assert count() == before
