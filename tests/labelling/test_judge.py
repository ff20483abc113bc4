"""``kis-bench judge`` served in a process of its own, and used by plain clients."""

import csv
import re
import signal
import sqlite3
import statistics

import pytest
from builders import run_cli
from judged_pages import begin, judge_one, make_study, write_triplets_table
from PIL import Image
from reset_files import write_table
from served_pages import make_pictures, serve

from kis_bench import cli, datasets
from kis_bench.datasets.reset import TRIPLET_COLUMNS, read_study


def read_rows(folder, name="triplet_judgements.csv"):
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_pictures(page):
    """Numbers of the pictures of a page: target, left, right."""
    return re.findall(r'<img [^>]*src="/picture/(\d+)', page)


def test_a_study_is_read_as_it_was_judged(tmp_path):
    folder = make_study(tmp_path / "mine", 30)
    names = ["Ada Lovelace", "Ben", "Cem"]
    people = [word for name in names for word in ("--participant", name)]
    with serve("judge", folder, *people, "--overlap", "2", "--repeats", "0.2") as served:
        clients = [served.enter(name) for name in names]
        for client in clients:
            assert begin(client).status == 303
        answers, seen = {}, {}
        for turn in range(22):
            for who, client in enumerate(clients):
                page = client.get("/")
                if "question" not in page.form:
                    assert "nothing is left to ask you" in page.text
                    continue
                number, choice = page.form["question"], (turn + who) % 5 - 2
                seen[number] = read_pictures(page.text)
                assert len({*seen[number]}) == 3
                assert judge_one(client, choice).status == 303
                answers[number] = choice
        assert served.stop() == 0
    rows, again = read_rows(folder), read_rows(folder, "repeated_judgements.csv")
    assert {row["judgement_id"]: int(row["choice"]) for row in rows + again} == answers
    study = read_study(folder)
    assert {p.user_id for p in study.participants} == {"p1", "p2", "p3"}
    assert {(p.age_group, p.education, p.ml_expert) for p in study.participants} == {
        ("25-34", "master", "no")
    }
    assert [j.degree is not None for j in study.judgments] == [True] * len(rows)
    judged = [row["triplet_id"] for row in rows]
    assert {judged.count(one) for one in judged} == {2}  # as planned
    assert len({*judged}) == 30
    assert len({(row["triplet_id"], row["user_id"]) for row in rows}) == len(rows) == 60
    # A picture has one number, and each row names the pictures as they stood on the page.
    shown = {}
    for row in rows + again:
        for path, number in zip(
            (row["option_one_path"], row["option_two_path"]),
            seen[row["judgement_id"]][1:],
            strict=True,
        ):
            assert shown.setdefault(path, number) == number
    first = {row["judgement_id"]: row for row in rows}
    assert len(again) == 6
    for row in again:
        before = first[row["repeats"]]
        assert (row["triplet_id"], row["user_id"]) == (before["triplet_id"], before["user_id"])
        assert row["option_one_path"] == before["option_two_path"]  # sides are exchanged
    assert {j.left for j in study.judgments} == {1, 2}
    assert statistics.median(int(row["time_spent"]) for row in rows) < 60_000
    written = b"".join(file.read_bytes() for file in folder.glob("*.csv"))
    assert b"Ada" not in written
    assert datasets.load("mine", folder).judgments == study.judgments


