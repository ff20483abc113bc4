"""Tasks of the Video Browser Showdown: three kinds of JSON, what can be wrong with them, and labels made of them."""

import copy
import json
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kis_bench import datasets
from kis_bench.datasets.label_formats.label_files import read_labels
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.exchange.vbs import tasks as vbs_tasks
from kis_bench.exchange.vbs.label_files import import_tasks, make_label_rows, write_labels
from kis_bench.exchange.vbs.slips import Task
from kis_bench.exchange.vbs.tasks import read_tasks
from kis_bench.measuring.known_items import rank_queries
from kis_bench.measuring.wider_sets import find_wider_sets
from kis_bench.records import Collection, Embeddings

HINTS = ["a man", "a man, in a red hat", "a man, in a red hat, on a horse"]
MILLISECONDS = (
    {"value": "2000", "unit": "MILLISECONDS"},
    {"value": "5500", "unit": "MILLISECONDS"},
)


def archive(name="t1", hints=HINTS, video="00012", start=2000, end=5500, **more):
    span = {"start": start, "end": end}
    return {
        "query_name": name,
        "hints": list(hints),
        "answer": video,
        "videorange": span,
        "fps": 25,
    } | more


def dres2(name="t1", hints=HINTS, video="00012", ends=MILLISECONDS, fps=25.0, kind="Textual KIS"):
    texts = [{"type": "TEXT", "start": 60 * i, "description": text} for i, text in enumerate(hints)]
    item = {"name": video, "type": "VIDEO", "fps": fps}
    target = {
        "type": "MEDIA_ITEM_TEMPORAL_RANGE",
        "range": {"start": ends[0], "end": ends[1]},
        "item": item,
    }
    return {"name": name, "taskType": kind, "targets": [target], "hints": texts}


def dres1(name="t1", hints=HINTS, video="00012", ends=None, fps=25):
    start, end = ends or (
        {"type": "Millisecond", "millisecond": 2000},
        {"type": "Millisecond", "millisecond": 5500},
    )
    texts = [
        {"type": "TextHint", "text": text, "start": 60 * i, "end": None}
        for i, text in enumerate(hints)
    ]
    item, span = {"name": video, "fps": fps}, {"start": start, "end": end}
    target = {"type": "VideoSegmentTarget", "item": item, "temporalRange": span}
    return {"name": name, "taskType": {"name": "Textual KIS"}, "target": target, "hints": texts}


@pytest.fixture
def read(tmp_path):
    def read_content(content):
        file = tmp_path / "tasks.json"
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return read_tasks(file)

    return read_content


@pytest.fixture
def problems(read):
    def problems_of(content):
        with pytest.raises(BadFile) as caught:
            read(content)
        return caught.value.problems

    return problems_of


@pytest.mark.parametrize(
    "content",
    [
        [archive()],
        {
            "template": {"description": "of 2025", "tasks": [dres2()]},
            "tasks": [{"taskId": 1, "submissions": []}],
        },
        {"description": "a template", "tasks": [dres2()]},
        {"description": {"tasks": [dres1()]}, "tasks": [{"started": 1, "submissions": []}]},
        {"description": "a description", "tasks": [dres1()]},
    ],
    ids=["archive", "DRES 2 run", "DRES 2 template", "DRES 1 run", "DRES 1 description"],
)
def test_every_shape_is_recognised(read, content):
    assert read(content) == ([Task("t1", "00012", 2.0, 5.5, tuple(HINTS), 25.0)], [])


@pytest.mark.parametrize(
    ("value", "unit", "fps", "seconds"),
    [
        ("24800", "MILLISECONDS", None, 24.8),
        ("2.48E4", "MILLISECONDS", None, 24.8),
        (24800, "MILLISECONDS", None, 24.8),
        ("24.8", "SECONDS", None, 24.8),
        ("0", "FRAME_NUMBER", None, 0.0),
        ("620", "FRAME_NUMBER", 25.0, 24.8),
        ("1:02:03:05", "TIMECODE", 25.0, 3723.2),
        ("02:03:5", "TIMECODE", 25.0, 123.2),
        ("3:30", "TIMECODE", 25.0, 4.2),
        ("30", "TIMECODE", 25.0, 1.2),
        ("01:02:03:00", "TIMECODE", None, 3723.0),
        (" 1:02:03.480 ", "TIMECODE", None, 3723.48),
        ("3.048", "TIMECODE", 25.0, 3.048),
    ],
)
def test_units_of_dres_2(read, value, unit, fps, seconds):
    point = {"value": value, "unit": unit}
    (task,), _ = read({"tasks": [dres2(ends=(point, point), fps=fps)]})
    assert task.start_s == task.end_s == pytest.approx(seconds, abs=1e-9)
    assert task.fps == fps


