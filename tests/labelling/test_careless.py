"""What happens to people who don't think of the computer: nothing that was said to be saved gets lost."""

import csv
import re
import signal
import threading
import time

import pytest
from builders import run_cli
from PIL import Image
from served_pages import make_pictures, serve
from simulated_annotators import Annotator, list_saved, read_labels

from kis_bench import datasets

resource = pytest.importorskip("resource", reason="processes are stopped and limited")
PATIENCE_S = 60


def wait_until(found):
    deadline = time.monotonic() + PATIENCE_S
    while not found() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found()


def save(client, short, form=None):
    """Describes the picture that is open, or that of an earlier form."""
    form = client.get("/?more=1").form if form is None else form
    return client.post("/save", {**form, "text:short": short, "text:long": f"{short}!"})


def list_texts(folder, label_set="short"):
    there = (folder / "labels.csv").exists()  # not before the first text
    return (
        [row["text"] for row in read_labels(folder) if row["label_set"] == label_set]
        if there
        else []
    )


def test_two_tabs_the_back_button_and_a_lid_that_is_closed(tmp_path):
    folder = make_pictures(tmp_path / "photos", 6)
    with serve("label", folder) as served:
        client = served.enter()
        tab = client.get("/").form
        other = client.get("/").form
        assert tab == other
        clicks = [threading.Thread(target=save, args=(client, "double", tab)) for _ in range(8)]
        for click in clicks:
            click.start()
        for click in clicks:
            click.join()
        assert save(client, "from the other tab", other).status == 303
        assert save(client, "back button", tab).status == 303
        waiting = client.get("/").form
        served.process.send_signal(signal.SIGSTOP)
        asleep = threading.Thread(target=save, args=(client, "typed while it slept", waiting))
        asleep.start()
        asleep.join(0.5)
        served.process.send_signal(signal.SIGCONT)
        asleep.join()
        assert client.get("/").form["assignment"] not in (tab["assignment"], waiting["assignment"])
        assert served.stop() == 0
    assert list_texts(folder) == ["back button", "typed while it slept"]


@pytest.mark.slow
def test_ctrl_c_while_people_write(tmp_path):
    folder = make_pictures(tmp_path / "photos", 400, (8, 8))
    names = ["Ada", "Ben", "Cy"]
    arguments = [word for name in names for word in ("--annotator", name)]
    with serve("label", folder, *arguments, "--goal", 400) as served:
        annotators = [Annotator(served.enter(name), name, 400) for name in names]
        for annotator in annotators:
            annotator.start()
        wait_until(lambda: len(annotators[0].saved) > 3)
        assert served.stop(signal.SIGINT) == 0
        for annotator in annotators:
            annotator.join()
            assert annotator.error is None
    rows = read_labels(folder)  # without a restart
    kept = [(row["annotator"], row["label_set"], row["text"]) for row in rows]
    assert {*list_saved(annotators)} <= {*kept}
    assert len(kept) == len({*kept})


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits other processes")
def test_a_disk_that_is_full_for_a_while(tmp_path):
    folder = make_pictures(tmp_path / "photos", 30, (8, 8))
    with serve("label", folder) as served:
        client = served.enter()
        save(client, "before")
        wait_until(lambda: list_texts(folder) == ["before"])
        sizes = [file.stat().st_size for file in folder.glob("labels.sqlite*")]
        old = resource.prlimit(
            served.process.pid, resource.RLIMIT_FSIZE, (max(sizes), resource.RLIM_INFINITY)
        )
        form = client.get("/").form
        for _ in range(3):
            refused = save(client, "x" * 1900, form)
            assert refused.status == 507
            assert "Not saved" in refused.text
            assert "free space" in refused.text
        said = client.ask(
            "POST",
            "/save",
            b"",
            Origin=f"http://{client.host}",
            Accept="application/json",
            Content_Type="application/x-www-form-urlencoded",
        )
        assert said.status == 403
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, old)
        assert save(client, "x" * 1900, form).status == 303
        assert save(client, "after").status == 303
        assert served.stop() == 0
    assert list_texts(folder) == ["before", "x" * 1900, "after"]
    with serve("label", folder) as served:
        assert served.stop() == 0
    assert list_texts(folder) == ["before", "x" * 1900, "after"]


def test_a_table_that_is_deleted_and_a_folder_that_goes_and_comes_back(tmp_path):
    folder, away = make_pictures(tmp_path / "photos", 30, (8, 8)), tmp_path / "away"
    with serve("label", folder) as served:
        client = served.enter()
        save(client, "one")
        wait_until(lambda: list_texts(folder) == ["one"])
        (folder / "labels.csv").unlink()
        save(client, "two")
        wait_until((folder / "labels.csv").exists)
        assert list_texts(folder) == ["one", "two"]
        form = client.get("/").form
        folder.rename(away)
        refused = save(client, "three", form)
        assert refused.status == 507
        assert "removed or replaced" in refused.text
        assert not folder.exists()
        away.rename(folder)
        assert save(client, "three", form).status == 303
        assert served.stop() == 0
    assert list_texts(folder) == ["one", "two", "three"]


def test_names_that_differ_in_case_are_one_person(tmp_path):
    folder = make_pictures(tmp_path / "photos", 2)
    found = run_cli("label", folder, "--annotator", "Ada", "--annotator", "ada", "--no-browser")
    assert found.returncode == 2
    assert "'ada'" in found.stderr
    assert "Ada" in found.stderr


