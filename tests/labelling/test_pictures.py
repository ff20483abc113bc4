"""Pictures as pages show them."""

import io
import threading

import pytest
from PIL import Image

from kis_bench.errors import BadFile
from kis_bench.labelling.web.pictures import Pictures, scale_picture

ORIENTATION, MAKER = 0x0112, 0x010F


def save_photo(file, size, orientation=1):
    """A photo, red on the left as it is stored, with EXIF data."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = orientation, "Camera of Ada"
    image.save(file, exif=exif, quality=95)
    return file


def look(content):
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize(
    ("size", "shown"), [((4000, 3000), (1600, 1200)), ((300, 200), (300, 200))]
)
def test_no_larger_than_a_screen_and_never_enlarged(tmp_path, size, shown):
    content = scale_picture(save_photo(tmp_path / "a.jpg", size))
    assert look(content).size == shown
    assert b"Camera of Ada" not in content


def test_upright(tmp_path):
    content = scale_picture(save_photo(tmp_path / "a.jpg", (2400, 1200), orientation=6))
    found = look(content)
    assert found.size == (800, 1600)
    top, bottom = found.getpixel((400, 100)), found.getpixel((400, 1500))
    assert top[0] > 200 > 60 > top[2]
    assert bottom[2] > 200 > 60 > bottom[0]


def test_no_more_is_decoded_than_is_shown(tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        "kis_bench.labelling.web.pictures.upright",
        lambda file: sizes.append(file.size) or file.convert("RGB"),
    )
    scale_picture(save_photo(tmp_path / "a.jpg", (6000, 4000)))
    assert sizes == [(3000, 2000)]


def test_transparency_is_white(tmp_path):
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert look(scale_picture(tmp_path / "a.png")).getpixel((20, 15)) == (255, 255, 255)


def test_what_cannot_be_read_says_why(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(BadFile, match="not a readable image"):
        scale_picture(tmp_path / "a.jpg")
    with pytest.raises(BadFile, match="is missing"):
        scale_picture(tmp_path / "b.jpg")


def test_a_picture_is_scaled_once_and_a_mended_one_again(tmp_path):
    file, asked = save_photo(tmp_path / "a.jpg", (40, 30)), []

    def find(number):
        asked.append(number)
        return {1: file, 2: tmp_path / "b.jpg"}[number]

    pictures = Pictures(find)
    got = []
    threads = [threading.Thread(target=lambda: got.append(pictures.fetch(1))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert asked == [1]
    assert len({*got}) == 1
    with pytest.raises(BadFile):
        pictures.fetch(2)
    save_photo(tmp_path / "b.jpg", (40, 30))
    assert look(pictures.fetch(2)).size == (40, 30)
    with pytest.raises(KeyError):
        pictures.fetch(3)
    pictures.close()


def test_few_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("kis_bench.labelling.web.pictures.MOST_KEPT", 3)
    file = save_photo(tmp_path / "a.jpg", (40, 30))
    pictures = Pictures(lambda number: file)
    for number in range(10):
        pictures.fetch(number)
    assert [*pictures.kept] == [7, 8, 9]
    pictures.close()
