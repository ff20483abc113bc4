"""The formats of pictures that are read: how each is known by its first bytes, and what opens it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from PIL import Image, features

from kis_bench.choices import LIMIT_VARIABLE, MOST_PIXELS
from kis_bench.errors import explain_install, spell_option
from kis_bench.files.jxl_headers import JXL_CODESTREAM, JXL_CONTAINER, read_jxl_header
from kis_bench.files.whole import open_regular
from kis_bench.records import Picture

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")  #: of the last, the first picture
AVIF_SUFFIXES, HEIF_SUFFIXES, JXL_SUFFIXES = (".avif",), (".heic", ".heif", ".hif"), (".jxl",)
HEAD_BYTES = 64  #: by which a format is known
PNG_MARK, PNG_TEXTS = b"\x89PNG\r\n\x1a\n", (b"tEXt", b"zTXt", b"iTXt")
AVIF_BRANDS = (b"avif", b"avis")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
WITHOUT_GUARDS = threading.Lock()  #: filters of warnings and Pillow's limit belong to all threads

Opener = Callable[[IO[bytes]], Image.Image]


def open_heif(stream: IO[bytes]) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise ValueError(f"HEIC; {explain_install('photos')}") from error
    opener: Opener = HeifImageFile
    return opener(stream)


def open_jxl(stream: IO[bytes]) -> Image.Image:
    """Opens a JPEG XL, which its plugin decodes at once: what is too large is refused before."""
    content = stream.read()
    size, orientation = read_jxl_header(content)
    limit_pixels(size)
    try:
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile
    except ImportError as error:
        raise ValueError(f"JPEG XL; {explain_install('photos')}") from error
    try:
        image: Image.Image = JXLImageFile(io.BytesIO(content))
    except RuntimeError as error:  # whose message is about building the decoder
        raise ValueError("a JPEG XL that is cut off or damaged") from error
    is_jpeg = getattr(image, "jpeg", False)  # one that was packed comes as it was before, unturned
    if orientation != 1 and not is_jpeg:
        image.info.pop("exif", None)  # which would turn it again
    return image


def has_avif() -> bool:
    """Whether Pillow was built with AVIF; before 11.3 it warns of a question that it doesn't know."""
    return "avif" in features.modules and features.check("avif") is True


def open_avif(stream: IO[bytes]) -> Image.Image:
    if not has_avif():
        raise ValueError(f"AVIF; {explain_install('photos')}")
    return open_with("AvifImagePlugin.AvifImageFile", stream)


def open_with(name: str, stream: IO[bytes]) -> Image.Image:
    """Opens a picture with a class or function of Pillow, whose plugins aren't imported before there is a picture."""
    module, _, opener = name.partition(".")
    image: Image.Image = getattr(importlib.import_module(f"PIL.{module}"), opener)(stream)
    return image


#: Nothing else is tried: some formats that Pillow knows are programs, which other programs run.
OPENERS: dict[str, Opener] = {
    "JPEG": partial(open_with, "JpegImagePlugin.jpeg_factory"),
    "PNG": partial(open_with, "PngImagePlugin.PngImageFile"),
    "WEBP": partial(open_with, "WebPImagePlugin.WebPImageFile"),
    "GIF": partial(open_with, "GifImagePlugin.GifImageFile"),
    "BMP": partial(open_with, "BmpImagePlugin.BmpImageFile"),
    "TIFF": partial(open_with, "TiffImagePlugin.TiffImageFile"),
    "AVIF": open_avif,
    "HEIF": open_heif,
    "JXL": open_jxl,
}
FIRST_BYTES = {
    b"\xff\xd8\xff": "JPEG",
    PNG_MARK: "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II": "TIFF",
    b"MM": "TIFF",
    JXL_CODESTREAM: "JXL",
    JXL_CONTAINER: "JXL",
}