@pytest.mark.slow
def test_answers_outlive_a_killed_server_and_count_once(tmp_path):
    folder = make_study(tmp_path / "mine", 8)
    with serve("judge", folder, "--overlap", "1", "--participant", "Ada") as served:
        client = served.enter()
        begin(client)
        assert not (folder / "triplet_judgements.csv").exists()
        assert not (folder / "participants.csv").exists()
        form = client.get("/").form | {"choice": "-2"}
        assert [client.post("/judge", form).status for _ in range(3)] == [303] * 3
        assert client.get("/").form["question"] != form["question"]
        assert client.post("/judge", form | {"choice": "1"}).status == 303  # corrected
        waiting = client.get("/")
        served.stop(signal.SIGKILL)
    with serve("judge", folder, "--overlap", "1") as served:
        client.host = served.links["Ada"].split("/")[2]
        assert client.get("/").form == waiting.form
        assert read_pictures(client.get("/").text) == read_pictures(waiting.text)
        earlier = client.get(f"/question/{form['question']}").text
        assert re.search(r'value="1"[^>]*aria-pressed="true"', earlier)
        for _ in range(7):
            judge_one(client, 2)
        assert "nothing is left to ask you" in client.get("/").text
        served.stop()
    rows = read_rows(folder)
    assert [row["choice"] for row in rows] == ["1"] + ["2"] * 7
    assert sorted(row["triplet_id"] for row in rows) == [str(i) for i in range(1, 9)]


def test_the_goal_is_a_sitting_and_the_owner_sees_the_study(tmp_path):
    folder = make_study(tmp_path / "mine", 20)
    people = ("--participant", "Ada", "--participant", "Ben")
    with serve("judge", folder, *people, "--goal", "3") as served:
        ada, ben = served.enter("Ada"), served.enter("Ben")
        for client in (ada, ben):
            begin(client)
            for _ in range(3):
                judge_one(client, -1)
        thanks = ben.get("/")
        assert "Your 3 answers are saved" in thanks.text
        assert (
            "So far 6 judgments with a preference by 2 people on\n6 of 20 triplets" in thanks.text
        )
        assert re.search(r"would be known to ±\d+\.\d points", thanks.text)
        assert ben.post("/more", thanks.form).status == 303
        assert "3 of 6" in ben.get("/").text
        assert ben.get("/progress").status == 403
        study = ada.get("/progress").text
        assert re.findall(r'<th scope="row">(p\d)</th><td>(\d+)</td>', study) == [
            ("p1", "3"),
            ("p2", "3"),
        ]
        assert "100% of 3" in study
        served.stop()


def test_consent_comes_first_and_is_escaped(tmp_path):
    folder = make_study(tmp_path / "mine", 8)
    consent = tmp_path / "consent.txt"
    consent.write_text("<b>You</b> may stop & go.\n\nAny time.", encoding="utf-8")
    with serve("judge", folder, "--consent", consent) as served:
        client = served.enter()
        page = client.get("/")
        assert "&lt;b&gt;You&lt;/b&gt; may stop &amp; go." in page.text
        refused = client.post("/participant", {"csrf": page.form["csrf"], "age_group": "18-24"})
        assert refused.status == 422
        assert "Without your consent nothing is asked" in refused.text
        form = client.get("/").form
        assert "question" not in form  # still before it
        strange = {**form, "consent": "yes", "age_group": "<script>", "education": "doctorate"}
        assert client.post("/participant", strange).status == 303
        judge_one(client, 0)
        served.stop()
    assert read_rows(folder, "participants.csv") == [
        {"user_id": "p1", "age_group": "", "education": "doctorate", "ml_expert": ""}
    ]


def test_what_is_not_ones_own_is_refused(tmp_path):
    folder = make_study(tmp_path / "mine", 12)
    with serve("judge", folder, "--participant", "Ada", "--participant", "Ben") as served:
        ada, ben = served.enter("Ada"), served.enter("Ben")
        begin(ada)
        begin(ben)
        page = ada.get("/")
        target = read_pictures(page.text)[0]
        assert ada.get(f"/picture/{target}").headers["Content-Type"] == "image/jpeg"
        question = page.form["question"]
        own = ben.get("/").form
        assert ben.post("/judge", {**own, "question": question, "choice": "1"}).status == 404
        assert ben.get(f"/question/{question}").status == 404
        ahead = re.findall(r'href="/picture/(\d+)', page.text)
        assert len(ahead) == 3  # of the next question, which the browser may fetch
        for choice in ("3", "-3", "", "1.5", "x"):
            assert ben.post("/judge", {**own, "choice": choice}).status == 422
        others = {str(n) for n in range(1, 13)} - {*read_pictures(ben.get("/").text)}
        assert 404 in {ben.get(f"/picture/{n}").status for n in others}
        ada.cookie = ""
        assert ada.get("/").status == ada.post("/judge", page.form).status == 403
        assert ada.get(f"/picture/{target}").status == 403
        served.stop()
    assert not (folder / "triplet_judgements.csv").exists()


