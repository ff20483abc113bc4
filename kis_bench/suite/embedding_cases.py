"""Pictures and networks made for measuring how near embedding comes to the parts that it consists of."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kis_bench.embed import embed_collection
from kis_bench.files.images import read_image
from kis_bench.records import Checkpoint, Collection
from kis_bench.store import Store
from kis_bench.suite.measured_rows import (
    SpeedRow,
    count_cores,
    describe_software,
    find_spread,
    measure_seconds,
)

DISTINCT_PICTURES = 48
JPEG_SIZE, PHOTO_SIZE = (640, 480), (4000, 3000)
#: Embeds pictures and prints how much memory that took beyond the model and what it needs for one picture, in MiB.
MEASURE_EMBEDDING = """
import re, sys
from pathlib import Path
from PIL import Image
from kis_bench import encoders
from kis_bench.embed import embed_collection
from kis_bench.records import Collection
from kis_bench.store import Store

def measure(name):
    with open("/proc/self/status") as file:
        return int(re.search(name + r":\\s+(\\d+)", file.read())[1]) / 1024

folder, store, n = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
encoder = encoders.load("demo", device="cpu", decode=sys.argv[4])
encoder.encode_images([Image.new("RGB", (64, 64))])
before = measure("VmRSS")
paths = sorted(folder.glob("*.jpg"))
ids = tuple(map(str, range(n)))
embed_collection(Collection("photos", ids, tuple(paths[i % len(paths)] for i in range(n)), ids), encoder, Store(store))
print(measure("VmHWM") - before)
"""


def make_jpegs(folder: Path, n: int, size: tuple[int, int], distinct: int) -> Collection:
    """Writes pictures that a camera could have taken; a collection has them again and again, as items of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    rough = (size[1] // 16, size[0] // 16, 3)
    noise = np.random.default_rng(0).integers(0, 256, rough, dtype=np.uint8)
    picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    for i in range(distinct):
        picture.rotate(i).save(folder / f"{i}.jpg", quality=90)
    ids = tuple(map(str, range(n)))
    return Collection("jpegs", ids, tuple(folder / f"{i % distinct}.jpg" for i in range(n)), ids)


def make_network(name: str) -> Any:
    """Returns an encoder of open_clip with random weights: ``vit-b-32``, or ``negligible``, which costs nothing."""
    import open_clip
    import torch

    from kis_bench.encoders.openclip.encoder import OpenClipEncoder

    class Negligible(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = torch.nn.Sequential(
                torch.nn.Conv2d(3, 16, 32, 32), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
            )

        def encode_image(self, pixels: torch.Tensor) -> Any:
            return self.visual(pixels)

    large = name == "vit-b-32"
    return OpenClipEncoder(
        Checkpoint(name, "python:random:weights"),
        name,
        "cpu",
        "fp32",
        512 if large else 16,
        open_clip.create_model("ViT-B-32") if large else Negligible(),
        open_clip.image_transform(
            224, is_train=False, interpolation="bicubic", resize_mode="shortest"
        ),
        open_clip.get_tokenizer("ViT-B-32"),
        None,
    )


class EmbeddingCase:
    """A collection and an encoder that prepares pictures, whose parts are measured with all cores busy.

    On a CPU decoding and forward passes share the cores, so nothing is faster than one after the other, each on all
    cores. Cores that share caches and memory are slower together than alone.
    """

    def __init__(self, work: str, collection: Collection, encoder: Any, parts: int) -> None:
        self.work, self.collection, self.encoder = work, collection, encoder
        self.parts = parts  # pictures of which decoding, preparing and encoding are measured
        paths = collection.paths[:parts]
        self.prepared = [encoder.prepare_image(read_image(path)) for path in paths]

    def decode(self) -> None:
        """Reads and prepares pictures in as many threads as there are cores, and does nothing else."""

        def prepare(path: Any) -> None:
            self.encoder.prepare_image(read_image(path))

        with ThreadPoolExecutor(count_cores()) as pool:
            for _ in pool.map(prepare, self.collection.paths[: self.parts]):
                pass

    def encode(self) -> None:
        """Encodes prepared pictures in batches, and does nothing else."""
        batch = getattr(self.encoder, "batch_size", None) or 16
        for start in range(0, len(self.prepared), batch):
            self.encoder.encode_prepared(self.prepared[start : start + batch])

    def measure_round(self, store: Path) -> list[list[float]]:
        """CPU and wall seconds a picture ``[2, 3]`` of decoding, of encoding and of `embed_collection`."""
        n = len(self.collection)
        whole = partial(embed_collection, self.collection, self.encoder, Store(store))
        works = ((self.decode, self.parts), (self.encode, self.parts), (whole, n))
        cpu, wall = [], []
        for work, pictures in works:

            def measure_wall(work: Callable[[], object] = work, pictures: int = pictures) -> None:
                wall.append(measure_seconds(work, "wall") / pictures)

            cpu.append(measure_seconds(measure_wall) / pictures)
        return [cpu, wall]

    def compare(
        self, make_folder: Callable[[], Path], rounds: int, at_least: float
    ) -> list[SpeedRow]:
        """Rows of the parts added up to the whole, in CPU seconds and by the wall clock."""
        self.measure_round(make_folder())  # warms up
        found = np.array([self.measure_round(make_folder()) for _ in range(rounds)])
        rows = []
        for clock, seconds in zip(("CPU", "wall"), found.transpose(1, 2, 0), strict=True):
            decoding, encoding, whole = seconds
            parts, n = decoding + encoding, len(self.collection)
            share = float(np.median(decoding / parts))
            row = SpeedRow(
                "embedding",
                self.work,
                "parts added up",
                *find_spread((parts / whole).tolist()),
                items=n,
                rounds=rounds,
                seconds=float(np.median(whole)) * n,
                clock=clock,
                threads=count_cores(),
                at_least=at_least,
                note=f"decoding and preparing are {share:.0%} of the parts",
                made_with=describe_software("numpy", "pillow", "torch"),
            )
            rows.append(row)
        return rows


def measure_embedding_memory(folder: Path, store: Path, n: int, decode: str) -> float:
    """MiB beyond the model that embedding n pictures takes at most in a process of its own; NaN but on Linux."""
    if not sys.platform.startswith("linux"):
        return math.nan
    command = [sys.executable, "-c", MEASURE_EMBEDDING, *map(str, (folder, store, n, decode))]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
