"""Lists of any length become one array, and requests stay small."""

import numpy as np
import pytest

from kis_bench.search_engines.engines import short_rows


@pytest.mark.parametrize(("k", "sizes"), [(1, [7]), (3, [3, 3, 1]), (100, [1] * 7)])
def test_requests_have_few_results(monkeypatch, k, sizes):
    monkeypatch.setattr(short_rows, "RESULTS_AT_ONCE", 10)
    asked = []

    def search(queries, k):
        asked.append(len(queries))
        return np.repeat(queries[:, :1].astype(np.int64), k, axis=1)

    queries = np.arange(7, dtype=np.float32)[:, None]
    found = short_rows.search_in_parts(search, queries, k)
    assert asked == sizes
    np.testing.assert_array_equal(found, np.repeat(np.arange(7)[:, None], k, axis=1))


def test_a_column_shares_memory():
    items = np.arange(6, dtype=np.float32).reshape(2, 3)
    table = short_rows.make_column(items)
    assert table["id"].to_pylist() == [0, 1]
    assert table["vector"].to_pylist() == items.tolist()
    assert table["vector"].chunk(0).values.buffers()[1].address == items.ctypes.data
