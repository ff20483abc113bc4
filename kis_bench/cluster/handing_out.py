"""Batches of pictures handed out to workers by Ray Data, and what these make of them, in the order of the batches."""

from __future__ import annotations

import logging
import pickle
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from kis_bench.cluster.connection import import_ray, silence
from kis_bench.cluster.picture_workers import ROW, Batch, PictureWorker, pack_rows
from kis_bench.cluster.surroundings import EmbeddingJob, WorkerShare
from kis_bench.errors import ClusterError, explain_install

CONCURRENT_BLOCKS = 2  #: of a worker: while one is encoded, the pictures of the next are decoded
BLOCKS_EACH = 16  #: of a worker at least, so that all end at about the same time
MOST_BLOCK_ROWS = 16  #: batches that are handed out at once
#: Of a worker that died, with its node or by what it was doing; and of what it was doing, elsewhere. Ray Data would
#: start both again for ever.
WORKER_RESTARTS, BLOCK_RETRIES = 4, 2


@contextmanager
def hand_out(
    rows: Sequence[Batch], job: EmbeddingJob, share: WorkerShare
) -> Iterator[Generator[Any, None, None]]:
    """Batches to workers, and what these make of them, in the order of the batches.

    Batches that no worker survives are left out, and those that were to follow them in the same block.
    """
    ray_data = import_ray_data()
    size = min(MOST_BLOCK_ROWS, max(1, len(rows) // (share.workers * BLOCKS_EACH)))
    blocks = [pack_rows(rows[i : i + size]) for i in range(0, len(rows), size)]
    if not blocks:
        yield take_rows(None)
        return
    names: list[str] = []
    with silence(), set_context(ray_data):
        coming = take_rows(map_blocks(ray_data, blocks, job, share, names), names)
        try:
            yield coming
        finally:
            coming.close()


def end_workers(names: Sequence[str]) -> None:
    """Ends those workers that are still there, so that their processors are free for others.

    Ray Data forgets its workers, and Ray ends those that nobody holds. But where a block failed, its traceback holds
    them, and a log may hold that: pytest keeps what was logged until a test is over.
    """
    ray = import_ray()
    for name in names if ray.is_initialized() else ():
        with suppress(ValueError, ray.exceptions.RayError):  # it has ended, or the cluster has
            ray.kill(ray.get_actor(name))


def map_blocks(
    ray_data: Any, blocks: Sequence[Any], job: EmbeddingJob, share: WorkerShare, names: list[str]
) -> Any:
    """The dataset of what workers make of blocks; they get names, which are appended as they start.

    Raises:
        ClusterError: this Ray has other means.
    """

    def name_worker() -> dict[str, str]:
        names.append(f"kis-bench-{uuid.uuid4().hex}")
        return {"name": names[-1]}

    try:
        workers = ray_data.ActorPoolStrategy(
            min_size=1,
            max_size=share.workers,
            initial_size=min(share.workers, len(blocks)),
            max_concurrent_calls_per_actor=CONCURRENT_BLOCKS,
            enable_true_multi_threading=True,
        )
        return ray_data.from_arrow(blocks).map_batches(
            PictureWorker,
            batch_size=None,
            batch_format="pyarrow",
            fn_constructor_args=(job,),
            compute=workers,
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=WORKER_RESTARTS,
            max_task_retries=BLOCK_RETRIES,
            ray_remote_args_fn=name_worker,
        )
    except (AttributeError, TypeError) as error:
        raise ClusterError(
            f"Ray {import_ray().__version__} can't embed pictures ({error}); {explain_install('ray')}"
        ) from error


def take_rows(dataset: Any, names: Sequence[str] = ()) -> Generator[Any, None, None]:
    """The rows of a dataset, or none without one, as they come; its workers are ended with the last, or on closing.

    `iter_batches` of Ray 2.60 would leave a thread behind that outlives a cluster, and ends the process with it.
    """
    ray = import_ray()
    bundles = iter(()) if dataset is None else dataset.iter_internal_ref_bundles()
    try:
        for bundle in bundles:
            for block in bundle.block_refs:
                for row in ray.get(block)[ROW].to_pylist():
                    yield pickle.loads(row)
    finally:
        del bundles  # which ends what still runs, where no traceback holds it
        end_workers(names)


def import_ray_data() -> Any:
    """Ray Data, which tells its log file what it does, and the terminal nothing."""
    import_ray()
    try:
        import ray.data
    except ImportError as error:
        raise ClusterError(
            f"Ray Data can't be imported ({error}); {explain_install('ray')}"
        ) from error
    for handler in logging.getLogger("ray.data").handlers:
        if type(handler).__name__ == "PlainRayHandler":
            handler.setLevel(logging.CRITICAL)
    return ray.data


@contextmanager
def set_context(ray_data: Any) -> Iterator[None]:
    """Ray Data keeps the order, hands a batch on as soon as it is done, and draws no lines of its own."""
    context = ray_data.DataContext.get_current()
    kept = context.copy()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # bytes: each row is a block
    context.max_errored_blocks = -1  # what is lost is found out by whoever counts the batches
    try:
        yield
    finally:
        ray_data.DataContext._set_current(kept)
