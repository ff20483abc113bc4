"""``kis-bench label`` served in a process of its own, and used by plain clients."""

import csv
import io
import signal

import pytest
from builders import run_cli
from served_pages import make_pictures, serve

from kis_bench import datasets

HEADER = ["query_id", "item_id", "label_set", "text", "annotator"]
TEXTS = [
    "plain",
    'commas, "quotes" and; more',
    "two\nlines\n\nand one after an empty one",
    " blanks at both ends ",
    "=1+1",
    "@SUM(A1)",
    "<b>bold</b> & <script>alert(1)</script>",
    "טקסט מימין לשמאל",
    "👩‍🚀 é\u0301 \u202e turned",
    "tab\there",
]


def read_labels(folder):
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == HEADER
    return [dict(zip(header, row, strict=True)) for row in rows]


def write(client, short, long):
    """Describes the picture that is open; returns the answer."""
    form = client.get("/").form
    return client.post("/save", {**form, "text:short": short, "text:long": long})


def test_texts_arrive_as_they_were_typed(tmp_path):
    folder = make_pictures(tmp_path / "mine" / "images", 12).parent
    with serve("label", folder, "--annotator", "Ada") as served:
        client = served.enter("Ada")
        for text in TEXTS:
            assert write(client, text.replace("\n", "\r\n"), f"{text}!").status == 303
        assert served.stop(signal.SIGINT) == 0
    rows = read_labels(folder)
    assert [row["text"] for row in rows] == [each for text in TEXTS for each in (text, f"{text}!")]
    assert {row["annotator"] for row in rows} == {"Ada"}
    assert len({row["item_id"] for row in rows}) == len(TEXTS)
    assert all(row["query_id"] == f"{row['item_id']}-{row['label_set']}" for row in rows)
    dataset = datasets.load("mine", folder)
    assert dataset.label_sets == ("short", "long")
    assert {query.text for query in dataset.queries("short")} == {text.strip() for text in TEXTS}


def test_it_goes_on_after_a_restart(tmp_path):
    folder = make_pictures(tmp_path / "photos", 3)
    with serve("label", folder) as served:
        client = served.enter()
        first = client.get("/").form["assignment"]
        write(client, "a", "b")
        waiting = client.get("/").form
        served.stop(signal.SIGKILL)
    with serve("label", folder) as served:
        client.host = served.links["annotator-1"].split("/")[2]
        assert waiting["assignment"] != first
        assert client.get("/").form == waiting  # the cookie and the open page are still good
        saved = client.post("/save", {**waiting, "text:short": "c", "text:long": "d"})
        assert saved.status == 303
        write(client, "e", "f")
        assert "No picture is left" in client.get("/").text
        served.stop()
    assert [row["text"] for row in read_labels(folder)] == list("abcdef")


def test_a_form_that_is_sent_twice_counts_once(tmp_path):
    folder = make_pictures(tmp_path / "photos", 4)
    with serve("label", folder) as served:
        client = served.enter()
        form = client.get("/").form | {"text:short": "a", "text:long": "b"}
        assert [client.post("/save", form).status for _ in range(3)] == [303] * 3
        client.post("/save", form | {"text:long": "corrected"})
        served.stop()
    assert [row["text"] for row in read_labels(folder)] == ["a", "corrected"]


def test_no_two_people_get_the_same_picture(tmp_path):
    folder = make_pictures(tmp_path / "photos", 9)
    with serve("label", folder, "--annotator", "Ada", "--annotator", "Ben") as served:
        clients = [served.enter("Ada"), served.enter("Ben")]
        for turn in range(4):
            for client in clients:
                write(client, f"{turn}", "x")
        served.stop()
    rows = read_labels(folder)
    assert len(rows) == 16
    assert len({row["item_id"] for row in rows}) == 8


@pytest.mark.parametrize(
    ("short", "long", "said"),
    [
        ("", "kept", "Nothing is written here yet."),
        (" \n ", "kept", "Nothing is written here yet."),
        ("x" * 2001, "kept", "2,001 characters; 2,000 are the most"),
    ],
)
def test_a_text_that_cannot_be_taken_stays_in_the_page(tmp_path, short, long, said):
    folder = make_pictures(tmp_path / "photos", 2)
    with serve("label", folder) as served:
        client = served.enter()
        answer = write(client, short, long)
        assert answer.status == 422
        assert said in answer.text
        assert (answer.form["text:short"], answer.form["text:long"]) == (short, long)
        assert client.post("/save", answer.form | {"text:short": "mended"}).status == 303
        served.stop()
    assert [row["text"] for row in read_labels(folder)] == ["mended", "kept"]


def test_who_has_no_link_sees_nothing(tmp_path):
    folder = make_pictures(tmp_path / "photos", 4)
    with serve("label", folder, "--annotator", "Ada", "--annotator", "Ben") as served:
        ada, ben = served.enter("Ada"), served.enter("Ben")
        number = ada.get("/").text.partition("/picture/")[2].partition("?")[0]
        assert ada.get(f"/picture/{number}").headers["Content-Type"] == "image/jpeg"
        assert ben.get(f"/picture/{number}").status == 404
        form = ada.get("/").form
        assert (
            ben.post("/save", {**ben.get("/").form, "assignment": form["assignment"]}).status == 404
        )
        ada.cookie = ""
        for path in ("/", f"/picture/{number}", "/invite"):
            assert ada.get(path).status == 403
        assert ada.post("/save", form).status == 403
        assert ada.get(ada.start).status == 403  # it was used
        assert ben.get("/invite").status == 403


def test_forms_of_other_sites_and_other_hosts_are_refused(tmp_path):
    folder = make_pictures(tmp_path / "photos", 4)
    with serve("label", folder) as served:
        client = served.enter()
        form = client.get("/").form | {"text:short": "a", "text:long": "b"}
        refused = [
            client.post("/save", form, Origin="http://evil.test").status,
            client.post("/save", form, Origin="null").status,
            client.post("/save", form, Host="evil.test").status,
            client.get("/", Host="evil.test").status,
            client.post("/save", form | {"csrf": "0" * 64}).status,
            client.post("/save", {**form, "x": "y" * 2**18}).status,
            client.post("/save", form, Content_Type="text/plain").status,
            client.ask("DELETE", "/").status,
        ]
        assert refused == [403, 403, 421, 421, 403, 413, 403, 405]
        port = client.host.partition(":")[2]
        assert client.get("/", Host=f"localhost:{port}").status == 200
        served.stop()
    assert read_labels(folder) == []


def test_a_page_says_what_browsers_may_do(tmp_path):
    folder = make_pictures(tmp_path / "photos", 4)
    with serve("label", folder) as served:
        answer = served.enter().get("/")
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert "0000" not in answer.text.replace(folder.name, "")  # no file is named


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere/at/all"], "there is no folder"),
        (["empty"], "no images in"),
        (["."], "no images in"),
    ],
)
def test_what_is_no_folder_of_pictures(tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    found = run_cli("label", *arguments, "--no-browser", cwd=tmp_path)
    assert found.returncode == 2
    assert said in found.stderr
    assert len(io.StringIO(found.stderr).readlines()) == 1