def test_triplets_whose_pictures_cannot_be_shown_are_left_out(tmp_path):
    folder = make_study(tmp_path / "mine", 12)
    (folder / "images" / "0003.jpg").write_bytes(b"no picture")
    (folder / "images" / "0008.jpg").unlink()
    with serve("judge", folder, "--overlap", "1") as served:
        client = served.enter()
        begin(client)
        while "question" in client.get("/").form:
            judge_one(client, 1)
        served.stop()
        said = "\n".join(served.lines)
    assert "9 triplets; judgments go to" in said
    assert "3 triplets are left out, because a picture of each is missing" in said
    assert "0003.jpg" in said
    judged = {int(row["triplet_id"]) - 1 for row in read_rows(folder)}
    lost = {i for i in range(12) if {3, 8} & {i, (i + 1) % 12, (i + 5) % 12}}
    assert judged == {*range(12)} - lost


def test_names_of_files_are_on_no_page_and_in_the_tables_as_they_are(tmp_path):
    names = ["=1+1", "a,b", 'say "x"', "<b>bold</b>".replace("/", "-"), "טקסט", " blank", "d'o"]
    pictures = make_pictures(tmp_path / "mine" / "images", len(names))
    for i, name in enumerate(names):
        (pictures / f"{i:04d}.jpg").rename(pictures / f"{name}.jpg")
    rows = [
        {
            "triplet_id": f"{i}",
            **{
                column: f"images/{names[(i + step) % len(names)]}.jpg"
                for column, step in zip(TRIPLET_COLUMNS[1:], (0, 1, 3), strict=True)
            },
        }
        for i in range(len(names))
    ]
    outside = ("../outside.jpg", "/etc/hostname", "images/../../outside.jpg")
    rows.append(dict(zip(TRIPLET_COLUMNS, ("out", *outside), strict=True)))
    Image.new("RGB", (8, 8)).save(tmp_path / "outside.jpg")
    folder = pictures.parent
    write_table(folder / "triplets.csv", rows, TRIPLET_COLUMNS)
    with serve("judge", folder, "--overlap", "1") as served:
        client = served.enter()
        begin(client)
        while "question" in (page := client.get("/")).form:
            assert not any(name.strip() in page.text for name in names if len(name) > 3)
            judge_one(client, 1)
        assert client.get("/picture/..%2F..%2Foutside.jpg").status == 404
        served.stop()
    study = read_study(folder)
    assert sorted(j.triplet_id for j in study.judgments) == [str(i) for i in range(len(names))]
    assert study.images >= {*names}


@pytest.mark.slow
def test_a_picture_that_vanishes_between_two_starts_is_left_out(tmp_path):
    folder = make_study(tmp_path / "mine", 12)
    with serve("judge", folder, "--overlap", "1") as served:
        client = served.enter()
        begin(client)
        open_then = client.get("/").form["question"]
        numbers = read_pictures(client.get("/").text)
        served.stop()
    with sqlite3.connect(folder / "judgments.sqlite") as database:
        ((item,),) = database.execute("SELECT item_id FROM pictures WHERE number = ?", numbers[:1])
    database.close()
    (folder / "images" / f"{item}.jpg").unlink()
    with serve("judge", folder, "--overlap", "1") as served:
        client.host = served.links["participant-1"].split("/")[2]
        asked = 0
        while "question" in (page := client.get("/")).form:
            assert page.form["question"] != open_then
            judge_one(client, 0)
            asked += 1
        served.stop()
        assert f"a picture is left out, and triplets with it: {item} is missing" in served.lines
    assert asked == 9


