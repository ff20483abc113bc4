"""Groups and times that are told by the names of files, as the owners of the collections hand them out."""

import math
import os
from datetime import datetime

import pytest
from PIL import Image

from kis_bench import datasets
from kis_bench.datasets.layouts import parse_stamp
from kis_bench.datasets.left_out import STRAYS
from kis_bench.errors import BadFile, UnknownName


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


def collection(root, name, paths, below="images", **options):
    for path in paths:
        file = root / below / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(file)
    return datasets.load(name, root, **options).collection


def about(found):
    times = (
        [None if math.isnan(time) else time for time in found.times_s]
        if found.times_s
        else [None] * len(found)
    )
    return {
        item: (group, time)
        for item, group, time in zip(found.ids, found.groups, times, strict=True)
    }


def test_the_thesis_subset_of_mvk_has_no_videos(tmp_path):
    found = collection(tmp_path, "mvk", ["00000.jpg", "09412.jpg"])
    assert found.ids == ("00000", "09412")
    assert found.groups is found.times_s is None


def test_frames_of_mvk_belong_to_videos_as_the_showdown_calls_them(tmp_path):
    published = collection(
        tmp_path / "a", "mvk", ["Ambon_Apr2012/0001_00001.jpg", "Ambon_Apr2012/0002_00001.jpg"]
    )
    assert published.groups == ("Ambon_Apr2012_0001", "Ambon_Apr2012_0002")
    own = collection(
        tmp_path / "b", "mvk", ["Tulamben1_Jun2022_0049/Tulamben1_Jun2022_0049_001.jpg"]
    )
    assert own.groups == ("Tulamben1_Jun2022_0049",)
    nested = collection(tmp_path / "c", "mvk", ["Oahu2_May2022/0007/12.png"])
    assert nested.groups == ("Oahu2_May2022_0007",)


@pytest.mark.parametrize(
    ("path", "video"),
    [
        ("Ambon_Apr2012/0003_1.2.png", "Ambon_Apr2012_0003"),
        ("Ambon_Apr2012/0003/frame_2.png", "Ambon_Apr2012_0003"),
        ("Ambon_Apr2012_0003_1.jpg", "Ambon_Apr2012_0003"),
        ("mvk/KauSaiWan_Oct2022/0008_00:12.jpg", "KauSaiWan_Oct2022_0008"),
        ("Raja_Ampat_Oct2022/0008/1.jpg", "Raja_Ampat_Oct2022_0008"),
        ("LHE64_Oct2022_0008/1.jpg", "LHE64_Oct2022_0008"),
        ("clips/a/1.jpg", "clips/a"),
    ],
)
def test_other_ways_to_write_the_frames_of_mvk(tmp_path, path, video):
    assert collection(tmp_path, "mvk", [path]).groups == (video,)


def test_loose_frames_beside_videos_are_left_out_by_name(tmp_path):
    paths = ["Ambon_Apr2012_0001/1.jpg", "Ambon_Apr2012_0001/2.jpg", "00017.jpg"]
    assert collection(tmp_path, "mvk", paths).groups == ("Ambon_Apr2012_0001",) * 2
    loaded = datasets.load("mvk", tmp_path)
    assert loaded.left_out == {STRAYS: 1}
    assert loaded.unread == (
        "00017: lies in no video's folder, others do; move it into one, or choose layout folder",
    )
    with pytest.raises(BadFile, match="00018: lies in no video's folder"):
        collection(tmp_path, "mvk", ["00018.jpg", "00019.jpg"])


def test_folders_as_groups(tmp_path):
    paths = ["a/1.jpg", "a/b/2.jpg", "3.jpg", "4.jpg"]
    found = collection(tmp_path / "some", "mine", paths, layout="folders")
    assert dict(zip(found.ids, found.groups, strict=True)) == {
        "3": ".",
        "4": ".",
        "a/1": "a",
        "a/b/2": "a/b",
    }
    assert collection(tmp_path / "none", "mine", ["1.jpg"], layout="folders").groups is None
    assert collection(tmp_path / "named", "folders", ["a/1.jpg"]).groups is None


def test_a_lifelog_has_days_and_times_of_day(tmp_path):
    found = collection(
        tmp_path,
        "lsc",
        [
            "201901/01/20190101_103717_000.jpg",
            "201901/02/20190102_000003_000.jpg",
            "200001/01/20000101_000113_000.jpg",
        ],
    )
    assert about(found) == {
        "200001/01/20000101_000113_000": (
            "200001/01/20000101_000113_000",
            None,
        ),  # a clock that was reset
        "201901/01/20190101_103717_000": ("2019-01-01", 10 * 3600 + 37 * 60 + 17),
        "201901/02/20190102_000003_000": ("2019-01-02", 3.0),
    }


