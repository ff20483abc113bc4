"""What is decided about odd pictures: each kind is read in one way, or refused with a reason."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from kis_bench.errors import BadFile
from kis_bench.files.images import read_image, upright
from kis_bench.files.picture_formats import IMAGE_SUFFIXES


def saved(folder, name, image, **options):
    image.save(folder / name, **options)
    return folder / name


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    grey = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    for name in ("deep.png", "deep.tif"):
        read = np.asarray(read_image(saved(tmp_path, name, Image.fromarray(grey))))
        assert read.shape == (8, 8, 3)
        np.testing.assert_array_equal(read[..., 0], grey >> 8)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_without_a_defined_white_are_refused(tmp_path, dtype):
    file = saved(tmp_path, "raw.tif", Image.fromarray(np.ones((8, 8), dtype)))
    with pytest.raises(BadFile, match="8 bits a colour"):
        read_image(file)


def test_cmyk_is_converted(tmp_path):
    file = saved(tmp_path, "print.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))
    red, green, blue = read_image(file).getpixel((4, 4))
    assert red > 200 > 60 > max(green, blue)


def test_palettes_keep_their_colours_and_their_transparency(tmp_path):
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    assert read_image(saved(tmp_path, "plain.png", picture)).getpixel((0, 0)) == (0, 0, 255)
    file = saved(tmp_path, "clear.gif", picture, transparency=1)
    assert read_image(file).getpixel((0, 0)) == (255, 255, 255)


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for name in ("moving.gif", "moving.webp", "moving.png"):
        file = saved(
            tmp_path,
            name,
            frames[0],
            save_all=True,
            append_images=frames[1:],
            duration=50,
            lossless=True,
        )
        assert read_image(file).getpixel((0, 0)) == (255, 0, 0)


def test_empty_truncated_and_other_files_are_refused_by_name(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
        whole, "JPEG"
    )
    for name, content in {
        "empty.jpg": b"",
        "text.jpg": b"no picture",
        "cut.jpg": whole.getvalue()[:-200],
        "program.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadFile, match=f"{name}.*\n.*replace it or remove it"):
            read_image(tmp_path / name)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    import zlib

    def chunk(kind, data):
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    header = (60_000).to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10)))
        + chunk(b"IEND", b"")
    )
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(
        BadFile, match=r"3,600,000,000 pixels, .* --kis-max-pixels 3600000000 reads it"
    ):
        read_image(tmp_path / "bomb.png")


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged metadata that it leaves out
def test_damaged_files_give_a_picture_or_one_error(tmp_path):
    """Bytes are changed at random in files of every format."""
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (24, 31, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    read = refused = 0
    for suffix in ("jpg", "png", "webp", "gif", "bmp", "tif"):
        whole = io.BytesIO()
        picture.save(whole, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()), exif=exif)
        for _ in range(150):
            content = bytearray(whole.getvalue())
            for _ in range(rng.integers(1, 6)):
                content[rng.integers(0, len(content))] = rng.integers(0, 256)
            file = tmp_path / f"damaged.{suffix}"
            file.write_bytes(
                content[: rng.integers(1, len(content) + 1)] if rng.random() < 0.3 else content
            )
            try:
                assert read_image(file).mode == "RGB"
                read += 1
            except BadFile:
                refused += 1
    assert min(read, refused) > 100


def wide():
    """48 x 32, red at the left and blue at the right, with its JPEG's two parts: start, and what follows."""
    image = Image.new("RGB", (48, 32), "blue")
    image.paste("red", (0, 0, 24, 32))
    return image


def jpeg_with(metadata):
    stream = io.BytesIO()
    wide().save(stream, "JPEG", quality=95)
    plain = stream.getvalue()
    segment = b"\xff\xe1" + struct.pack(">H", len(metadata) + 2) + metadata
    without_density = plain[20:]  # so that Pillow looks for it in the metadata
    return plain[:2] + segment + without_density


