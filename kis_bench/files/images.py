"""Reads pictures as people see them: upright, on white, RGB."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.errors import BadFile, spell_option
from kis_bench.files.jpeg_ends import load_pixels
from kis_bench.files.orientation import turn_upright
from kis_bench.files.picture_formats import find_format, open_image
from kis_bench.files.text import make_plain
from kis_bench.records import Picture

SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")  #: modes of grey
PNG_DEPTH_AND_COLOUR, SIXTEEN_BIT_GREY = slice(24, 26), b"\x10\0"  #: of its first chunk
BITS_TAG, WHITE_TAG, ZERO_IS_WHITE = 258, 262, 0  #: of TIFF
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


def read_image(
    picture: Picture,
    admit: Callable[[tuple[int, int]], object] = lambda _: None,
    *,
    least_side: int | None = None,
) -> Image.Image:
    """Reads a picture as upright RGB, transparency on white; of an animation, the first frame.

    Args:
        admit: is told its width and height before the pixels are decoded, and may wait.
        least_side: a JPEG comes at a half, a quarter or an eighth of its size, the smallest of them that leaves each
            side at least so many pixels; None: at its own size. One without its end mark always does.

    Raises:
        BadFile: it can't be read, or has no defined colours, or memory doesn't hold it.
    """
    try:
        with open_image(picture) as file:
            if least_side is not None:
                file.draft("RGB", (least_side, least_side))  # which other formats don't heed
            admit(file.size)
            return upright(file)
    except UNREADABLE as error:
        problem = (
            f"not a readable image ({explain(error)}); replace it or remove it from the collection, "
            f"or leave it out with {spell_option('skip-unreadable')}"
        )
        raise BadFile(picture, [problem]) from error


def find_fault(picture: Picture) -> str:
    """Why a picture can't be read; "" if it can."""
    try:
        with open_image(picture) as file:
            upright(file)
    except UNREADABLE as error:
        return explain(error)
    return ""


def explain(error: BaseException) -> str:
    """Why a picture can't be read, in a line, without its path."""
    if isinstance(error, MemoryError):
        return "memory doesn't hold its pixels"
    said = make_plain(getattr(error, "strerror", None) or error)
    return said if any(map(str.isalpha, said)) else f"{type(error).__name__} {said}".strip()


def upright(image: Image.Image) -> Image.Image:
    """The picture as a viewer shows it: turned as its metadata say, on white where it is transparent, RGB.

    Returns:
        The picture itself where it is shown as it is.

    Raises:
        ValueError: its numbers have no defined colours (32 bits a pixel, floating point, CIELAB).
    """
    turned = turn_upright(to_eight_bits(load_pixels(image)), image)
    if turned.has_transparency_data:
        on_white = Image.new("RGBA", turned.size, "white")
        on_white.alpha_composite(turned.convert("RGBA"))
        turned = on_white
    return turned if turned.mode == "RGB" else turned.convert("RGB")


def to_eight_bits(image: Image.Image) -> Image.Image:
    """The picture with 8 bits a channel, where Pillow would cut, invert or fill what a viewer doesn't."""
    if image.mode in SIXTEEN_BITS or (image.mode, image.format) == ("I", "PNG"):  # of older Pillow
        return Image.fromarray(scale_deep_grey(image))
    if image.mode in ("I", "F", "LAB"):
        raise ValueError(f"mode {image.mode} has no defined white; save it with 8 bits a colour")
    extent = find_first_frame(image)
    if extent is not None:
        canvas = Image.new("RGBA", image.size)  # transparent
        canvas.paste(image.convert("RGBA").crop(extent), extent)
        return canvas
    return image


def is_shown_anew(head: bytes, picture: Picture) -> bool:
    """Whether a picture was shown otherwise by versions that knew no grey of 12 bits and no white zero among others.

    Args:
        head: its first bytes, of which `HEAD_BYTES` tell its format.
    """
    kind = find_format(head)
    deep_png = kind == "PNG" and head[PNG_DEPTH_AND_COLOUR] == SIXTEEN_BIT_GREY
    if kind not in ("TIFF", "GIF") and not deep_png:
        return False
    try:
        with open_image(picture) as image:
            if kind == "GIF":
                return find_first_frame(image) is not None
            deep = image.mode in SIXTEEN_BITS or deep_png
            bits, inverted, level = describe_deep_grey(image)
            return deep and (bits != 16 or inverted or level is not None)
    except UNREADABLE:
        return False


def describe_deep_grey(image: Image.Image) -> tuple[int, bool, int | None]:
    """Of grey with more than 8 bits: how many, whether zero is white, and the level that is transparent, if any."""
    tags, level = getattr(image, "tag_v2", {}), image.info.get("transparency")
    bits = max(tags.get(BITS_TAG, (16,)))
    inverted = tags.get(WHITE_TAG) == ZERO_IS_WHITE
    return bits, inverted, level if isinstance(level, int) else None


def find_first_frame(image: Image.Image) -> tuple[int, int, int, int] | None:
    """Where the first frame of a GIF lies, if that isn't all of its canvas."""
    extent = getattr(image, "dispose_extent", None)
    return None if extent is None or tuple(extent) == (0, 0, *image.size) else tuple(extent)


def scale_deep_grey(image: Image.Image) -> NDArray[np.uint8]:
    """The highest 8 bits of grey, white where the file says that zero or a level that is transparent is white."""
    deep = np.asarray(image).astype(np.uint32)
    bits, inverted, level = describe_deep_grey(image)
    grey = (deep >> (bits - 8)).astype(np.uint8)
    if inverted:
        grey = 255 - grey
    return grey if level is None else np.where(deep == level, np.uint8(255), grey)
