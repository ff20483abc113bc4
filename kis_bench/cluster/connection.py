"""Joins a Ray cluster, or starts one on this machine, and says in one message why that can't be done."""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import re
import secrets
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kis_bench.errors import ClusterError, explain_install

PROBE_S = 5.0  #: within which something has to answer at the address of a cluster
FRAME_BYTES, SETTINGS = (
    9,
    b"\x04",
)  #: of the head of a frame of HTTP/2; its kind, at the fourth byte, in the first one
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(
    [0, 0, 0, *SETTINGS, 0, 0, 0, 0, 0]
)  #: RFC 9113, 3.4
NODE_S = 60.0  #: within which each node has to say what is installed there, which may start a process first
ADDRESS = re.compile(r"(?P<host>[\w.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")
ANY = "auto"  #: the address of whichever cluster runs on this machine
#: Of the environment, before Ray is imported: what it would send, and what it would warn of at each start.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
AUTH_TOKEN = "RAY_AUTH_TOKEN"  #: of the environment, which holds it
SAME_PACKAGES = ("kis_bench", "numpy")  #: which nodes need in the version that is installed here


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process has joined."""

    address: str  #: HOST:PORT, by which other processes join it
    joined: bool  #: by us, so that we leave it, too

    def count_nodes(self) -> int:
        return len(list_nodes())


def join_cluster(address: str = "") -> Cluster:
    """Joins a cluster once for this process; where it has joined one before, that is the one.

    Args:
        address: HOST:PORT of a cluster, or ``auto`` for one that runs on this machine. Empty: what RAY_ADDRESS says, as
            it does in jobs that were submitted to a cluster, else a cluster of this machine alone is started.

    Raises:
        ClusterError: Ray isn't installed, the address is none, nobody answers there, this machine is no node.
    """
    address = address or os.environ.get("RAY_ADDRESS", "")
    ray = import_ray()
    if ray.is_initialized():
        return name_joined(ray, address)
    if not address:
        protect()
    where = {"address": "local"} if not address else {"address": resolve_address(address)}
    own = {} if address else {"include_dashboard": False}
    try:
        with keep_handlers(), silence():
            ray.init(**where, **own, configure_logging=False, log_to_driver=False)
    except Exception as error:  # of many kinds, as what goes wrong is
        said = " ".join(str(error).split()) or type(error).__name__
        if address:
            raise ClusterError(
                f"Ray {ray.__version__} can't join the cluster at {address}: {said}; this machine must be one of its "
                f"nodes (ray start --address={address}), and all of them need the same Ray and Python"
            ) from error
        raise ClusterError(f"Ray {ray.__version__} can't start a cluster here: {said}") from error
    atexit.register(disconnect)
    return name_joined(ray, "", joined=True)


def protect() -> None:
    """Gives the cluster that is started next a token of its own, which processes that this one starts inherit.

    Ray asks for a token then, and would write one into the user's home, for others to read, where there is none.
    """
    if not {"RAY_AUTH_MODE", AUTH_TOKEN, f"{AUTH_TOKEN}_PATH"} & os.environ.keys():
        os.environ[AUTH_TOKEN] = secrets.token_hex(32)


def name_joined(ray: Any, address: str, *, joined: bool = False) -> Cluster:
    """The cluster that this process has joined. Raises ClusterError if another one was asked for."""
    found = str(ray.get_runtime_context().gcs_address)
    if address not in ("", ANY, found) and resolve_address(address) != found:
        raise ClusterError(
            f"this process has joined the cluster at {found}, and can't join {address} as well"
        )
    JOINED[:] = [found] if joined else JOINED
    return Cluster(found, found in JOINED)


JOINED: list[str] = []  #: the address of the cluster that `join_cluster` joined, if it did


def disconnect() -> None:
    """Leaves the cluster that `join_cluster` joined, and ends it where `join_cluster` started it; of others nothing."""
    if JOINED:
        JOINED.clear()
        with keep_handlers():
            import_ray().shutdown()


def import_ray() -> Any:
    """Ray, without what it sends and warns of. Raises ClusterError where it isn't installed."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise ClusterError(f"ray is not installed; {explain_install('ray')}") from error
    except (ImportError, OSError) as error:
        raise ClusterError(f"ray can't be imported: {error}") from error


def resolve_address(address: str) -> str:
    """HOST:PORT of a cluster that answers, with the address of this machine for ``localhost``.

    Ray itself would try for more than six minutes where nobody answers.

    Raises:
        ClusterError: see `join_cluster`.
    """
    if address == ANY:
        address = find_local()
    parts = ADDRESS.fullmatch(address)
    if parts is None or not 0 < int(parts["port"]) < 2**16:
        client = address.startswith("ray://")
        why = "that of Ray's client, which is no node" if client else "no address"
        raise ClusterError(
            f"{address!r} is {why} of a cluster; give HOST:PORT of its head node, as in ray:10.0.0.1:6379, "
            "or ray:auto on one of its nodes"
        )
    try:
        greet(parts["host"].strip("[]"), int(parts["port"]))
    except OSError as error:
        raise ClusterError(
            f"no cluster answers at {address}: {error.strerror or error}; on its head node: "
            f"ray start --head --port={parts['port']}"
        ) from error
    resolve = importlib.import_module("ray._private.services").canonicalize_bootstrap_address
    return str(resolve(address))


