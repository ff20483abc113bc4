"""A service as an Encoder: pictures as files in requests, several of them under way, vectors in the order of inputs."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.http.client import Client
from kis_bench.encoders.http.forms import (
    FORMS,
    WrongAnswer,
    count_tokens,
    find_model_name,
    read_vectors,
)
from kis_bench.encoders.http.service import PICTURES, TEXTS, Service
from kis_bench.errors import BadVector
from kis_bench.files.images import upright
from kis_bench.ranking.unit_vectors import make_unit, require_unit_vectors
from kis_bench.records import Checkpoint, Embeddings, Float32s, Float64s, count_things

LEAST_SHARD_ITEMS = 32  #: what a killed run loses at most, unless more are under way at once
MOST_REQUEST_CHARACTERS = 8 * 2**20  #: of pictures in a request, unless one alone takes more
SENT_JPEG_QUALITY = 95
PROBE_TEXTS = ("two children fly a red kite on the beach", "Ein altes Fahrrad lehnt an der Wand")
PROBE_SIDES = 96, 64
ONE_PICTURE = (
    0.05  #: length of the difference of two vectors of one picture, from files that differ
)


class HttpEncoder:
    """A model behind a service.

    Its vectors are made length 1. Which texts it cuts nobody knows.

    Attributes:
        probes: vectors of a few pictures, and of texts, as they are today; a service may change and say nothing.
        said: what the service calls its model.
    """

    vectors_per_item = 1
    context_length: int | None = None
    device, precision = "service", None

    def __init__(self, checkpoint: Checkpoint, service: Service, key: str) -> None:
        self.name, self.key = checkpoint.name, key
        self.service = self.receiver = service
        self.image_only = checkpoint.image_only
        self.form = FORMS[service.form]
        self.batch_size = max(LEAST_SHARD_ITEMS, service.batch * service.in_flight)
        self.shard_items = self.batch_size
        self.dim, self.said = 0, ""
        self.count_anew()
        self.probes = self.take_probes()

    def count_anew(self) -> None:
        """Counts what is sent from 0, under another name."""
        self.counter, self.counting = uuid4().hex[:12], threading.Lock()
        self.sent = dict.fromkeys(("requests", PICTURES, TEXTS, "tokens"), 0)
        self.client = Client(self.service, self.name)

    def prepare_image(self, image: Image.Image) -> str:
        """The picture as a data URI."""
        return write_uri(image, self.service.picture, self.service.max_side)

    def encode_prepared(self, prepared: Sequence[str]) -> Float32s:
        return self.encode(PICTURES, prepared)

    def encode_images(self, images: Sequence[Image.Image]) -> Float32s:
        return self.encode_prepared([self.prepare_image(upright(image)) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> tuple[Float32s, NDArray[np.bool_] | None]:
        return self.encode(TEXTS, texts), None

    def encode(self, side: str, inputs: Sequence[str]) -> Float32s:
        """Unit vectors, float32 ``[n, 1, d]``; zeros and what isn't finite stay for those who check."""
        self.client.stopped.clear()
        parts = split_requests(inputs, self.count_most(side))
        with ThreadPoolExecutor(self.service.in_flight, "request") as pool:
            futures = [pool.submit(self.ask, side, part) for part in parts]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                found = [future.result() for future in futures]
            except BaseException:
                self.client.stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for vectors, said in found:
            self.remember(vectors.shape[1], said)
        joined = np.concatenate([vectors for vectors, _ in found])
        return make_unit(joined)[:, None]

    def count_most(self, side: str) -> int:
        most = self.form.most_pictures if side == PICTURES else self.form.most_texts
        return min(self.service.batch, most)

    def ask(self, side: str, inputs: Sequence[str]) -> tuple[Float64s, str]:
        """Vectors of one request, ``[n, d]``, and the name of the model that answered; counts both ways."""
        ask = self.form.ask_pictures if side == PICTURES else self.form.ask_texts
        body = {"model": self.service.model, **ask(inputs), **self.service.list_fields(side)}
        with self.counting:  # as sent, whatever becomes of it
            self.sent["requests"] += 1
            self.sent[side] += len(inputs)
        answer = self.client.post(self.form.path, body)
        with self.counting:
            self.sent["tokens"] += count_tokens(answer)
        try:
            vectors = read_vectors(answer, self.form, len(inputs))
        except WrongAnswer as error:
            kind = count_things(len(inputs), side[:-1])
            raise self.client.error(f"answers wrongly to {kind}: {error}") from None
        return vectors, find_model_name(answer)

    def remember(self, dim: int, said: str) -> None:
        """Takes what the first answer says for what all have to say."""
        if not self.dim:
            self.dim, self.said = dim, said
        if dim != self.dim:
            raise self.client.error(
                f"gives vectors of {dim} numbers, and gave some of {self.dim} before"
            )
        if said != self.said:
            raise self.client.error(
                f"answers from model {said!r}, and answered from {self.said!r} before"
            )

    def take_probes(self) -> dict[str, Embeddings]:
        """Vectors of a few pictures and, if it reads such, of texts.

        Raises:
            BadVector: one has no length, or isn't finite.
            KisBenchError: the same picture in two files gets two vectors: it is read as text.
        """
        one, other = draw_probes()
        kind, side = self.service.picture, self.service.max_side
        files = [write_uri(one, kind, side), write_uri(one, kind, side, small=True)]
        pictures = self.encode(PICTURES, [*files, write_uri(other, kind, side)])
        found = {PICTURES: Embeddings(("picture 1", "picture 2"), pictures[1:], self.key)}
        if not self.image_only:
            ids = tuple(f"text {text!r}" for text in PROBE_TEXTS)
            found[TEXTS] = Embeddings(ids, self.encode(TEXTS, PROBE_TEXTS), self.key)
        for one_side in found.values():
            try:
                require_unit_vectors(one_side.ids, one_side.vectors, (1, self.dim), "probe")
            except BadVector as error:
                raise BadVector(f"model {self.name}: {self.service.base}: {error}") from None
        if not np.linalg.norm(pictures[0].astype(np.float64) - pictures[1]) <= ONE_PICTURE:
            raise self.client.error(
                f"gives one picture two vectors, depending on how its file is written: it seems to read pictures as "
                f"texts. Is form={self.service.form} what it wants?"
            )
        return found

    def describe_sent(self) -> dict[str, Any]:
        """What was sent so far, where to, and the same under the counter's name, so that no sum has it twice."""
        counted = {**self.sent, "repeated": self.client.repeats}
        return {"to": self.service.host, **counted, "counters": {self.counter: counted}}


