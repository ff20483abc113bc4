"""One pass of a dataset's images or texts through a model: batch by batch, timed by what it waits for."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.batching import Batches
from kis_bench.encoders.encoding import CheckedModel, Input
from kis_bench.encoders.feeding import Feed, count_decoders, feed_pictures
from kis_bench.encoders.protocol import Encoder
from kis_bench.encoders.shard_sizes import SHARD_SECONDS, count_shard_items, widen_shards
from kis_bench.files.progress import track
from kis_bench.records import Collection, Vectors

TRIAL_SECONDS = 2.0  #: in which a model's speed is found; one batch at least, and one more after it

Answer = TypeVar("Answer")  # what a model says of one item
Copies = Callable[[int], Vectors]  # gives the vectors of an item that is stored already
ShardRows = tuple[Vectors, NDArray[np.bool_] | None, dict[str, str | None]]


class Pass(ABC, Generic[Answer]):
    """The items of a dataset on their way through a model; a context manager.

    Batches begin at multiples of their size, for shards hold whole ones, so that the last bits of vectors don't
    depend on how fast the model is. Only where a batch takes longer than a shard may, it is cut at the shard's end.

    Args:
        what: is done, in the line that shows how far it is.
        n: items of the dataset.
    """

    unit: str  # of what is counted

    def __init__(self, encoder: Encoder, what: str, n: int, batch_size: int | None) -> None:
        self.encoder, self.what, self.n, self.batch_size = encoder, what, n, batch_size
        self.found: dict[int, Answer] = {}  # by position; not stored yet
        self.ahead: list[int] | None = None  # positions that are on their way
        self.counted = 0  # up to which position what needs no encoding was counted as done
        self.seconds = dict.fromkeys(("decode", "forward", "disk"), 0.0)
        self.opened = ExitStack()

    def __enter__(self) -> Pass[Answer]:
        return self

    def __exit__(self, *error: object) -> None:
        self.opened.__exit__(*error)  # type: ignore[arg-type]

    @property
    def limit(self) -> str | None:
        """Which stage it waited for longest: decode, forward or disk; None: nothing had to be encoded."""
        return (
            max(self.seconds, key=self.seconds.__getitem__) if any(self.seconds.values()) else None
        )

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - started
        self.step.limit = self.limit or ""

    def choose_shard_items(self) -> int:
        """How many items a shard should hold.

        What the encoder says as ``shard_items``, or as many as suit the speed of the first batches, which are kept for
        `encode`.
        """
        self.begin(range(self.n))
        if own := self.own_shard_items:
            return widen_shards(self.n, int(own))
        started = warm = time.perf_counter()
        pace_s, warmed = 0.0, 0  # items of the first batch, which tells only where it is alone
        for start in range(0, self.n, self.batch):
            self.encode_batch(start, self.n)
            now = time.perf_counter()
            if not start:
                warm, warmed = now, len(self.found)
                pace_s = (now - started) / max(warmed, 1)
                if pace_s * self.batch >= SHARD_SECONDS:
                    break
            elif len(self.found) > warmed:
                pace_s = (now - warm) / (len(self.found) - warmed)
                if now - started >= TRIAL_SECONDS:
                    break
        most_bytes = 4 * self.encoder.vectors_per_item * self.encoder.dim  # texts have one vector
        return count_shard_items(self.n, pace_s, self.batch, most_bytes)

    def encode(self, missing: Sequence[range], copies: Copies) -> Generator[ShardRows, None, None]:
        """What shards hold, which lie at some positions; see `kis_bench.store.Entry.fill`."""
        self.begin([i for shard in missing for i in shard])
        for shard in missing:
            for start in range(shard.start, shard.stop, self.batch):
                self.encode_batch(start, shard.stop)
            vectors, flags = self.join(shard, copies)
            for i in shard:
                self.found.pop(i, None)
            with self.time("disk"):
                yield vectors, flags, self.describe_shard(shard)

    def begin(self, positions: Sequence[int]) -> None:
        """Loads the model and makes items at these positions ready, unless just that was begun before."""
        own = [*self.choose(positions)]
        if own == self.ahead:
            return
        self.opened.close()
        self.batch, self.ahead, self.counted = self.load(), own, 0
        left = [i for i in own if i not in self.found]
        done = self.n - len(positions) + len(own) - len(left)
        self.step = self.opened.enter_context(
            track(self.what, unit=self.unit, total=self.n, done=done)
        )
        self.open(left)

    def encode_batch(self, start: int, stop: int) -> None:
        """Encodes one batch, or what is left of it before ``stop``."""
        positions = range(start, min(start + self.batch, stop))
        left = [i for i in self.choose(positions) if i not in self.found]
        uncounted = range(max(start, self.counted), positions.stop)
        n_copies = len(uncounted) - sum(1 for _ in self.choose(uncounted))
        self.counted = max(self.counted, positions.stop)
        self.find_answers(left)
        self.step.advance(n_copies)

    def load(self) -> int:
        """Loads the model, and returns how many items it encodes at once."""
        model = load_encoder(self.encoder)
        self.checked, self.batches = CheckedModel(model), Batches(model, self.batch_size, self.unit)
        self.own_shard_items = getattr(model, "shard_items", None)
        return self.batches.size

    def describe_shard(self, shard: range) -> dict[str, str | None]:
        """What made the vectors of a shard, as the store keeps it."""
        return self.checked.made() | {"batch_size": str(self.batches.size)}

    def find_answers(self, left: list[int]) -> None:
        """What the model says of the items of one batch."""
        while left:
            with self.time("decode"):
                inputs = self.take(left)
            with self.time("forward"):
                rows = [
                    *self.run(inputs)
                ]  # not when they are asked for, which no stage would count
            self.found.update(zip(left, rows, strict=False))
            left = left[len(inputs) :]

    @abstractmethod
    def choose(self, positions: Iterable[int]) -> Iterator[int]:
        """Those that have to be encoded."""

    def open(self, positions: Sequence[int]) -> None:
        """Makes them ready."""

    @abstractmethod
    def take(self, positions: Sequence[int]) -> list[Input]:
        """The first of them as inputs, one at least."""

    @abstractmethod
    def run(self, inputs: list[Input]) -> Iterable[Answer]: ...

    @abstractmethod
    def join(self, shard: range, copies: Copies) -> tuple[Vectors, NDArray[np.bool_] | None]:
        """Vectors of a shard, and which of its texts were cut."""


class ImagePass(Pass[Vectors]):
    """Of pictures, those that are decoded and prepared while the model computes."""

    unit = "image"

    def __init__(
        self,
        collection: Collection,
        encoder: Encoder,
        batch_size: int | None = None,
        decoders: int | None = None,
    ) -> None:
        what = f"{collection.name}: images with {encoder.name}"
        super().__init__(encoder, what, len(collection), batch_size)
        self.collection, self.decoders = collection, decoders

    @cached_property
    def first(self) -> list[int]:
        return find_first_of_content(self.collection)

    def choose(self, positions: Iterable[int]) -> Iterator[int]:
        return (i for i in positions if self.first[i] == i)

    def open(self, positions: Sequence[int]) -> None:
        ids, paths = self.collection.ids, self.collection.paths
        self.feed: Feed = self.opened.enter_context(
            feed_pictures(
                self.checked,
                ((ids[i], paths[i]) for i in positions),
                batch_size=self.batch,
                decoders=self.decoders or count_decoders(self.checked.encoder),
            )
        )

    def take(self, positions: Sequence[int]) -> list[Input]:
        return self.feed.take(len(positions))

    def run(self, inputs: list[Input]) -> Vectors:
        return np.concatenate(self.batches.run(self.checked.images, inputs, self.step.advance))

    def join(self, shard: range, copies: Copies) -> tuple[Vectors, None]:
        firsts = (self.first[i] for i in shard)
        return np.stack([self.found[i] if i in self.found else copies(i) for i in firsts]), None


#: Makes the pass of a collection's pictures: collection, encoder, batch size, threads that decode.
MakePass = Callable[[Collection, Encoder, int | None, int | None], ImagePass]


def find_pass(engine: object) -> MakePass:
    """What takes pictures through models: machines of an engine of ranks that has some, else this process."""
    found: MakePass = getattr(engine, "make_pass", ImagePass)
    return found


def load_encoder(encoder: Encoder) -> Encoder:
    """The encoder, ready to encode."""
    if not isinstance(encoder, LazyEncoder):
        return encoder
    with track(f"loading {encoder.name}"):
        return encoder.encoder


def find_first_of_content(collection: Collection) -> list[int]:
    """For each item the first one whose file is the same.

    Only that one is encoded: a model's numbers may differ in the last bit from batch to batch, and identical pictures
    must tie exactly.
    """
    first: dict[str, int] = {}
    return [first.setdefault(digest, i) for i, digest in enumerate(collection.content)]
