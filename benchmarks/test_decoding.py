"""What scaled decoding of JPEGs saves and what it changes, on photos of 12 megapixels. Asked for: -m throughput -s."""

import statistics
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kis_bench.encoders.decoding import SPARE
from kis_bench.files.images import read_image

pytestmark = pytest.mark.throughput

SIZE = 4000, 3000  #: pixels
SIDE = 224  #: that pictures are shrunk to, as CLIP takes them
PAIRS = 5
LEAST_GAIN = 3.0  #: times as fast as in full
MOST_MEAN, MOST_LEVELS = 0.5, 8  #: of 255, by which pixels may differ


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """JPEGs of real photos side by side, as they are and enlarged, for cameras differ in how sharp their pixels are."""
    data = Path(pytest.importorskip("skimage").__file__).parent / "data"
    others = Path(pytest.importorskip("sklearn").__file__).parent / "datasets" / "images"
    files = [
        *(others / name for name in ("china.jpg", "flower.jpg")),
        *(data / name for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")),
    ]
    folder, found = tmp_path_factory.mktemp("photos"), {}
    for times in (1, 2, 4):
        mosaic, place = Image.new("RGB", SIZE), [0, 0]
        tiles = [Image.open(file).convert("RGB") for file in files]
        number = 0
        while place[1] < SIZE[1]:
            tile = tiles[number % len(tiles)].crop((0, 0, 400, 300))
            mosaic.paste(
                tile.resize((400 * times, 300 * times), Image.Resampling.LANCZOS), tuple(place)
            )
            number, place[0] = number + 1, place[0] + 400 * times
            if place[0] >= SIZE[0]:
                number, place = number + 1, [0, place[1] + 300 * times]
        found[times] = folder / f"{times}.jpg"
        mosaic.save(found[times], quality=90)
    return found


def prepare_squashed(image):
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def prepare_cropped(image):
    scale = SIDE / min(image.size)
    image = image.resize(
        tuple(round(scale * side) for side in image.size), Image.Resampling.BICUBIC
    )
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))


@pytest.mark.parametrize("prepare", [prepare_squashed, prepare_cropped])
def test_scaled_decoding(benchmark, photos, prepare):
    """Decode and prepare: at least three times as fast (CPU, medians of five pairs), and pixels hardly differ."""

    def take(photo, least_side):
        started = time.thread_time()
        pixels = prepare(read_image(photo, least_side=least_side))
        return time.thread_time() - started, pixels.astype(np.int64)

    for times, photo in photos.items():
        gains, least = [], SPARE * SIDE
        for _ in range(PAIRS):
            (full_s, full), (scaled_s, scaled) = take(photo, None), take(photo, least)
            gains.append(full_s / scaled_s)
        off = np.abs(full - scaled)
        gain = statistics.median(gains)
        said = f"{gain:.1f} times as fast ({min(gains):.1f} to {max(gains):.1f})"
        print(
            f"\nphotos enlarged {times}: {said}; of 255 levels {off.mean():.2f} on average, {off.max()} at most"
        )
        benchmark.extra_info[f"gain, enlarged {times}"] = gain
        benchmark.extra_info[f"mean difference, enlarged {times}"] = float(off.mean())
        assert gain >= LEAST_GAIN
        assert off.mean() <= MOST_MEAN
        assert off.max() <= MOST_LEVELS
    benchmark.pedantic(take, args=(photos[2], least))
