"""Which pictures lie below a folder: files, tar archives, Parquet tables; and their digests."""

import hashlib
import io
import os
import tarfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import encode_png as png

from kis_bench import datasets
from kis_bench.datasets import digests, listing
from kis_bench.datasets.digests import Digests
from kis_bench.datasets.found import NO_IMAGE
from kis_bench.datasets.listing import list_pictures
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.images import read_image
from kis_bench.files.progress import watch


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


def put(file, content, age=60):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (time.time() - age,) * 2)
    return file


def pack(file, members, mode="w"):
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, mode) as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    os.utime(file, (time.time() - 60,) * 2)
    return file


def write_hub_table(file, rows, **more):
    """A table as the library ``datasets`` writes it: rows of a path and a picture's value, either perhaps None."""
    cells = [{"bytes": v if v is None else png(v), "path": path} for path, v in rows]
    image = pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": image, **more}), file, row_group_size=2)


def values(found):
    return [read_image(picture).getpixel((0, 0))[0] for picture in found.pictures]


def test_an_archive_counts_as_if_it_were_unpacked_where_it_lies(tmp_path):
    put(tmp_path / "b.png", png(2))
    put(tmp_path / "notes.txt", b"")
    put(tmp_path / ".hidden.png", b"")
    pack(
        tmp_path / "00000.tar",
        {"a.png": png(1), "a.json": b"{}", "./c/d.PNG": png(3), "._a.png": b""},
    )
    pack(tmp_path / "more" / "00001.tar", {"e.png": png(4)})
    pq.write_table(
        pa.table(
            {
                "item_id": ["x", "y"],
                "image": [png(5), png(6)],
                "group": ["g", "h"],
                "time_s": [0.5, 1],
            }
        ),
        tmp_path / "more" / "table.parquet",
    )
    found = list_pictures("mine", tmp_path)
    assert found.ids == ["a", "b", "c/d", "more/e", "more/x", "more/y"]
    assert values(found) == [1, 2, 3, 4, 5, 6]
    assert found.ignored == {".txt": 1, ".json": 1}
    assert found.groups == [None, None, None, None, "g", "h"]
    assert found.times_s == [None, None, None, None, 0.5, 1.0]
    contents = [png(i) for i in range(1, 7)]
    assert list(Digests("mine", found.pictures)) == [
        hashlib.sha256(content).hexdigest() for content in contents
    ]


def test_the_same_pictures_packed_or_not_are_the_same_collection(tmp_path):
    members = {f"{i}.png": png(i) for i in range(5)}
    for name, content in members.items():
        put(tmp_path / "files" / "images" / name, content)
    pack(tmp_path / "tar" / "images" / "all.tar", members)
    (tmp_path / "parquet" / "images").mkdir(parents=True)
    pq.write_table(
        pa.table(
            {
                "key": [name[:-4] for name in members],
                "image": [{"bytes": content, "path": name} for name, content in members.items()],
            }
        ),
        tmp_path / "parquet" / "images" / "all.parquet",
        row_group_size=2,
    )
    fingerprints = {
        datasets.load("mine", tmp_path / form).fingerprint for form in ("files", "tar", "parquet")
    }
    assert len(fingerprints) == 1


@pytest.mark.parametrize(
    ("paths", "more", "ids"),
    [
        (["0.png", "sub/1.JPG", "/home/me/2.png"], {}, ["0", "sub/1", "2"]),
        (["C:\\me\\0.png", "zip://x/1.png::https://a/b.zip", ".\\2.png"], {}, ["0", "1", "2"]),
        (["0.png"] * 3, {"filename": ["a.png", "b.png", "c"]}, ["a", "b", "c"]),
        (
            [None] * 3,
            {"file_name": ["d/a.png", "d/b.png", "d/a.jpg"]},
            ["d/a.png", "d/b", "d/a.jpg"],
        ),
        (["x.png"] * 3, {"id": [7, 8, 9]}, ["7", "8", "9"]),  # different pictures: ids of these
    ],
)
def test_tables_of_the_hub_name_pictures_by_their_files(tmp_path, paths, more, ids):
    rows = [(path, value) for value, path in enumerate(paths)]
    write_hub_table(tmp_path / "x.parquet", rows, **more)
    found = list_pictures("mine", tmp_path)
    assert dict(zip(found.ids, values(found), strict=True)) == {
        item: value for value, item in enumerate(ids)
    }


