"""Edits of a label file are taken over; it is also what a lost database is started anew from."""

import pytest
from served_pages import make_pictures

from kis_bench.datasets import DatasetRow
from kis_bench.errors import BadFile
from kis_bench.labelling.texts.importing import import_labels
from kis_bench.labelling.texts.project import LabelProject, make_label_site, make_pool, open_labels
from kis_bench.labelling.texts.task import choose_task
from kis_bench.labelling.truth import DamagedTruth

HEADER = "query_id,item_id,label_set,text,annotator"


class Opened:
    """A project whose database is open."""

    def __init__(self, folder, from_file=None):
        self.project = LabelProject(
            DatasetRow("mine", folder), choose_task(None, []), from_file=from_file
        )
        self.truth = open_labels(folder / "labels.sqlite", anew=from_file)
        pool = make_pool(self.project, self.truth)
        self.site, self.pages = make_label_site(self.project, self.truth, pool, folder)
        self.table = folder / "labels.csv"
        self.said = self.site.exports.say = []
        self.site.exports.say = self.said.append
        self.site.people.invite("Ada")
        (self.ada,) = [each for each in self.site.people.list_all() if each.name == "Ada"]

    def describe(self, short, long):
        opened = self.pages.handing.open_next(self.ada)
        self.pages.handing.save(self.ada, opened.id, {"short": short, "long": long})

    def take_over(self, file):
        found = import_labels(self.pages.handing, file, self.table, "Ada")
        self.site.exports.write()
        return found

    def close(self):
        self.site.exports.write()
        self.site.pictures.close()
        self.truth.close()


@pytest.fixture
def folder(tmp_path):
    folder = make_pictures(tmp_path / "mine" / "images", 6, (8, 8)).parent
    first = Opened(folder)
    first.describe("kite", ' a red, "big" kite\nin two lines ')
    first.describe("boat", "a boat")
    first.close()
    return folder


def test_the_file_that_was_written_changes_nothing(folder):
    opened = Opened(folder)
    before = opened.table.read_bytes()
    found = opened.take_over(opened.table)
    assert (found.new, found.changed, found.gone) == (0, 0, 0)
    assert opened.table.read_bytes() == before
    opened.close()


def test_edits_are_taken_over(folder):
    table = folder / "labels.csv"
    lines = table.read_text().replace("a boat", "a green boat").splitlines(keepends=True)
    (row,) = [line for line in lines if ",boat," in line]
    lines.remove(row)
    table.write_text("".join(lines))
    opened = Opened(folder, table)
    opened.site.exports.write()
    assert "changed by hand" in opened.site.exports.problem
    found = opened.take_over(table)
    assert (found.new, found.changed, found.gone) == (0, 1, 1)
    assert opened.site.exports.problem == ""
    assert table.read_text() == "".join(lines)
    opened.describe("next", "one")
    opened.close()
    assert table.read_text().startswith("".join(lines))
    assert len(table.read_text().splitlines()) == len("".join(lines).splitlines()) + 2


def test_another_name_of_an_annotator_is_another_annotator(folder):
    table = folder / "labels.csv"
    edited = table.read_text().replace(",Ada\n", ",ada\n")
    table.write_text(edited)
    opened = Opened(folder, table)
    found = opened.take_over(table)
    assert (found.new, found.changed, found.gone) == (4, 0, 4)
    opened.close()
    assert table.read_text() == edited


@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_a_lost_database_is_started_anew(folder, damage, capsys):
    table, file = folder / "labels.csv", folder / "labels.sqlite"
    before = table.read_bytes()
    if damage == "lost":
        file.unlink()
    else:
        file.write_bytes(b"no database at all" * 100)
        with pytest.raises(DamagedTruth, match=f"--from {table}"):
            open_labels(file)
    opened = Opened(folder, table)
    found = opened.take_over(table)
    assert (found.new, found.changed, found.gone) == (4, 0, 0)
    described = {opened.pages.handing.items[n] for n in opened.pages.handing.items}
    opened.describe("new", "picture")
    opened.close()
    assert table.read_bytes().startswith(before)
    last = table.read_text().splitlines()[-1].split(",")[1]
    assert last not in described
    if damage == "damaged":
        (kept,) = folder.glob("labels.sqlite.damaged-*")
        assert kept.read_bytes() == b"no database at all" * 100
        assert kept.name in capsys.readouterr().out


def test_another_file_adds_and_takes_nothing_out(folder, tmp_path):
    other = tmp_path / "other.csv"
    item = (folder / "labels.csv").read_text().splitlines()[1].split(",")[1]
    other.write_text(f"query_id,item_id,label_set,text\nx,{item},colours,red\n")
    opened = Opened(folder, other)
    found = opened.take_over(other)
    assert (found.new, found.changed, found.gone) == (1, 0, 0)
    opened.close()
    assert f"{item}-colours,{item},colours,red,Ada" in (folder / "labels.csv").read_text()


def test_all_problems_are_named_and_nothing_is_taken_over(folder):
    table = folder / "labels.csv"
    rows = [
        HEADER,
        "a,0000,short,,Ada",
        "b,nowhere,short,x,Ada",
        "c,0001,short,x,Ada",
        "d,0001,short,y,Ada",
    ]
    table.write_text("\n".join([*rows, f"e,0002,short,{'x' * 2001},Ada"]))
    opened = Opened(folder, table)
    with pytest.raises(BadFile) as raised:
        opened.take_over(table)
    said = str(raised.value)
    for part in (
        "line 2: a cell is empty",
        "line 3: item 'nowhere'",
        "line 5: the same",
        "line 6: text has more",
    ):
        assert part in said
    assert opened.truth.read("SELECT count(*) FROM labels WHERE text != ''") == [(4,)]
    opened.close()


def test_a_table_of_another_form(folder):
    (folder / "labels.csv").write_text("ID,short_label\n0001,x\n")
    opened = Opened(folder)
    with pytest.raises(BadFile, match="missing column 'query_id'"):
        opened.take_over(folder / "labels.csv")
    opened.close()
