"""The bound on bytes that threads hold ahead: kept for every order, never a deadlock, and nobody left waiting."""

import random
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from kis_bench.files.held_bytes import HeldBytes
from kis_bench.threads import map_ahead

MOST = 100


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_held_stays_below_the_bound_and_comes_in_order(threads, seed):
    rng = random.Random(seed)
    wanted = [rng.choice([0, 1, 20, 60, 100, 250]) for _ in range(200)]
    kept = [rng.randint(0, n) for n in wanted]
    held, peaks = HeldBytes(MOST), []

    def make(i):
        with held.make(i) as take_bytes:
            take_bytes(wanted[i])
            with held.changed:
                peaks.append((sum(held.held.values()), len([n for n in held.held.values() if n])))
            take_bytes(kept[i])
            return i

    seen = []
    with ThreadPoolExecutor(threads) as pool:
        for i in map_ahead(pool, make, range(200), 50):
            assert held.find_bytes(i) == kept[i]
            held.hand_over(i)
            seen.append(i)
    assert seen == [*range(200)]
    assert len(peaks) == 200
    assert all(n_bytes <= MOST or alone == 1 for n_bytes, alone in peaks)
    assert not held.held


def test_results_that_fail_before_and_after_their_turn_pass_it_on():
    held = HeldBytes(MOST)

    def make(i):
        with held.make(i) as take_bytes:
            if i % 3 == 0:
                raise ValueError(i)
            take_bytes(MOST)
            if i % 3 == 1:
                raise ValueError(i)
            return i

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(make, i) for i in range(9)]
        for i, future in enumerate(futures):
            if i % 3 == 2:
                assert future.result(60) == i
                held.hand_over(i)
            else:
                assert isinstance(future.exception(60), ValueError)
    assert not held.held


def test_who_waits_is_sent_away_once_nobody_wants_results():
    held, waits = HeldBytes(MOST), threading.Event()

    def make(i):
        with held.make(i) as take_bytes:
            waits.set()
            take_bytes(MOST)
            return i

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(make, 0).result(60) == 0
        waits.clear()
        waiting = pool.submit(make, 1)
        assert waits.wait(60)
        held.close()
        assert isinstance(waiting.exception(60), CancelledError)
