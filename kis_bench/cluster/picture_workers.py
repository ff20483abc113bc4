"""What a node does with pictures: reads and encodes whole batches, as `kis_bench.encoders.passes` does locally.

Nothing raises here: what goes wrong is a row of its own, so that the driver says it as it would of its own pictures.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from kis_bench.cluster.surroundings import EmbeddingJob, enter_surroundings
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.batching import Batches
from kis_bench.encoders.encoding import CheckedModel
from kis_bench.encoders.feeding import Feed, count_decoders, feed_pictures
from kis_bench.encoders.protocol import Encoder
from kis_bench.errors import BadFile, BadVector, KisBenchError, raised
from kis_bench.records import Picture, Vectors

COUNTED = "image"  #: of what is counted, as in a local pass
ROW = "row"  #: the column that rows travel in, pickled


class Batch(NamedTuple):
    """Pictures that are encoded at once: positions in the collection, ids, and where they lie."""

    positions: tuple[int, ...]
    ids: tuple[str, ...]
    pictures: tuple[Picture, ...]


class EncodedBatch(NamedTuple):
    """The vectors of a batch, and what a shard says of how they were made."""

    positions: tuple[int, ...]
    vectors: Vectors  # float32 [n, v, d]
    made: dict[str, str | None]
    batch_size: int  # in the end; memory may have been short
    decode_s: float  # of waiting for pictures
    forward_s: float
    node: str  # what Ray calls it


class FailedBatch(NamedTuple):
    """Why there are no vectors."""

    error: str  # the message
    kind: str  # "picture", "vector", "model", or "node" where it is about that
    node: str
    position: int | None = None  # of the picture
    problems: tuple[str, ...] = ()  # of it
    absent: bool = False  # no such file is there


class Loaded(NamedTuple):
    """What a model on a node says of itself."""

    batch_size: int
    shard_items: int | None
    made: dict[str, str | None]  # as of a batch


class PictureWorker:
    """One model on one node; calls come from several threads, of which one encodes while others decode."""

    def __init__(self, job: EmbeddingJob) -> None:
        self.node, self.lock = identify_node(), threading.Lock()
        self.failed: FailedBatch | None = None
        try:
            self.load(job)
        except Exception as error:  # a user's code may raise anything
            said = str(error) if isinstance(error, KisBenchError) else raised(error)
            self.failed = FailedBatch(said, "node", self.node)

    def load(self, job: EmbeddingJob) -> None:
        enter_surroundings(job)
        encoder = LazyEncoder(
            job.checkpoint, device=job.device, precision=job.precision, decode=job.decode
        )
        model = encoder.encoder
        if encoder.key != job.key:
            raise KisBenchError(
                f"model {model.name} is another one there: its key is {encoder.key}, and {job.key} where the run was "
                "started. All nodes need the same weights and the same code"
            )
        self.checked, self.asked = CheckedModel(model), job.batch_size
        self.batches = Batches(model, job.batch_size, COUNTED)
        self.batch_size = self.batches.size
        self.decoders = job.decoders or count_decoders(model)

    def describe(self) -> Loaded | FailedBatch:
        """What the model says of itself."""
        return self.failed or describe_loaded(self.checked.encoder, self.asked)

    def locate(self) -> str:
        """What Ray calls the node."""
        return self.node

    def encode_single(self, batch: Batch) -> EncodedBatch | FailedBatch:
        """What becomes of one batch."""
        (done,) = self.encode([batch])
        return done

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        """Encodes the batches of a block one after the other; ends with the first that fails."""
        for done in self.encode([pickle.loads(row) for row in table[ROW].to_pylist()]):
            yield pack_rows([done])

    def encode(self, batches: Sequence[Batch]) -> Iterator[EncodedBatch | FailedBatch]:
        if self.failed is not None:
            yield self.failed
            return
        where = {
            str(picture): position
            for batch in batches
            for position, picture in zip(batch.positions, batch.pictures, strict=True)
        }
        pictures = (pair for one in batches for pair in zip(one.ids, one.pictures, strict=True))
        try:
            with feed_pictures(
                self.checked, pictures, batch_size=self.batch_size, decoders=self.decoders
            ) as feed:
                for batch in batches:
                    yield self.encode_batch(batch, feed)
        except BadFile as error:
            picture = Path(str(getattr(error.file, "archive", error.file)))
            yield FailedBatch(
                str(error),
                "picture",
                self.node,
                where.get(str(error.file)),
                tuple(error.problems),
                absent=not picture.exists(),
            )
        except BadVector as error:
            yield FailedBatch(str(error), "vector", self.node)
        except KisBenchError as error:
            yield FailedBatch(str(error), "model", self.node)
        except Exception as error:  # such as memory that doesn't hold one picture
            yield FailedBatch(raised(error), "node", self.node)

    def encode_batch(self, batch: Batch, feed: Feed) -> EncodedBatch:
        """As `kis_bench.encoders.passes.ImagePass` does it: large pictures make smaller batches."""
        left, found, decode_s, forward_s = len(batch.positions), [], 0.0, 0.0
        while left:
            started = time.perf_counter()
            inputs = feed.take(left)
            decode_s += time.perf_counter() - started
            with self.lock:
                started = time.perf_counter()
                found += self.batches.run(self.checked.images, inputs)
                forward_s += time.perf_counter() - started
            left -= len(inputs)
        return EncodedBatch(
            batch.positions,
            np.concatenate(found),
            self.checked.made(),
            self.batches.size,
            decode_s,
            forward_s,
            self.node,
        )


def describe_loaded(model: Encoder, batch_size: int | None) -> Loaded:
    """What a pass has to know of a model.

    Args:
        batch_size: that was asked for, if any.
    """
    size = Batches(model, batch_size, COUNTED).size
    return Loaded(size, getattr(model, "shard_items", None), CheckedModel(model).made())


def pack_rows(rows: Sequence[object]) -> pa.Table:
    """A block of rows; numpy's arrays of bytes would lose the zeros at an end."""
    return pa.table({ROW: pa.array([pickle.dumps(row) for row in rows], pa.large_binary())})


def fix_picture(picture: Picture) -> Picture:
    """The picture with an absolute path, wherever the worker runs."""
    if isinstance(picture, Path):
        return picture.absolute()
    if picture.archive.is_absolute():
        return picture
    changed: Any = replace(picture, archive=picture.archive.absolute())  # type: ignore[type-var]
    found: Picture = changed
    return found


def identify_node() -> str:
    """What Ray calls the node of this process."""
    import ray

    return str(ray.get_runtime_context().get_node_id())