def split_requests(inputs: Sequence[str], most: int) -> list[Sequence[str]]:
    """Inputs in requests of at most so many, and of at most `MOST_REQUEST_CHARACTERS` unless one alone has more."""
    parts: list[list[str]] = []
    characters = 0
    for one in inputs:
        if not parts or len(parts[-1]) == most or characters + len(one) > MOST_REQUEST_CHARACTERS:
            parts.append([])
            characters = 0
        parts[-1].append(one)
        characters += len(one)
    return [*parts]


def write_uri(image: Image.Image, kind: str, max_side: int, *, small: bool = False) -> str:
    """The pixels of a picture as a data URI; nothing else that came with it, such as comments and profiles.

    Args:
        kind: ``png``, which keeps every pixel, or ``jpeg``.
        max_side: pixels that its longer side has at most; 0: as it is.
        small: another file of the same pixels.
    """
    bare = Image.fromarray(np.asarray(image))  # formats write what they find in a picture's info
    if max_side and max(image.size) > max_side:
        bare.thumbnail((max_side, max_side), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    if kind == "png":
        bare.save(file, "PNG", compress_level=9 if small else 1)
    else:
        bare.save(file, "JPEG", quality=SENT_JPEG_QUALITY, subsampling=0, optimize=small)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def draw_probes() -> tuple[Image.Image, Image.Image]:
    """Two pictures: slopes of colour, and tiles."""
    width, height = PROBE_SIDES
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    slopes = np.stack([255 * x // width, 255 * y // height, 255 - 255 * x // width], axis=2)
    tiles = np.where(((x // 8 + y // 8) % 2 == 0)[..., None], (230, 200, 40), (30, 60, 160))
    first, second = (Image.fromarray(one.astype(np.uint8)) for one in (slopes, tiles))
    return first, second
