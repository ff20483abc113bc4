"""The tables of a labelling project, and what stands in them of one person."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from kis_bench.labelling.people import Person
from kis_bench.labelling.truth import Truth

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
    seen REAL,                        -- when the picture was first shown, where it doesn't stay
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
NEXT_REVISION = "(SELECT ifnull(max(revision), 0) + 1 FROM labels)"
PACE_PICTURES = 20  #: the last of them tell how long one takes
BREAK_S = 600.0  #: who took longer was away


@dataclass(frozen=True)
class Assignment:
    """A picture that somebody was given."""

    id: int
    number: int  # of the picture
    state: str
    reason: str
    seen: float | None
    texts: Mapping[str, str]  # by label set, as saved


@dataclass(frozen=True)
class Progress:
    """How far somebody is, and all together."""

    own: int
    together: int
    needed: int
    pace_s: float | None  # median seconds of the last pictures; None: too few to tell

    @property
    def reached(self) -> bool:
        return self.together >= self.needed

    @property
    def minutes_left(self) -> int | None:
        """If nobody else writes."""
        if self.pace_s is None:
            return None
        return max(1, round((self.needed - self.together) * self.pace_s / 60))


def read_assignment(truth: Truth, person: Person, number: int) -> Assignment | None:
    """One of somebody's own; None if it isn't theirs, or not yet."""
    found = truth.read(
        "SELECT id, number, state, reason, seen FROM assignments"
        " WHERE id = ? AND person = ? AND state != 'ahead'",
        number,
        person.id,
    )
    if not found:
        return None
    own, picture, state, reason, seen = found[0]
    texts = truth.read("SELECT label_set, text FROM labels WHERE assignment = ?", number)
    return Assignment(own, picture, state, reason, seen, dict(texts))


def find_open(truth: Truth, person: Person) -> Assignment | None:
    found = truth.read(
        "SELECT id FROM assignments WHERE person = ? AND state = 'open' ORDER BY id", person.id
    )
    return read_assignment(truth, person, found[0][0]) if found else None


def find_number_ahead(truth: Truth, person: Person) -> int | None:
    """The picture that somebody will see after the one that is open."""
    found = truth.read(
        "SELECT number FROM assignments WHERE person = ? AND state = 'ahead'", person.id
    )
    return int(found[0][0]) if found else None


def find_neighbours(truth: Truth, person: Person, number: int) -> tuple[int | None, int | None]:
    """The finished assignments before and after one of somebody's own."""
    where = "FROM assignments WHERE person = ? AND state IN ('saved', 'refused') AND id"
    (before,) = truth.read(f"SELECT max(id) {where} < ?", person.id, number)[0]
    (after,) = truth.read(f"SELECT min(id) {where} > ?", person.id, number)[0]
    return before, after


def read_progress(truth: Truth, person: Person, needed: int) -> Progress:
    counts = dict(
        truth.read("SELECT person, count(*) FROM assignments WHERE state = 'saved' GROUP BY person")
    )
    durations = truth.read(
        "SELECT finished - ifnull(seen, opened) FROM assignments WHERE person = ? AND state = 'saved'"
        " AND finished - ifnull(seen, opened) BETWEEN 0 AND ? ORDER BY finished DESC LIMIT ?",
        person.id,
        BREAK_S,
        PACE_PICTURES,
    )
    pace = statistics.median(seconds for (seconds,) in durations) if len(durations) > 2 else None
    return Progress(counts.get(person.id, 0), sum(counts.values()), needed, pace)


def count_refused(truth: Truth) -> list[tuple[str, int]]:
    """How many pictures were refused, by reason, the most frequent first."""
    found = truth.read(
        "SELECT reason, count(DISTINCT number) FROM assignments JOIN items USING (number)"
        " WHERE state = 'refused' AND unreadable = '' GROUP BY reason ORDER BY 2 DESC, 1"
    )
    return [(reason, count) for reason, count in found]


def list_unreadable(truth: Truth) -> list[tuple[str, str]]:
    """Pictures that couldn't be shown, and why."""
    found = truth.read(
        "SELECT item_id, unreadable FROM items WHERE unreadable != '' ORDER BY item_id"
    )
    return [(item, why) for item, why in found]


def retry_unreadable(truth: Truth) -> None:
    """Pictures that couldn't be shown are tried again: their disk may have been away."""
    with truth.writing() as rows:
        rows.execute(
            "DELETE FROM assignments WHERE state = 'refused'"
            " AND number IN (SELECT number FROM items WHERE unreadable = reason)"
            " AND id NOT IN (SELECT assignment FROM labels)"
        )
        rows.execute("UPDATE items SET unreadable = '' WHERE unreadable != ''")