@pytest.mark.parametrize(
    ("point", "seconds"),
    [
        ({"type": "Millisecond", "millisecond": 24800}, 24.8),
        ({"type": "Frame", "frame": 620}, 24.8),
        ({"type": "Frame", "frame": 620, "fps": 50.0}, 12.4),
        ({"type": "Timecode", "timecode": "0:00:24:20", "fps": 25.0}, 24.8),
    ],
)
def test_units_of_dres_1(read, point, seconds):
    (task,), _ = read({"tasks": [dres1(ends=(point, point))]})
    assert task.start_s == pytest.approx(seconds, abs=1e-9)


def test_frames_need_a_rate(problems):
    frames, code = (
        {"value": "620", "unit": "FRAME_NUMBER"},
        {"value": "0:00:24:20", "unit": "TIMECODE"},
    )
    assert problems({"tasks": [dres2(ends=(frames, code), fps=None)]}) == [
        f"task 1 ('t1').targets[0].range.{end} counts frames; add item.fps, or write milliseconds"
        for end in ("start", "end")
    ]


@pytest.mark.parametrize(
    "point",
    [
        {"value": "24800"},
        {"value": "24800", "unit": "HOURS"},
        {"value": "24800", "unit": ["SECONDS"]},
        {"unit": "SECONDS"},
        {"value": "soon", "unit": "SECONDS"},
        {"value": "-1", "unit": "SECONDS"},
        {"value": "1_0", "unit": "SECONDS"},
        {"value": "nan", "unit": "SECONDS"},
        {"value": True, "unit": "SECONDS"},
        {"value": "9" * 400, "unit": "SECONDS"},
        {"value": "61:00:00", "unit": "TIMECODE"},
        {"value": "3.5", "unit": "TIMECODE"},
        {"value": 3, "unit": "TIMECODE"},
        {"value": "٣", "unit": "SECONDS"},
        24800,
    ],
    ids=str,
)
def test_times_that_nobody_can_read(problems, point):
    (problem,) = problems({"tasks": [dres2(ends=(point, MILLISECONDS[1]))]})
    assert problem.startswith("task 1 ('t1').targets[0].range.start")
    assert "; make it " in problem or "; add " in problem


def test_hints_follow_their_start(read):
    task = dres2()
    task["hints"] = [
        {"type": "TEXT", "start": 120, "description": "third"},
        {"type": "TEXT", "start": 60, "end": 120, "description": " second\n"},
        {"type": "EMPTY", "start": 240},
        {"type": "TEXT", "start": None, "description": "first"},
    ]
    assert read({"tasks": [task]})[0][0].hints == ("first", "second", "third")


def test_blank_and_repeated_hints_keep_their_stage(read):
    tasks, remarks = read(
        [archive(hints=["", "a", "a", "a b"]), archive("t2", hints=["a", " \n", "a"])]
    )
    assert [task.hints for task in tasks] == [("", "a", "a", "a b"), ("a", "", "a")]
    assert remarks == [
        "2 hints without text, whose stages are left out: t1 stage 1, t2 stage 2",
        "1 hint the same as the one before, and kept: t1 stage 3",
    ]
    videos = Collection("mine", ("x",), ("x",), ("x",), ("00012",), (3.0,))
    rows, _ = make_label_rows(tasks, videos)
    assert [(row["query_id"], row["stage"], row["text"]) for row in rows] == [
        ("t2", "1", "a"),
        ("t1", "2", "a"),
        ("t1", "3", "a"),
        ("t2", "3", "a"),
        ("t1", "4", "a b"),
    ]


