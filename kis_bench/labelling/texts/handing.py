"""Who gets which picture: nobody twice the same, no two the same unless they are to; and what came of it."""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from kis_bench.labelling.people import Person
from kis_bench.labelling.texts.pool import Pool
from kis_bench.labelling.truth import Truth
from kis_bench.records import Picture

TEXTS_SQL = """
CREATE TABLE items (
    number INTEGER PRIMARY KEY,
    item_id TEXT NOT NULL UNIQUE,
    unreadable TEXT NOT NULL DEFAULT ''  -- why its picture can't be shown
) STRICT;
CREATE TABLE assignments (
    id INTEGER PRIMARY KEY,
    number INTEGER NOT NULL REFERENCES items,
    person INTEGER NOT NULL REFERENCES people,
    state TEXT NOT NULL CHECK (state IN ('ahead', 'open', 'saved', 'refused')),
    reason TEXT NOT NULL DEFAULT '',  -- of a refusal
    opened REAL,                      -- seconds since 1970
    finished REAL,
    UNIQUE (number, person)
) STRICT;
CREATE INDEX by_person ON assignments (person, state);
CREATE TABLE labels (
    id INTEGER PRIMARY KEY,
    assignment INTEGER NOT NULL REFERENCES assignments,
    label_set TEXT NOT NULL,
    text TEXT NOT NULL,
    revision INTEGER NOT NULL,  -- grows with each change of any label
    UNIQUE (assignment, label_set)
) STRICT;
CREATE INDEX by_revision ON labels (revision);
CREATE TABLE earlier_texts (
    label INTEGER NOT NULL REFERENCES labels,
    text TEXT NOT NULL,
    replaced REAL NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class Assignment:
    """A picture that somebody was given."""

    id: int
    number: int  # of the picture
    state: str
    reason: str
    texts: Mapping[str, str]  # by label set, as saved


class Handing:
    """Hands pictures out, and keeps what is written about them.

    Args:
        overlap: how many people describe each picture.
        changed: called after each change of the labels.
    """

    def __init__(self, truth: Truth, pool: Pool, overlap: int, changed: Callable[[], None]) -> None:
        self.truth, self.pool, self.overlap, self.changed = truth, pool, overlap, changed
        self.recall()

    def recall(self) -> None:
        """Takes from the database who holds what."""
        read = self.truth.read
        self.holders: defaultdict[str, set[int]] = defaultdict(set)  # item -> people who got it
        self.closed: set[str] = set()  # refused, or can't be shown
        self.first = 0  # place in the order before which nothing is left for anybody
        self.items: dict[int, str] = {}
        for number, item, unreadable in read("SELECT number, item_id, unreadable FROM items"):
            self.items[number] = item
            if unreadable:
                self.closed.add(item)
        for number, person, state in read("SELECT number, person, state FROM assignments"):
            self.holders[self.items[number]].add(person)
            if state == "refused":
                self.closed.add(self.items[number])

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; if it fails, what is remembered here is what was before."""
        with self.truth.lock:
            try:
                with self.truth.writing() as rows:
                    yield rows
            except BaseException:
                self.recall()
                raise

    def find_picture(self, number: int) -> Picture:
        """Raises KeyError for a number that no picture has, or whose file has gone."""
        return self.pool.pictures[self.items[number]]

    def may_see(self, person: Person, number: int) -> bool:
        found = self.truth.read(
            "SELECT 1 FROM assignments WHERE number = ? AND person = ?", number, person.id
        )
        return bool(found)

    def open_next(self, person: Person) -> Assignment | None:
        """The picture that somebody has open, else their next; None if there is none left for them.

        The one after that is theirs, too, so that their browser may fetch it.
        """
        with self.truth.lock:
            found = self.find_in_state(person, "open")
            if found is None or self.find_in_state(person, "ahead") is None:
                with self.changing() as rows:
                    if found is None:
                        self.move_on(rows, person)
                    self.reserve(rows, person, "ahead")
                found = self.find_in_state(person, "open")
            return found

    def find_ahead(self, person: Person) -> Assignment | None:
        return self.find_in_state(person, "ahead")

    def find_in_state(self, person: Person, state: str) -> Assignment | None:
        found = self.truth.read(
            "SELECT id FROM assignments WHERE person = ? AND state = ? ORDER BY id LIMIT 1",
            person.id,
            state,
        )
        return self.read_assignment(person, found[0][0]) if found else None

    def read_assignment(self, person: Person, number: int) -> Assignment | None:
        """One of somebody's own; None if it isn't theirs."""
        found = self.truth.read(
            "SELECT id, number, state, reason FROM assignments WHERE id = ? AND person = ?",
            number,
            person.id,
        )
        if not found:
            return None
        texts = self.truth.read("SELECT label_set, text FROM labels WHERE assignment = ?", number)
        own, picture, state, reason = found[0]
        return Assignment(own, picture, state, reason, dict(texts))

    def move_on(self, rows: sqlite3.Connection, person: Person) -> None:
        """Opens the picture that was reserved ahead, or a fresh one."""
        opened = rows.execute(
            "UPDATE assignments SET state = 'open', opened = ? WHERE id ="
            " (SELECT id FROM assignments WHERE person = ? AND state = 'ahead' LIMIT 1)",
            (time.time(), person.id),
        )
        if not opened.rowcount:
            self.reserve(rows, person, "open")

    def reserve(self, rows: sqlite3.Connection, person: Person, state: str) -> None:
        """Gives somebody the first picture of the order that is left for them, if any is."""
        item = self.choose(person)
        if item is None:
            return
        (number,) = rows.execute(
            "INSERT INTO items (item_id) VALUES (?) ON CONFLICT DO UPDATE SET item_id = item_id RETURNING number",
            (item,),
        ).fetchone()
        rows.execute(
            "INSERT INTO assignments (number, person, state, opened) VALUES (?, ?, ?, ?)",
            (number, person.id, state, time.time() if state == "open" else None),
        )
        self.items[number] = item
        self.holders[item].add(person.id)

    def choose(self, person: Person) -> str | None:
        order = self.pool.order
        place = self.first
        while True:
            while place < len(order):
                item = order[place]
                if item in self.closed or len(self.holders[item]) >= self.overlap:
                    self.first += place == self.first
                elif person.id not in self.holders[item]:
                    return item
                place += 1
            if not self.pool.extend():
                return None

    def save(self, person: Person, number: int, texts: Mapping[str, str]) -> bool:
        """Keeps the texts of one of somebody's pictures, the last that were sent; False if it isn't theirs."""
        with self.truth.lock:
            assignment = self.read_assignment(person, number)
            if assignment is None or assignment.state == "ahead":
                return False
            changes = {
                name: text for name, text in texts.items() if assignment.texts.get(name, "") != text
            }
            with self.changing() as rows:
                for name, text in changes.items():
                    rows.execute(
                        "INSERT INTO earlier_texts SELECT id, text, ? FROM labels"
                        " WHERE assignment = ? AND label_set = ?",
                        (time.time(), number, name),
                    )
                    rows.execute(
                        "INSERT INTO labels (assignment, label_set, text, revision)"
                        " VALUES (?, ?, ?, (SELECT ifnull(max(revision), 0) + 1 FROM labels))"
                        " ON CONFLICT DO UPDATE SET text = excluded.text, revision = excluded.revision",
                        (number, name, text),
                    )
                rows.execute(
                    "UPDATE assignments SET state = 'saved', reason = '', finished = ifnull(finished, ?)"
                    " WHERE id = ?",
                    (time.time(), number),
                )
                if assignment.state == "open":
                    self.move_on(rows, person)
                    self.reserve(rows, person, "ahead")
        self.changed()
        return True
