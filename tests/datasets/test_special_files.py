"""Pipes, sockets and devices are no pictures: they are counted, and nothing waits for them."""

import os
import socket
import tarfile
from collections import Counter

import pytest
from builders import run_python
from PIL import Image

from kis_bench import datasets
from kis_bench.datasets.digests import digest_picture
from kis_bench.datasets.file_tree import walk
from kis_bench.datasets.found import SPECIAL_FILES
from kis_bench.errors import BadFile
from kis_bench.files.images import find_fault
from kis_bench.labelling.web.pictures import scale_picture

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine" / "images" / "deep").mkdir(parents=True)
    for name in ("a", "deep/b"):
        Image.new("RGB", (4, 4), "red").save(tmp_path / "mine" / "images" / f"{name}.png")
    return tmp_path / "mine"


def test_they_are_counted_and_no_items(folder, monkeypatch):
    images = folder / "images"
    os.mkfifo(images / "pipe.png")
    os.mkfifo(images / "deep" / "pipe.tar")
    (images / "link.jpg").symlink_to(images / "pipe.png")
    (images / "endless.jpg").symlink_to("/dev/zero")
    monkeypatch.chdir(images)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("door.png")
        dataset = datasets.load("mine", folder)
        assert sorted(walk(images, Counter())) == ["a.png", "deep/b.png"]
    assert dataset.collection.ids == ("a", "deep/b")
    assert dataset.left_out == {SPECIAL_FILES: 5}
    assert dataset.fingerprint


def test_members_of_archives_that_are_pipes_or_devices_are_counted(folder, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(folder.parent / "cache"))
    with tarfile.open(folder / "images" / "x.tar", "w") as tar:
        tar.add(folder / "images" / "a.png", "c.png")
        for kind in (tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE):
            member = tarfile.TarInfo(f"special{kind.decode()}.png")
            member.type = kind
            tar.addfile(member)
    os.utime(folder / "images" / "x.tar", (1_700_000_000, 1_700_000_000))
    for _ in range(2):  # the second time from the cache
        dataset = datasets.load("mine", folder)
        assert dataset.collection.ids == ("a", "c", "deep/b")
        assert dataset.left_out == {SPECIAL_FILES: 3}


def test_readers_refuse_what_is_no_file_at_once(folder):
    """Also where it took the place of a picture since the folder was listed."""
    pipe = folder / "images" / "a.png"
    pipe.unlink()
    os.mkfifo(pipe)
    assert find_fault(pipe) == "no regular file"
    with pytest.raises(BadFile, match="no regular file"):
        scale_picture(pipe)
    with pytest.raises(OSError, match="no regular file"):
        digest_picture(pipe)


def test_no_table_is_waited_for(folder):
    (folder / "images.csv").write_text("item_id,path\na,images/pipe.png\n")
    os.mkfifo(folder / "images" / "pipe.png")
    os.mkfifo(folder / "labels-more.csv")
    done = run_python(
        "-c",
        "import sys; from kis_bench.cli import main; sys.exit(main())",
        "datasets",
        "check",
        folder,
    )
    assert done.returncode == 1
    assert "there is no file" in done.stdout
