"""Takes values from other programs' JSON files with checks, and collects all problems."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")
UNWRITABLE = re.compile("[\0\ud800-\udfff]")  #: in a label file: NUL, and halves of characters
MOST_CHARACTERS = 100_000  #: of a text


@dataclass(frozen=True)
class ValueKind(Generic[Value]):
    """A kind of value: what is expected, and how it is converted; None if it is something else."""

    expected: str
    read: Callable[[Any], Value | None]


@dataclass(frozen=True)
class Place:
    """A part of the file with its name and the list of problems."""

    found: Any
    name: str
    problems: list[str]

    def take(self, path: str, kind: ValueKind[Value], *, needed: bool = True) -> Value | None:
        """The value at a path of keys; None, and a problem, if it is missing or of another kind."""
        value, name, expected = self.found, self.name, kind.expected
        taken: Value | None = None
        for key in path.split(".") if path else ():
            if not isinstance(value, dict):
                expected = "an object in braces"
                break
            value, name = value.get(key), f"{name}.{key}"
        else:
            taken = None if value is None else kind.read(value)
        if taken is None and value is not None:
            kind_of = (
                "an object"
                if isinstance(value, dict)
                else "a list"
                if isinstance(value, list)
                else repr(value)
            )
            self.problems.append(f"{name} is {kind_of[:60]}; make it {expected}")
        elif taken is None and needed:
            self.problems.append(f"{name} is missing; add {expected}")
        return taken

    def each(self, path: str) -> list[Place]:
        listed = self.take(path, LIST) or []
        return [
            Place(one, f"{self.name}.{path}[{i}]", self.problems) for i, one in enumerate(listed)
        ]


LIST = ValueKind[list[Any]]("a list", lambda value: value if isinstance(value, list) else None)


def take_hint(value: Any) -> str | None:
    right = (
        isinstance(value, str) and len(value) <= MOST_CHARACTERS and not UNWRITABLE.search(value)
    )
    return value.strip() if right else None  # as label files are read


HINT = ValueKind(f"a text in quotes, of at most {MOST_CHARACTERS:,} whole characters", take_hint)
TEXT_NOT_BLANK = ValueKind[str](
    f"{HINT.expected}, not blank", lambda value: take_hint(value) or None
)
