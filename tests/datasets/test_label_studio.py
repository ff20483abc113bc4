"""What people wrote in Label Studio, as its exports have it."""

import json
import shutil
from pathlib import Path

import pytest
from builders import draw_pictures

from kis_bench import datasets
from kis_bench.errors import BadFile

UPLOADED = "/data/upload/1/0a1b2c3d-my_cat.png"
LOCAL = "/data/local-files/?d=pictures/a%20dog.png"


@pytest.fixture
def folder(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))
    draw_pictures(tmp_path / "images", "my_cat.png", "a dog.png", "ffffffff-x.png")
    return tmp_path


def record(picture, value, annotator=1, **more):
    """As JSON-MIN has it: of a task that nobody annotated, too."""
    keys = {"annotator": annotator, "annotation_id": annotator and annotator + 10}
    answer = {} if value is None else {"caption": value}
    return {"id": 1, "captioning": picture, **keys, **answer, "lead_time": 2.5, **more}


def task(picture, *annotations):
    """As the full export has it."""
    return {
        "id": 1,
        "data": {"captioning": picture, "caption": "prefilled"},
        "annotations": [
            {
                "id": i,
                "completed_by": by,
                "was_cancelled": cancelled,
                "result": [
                    {
                        "type": "textarea",
                        "from_name": "caption",
                        "to_name": "image",
                        "value": {"text": texts},
                    }
                ]
                * bool(texts),
            }
            for i, (by, texts, cancelled) in enumerate(annotations)
        ],
        "predictions": [],
    }


def load(folder):
    found = datasets.load("mine", folder)
    asked = [(q.query_id, q.text, q.annotator, q.label_set) for q in found.all_queries]
    return found, asked


def test_records_of_json_min_are_read_with_their_annotators(folder):
    records = [
        record(UPLOADED, "a cat"),
        record(UPLOADED, "the  cat ", 2),
        record(LOCAL, {"text": ["a dog", "runs"]}),
        record("s3://bucket/ffffffff-x.png", None),
    ]
    (folder / "project-1-at-2026-11-29.json").write_text(json.dumps(records))
    found, asked = load(folder)
    assert asked == [
        ("a dog#0", "a dog", "1", "caption"),
        ("a dog#1", "runs", "1", "caption"),
        ("my_cat#0", "a cat", "1", "caption"),
        ("my_cat#1", "the  cat", "2", "caption"),
    ]
    assert found.remarks[0] == "project-1-at-2026-11-29.json: 1 record without an answer"
    assert "pictures without a text, searched all the same: 1" in found.remarks


def test_a_text_of_a_task_that_nobody_annotated_is_no_query(folder):
    records = [record(UPLOADED, "a cat"), record(LOCAL, "prefilled", None)]
    (folder / "export.json").write_text(json.dumps(records))
    found, asked = load(folder)
    assert asked == [("my_cat#0", "a cat", "1", "caption")]
    assert found.remarks[0].startswith("export.json: 1 record that nobody annotated has a text all")


def test_the_full_export_goes_first_and_has_no_prefilled_texts(folder):
    tasks = [
        task(UPLOADED, (1, ["a cat"], False), (2, ["cancelled"], True), ({"id": 3}, ["b"], False)),
        task(LOCAL, (1, [], False)),
    ]
    (folder / "full.json").write_text(json.dumps(tasks))
    (folder / "min.json").write_text(json.dumps([record(UPLOADED, "a cat")]))
    found, asked = load(folder)
    assert asked == [("my_cat#0", "a cat", "1", "caption"), ("my_cat#1", "b", "3", "caption")]
    assert found.remarks[0] == "full.json: 1 record without an answer"


def test_what_cannot_be_told_is_asked(folder):
    records = [record(UPLOADED, None, title="a", note="b")]
    (folder / "export.json").write_text(json.dumps(records))
    with pytest.raises(BadFile, match=r"by title, note; export the project as JSON.* NAME:title"):
        load(folder)
    (folder / "export.json").write_text(json.dumps([record(7, "a")]))
    with pytest.raises(BadFile, match=r"\[0\]: no value is the path of a picture"):
        load(folder)


