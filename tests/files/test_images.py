"""What is decided about odd pictures: each kind is read in one way, or refused with a reason."""

import io

import numpy as np
import pytest
from PIL import Image

from kis_bench.errors import BadFile
from kis_bench.files.images import read_image


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
    with pytest.raises(BadFile, match="exceeds limit"):
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