def list_suffixes(*, avif: bool, heif: bool, jxl: bool = False) -> frozenset[str]:
    """The suffixes of files that are read as pictures, given which decoders are installed."""
    usual = (*JPEG_SUFFIXES, ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
    optional = ((avif, AVIF_SUFFIXES), (heif, HEIF_SUFFIXES), (jxl, JXL_SUFFIXES))
    return frozenset((*usual, *(suffix for here, own in optional if here for suffix in own)))


IMAGE_SUFFIXES = list_suffixes(
    avif=has_avif(),
    heif=importlib.util.find_spec("pillow_heif") is not None,
    jxl=importlib.util.find_spec("pillow_jxl") is not None,
)


def find_format(head: bytes) -> str | None:
    """The format of a file that begins like this; None if it is none that is read.

    >>> find_format(b"GIF89a..."), find_format(bytes([0, 0, 0, 24]) + b"ftypmif1....mif1avif"), find_format(b"%!PS")
    ('GIF', 'AVIF', None)
    """
    for mark, kind in FIRST_BYTES.items():
        if head.startswith(mark):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        box = head[8 : max(12, int.from_bytes(head[:4], "big"))]
        brands = {box[i : i + 4] for i in range(0, len(box), 4) if i != 4}  # there is a version
        for kind, own in (("AVIF", AVIF_BRANDS), ("HEIF", HEIF_BRANDS)):
            if brands.intersection(own):
                return kind
    return None


@contextlib.contextmanager
def open_picture(picture: Picture) -> Iterator[IO[bytes]]:
    """The bytes of a picture as a stream. Raises OSError if it can't be read, or is no file."""
    if not isinstance(picture, Path):
        yield io.BytesIO(picture.read_bytes())
        return
    with os.fdopen(open_regular(picture), "rb") as stream:
        yield stream


@contextlib.contextmanager
def open_image(picture: Picture) -> Iterator[Image.Image]:
    """Opens a picture and reads its header only; formats that could do more than show a picture aren't tried.

    What stands beside the pixels is no reason to refuse it: neither a comment that is too long for Pillow nor a
    warning about metadata, where warnings are errors.

    Raises:
        one of `kis_bench.files.images.UNREADABLE`
    """
    with open_picture(picture) as stream:
        kind = find_format(stream.read(HEAD_BYTES))
        if kind is None:
            raise ValueError(f"empty, or none of {', '.join(OPENERS)}")
        image = open_as(kind, stream)
        limit_pixels(image.size)
        yield image


def open_as(kind: str, stream: IO[bytes]) -> Image.Image:
    opener = OPENERS[kind]
    stream.seek(0)
    try:
        return opener(stream)
    except (Warning, Image.DecompressionBombError):
        stream.seek(0)
        with without_guards():
            return opener(stream)
    except (ValueError, SyntaxError):
        if kind != "PNG":
            raise
        stream.seek(0)
        return opener(io.BytesIO(drop_remarks(stream.read())))


@contextlib.contextmanager
def without_guards() -> Iterator[None]:
    """Neither warnings nor Pillow's own limit, which would be that of other code in this process as well."""
    with WITHOUT_GUARDS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = theirs


def set_pixel_limit(most: int | None) -> Callable[[], None]:
    """Sets how many pixels a picture may have, here and in processes that are started from now on.

    Args:
        most: None: as it is.

    Returns:
        What takes it back.
    """
    before = os.environ.get(LIMIT_VARIABLE)
    if most is not None:
        os.environ[LIMIT_VARIABLE] = str(most)

    def take_back() -> None:
        os.environ.pop(LIMIT_VARIABLE, None)
        if before is not None:
            os.environ[LIMIT_VARIABLE] = before

    return take_back


def find_pixel_limit() -> int:
    """How many pixels a picture may have: ``KIS_MAX_PIXELS``, else `MOST_PIXELS`."""
    said = os.environ.get(LIMIT_VARIABLE, "")
    return int(said) if said.isdecimal() and int(said) else MOST_PIXELS


def limit_pixels(size: tuple[int, int]) -> None:
    """Raises ValueError for a picture of more pixels than the limit."""
    n_pixels, most = size[0] * size[1], find_pixel_limit()
    if n_pixels > most:
        raise ValueError(
            f"{size[0]} x {size[1]} = {n_pixels:,} pixels, and the limit is {most:,}; "
            f"{spell_option('max-pixels')} {n_pixels} reads it"
        )


def drop_remarks(content: bytes) -> bytes:
    r"""A PNG without its comments and what is damaged beside its pixels, as far as its chunks can be told apart.

    >>> drop_remarks(PNG_MARK + b"\0\0\0\2tEXthi....\0\0\0\0pHYs....\0\0\0\0IEND....").removeprefix(PNG_MARK)
    b'\x00\x00\x00\x00IEND....'
    """
    kept, at = [content[: len(PNG_MARK)]], len(PNG_MARK)
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")  # length, kind and checksum
        kind, check = content[at + 4 : at + 8], int.from_bytes(content[end - 4 : end], "big")
        needed = kind[:1].isupper() or zlib.crc32(content[at + 4 : end - 4]) == check
        if needed and kind not in PNG_TEXTS:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)
