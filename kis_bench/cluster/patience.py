"""Waits for processors that others use, says so, and gives up in the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from kis_bench.cluster.connection import import_ray, silence
from kis_bench.errors import ClusterError
from kis_bench.files.progress import track

QUIET_S = 10.0  #: of waiting, after which it is said what for
#: Of waiting with nothing done, after which it is an error: another process of the session may embed for hours.
BUSY_S = 24 * 3600.0


def wait_for_one(asked: Sequence[Any], cpus: float = 1, gpus: int = 0) -> Any:
    """The first of some tasks that is done.

    Args:
        cpus: that each needs, as ``gpus``.

    Raises:
        ClusterError: none is within `BUSY_S`.
    """
    ray, started = import_ray(), time.monotonic()
    with ExitStack() as told:
        while True:
            left = started + BUSY_S - time.monotonic()
            done, _ = ray.wait([*asked], num_returns=1, timeout=max(0.0, min(QUIET_S, left)))
            if done:
                return done[0]
            said = f"{describe_wish(cpus, gpus)}; {describe_use()}"
            if time.monotonic() - started >= BUSY_S:
                raise ClusterError(
                    f"the cluster did nothing for {BUSY_S / 3600:g} h: {said}. What was finished is kept; run again "
                    "when others are done"
                )
            told.close()
            told.enter_context(track(f"waiting for the cluster: {said}"))


def require_place(cpus: float, gpus: int = 0) -> None:
    """Returns once a node has so many processors and GPUs free. Raises ClusterError: see `wait_for_one`."""
    ray = import_ray()

    def say_nothing() -> None:  # travels as code
        pass

    with silence():
        asked = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=-1)(say_nothing).remote()
        try:
            wait_for_one([asked], cpus, gpus)
        except BaseException:
            ray.cancel(asked, force=True)
            raise


def describe_wish(cpus: float, gpus: int) -> str:
    """What one task needs.

    >>> describe_wish(16.0, 0), describe_wish(4.0, 1)
    ('a node with 16 free CPUs is wanted', 'a node with 4 free CPUs and 1 free GPU is wanted')
    """
    some = f"{cpus:g} free CPU{'' if cpus == 1 else 's'}"
    return f"a node with {some}{f' and {gpus} free GPU' if gpus else ''} is wanted"


def describe_use() -> str:
    """How many processors and GPUs are taken, by whomever."""
    ray = import_ray()
    every, free = ray.cluster_resources(), ray.available_resources()
    told = [
        f"{every[kind] - free.get(kind, 0):g} of {every[kind]:g} {kind}s"
        for kind in ("CPU", "GPU")
        if every.get(kind)
    ]
    return f"{' and '.join(told) or 'none'} are taken"
