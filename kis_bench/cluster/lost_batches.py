"""Batches that were lost with their workers, each encoded by one that does nothing else: which of them is to blame?"""

from __future__ import annotations

from typing import Any

from kis_bench.cluster.connection import import_ray, name_node, silence
from kis_bench.cluster.patience import require_place
from kis_bench.cluster.picture_workers import Batch, PictureWorker
from kis_bench.cluster.surroundings import EmbeddingJob, WorkerShare
from kis_bench.errors import ClusterError

TRIES_ALONE = 3  #: of a batch
BEGIN_S = 1800.0  #: within which a worker has its model, where there was room for one
PICTURES_TOLD = 20  #: pictures in a message


def encode_alone(batch: Batch, job: EmbeddingJob, share: WorkerShare) -> Any:
    """What a worker makes of one batch, another worker where one dies.

    Raises:
        ClusterError: all died, with their nodes and the pictures; or none began.
    """
    ray, died, said = import_ray(), [], ""
    for _ in range(TRIES_ALONE):
        require_place(share.cpus, share.gpus)
        options = {"num_cpus": share.cpus, "num_gpus": share.gpus, "max_restarts": 0}
        with silence():
            worker = ray.remote(PictureWorker).options(**options).remote(job)
            node = "a node"
            try:
                node = name_node(ray.get(worker.locate.remote(), timeout=BEGIN_S))
                return ray.get(worker.encode_single.remote(batch))
            except ray.exceptions.GetTimeoutError as error:
                raise ClusterError(
                    f"no worker began within {BEGIN_S / 60:g} minutes, though there was room for one, after others "
                    "were lost. What was finished is kept; the same command goes on from there"
                ) from error
            except ray.exceptions.RayError as error:
                died.append(node)
                said = quote_ray(error)
            finally:
                ray.kill(worker)
    shown = ", ".join(map(repr, batch.ids[:PICTURES_TOLD]))
    more = f" and {len(batch.ids) - PICTURES_TOLD} more" if len(batch.ids) > PICTURES_TOLD else ""
    raise ClusterError(
        f"{' and '.join(dict.fromkeys(died))}: what encodes these pictures in one batch dies each time, even "
        f"with nothing else to do: {shown}{more} ({said}). One of them may crash what reads it, or need more "
        "memory than there is. What was finished is kept; the same command goes on from there"
    )


def quote_ray(error: BaseException) -> str:
    """What Ray says, in a line and without its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
