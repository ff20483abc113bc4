"""A JPEG that lacks its end mark only is read; one that lacks a pixel, or was filled up, is refused."""

import io

import numpy as np
import pytest
from PIL import Image

from kis_bench.errors import BadFile
from kis_bench.files.images import read_image
from kis_bench.files.jpeg_ends import end_jpeg
from kis_bench.labelling.web.pictures import scale_picture

FORMS = {
    "baseline": {},
    "fine": {"quality": 98, "subsampling": 0},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_rows": 1},
    "optimised": {"optimize": True},
}


def make_picture(mode):
    rng = np.random.default_rng(3)
    smooth = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return smooth.resize((131, 77), Image.Resampling.BICUBIC).convert(mode)


def encode(mode="RGB", **options):
    stream = io.BytesIO()
    make_picture(mode).save(stream, "JPEG", **{"quality": 85, **options})
    return stream.getvalue()


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("form", FORMS)
def test_a_jpeg_without_its_end_mark_has_all_its_pixels(tmp_path, form, mode, lost):
    whole = encode(mode, **FORMS[form])
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "a.jpg").write_bytes(whole[:-lost])
    wanted = np.asarray(read_image(tmp_path / "whole.jpg"))
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "a.jpg")), wanted)


@pytest.mark.parametrize("form", FORMS)
def test_a_jpeg_that_lacks_more_is_refused(tmp_path, form):
    whole = encode(**FORMS[form])[:-2]
    for lost in (*range(5, 60, 7), *range(60, len(whole) - 700, 97)):
        (tmp_path / "a.jpg").write_bytes(whole[:-lost])
        with pytest.raises(BadFile, match="truncated"):
            read_image(tmp_path / "a.jpg")
        # Filled up, as by a disk that had not written all.
        assert end_jpeg(whole[:-lost] + bytes(300)) is None
    assert end_jpeg(whole + bytes(300)) is None
    assert end_jpeg(whole) is not None


def test_a_jpeg_cut_at_a_restart_or_before_a_scan_is_refused(tmp_path):
    """There, no byte within is missing."""
    for form, mark in (("with restarts", b"\xff\xd3"), ("progressive", b"\xff\xda")):
        whole = encode(**FORMS[form])
        for at in (whole.index(mark), whole.rindex(mark)):
            if at > whole.index(b"\xff\xda"):
                (tmp_path / "a.jpg").write_bytes(whole[:at])
                with pytest.raises(BadFile, match="truncated"):
                    read_image(tmp_path / "a.jpg")


def test_pages_show_it_too(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode()[:-2])
    shown = Image.open(io.BytesIO(scale_picture(tmp_path / "a.jpg")))
    assert np.abs(np.asarray(shown, int) - np.asarray(make_picture("RGB"), int)).mean() < 8