@pytest.mark.slow
def test_triplets_may_be_added_and_judged_ones_have_to_stay(tmp_path):
    folder = make_study(tmp_path / "mine", 9)
    first = [(0, 1, 2), (3, 4, 5)]
    write_triplets_table(folder, first)
    with serve("judge", folder, "--overlap", "1") as served:
        client = served.enter()
        begin(client)
        judge_one(client, 1)
        judge_one(client, 1)
        assert "nothing is left" in client.get("/").text
        served.stop()
    write_triplets_table(folder, [*first, (6, 7, 8)])
    with serve("judge", folder, "--overlap", "1") as served:
        client.host = served.links["participant-1"].split("/")[2]
        judge_one(client, -1)
        served.stop()
    assert [row["triplet_id"] for row in read_rows(folder)][-1] == "3"
    write_triplets_table(folder, [first[0], (3, 4, 6), (6, 7, 8)])
    found = run_cli("judge", folder, "--no-browser")
    assert found.returncode == 2
    assert (
        "triplet '2' was judged, and has other pictures now; put its row back: 0003, 0004, 0005"
        in (found.stderr)
    )


@pytest.mark.slow
def test_tables_that_somebody_changed_are_left_as_they_are(tmp_path):
    folder = make_study(tmp_path / "mine", 9)
    with serve("judge", folder) as served:
        client = served.enter()
        begin(client)
        judge_one(client, 1)
        served.stop()
    file = folder / "triplet_judgements.csv"
    edited = file.read_bytes().replace(b"p1", b"me")
    file.write_bytes(edited)
    with serve("judge", folder) as served:
        client.host = served.links["participant-1"].split("/")[2]
        judge_one(client, 1)
        assert "was changed by hand, and is left as it is" in client.get("/").text
        assert file.read_bytes() == edited
        file.rename(folder / "edited.csv")
        judge_one(client, 1)
        served.stop()
    assert len(read_rows(folder)) == 3


def test_judgments_may_lie_elsewhere(tmp_path):
    folder, out = make_study(tmp_path / "mine", 9), tmp_path / "study"
    with serve("judge", f"my={folder}", "--out", out) as served:
        client = served.enter()
        begin(client)
        judge_one(client, 1)
        served.stop()
    assert (out / "triplets.csv").read_bytes() == (folder / "triplets.csv").read_bytes()
    assert len(read_study(out).judgments) == 1
    assert sorted(file.name for file in folder.iterdir()) == ["images", "triplets.csv"]


@pytest.mark.parametrize(
    ("table", "arguments", "said"),
    [
        (None, [], "has no triplets.csv; kis-bench triplets"),
        ("triplet_id,target_path\n1,a\n", [], "missing column 'candidate1_path'"),
        (
            "triplet_id,target_path,candidate1_path,candidate2_path\n1,a,b,c\n",
            [],
            "no triplet has all its pictures",
        ),
        (
            "triplet_id,target_path,candidate1_path,candidate2_path\n1,0000.jpg,0001.jpg,0001.jpg\n",
            [],
            "line 2: triplet '1' has the same image twice",
        ),
        (None, ["--consent", "nowhere.txt"], "nowhere.txt:\n  can't be read"),
    ],
)
def test_what_cannot_be_judged_is_told(tmp_path, capsys, table, arguments, said):
    folder = make_pictures(tmp_path / "mine" / "images", 4).parent
    if table is not None:
        (folder / "triplets.csv").write_text(table)
    assert cli.main(["judge", str(folder), "--no-browser", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--overlap", "0.5"], "'0.5' is no number from 1 to 1000"),
        (["--repeats", "0.9"], "'0.9' is no number from 0 to 0.5"),
        (["--goal", "0"], "'0' is not a whole number from 1 on"),
    ],
)
def test_options_that_cannot_be(capsys, arguments, said):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["judge", "mine", *arguments])
    assert said in capsys.readouterr().err
