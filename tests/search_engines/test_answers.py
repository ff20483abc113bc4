"""What engines return is checked before anything is measured with it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_bench.search_engines.answers import (
    WrongIds,
    check_answer,
    find_repeated,
    join_vectors_of_items,
)


def test_short_rows_end_with_minus_one():
    checked = check_answer("e", [[2, 0], [1, -1]], 2, 4, 3)
    assert checked.tolist() == [[2, 0, -1, -1], [1, -1, -1, -1]]
    assert checked.dtype == np.int64


def test_whole_numbers_of_other_types_are_taken():
    for kind in ("uint32", "float64", "int32"):
        assert check_answer("e", np.array([[1, 0]], kind), 1, 2, 2).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            [[0.0, np.nan]],
            "NaN as an id in the answers to 1 of 1 queries (query 0 has nan in place 2)",
        ),
        ([[0.5, 1.0]], "an id that isn't whole"),
        (
            [[0, 7]],
            "an id outside the collection in the answers to 1 of 1 queries (query 0 has 7 in place 2)",
        ),
        ([[0, -2]], "an id outside the collection"),
        ([[1, 1]], "an id twice"),
        ([[-1, 1]], "a result behind the end"),
        ([[0, 1, 2]], "1x3 ids for 1 queries and 2 results"),
        ([[0], [1]], "2x1 ids for 1 queries"),
        ([0, 1], "2 ids for 1 queries"),
        ([["a", "b"]], "ids of type <U1"),
        (np.array([[0, 2**64 - 1]], "uint64"), "an id outside the collection"),
    ],
)
def test_what_cannot_be_ids_is_named(answer, said):
    with pytest.raises(WrongIds) as error:
        check_answer("mine", answer, 1, 2, 3)
    assert str(error.value).startswith("mine")
    assert said in str(error.value)


@given(st.lists(st.lists(st.integers(-1, 5), min_size=4, max_size=4), min_size=1, max_size=5))
def test_repeated_ids(rows):
    found = find_repeated(np.array(rows))
    for row, flags in zip(rows, found.tolist(), strict=True):
        assert flags == [x != -1 and x in row[:i] for i, x in enumerate(row)]


@given(st.permutations(range(12)), st.integers(1, 4), st.integers(1, 6))
def test_items_of_vectors_stand_where_their_best_vector_does(order, v, k):
    given_ids = [*order[:9], -1, -1]
    wanted = list(dict.fromkeys(i // v for i in order[:9]))[:k]
    found = join_vectors_of_items(np.array([given_ids]), v, k)[0].tolist()
    assert found == wanted + [-1] * (len(found) - len(wanted))
    assert len(found) == min(k, 11)
