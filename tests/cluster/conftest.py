"""A Ray cluster of two nodes on this machine, whose processes are as real as those of a data centre."""

import os

import pytest

from kis_bench.cluster.connection import disconnect, import_ray
from kis_bench.errors import KisBenchError


@pytest.fixture(scope="session", autouse=True)
def ray():
    """Ray itself; where it has to be there, a test fails without it."""
    try:
        return import_ray()
    except KisBenchError as error:
        if "KIS_REQUIRE_RAY" in os.environ:
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cluster(ray):
    """Two nodes of one CPU each; more can be added, and killed."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        nodes.add_node(num_cpus=1)
        nodes.wait_for_nodes()
        yield nodes
    finally:
        disconnect()
        nodes.shutdown()


@pytest.fixture(autouse=True)
def left_cluster(ray):
    """A test leaves the cluster that it joined."""
    yield
    disconnect()
