"""Ranks on the nodes of a Ray cluster, which multiply with numpy and read a store's vectors from a shared folder."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kis_bench.cluster.connection import (
    SAME_PACKAGES,
    Cluster,
    disconnect,
    import_ray,
    join_cluster,
    list_nodes,
    make_reader,
    require_nodes,
    require_versions,
    tell_node,
)
from kis_bench.cluster.embedding import ClusterPasses
from kis_bench.cluster.patience import wait_for_one
from kis_bench.errors import BadVector, ClusterError, KisBenchError, raised
from kis_bench.ranking.engines import Engine, MakeEngine, NumpyEngine
from kis_bench.ranking.shares import BlockRange, MakeShares, SharedWork
from kis_bench.records import Float32s
from kis_bench.threads import Out

RETRIES = 16  #: of a share whose node died
#: Multiplications of a share: at least, so that starting it costs little; and at most, so that little is lost with it.
LEAST_TERMS, MOST_TERMS = 2**33, 2**38
SHARES_A_CPU, ASKED_A_CPU = (
    6,
    3,
)  #: how many there are, for all to end at once; how many a processor has before it


def make_engine(address: str = "") -> MakeShares:
    """What ``target_ranks(engine=...)`` takes to rank on a cluster.

    Args:
        address: as `kis_bench.cluster.connection.join_cluster` takes it.

    Raises:
        KisBenchError: no cluster can be joined, or a node of it lacks what this process has.
    """
    cluster = join_cluster(address)
    require_nodes()
    return RayEngine(cluster)


class OneThread(NumpyEngine):
    """What multiplies in a share: a node does as many of these at once as it has processors."""

    threads: int | None = 1


@dataclass(frozen=True)
class RayEngine:
    """See `kis_bench.ranking.shares.MakeShares`."""

    cluster: Cluster
    multiply: MakeEngine = OneThread  #: within a share
    nodes: Counter[str] = field(default_factory=Counter)  #: shares that each did

    @property
    def name(self) -> str:
        return self.multiply.name

    @property
    def device(self) -> str:
        many = len(self.nodes)
        version = import_ray().__version__
        return f"{many} node{'' if many == 1 else 's'} of a cluster of Ray {version}"

    @cached_property
    def make_pass(self) -> ClusterPasses:
        """What embeds pictures on the same nodes; see `kis_bench.encoders.passes.find_pass`."""
        return ClusterPasses(self.cluster.address)

    @property
    def spelling(self) -> str:
        return f"ray:{self.cluster.address}"

    def __call__(self, queries: Float32s, /) -> Engine:
        return self.multiply(queries)

    def run_shares(self, work: SharedWork[Out], items: Any) -> Iterator[tuple[BlockRange, Out]]:
        """Shares of the work as they are done; a share whose node dies is done by another.

        Raises:
            BadVector: as the work itself raises it.
            KisBenchError: what a node lacks or what went wrong there, and its name.
        """
        ray = import_ray()
        cpus = int(ray.cluster_resources().get("CPU", 0))
        if cpus < 1:
            raise ClusterError(f"the cluster at {self.cluster.address} has no processor for tasks")
        try:
            known = [ray.put(work), ray.put(items)]
        except ray.exceptions.ObjectStoreFullError as error:
            raise ClusterError(
                "the vectors don't fit into the memory that Ray shares between processes; those of a store are read "
                f"where they lie: {' '.join(str(error).split())}"
            ) from error
        here = make_reader()(SAME_PACKAGES)
        # Ray itself would do a share again without end where memory is short.
        options = {"max_retries": 0, "scheduling_strategy": "SPREAD"}
        task = ray.remote(**options)(make_task(here))
        waiting: dict[Any, BlockRange] = {}
        lost: Counter[BlockRange] = Counter()
        most = max(int(node["Resources"].get("CPU", 0)) for node in list_nodes())
        left = iter(choose_shares(work.count_blocks(), work.terms, cpus))
        try:
            while True:
                for share in itertools.islice(left, ASKED_A_CPU * cpus - len(waiting)):
                    waiting[task.options(num_cpus=1).remote(known, tuple(share))] = share
                if not waiting:
                    return
                done = wait_for_one([*waiting])
                share = waiting.pop(done)
                answer = self.fetch(done, lost, share)
                if answer is None:
                    wide = task.options(num_cpus=choose_cpus(lost[share], most))
                    waiting[wide.remote(known, tuple(share))] = share
                    continue
                node, versions, found = answer
                require_versions(tell_node(node), versions, here)
                self.nodes[node["NodeID"]] += 1
                yield share, found
        finally:
            # After an error, or where nobody wants the rest; not in a cluster that was left meanwhile.
            for unwanted in waiting if ray.is_initialized() else ():
                ray.cancel(unwanted, force=True)

    def fetch(self, done: Any, lost: Counter[BlockRange], share: BlockRange) -> Any:
        """What a task returns; None where its process or node died, which is counted.

        See `run_shares` for what it raises.
        """
        ray = import_ray()
        try:
            return ray.get(done)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, KisBenchError):
                raise cause from error
            raise ClusterError(
                f"a share of the ranking failed on a node: {type(cause).__name__}: {cause}"
            ) from error
        except ray.exceptions.RayError as error:
            lost[share] += 1
            if lost[share] > RETRIES:
                raise ClusterError(
                    f"the cluster at {self.cluster.address} didn't do a share of the ranking, even when asked "
                    f"again {RETRIES} times: {' '.join(str(error).split())}"
                ) from error
            return None

    def close(self) -> None:
        disconnect()


def choose_cpus(lost: int, most: int) -> int:
    """How many processors are kept for a share that was lost so often, for memory may be too short for more at once.

    >>> [choose_cpus(lost, 6) for lost in (1, 2, 3, 4)]
    [1, 2, 4, 6]
    """
    return max(1, min(1 << lost - 1, most))


def choose_shares(blocks: int, terms: int, cpus: int) -> list[BlockRange]:
    """All blocks in shares of about as many each.

    >>> choose_shares(5, 2**34, 8)
    [BlockRange(start=0, stop=2), BlockRange(start=2, stop=5)]
    """
    most, least = -(-terms // LEAST_TERMS), -(-terms // MOST_TERMS)
    count = min(blocks, max(1, least, min(most, SHARES_A_CPU * cpus)))
    cuts = [blocks * i // max(1, count) for i in range(count + 1)]
    return [BlockRange(*pair) for pair in itertools.pairwise(cuts)]


def make_task(here: Mapping[str, str]) -> Callable[[Sequence[Any], tuple[int, int]], Any]:
    """A function that does a share of the work on a node, and says which one it is and what is installed there.

    It is made within another, so that it travels as code, and runs on a node without this package.
    """
    read_versions = make_reader()

    def run(known: Sequence[Any], share: tuple[int, int]) -> Any:
        import importlib
        import socket

        import ray

        node = {
            "NodeManagerHostname": socket.gethostname(),
            "NodeManagerAddress": ray.util.get_node_ip_address(),
            "NodeID": ray.get_runtime_context().get_node_id(),
        }
        versions = read_versions([*here])
        if versions != here:
            return node, versions, None
        module = importlib.import_module("kis_bench.cluster.ranking")
        return node, versions, module.run_share(node, known, share)

    return run


def run_share(node: dict[str, Any], known: Sequence[Any], share: tuple[int, int]) -> Any:
    """Does a share of some work over items, both put by the process that asks: called on a node."""
    work, items = import_ray().get([*known])
    try:
        return work.run(items, BlockRange(*share))
    except BadVector:
        raise
    except KisBenchError as error:
        raise ClusterError(f"{tell_node(node)}: {error}") from error
    except Exception as error:  # such as memory that is short
        raise ClusterError(f"{tell_node(node)}: {raised(error)}") from error
