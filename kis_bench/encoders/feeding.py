"""Pictures for a model: decoded and prepared in threads while it computes, in memory that is bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from PIL import Image

from kis_bench.encoders.encoding import CheckedModel, Input, threads
from kis_bench.files.held_bytes import HeldBytes
from kis_bench.files.images import read_image
from kis_bench.records import Picture
from kis_bench.threads import map_ahead

DECODERS = 2  #: threads, beside a model that needs the cores itself; Pillow decodes without the interpreter's lock
HELD_BYTES = (
    192 * 2**20
)  #: of pictures that wait for the model, and again of those that it encodes at once
MOST_HELD_BYTES = 480 * 2**20  #: that wait for the model, however many threads there are
PIXEL_BYTES = 4  #: of a pixel in Pillow's memory, in which RGB has a fourth byte
DECODING_COPIES = 2  #: of a picture that is being decoded: it is turned, or put on white


class Feed:
    """The pictures of a collection in batches, in their order.

    Args:
        ahead: of all pictures, how they come out of `map_ahead`.
        most_bytes: that the pictures of one batch may take together; one that takes more is a batch of its own.
    """

    def __init__(self, ahead: Iterator[tuple[int, Input]], held: HeldBytes, most_bytes: int):
        self.ahead, self.held, self.most_bytes = ahead, held, most_bytes
        self.next: tuple[int, Input] | None = None  # is there, and didn't fit into the last batch

    def take(self, most: int) -> list[Input]:
        """The next pictures: ``most``, or as many as memory allows and there are, but one at least if there is one."""
        batch: list[Input] = []
        n_bytes = 0
        while len(batch) < most:
            self.next = self.next or next(self.ahead, None)
            if self.next is None:
                break
            number, one = self.next
            n_bytes += self.held.find_bytes(number)
            if batch and n_bytes > self.most_bytes:
                break
            self.held.hand_over(number)
            self.next = None
            batch.append(one)
        return batch


@contextmanager
def feed_pictures(
    model: CheckedModel,
    pictures: Iterable[tuple[str, Picture]],
    *,
    batch_size: int,
    decoders: int = DECODERS,
    most_bytes: int | None = None,
) -> Iterator[Feed]:
    """Decodes and prepares pictures in threads, up to two batches ahead of the model.

    Args:
        pictures: names of items, and their pictures.
        decoders: threads.
        most_bytes: that pictures may take which wait for the model, each with what it needs while it is decoded, and
            again those of a batch; None: `HELD_BYTES`, and for those that wait, what suits the number of threads, up to
            `MOST_HELD_BYTES`. A picture that takes more waits until no other does.
    """
    suited = min(max(DECODERS, decoders) * HELD_BYTES // DECODERS, MOST_HELD_BYTES)
    held = HeldBytes(suited if most_bytes is None else most_bytes)
    most_bytes = HELD_BYTES if most_bytes is None else most_bytes

    def prepare(numbered: tuple[int, tuple[str, Picture]]) -> tuple[int, Input]:
        number, (item, picture) = numbered
        with held.make(number) as take_bytes:

            def admit(size: tuple[int, int]) -> None:
                take_bytes(DECODING_COPIES * PIXEL_BYTES * size[0] * size[1])

            image = read_image(picture, admit, least_side=model.least_side)
            prepared = model.prepared(item, image)
            take_bytes(measure_bytes(prepared.content, image))
            return number, prepared

    with ThreadPoolExecutor(decoders) as pool:
        # Twice a batch: while one is encoded, the next is made ready.
        ahead = map_ahead(pool, prepare, enumerate(pictures), max(2 * batch_size, decoders))
        try:
            yield Feed(ahead, held, most_bytes)
        finally:
            held.close()
            ahead.close()


def count_decoders(encoder: object) -> int:
    """Threads that decode for an encoder: `DECODERS`, or where it computes on a GPU, one for each core but one."""
    beside_gpu = "cuda" in str(getattr(encoder, "device", ""))
    return max(DECODERS, threads() - 1) if beside_gpu else DECODERS


def measure_bytes(prepared: Any, image: Image.Image) -> int:
    """Bytes that a prepared picture takes; those of the picture itself, where nobody can tell."""
    if isinstance(prepared, Image.Image):
        return PIXEL_BYTES * prepared.width * prepared.height
    if isinstance(prepared, Mapping):
        return sum(measure_bytes(part, image) for part in prepared.values())
    n_bytes = getattr(prepared, "nbytes", None)
    return n_bytes if isinstance(n_bytes, int) else PIXEL_BYTES * image.width * image.height
