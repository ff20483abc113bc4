"""``kis-bench label`` served in a process of its own, and used by plain clients."""

import csv
import re
import signal
import socket
import sys
import time

import pytest
from builders import run_cli
from served_pages import make_pictures, serve

from kis_bench import cli, datasets

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
    """Describes the picture that is open, also behind the goal; returns the answer."""
    form = client.get("/?more=1").form
    return client.post("/save", {**form, "text:short": short, "text:long": long})


def await_text(folder, text):
    """Waits until a text is in labels.csv, which follows what is saved; returns when one would have stopped waiting."""
    table, deadline = folder / "labels.csv", time.monotonic() + 60
    while not (table.exists() and text in table.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return deadline


def find_picture(answer):
    """The address of the picture in a page."""
    return re.search(r'<img src="(/picture/[^"]+)"', answer.text)[1]


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
        assert "The goal is reached" in client.get("/finished").text
        assert client.get("/").status == 303
        assert "No picture is left" not in client.get("/finished").text
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


def test_a_text_that_cannot_be_taken_stays_in_the_page(tmp_path):
    folder = make_pictures(tmp_path / "photos", 2)
    with serve("label", folder) as served:
        client = served.enter()
        for short, said in {
            "": "Nothing is written here yet.",
            " \n ": "Nothing is written here yet.",
            "x" * 2001: "2,001 characters; 2,000 are the most",
        }.items():
            answer = write(client, short, "kept")
            assert answer.status == 422
            assert said in answer.text
            assert (answer.form["text:short"], answer.form["text:long"]) == (short, "kept")
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
    assert not (folder / "labels.csv").exists()


def test_a_page_says_what_browsers_may_do(tmp_path):
    folder = make_pictures(tmp_path / "photos", 4)
    with serve("label", folder) as served:
        answer = served.enter().get("/")
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert "0000" not in answer.text.replace(folder.name, "")  # no file is named


@pytest.mark.parametrize(
    ("folder", "said"),
    [("nowhere/at/all", "there is no folder"), ("empty", "no images in"), ("./file", "is a file")],
)
def test_what_is_no_folder_of_pictures(tmp_path, monkeypatch, capsys, folder, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["label", folder, "--no-browser"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def test_back_and_not_suitable(tmp_path):
    folder = make_pictures(tmp_path / "photos", 6)
    with serve("label", folder) as served:
        client = served.enter()
        first = client.get("/")
        write(client, "first", "one")
        second = client.get("/")
        reason = {**second.form, "reason": "blurred", "text:short": "typed in vain"}
        assert client.post("/refuse", reason).status == 303
        third = client.get("/")
        back = client.get(re.search(r'href="(/edit/\d+)"[^>]*>Back', third.text)[1])
        assert "not suitable: blurred" in back.text
        assert find_picture(back) == find_picture(second)
        back = client.get(re.search(r'href="(/edit/\d+)"[^>]*>Back', back.text)[1])
        assert (back.form["text:short"], find_picture(back)) == ("first", find_picture(first))
        client.post("/save", {**back.form, "text:short": "corrected"})
        assert find_picture(client.get("/")) == find_picture(third)
        assert client.get("/edit/999").status == 404
        assert client.post("/refuse", {**third.form, "assignment": "999"}).status == 404
        assert "blurred: 1" in client.get("/finished").text
        served.stop()
    assert [row["text"] for row in read_labels(folder)] == ["corrected", "one"]


@pytest.mark.slow
def test_from_memory(tmp_path):
    folder = make_pictures(tmp_path / "photos", 3)
    with serve("label", folder, "--memory", 2) as served:
        client = served.enter()
        ready = client.get("/")
        assert "shown for 2 seconds" in ready.text
        assert "<img" not in ready.text
        assert client.get("/picture/1").status == 404  # not yet
        client.post("/look", {"csrf": ready.form["csrf"]})
        look = client.get("/")
        assert re.search(r'http-equiv="refresh" content="[12];url=/"', look.text)
        assert client.get(find_picture(look)).headers["Cache-Control"] == "no-store"
        deadline = time.monotonic() + 60
        while "<textarea" not in (page := client.get("/")).text and time.monotonic() < deadline:
            time.sleep(0.2)
        assert "<img" not in page.text
        while client.get(find_picture(look)).status == 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert client.get(find_picture(look)).status == 404
        client.post("/look", {"csrf": ready.form["csrf"]})  # doesn't bring it back
        assert "<img" not in client.get("/").text
        client.post("/save", {**page.form, "text:short": "a", "text:long": "b"})
        assert "shown for 2 seconds" in client.get("/").text
        served.stop()
    assert [row["text"] for row in read_labels(folder)] == ["a", "b"]


def test_pictures_that_cannot_be_shown_are_skipped_and_listed(tmp_path):
    folder = make_pictures(tmp_path / "photos", 5)
    (folder / "0001.jpg").write_bytes(b"no picture")
    (folder / "0003.jpg").write_bytes((folder / "0003.jpg").read_bytes()[:300])
    with serve("label", folder) as served:
        client = served.enter()
        for turn in range(3):
            write(client, f"{turn}", "x")
        finished = client.get("/finished").text
        assert "0001: not a readable image" in finished
        assert "0003: not a readable image" in finished
        served.stop()
        served.follower.join()
        assert sum(line.startswith("skipped: 000") for line in served.lines) == 2
        assert served.lines[-1].endswith(f"kis-bench run {folder} measures them")
    assert {row["item_id"] for row in read_labels(folder)} == {"0000", "0002", "0004"}


def test_a_folder_of_damaged_pictures_does_not_keep_anybody_waiting(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(60):
        (folder / f"{i:04d}.jpg").write_bytes(b"no picture")
    with serve("label", folder) as served:
        client = served.enter()
        told = client.get("/")
        assert told.status == 500
        assert "50 pictures in a row can&#39;t be shown" in told.text
        assert client.get("/").status == 303  # none of the other ten is left
        served.stop()


def test_a_table_that_was_edited_is_left_and_taken_over(tmp_path):
    folder = make_pictures(tmp_path / "photos", 5)
    table = folder / "labels.csv"
    with serve("label", folder) as served:
        client = served.enter()
        write(client, "wrng", "x")
        deadline = await_text(folder, "wrng")
        edited = table.read_text().replace("wrng", "right")
        table.write_text(edited)
        write(client, "next", "y")
        page = client.get("/").text
        while "was changed by hand" not in page and time.monotonic() < deadline:
            page = client.get("/").text
        assert "--from" in page
        served.stop()
        served.follower.join()
        assert sum("was changed by hand" in line for line in served.lines) == 1
    assert table.read_text() == edited
    with serve("label", folder, "--from", table) as served:
        assert "0 texts are new, 1 changed, 2 no longer there" in "\n".join(served.lines)
        served.stop()
    assert [row["text"] for row in read_labels(folder)] == ["right", "x"]


@pytest.mark.slow
def test_a_damaged_database_names_the_way_on(tmp_path):
    folder = make_pictures(tmp_path / "photos", 3)
    (folder / "labels.sqlite").write_bytes(b"no database" * 1000)
    (folder / "labels.csv").write_text(
        "query_id,item_id,label_set,text,annotator\n0001-short,0001,short,kept,Ada\n"
    )
    found = run_cli("label", folder, "--no-browser")
    assert found.returncode == 2
    assert "damaged" in found.stderr
    assert f"--from {folder / 'labels.csv'}" in found.stderr
    with serve("label", folder, "--from", folder / "labels.csv") as served:
        served.stop()
    assert [row["text"] for row in read_labels(folder)] == ["kept"]
    assert len([*folder.glob("labels.sqlite.damaged-*")]) == 1


@pytest.mark.slow
def test_where_it_is_served_and_written(tmp_path):
    folder, out = make_pictures(tmp_path / "photos", 3), tmp_path / "out"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = run_cli("label", folder, "--port", port, "--no-browser", "--out", out)
        assert found.returncode == 2
        assert f"127.0.0.1 port {port}" in found.stderr
        assert "--port" in found.stderr
    with serve("label", folder, "--port", port, "--out", out) as served:
        assert f":{port}/" in served.links["annotator-1"]
        second = run_cli("label", folder, "--out", out, "--no-browser")
        assert second.returncode == 2
        assert "another kis-bench has it open" in second.stderr
        served.stop()
    with serve("label", folder, "--out", out) as served:  # the port that open pages know
        assert f":{port}/" in served.links["annotator-1"]
        served.stop()


def test_some_pictures_for_two_people(tmp_path):
    folder, out = make_pictures(tmp_path / "photos", 6), tmp_path / "out"
    (tmp_path / "items.txt").write_text("0004\n0002\n")
    arguments = ["--out", out, "--items", tmp_path / "items.txt", "--overlap", 2]
    with serve("label", folder, *arguments, "--annotator", "Ada", "--annotator", "Ben") as served:
        assert "described by 2 people" in served.welcome("Ben").text
        ada, ben = served.enter("Ada"), served.enter("Ben")
        for client in (ada, ben):
            write(client, "a", "b")
            write(client, "c", "d")
        assert "The goal is reached" in ben.get("/finished").text
        assert "kis-bench run" not in ben.get("/finished").text
        said = ada.get("/finished").text
        assert f"kis-bench run {folder}" in said
        assert f"Put <code>{out / 'labels.csv'}</code> into" in said
        served.stop()
    assert [row["item_id"] for row in read_labels(out)] == ["0004", "0004", "0002", "0002"] * 2
    assert not (folder / "labels.csv").exists()


def test_a_task_of_ones_own_and_a_warning(tmp_path):
    folder = make_pictures(tmp_path / "photos", 6)
    task = tmp_path / "task.toml"
    task.write_text(
        'guide = "What <moves>?"\n[[label_set]]\nname = "verb & noun"\n[[label_set]]\nname = "more"\noptional = true\n'
    )
    with serve("label", folder, "--task", task, "--warn-duplicates") as served:
        assert "What &lt;moves&gt;?" in served.welcome().text
        client = served.enter()
        for text, status in (("Runs", 303), ("flies", 303), (" runs ", 422)):
            answer = client.post("/save", {**client.get("/").form, "text:verb & noun": text})
            assert answer.status == status
        assert "Another picture has the same text" in answer.text
        assert client.post("/save", {**answer.form, "text:verb & noun": "FLIES"}).status == 422
        assert client.post("/save", answer.form).status == 303
        served.stop()
    found = [(row["label_set"], row["text"]) for row in read_labels(folder)]
    assert found == [("verb & noun", text) for text in ("Runs", "flies", " runs ")]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are set by prlimit")
def test_a_full_disk_keeps_the_text_in_the_page(tmp_path):
    """A limit on the size of files makes the disk of the server full, and free again."""
    import resource

    folder = make_pictures(tmp_path / "photos", 4)
    with serve("label", folder) as served:
        client = served.enter()
        write(client, "before", "x")
        form = client.get("/").form | {"text:short": "kept", "text:long": "y" * 2000}
        log = folder / "labels.sqlite-wal"
        free = resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, free[1]))
        answers = [
            client.post("/save", form),
            client.post("/save", form, Accept="application/json"),
        ]
        assert [answer.status for answer in answers] == [507, 507]
        assert "can't be written" in answers[1].text
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, free)
        assert client.get("/").form["assignment"] == form["assignment"]
        assert client.post("/save", form).status == 303
        served.stop()
    assert [row["text"] for row in read_labels(folder)] == ["before", "x", "kept", "y" * 2000]


def test_its_files_are_no_pictures_that_are_left_out(tmp_path):
    folder = make_pictures(tmp_path / "photos", 2)
    with serve("label", folder) as served:
        write(served.enter(), "a", "b")
        await_text(folder, "a")
        served.stop(signal.SIGKILL)
    assert (folder / "labels.sqlite-wal").exists()
    (folder / "labels.sqlite.damaged-20260101T000000").write_bytes(b"")
    assert datasets.load("mine", folder).left_out == {}


@pytest.mark.slow
def test_what_a_model_makes_of_it(tmp_path):
    folder = make_pictures(tmp_path / "photos", 8)
    places = {"KIS_STORE": str(tmp_path / "store"), "KIS_CACHE": str(tmp_path / "cache")}
    missing = run_cli("label", folder, "--show-rank", "colour-words", "--no-browser", **places)
    assert missing.returncode == 2
    assert "kis-bench embed" in missing.stderr
    assert run_cli("embed", folder, "--model", "colour-words", **places).returncode in (0, 2)
    names = ["--annotator", "Ada", "--annotator", "Ben", "--overlap", 2, "--goal", 2]
    names += ["--then", "colour-words", "--show-rank", "colour-words"]
    with serve("label", folder, *names, **places) as served:
        clients = [served.enter("Ada"), served.enter("Ben")]
        for client in clients:
            write(client, "red", "blue")
            told = client.get("/?more=1").text
            assert re.search(
                r"among 8 under colour-words: short at place \d, long at place \d\.", told
            )
            write(client, "green", "black")
        deadline = time.monotonic() + 300
        while "Measuring" in (page := clients[0].get("/finished")).text:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert "recall@10" in page.text
        assert "How far they agree" in page.text
        assert "style=" not in page.text
        curve = clients[0].get("/curve.svg")
        assert curve.headers["Content-Type"] == "image/svg+xml"
        assert b"<svg" in curve.body
        served.stop()
