"""Finds how a picture has to be turned, from the one tag of its metadata that says so.

Nothing else is read: what cameras and programs write into the other tags is often damaged, and no reason to refuse a
picture that every browser shows.
"""

from __future__ import annotations

import re
import struct

from PIL import Image

ORIENTATION_TAG, UINT16, UINT32 = 0x0112, 3, 4
ENTRY_BYTES = 12
EXIF_MARK = b"Exif\0\0"
#: Value of the tag -> what makes the picture upright (EXIF 2.32, section 4.6.4).
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
OLD_PNG_EXIF = "Raw profile type exif"  #: as ImageMagick wrote it: hexadecimal, behind two lines
EXIF_KEYS = ("exif", OLD_PNG_EXIF)
XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
XMP_ORIENTATION = re.compile(rb"""tiff:Orientation(?:=["']|>)([1-8])""")


#: Their pixels come turned: a TIFF's by Pillow, a HEIC's by its decoder, which alone knows what its file says.
TURNED_FORMATS = ("TIFF", "HEIF")


def turn_upright(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """The pixels as the orientation of an image that was opened, which is loaded by now, says."""
    method = None if image.format in TURNED_FORMATS else TURNS.get(find_orientation(image))
    if method is None:
        return pixels
    turned = pixels.transpose(method)
    for key in (*EXIF_KEYS, *XMP_KEYS):  # which would turn it again
        turned.info.pop(key, None)
    return turned


def find_orientation(image: Image.Image) -> int:
    """The orientation that a picture's EXIF data say, else its XMP, else 1."""
    exif = image.info.get("exif")
    if exif is None and isinstance(old := image.info.get(OLD_PNG_EXIF), str):
        exif = decode_hexadecimal(old)
    # Where none came with a file, whoever made the picture may have set some.
    found = image.getexif().get(ORIENTATION_TAG) if exif is None else parse_orientation(exif)
    for key in XMP_KEYS:
        xmp = image.info.get(key, b"")
        match = XMP_ORIENTATION.search(xmp.encode() if isinstance(xmp, str) else bytes(xmp))
        if found is None and match:
            found = int(match[1])
    return 1 if found is None else found


def parse_orientation(exif: bytes) -> int | None:
    """The orientation in the first directory of EXIF data; None if there is none, or the data are damaged before it.

    >>> parse_orientation(b"MM\\0*" + bytes([0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]))
    6
    """
    tiff = exif.removeprefix(EXIF_MARK).removeprefix(EXIF_MARK)  # some programs write it twice
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (n_entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for place in range(n_entries):
            at = start + 2 + ENTRY_BYTES * place
            tag, kind = struct.unpack_from(f"{order}HH", tiff, at)
            if tag == ORIENTATION_TAG and kind in (UINT16, UINT32):
                (value,) = struct.unpack_from(
                    f"{order}{'H' if kind == UINT16 else 'I'}", tiff, at + 8
                )
                return int(value)
    except struct.error:  # it ends within
        pass
    return None


def decode_hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError:
        return b""