def test_a_clock_that_goes_backwards(tmp_path):
    from kis_bench.labelling.people import PEOPLE_SQL, People
    from kis_bench.labelling.texts.assignments import TEXTS_SQL, read_progress
    from kis_bench.labelling.truth import Truth

    truth = Truth(tmp_path / "a.sqlite", kind="labels", tables=PEOPLE_SQL + TEXTS_SQL, backup="")
    people = People(truth)
    people.invite("Ada")
    with truth.writing() as rows:
        for i in range(1, 9):
            rows.execute("INSERT INTO items (item_id) VALUES (?)", (f"{i}",))
            rows.execute(
                "INSERT INTO assignments (number, person, state, opened, finished)"
                " VALUES (?, 1, 'saved', 1000, ?)",
                (i, 1020 if i < 4 else -5000),
            )
    assert read_progress(truth, people.list_all()[0], 10).pace_s == 20
    truth.close()


LABEL_SETS = ["<b>bold</b>", 'in "quotes", a comma', "$x_1$ & more", "::é/[0]", "טקסט"]


@pytest.mark.slow
def test_label_sets_of_any_name(tmp_path):
    folder = make_pictures(tmp_path / "mine" / "images", 6).parent
    names = [word for name in LABEL_SETS for word in ("--labels", name)]
    with serve("label", folder, *names, "--goal", "3", "--then", "demo") as served:
        client = served.enter()
        for i in range(3):
            page = client.get("/")
            assert "<b>bold" not in page.text
            form = {**page.form, **{f"text:{name}": f"{i}, {name}" for name in LABEL_SETS}}
            assert client.post("/save", form).status == 303
        wait_until(lambda: "Measuring" not in client.get("/finished").text)
        page = client.get("/finished").text
        assert "<b>bold" not in page
        assert 'class="problem"' not in page
        assert client.get("/curve.svg").status == 200
        assert served.stop() == 0
    assert datasets.load("mine", folder).label_sets == tuple(LABEL_SETS)
    rows = read_labels(folder)
    assert len({row["query_id"] for row in rows}) == len(rows) == 15


PICTURES = {
    "cmyk.jpg": lambda: Image.new("CMYK", (60, 40), (200, 10, 10, 0)),
    "deep.tif": lambda: Image.new("I;16", (60, 40), 40_000),
    "dot.png": lambda: Image.new("RGB", (1, 1), "red"),
    "line.png": lambda: Image.new("RGB", (30_000, 50), "red"),
    "clear.png": lambda: Image.new("RGBA", (60, 40), (255, 0, 0, 0)),
    "palette.gif": lambda: Image.new("P", (60, 40), 3),
    "bits.png": lambda: Image.new("1", (60, 40), 1),
}


@pytest.mark.slow
def test_pictures_of_every_kind(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, make in PICTURES.items():
        make().save(folder / name)
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (60, 40), "red").save(folder / "turned.jpg", exif=turned)
    (folder / "empty.jpg").touch()
    (tmp_path / "outside.jpg").write_bytes((folder / "turned.jpg").read_bytes())
    (folder / "linked.jpg").symlink_to(tmp_path / "outside.jpg")
    (folder / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (folder / "round").symlink_to(folder)
    shown = {}
    with serve("label", folder, "--goal", 100) as served:
        client = served.enter()
        while client.get("/").status == 200:
            page = client.get("/")
            picture = client.get(re.search(r'src="(/picture/[^"]+)"', page.text)[1])
            file = tmp_path / "shown.jpg"
            file.write_bytes(picture.body)
            save(client, "text")
            with Image.open(file) as image:
                assert (image.format, image.mode) == ("JPEG", "RGB")
                assert not image.getexif()
                shown[len(shown)] = image.size
        page = client.get("/finished").text
        assert served.stop() == 0
    sizes = dict(
        zip((row["item_id"] for row in read_labels(folder)[::2]), shown.values(), strict=True)
    )
    assert sizes["turned"] == (40, 60)
    assert sizes["line"] == (1600, 3)
    assert sizes["dot"] == (1, 1)
    assert "empty" not in sizes
    assert "empty: not a readable image" in page
    assert {*sizes} - {"linked"} == {name.partition(".")[0] for name in PICTURES} | {
        "moving",
        "turned",
    }


def test_one_picture_and_a_goal_that_is_too_large(tmp_path):
    folder = make_pictures(tmp_path / "photos", 1)
    with serve("label", folder, "--goal", 5000) as served:
        client = served.enter()
        assert "0 of 1<" in client.get("/").text
        save(client, "all")
        assert "The goal is reached" in client.get("/finished").text
        assert (
            "No picture is left" in client.get("/finished?more=1").text
            or client.get("/?more=1").status == 303
        )
        assert served.stop() == 0
    assert list_texts(folder) == ["all"]


def test_ids_and_label_sets_that_run_together(tmp_path):
    """``a-b`` and ``c``, ``a`` and ``b-c``: each makes the same query id."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("a", "a-b"):
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
    with serve("label", folder, "--labels", "b-c", "--labels", "c") as served:
        client = served.enter()
        for _ in range(2):
            form = client.get("/?more=1").form
            client.post("/save", {**form, "text:b-c": "one", "text:c": "two"})
        assert served.stop() == 0
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    dataset = datasets.load("mine", folder)
    for name, text in (("b-c", "one"), ("c", "two")):
        assert [query.text for query in dataset.queries(name)] == [text] * 2
