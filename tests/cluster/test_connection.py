"""Joining and starting clusters, and what is said where that can't be done."""

import signal
import socket
import subprocess
import sys
import threading

import pytest

from kis_bench import __version__
from kis_bench.cluster import connection
from kis_bench.cluster.connection import disconnect, join_cluster, require_nodes
from kis_bench.errors import KisBenchError


def test_both_nodes_are_joined_and_looked_at(cluster):
    before = signal.getsignal(signal.SIGTERM)
    joined = join_cluster(cluster.address)
    assert joined.count_nodes() == 2
    assert signal.getsignal(signal.SIGTERM) is before
    require_nodes()
    assert join_cluster() == join_cluster("auto") == join_cluster(cluster.address) == joined


def test_a_job_joins_the_cluster_that_runs_it(cluster, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    assert join_cluster().address == cluster.address


def test_a_cluster_that_others_joined_is_not_left(cluster, ray):
    ray.init(cluster.address, configure_logging=False, log_to_driver=False)
    try:
        assert not join_cluster().joined
        disconnect()
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def test_another_cluster_is_not_joined_as_well(cluster, monkeypatch):
    join_cluster(cluster.address)
    monkeypatch.setattr(connection, "resolve_address", lambda address: address)
    with pytest.raises(KisBenchError, match="can't join 10.0.0.9:6379 as well"):
        join_cluster("10.0.0.9:6379")


STARTS = """
import os, subprocess, sys
from kis_bench.cluster.connection import join_cluster
address = join_cluster().address
JOINS = "import sys, ray; ray.init(sys.argv[1], log_to_driver=False); print(len(ray.nodes()), 'joined')"
for left_out in ("RAY_AUTH", "nothing"):
    own = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    done = subprocess.run([sys.executable, "-c", JOINS, address], env=own, capture_output=True, text=True)
    print(left_out, "1 joined" in done.stdout, "nauthenticated" in done.stderr, flush=True)
"""


@pytest.mark.slow
def test_nobody_else_gets_into_a_cluster_that_was_started_here(ray):
    done = subprocess.run([sys.executable, "-c", STARTS], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["RAY_AUTH False True", "nothing True False"], done


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nowhere", "'nowhere' is no address of a cluster; give HOST:PORT of its head node"),
        ("10.0.0.1:0", "is no address of a cluster"),
        ("10.0.0.1:65536", "is no address of a cluster"),
        ("ray://10.0.0.1:10001", "is that of Ray's client, which is no node of a cluster"),
        ("127.0.0.1:1", "no cluster answers at 127.0.0.1:1: Connection refused; on its head node"),
    ],
)
def test_an_address_without_a_cluster_is_refused(address, said):
    with pytest.raises(KisBenchError, match=said):
        join_cluster(address)


@pytest.mark.parametrize(("answer", "said"), [(b"", "says nothing"), (b"HTTP/1.1 400 ", "no Ray")])
def test_what_is_no_ray_is_refused(monkeypatch, answer, said):
    monkeypatch.setattr(connection, "PROBE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            line, _ = server.accept()
            with line:
                line.sendall(answer)
                done.wait()

        done = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with pytest.raises(KisBenchError, match=f"what listens there .*{said}"):
                join_cluster(f"127.0.0.1:{server.getsockname()[1]}")
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (
            '__version__ = "0.0.9"',
            r"has kis-bench 0.0.9\S*, and this process has \S+; install the same",
        ),
        (
            f'__version__ = "{__version__}"  # another checkout',
            rf"has kis-bench {__version__}\+\w+, and this process has {__version__}\+\w+; install",
        ),
        ("import no_such_package", r"lacks kis-bench, and this process has"),
    ],
)
def test_a_node_without_this_version_is_named(cluster, tmp_path, monkeypatch, there, said):
    monkeypatch.chdir(tmp_path)  # Ray's processes look into this folder first
    (tmp_path / "kis_bench").mkdir()
    (tmp_path / "kis_bench" / "__init__.py").write_text(f"{there}\n", encoding="utf-8")
    node = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(tmp_path)})
    try:
        join_cluster(cluster.address)
        with pytest.raises(KisBenchError, match=rf"node \S+ \(\S+\) {said}"):
            require_nodes()
    finally:
        disconnect()
        cluster.remove_node(node)
