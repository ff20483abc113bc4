"""Reads pictures as people see them: upright, on white, RGB."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from kis_bench.errors import BadFile
from kis_bench.files.orientation import turn_upright
from kis_bench.records import Picture

JPEG_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".mpo",
)  # the last has several pictures: the first is shown
IMAGE_SUFFIXES = frozenset({*JPEG_SUFFIXES, ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
#: Nothing else is tried: some formats that Pillow knows are programs, which other programs run.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
PNG_MARK, PNG_TEXTS = b"\x89PNG\r\n\x1a\n", (b"tEXt", b"zTXt", b"iTXt")
WITHOUT_WARNINGS = threading.Lock()  #: filters of warnings belong to all threads
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
    """Opens a picture and reads its header only; formats that could do more than show a picture aren't tried.

    What stands beside the pixels is no reason to refuse it: neither a comment that is too long for Pillow nor a
    warning about metadata, where warnings are errors.
    """
    source: Any = picture if isinstance(picture, Path) else io.BytesIO(picture.read_bytes())
    try:
        return Image.open(source, formats=FORMATS)
    except Warning:
        with WITHOUT_WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(source, formats=FORMATS)
    except ValueError:
        content = picture.read_bytes()
        if not content.startswith(PNG_MARK):
            raise
        return Image.open(io.BytesIO(drop_texts(content)), formats=("PNG",))


def drop_texts(content: bytes) -> bytes:
    r"""A PNG without its comments, as far as its chunks can be told apart.

    >>> drop_texts(PNG_MARK + b"\0\0\0\2tEXthi....\0\0\0\0IEND....").removeprefix(PNG_MARK)
    b'\x00\x00\x00\x00IEND....'
    """
    kept, at = [content[: len(PNG_MARK)]], len(PNG_MARK)
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")  # length, kind and checksum
        if content[at + 4 : at + 8] not in PNG_TEXTS:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def explain(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "empty, or none of " + ", ".join(FORMATS)
    return str(error) or type(error).__name__


def upright(image: Image.Image) -> Image.Image:
    """The picture as a viewer shows it: turned as its EXIF data says, on white where it is transparent, RGB.

    Raises:
        ValueError: its numbers have no defined colours (32 bits a pixel, floating point, CIELAB).
    """
    turned = reduce_to_eight_bits(turn_upright(image), image.format)
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