def test_stages_come_in_order_however_many():
    rows, _ = make_label_rows(
        [task(hints=("a", "b")), task("t2", hints=tuple("abcdefghijk"))], collection(("00012", 3.0))
    )
    assert list(dict.fromkeys(row["label_set"] for row in rows)) == [
        f"stage-{n}" for n in range(1, 12)
    ]


def test_a_segment_of_minutes_is_remarked_on(read):
    tasks, remarks = read([archive(start=30000, end=320240)])
    assert len(tasks) == 1
    assert remarks == ["1 task longer than 120 s, which may be a slip: t1 (30 to 320.24 s)"]


def test_tasks_of_other_kinds_are_counted(read):
    visual, judged, question, several, whole = (dres2(str(i), kind=f"kind {i}") for i in range(5))
    visual["hints"] = [{"type": "VIDEO", "start": 0, "end": 300, "item": {"name": "00012"}}]
    judged["targets"] = [{"type": "JUDGEMENT"}]
    question["hints"].append(visual["hints"][0])
    several["targets"] *= 2
    whole["targets"][0]["type"] = "MEDIA_ITEM"  # all of a video
    old = dres1("6")
    old["target"] = {"type": "JudgementTarget", "targets": []}
    nameless = {"targets": [], "hints": None}
    others = [visual, visual, judged, question, several, whole, old, nameless]
    tasks, remarks = read({"tasks": [dres2(), *others]})
    assert [task.name for task in tasks] == ["t1"]
    assert remarks == [
        f"{n} of type {kind!r} left out, no textual known-item search"
        for n, kind in [
            ("2 tasks", "kind 0"),
            *(("1 task", f"kind {i}") for i in (1, 2, 3, 4)),
            ("1 task", "Textual KIS"),
            ("1 task", "unknown"),
        ]
    ]


def lifelog(*names, name="l1", hints=HINTS, **item):
    """A task of DRES 2 about images, as its preset for the Lifelog Search Challenge makes it."""
    made = dres2(name, hints, kind="LSC Known-Item Search")
    made["targets"] = [
        {"type": "MEDIA_ITEM", "target": "4c1d", "item": {"name": one, "type": "IMAGE", **item}}
        for one in names
    ]
    return made


def test_images_as_targets(read):
    old = dres1("l2")
    old["target"] = {"type": "MultipleMediaItemTarget", "items": [{"name": "b"}, {"name": "a"}]}
    one = dres1("l3", ["a cup"])
    one["target"] = {"type": "MediaItemTarget", "item": {"name": "c", "location": "2020/c.jpg"}}
    video = lifelog("d", name="l4", durationMs=4000)
    tasks, remarks = read({"tasks": [lifelog("a", "b", "a"), old, one, video]})
    assert [(task.name, [image.name for image in task.images]) for task in tasks] == [
        ("l1", ["a", "b"]),
        ("l2", ["b", "a"]),
        ("l3", ["c"]),
    ]
    assert tasks[0].hints == tuple(HINTS)
    assert remarks == [
        "1 task of type 'LSC Known-Item Search' left out, no textual known-item search"
    ]


def test_images_of_tasks_are_items_of_the_collection(tmp_path):
    ids = ("202001/01/20200101_103717_000", "b", "x/c", "y/c", "d")  # of d nobody knows the folder
    tasks = [
        lifelog("20200101_103717_000.jpg", "b.JPG", "gone"),
        lifelog("c", name="l2"),
        lifelog("e", name="l3", location="/lsc/x/c.jpg"),
        lifelog("z/d", name="l4"),
        lifelog("b", "20200101_103717_000.jpg", name="l5", hints=[" ", "a cup"]),
        lifelog("b", "20200101_103717_000.jpg", name="l6", hints=["", "a cup"]),
    ]
    (tmp_path / "tasks.json").write_text(json.dumps({"tasks": tasks}))
    labels, images = tmp_path / "labels.csv", Collection("mine", ids, ids, ids)
    assert import_tasks(tmp_path / "tasks.json", images, labels) == [
        f"{labels}: 7 texts of 3 of 6 tasks, stage-1 (2), stage-2 (3), stage-3 (2)",
        "2 hints without text, whose stages are left out: l5 stage 1, l6 stage 1",
        "1 task some of whose images are not in the collection: l1 (gone)",
        "1 task left out, whose image fits several items: l2 (c: x/c, y/c)",
        "1 task left out, whose images are not in the collection: l4 (z/d)",
        "1 task left out, the same as an earlier one: l6 (as l5)",
    ]
    queries = read_labels([labels], images).queries
    assert {(q.query_id, q.item_ids, q.range_s) for q in queries} == {
        ("l1", (ids[0], "b"), None),
        ("l3", ("x/c",), None),
        ("l5", ("b", ids[0]), None),
    }


