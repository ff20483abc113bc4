"""What each worker gets of a cluster, and what it has to know of the process that the run was started in."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kis_bench.choices import LIMIT_VARIABLE
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.back_ends import find_back_end
from kis_bench.encoders.encoding import threads
from kis_bench.errors import SHORT_OPTIONS, ClusterError
from kis_bench.records import Checkpoint
from kis_bench.threads import find_blas

#: Of the environment: what has to be the same everywhere, and what counts where a node has none of its own.
SAME_VARIABLES = (LIMIT_VARIABLE, SHORT_OPTIONS)
FOLDER_VARIABLES = ("KIS_CACHE", "HF_HOME", "HF_HUB_CACHE", "TORCH_HOME")
THREADS_VARIABLE = "OMP_NUM_THREADS"


class WorkerShare(NamedTuple):
    """What one worker takes of a node, and how many workers there may be."""

    cpus: float
    gpus: int
    workers: int
    alone: bool  # on its node


@dataclass(frozen=True)
class EmbeddingJob:
    """What a worker has to know before the first picture. The model is loaded on the node, and never sent."""

    checkpoint: Checkpoint
    device: str
    precision: str
    decode: str
    key: str  # that the vectors are stored under
    batch_size: int | None
    decoders: int | None
    alone: bool  # on its node, whose cores it may all use, as a local pass would
    folder: str  # in which relative paths start
    search_path: tuple[str, ...]  # of Python, for functions of the user's
    variables: Mapping[str, str]  # of the environment, set anew
    defaults: Mapping[str, str]  # of the environment, where the node has none of its own


def find_share(encoder: LazyEncoder, nodes: Sequence[Mapping[str, Any]]) -> WorkerShare:
    """A GPU for each worker where there are any and the model has use for one, else all cores of a node.

    Raises:
        ClusterError: a device by number, which nodes know themselves, or a cluster without a free core.
    """
    device = encoder.device.partition("@")[0]
    if device not in ("auto", "cpu", "cuda"):
        raise ClusterError(
            f"device {device}: each GPU of a cluster gets a copy of the model; on Ray it is auto, cpu or cuda"
        )
    resources = [node["Resources"] for node in nodes]
    light = device == "cpu" or find_back_end(encoder.checkpoint).cpu_only
    gpus = [(int(one["GPU"]), one.get("CPU", 0.0)) for one in resources if one.get("GPU", 0) >= 1]
    if gpus and not light:
        cpus = min(cores // n for n, cores in gpus)
        return WorkerShare(cpus, 1, sum(n for n, _ in gpus), max(n for n, _ in gpus) == 1)
    if device == "cuda":
        raise ClusterError("device cuda was asked for, but no node of the cluster has a GPU")
    cores = [one["CPU"] for one in resources if one.get("CPU", 0) >= 1]
    if not cores:
        raise ClusterError(
            "no node of the cluster has a core for work; start one with ray start --num-cpus=N"
        )
    # Where two fit on one node, none may use more than its own cores.
    return WorkerShare(min(cores), 0, len(cores), max(cores) < 2 * min(cores))


def describe_job(
    encoder: LazyEncoder, batch_size: int | None, decoders: int | None, share: WorkerShare
) -> EmbeddingJob:
    """What a worker is told of a model and of the surroundings of this process."""
    return EmbeddingJob(
        encoder.checkpoint,
        encoder.device.partition("@")[0],
        encoder.precision,
        encoder.decode,
        encoder.key,
        batch_size,
        decoders,
        share.alone,
        os.getcwd(),
        tuple(os.path.abspath(place) for place in sys.path if os.path.isdir(place or ".")),
        {name: os.environ[name] for name in SAME_VARIABLES if name in os.environ},
        {name: os.environ[name] for name in FOLDER_VARIABLES if name in os.environ},
    )


def enter_surroundings(job: EmbeddingJob) -> None:
    """Makes paths, modules and settings mean what they mean where the run was started."""
    for name, value in job.defaults.items():
        os.environ.setdefault(name, value)
    os.environ.update(job.variables)
    if os.path.isdir(job.folder):
        os.chdir(job.folder)
    sys.path += [place for place in job.search_path if place not in sys.path]
    if job.alone:
        restore_threads()


def restore_threads() -> None:
    """Computes with as many threads as a process would that Ray didn't start.

    Ray sets `THREADS_VARIABLE` where nobody did, after the process has begun; vectors are stored with how many threads
    made them, for the last bits may depend on it.
    """
    try:
        begun_with = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:  # not Linux: what Ray sets stays
        return
    if not any(one.startswith(f"{THREADS_VARIABLE}=".encode()) for one in begun_with):
        os.environ.pop(THREADS_VARIABLE, None)
        find_blas().limit(limits=threads(), user_api="blas")