def test_a_row_for_each_caption_makes_one_item(tmp_path):
    rows = [("a.png", 1), ("a.png", 1), ("b.png", 2), ("a.png", 1)]
    write_hub_table(tmp_path / "1" / "x.parquet", rows)
    write_hub_table(tmp_path / "1" / "y.parquet", [("b.png", 2), ("c.png", 3)])
    write_hub_table(tmp_path / "2" / "x.parquet", rows, id=[10, 11, 12, 13])
    write_hub_table(tmp_path / "3" / "x.parquet", rows, item_id=["a", "a", "b", "a"])
    for folder, ids in {"1": ["a", "b", "c"], "2": ["a", "b"], "3": ["a", "b"]}.items():
        found = list_pictures("mine", tmp_path / folder)
        assert (found.ids, values(found)) == (ids, [1, 2, 3][: len(ids)])
    write_hub_table(tmp_path / "1" / "z.parquet", [("a.png", 9)])
    with pytest.raises(BadFile, match="item 'a' is there twice"):
        list_pictures("mine", tmp_path / "1")


def test_rows_without_an_image_are_left_out_and_counted(tmp_path):
    table = pa.table(
        {
            "key": ["a", "b", "c"],
            "jpg": [png(1), None, png(3)],
            "error_message": [None, "404", None],
        }
    )
    pq.write_table(table, tmp_path / "00000.parquet")
    found = list_pictures("mine", tmp_path)
    assert found.ids == ["a", "c"]
    assert found.ignored == {NO_IMAGE: 1}
    assert values(found) == [1, 3]


def test_the_notes_beside_a_shard_are_no_pictures(tmp_path):
    pack(
        tmp_path / "00000.tar",
        {"000000000.jpg": png(7), "000000000.json": b"{}", "000000000.txt": b"a cat"},
    )
    pq.write_table(
        pa.table({"url": ["x"], "key": ["000000000"], "status": ["success"]}),
        tmp_path / "00000.parquet",
    )
    found = list_pictures("mine", tmp_path)
    assert found.ids == ["000000000"]
    assert found.ignored == {".json": 1, ".txt": 1, ".parquet": 1}


def test_the_same_item_twice_names_both_places(tmp_path):
    put(tmp_path / "a.png", png(1))
    pack(tmp_path / "x.tar", {"a.png": png(1)})
    with pytest.raises(BadFile, match=r"item 'a' is there twice: .*a\.png.*rename or delete one"):
        list_pictures("mine", tmp_path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: put(f / "x.tar", b"no archive at all"), "not a readable tar archive"),
        (lambda f: put(f / "x.tar", b""), "not a readable tar archive"),
        (lambda f: pack(f / "x.tar", {"a.png": png(1)}, "w:gz"), "has to be decompressed"),
        (
            lambda f: put(f / "x.tar", pack(f / "y", {"a.png": png(1) * 50}).read_bytes()[:1500]),
            "unexpected end",
        ),
        (lambda f: put(f / "x.parquet", b"no table"), "not a readable Parquet file"),
        (
            lambda f: pq.write_table(pa.table({"n": ["a"], "image": [png(1)]}), f / "x.parquet"),
            "there are: n, image",
        ),
        (
            lambda f: pq.write_table(pa.table({"id": ["a"], "image": ["a.png"]}), f / "x.parquet"),
            "as bytes",
        ),
        (
            lambda f: write_hub_table(f / "x.parquet", [("a.png", 1), ("b/../a.png", 2)]),
            r"image\.path calls different pictures the same, such as a\.png; add a column item_id",
        ),
        (
            lambda f: write_hub_table(f / "x.parquet", [("/home/me/a.png", None)] * 2),
            "aren't in this file: column image has paths, such as '/home/me/a.png', but no bytes",
        ),
        (
            lambda f: write_hub_table(f / "x.parquet", [(None, 1), (None, 2)]),
            r"image\.path is empty on all rows; add a column item_id",
        ),
        (
            lambda f: write_hub_table(f / "x.parquet", [("a.png", 1), (None, 2)]),
            r"row 2 of row group 0: image\.path is empty; give each picture a name",
        ),
        (
            lambda f: pq.write_table(
                pa.table({"id": ["a", ""], "image": [png(1)] * 2}), f / "x.parquet"
            ),
            "row 2 ",
        ),
    ],
)
def test_a_bad_archive_is_named(tmp_path, make, said):
    make(tmp_path)
    with pytest.raises(BadFile, match=said) as caught:
        list_pictures("mine", tmp_path)
    assert "x." in str(caught.value).splitlines()[0]