def test_a_start_that_lost_its_digits_is_mended(read):
    slip = archive("Textual2019-13", video="03439", start=30_000, end=320_240)
    ((task,), remarks) = read([slip])
    assert (task.start_s, task.end_s) == (300.28, 320.24)
    assert remarks == [
        "1 task begun where the Showdown's own file has it: "
        "Textual2019-13 (300.28 s in place of 30 s: frame 7507 of 25 a second)"
    ]
    other, _ = read([archive("Textual2019-13", video="03439", start=30_000, end=50_000)])
    assert other[0].start_s == 30.0


def test_a_hint_for_different_videos_describes_none(read):
    asked = [dres2(f"c{i}", ["Ask the panel for hints."], video=str(i)) for i in range(2)]
    repeated = [
        dres2("t1", ["a boat"]),
        dres2("t1N", ["a boat"]),
        dres2("t2"),
        dres2("t3", video="13"),
    ]
    tasks, remarks = read({"tasks": [*asked, *repeated]})
    assert [task.name for task in tasks] == ["t1", "t1N", "t2", "t3"]
    assert remarks == [
        "2 tasks left out, because different videos have the same single hint: c0, c1"
    ]


def test_all_problems_at_once(problems):
    broken = [
        archive("t1"),
        archive(" t1 "),
        5,
        {},
        archive(None),
        archive("t6", fps=0),
        archive("t7", hints=[]),
        archive("t8", hints=["", " "]),
        archive("t9", hints=["a", 3, None]),
        archive("t10", start=True, end="5500"),
        archive("t11", start=-1, end=math.nan),
        archive("t12", start=3, end=2),
        archive("t13", video=12),
        archive("t14", videorange=[1, 2]),
        archive("t15") | {"hints": "a text"},
        archive("t16", start=10**400),
        archive("t17", hints=["\ud83d", "a\0b", "x" * 100_001]),
    ]
    found = problems(broken)
    assert found[0] == "NaN is no number in JSON; write a number, or null"
    text, number = (
        "a text in quotes, of at most 100,000 whole characters",
        "milliseconds, a number from 0 to 1000000000000",
    )
    for expected in (
        "task 2 ('t1'): task 1 has that name too; give each its own",
        "task 3 is 5; make it an object in braces",
        f"task 4.query_name is missing; add {text}, not blank",
        "task 4.videorange is missing; add an object in braces",
        "task 4.hints is missing; add a list",
        f"task 4.answer is missing; add {text}, not blank",
        f"task 5.query_name is missing; add {text}, not blank",
        "task 6 ('t6').fps is 0; make it frames per second, a number from 0.001, or null",
        "task 7 ('t7').hints hold no text; write one, or delete the task",
        "task 8 ('t8').hints hold no text; write one, or delete the task",
        f"task 9 ('t9').hints[1] is 3; make it {text}",
        f"task 9 ('t9').hints[2] is missing; add {text}",
        f"task 10 ('t10').videorange.start is True; make it {number}",
        f"task 10 ('t10').videorange.end is '5500'; make it {number}",
        f"task 11 ('t11').videorange.start is -1; make it {number}",
        f"task 11 ('t11').videorange.end is nan; make it {number}",
        "task 12 ('t12') has a range to 0.002 s that begins at 0.003 s; swap start and end",
        f"task 13 ('t13').answer is 12; make it {text}, not blank",
        "task 14 ('t14').videorange is a list; make it an object in braces",
        "task 15 ('t15').hints is 'a text'; make it a list",
        f"task 17 ('t17').hints[0] is '\\ud83d'; make it {text}",
        f"task 17 ('t17').hints[1] is 'a\\x00b'; make it {text}",
    ):
        found.remove(expected)
    assert [problem.partition(" is ")[0] for problem in found[1:]] == [
        "task 16 ('t16').videorange.start",
        "task 17 ('t17').hints[2]",
    ]


