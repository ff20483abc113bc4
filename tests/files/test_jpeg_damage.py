"""Damage within a JPEG is found, with the decoder that says so; what isn't damage, or no JPEG, is no finding."""

import io

import numpy as np
import pytest
from PIL import Image

from kis_bench import datasets
from kis_bench.checks.datasets import check_dataset
from kis_bench.files import jpeg_damage
from kis_bench.files.images import read_image
from kis_bench.files.jpeg_damage import find_damage

pytest.importorskip("simplejpeg")


def encode(mode="RGB", **options):
    rng = np.random.default_rng(3)
    smooth = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    stream = io.BytesIO()
    smooth.resize((320, 240), Image.Resampling.BICUBIC).convert(mode).save(
        stream, "JPEG", **options
    )
    return stream.getvalue()


def zero_the_middle(content):
    at = len(content) // 2
    return content[:at] + bytes(300) + content[at + 300 :]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_zeros_in_the_middle_are_found(tmp_path, mode, options):
    file = tmp_path / "a.jpg"
    file.write_bytes(encode(mode, **options))
    assert find_damage(file) == ""
    file.write_bytes(zero_the_middle(encode(mode, **options)))
    read_image(file)  # as if nothing were wrong
    assert "Corrupt JPEG data" in find_damage(file)


def test_a_missing_end_mark_and_what_stands_behind_it_are_no_damage(tmp_path):
    whole = encode()
    for content in (whole[:-2], whole[:-1], whole + b"a motion photo's film", whole + bytes(50)):
        (tmp_path / "a.jpg").write_bytes(content)
        assert find_damage(tmp_path / "a.jpg") == ""
    (tmp_path / "a.jpg").write_bytes(whole[:-40] + bytes(400))  # filled up
    read_image(tmp_path / "a.jpg")
    assert find_damage(tmp_path / "a.jpg") != ""


def test_other_formats_and_files_that_cannot_be_read_are_no_matter_here(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"")
    found = [find_damage(tmp_path / name) for name in ("a.png", "b.jpg", "nowhere.jpg")]
    assert found == ["", "", ""]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine" / "images").mkdir(parents=True)
    for name, content in {"a": encode(), "b": zero_the_middle(encode())}.items():
        (tmp_path / "mine" / "images" / f"{name}.jpg").write_bytes(content)
    return tmp_path / "mine"


def find_in_check(folder):
    (found,) = [one for one in check_dataset("mine", folder) if one.name == "damage in JPEGs"]
    return found


def test_the_check_names_damaged_pictures_and_remembers_them(folder, monkeypatch):
    found = find_in_check(folder)
    assert found.passed is None
    assert found.finding.startswith("1 picture of 2: they are shown, with wrong pixels")
    assert "b (Corrupt JPEG data" in found.finding
    monkeypatch.setattr(jpeg_damage, "find_damage", lambda picture: pytest.fail("decoded again"))
    assert find_in_check(folder) == found


def test_without_its_decoder_the_check_says_that_it_did_not_look(folder, monkeypatch):
    monkeypatch.setattr(jpeg_damage.importlib.util, "find_spec", lambda name: None)
    found = find_in_check(folder)
    assert found.passed is None
    assert found.finding.startswith("not looked for")
    assert "[check]" in found.finding
    assert len(datasets.load("mine", folder).collection) == 2
