"""Grey of many bits and frames smaller than their canvas, against pixels that were computed or read by others."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from kis_bench.datasets.digests import digest_picture
from kis_bench.errors import BadFile
from kis_bench.files.images import read_image
from kis_bench.files.whole import digest_content

ZERO_IS_BLACK, ZERO_IS_WHITE = 1, 0


def write_grey_tiff(file, bits, photometric, rows):
    """A TIFF without compression, little-endian, of one strip; rows of 12 bits are packed."""
    height, width = rows.shape
    if bits == 12:
        most_significant_first = (rows[..., None] >> np.arange(11, -1, -1)) & 1
        data = np.packbits(most_significant_first.reshape(height, -1), axis=1).tobytes()
    else:
        data = rows.astype(f"<u{bits // 8}").tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 277: 1, 278: height}
    tags |= {273: 8 + 2 + 12 * 9 + 4, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    header = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    file.write_bytes(header + data)
    return file


@pytest.mark.parametrize(
    ("bits", "photometric"),
    [
        (8, ZERO_IS_BLACK),
        (8, ZERO_IS_WHITE),
        (12, ZERO_IS_BLACK),
        (16, ZERO_IS_BLACK),
        (16, ZERO_IS_WHITE),
    ],
)
def test_grey_tiff_is_as_bright_as_it_says(tmp_path, bits, photometric):
    levels = np.linspace(0, 2**bits - 1, 64).astype(np.uint16).reshape(4, 16)
    file = write_grey_tiff(tmp_path / "a.tif", bits, photometric, levels)
    wanted = (levels >> (bits - 8)).astype(np.uint8)
    if photometric == ZERO_IS_WHITE:
        wanted = 255 - wanted
    read = np.asarray(read_image(file))
    np.testing.assert_array_equal(read, np.repeat(wanted[..., None], 3, axis=2))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_deep_tiff_of_another_writer_is_shown_or_refused(tmp_path, photometric, order, compression):
    """What tifffile writes and reads; Pillow refuses big-endian ones whose zero is white."""
    tifffile = pytest.importorskip("tifffile")
    levels = np.random.default_rng(0).integers(0, 65536, (16, 24), dtype=np.uint16)
    file = tmp_path / "a.tif"
    options = {"photometric": photometric, "byteorder": order, "compression": compression}
    tifffile.imwrite(file, levels, **options)
    with tifffile.TiffFile(file) as other:
        numbers, inverted = other.asarray(), other.pages[0].photometric.name == "MINISWHITE"
    try:
        read = np.asarray(read_image(file))[..., 0].astype(int)
    except BadFile:
        assert (order, photometric) == (">", "miniswhite")
        return
    wanted = 65535 - numbers if inverted else numbers
    assert np.abs(read - wanted / 257).max() <= 1


def test_a_transparent_level_of_deep_grey_is_white(tmp_path):
    levels = np.array([[0, 1, 256, 40000], [40001, 65535, 0, 257]], np.uint16)
    for level in (0, 40000):
        Image.fromarray(levels).save(tmp_path / "a.png", transparency=level)
        if b"tRNS" not in (tmp_path / "a.png").read_bytes():
            (tmp_path / "a.png").write_bytes(add_transparent_level(tmp_path / "a.png", level))
        wanted = np.where(levels == level, 255, levels >> 8)
        np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "a.png"))[..., 0], wanted)


def add_transparent_level(file, level):
    import zlib

    content = file.read_bytes()
    data = b"tRNS" + struct.pack(">H", level)
    chunk = struct.pack(">I", 2) + data + struct.pack(">I", zlib.crc32(data))
    at = content.index(b"IDAT") - 4
    return content[:at] + chunk + content[at:]


def write_small_frame(file, *, transparent=None):
    """A GIF of 12 x 8 whose first frame is 6 x 4, at (3, 2): green on palette colour 0, which is blue."""
    frame = Image.new("P", (6, 4), 1)
    frame.putpalette([0, 0, 255, 0, 255, 0, 255, 0, 0])
    frame.putpixel((0, 0), 2)
    stream = io.BytesIO()
    options = {} if transparent is None else {"transparency": transparent}
    frame.save(stream, "GIF", **options)
    content = bytearray(stream.getvalue())
    content[6:10] = struct.pack("<HH", 12, 8)  # the canvas
    at = content.index(b"\x2c\0\0\0\0" + struct.pack("<HH", 6, 4))
    content[at + 1 : at + 5] = struct.pack("<HH", 3, 2)
    file.write_bytes(content)
    return file


def test_around_a_small_first_frame_a_gif_is_transparent(tmp_path):
    wanted = np.full((8, 12, 3), 255, np.uint8)
    wanted[2:6, 3:9] = [0, 255, 0]
    wanted[2, 3] = [255, 0, 0]
    file = write_small_frame(tmp_path / "a.gif")
    np.testing.assert_array_equal(np.asarray(read_image(file)), wanted)
    wanted[2, 3] = 255
    file = write_small_frame(tmp_path / "b.gif", transparent=2)
    np.testing.assert_array_equal(np.asarray(read_image(file)), wanted)


def test_only_what_is_shown_otherwise_than_before_has_another_digest(tmp_path):
    """Vectors that were stored of the others stay valid."""
    levels = np.arange(64, dtype=np.uint16).reshape(4, 16)
    picture = Image.fromarray((levels * 3).astype(np.uint8))
    for suffix in ("png", "jpg", "webp", "bmp", "gif", "tif"):
        picture.save(tmp_path / f"same.{suffix}")
    Image.fromarray(levels).save(tmp_path / "same-deep.png")
    write_grey_tiff(tmp_path / "same-deep.tif", 16, ZERO_IS_BLACK, levels)
    write_grey_tiff(tmp_path / "same-white.tif", 8, ZERO_IS_WHITE, levels)
    (tmp_path / "same-damaged.tif").write_bytes(b"II*\0 and nothing more")
    (tmp_path / "same-empty.png").write_bytes(b"")
    write_grey_tiff(tmp_path / "anew-white.tif", 16, ZERO_IS_WHITE, levels)
    write_grey_tiff(tmp_path / "anew-12.tif", 12, ZERO_IS_BLACK, levels)
    write_small_frame(tmp_path / "anew.gif").rename(tmp_path / "anew-named.jpg")
    Image.fromarray(levels).save(tmp_path / "anew.png")
    (tmp_path / "anew.png").write_bytes(add_transparent_level(tmp_path / "anew.png", 7))
    for file in sorted(tmp_path.iterdir()):
        content = digest_content(file)
        assert (digest_picture(file) == content) == file.name.startswith("same"), file
        assert digest_picture(file, content) == digest_picture(file)