def test_problems_of_dres_name_their_place(problems):
    first, second, third, fourth = (dres2(f"t{i}") for i in range(4))
    del first["targets"]
    second["hints"][1] |= {"start": "soon", "description": None}
    third["hints"] = [{"type": "EMPTY"}]
    del fourth["targets"][0]["item"], fourth["hints"][0]["type"]
    old = dres1("t5")
    old["target"] = None
    text = "a text in quotes, of at most 100,000 whole characters"
    assert problems({"tasks": [first, second, third, fourth, old]}) == [
        "task 1 ('t0').targets is missing; add a list",
        "task 2 ('t1').hints[1].start is 'soon'; make it seconds, a number from 0 to 1000000000000, or null",
        f"task 2 ('t1').hints[1].description is missing; add {text}",
        "task 3 ('t2').hints hold no text; write one, or delete the task",
        f"task 4 ('t3').hints[0].type is missing; add {text}, not blank",
        "task 4 ('t3').targets[0].item is missing; add an object in braces",
        "task 5 ('t5').target is missing; add an object in braces",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "it is no JSON"),
        (b"[" * 200_000, "nested too deep"),
        (b'[{"a":' * 100_000, "nested too deep"),
        (b"[1" + b"0" * 5000 + b"]", "it is no JSON"),
        (b"[]", "there are no tasks"),
        (b"{}", "there are no tasks"),
        (b'"tasks"', "there are no tasks"),
        (b'{"tasks": {"name": 1}}', "there are no tasks"),
        (b'{"template": {}, "tasks": [1]}', "there are no tasks"),
        (b'[{"query_name": "\xff"}]', "not UTF-8"),
        (b"\xff\xfe[\0]\0", "UTF-16"),
        (b"[\0]", "NUL"),
    ],
    ids=range(12),
)
def test_what_is_no_file_of_tasks(problems, content, expected):
    assert expected in problems(content)[0]


def test_files_that_are_not_there_or_too_large(tmp_path, problems, monkeypatch):
    with pytest.raises(BadFile, match="can't be read"):
        read_tasks(tmp_path / "none.json")
    with pytest.raises(BadFile, match="can't be read"):
        read_tasks(tmp_path)
    monkeypatch.setattr(vbs_tasks, "LARGEST_FILE_BYTES", 100)
    assert problems([archive()]) == [
        "it has more than 100 bytes; export the template without its run"
    ]


def collection(*keyframes):
    """Of (group, time); the ids are numbers."""
    ids = tuple(str(i) for i in range(len(keyframes)))
    return Collection("mine", ids, ids, ids, *zip(*keyframes, strict=True))


def task(name="t1", video="00012", start=2.0, end=5.5, hints=("a",)):
    return Task(name, video, start, end, hints, None)


@pytest.mark.parametrize(
    ("video", "groups", "fits"),
    [
        ("00012", ["00012", "12", "00012.mp4", "a/00012"], "00012"),
        ("00012", ["12", "00012.mp4", "a/00012"], "00012.mp4"),
        ("00012.MP4", ["12", "00012", "a/00012"], "00012"),
        ("00012.mp4", ["12", "a/00012", "00012x"], "a/00012"),
        ("00012", ["12", "112"], "12"),
        ("12", ["V3C1/00012.webm", "00112"], "V3C1/00012.webm"),
        ("0", ["00000", "00001"], "00000"),
        ("Oahu2_May2022_0007", ["mvk/Oahu2_May2022_0007"], "mvk/Oahu2_May2022_0007"),
    ],
)
def test_videos_are_matched_to_groups(video, groups, fits):
    rows, remarks = make_label_rows(
        [task(video=video)], collection(*((group, 3.0) for group in groups))
    )
    assert groups[int(rows[0]["item_id"])] == fits
    said = f"1 task whose video is called otherwise in the collection: t1 ({video}: {fits})"
    assert remarks == ([] if video == fits else [said])