def test_a_tar_that_was_cut_or_damaged_loses_nothing_without_a_word(tmp_path):
    whole = pack(tmp_path / "whole.tar", {f"{i}.png": png(i) for i in range(10)}).read_bytes()
    (tmp_path / "whole.tar").unlink()
    damaged = bytearray(whole)
    damaged[4 * 1024 + 20] ^= 255  # in the header of the fifth member
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    for content in (*(whole[:cut] for cut in range(1, end, 97)), bytes(damaged), whole + whole):
        put(tmp_path / "x.tar", content)
        with pytest.raises(BadFile, match=r"x\.tar"):
            list_pictures("mine", tmp_path)
    put(tmp_path / "x.tar", whole[: end + 512])  # one block of zeros is enough
    assert len(list_pictures("mine", tmp_path).ids) == 10


def test_a_changed_archive_is_listed_anew(tmp_path):
    pack(tmp_path / "x.tar", {"a.png": png(1)})
    assert list_pictures("mine", tmp_path).ids == list_pictures("mine", tmp_path).ids == ["a"]
    pack(tmp_path / "x.tar", {"b.png": png(1)})
    assert list_pictures("mine", tmp_path).ids == ["b"]


def test_names_that_look_alike_are_other_pictures(tmp_path):
    pack(tmp_path / "x.tar", {"a/b.png": png(1), "a//b.png": png(2), "a/../a/b.png": png(3)})
    found = list_pictures("mine", tmp_path)
    assert len(set(Digests("mine", found.pictures))) == 3


def test_links_and_devices_in_an_archive_are_refused(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        entry = tarfile.TarInfo("a.png")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(BadFile, match=r"a\.png is a link"):
        list_pictures("mine", tmp_path)


def test_names_that_lead_out_of_an_archive_lead_nowhere(tmp_path):
    pack(tmp_path / "images" / "x.tar", {"../../outside.png": png(1), "/etc/absolute.png": png(2)})
    found = list_pictures("mine", tmp_path / "images")
    assert values(found) == [1, 2]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["images", "x.tar"]


def test_folders_may_be_links_and_may_lead_back(tmp_path):
    put(tmp_path / "elsewhere" / "a.png", png(1))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "one").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "images" / "two").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "images")
    assert list_pictures("mine", tmp_path / "images").ids == ["one/a", "two/a"]


def test_names_that_are_not_utf8_are_problems(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(png(1))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(BadFile, match="not UTF-8; rename the file"):
        list_pictures("mine", tmp_path)


def test_no_pictures_says_what_is_there_instead(tmp_path):
    for i in range(3):
        put(tmp_path / f"{i}.nef", b"x")
    with pytest.raises(KisBenchError, match=r"no images in .* there are: 3 \.nef"):
        list_pictures("mine", tmp_path)


def test_digests_are_read_once_and_again_only_for_what_has_changed(tmp_path, monkeypatch):
    read = []
    whole = digests.digest_picture
    monkeypatch.setattr(
        digests,
        "digest_picture",
        lambda picture, known: (read.append(str(picture)), whole(picture, known))[1],
    )
    for i in range(2000):
        put(tmp_path / f"{i % 7}" / f"{i}.png", b"%d" % i)

    def list_digests():
        read.clear()
        return list(Digests("mine", list_pictures("mine", tmp_path).pictures))

    first = list_digests()
    assert len(read) == 2000
    assert list_digests() == first
    assert read == []
    put(tmp_path / "3" / "3.png", b"another", 50)
    changed = list_digests()
    assert [os.path.basename(path) for path in read] == ["3.png"]
    assert sum(a != b for a, b in zip(first, changed, strict=True)) == 1


def test_all_unreadable_files_are_named_at_once(tmp_path):
    found = [put(tmp_path / f"{i}.png", png(i)) for i in range(6)]
    collection = datasets.load("mine", tmp_path).collection
    for file in found[2:4]:
        file.unlink()
    with pytest.raises(BadFile) as caught:
        _ = collection.fingerprint
    assert len(caught.value.problems) == 2
    assert "2.png can't be read" in str(caught.value)


def test_nothing_is_read_before_a_digest_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(
        digests, "digest_picture", lambda picture, known: pytest.fail(f"{picture} was read")
    )
    put(tmp_path / "images" / "a.png", png(1))
    (tmp_path / "labels.csv").write_text("query_id,item_id,label_set,text\nq,a,short,red\n")
    assert datasets.load("mine", tmp_path).collection.ids == ("a",)


def test_a_picture_that_vanished_from_its_archive_is_an_error_of_the_picture(tmp_path):
    archive = pack(tmp_path / "x.tar", {"a.png": png(1), "b.png": png(2)})
    found = list_pictures("mine", tmp_path)
    archive.write_bytes(archive.read_bytes()[:600])
    with pytest.raises(BadFile, match=r"x\.tar!b\.png"):
        read_image(found.pictures[1])


def test_a_row_group_is_kept_while_its_pictures_are_read(tmp_path):
    rows = 40
    table = pa.table(
        {"id": [f"{i:02}" for i in range(rows)], "image": [png(i) for i in range(rows)]}
    )
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=10)
    found = list_pictures("mine", tmp_path)
    from kis_bench.datasets.parquet import read_row_group

    read_row_group.cache_clear()
    assert values(found) == list(range(rows))
    assert read_row_group.cache_info().misses == 4
    pq.write_table(table.slice(0, 9), tmp_path / "x.parquet")  # another table in its place
    assert read_image(found.pictures[8]).getpixel((0, 0))[0] == 8
    with pytest.raises(BadFile, match="09 is no longer in it"):
        read_image(found.pictures[9])


