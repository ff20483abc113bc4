"""Compares what two routes to one model make of the same pictures and texts, before anything is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from kis_bench.checks.check import Check
from kis_bench.encoders.protocol import Encoder, PreparingEncoder
from kis_bench.records import Float64s

#: Width and height: the usual ratios, and those at which libraries round the place of a crop differently.
SAMPLE_SHAPES = ((640, 480), (480, 640), (640, 427), (500, 334), (1024, 683), (1280, 720))
SAME_LEVELS = (
    1.0  #: mean difference, of 255 levels, that other ways to resample the same pixels stay below
)
WORDINGS = ("red kite", "Red Kite", "a red kite, over the sea!", "RED KITE", "it's the kite's tail")
SIDES = {(0, 1): "right", (0, -1): "left", (1, 0): "down", (-1, 0): "up"}


@dataclass(frozen=True)
class Preparation:
    """What a model's own preprocessing made of the pictures and texts of this module."""

    name: str
    pictures: list[
        Float64s
    ]  # [3, h, w] in levels from 0 to 255; empty: not to be seen from outside
    ids: list[tuple[int, ...]]  # of each text, without padding and marks; empty: likewise


def prepare_samples(
    encoder: Encoder, shapes: Sequence[tuple[int, int]] = SAMPLE_SHAPES
) -> Preparation:
    """Prepares pictures of several shapes, and texts, with a loaded encoder."""
    rng = np.random.default_rng(0)
    pictures = []
    for width, height in shapes:
        noise = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        pictures.append(prepare_levels(encoder, picture))
    found = [picture for picture in pictures if picture is not None]
    return Preparation(encoder.name, found if len(found) == len(shapes) else [], list_ids(encoder))


def prepare_levels(encoder: Encoder, picture: Image.Image) -> Float64s | None:
    """A prepared picture in levels: black and white ones of its shape tell what the model's normalisation did."""
    if not isinstance(encoder, PreparingEncoder):
        return None
    plain = (picture, *(Image.new("RGB", picture.size, colour) for colour in ("black", "white")))
    found, black, white = (read_pixels(encoder.prepare_image(one)) for one in plain)
    if found is None or black is None or white is None:
        return None
    levels: Float64s = (found - black) / (white - black) * 255
    return levels


def read_pixels(prepared: Any) -> Float64s | None:
    """The picture ``[3, h, w]`` that goes into a network; None where it has another form, as patches have."""
    tensor = prepared.get("pixel_values") if isinstance(prepared, dict) else prepared
    if isinstance(tensor, Image.Image) or not hasattr(tensor, "shape"):
        return None
    pixels = np.asarray(tensor, dtype=np.float64)
    if pixels.ndim < 3 or pixels.shape[-3] != 3 or pixels.size != np.prod(pixels.shape[-3:]):
        return None
    return pixels.reshape(pixels.shape[-3:])


def list_ids(encoder: Encoder) -> list[tuple[int, ...]]:
    """The token ids of the texts, without what an empty text has."""
    tokenize, empty = getattr(encoder, "tokens", None), getattr(encoder, "empty", None)
    if tokenize is None or empty is None:
        return []
    tokens = tokenize(WORDINGS)[0]
    ids = tokens["input_ids"] if isinstance(tokens, dict) else tokens
    marks = {int(one) for one in empty}
    return [tuple(int(one) for one in row if int(one) not in marks) for row in ids]


def compare_preparations(
    one: Preparation, other: Preparation, shapes: Sequence[tuple[int, int]] = SAMPLE_SHAPES
) -> list[Check]:
    """One line each on pictures and texts; another preparation is no fault, but figures of both are not of one."""
    return [
        Check(f"pictures as in {other.name}", *compare_pictures(one, other, shapes)),
        Check(f"texts as in {other.name}", *compare_ids(one, other)),
    ]


def compare_pictures(
    one: Preparation, other: Preparation, shapes: Sequence[tuple[int, int]]
) -> tuple[bool | None, str]:
    if not (one.pictures and other.pictures):
        return None, "not compared: a library prepares them out of sight, or in another form"
    sizes = [" x ".join(map(str, each.pictures[0].shape[:0:-1])) for each in (one, other)]
    if sizes[0] != sizes[1]:
        return None, f"prepared at other sizes: {sizes[0]}, there {sizes[1]}"
    means = [float(np.abs(a - b).mean()) for a, b in zip(one.pictures, other.pictures, strict=True)]
    differ = [place for place, mean in enumerate(means) if mean >= SAME_LEVELS]
    if not differ:
        return True, f"prepared alike: by at most {max(means):.2f} of 255 levels on average"
    shown = ", ".join(f"{shapes[i][0]}x{shapes[i][1]}" for i in differ)
    least, most = min(means[i] for i in differ), max(means[i] for i in differ)
    moved = {find_shift(one.pictures[i], other.pictures[i]) for i in differ} - {""}
    why = f": there the crop begins one pixel further {' or '.join(sorted(moved))}" if moved else ""
    return None, (
        f"{len(differ)} of {len(means)} shapes are prepared otherwise ({shown}), by {least:.0f} to {most:.0f} of 255 "
        f"levels on average{why}; say which route figures are from"
    )


def find_shift(one: Float64s, other: Float64s) -> str:
    """To which side the other picture is one pixel away from the first; empty: it isn't."""
    for (down, right), side in SIDES.items():
        rows, columns = (slice(max(0, step), min(0, step) or None) for step in (down, right))
        back_rows, back_columns = (
            slice(max(0, -step), min(0, -step) or None) for step in (down, right)
        )
        if np.abs(one[:, rows, columns] - other[:, back_rows, back_columns]).mean() < SAME_LEVELS:
            return side
    return ""


def compare_ids(one: Preparation, other: Preparation) -> tuple[bool | None, str]:
    if not (one.ids and other.ids):
        return None, "not compared: one of them has no texts, or its ids are out of sight"
    differ = [repr(text) for text, a, b in zip(WORDINGS, one.ids, other.ids, strict=True) if a != b]
    if not differ:
        return True, f"the same ids for {len(WORDINGS)} texts, whatever their case and punctuation"
    return None, f"other ids for {len(differ)} of {len(WORDINGS)} texts: {', '.join(differ)}"
