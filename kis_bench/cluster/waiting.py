"""``python -m kis_bench.cluster.waiting HOST:PORT N``: returns as soon as a cluster has so many nodes.

A session uses the nodes that are there when it begins, and those of a job start at different times.
"""

from __future__ import annotations

import sys
import time

from kis_bench.cluster.connection import join_cluster, list_nodes
from kis_bench.errors import ClusterError
from kis_bench.records import count_things

WAITING_S = 300.0  #: for all nodes of a job, whose file system may be slow
ASKED_EVERY_S = 1.0


def wait_for_nodes(address: str, n: int, seconds: float = WAITING_S) -> None:
    """Returns once so many nodes have joined. Raises ClusterError where they haven't in time."""
    last = time.monotonic() + seconds
    while True:
        try:
            join_cluster(address)
            found = len(list_nodes())
            said = f"has {count_things(found, 'node')}"
        except ClusterError as error:
            found, said = 0, f"isn't there: {error}"
        if found >= n:
            return
        if time.monotonic() > last:
            raise ClusterError(
                f"after {seconds:.0f} s the cluster at {address} {said}; {n} should have joined. See the log "
                "of the job's Ray processes"
            )
        time.sleep(ASKED_EVERY_S)


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[2].isdecimal():
        sys.stderr.write("usage: python -m kis_bench.cluster.waiting HOST:PORT N\n")
        sys.exit(2)
    try:
        wait_for_nodes(sys.argv[1], int(sys.argv[2]))
    except ClusterError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
