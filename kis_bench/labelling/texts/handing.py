"""Who gets which picture: nobody twice the same, no two the same unless they are to; and what came of it."""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from kis_bench.labelling.people import Person
from kis_bench.labelling.texts.assignments import (
    NEXT_REVISION,
    Assignment,
    find_number_ahead,
    find_open,
    read_assignment,
)
from kis_bench.labelling.texts.pool import Pool
from kis_bench.labelling.truth import Truth
from kis_bench.records import Picture

GONE = "its file is no longer in the folder"


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

    def open_next(self, person: Person) -> Assignment | None:
        """The picture that somebody has open, else their next; None if there is none left for them.

        The one after that is theirs, too, so that their browser may fetch it.
        """
        with self.truth.lock:
            found = find_open(self.truth, person)
            if found is None or find_number_ahead(self.truth, person) is None:
                with self.changing() as rows:
                    if found is None:
                        self.move_on(rows, person)
                    if find_number_ahead(self.truth, person) is None:
                        self.reserve(rows, person, "ahead")
                found = find_open(self.truth, person)
            return found

    def move_on(self, rows: sqlite3.Connection, person: Person) -> None:
        """Opens the picture that was reserved ahead, or a fresh one, and reserves the next."""
        opened = rows.execute(
            "UPDATE assignments SET state = 'open', opened = ? WHERE person = ? AND state = 'ahead'",
            (time.time(), person.id),
        )
        if not opened.rowcount:
            self.reserve(rows, person, "open")

    def reserve(self, rows: sqlite3.Connection, person: Person, state: str) -> None:
        """Gives somebody the first picture of the order that is left for them, if any is."""
        item = self.choose(person)
        if item is None:
            return
        number = self.add_item(rows, item)
        rows.execute(
            "INSERT INTO assignments (number, person, state, opened) VALUES (?, ?, ?, ?)",
            (number, person.id, state, time.time() if state == "open" else None),
        )
        self.holders[item].add(person.id)

    def add_item(self, rows: sqlite3.Connection, item: str) -> int:
        """The number of an item, which it has from now on."""
        (number,) = rows.execute(
            "INSERT INTO items (item_id) VALUES (?) ON CONFLICT DO UPDATE SET item_id = item_id RETURNING number",
            (item,),
        ).fetchone()
        self.items[number] = item
        return int(number)

    def choose(self, person: Person) -> str | None:
        """The first item that isn't closed, that not enough people have, and that this person hasn't had."""
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

    def note_seen(self, person: Person) -> None:
        """From now on a picture that doesn't stay is shown."""
        with self.truth.writing() as rows:
            rows.execute(
                "UPDATE assignments SET seen = ? WHERE person = ? AND state = 'open' AND seen IS NULL",
                (time.time(), person.id),
            )

    def save(self, person: Person, number: int, texts: Mapping[str, str]) -> bool:
        """Keeps the texts of one of somebody's pictures, the last that were sent; False if it isn't theirs."""
        with self.truth.lock:
            assignment = read_assignment(self.truth, person, number)
            if assignment is None:
                return False
            again = assignment.state == "refused"
            with self.changing() as rows:
                for name, text in texts.items():
                    if again or assignment.texts.get(name, "") != text:
                        write_label(rows, number, name, text)
                self.finish(rows, person, assignment, "saved", "")
                if again:
                    self.closed.discard(self.items[assignment.number])
                    self.first = 0
        self.changed()
        return True

    def refuse(self, person: Person, number: int, reason: str) -> bool:
        """Keeps that a picture isn't suitable: nobody gets it any more, and their own texts of it leave the label file.

        Who has it open already goes on with it.
        """
        with self.truth.lock:
            assignment = read_assignment(self.truth, person, number)
            if assignment is None:
                return False
            with self.changing() as rows:
                rows.execute(
                    f"UPDATE labels SET revision = {NEXT_REVISION} WHERE assignment = ?", (number,)
                )
                self.close_item(rows, assignment.number)
                self.finish(rows, person, assignment, "refused", reason)
        self.changed()
        return True

    def skip_unreadable(self, person: Person, assignment: Assignment, why: str) -> None:
        """Takes a picture that can't be shown out of everybody's way."""
        with self.changing() as rows:
            rows.execute(
                "UPDATE items SET unreadable = ? WHERE number = ?", (why, assignment.number)
            )
            self.close_item(rows, assignment.number)
            self.finish(rows, person, assignment, "refused", why)

    def close_item(self, rows: sqlite3.Connection, number: int) -> None:
        """Nobody gets an item any more, nor does who would have been given it next."""
        self.closed.add(self.items[number])
        rows.execute("DELETE FROM assignments WHERE number = ? AND state = 'ahead'", (number,))

    def finish(
        self,
        rows: sqlite3.Connection,
        person: Person,
        assignment: Assignment,
        state: str,
        reason: str,
    ) -> None:
        """Notes what came of an assignment; if it was the open one, the next is."""
        rows.execute(
            "UPDATE assignments SET state = ?, reason = ?, finished = ifnull(finished, ?) WHERE id = ?",
            (state, reason, time.time(), assignment.id),
        )
        if assignment.state == "open":
            self.move_on(rows, person)
            self.reserve(rows, person, "ahead")


def write_label(rows: sqlite3.Connection, assignment: int, label_set: str, text: str) -> None:
    """Keeps a text, and the one that it replaces."""
    rows.execute(
        "INSERT INTO earlier_texts SELECT id, text, ? FROM labels WHERE assignment = ? AND label_set = ?",
        (time.time(), assignment, label_set),
    )
    rows.execute(
        "INSERT INTO labels (assignment, label_set, text, revision)"
        f" VALUES (?, ?, ?, {NEXT_REVISION})"
        " ON CONFLICT DO UPDATE SET text = excluded.text, revision = excluded.revision",
        (assignment, label_set, text),
    )
