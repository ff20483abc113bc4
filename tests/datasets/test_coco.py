"""Captions as COCO hands them out, and what all forms of captions have in common."""

import json

import pytest
from builders import call_cli, draw_pictures

from kis_bench import datasets
from kis_bench.datasets.label_formats import find_labels
from kis_bench.errors import BadFile


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


def write_coco(file, images, captions, **more):
    """As the published files are: images in no order, captions by the number of the image."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "info": {"year": 2017},
        "licenses": [],
        "images": [{"id": number, "file_name": name} for number, name in images.items()],
        "annotations": [
            {"image_id": number, "id": i, "caption": text} for i, (number, text) in captions
        ],
        **more,
    }
    file.write_text(json.dumps(content))


def ask(dataset):
    return [(query.query_id, query.item_ids, query.text) for query in dataset.all_queries]


@pytest.fixture
def folder(tmp_path):
    """Three pictures, of which the second has no text; the texts of the first stand apart."""
    draw_pictures(tmp_path / "val2017", "000000397133.jpg", "000000000139.jpg", "000000000285.jpg")
    images = {397133: "000000397133.jpg", 139: "000000000139.jpg", 285: "000000000285.jpg"}
    texts = [(397133, "A man is \n cooking. "), (285, "A bear"), (397133, "None")]
    write_coco(tmp_path / "annotations/captions_val2017.json", images, enumerate(texts))
    return tmp_path


def test_captions_are_queries_in_the_order_of_the_file(folder):
    dataset = datasets.load("coco", folder)
    man, bear = "val2017/000000397133", "val2017/000000000285"
    assert ask(dataset) == [
        (f"{bear}#0", (bear,), "A bear"),
        (f"{man}#0", (man,), "A man is cooking."),
        (f"{man}#1", (man,), "None"),
    ]
    assert datasets.list_label_sets(datasets.DatasetRow("coco", folder)) == ("captions",)
    assert dataset.remarks == (
        "captions_val2017.json: 3 pictures, 3 texts (texts of a picture: 1 of 1, 2 of 1)",
        "pictures without a text, searched all the same: 1",
        "papers report on 5,000 pictures and 25,010 texts of coco's test split, and here are 3 and 3; "
        "those are what dataset_coco.json says, while these are of captions of COCO",
    )
    assert (dataset.left_out, dataset.unread) == ({}, ())


def test_the_folder_of_the_file_is_searched_and_the_others_are_counted(folder):
    draw_pictures(folder / "train2017", "1.jpg", "2.jpg")
    dataset = datasets.load("coco", folder)
    assert len(dataset.collection) == 3
    assert dataset.remarks[-2] == (
        "2 pictures of other parts of the dataset, which are not searched"
    )
    write_coco(folder / "annotations/captions_train2017.json", {1: "1.jpg"}, [(0, (1, "A"))])
    with pytest.raises(BadFile) as error:
        datasets.list_label_sets(datasets.DatasetRow("coco", folder))
    assert "captions_train2017.json, captions_val2017.json; say which is meant" in str(error.value)
    assert "NAME:train2017 or NAME:val2017" in str(error.value)
    dataset = datasets.load("coco:train", folder)
    assert (dataset.name, dataset.collection.ids) == ("coco:train", ("train2017/1", "train2017/2"))
    with pytest.raises(BadFile, match="'test' is none of them"):
        datasets.load("coco:test", folder)


def test_pictures_of_the_folder_are_searched_though_the_file_has_only_some(tmp_path):
    draw_pictures(tmp_path / "images", "a.jpg", "b.jpg", "deep/c.png")
    write_coco(tmp_path / "mine.json", {7: "c.png"}, enumerate([(7, "C"), (7, "C"), (7, " ")]))
    dataset = datasets.load("mine", tmp_path)
    assert ask(dataset) == [("deep/c#0", ("deep/c",), "C")]
    assert dataset.collection.ids == ("a", "b", "deep/c")
    said = "1 empty of captions, 1 of captions that their picture has already"
    assert dataset.unread == (f"texts in mine.json: {said}",)
    assert dataset.repeated == {"captions": 1}
    assert "pictures without a text, searched all the same: 2" in dataset.remarks


def test_a_text_of_several_pictures_is_kept_and_counted(folder):
    images = {1: "000000397133.jpg", 2: "000000000139.jpg"}
    write_coco(
        folder / "annotations/captions_val2017.json", images, enumerate([(1, "x"), (2, "x")])
    )
    dataset = datasets.load("coco", folder)
    assert len(dataset.all_queries) == 2
    assert "1 text of several pictures, each of which is asked for" in dataset.remarks


def test_pictures_that_are_missing_are_all_named(folder):
    images = {1: "000000397133.jpg", 2: "139.jpg", 3: "nowhere.jpg", 4: "000000000285.jpg"}
    write_coco(folder / "annotations/captions_val2017.json", images, enumerate([(2, "two")]))
    with pytest.raises(BadFile) as error:
        datasets.load("coco", folder)
    assert error.value.problems == [
        "2 of 4 pictures that it names aren't there; add them",
        "annotations[0]: picture '139.jpg' is not in the collection"
        " (did you mean 'val2017/000000000139'?)",
        "pictures: picture 'nowhere.jpg' is not in the collection",
    ]


def test_few_missing_pictures_are_left_out_where_somebody_asks(tmp_path):
    names = [f"{i}.png" for i in range(100)]
    draw_pictures(tmp_path / "images", *names[1:])
    images = dict(enumerate(names))
    write_coco(tmp_path / "captions.json", images, [(i, (i, f"text {i}")) for i in images])
    with pytest.raises(BadFile, match="1 of 100 .* or leave them out with --kis-skip-unreadable"):
        datasets.load("mine", tmp_path)
    dataset = datasets.load("mine", tmp_path, skip_unreadable=True)
    assert len(dataset.all_queries) == 99
    assert dataset.remarks[0] == "captions.json names pictures that aren't there: 0.png"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('"image_id": 285', "annotations[1]: image_id 999 is the id of none of the images"),
        ('"caption": "A bear"', "annotations[1]: caption is not a text"),
        ('"file_name": "000000000285.jpg"', "images[2]: file_name is missing"),
        ('"id": 139', "images[1]: id 397133 is there twice"),
        ('"000000000139.jpg"', "images[2]: '000000000285.jpg' is images[1] as well"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_place(folder, change, said):
    new = {
        '"image_id": 285': '"image_id": 999',
        '"caption": "A bear"': '"caption": 5',
        '"file_name": "000000000285.jpg"': '"file": "000000000285.jpg"',
        '"id": 139': '"id": 397133',
        '"000000000139.jpg"': '"000000000285.jpg"',
    }[change]
    file = folder / "annotations/captions_val2017.json"
    file.write_text(file.read_text().replace(change, new))
    with pytest.raises(BadFile) as error:
        datasets.load("coco", folder)
    assert any(problem.startswith(said) for problem in error.value.problems)


def test_a_file_that_is_cut_off_is_named_with_its_line(folder):
    file = folder / "annotations/captions_val2017.json"
    file.write_text(file.read_text()[:-30])
    with pytest.raises(BadFile, match=r"captions_val2017.json:\n  line 1, column \d+: .*cut off"):
        datasets.load("coco", folder)


def test_labels_go_first_and_the_captions_are_named(folder):
    header = "query_id,item_id,label_set,text\n"
    (folder / "labels.csv").write_text(f"{header}q,val2017/000000000139,short,cat\n")
    dataset = datasets.load("coco", folder)
    assert dataset.label_sets == ("short",)
    said = "captions_val2017.json (captions of COCO), because there is labels.csv"
    assert dataset.unread == (said,)


def test_the_check_says_what_is_read_and_where(folder):
    same = [(139, "A bear"), (285, "a bear")]
    images = {139: "000000000139.jpg", 285: "000000000285.jpg"}
    write_coco(folder / "annotations/captions_val2017.json", images, enumerate(same))
    found = call_cli("datasets", "check", f"coco={folder}", cwd=folder)
    assert found.returncode == 0, found.stderr
    assert "pass  labels: 2 queries: 2 in captions" in found.stdout
    assert "note  captions: captions_val2017.json: 3 pictures, 2 texts" in found.stdout
    assert "captions_val2017.json annotations[0] " in found.stdout, found.stdout


FEATURE = {"dtype": "string", "id": None, "_type": "Value"}
HUB_FEATURES = {
    "default": {
        "features": dict.fromkeys(("image_id", "caption", "file_name", "split"), FEATURE)
        | {"sentences": [FEATURE], "images": [FEATURE], "annotations": FEATURE},
        "splits": {"train": {"name": "train", "num_examples": 2}},
    }
}


@pytest.mark.parametrize(
    "content",
    [
        HUB_FEATURES,
        [{"image_id": 1, "caption": "a model's"}],
        [{"caption": "A", "image": "val2014/a.jpg", "image_id": "coco_1", "file_name": "a.jpg"}],
        {"image_id": 1, "caption": "of one picture", "file_name": "a.jpg", "images": 1},
        {"images": [{"file_name": "a.jpg", "image_id": 1, "caption": "A"}]},
    ],
)
def test_json_of_other_things_is_no_table_of_captions(tmp_path, content):
    draw_pictures(tmp_path / "images", "a.jpg")
    (tmp_path / "dataset_infos.json").write_text(json.dumps(content))
    assert find_labels(tmp_path).form is None
    assert datasets.load("mine", tmp_path).all_queries == ()
    (tmp_path / "dataset_infos.json").rename(tmp_path / "captions.json")
    said = "captions.json is not read; only CSV is; write labels.csv"
    assert datasets.load("mine", tmp_path).unread == (said,)


@pytest.mark.parametrize("first", ["images", "annotations"])
def test_a_large_file_is_told_whatever_stands_first(tmp_path, first):
    names = {i: f"{i:0100}.jpg" for i in range(700)}
    write_coco(tmp_path / "captions.json", names, enumerate((i, "x" * 100) for i in names))
    content = json.loads((tmp_path / "captions.json").read_text())
    (tmp_path / "captions.json").write_text(json.dumps({first: content.pop(first), **content}))
    found = find_labels(tmp_path)
    assert [file.name for file in found.files] == ["captions.json"]
    (tmp_path / "captions.json").write_text("")
    assert find_labels(tmp_path).form is None


def test_two_names_of_one_picture_are_no_one_picture(tmp_path):
    draw_pictures(tmp_path / "images", "a.png", "deep/b.png")
    names = {1: "a.png", 2: "a.jpg", 3: "./deep//b.png", 4: "deep/b.png"}
    write_coco(tmp_path / "mine.json", names, enumerate([(1, "A"), (2, "other")]))
    with pytest.raises(BadFile) as error:
        datasets.load("mine", tmp_path)
    assert error.value.problems == [
        "annotations[1]: 'a.png' and 'a.jpg' both lead to item 'a';"
        " add the picture that is missing, or name one alone"
    ]


def test_names_lead_to_files_and_not_to_ids_that_are_called_so(tmp_path):
    draw_pictures(tmp_path / "images", "a.png", "b.png")
    (tmp_path / "images.csv").write_text("item_id,path\nb,images/a.png\na,images/b.png\n")
    write_coco(
        tmp_path / "mine.json",
        {1: "b.png", 2: "images/a.png"},
        enumerate([(1, "file b"), (2, "file a")]),
    )
    found = datasets.load("mine", tmp_path)
    assert [(q.item_ids, q.text) for q in found.all_queries] == [
        (("b",), "file a"),
        (("a",), "file b"),
    ]


def test_the_folder_of_pictures_may_be_part_of_a_name(tmp_path):
    draw_pictures(tmp_path / "images", "0001.png", "deep/0002.png")
    names = {1: "images/0001.png", 2: "images/deep/0002.png"}
    write_coco(tmp_path / "mine.json", names, enumerate([(1, "A"), (2, "B")]))
    asked = ask(datasets.load("mine", tmp_path))
    assert [(item, text) for _, (item,), text in asked] == [("0001", "A"), ("deep/0002", "B")]
    write_coco(tmp_path / "mine.json", {1: "images/0002.png"}, [(0, (1, "of no picture"))])
    with pytest.raises(BadFile, match="'images/0002.png' is not in the collection"):
        datasets.load("mine", tmp_path)


def test_a_file_that_is_called_exactly_so_goes_before_longer_names(tmp_path):
    draw_pictures(tmp_path / "images", "a.jpg")
    for name in ("mine", "mine-long"):
        write_coco(tmp_path / f"captions_{name}.json", {1: "a.jpg"}, [(0, (1, name))])
    for name in ("mine", "mine-long"):
        assert [q.text for q in datasets.load(f"x:{name}", tmp_path).all_queries] == [name]
    with pytest.raises(BadFile, match="'min' is none of them, or several"):
        datasets.load("x:min", tmp_path)


def test_a_form_that_lacks_a_split_lets_another_go_first(folder):
    """As where Karpathy's splits lie beside COCO's own files."""
    image = {"filename": "000000000285.jpg", "split": "test", "sentences": [{"raw": "Karpathy's"}]}
    (folder / "dataset_coco.json").write_text(json.dumps({"images": [image], "dataset": "coco"}))
    for name, n in (("coco", 1), ("coco:test", 1), ("coco:all", 1), ("coco:val2017", 3)):
        row = datasets.DatasetRow(name, folder)
        assert datasets.list_label_sets(row) == ("captions",)
        found = datasets.load(name, folder)
        assert len(found.all_queries) == n, name
    assert found.unread == (
        "dataset_coco.json (Karpathy's splits), because there is captions_val2017.json",
    )
    with pytest.raises(BadFile, match="no split 'train2017'; ask for one that it has: NAME:test"):
        datasets.load("coco:train2017", folder)
