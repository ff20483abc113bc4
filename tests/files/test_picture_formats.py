"""Which files are pictures, how many pixels they may have, and the formats of phones."""

import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from kis_bench.errors import BadFile
from kis_bench.files.images import find_fault, read_image
from kis_bench.files.jxl_headers import JXL_CONTAINER, read_jxl_header
from kis_bench.files.picture_formats import find_format, list_suffixes, set_pixel_limit


def four_colours(width=96, height=64):
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("white", (width // 2, 0, width, height // 2))
    image.paste("black", (0, height // 2, width // 2, height))
    return image


def make_exif(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


def save_heic(folder, image, orientation=None):
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    exif = make_exif(orientation).tobytes() if orientation else None
    pillow_heif.from_pillow(image).save(stream, quality=95, exif=exif)
    (folder / "a.heic").write_bytes(stream.getvalue())
    return folder / "a.heic"


def turn_container(content, kind, value):
    """A HEIC with this ``irot`` or ``imir``, if need be in place of what says how many bits a channel has."""
    at = content.index(kind if kind in content else b"pixi") - 4
    size = int.from_bytes(content[at : at + 4], "big")
    box = struct.pack(">I", size) + kind + bytes([value]) + bytes(size - 9)
    return content[:at] + box + content[at + size :]


def measure_difference(one, other):
    assert one.size == other.size
    return np.abs(np.asarray(one, int) - np.asarray(other, int)).mean()


def test_a_picture_of_too_many_pixels_names_the_option(tmp_path):
    four_colours().save(tmp_path / "a.png")
    take_back = set_pixel_limit(96 * 64)
    try:
        assert read_image(tmp_path / "a.png").size == (96, 64)
        set_pixel_limit(96 * 64 - 1)
        assert find_fault(tmp_path / "a.png") == (
            "96 x 64 = 6,144 pixels, and the limit is 6,143; --kis-max-pixels 6144 reads it"
        )
    finally:
        take_back()
    assert find_fault(tmp_path / "a.png") == ""


def write_png_header(file, width, height):
    """A PNG that says how large it is, and has few of its pixels."""

    def chunk(kind, data):
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(10)))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b""))


@pytest.mark.parametrize("filters", ["default", "error"])
def test_the_largest_pictures_of_phones_are_not_refused_for_their_size(tmp_path, filters):
    """Without a word about bombs, whatever Pillow's own limit is; which stays as it is."""
    write_png_header(tmp_path / "a.png", 16320, 12240)
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter(filters)
        assert "truncated" in find_fault(tmp_path / "a.png")
    assert said == []
    assert before == Image.MAX_IMAGE_PIXELS
    write_png_header(tmp_path / "b.png", 16320, 16320)
    assert "266,342,400 pixels, and the limit is 250,000,000" in find_fault(tmp_path / "b.png")


@pytest.mark.slow
def test_a_photo_of_200_million_pixels_is_read(tmp_path):
    Image.new("RGB", (16320, 12240), (90, 120, 200)).save(tmp_path / "a.jpg", quality=50)
    assert read_image(tmp_path / "a.jpg").size == (16320, 12240)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_once(tmp_path, orientation):
    """Its encoder makes ``irot`` and ``imir`` of the orientation."""
    exif = make_exif(orientation)
    try:
        four_colours().save(tmp_path / "a.avif", exif=exif, quality=95)
    except (KeyError, OSError, ValueError):
        pytest.skip("Pillow without AVIF")
    assert (b"irot" in (tmp_path / "a.avif").read_bytes()) == (orientation in (3, 5, 6, 7, 8))
    four_colours().save(tmp_path / "a.png", exif=make_exif(orientation))
    wanted = ImageOps.exif_transpose(Image.open(tmp_path / "a.png"))
    assert measure_difference(read_image(tmp_path / "a.avif"), wanted) < 4


@pytest.mark.parametrize("exif", [None, 6, 8])
@pytest.mark.parametrize("quarters", range(4))
def test_heic_is_turned_as_its_container_says_once(tmp_path, quarters, exif):
    """Where EXIF data say something else or the same as ``irot``, readers of HEIC don't ask them."""
    file = save_heic(tmp_path, four_colours(), exif)
    file.write_bytes(turn_container(file.read_bytes(), b"irot", quarters))
    wanted = four_colours().rotate(90 * quarters, expand=True)  # both count against the clock
    assert measure_difference(read_image(file), wanted) < 4


@pytest.mark.parametrize("axis", [0, 1])
def test_heic_is_mirrored_as_its_container_says(tmp_path, axis):
    file = save_heic(tmp_path, four_colours())
    file.write_bytes(turn_container(file.read_bytes(), b"imir", axis))
    wanted = (ImageOps.flip if axis == 0 else ImageOps.mirror)(four_colours())
    assert measure_difference(read_image(file), wanted) < 4


def test_heic_under_the_name_of_a_jpeg_is_read_or_says_what_it_takes(tmp_path, monkeypatch):
    file = save_heic(tmp_path, four_colours()).rename(tmp_path / "a.jpg")
    assert read_image(file).size == (96, 64)
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(BadFile, match=r"HEIC; .*\[photos\]"):
        read_image(file)


def test_deep_grey_of_heic_is_scaled(tmp_path):
    grey = np.tile(np.arange(0, 65536, 1024, dtype=np.uint16), (64, 1))
    file = save_heic(tmp_path, Image.fromarray(grey))
    read = np.asarray(read_image(file))[..., 1]
    assert np.abs(read.astype(int) - (grey >> 8)).mean() < 4


def save_jxl(folder, image, **settings):
    pytest.importorskip("pillow_jxl")
    image.save(folder / "a.jxl", "JXL", lossless=True, **settings)
    return folder / "a.jxl"


@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_jxl_is_turned_as_its_exif_says_where_the_codestream_says_nothing(
    tmp_path, orientation, container
):
    exif = make_exif(orientation)
    file = save_jxl(tmp_path, four_colours(), exif=exif.tobytes(), use_container=container)
    assert read_jxl_header(file.read_bytes()) == ((96, 64), 1)
    four_colours().save(tmp_path / "a.png", exif=exif)
    wanted = ImageOps.exif_transpose(Image.open(tmp_path / "a.png"))
    assert measure_difference(read_image(file), wanted) == 0


def split_boxes(content):
    """(kind, bytes with head) of each box of a container."""
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big") or len(content) - at
        yield content[at + 4 : at + 8], content[at : at + size]
        at += size


@pytest.mark.parametrize("kept", ["packed JPEG", "without EXIF", "with open EXIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_jxl_of_a_jpeg_is_turned_once(tmp_path, orientation, kept):
    """Whose codestream is turned: the JPEG comes back as it was; without what that takes, pixels come upright."""
    pytest.importorskip("pillow_jxl")
    exif = make_exif(orientation)
    four_colours().save(tmp_path / "a.jpg", quality=95, exif=exif)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how a JPEG is packed
        Image.open(tmp_path / "a.jpg").save(tmp_path / "a.jxl")
    content = (tmp_path / "a.jxl").read_bytes()
    assert read_jxl_header(content) == ((96, 64), orientation)
    if kept != "packed JPEG":
        parts = [part for kind, part in split_boxes(content) if kind not in (b"jbrd", b"brob")]
        if kept == "with open EXIF":
            tiff = exif.tobytes().removeprefix(b"Exif\0\0")
            box = struct.pack(">I", len(tiff) + 12) + b"Exif" + bytes(4) + tiff
            parts.insert(2, box)
        (tmp_path / "a.jxl").write_bytes(b"".join(parts))
    wanted = ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg"))
    assert measure_difference(read_image(tmp_path / "a.jxl"), wanted) < 4


def test_jxl_is_laid_on_white_scaled_or_refused_as_other_formats_are(tmp_path):
    clear = save_jxl(tmp_path, Image.new("RGBA", (8, 8), (255, 0, 0, 0)))
    assert read_image(clear).getpixel((3, 3)) == (255, 255, 255)
    grey = np.tile(np.arange(0, 65536, 1024, dtype=np.uint16), (64, 1))
    read = np.asarray(read_image(save_jxl(tmp_path, Image.fromarray(grey))))[..., 1]
    np.testing.assert_array_equal(read, grey >> 8)
    light = save_jxl(tmp_path, Image.fromarray(np.ones((8, 8), np.float32)))
    assert "mode F has no defined white" in find_fault(light)


def test_jxl_that_is_cut_or_too_large_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    file = save_jxl(tmp_path, four_colours())
    whole = file.read_bytes()
    assert measure_difference(read_image(file, least_side=8), four_colours()) == 0  # not scaled
    file.write_bytes(whole[: len(whole) // 2])
    assert find_fault(file) == "a JPEG XL that is cut off or damaged"
    file.write_bytes(whole[:3])
    assert find_fault(file) == "it ends within its header"
    file.write_bytes(JXL_CONTAINER)
    assert find_fault(file) == "JPEG XL without a codestream"
    file.write_bytes(whole)
    take_back = set_pixel_limit(96 * 64 - 1)
    monkeypatch.setitem(__import__("sys").modules, "pillow_jxl.JpegXLImagePlugin", None)
    try:
        assert "96 x 64 = 6,144 pixels, and the limit is 6,143" in find_fault(file)
    finally:
        take_back()
    assert "JPEG XL; " in find_fault(file)
    assert "[photos]" in find_fault(file)


@pytest.mark.parametrize("size", [(8, 8), (256, 256), (40, 40), (64, 48), (100, 50), (1, 700)])
def test_sizes_of_jxl_are_read_from_their_header(tmp_path, size):
    file = save_jxl(tmp_path, Image.new("RGB", size, "red"))
    assert read_jxl_header(file.read_bytes()) == (size, 1)


def test_suffixes_follow_what_is_installed():
    assert {".jpg", ".png"} <= list_suffixes(avif=False, heif=False)
    assert list_suffixes(avif=True, heif=False) - list_suffixes(avif=False, heif=False) == {".avif"}
    assert {".heic", ".heif", ".hif"} <= list_suffixes(avif=False, heif=True)
    assert ".jxl" in list_suffixes(avif=False, heif=False, jxl=True)


@pytest.mark.parametrize(
    ("brand", "kind"),
    [(b"heic", "HEIF"), (b"avif", "AVIF"), (b"isom", None), (b"qt  ", None), (b"mif1", "HEIF")],
)
def test_containers_are_told_by_their_brands(brand, kind):
    box = b"ftyp" + brand + bytes(4) + b"iso8"
    assert find_format(struct.pack(">I", len(box) + 4) + box + b"heicheic") == kind


def test_threads_that_read_large_pictures_leave_pillows_limit_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    image = four_colours()
    image.save(tmp_path / "a.webp")  # whose reader asks for Pillow's own limit
    faults = []
    work = [
        threading.Thread(target=lambda: faults.append(find_fault(tmp_path / "a.webp")))
        for _ in range(8)
    ]
    for one in work:
        one.start()
    for one in work:
        one.join()
    assert faults == [""] * 8
    assert Image.MAX_IMAGE_PIXELS == 100