def test_names_without_a_time_are_all_named(tmp_path):
    with pytest.raises(BadFile) as caught:
        collection(tmp_path, "lsc", ["a.jpg", "20191301_103717_000.jpg", "20190101_103717_000.jpg"])
    assert len(caught.value.problems) == 2
    assert "write images.csv" in str(caught.value)


def test_a_stray_picture_without_a_time_is_left_out_by_name(tmp_path):
    (tmp_path / "labels.csv").write_text("query_id,item_id,label_set,text\nq,me,short,a cup\n")
    paths = ["me.jpg", "20190101_103717_000.jpg", "20190102_103717_000.jpg"]
    with pytest.raises(BadFile, match=r"'me' is not in the collection(.|\n)*me: no date and time"):
        collection(tmp_path, "lsc", paths)
    (tmp_path / "labels.csv").unlink()
    loaded = datasets.load("lsc", tmp_path)
    assert loaded.collection.ids == ("20190101_103717_000", "20190102_103717_000")
    assert loaded.collection.groups == ("2019-01-01", "2019-01-02")
    assert [path.name for path in loaded.collection.paths] == [
        f"{i}.jpg" for i in loaded.collection.ids
    ]
    assert loaded.left_out == {STRAYS: 1}
    (said,) = loaded.unread
    assert said.startswith("me: no date and time as in 20200101_103717 in its name; rename it")


def test_v3c_has_videos_and_the_middles_of_its_shots(tmp_path):
    (tmp_path / "msb").mkdir(parents=True)
    rows = ["startframe\tstarttime\tendframe\tendtime", "0\t0\t49\t1.96", "50\t2\t99\t3.96"]
    (tmp_path / "msb" / "06925.tsv").write_text("\n".join(rows) + "\n")
    keyframes = [
        "06925/shot06925_1_RKF.jpg",
        "shot06925_2_RKF.png",
        "00008/shot00008_31_RKF.jpg",
    ]
    found = collection(tmp_path, "v3c", keyframes, below="keyframes")
    assert about(found) == {
        "00008/shot00008_31_RKF": ("00008", None),
        "06925/shot06925_1_RKF": ("06925", 0.98),
        "shot06925_2_RKF": ("06925", 2.98),
    }
    (tmp_path / "msb" / "06925.tsv").write_text("start\tend\n1\t2\n")
    with pytest.raises(BadFile, match=r"06925\.tsv:\n.*line 2: starttime and endtime"):
        datasets.load("v3c", tmp_path)


def test_other_names_in_v3c_are_named(tmp_path):
    with pytest.raises(BadFile, match="not named as 06925/shot06925_31_RKF"):
        collection(tmp_path, "v3c", ["06925/shot06926_1_RKF.jpg"])


def photo(file, taken=None):
    file.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    Image.new("RGB", (4, 4)).save(file, exif=exif)


def test_photos_within_seconds_are_a_burst(tmp_path):
    images = tmp_path / "images"
    photo(images / "b.jpg", "2024:05:01 10:00:02")
    photo(images / "a.jpg", "2024:05:01 10:00:00")
    photo(images / "c.jpg", "2024:05:01 10:00:05")  # 3 s after the last: still the same
    photo(images / "d.jpg", "2024:05:01 10:00:09")
    photo(images / "IMG_20240501_100010.jpg")
    photo(images / "scan.jpg")
    photo(images / "wrong.jpg", "0000:00:00 00:00:00")
    assert about(datasets.load("photos", tmp_path).collection) == {
        "a": ("a", 0.0),
        "b": ("a", 2.0),
        "c": ("a", 5.0),
        "d": ("d", 0.0),
        "IMG_20240501_100010": ("d", 1.0),
        "scan": ("scan", None),
        "wrong": ("wrong", None),
    }
    os.utime(images / "a.jpg", (1, 1))
    assert (
        datasets.load("photos", tmp_path).collection.groups[1] == "a"
    )  # from the cache, where it is old enough


def test_photos_without_any_time_have_no_bursts(tmp_path):
    photo(tmp_path / "images" / "00007.jpg")
    assert datasets.load("photos", tmp_path).collection.groups is None


def test_a_layout_may_be_chosen_for_another_name(tmp_path):
    found = collection(tmp_path, "mylog", ["20190101_103717_000.jpg"], layout="lsc")
    assert found.groups == ("2019-01-01",)
    assert datasets.load("mylog", tmp_path).collection.groups is None
    with pytest.raises(UnknownName, match="unknown layout 'lcs': did you mean lsc"):
        datasets.load("mylog", tmp_path, layout="lcs")


