"""Pictures embedded on the nodes of a Ray cluster, with Ray Data; shards are written here, as by a local pass.

A row is a whole batch of the local pass: the same pictures, beginning at multiples of the batch size, without copies of
earlier ones. So vectors are those that one machine like the nodes would make, whichever node makes them.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from kis_bench.cluster.connection import (
    SAME_PACKAGES,
    import_ray,
    join_cluster,
    list_nodes,
    name_node,
    require_nodes,
    silence,
)
from kis_bench.cluster.handing_out import MOST_BLOCK_ROWS, hand_out
from kis_bench.cluster.lost_batches import encode_alone, quote_ray
from kis_bench.cluster.patience import require_place
from kis_bench.cluster.picture_workers import (
    Batch,
    EncodedBatch,
    FailedBatch,
    Loaded,
    PictureWorker,
    describe_loaded,
    fix_picture,
)
from kis_bench.cluster.surroundings import describe_job, find_share
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.back_ends import find_back_end
from kis_bench.encoders.passes import Copies, ImagePass, ShardRows
from kis_bench.encoders.protocol import Encoder
from kis_bench.encoders.receivers import find_receiver
from kis_bench.errors import BadFile, BadVector, ClusterError, KisBenchError
from kis_bench.files.progress import track
from kis_bench.records import Collection, count_things

MOST_HANDED_OUT = 2**14  #: batches, of which Ray and this process know all
RESTARTS = 3  #: without a batch in between, after which the cluster is given up


class ClusterPasses:
    """Makes the passes of pictures through models on a cluster; counts what its nodes did.

    Args:
        address: as of `kis_bench.cluster.connection.join_cluster`.
    """

    def __init__(self, address: str = "") -> None:
        self.address = address
        self.pictures: Counter[str] = Counter()  # that each node encoded, by what Ray calls it
        self.models: dict[str, Counter[str]] = {}  # the same of each model

    def __call__(
        self,
        collection: Collection,
        encoder: Encoder,
        batch_size: int | None = None,
        decoders: int | None = None,
    ) -> ImagePass:
        """A pass on the cluster, or a local one for a service, which has its own machines.

        Raises:
            ClusterError: no cluster, a node without the package, or a model that can't be sent there.
        """
        if isinstance(encoder, LazyEncoder) and find_receiver(encoder.checkpoint) is not None:
            return ImagePass(collection, encoder, batch_size, decoders)
        if not isinstance(encoder, LazyEncoder):
            raise KisBenchError(
                f"model {encoder.name}: nodes of a cluster load models themselves, from a row of a table or a name; "
                "give a kis_bench.encoders.LazyEncoder, or embed it locally"
            )
        return ClusterPass(self, collection, encoder, batch_size, decoders)

    def describe_nodes(self, model: str) -> dict[str, int]:
        """How many nodes encoded how many pictures for a model; empty where all were stored."""
        counted = self.models.get(model)
        return {"nodes": len(counted), "pictures": counted.total()} if counted else {}

    def describe_shares(self) -> list[str]:
        """How many pictures each node encoded, in lines; none where all were stored."""
        return [
            f"{name_node(node)} {node[:8]}: {count_things(n, 'picture')}"
            for node, n in sorted(self.pictures.items())
        ]


class ClusterPass(ImagePass):
    """Pictures of one collection on their way through the nodes.

    Batches come in their order: Ray keeps those that are early in its object store, and hands out no more of them when
    that is full.
    """

    encoder: LazyEncoder

    def __init__(
        self,
        passes: ClusterPasses,
        collection: Collection,
        encoder: LazyEncoder,
        batch_size: int | None,
        decoders: int | None,
    ) -> None:
        super().__init__(collection, encoder, batch_size, decoders)
        self.passes = passes
        self.shards: Sequence[range] = [range(self.n)]
        self.loaded: Loaded | None = None
        self.made: dict[int, dict[str, str | None]] = {}  # by position, what shards say of it
        self.batch_sizes: dict[int, int] = {}  # by position

    def encode(self, missing: Sequence[range], copies: Copies) -> Generator[ShardRows, None, None]:
        before, self.shards = self.split_batches(self.shards), missing
        if before != self.split_batches(missing):  # as where a batch takes longer than a shard may
            self.ahead = None
        yield from super().encode(missing, copies)

    def split_batches(self, shards: Sequence[range]) -> list[range] | None:
        """The batches of shards; None: how large they are isn't known yet."""
        if self.loaded is None:
            return None
        return [
            range(start, min(start + self.batch, shard.stop))
            for shard in shards
            for start in range(shard.start, shard.stop, self.batch)
        ]

    def load(self) -> int:
        if self.loaded is None:
            join_cluster(self.passes.address)
            require_nodes(
                [*SAME_PACKAGES, "Pillow", *find_back_end(self.encoder.checkpoint).packages]
            )
            self.share = find_share(self.encoder, list_nodes())
            self.job = describe_job(self.encoder, self.batch_size, self.decoders, self.share)
            self.loaded = self.ask_worker()
        self.own_shard_items = self.loaded.shard_items
        return self.loaded.batch_size

    def ask_worker(self) -> Loaded:
        """What a model on a node says of itself: the size of batches may depend on the device."""
        if self.encoder.loaded and not self.share.gpus:
            model = self.encoder.encoder
            if "cuda" not in str(getattr(model, "device", "")):  # it is the same here
                return describe_loaded(model, self.batch_size)
        ray = import_ray()
        require_place(self.share.cpus, self.share.gpus)
        with track(f"loading {self.encoder.name} on a node"), silence():
            worker = (
                ray.remote(PictureWorker)
                .options(num_cpus=self.share.cpus, num_gpus=self.share.gpus)
                .remote(self.job)
            )
            try:
                found = ray.get(worker.describe.remote())
            except ray.exceptions.RayError as error:
                raise ClusterError(f"no node can load the model: {quote_ray(error)}") from error
            finally:
                ray.kill(worker)
        if isinstance(found, FailedBatch):
            self.refuse(found)
        loaded: Loaded = found
        return loaded

    def open(self, positions: Sequence[int]) -> None:
        self.restarts, self.to_come = 0, self.list_batches(positions)
        self.start([])
        if positions:  # models are loaded before anything is timed
            self.receive()

    def list_batches(self, positions: Sequence[int]) -> Iterator[Batch]:
        """What has to be encoded of each batch."""
        wanted = {*positions}
        ids, paths = self.collection.ids, self.collection.paths
        for batch in self.split_batches(self.shards) or ():
            if left := tuple(i for i in batch if i in wanted):
                pictures = tuple(fix_picture(paths[i]) for i in left)
                yield Batch(left, tuple(ids[i] for i in left), pictures)

    def start(self, batches: Sequence[Batch]) -> None:
        """Hands batches out, and so many of those to come that memory holds all."""
        more = itertools.islice(self.to_come, max(0, MOST_HANDED_OUT - len(batches)))
        self.handed_out = deque([*batches, *more])
        if self.handed_out:
            require_place(self.share.cpus, self.share.gpus)
        self.coming = self.opened.enter_context(hand_out([*self.handed_out], self.job, self.share))

    def find_answers(self, left: list[int]) -> None:
        while any(i not in self.found for i in left):
            self.receive()

    def receive(self) -> None:
        """Takes the next batch that is done, and sees to those before it that were lost, with their workers."""
        ray = import_ray()
        try:
            done = next(self.coming)
        except (ray.exceptions.RayError, StopIteration) as error:
            if isinstance(error, StopIteration):
                if self.handed_out:
                    self.make_up([])
                else:
                    self.start([])
                if self.handed_out:
                    return
            self.restarts += 1
            if self.restarts > RESTARTS:
                raise ClusterError(
                    f"the cluster failed {self.restarts} times in a row ({quote_ray(error)}). What was "
                    "finished is kept; the same command goes on from there"
                ) from error
            self.start([*self.handed_out])
            return
        lost = []
        while isinstance(done, EncodedBatch) and self.handed_out[0].positions != done.positions:
            lost.append(self.handed_out.popleft())
        self.take_done(done)
        if lost:
            self.make_up(lost)

    def make_up(self, lost: Sequence[Batch]) -> None:
        """Encodes some batches alone, one of which may end its worker each time, and hands the others out anew."""
        self.coming.close()
        left = [*lost, *self.handed_out]
        for batch in left[:MOST_BLOCK_ROWS]:
            self.handed_out = deque([batch])
            self.take_done(encode_alone(batch, self.job, self.share))
        self.start(left[MOST_BLOCK_ROWS:])

    def take_done(self, done: EncodedBatch | FailedBatch) -> None:
        """Keeps the vectors of the batch that is the next."""
        if isinstance(done, FailedBatch):
            self.refuse(done)
        self.handed_out.popleft()
        self.restarts, n = 0, len(done.positions)
        self.found.update(zip(done.positions, done.vectors, strict=True))
        self.batch_sizes.update(dict.fromkeys(done.positions, done.batch_size))
        self.made.update(dict.fromkeys(done.positions, done.made))
        self.passes.pictures[done.node] += n
        self.passes.models.setdefault(self.encoder.name, Counter())[done.node] += n
        self.seconds["decode"] += done.decode_s / self.share.workers
        self.seconds["forward"] += done.forward_s / self.share.workers
        self.step.limit = self.limit or ""
        self.step.advance(n)

    def describe_shard(self, shard: range) -> dict[str, str | None]:
        """As locally; where nodes differ, what all of them say."""
        assert self.loaded is not None
        sizes = [self.batch_sizes.pop(i) for i in shard if i in self.batch_sizes]
        made = [self.made.pop(i) for i in shard if i in self.made] or [self.loaded.made]
        said = {name: {*filter(None, (one[name] for one in made))} for name in made[0]}
        return {
            **{name: " and ".join(sorted(values)) or None for name, values in said.items()},
            "batch_size": str(min(sizes, default=self.batch)),
        }

    def refuse(self, failed: FailedBatch) -> NoReturn:
        """Raises what a local pass would have raised, with the node where it is about that."""
        node = name_node(failed.node)
        if failed.position is not None:
            picture = self.collection.paths[failed.position]
            if failed.absent and Path(str(getattr(picture, "archive", picture))).exists():
                raise ClusterError(
                    f"{node}: {picture} isn't there, though it is where the run was started; pictures must be in a "
                    "folder that all nodes share, under the same path"
                )
            raise BadFile(picture, failed.problems)
        if failed.kind == "vector":
            raise BadVector(failed.error)
        if failed.kind == "node":
            raise ClusterError(f"{node}: {failed.error}")
        raise KisBenchError(failed.error)
