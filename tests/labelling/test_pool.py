"""The pictures of a folder that may be handed out."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest
from builders import encode_png, run_python
from served_pages import make_pictures

from kis_bench.datasets import DatasetRow
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.images import read_image
from kis_bench.labelling.texts.pool import Pool


def open_pool(folder, seed=0, wanted=(), **settings):
    return Pool(DatasetRow("mine", folder), seed, {*wanted}, **settings)


def test_pictures_in_folders_and_archives(tmp_path):
    make_pictures(tmp_path / "images" / "day", 3)
    with tarfile.open(tmp_path / "images" / "more.tar", "w") as archive:
        for file in make_pictures(tmp_path / "packed", 2).iterdir():
            archive.add(file, f"inner/{file.name}")
    pool = open_pool(tmp_path)
    expected = {*(f"day/000{i}" for i in range(3)), "inner/0000", "inner/0001"}
    assert {*pool.order} == expected
    assert pool.n_items == 5
    assert all(read_image(pool.pictures[item]).size == (80, 60) for item in pool.order)


def test_what_was_handed_out_is_found_wherever_it_stands(tmp_path):
    make_pictures(tmp_path, 30, (8, 8))
    last = open_pool(tmp_path).order[-1]
    pool = open_pool(tmp_path, wanted=[last, "gone"], size=3)
    assert len(pool.order) == 3
    assert pool.pictures.keys() == {*pool.order, last}


def test_a_list_of_pictures(tmp_path):
    make_pictures(tmp_path, 5)
    pool = open_pool(tmp_path, given=["0003", "0001", "0003"])
    assert pool.order == ["0003", "0001"]
    with pytest.raises(BadFile, match="item 'nowhere' is not in"):
        open_pool(tmp_path, given=["0001", "nowhere"])


def test_groups(tmp_path):
    make_pictures(tmp_path / "images", 6)
    with pytest.raises(KisBenchError, match="no groups to stratify by"):
        open_pool(tmp_path, stratify=True)
    rows = [f"item{i},images/000{i}.jpg,{'ab'[i > 0]}" for i in range(6)]
    (tmp_path / "images.csv").write_text("\n".join(["item_id,path,group", *rows]))
    assert "item0" in open_pool(tmp_path, stratify=True).order[:2]
    assert {*open_pool(tmp_path).order} == {f"item{i}" for i in range(6)}


def test_pictures_of_one_stem_have_the_ids_that_the_dataset_gives_them(tmp_path):
    make_pictures(tmp_path, 3)
    os.link(tmp_path / "0001.jpg", tmp_path / "0001.png")
    pool = open_pool(tmp_path, size=1)
    assert {*pool.order} == {"0000", "0001.jpg", "0001.png", "0002"}
    assert not pool.extend()


def test_two_pictures_of_one_id(tmp_path):
    for name in ("0001", "0001.jpg"):
        os.link(make_pictures(tmp_path / "a", 1) / "0000.jpg", tmp_path / f"{name}.png")
    os.link(tmp_path / "0001.png", tmp_path / "0001.jpg")
    with pytest.raises(BadFile, match="'0001' is there twice"):
        open_pool(tmp_path)


def test_no_pictures(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(KisBenchError, match="no images in"):
        open_pool(tmp_path)


MEASURED = """
import re, sys
from pathlib import Path
from kis_bench.datasets import DatasetRow
from kis_bench.labelling.texts import pool

count = int(sys.argv[1])
pool.walk = lambda root, ignored: (f"{i // 1000:04d}/{i:07d}.jpg" for i in range(count))
found = pool.Pool(DatasetRow("mine", Path(".")), 0, set())
assert (found.n_items, len(found.order)) == (count, pool.MOST_AHEAD)
# What the system says of a process' resources counts the one that started it.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux")
def test_memory_does_not_grow_with_the_collection():
    """A hundred times as many pictures take little more: 8 bytes for each, and the names of the first."""
    few, many = (
        float(run_python("-c", MEASURED, str(count)).stdout) for count in (10_000, 1_000_000)
    )
    assert many - few < 40
    assert many < 300


def test_pictures_of_a_saved_dataset_are_handed_out_where_there_are_no_others(tmp_path):
    written = Path(__file__).parents[1] / "data" / "written" / "saved" / "whole"
    assert sorted(open_pool(written).order) == [*"abcdef"]
    shutil.copytree(written, tmp_path / "hf")
    (tmp_path / "photo.png").write_bytes(encode_png(1))
    for settings in ({}, {"given": ["photo"]}):
        assert open_pool(tmp_path, **settings).order == ["photo"]
    with pytest.raises(BadFile, match="'hf/a' is not in"):
        open_pool(tmp_path, given=["hf/a"])
