"""Who is asked about which triplet, and what they answered."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from kis_bench.errors import BadFile
from kis_bench.labelling.judging import balance
from kis_bench.labelling.judging.tables import JudgedTriplets
from kis_bench.labelling.people import Person
from kis_bench.labelling.truth import Truth
from kis_bench.records import Picture

HELD_S = 2 * 3600.0  #: after which an unanswered question no longer keeps its triplet from others
JUDGING_SQL = """
CREATE TABLE pictures (
    number INTEGER PRIMARY KEY,
    item_id TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE triplets (
    number INTEGER PRIMARY KEY,
    triplet_id TEXT NOT NULL UNIQUE,
    target INTEGER NOT NULL REFERENCES pictures,
    candidate1 INTEGER NOT NULL REFERENCES pictures,
    candidate2 INTEGER NOT NULL REFERENCES pictures,
    path1 TEXT NOT NULL,  -- of the candidates, as the table of triplets spells them
    path2 TEXT NOT NULL
) STRICT;
CREATE TABLE participants (
    person INTEGER PRIMARY KEY REFERENCES people,
    user_id TEXT NOT NULL UNIQUE,
    age_group TEXT NOT NULL,
    education TEXT NOT NULL,
    ml_expert TEXT NOT NULL,
    consent TEXT NOT NULL,  -- SHA-256 of the text that was agreed to, empty where there was none
    since REAL NOT NULL,
    goal INTEGER NOT NULL   -- answers until the thanks
) STRICT;
CREATE TABLE questions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- a page may hold one that was deleted
    triplet INTEGER NOT NULL REFERENCES triplets,
    person INTEGER NOT NULL REFERENCES people,
    repeats INTEGER NOT NULL,  -- the question that is asked again, or 0
    "left" INTEGER NOT NULL CHECK ("left" IN (1, 2)),  -- which candidate is shown there
    state TEXT NOT NULL CHECK (state IN ('ahead', 'open', 'judged')),
    choice INTEGER CHECK (choice BETWEEN -2 AND 2),    -- negative: the left one
    reserved REAL NOT NULL,
    opened REAL,
    spent_ms INTEGER,
    revision INTEGER NOT NULL DEFAULT 0,  -- grows with each change of any choice
    UNIQUE (triplet, person, repeats)
) STRICT;
CREATE INDEX questions_by_person ON questions (person, state);
CREATE INDEX questions_by_revision ON questions (revision);
CREATE TABLE earlier_choices (
    question INTEGER NOT NULL REFERENCES questions,
    choice INTEGER NOT NULL,
    replaced REAL NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class Question:
    """A triplet that somebody is shown, as numbers of pictures."""

    id: int
    target: int
    left: int
    right: int
    state: str
    choice: int | None

    @property
    def pictures(self) -> tuple[int, int, int]:
        return self.target, self.left, self.right


@dataclass(frozen=True)
class AskingRules:
    """How triplets are handed out."""

    overlap: float = 1.2  # people who judge a triplet, on average
    repeats: float = 0.05  # share of the questions that are checks
    goal: int = 100  # answers of a person
    seed: int = 0


class Asking:
    """Hands triplets out, and keeps the answers.

    Args:
        changed: called after each change of an answer.

    Raises:
        BadFile: the table of triplets lacks or contradicts what people have judged.
    """

    def __init__(
        self, truth: Truth, source: JudgedTriplets, rules: AskingRules, changed: Callable[[], None]
    ) -> None:
        self.truth, self.source, self.rules, self.changed = truth, source, rules, changed
        self.unreadable: dict[str, str] = {}  # item id -> why its picture can't be shown
        self.take_over()
        self.items: dict[int, str] = dict(truth.read("SELECT number, item_id FROM pictures"))
        self.order = balance.order_triplets((t.triplet_id for t in source.complete), rules.seed)
        self.wanted = balance.plan_overlap(self.order, rules.overlap, rules.seed)

    def take_over(self) -> None:
        """Takes new triplets from the table; those that are known have to be the same in it."""
        known = {
            name: items
            for name, *items in self.truth.read(
                "SELECT triplet_id, a.item_id, b.item_id, c.item_id FROM triplets"
                " JOIN pictures a ON a.number = target JOIN pictures b ON b.number = candidate1"
                " JOIN pictures c ON c.number = candidate2"
            )
        }
        given = {t.triplet_id: [t.target, t.candidate1, t.candidate2] for t in self.source.triplets}
        judged = {
            name
            for (name,) in self.truth.read(
                "SELECT DISTINCT triplet_id FROM questions JOIN triplets ON number = triplet"
                " WHERE state = 'judged'"
            )
        }
        problems = [
            f"triplet {name!r} was judged, and {'has other pictures now' if name in given else 'is gone'}; put its "
            f"row back: {', '.join(known[name])}"
            for name in known
            if name in judged and given.get(name) != known[name]
        ]
        if problems:
            raise BadFile(self.source.file, problems)
        stale = [name for name in known if given.get(name) != known[name]]
        with self.truth.writing() as rows:
            for name in stale:
                rows.execute(
                    "DELETE FROM questions WHERE triplet ="
                    " (SELECT number FROM triplets WHERE triplet_id = ?)",
                    (name,),
                )
                rows.execute("DELETE FROM triplets WHERE triplet_id = ?", (name,))
            for name, items in given.items():
                if name in known and name not in stale:
                    continue
                rows.executemany(
                    "INSERT INTO pictures (item_id) VALUES (?) ON CONFLICT DO NOTHING",
                    [(item,) for item in items],
                )
                rows.execute(
                    "INSERT INTO triplets (triplet_id, target, candidate1, candidate2, path1, path2) VALUES (?,"
                    " (SELECT number FROM pictures WHERE item_id = ?), (SELECT number FROM pictures WHERE item_id = ?),"
                    " (SELECT number FROM pictures WHERE item_id = ?), ?, ?)",
                    (name, *items, *self.source.paths[name]),
                )

    def find_picture(self, number: int) -> Picture:
        """Raises KeyError for a number that no picture has, or whose file isn't there."""
        return self.source.pictures[self.items[number]]

    def may_see(self, person: Person, number: int) -> bool:
        found = self.truth.read(
            "SELECT 1 FROM questions JOIN triplets ON number = triplet"
            " WHERE person = ? AND ? IN (target, candidate1, candidate2) LIMIT 1",
            person.id,
            number,
        )
        return bool(found)

    def open_next(self, person: Person) -> Question | None:
        """The question that somebody has open, else their next; None if there is none left for them.

        The one after that is theirs, too, so that their browser may fetch its pictures.
        """
        with self.truth.lock:
            found = self.find_in_state(person, "open")
            if found is None or self.find_in_state(person, "ahead") is None:
                with self.truth.writing() as rows:
                    if found is None:
                        self.move_on(rows, person)
                    self.reserve(rows, person, "ahead")
                found = self.find_in_state(person, "open")
            return found

    def find_in_state(self, person: Person, state: str) -> Question | None:
        found = self.truth.read(
            "SELECT id FROM questions WHERE person = ? AND state = ? ORDER BY id LIMIT 1",
            person.id,
            state,
        )
        return self.read_question(person, found[0][0]) if found else None

    def find_before(self, person: Person, number: int) -> Question | None:
        """What somebody answered before a question."""
        found = self.truth.read(
            "SELECT max(id) FROM questions WHERE person = ? AND state = 'judged' AND id < ?",
            person.id,
            number,
        )
        return None if found[0][0] is None else self.read_question(person, found[0][0])

    def read_question(self, person: Person, number: int) -> Question | None:
        """One of somebody's own; None if it isn't theirs."""
        found = self.truth.read(
            'SELECT id, target, candidate1, candidate2, "left", state, choice FROM questions'
            " JOIN triplets ON number = triplet WHERE id = ? AND person = ?",
            number,
            person.id,
        )
        if not found:
            return None
        own, target, first, second, left, state, choice = found[0]
        sides = (first, second) if left == 1 else (second, first)
        return Question(own, target, *sides, state, choice)

    def move_on(self, rows: sqlite3.Connection, person: Person) -> None:
        """Opens the question that was reserved ahead, or a fresh one."""
        opened = rows.execute(
            "UPDATE questions SET state = 'open', opened = ? WHERE id ="
            " (SELECT id FROM questions WHERE person = ? AND state = 'ahead' LIMIT 1)",
            (time.time(), person.id),
        )
        if not opened.rowcount:
            self.reserve(rows, person, "open")

    def reserve(self, rows: sqlite3.Connection, person: Person, state: str) -> None:
        """Gives somebody a triplet, if any is left for them."""
        asked = rows.execute(
            'SELECT id, triplet_id, repeats, "left" FROM questions JOIN triplets ON number = triplet'
            " WHERE person = ? ORDER BY id",
            (person.id,),
        ).fetchall()
        first = {name: (number, left) for number, name, repeats, left in asked if not repeats}
        again = None
        if balance.is_repeat_due(len(asked) + 1, self.rules.repeats):
            repeated = {name for _, name, repeats, _ in asked if repeats}
            again = balance.choose_repeat([*first], repeated, self.rules.seed)
        if again is not None and again in self.wanted:
            chosen, repeats, left = again, first[again][0], 3 - first[again][1]
        else:
            given = dict(
                rows.execute(
                    "SELECT triplet_id, count(*) FROM questions JOIN triplets ON number = triplet WHERE repeats = 0"
                    " AND (state = 'judged' OR reserved > ?) GROUP BY triplet",
                    (time.time() - HELD_S,),
                ).fetchall()
            )
            fresh = balance.choose_triplet(self.order, self.wanted, given, first.keys())
            if fresh is None:
                return
            chosen, repeats = fresh, 0
            left = balance.choose_left(fresh, person.id, self.rules.seed)
        now = time.time()
        rows.execute(
            'INSERT INTO questions (triplet, person, repeats, "left", state, reserved, opened)'
            " VALUES ((SELECT number FROM triplets WHERE triplet_id = ?), ?, ?, ?, ?, ?, ?)",
            (chosen, person.id, repeats, left, state, now, now if state == "open" else None),
        )

    def judge(self, person: Person, number: int, choice: int, seen_ms: int = -1) -> bool:
        """Keeps the answer to one of somebody's questions, the last that was sent; False if it isn't theirs.

        Args:
            choice: -2 to 2; negative: the left one.
            seen_ms: how long the page was looked at, if its script told; what can't be counts from its opening.
        """
        with self.truth.lock:
            question = self.read_question(person, number)
            if question is None or question.state == "ahead":
                return False
            if question.choice == choice:
                return True
            with self.truth.writing() as rows:
                if question.choice is not None:
                    rows.execute(
                        "INSERT INTO earlier_choices VALUES (?, ?, ?)",
                        (number, question.choice, time.time()),
                    )
                (opened,) = rows.execute(
                    "SELECT opened FROM questions WHERE id = ?", (number,)
                ).fetchone()
                passed = max(0, round(1000 * (time.time() - opened)))
                rows.execute(
                    "UPDATE questions SET state = 'judged', choice = ?, spent_ms = ifnull(spent_ms, ?),"
                    " revision = (SELECT max(revision) + 1 FROM questions) WHERE id = ?",
                    (choice, seen_ms if 0 <= seen_ms <= passed else passed, number),
                )
                if question.state == "open":
                    self.move_on(rows, person)
                    self.reserve(rows, person, "ahead")
        self.changed()
        return True

    def leave_out(self, number: int, reason: str) -> None:
        """A picture can't be shown: triplets with it are asked no more."""
        with self.truth.lock:
            self.unreadable[self.items[number]] = reason
            with self.truth.writing() as rows:
                rows.execute(
                    "DELETE FROM questions WHERE state != 'judged' AND triplet IN"
                    " (SELECT number FROM triplets WHERE ? IN (target, candidate1, candidate2))",
                    (number,),
                )
            lost = {
                t.triplet_id
                for t in self.source.triplets
                if not self.unreadable.keys().isdisjoint((t.target, t.candidate1, t.candidate2))
            }
            self.order = [name for name in self.order if name not in lost]
            self.wanted = {name: n for name, n in self.wanted.items() if name not in lost}
