"""Reads JPEG files that lack nothing but their end mark, which Pillow takes for cut off.

Whether one does can't be seen: a decoder fills what is missing with grey. So other bytes are put behind its end. If
they change nothing, no pixel was waiting for more; and if they change something once they stand in place of its last
bytes, these were needed: it isn't filled up with zeros or anything else.
"""

from __future__ import annotations

import io

from PIL import Image

END_MARK = b"\xff\xd9"
SCAN_MARK, RESTART_MARKS = 0xDA, range(0xD0, 0xD8)
COEFFICIENTS = 64  #: of a block
NEEDED_BYTES = 4  #: the last ones, of which some pixel depends on one at least
#: Bytes that decode to something, whatever is decoded: behind any restart mark, too.
OTHER_ENDS = tuple(
    content + b"".join(bytes([0xFF, mark]) + content for mark in RESTART_MARKS) + END_MARK
    for content in (bytes(range(1, 97)), b"\x5a\xa5\x0f\x33" * 24)
)


def load_pixels(image: Image.Image) -> Image.Image:
    """The picture with its pixels; of a JPEG without its end mark, another image of the same file.

    Raises:
        OSError: it is cut off, and what else Pillow raises.
    """
    try:
        image.load()
        return image
    except OSError:
        stream = getattr(image, "fp", None)
        if image.format != "JPEG" or stream is None:
            raise
        stream.seek(0)
        ended = end_jpeg(stream.read())
        if ended is None:
            raise
        return ended


def end_jpeg(content: bytes) -> Image.Image | None:
    """The picture of a JPEG without its end mark; None if it lacks more, or something stands behind its pixels."""
    content = content.removesuffix(END_MARK[:1])
    if content.endswith(bytes(NEEDED_BYTES)) or not has_all_scans(content):
        return None
    ended = decode_jpeg(content + END_MARK)
    pixels = ended.tobytes()

    def is_same(start: bytes) -> bool:
        try:
            return all(decode_jpeg(start + end).tobytes() == pixels for end in OTHER_ENDS)
        except OSError:  # what stands there can't be decoded, so it is looked at
            return False

    return ended if is_same(content) and not is_same(content[:-NEEDED_BYTES]) else None


def decode_jpeg(content: bytes) -> Image.Image:
    from PIL import JpegImagePlugin  # not before there is a picture

    image = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    image.load()
    return image


def has_all_scans(content: bytes) -> bool:
    """Whether scans begin for all coefficients of all components to their last bit; of a progressive one, many do."""
    components: set[int] = set()
    missing_bits: dict[tuple[int, int], int] = {}
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF or content[at + 1] in (0x00, 0xFF, *RESTART_MARKS):
            at = content.find(b"\xff", at + 1)  # within a scan, or filled up
            if at < 0:
                break
            continue
        kind, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        segment = content[at + 4 : at + 2 + length]
        if kind == SCAN_MARK and segment and len(segment) >= 2 * segment[0] + 4:
            first, last, bits = segment[2 * segment[0] + 1 : 2 * segment[0] + 4]
            for component in segment[1 : 2 * segment[0] + 1 : 2]:
                for place in range(first, min(last, COEFFICIENTS - 1) + 1):
                    missing_bits[component, place] = bits & 15
        elif 0xC0 <= kind <= 0xC2 and len(segment) >= 6:
            components.update(segment[6::3])
        at += 2 + length
    wanted = [(component, place) for component in components for place in range(COEFFICIENTS)]
    return bool(wanted) and not any(missing_bits.get(one, 1) for one in wanted)