@pytest.mark.slow
def test_memory_for_many_files_is_bounded(tmp_path):
    """30,000 files: what is kept for each is its name, id and digest."""
    import tracemalloc

    content = png(1)
    for i in range(30_000):
        if i % 1000 == 0:
            (tmp_path / f"{i // 1000:02}").mkdir()
        (tmp_path / f"{i // 1000:02}" / f"{i}.png").write_bytes(content)
    tracemalloc.start()
    collection = datasets.load("many", tmp_path).collection
    assert len(collection.fingerprint) == 64
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / 30_000 < 600, kept  # bytes a file
    assert peak < 60 * 2**20, peak  # most of it for the files that are looked at together
    assert isinstance(np.asarray(collection.content[:1]).item(), str)


@pytest.mark.parametrize(
    "folder",
    ["@eaDir/1.png", "#recycle", "$RECYCLE.BIN", "__MACOSX/a", ".thumbnails", "deep/@eaDir"],
)
def test_folders_of_systems_hold_no_pictures(tmp_path, folder):
    root = tmp_path / "images"
    put(root / "1.png", png(1))
    put(root / folder / "SYNOPHOTO_THUMB_M.png", png(2))
    pack(root / "more.tar", {"2.png": png(3), f"{folder}/3.png": png(4)})
    assert list_pictures("mine", root).ids == ["1", "2"]


def test_runs_of_our_own_hold_no_pictures(tmp_path):
    put(tmp_path / "1.png", png(1))
    run = tmp_path / "reports" / "20260101T000000Z-abc123"
    put(run / "plots" / "curves.png", png(2))
    put(tmp_path / "20260101T000000Z-abc124" / "2.png", png(3))  # somebody's folder of that form
    (tmp_path / "reports" / "latest").symlink_to(run.name)
    assert len(list_pictures("mine", tmp_path).ids) == 4
    put(run / "run.json", b"{}")
    assert list_pictures("mine", tmp_path).ids == ["1", "20260101T000000Z-abc124/2"]


def test_tables_count_in_the_order_of_their_names_whatever_a_disk_lists_first(
    tmp_path, monkeypatch
):
    for name, rows in {"b": "abc", "a": "da"}.items():
        columns = {"image": [png(ord(x)) for x in rows], "item_id": [*rows]}
        columns["caption"] = [f"{x} in {name}" for x in rows]
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    walk, prints = listing.walk, set()
    for first in ("a", "b"):
        monkeypatch.setattr(
            listing,
            "walk",
            lambda *about, first=first: sorted(walk(*about), key=lambda path: path[0] != first),
        )
        found = datasets.load("mine:all:1", tmp_path)
        assert found.collection.ids == ("a", "d", "b", "c")
        texts = {query.query_id: query.text for query in found.all_queries}
        assert texts == {"a#0": "a in a", "d#0": "d in a", "b#0": "b in b", "c#0": "c in b"}
        prints.add(found.fingerprint)
    assert len(prints) == 1


def test_reading_archives_is_a_step_of_its_own(tmp_path):
    put(tmp_path / "0.png", png(0))
    for name in "ab":
        pack(tmp_path / f"{name}.tar", {f"{name}.png": png(1)})
    steps = []

    class Steps:
        def begin(self, step):
            steps.append(step)

        def update(self, step): ...

        def end(self, step): ...

    with watch(Steps()):
        list_pictures("mine", tmp_path)
    done = [(step.what, step.unit, step.done, step.total) for step in steps]
    assert done == [
        ("mine: listing", "file", 3, None),
        ("mine: reading archives", "archive", 2, 2),
    ]
