"""Digests that an earlier version kept hold for what it read as it is read now, and for nothing else."""

import os
import time

import numpy as np
from PIL import Image

from kis_bench import datasets
from kis_bench.datasets import digests
from kis_bench.files.cache import FileFacts, read_file_state
from kis_bench.files.whole import digest_content


def test_digests_of_an_earlier_version_are_taken_over_but_where_pictures_show_otherwise(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    images = tmp_path / "mine" / "images"
    images.mkdir(parents=True)
    levels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(levels.astype(np.uint8)).save(images / "a.png")
    Image.fromarray(levels).save(images / "b.png", transparency=7)
    old = time.time() - 60
    rows = []
    for file in sorted(images.iterdir()):
        os.utime(file, (old, old))
        rows.append((str(file), read_file_state(file), digest_content(file)))
    FileFacts("digest").keep(rows)
    read = []
    monkeypatch.setattr(digests, "digest_chunks", lambda chunks: read.append(1))
    found = list(datasets.load("mine", tmp_path / "mine").collection.content)
    assert found[0] == rows[0][2]
    assert found[1] not in (rows[1][2], "")
    assert read == []  # nothing was read but the first bytes
    assert list(datasets.load("mine", tmp_path / "mine").collection.content) == found
