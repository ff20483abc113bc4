"""Ranks of the same queries as arrays."""

import numpy as np
import pandas as pd

from kis_bench.analysis.conditions import conditions

COLUMNS = ["model", "dataset", "label_set", "query_id", "rank_best", "rank_worst", "n_items"]


def table(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def test_models_stand_best_first_and_queries_in_the_order_of_the_table():
    found = conditions(
        table(
            ("worse", "d", "s", "q2", 4, 4, 9),
            ("worse", "d", "s", "q1", 3, 5, 9),
            ("better", "d", "s", "q1", 1, 2, 9),
            ("better", "d", "s", "q2", 2, 2, 9),
            ("better", "d", "l", "q1", 9, 9, 9),
        )
    )
    assert list(found) == [("d", "s"), ("d", "l")]
    short = found["d", "s"]
    assert short.models == ("better", "worse")
    assert short.queries == ("q2", "q1")
    assert short.best.tolist() == [[2, 1], [4, 3]]
    assert short.worst.tolist() == [[2, 2], [4, 5]]
    assert short.rank.tolist() == [[2, 1.5], [4, 4]]
    assert short.hits(1).tolist() == [[0, 0.5], [0, 0]]
    assert (short.n_items, short.left_out) == (9, 0)
    assert short.of(("worse",)).best.tolist() == [[4, 3]]


def test_queries_that_some_model_was_not_asked_are_left_out_and_counted():
    rows = [("a", "d", "s", q, 1, 1, 9) for q in "xyz"] + [("b", "d", "s", "y", 2, 2, 9)]
    found = conditions(table(*rows))["d", "s"]
    assert found.queries == ("y",)
    assert found.left_out == 2
    assert conditions(table(("a", "d", "s", "x", 1, 1, 9), ("b", "d", "s", "y", 2, 2, 9))) == {}


def test_equal_models_stand_by_name_and_ids_are_text():
    found = conditions(
        table(*[(m, "d", "s", q, 1, 1, 9) for m in ("b", "a") for q in ("007", "7")])
    )["d", "s"]
    assert found.models == ("a", "b")
    assert found.queries == ("007", "7")
    assert np.issubdtype(found.best.dtype, np.int64)