def greet(host: str, port: int) -> None:
    """Opens a connection of HTTP/2, which Ray speaks, with its first words. Raises OSError where no answer is in it."""
    with socket.create_connection((host, port), PROBE_S) as line:
        if os.environ.get("RAY_USE_TLS") == "1":  # then it answers once it knows who asks
            return
        line.sendall(GREETING)
        try:
            said = line.recv(FRAME_BYTES)
        except TimeoutError as error:
            raise OSError("what listens there says nothing") from error
        if said[3:4] != SETTINGS:
            raise OSError("what listens there is no Ray")


def find_local() -> str:
    """The address of a cluster that runs on this machine. Raises ClusterError where none does."""
    find = importlib.import_module("ray._private.services").canonicalize_bootstrap_address_or_die
    try:
        with silence():
            return str(find(ANY))
    except ConnectionError as error:
        raise ClusterError(
            "no cluster runs on this machine; ray start --address=HOST:PORT makes it a node of one"
        ) from error


@contextmanager
def silence() -> Iterator[None]:
    """Ray's log says no more than errors inside."""
    log = logging.getLogger("ray")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


@contextmanager
def keep_handlers() -> Iterator[None]:
    """What SIGTERM does stays as it was, which Ray would set to its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def list_nodes() -> list[dict[str, Any]]:
    """The living nodes, as Ray describes them."""
    with silence():
        return [node for node in import_ray().nodes() if node["Alive"]]


def require_nodes(packages: Sequence[str] = SAME_PACKAGES) -> None:
    """Looks at all living nodes before anything is computed.

    Raises:
        ClusterError: one of them lacks a package, or has another version than this process.
    """
    ray = import_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    read_versions = make_reader("kis_bench")
    look = ray.remote(num_cpus=0, max_retries=0)(read_versions)
    asked = []
    for node in list_nodes():
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked.append((node, look.options(scheduling_strategy=there).remote(packages)))
    here = read_versions(packages)
    for node, answer in asked:
        try:
            found = ray.get(answer, timeout=NODE_S)
        except ray.exceptions.GetTimeoutError as error:
            raise ClusterError(
                f"{tell_node(node)} started nothing within {NODE_S:.0f} s"
            ) from error
        except ray.exceptions.RayError as error:
            if node["NodeID"] not in {other["NodeID"] for other in list_nodes()}:
                continue  # it has died, and others take its part
            raise ClusterError(f"{tell_node(node)}: {' '.join(str(error).split())}") from error
        require_versions(tell_node(node), found, here)


def require_versions(node: str, found: dict[str, str], here: dict[str, str]) -> None:
    """Raises ClusterError where a node lacks a package that is here, or has another version."""
    for name, version in here.items():
        package = name.replace("_", "-")
        if version and found[name] != version:
            lack = f"has {package} {found[name]}" if found[name] else f"lacks {package}"
            raise ClusterError(
                f"{node} {lack}, and this process has {version}; install the same there, with the Python that runs "
                "Ray, or start Ray in an environment that all nodes share"
            )


def tell_node(node: dict[str, Any]) -> str:
    """How messages name a node."""
    return f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def name_node(known: str) -> str:
    """How messages name the node that Ray calls so, which may have died."""
    with silence():
        found = [tell_node(node) for node in import_ray().nodes() if node["NodeID"] == known]
    return found[0] if found else "a node"


def make_reader(digested: str = "") -> Callable[[Sequence[str]], dict[str, str]]:
    """A function that says which versions of packages are installed, empty for none.

    Of the package ``digested`` its code counts, too, for two checkouts of one version may differ.

    It is made within another, so that it travels as code, and runs on a node without this package.
    """
    imported = SAME_PACKAGES

    def read_versions(packages: Sequence[str]) -> dict[str, str]:
        import hashlib
        import importlib
        import importlib.metadata
        from pathlib import Path

        found = {}
        for package in packages:
            try:
                if package in imported:
                    found[package] = str(importlib.import_module(package).__version__)
                else:
                    found[package] = importlib.metadata.version(package)
            except ImportError:
                found[package] = ""
        if found.get(digested):
            folder = Path(str(importlib.import_module(digested).__file__)).parent
            digest = hashlib.sha256()
            for file in sorted(folder.rglob("*.py")):
                digest.update(f"{file.relative_to(folder).as_posix()} ".encode())
                digest.update(file.read_bytes())
            found[digested] += f"+{digest.hexdigest()[:8]}"
        return found

    return read_versions
