"""A study that is begun anew from its tables."""

import csv

import pytest
from judged_pages import begin, judge_one, make_study
from served_pages import serve

from kis_bench import cli
from kis_bench.datasets.reset import read_study
from kis_bench.errors import BadFile
from kis_bench.labelling.judging.restoring import read_study_to_restore

OPTIONS = ("--overlap", "2", "--repeats", "0.2")
TABLES = ("participants.csv", "triplet_judgements.csv", "repeated_judgements.csv")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A folder in which somebody has given sixteen answers."""
    folder = make_study(tmp_path_factory.mktemp("study") / "mine", 20)
    with serve("judge", folder, *OPTIONS) as served:
        client = served.enter()
        begin(client)
        for turn in range(16):
            judge_one(client, turn % 5 - 2)
        served.stop()
    return folder


@pytest.fixture
def folder(judged, tmp_path):
    found = make_study(tmp_path / "mine", 20)
    for name in (*TABLES, "judgments.sqlite"):
        (found / name).write_bytes((judged / name).read_bytes())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["damaged", "replaced", "lost"])
def test_a_study_goes_on_from_its_tables(folder, kind):
    before = {name: (folder / name).read_bytes() for name in TABLES}
    database = folder / "judgments.sqlite"
    if kind == "damaged":
        database.write_bytes(b"no database at all" * 100)
    if kind == "lost":
        database.unlink()
    with serve("judge", folder, *OPTIONS, "--participant", "p1", "--from", folder) as served:
        client = served.enter("p1")
        page = client.get("/")
        assert "16 of 100" in page.text  # the form about oneself isn't asked for again
        assert {name: (folder / name).read_bytes() for name in TABLES} == before
        judge_one(client, 2)
        judge_one(client, 2)
        assert "was changed by hand" not in client.get("/").text
        served.stop()
        assert "16 answers were taken over; new links for --participant p1" in served.lines
    aside = [file.name for file in folder.glob("judgments.sqlite.*")]
    assert [name.split(".")[2].split("-")[0] for name in aside] == [kind] * (kind != "lost")
    after = {name: (folder / name).read_bytes() for name in TABLES}
    assert after["triplet_judgements.csv"].startswith(before["triplet_judgements.csv"])
    assert len(read_study(folder).judgments) == 17  # the fifteenth answer is a repetition
    judged = [j.triplet_id for j in read_study(folder).judgments]
    assert len(judged) == len({*judged})


@pytest.mark.slow
def test_without_it_a_damaged_database_is_told_with_the_remedy(folder, capsys):
    (folder / "judgments.sqlite").write_bytes(b"no database at all" * 100)
    assert cli.main(["judge", str(folder), "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert f"start again with --from {folder}; the damaged file is kept" in said


@pytest.mark.slow
def test_judgments_of_others_are_not_gone_on_with_unasked(folder, capsys):
    (folder / "judgments.sqlite").unlink()
    assert cli.main(["judge", str(folder), "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert f"no judgments.sqlite that they were written from; --from {folder} goes on" in said
    assert not (folder / "judgments.sqlite").exists()


def edit(file, change):
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    change(rows)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (TABLES[1], lambda rows: rows[0].update(judgement_id="j1"), "'j1' is no number of its own"),
        (TABLES[1], lambda rows: rows.append({**rows[0], "judgement_id": "999"}), "'p1' judged"),
        (
            TABLES[2],
            lambda rows: rows[0].update(repeats="999"),
            "repeats 999, which is no judgment",
        ),
        (
            TABLES[2],
            lambda rows: rows[0].update(judgement_id="1"),
            "judgement_id '1' is no number of its own",
        ),
    ],
)
def test_tables_that_cannot_be_taken_over(folder, name, change, said):
    edit(folder / name, change)
    with pytest.raises(BadFile, match=said):
        read_study_to_restore(folder)


@pytest.mark.slow
def test_what_was_edited_is_what_is_taken_over(folder):
    edit(folder / TABLES[1], lambda rows: rows.pop(0))
    found = read_study_to_restore(folder)
    rows = list(csv.DictReader((folder / TABLES[1]).read_text("utf-8").splitlines()))
    own = [one for one in found.answers if not one[3]]
    assert [(str(n), t, u, str(c), str(ms)) for n, t, u, _, _, c, ms in own] == [
        (
            row["judgement_id"],
            row["triplet_id"],
            row["user_id"],
            row["choice"],
            row["time_spent"],
        )
        for row in rows
    ]
