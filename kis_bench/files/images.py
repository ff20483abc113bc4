"""Reads pictures as people see them: upright, on white, RGB."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kis_bench.errors import BadFile
from kis_bench.records import Picture

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
#: Nothing else is tried: some formats that Pillow knows are programs, which other programs run.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
#: What a damaged file may raise out of Pillow; warnings, where somebody made errors of them.
UNREADABLE: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    EOFError,
    MemoryError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    Image.DecompressionBombError,
    Warning,
)


def read_image(picture: Picture) -> Image.Image:
    """Reads a picture as upright RGB, transparency on white; of an animation, the first frame.

    Raises:
        BadFile: it can't be read, or has no defined colours.
    """
    try:
        with open_image(picture) as file:
            return upright(file)
    except UNREADABLE as error:
        problem = (
            f"not a readable image ({explain(error)}); replace it or remove it from the collection"
        )
        raise BadFile(picture, [problem]) from error


def open_image(picture: Picture) -> Image.Image:
    """Opens a picture and reads its header only; formats that could do more than show a picture aren't tried."""
    source: Any = picture if isinstance(picture, Path) else io.BytesIO(picture.read_bytes())
    return Image.open(source, formats=FORMATS)


def explain(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "empty, or none of " + ", ".join(FORMATS)
    return str(error) or type(error).__name__


def upright(image: Image.Image) -> Image.Image:
    """The picture as a viewer shows it: turned as its EXIF data says, on white where it is transparent, RGB.

    Raises:
        ValueError: its numbers have no defined colours (32 bits a pixel, floating point, CIELAB).
    """
    turned = reduce_to_eight_bits(
        ImageOps.exif_transpose(image), image.format
    )  # which the copy has forgotten
    if turned.has_transparency_data:
        on_white = Image.new("RGBA", turned.size, "white")
        on_white.alpha_composite(turned.convert("RGBA"))
        turned = on_white
    return turned.convert("RGB")


def reduce_to_eight_bits(image: Image.Image, kind: str | None) -> Image.Image:
    """Scales 16-bit grey to 8 bits, where Pillow would turn everything above 255 white."""
    if image.mode in SIXTEEN_BITS or (image.mode == "I" and kind == "PNG"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("I", "F", "LAB"):
        raise ValueError(f"mode {image.mode} has no defined white; save it with 8 bits a colour")
    return image