@pytest.mark.parametrize(
    ("video", "groups", "why"),
    [
        ("00012", ["00013", "a/b"], "whose video is not in the collection: t1 (00012)"),
        ("b/00012", ["a/00012"], "whose video is not in the collection: t1 (b/00012)"),
        ("²", ["2"], "whose video is not in the collection: t1 (²)"),
        (
            "00012",
            ["a/00012", "b/00012", "12"],
            "whose video fits several groups: t1 (00012: a/00012, b/00012)",
        ),
        ("12", ["012", "00012"], "whose video fits several groups: t1 (12: 012, 00012)"),
        ("7", ["7.mp4", "7.webm"], "whose video fits several groups: t1 (7: 7.mp4, 7.webm)"),
    ],
)
def test_videos_that_nobody_can_place_are_named(video, groups, why):
    keyframes = collection(("good", 3.0), *((group, 3.0) for group in groups))
    rows, remarks = make_label_rows([task(video=video), task("t2", "good")], keyframes)
    assert [row["query_id"] for row in rows] == ["t2"]
    assert remarks == [f"1 task left out, {why}"]


@pytest.mark.parametrize(
    ("times", "middle"),
    [
        ([3.0], 0),
        ([1.9, 2.0, 5.5, 5.6], 1),  # of two, the earlier; the ends belong to the segment
        ([5.0, 4.0, 3.0], 1),
        ([5.0, 2.5, 4.0, 3.0], 3),
        ([3.0, 3.0, 3.0, 9.0], 1),
        ([math.nan, 3.0, 4.0, math.nan], 1),
    ],
)
def test_the_target_is_the_middle_keyframe_by_time(times, middle):
    rows, remarks = make_label_rows(
        [task()], collection(*(("00012", time) for time in times), ("13", 3.0))
    )
    assert rows == [
        {
            "query_id": "t1",
            "item_id": str(middle),
            "label_set": "stage-1",
            "text": "a",
            "stage": "1",
            "range_start_s": "2.0",
            "range_end_s": "5.5",
        }
    ]
    assert remarks == []


def test_segments_without_keyframes_are_named():
    keyframes = collection(("1", 1.0), ("1", 9.0), ("2", math.nan), ("3", 3.0))
    tasks = [task("a", "1"), task("b", "1", 9.5, 10), task("c", "2"), task("d", "3")]
    rows, remarks = make_label_rows(tasks, keyframes)
    assert [row["query_id"] for row in rows] == ["d"]
    assert remarks == [
        "2 tasks left out, without a keyframe in the segment: "
        "a (1, the nearest is 1.00 s away), b (1, the nearest is 0.50 s away)",
        "1 task left out, whose video's keyframes have no times: c (2)",
    ]
    with pytest.raises(
        KisBenchError,
        match="mine has no target for any task:\n  1 task left out, without a keyframe",
    ):
        make_label_rows(tasks[:1], keyframes)


def test_tasks_that_say_the_same_are_one():
    tasks = [task(), task("t1N"), task("t2", hints=("b",)), task("t3", start=2.1)]
    rows, remarks = make_label_rows(tasks, collection(("00012", 3.0)))
    assert [row["query_id"] for row in rows] == ["t1", "t2", "t3"]
    assert remarks == ["1 task left out, the same as an earlier one: t1N (as t1)"]


@pytest.mark.parametrize(("groups", "times"), [(None, None), (("00012",), None), (None, (3.0,))])
def test_a_collection_without_videos_or_times_is_refused(groups, times):
    with pytest.raises(
        KisBenchError, match=r"give group and time_s in images.csv, or for V3C put .* msb/\*.tsv"
    ):
        make_label_rows([task()], Collection("mine", ("a",), ("a",), ("a",), groups, times))