@pytest.mark.parametrize(("form", "name"), [("json", "mine"), ("json_min", "mine:caption")])
def test_what_its_converter_wrote_is_read(folder, form, name):
    draw_pictures(folder / "images", "my_cat.png", "a dog.png", "x.png")
    (folder / "images" / "ffffffff-x.png").unlink()
    written = Path(__file__).parents[1] / "data" / "written" / f"label-studio-{form}"
    shutil.copy(written / "result.json", folder / "export.json")
    found = datasets.load(name, folder)
    asked = [(q.item_ids[0], q.text, q.annotator) for q in found.all_queries]
    answers = [("my_cat", "a cat", "1"), ("my_cat", "a pet", "2"), ("my_cat", "asleep", "2")]
    prefilled = [("a dog", "prefilled", "1")] if form == "json_min" else []
    assert asked == [*prefilled, *answers]
    assert any("texts of tasks may pass for answers" in r for r in found.remarks) == bool(prefilled)


def test_the_name_may_ask_for_a_control(folder):
    records = [record(UPLOADED, "a cat", quality="good"), record(LOCAL, "a dog", quality="bad")]
    (folder / "min.json").write_text(json.dumps(records))
    with pytest.raises(BadFile, match="told by caption, quality; .* as in NAME:caption"):
        load(folder)
    found = datasets.load("mine:caption", folder)
    assert [(q.text, q.label_set) for q in found.all_queries] == [
        ("a dog", "caption"),
        ("a cat", "caption"),
    ]
    row = datasets.DatasetRow("mine:caption", folder)
    assert datasets.list_label_sets(row) == ("caption",)
    (folder / "full.json").write_text(json.dumps([task(UPLOADED, (1, ["a cat"], False))]))
    assert len(datasets.load("mine:caption", folder).all_queries) == 1
    for form in ("full.json", "min.json"):
        with pytest.raises(
            BadFile, match=rf"(?s){form}.*no control 'title' has texts; .*NAME:caption"
        ):
            datasets.load("mine:title", folder)
        (folder / "full.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "addresses",
    [
        (UPLOADED, "/data/upload/1/11112222-my_cat.png"),
        ("s3://one/my_cat.png", "s3://other/my_cat.png"),
        ("/data/local-files/?d=a/my_cat.png", "/data/local-files/?d=b/my_cat.png"),
    ],
)
def test_files_that_are_called_the_same_are_not_one(folder, addresses):
    records = [record(address, f"text {i}") for i, address in enumerate(addresses)]
    (folder / "export.json").write_text(json.dumps(records))
    with pytest.raises(BadFile, match=r"^.*:\n  \[1\]: .* and .* both lead to item 'my_cat'"):
        load(folder)


def test_the_whole_name_of_an_upload_goes_first(folder):
    draw_pictures(folder / "images", "0a1b2c3d-my_cat.png")
    records = [record(UPLOADED, "a cat"), record("s3://a/my_cat.png", "another")]
    (folder / "export.json").write_text(json.dumps(records))
    _, asked = load(folder)
    assert [one[:2] for one in asked] == [
        ("0a1b2c3d-my_cat#0", "a cat"),
        ("my_cat#0", "another"),
    ]


def ask_tasks(folder, **texts):
    """Item -> its texts, of a task for each address."""
    tasks = [task(address, (1, [text], False)) for text, address in texts.items()]
    (folder / "full.json").write_text(json.dumps(tasks))
    found = datasets.load("mine", folder).all_queries
    return [(query.item_ids[0], query.text) for query in found]


def test_uploads_of_one_original_name_are_different_pictures(tmp_path):
    draw_pictures(tmp_path / "images", "aaaaaaaa-cat.png", "bbbbbbbb-cat.png", "dog.png")
    asked = ask_tasks(
        tmp_path,
        one="/data/upload/1/aaaaaaaa-cat.png",
        two="/data/upload/1/bbbbbbbb-cat.png",
        three="/data/upload/1/cccccccc-dog.png",
    )
    expected = [("aaaaaaaa-cat", "one"), ("bbbbbbbb-cat", "two"), ("dog", "three")]
    assert asked == expected


def test_texts_that_tasks_had_do_not_pass_for_answers(folder):
    """Whatever they are called: the control may be called otherwise."""
    records = [record(UPLOADED, "a file's name", query="a cat"), record(LOCAL, "x", query="a dog")]
    (folder / "export.json").write_text(json.dumps(records))
    with pytest.raises(BadFile, match="told by caption, query; export the project as JSON"):
        load(folder)
