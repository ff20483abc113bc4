"""Lists that lie in files without names."""

import sys
from pathlib import Path

import numpy as np
import pytest

from kis_bench.measuring.top_lists import TopList

Q, K = 4_000, 1_001
MB = 2**20


@pytest.fixture
def some():
    draws = np.random.default_rng(0)
    places = np.arange(Q)
    return TopList(
        draws.integers(0, 9_999, (Q, K), dtype=np.int32),
        draws.random((Q, K)),
        places,
        places,
        places / 2,
    )


def assert_equal(own, other):
    assert (own.items == other.items).all()
    assert (own.scores == other.scores).all()


def count_resident_bytes():
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


def test_a_list_in_a_file_stays_what_it_is_when_its_memory_is_given_back(some):
    moved = some.move_to_file()
    assert_equal(moved, some)
    moved.give_back()
    assert_equal(moved, some)
    assert moved.rank is some.rank


def test_a_list_in_memory_and_an_empty_one_have_nothing_to_give_back(some):
    some.give_back()
    none = TopList(some.items[:0], some.scores[:0], some.best[:0], some.worst[:0], some.rank[:0])
    assert_equal(none.move_to_file(), none)


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process can see its pages")
def test_a_list_in_a_file_takes_no_memory_before_and_after_it_is_read(some):
    size = some.items.nbytes + some.scores.nbytes
    assert size > 40 * MB
    before = count_resident_bytes()
    moved = some.move_to_file()
    assert count_resident_bytes() - before < size / 4
    assert moved.scores.sum() > 0
    assert moved.items.sum() > 0
    assert count_resident_bytes() - before > size / 2
    moved.give_back()
    assert count_resident_bytes() - before < size / 4