def test_unprintable_names_do_not_reach_the_terminal():
    _, remarks = make_label_rows([task("\x1b[2J", "none"), task()], collection(("00012", 3.0)))
    assert remarks == ["1 task left out, whose video is not in the collection: '\\x1b[2J (none)'"]


def test_nothing_is_overwritten(tmp_path):
    file = tmp_path / "labels.csv"
    rows, _ = make_label_rows([task()], collection(("00012", 3.0)))
    write_labels(file, rows)
    assert file.read_bytes() == (
        b"query_id,item_id,label_set,text,stage,range_start_s,range_end_s\r\nt1,0,stage-1,a,1,2.0,5.5\r\n"
    )
    with pytest.raises(KisBenchError, match="is there already; delete it, or choose another file"):
        write_labels(file, rows)
    (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere.csv")
    with pytest.raises(KisBenchError, match="is there already"):
        write_labels(tmp_path / "link.csv", rows)
    with pytest.raises(KisBenchError, match="can't be written"):
        write_labels(file / "below.csv", rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "link.csv"]


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=4,
    ),
    st.floats(0, 1e9),
)
def test_texts_and_ranges_survive_the_label_file(tmp_path_factory, hints, start):
    folder = tmp_path_factory.mktemp("round")
    odd = ['a "quoted", text\r\nof two lines 🟥', "x" * 10_000, "=1+1", "\r", "﻿"]
    tasks = [
        archive(f"t,{i}\n", texts, f"v{i}", start * 1000, start * 1000)
        for i, texts in enumerate([odd, *hints])
    ]
    (folder / "tasks.json").write_text(
        json.dumps([t for t in tasks if any(h.strip() for h in t["hints"])])
    )
    read, _ = read_tasks(folder / "tasks.json")
    keyframes = collection(*((one.video, one.start_s) for one in read))
    import_tasks(folder / "tasks.json", keyframes, folder / "labels.csv")
    labels = read_labels([folder / "labels.csv"], keyframes)
    assert labels.problems == {folder / "labels.csv": []}
    expected = {
        (one.name, f"stage-{n}", str(n), hint, (one.start_s, one.end_s), (str(i),))
        for i, one in enumerate(read)
        for n, hint in enumerate(one.hints, start=1)
        if hint
    }
    assert len(labels.queries) == len(expected)
    assert {
        (q.query_id, q.label_set, q.stage, q.text, q.range_s, q.item_ids) for q in labels.queries
    } == expected


def test_from_a_file_of_tasks_to_ranks(tmp_path):
    (tmp_path / "images").mkdir()
    table = ["item_id,path,group,time_s"]
    for i, (group, time) in enumerate(
        [("12", 1), ("12", 3), ("12", 4), ("12", 5), ("13", 3), ("13", 4), ("14", 0)]
    ):
        Image.new("RGB", (4, 4), (i, 0, 0)).save(tmp_path / "images" / f"{i}.png")
        table.append(f"{'abcdefg'[i]},images/{i}.png,{group},{time}")
    (tmp_path / "images.csv").write_text("\n".join(table) + "\n")
    tasks = [
        dres2(),
        dres2("t2", video="00013", hints=["a boat"]),
        dres2("t3", video="99"),
        dres2("t4", kind="visual"),
    ]
    tasks[3]["hints"] = [{"type": "VIDEO"}]
    (tmp_path / "tasks.json").write_text(json.dumps({"tasks": tasks}))
    images = datasets.load("mine", tmp_path).collection
    assert import_tasks(tmp_path / "tasks.json", images, tmp_path / "labels.csv") == [
        f"{tmp_path / 'labels.csv'}: 4 texts of 2 of 3 tasks, stage-1 (2), stage-2 (1), stage-3 (1)",
        "1 task of type 'visual' left out, no textual known-item search",
        "2 tasks whose video is called otherwise in the collection: t1 (00012: 12), t2 (00013: 13)",
        "1 task left out, whose video is not in the collection: t3 (99)",
    ]
    dataset = datasets.load("mine", tmp_path)
    assert dataset.label_sets == ("stage-1", "stage-2", "stage-3")
    queries = dataset.queries("stage-1")
    assert [(q.query_id, q.item_ids, q.text, q.range_s) for q in queries] == [
        ("t1", ("c",), "a man", (2.0, 5.5)),
        ("t2", ("e",), "a boat", (2.0, 5.5)),
    ]
    similarity = np.array(
        [[0.9, 0.6, 0.3, 0.5, 0.7, 0.2, 0.8], [0.9, 0.1, 0.2, 0.3, 0.4, 0.8, 0.5]], np.float32
    )
    items = Embeddings(images.ids, np.eye(7, dtype=np.float32)[:, None], "k")
    texts = Embeddings(("1", "2"), similarity[:, None], "k")
    ranks = rank_queries(images, queries, items, texts, find_wider_sets(images, queries, items))
    assert ranks.rank.tolist() == [6, 4]  # of c and e
    assert ranks.relevant_best[:, 0].tolist() == [4, 2]  # the best of b, c, d, and of e, f
    assert ranks.group_rank.tolist() == [
        1,
        2,
    ]  # of video 12, where only a is outside the segment, and of 13