def exif_data(*entries, tail=b"", mark=b"Exif\0\0"):
    """Little-endian EXIF data: the entries (tag, type, count, four bytes), and what they point to."""
    rows = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return mark + b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4) + tail


TURNED = (0x112, 3, 1, struct.pack("<I", 6))
BEHIND_TWO_ENTRIES = struct.pack("<I", 38)
ODD = {
    "the software is a fraction": ((305, 5, 1, BEHIND_TWO_ENTRIES), struct.pack("<II", 1, 1)),
    "the artist is a number": ((315, 11, 1, struct.pack("<f", 1.5)), b""),
    "the resolution is -1/0": ((282, 10, 1, BEHIND_TWO_ENTRIES), struct.pack("<ii", -1, 0)),
    "the resolution is a text": ((282, 2, 4, b"72\0\0"), b""),
    "two resolutions": ((282, 5, 2, BEHIND_TWO_ENTRIES), struct.pack("<IIII", 72, 1, 72, 1)),
    "the width is a text": ((256, 2, 4, b"24\0\0"), b""),
    "the place lies before the file": ((34853, 9, 1, struct.pack("<i", -1)), b""),
    "it ends within": ((282, 5, 9999, BEHIND_TWO_ENTRIES), b""),
}


@pytest.mark.parametrize("case", ODD)
def test_a_photo_with_odd_metadata_is_read_and_turned(tmp_path, case):
    entry, tail = ODD[case]
    (tmp_path / "a.jpg").write_bytes(jpeg_with(exif_data(TURNED, entry, tail=tail)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read_image(tmp_path / "a.jpg")
    assert image.size == (32, 48)
    assert image.getpixel((16, 4))[0] > 200
    assert image.getpixel((16, 44))[2] > 200


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_every_orientation_is_that_of_pillow(tmp_path, kind, orientation):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((70, 50), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x112] = orientation
    options = {"lossless": True} if kind == "webp" else {}
    file = saved(tmp_path, f"a.{kind}", image, exif=exif, **options)
    expected = ImageOps.exif_transpose(Image.open(file))
    read = read_image(file)
    np.testing.assert_array_equal(np.asarray(read), np.asarray(expected))
    np.testing.assert_array_equal(np.asarray(upright(read)), np.asarray(read))  # not once more


def test_a_picture_in_memory_is_turned_as_its_maker_says():
    image = wide()
    image.getexif()[0x112] = 3
    assert upright(image).getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize("kind", ["png", "webp", "jpg"])
@pytest.mark.parametrize("exif", [b"Exif\0\0no such data", b"Exif\0\0II*\0\xff\xff\xff\x7f", b""])
def test_exif_that_is_none_hides_no_picture(tmp_path, kind, exif):
    assert read_image(saved(tmp_path, f"a.{kind}", wide(), exif=exif)).size == (48, 32)


def png_with(*chunks):
    """A PNG with these chunks, each a kind and a content, before its pixels."""
    stream = io.BytesIO()
    wide().save(stream, "PNG")
    plain = stream.getvalue()
    at = plain.index(b"IDAT") - 4
    extra = b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return plain[:at] + extra + plain[at:]


def test_a_long_comment_hides_no_png(tmp_path):
    comment = b"Comment\0\0" + zlib.compress(b"x" * 3_000_000)
    (tmp_path / "a.png").write_bytes(png_with((b"zTXt", comment)))
    assert read_image(tmp_path / "a.png").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("suffix", ["jpe", "jfif", "mpo"])
def test_other_names_of_jpeg(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    wide().save(file, "MPO" if suffix == "mpo" else "JPEG")
    assert read_image(file).size == (48, 32)
    assert file.suffix in IMAGE_SUFFIXES


def test_damage_beside_the_pixels_hides_no_png(tmp_path):
    content = png_with((b"tEXt", b"Comment\0hello"), (b"eXIf", b"MM\0*"), (b"pHYs", bytes(9)))
    for kind in (b"tEXt", b"eXIf", b"pHYs"):
        at = content.index(kind) + 5
        damaged = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        (tmp_path / "a.png").write_bytes(damaged)
        assert read_image(tmp_path / "a.png").getpixel((0, 0)) == (255, 0, 0)
    at = content.index(b"IDAT") + 12
    (tmp_path / "a.png").write_bytes(content[:at] + b"\0\0" + content[at + 2 :])
    with pytest.raises(BadFile):
        read_image(tmp_path / "a.png")


@pytest.fixture(scope="module")
def gradient():
    """A picture of 1600 x 1200 whose colours change slowly."""
    x, y = np.meshgrid(np.linspace(0, 250, 1600), np.linspace(0, 250, 1200))
    return Image.fromarray(np.stack([x, y, 250 - x], axis=2).astype(np.uint8))


@pytest.mark.parametrize(
    ("least_side", "size"),
    [
        (150, (200, 150)),
        (151, (400, 300)),
        (300, (400, 300)),
        (301, (800, 600)),
        (601, (1600, 1200)),
    ],
)
def test_a_jpeg_is_scaled_as_far_as_both_sides_keep_enough(tmp_path, gradient, least_side, size):
    admitted = []
    file = saved(tmp_path, "large.jpg", gradient, quality=90)
    scaled = read_image(file, admitted.append, least_side=least_side)
    assert admitted == [scaled.size] == [size]
    full = read_image(file)
    if size == full.size:
        assert scaled.tobytes() == full.tobytes()
    small = [
        np.asarray(image.resize((75, 75), Image.Resampling.BICUBIC)) for image in (full, scaled)
    ]
    off = np.abs(small[0].astype(int) - small[1])
    assert off.max() <= 2


@pytest.mark.parametrize("least_side", [None, 2, 9, 601])
@pytest.mark.parametrize("size", [(1, 1), (17, 9), (8, 1200)])
def test_small_jpegs_are_as_they_are(tmp_path, gradient, size, least_side):
    file = saved(tmp_path, "small.jpg", gradient.resize(size))
    scaled = read_image(file, least_side=least_side)
    if least_side is None or min(size) < 2 * least_side:
        assert scaled.tobytes() == read_image(file).tobytes()
    assert min(scaled.size) >= min(least_side or 1, *size)


@pytest.mark.parametrize("turn", range(1, 9))
def test_scaled_jpegs_are_turned(tmp_path, gradient, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    file = saved(tmp_path, "turned.jpg", gradient, exif=exif)
    scaled, full = read_image(file, least_side=150), read_image(file)
    assert scaled.size == (full.width // 8, full.height // 8)
    off = np.asarray(scaled).astype(int) - np.asarray(full.resize(scaled.size))
    assert np.abs(off).mean() < 2


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB", "progressive", "two", "without end"])
def test_all_kinds_of_jpegs_are_scaled(tmp_path, gradient, mode):
    colours = gradient.convert(mode) if mode in ("L", "CMYK") else gradient
    more = {
        "progressive": {"progressive": True},
        "two": {"format": "MPO", "save_all": True, "append_images": [gradient.rotate(180)]},
    }
    file = saved(tmp_path, "kind.jpg", colours, **more.get(mode, {}))
    if mode == "without end":
        file.write_bytes(file.read_bytes().removesuffix(b"\xff\xd9"))
    scaled, full = read_image(file, least_side=150), read_image(file)
    assert scaled.mode == "RGB"
    assert scaled.size == (full.size if mode == "without end" else (200, 150))
    off = np.asarray(scaled.resize((50, 50))).astype(int) - np.asarray(full.resize((50, 50)))
    assert np.abs(off).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tif", "gif"])
def test_other_formats_are_decoded_in_full(tmp_path, gradient, suffix):
    file = saved(tmp_path, f"large.{suffix}", gradient.resize((400, 300)))
    assert read_image(file, least_side=20).tobytes() == read_image(file).tobytes()
