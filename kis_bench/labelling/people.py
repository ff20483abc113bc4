"""Annotators, the links that let them in once, and the cookies by which a browser is known afterwards.

Of links and cookies only digests are kept, so that a stolen database opens no page.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from kis_bench.errors import KisBenchError
from kis_bench.files.text import make_plain
from kis_bench.labelling.truth import Truth

PEOPLE_SQL = """
CREATE TABLE people (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    owner INTEGER NOT NULL  -- 1: may invite others
) STRICT;
CREATE TABLE invitations (
    digest TEXT PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES people
) STRICT;
CREATE TABLE browsers (
    digest TEXT PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES people,
    since REAL NOT NULL
) STRICT;
"""
MOST_NAME_LETTERS = 60


@dataclass(frozen=True)
class Person:
    """Somebody who labels or judges."""

    id: int
    name: str
    owner: bool = False


def digest_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class People:
    """Who takes part in a project."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth

    def list_all(self) -> list[Person]:
        rows = self.truth.read("SELECT id, name, owner FROM people ORDER BY id")
        return [Person(number, name, bool(owner)) for number, name, owner in rows]

    def invite(self, name: str, *, owner: bool = False) -> str:
        """A secret that lets a person of this name in once; links made for them before no longer do.

        Raises:
            KisBenchError: it is no name.
        """
        plain = make_plain(name)
        if not plain or plain != name or len(name) > MOST_NAME_LETTERS or "/" in name:
            raise KisBenchError(
                f"annotator {name!r}: a name has 1 to {MOST_NAME_LETTERS} letters on one line, and no slash"
            )
        secret = secrets.token_urlsafe(24)
        with self.truth.writing() as rows:
            rows.execute(
                "INSERT INTO people (name, owner) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET owner = max(owner, excluded.owner)",
                (name, int(owner)),
            )
            (person,) = rows.execute("SELECT id FROM people WHERE name = ?", (name,)).fetchone()
            rows.execute("DELETE FROM invitations WHERE person = ?", (person,))
            rows.execute("INSERT INTO invitations VALUES (?, ?)", (digest_secret(secret), person))
        return secret

    def invite_all(self, names: Sequence[str]) -> dict[str, str]:
        """What `invite` gives for each of these names; the first may invite others.

        Raises:
            KisBenchError: one is no name, or differs from another in case only.
        """
        for place, name in enumerate(names):
            for other in names[:place]:
                if name.casefold() == other.casefold():
                    raise KisBenchError(
                        f"{name!r} and {other!r} are one person here; give each another name"
                    )
        return {name: self.invite(name, owner=place == 0) for place, name in enumerate(names)}

    def find_invited(self, secret: str) -> Person | None:
        """Whom a link would let in; it stays as good as it was."""
        return self.find("invitations", secret)

    def accept(self, secret: str) -> str | None:
        """The cookie of a browser that comes with a link, which is used up; None if it was before."""
        cookie = secrets.token_urlsafe(32)
        with self.truth.writing() as rows:
            found = rows.execute(
                "DELETE FROM invitations WHERE digest = ? RETURNING person",
                (digest_secret(secret),),
            ).fetchone()
            if found is None:
                return None
            rows.execute(
                "INSERT INTO browsers VALUES (?, ?, ?)",
                (digest_secret(cookie), found[0], time.time()),
            )
        return cookie

    def recognise(self, cookie: str) -> Person | None:
        """Whose browser a cookie is."""
        return self.find("browsers", cookie)

    def find(self, table: str, secret: str) -> Person | None:
        rows = self.truth.read(
            "SELECT people.id, people.name, people.owner"
            f" FROM {table} JOIN people ON people.id = person WHERE digest = ?",
            digest_secret(secret),
        )
        return Person(rows[0][0], rows[0][1], bool(rows[0][2])) if rows else None