def test_a_file_without_textual_tasks_says_what_is_in_it(tmp_path):
    visual = dres2(kind="visual")
    visual["hints"] = [{"type": "VIDEO"}]
    (tmp_path / "tasks.json").write_text(json.dumps({"tasks": [visual]}))
    assert read_tasks(tmp_path / "tasks.json")[0] == []
    with pytest.raises(
        BadFile, match="no textual known-item tasks\n  1 task of type 'visual' left out"
    ):
        import_tasks(tmp_path / "tasks.json", collection(("00012", 3.0)), tmp_path / "labels.csv")
    assert not (tmp_path / "labels.csv").exists()


WHOLE = [
    [archive(), archive("t2", ["a boat"], "7")],
    {"template": {"tasks": [dres2(), dres2("t2", ["a boat"], "7")]}},
    {"description": {"tasks": [dres1(), dres1("t2", ["a boat"], "7")]}, "tasks": []},
    {"tasks": [lifelog("a", "b"), lifelog("c", name="l2", location="2020/c.jpg")]},
]
ODD = [
    None,
    True,
    0,
    -1,
    7,
    0.5,
    1e300,
    10**400,
    math.nan,
    -math.inf,
    "",
    " ",
    "7",
    "t1",
    "24:61",
    "1e999",
    "\0",
    "\ud83d",
    "TEXT",
    "EMPTY",
    "VIDEO",
    "FRAME_NUMBER",
    "TIMECODE",
    "Frame",
    "Timecode",
    "JUDGEMENT",
    [],
    {},
    [[]],
    {"a": 1},
    ["a", None],
    {"type": "TEXT"},
    {"value": "3", "unit": "SECONDS"},
    "x" * 100_001,
]


def containers(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    here = [value] if isinstance(value, dict | list) and value else []
    return here + [found for one in inner for found in containers(one)]


def damaged(rng):
    content = copy.deepcopy(rng.choice(WHOLE))
    for _ in range(rng.randint(1, 3)):
        place = rng.choice(containers(content) or [[0]])
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if rng.random() < 0.2:
            del place[key]
        else:
            place[key] = copy.deepcopy(rng.choice([*ODD, rng.choice(containers(content) or [0])]))
    text = bytearray(json.dumps(content).encode())
    if rng.random() < 0.3:
        text[rng.randrange(len(text))] = rng.randrange(256)
    return text


@settings(max_examples=2000, deadline=None)
@given(st.integers(0, 2**64))
def test_damaged_files_give_tasks_or_one_error(tmp_path_factory, seed):
    file = tmp_path_factory.getbasetemp() / "damaged.json"
    file.write_bytes(damaged(random.Random(seed)))
    try:
        tasks, remarks = read_tasks(file)
    except BadFile as error:
        tasks, remarks = [], error.problems
        str(error).encode()
    assert len({task.name for task in tasks}) == len(tasks)
    assert tasks or remarks
    for one in tasks:
        assert all((one.name, one.video or one.images, any(one.hints)))
        assert 0 <= one.start_s <= one.end_s < math.inf
        "".join((one.name, one.video, *one.hints, *remarks)).encode()
