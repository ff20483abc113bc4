"""Errors that say what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable

MANY = 20  #: names, of which only close ones are told


class KisBenchError(Exception):
    """Wrong input or a missing part: shown to the user as one message, never as a traceback."""


class MissingDependency(KisBenchError):
    """A package that an optional part needs is not installed."""

    def __init__(self, package: str, *, needed_for: str) -> None:
        super().__init__(f"{needed_for} needs the package {package}: python -m pip install {package}")


class UnknownName(KisBenchError):
    """A model, dataset or label set that nobody declared."""

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        super().__init__(f"{unknown(kind, name, known)}. {remedy}".rstrip())


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """What to say of a name that isn't known: names like it, and all that are.

    >>> unknown("key", "metrc", ["metric", "min"])
    "unknown key 'metrc': did you mean metric? known are metric, min"
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    if close and len(known) > MANY:
        return f"unknown {kind} {name!r}: {hint}".rstrip()
    return f"unknown {kind} {name!r}: {hint}known are {', '.join(known) or 'none'}"


class NotReady(KisBenchError):
    """A known model or dataset that can't be used here and now; says how to get it. Tests skip with it."""

    def __init__(self, what: str, state: str, remedy: str) -> None:
        super().__init__(f"{what}: {state}. {remedy}".rstrip())


class BadFile(KisBenchError):
    """A user's file that can't be taken as it is; all its problems in one message."""

    def __init__(self, file: object, problems: Iterable[str]) -> None:
        self.file, self.problems = file, list(problems)
        shown = self.problems[:20]
        if len(self.problems) > len(shown):
            shown.append(f"... and {len(self.problems) - len(shown)} more")
        super().__init__("\n  ".join([f"{file}:", *shown]))


class BadVector(KisBenchError):
    """A vector with NaN, infinity or no length."""


def raised(error: BaseException) -> str:
    """What a user's code raised, and where: the line of the last frame."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
