"""Who gets which picture, and what is kept of it."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from served_pages import make_pictures

from kis_bench.datasets import DatasetRow
from kis_bench.labelling.people import PEOPLE_SQL, People
from kis_bench.labelling.texts.assignments import (
    TEXTS_SQL,
    count_refused,
    find_neighbours,
    find_number_ahead,
    list_unreadable,
    read_assignment,
    read_progress,
    retry_unreadable,
)
from kis_bench.labelling.texts.exporting import LabelTable
from kis_bench.labelling.texts.handing import Handing
from kis_bench.labelling.texts.pool import Pool
from kis_bench.labelling.texts.sampling import hash_item
from kis_bench.labelling.truth import NotSaved, Truth


@dataclass
class Project:
    truth: Truth
    folder: Path
    people: list

    def hand(self, overlap=1, **settings):
        wanted = {item for (item,) in self.truth.read("SELECT item_id FROM items")}
        pool = Pool(DatasetRow("mine", self.folder), 0, wanted, **settings)
        return Handing(self.truth, pool, overlap, lambda: None)

    @property
    def table(self):
        return self.tabulate().render().get("a.csv", b"").decode().splitlines()[1:]

    def tabulate(self):
        return LabelTable(self.truth, self.folder / "a.csv")


@pytest.fixture
def project(tmp_path):
    folder = make_pictures(tmp_path / "mine", 12, (8, 8))
    truth = Truth(tmp_path / "a.sqlite", kind="labels", tables=PEOPLE_SQL + TEXTS_SQL, backup="")
    people = People(truth)
    for name in ("Ada", "Ben", "Cy"):
        people.invite(name)
    yield Project(truth, folder, people.list_all())
    truth.close()


def describe(handing, person, text="text"):
    """Describes the picture that somebody has open; returns its item."""
    opened = handing.open_next(person)
    if opened is None:
        return None
    assert handing.save(person, opened.id, {"short": text})
    return handing.items[opened.number]


def test_the_order_is_that_of_the_sample(project):
    handing, ada = project.hand(), project.people[0]
    found = [describe(handing, ada) for _ in range(12)]
    assert found == sorted(found, key=lambda item: hash_item(0, item))
    assert describe(handing, ada) is None


def test_a_pool_that_is_smaller_than_the_collection_is_filled_up(project):
    handing = project.hand(size=5)
    whole = [describe(handing, project.people[0]) for _ in range(13)]
    assert whole[-1] is None
    assert whole[:-1] == project.hand().pool.order


def test_the_same_picture_until_it_is_saved(project):
    handing, ada = project.hand(), project.people[0]
    opened = handing.open_next(ada)
    assert handing.open_next(ada) == project.hand().open_next(ada) == opened
    ahead = find_number_ahead(project.truth, ada)
    assert ahead != opened.number
    handing.save(ada, opened.id, {"short": "a"})
    assert handing.open_next(ada).number == ahead


@pytest.mark.parametrize("overlap", [1, 2, 3])
def test_each_picture_goes_to_so_many_people(project, overlap):
    handing = project.hand(overlap)
    got = {person.id: [] for person in project.people}
    for _ in range(12):
        for person in project.people:
            if (item := describe(handing, person)) is not None:
                got[person.id].append(item)
    each = [item for items in got.values() for item in items]
    assert len(each) == 12 * overlap
    assert all(each.count(item) == overlap for item in each)
    assert all(len({*items}) == len(items) for items in got.values())


def test_what_is_refused_goes_to_nobody(project):
    handing, (ada, ben, _) = project.hand(3), project.people
    opened = [handing.open_next(person) for person in (ada, ben)]
    first, second = (
        handing.items[n] for n in (opened[0].number, find_number_ahead(project.truth, ada))
    )
    assert handing.items[opened[1].number] == first
    handing.refuse(ben, opened[1].id, "private")
    handing.refuse(ben, handing.open_next(ben).id, "blurred")
    assert describe(handing, ada, "seen before") == first  # it was open already
    handing = project.hand(3)
    others = [describe(handing, person) for person in project.people for _ in range(12)]
    assert not {*others} & {first, second}
    assert len({*others} - {None}) == 10
    assert others.count(None) == 6


def test_texts_of_a_refused_picture_leave_the_table_and_come_back(project):
    handing, ada = project.hand(), project.people[0]
    describe(handing, ada, "seen, by Ada")
    describe(handing, ada, "another")
    before = project.table
    handing.refuse(ada, 1, "private")
    assert project.table == before[1:]
    assert read_assignment(project.truth, ada, 1).texts == {"short": "seen, by Ada"}
    handing.save(ada, 1, {"short": "seen, by Ada"})
    assert project.table == before


def test_what_is_replaced_is_kept(project):
    handing, ada = project.hand(), project.people[0]
    opened = handing.open_next(ada)
    for text in ("one", "two", "two", "three"):
        handing.save(ada, opened.id, {"short": text})
    assert [line.split(",")[3] for line in project.table] == ["three"]
    earlier = project.truth.read("SELECT text FROM earlier_texts ORDER BY rowid")
    assert earlier == [("one",), ("two",)]


def test_a_table_that_follows_changes_is_the_table_anew(project):
    handing, table = project.hand(), project.tabulate()
    for person in project.people * 2:
        describe(handing, person)
        assert table.render() == project.tabulate().render()
    first = read_assignment(project.truth, project.people[0], 1)
    handing.save(project.people[0], first.id, {"short": ""})
    assert table.render() == project.tabulate().render()
    assert len(project.table) == 5


def test_pictures_of_others_are_out_of_reach(project):
    handing, (ada, ben, _) = project.hand(), project.people
    opened = handing.open_next(ada)
    assert not handing.save(ben, opened.id, {"short": "mine"})
    assert not handing.refuse(ben, opened.id, "")
    ahead = project.truth.read("SELECT id FROM assignments WHERE state = 'ahead'")[0][0]
    assert not handing.save(ada, ahead, {"short": "too early"})
    assert project.table == []


def test_a_save_that_fails_changes_nothing(project):
    handing, ada = project.hand(), project.people[0]
    opened = handing.open_next(ada)
    project.truth.read(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON labels BEGIN SELECT raise(ABORT, 'full'); END"
    )
    with pytest.raises(NotSaved):
        handing.save(ada, opened.id, {"short": "kept in the page"})
    assert handing.open_next(ada) == opened
    project.truth.read("DROP TRIGGER full")
    again = project.hand()
    assert handing.holders == again.holders
    handing.save(ada, opened.id, {"short": "kept in the page"})
    assert len(project.table) == 1


def test_progress_and_neighbours(project):
    handing, (ada, ben, _) = project.hand(), project.people
    for _ in range(3):
        describe(handing, ada)
    handing.refuse(ada, handing.open_next(ada).id, "empty")
    describe(handing, ben)
    project.truth.read("UPDATE assignments SET opened = 100, finished = 140 WHERE state = 'saved'")
    found = read_progress(project.truth, ada, 10)
    assert (found.own, found.together, found.pace_s, found.minutes_left) == (3, 4, 40, 4)
    assert not found.reached
    assert read_progress(project.truth, ben, 4).reached
    assert read_progress(project.truth, ben, 4).pace_s is None
    own = [
        each
        for (each,) in project.truth.read(
            "SELECT id FROM assignments WHERE person = ? AND state IN ('saved', 'refused') ORDER BY id",
            ada.id,
        )
    ]
    opened = handing.open_next(ada)
    assert find_neighbours(project.truth, ada, opened.id) == (own[-1], None)
    assert find_neighbours(project.truth, ada, own[1]) == (own[0], own[2])
    assert find_neighbours(project.truth, ada, own[0])[0] is None


def test_a_picture_that_could_not_be_shown_is_tried_again_at_the_next_start(project):
    handing, (ada, ben, _) = project.hand(), project.people
    opened = handing.open_next(ada)
    item = handing.items[opened.number]
    handing.skip_unreadable(ada, opened, "is missing")
    handing.refuse(ada, handing.open_next(ada).id, "blurred")
    assert list_unreadable(project.truth) == [(item, "is missing")]
    assert item not in {describe(handing, ben) for _ in range(12)}
    retry_unreadable(project.truth)
    assert list_unreadable(project.truth) == []
    assert count_refused(project.truth) == [("blurred", 1)]
    assert describe(project.hand(), ben) == item