def test_images_csv_says_it_itself(tmp_path):
    collection(tmp_path, "mine", ["a.jpg"])
    (tmp_path / "images.csv").write_text("item_id,path,group,time_s\nx,images/a.jpg,video 1,2.5\n")
    assert about(datasets.load("lsc", tmp_path).collection) == {"x": ("video 1", 2.5)}


def test_pictures_may_lie_in_the_dataset_folder_itself(tmp_path):
    assert collection(tmp_path, "mine", ["a.jpg", "b/c.jpg"], below=".").ids == ("a", "b/c")


def test_the_thesis_own_folders_are_taken_as_they_are(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "labels.csv").write_text(
        "ID,short_label,long_label\n00042,red,a red one\n"
    )
    found = collection(tmp_path, "photos", ["00042.jpg"], below="data")
    assert found.ids == ("00042",)
    assert datasets.load("photos", tmp_path).queries("long")[0].item_ids == ("00042",)


def test_picture_folders_may_be_links_but_paths_may_not_leave(tmp_path):
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "root"
    root.mkdir()
    photo(elsewhere / "a.jpg")
    (root / "images").symlink_to(elsewhere)
    (root / "images.csv").write_text("item_id,path\na,images/a.jpg\n")
    assert datasets.load("mine", root).collection.ids == ("a",)
    photo(tmp_path / "secret.jpg")
    for path in (
        "../secret.jpg",
        str(tmp_path / "secret.jpg"),
        "images/../../secret.jpg",
        "images/../secret.jpg",
    ):
        (root / "images.csv").write_text(f"item_id,path\na,{path}\n")
        with pytest.raises(BadFile, match="leaves the dataset folder"):
            datasets.load("mine", root)


@pytest.mark.parametrize("path", ["b.jpg", "deep/c.jpg", "images\\a.jpg", "{root}/b.jpg"])
def test_links_in_the_dataset_folder_are_followed_as_without_a_list(tmp_path, path):
    root = tmp_path / "root"
    photo(root / "images" / "a.jpg")
    photo(tmp_path / "elsewhere" / "c.jpg")
    (root / "deep").symlink_to(tmp_path / "elsewhere")
    (root / "b.jpg").symlink_to(tmp_path / "elsewhere" / "c.jpg")
    (root / "images.csv").write_text(f"item_id,path\na,{path.format(root=root)}\n")
    (digest,) = datasets.load("mine", root).collection.content
    assert digest == datasets.load("other", tmp_path / "elsewhere").collection.content[0]


@pytest.mark.parametrize(
    "name",
    [
        "20240501_100010",
        "IMG_20240501_100010123",
        "2024-05-01 10.00.10",
        "2024-05-01 10:00:10",
        "Screenshot_2024-05-01-10-00-10",
        "signal-2024-05-01-100010",
        "20240501T100010",
        "WhatsApp Image 2024-05-01 at 10.00.10",
        "photo_2024-05-01_10-00-10",
        "20240501100010",
        "trip/2023/20240501_100010",
        "Screen Shot 2024-05-01 at 10.00.10 AM",
        "Screenshot 2024-05-01 at 10.00.10\u202fAM",
        "Bildschirmfoto 2024-05-01 um 10.00.10",
        "Screenshot from 2024-05-01 10-00-10",
        "2024-05-01T10:00:10.123Z",
        "2024_05_01_10_00_10",
        "2024-05-01 10.00.10-1",
    ],
)
def test_dates_and_times_in_names_of_photos(name):
    assert parse_stamp(name) == datetime(2024, 5, 1, 10, 0, 10)


@pytest.mark.parametrize(
    ("written", "hour"),
    [("1.00.10 PM", 13), ("12.00.10 AM", 0), ("12.00.10 pm", 12), ("9.00.10", 9)],
)
def test_hours_of_half_days(written, hour):
    assert parse_stamp(f"Screen Shot 2024-05-01 at {written}") == datetime(2024, 5, 1, hour, 0, 10)


@pytest.mark.parametrize(
    "name",
    [
        "IMG_20240501",
        "2024-05-01",
        "20241301_100010",
        "120240501_100010",
        "20240501_1000101",
        "2024-05.01 10.00.10",
        "2024-05-01 at 13.00.10 PM",
        "20240501_10001",
    ],
)
def test_numbers_that_are_no_date_and_time(name):
    assert parse_stamp(name) is None
