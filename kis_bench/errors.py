"""Errors that say what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
import os
import re
import traceback
from collections.abc import Iterable
from pathlib import Path

from kis_bench import __version__

MANY = 20  #: names, of which only close ones are told
SHORT_OPTIONS = "KIS_SHORT_OPTIONS"  #: in the environment where options are typed without "kis-"
MOST_CLOSE = 8  #: names that hold what was typed
MOST_IN_A_LINE = 3  #: problems of a file


#: What a terminal would act on, and what turns the direction of a text; line ends and tabulators are none.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def escape_controls(text: str) -> str:
    r"""The text with control characters as escapes.

    >>> print(escape_controls("red \x1b[31m"))
    red \x1b[31m
    """
    return CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


class KisBenchError(Exception):
    """Wrong input or a missing part: shown to the user as one message, never as a traceback."""

    def __str__(self) -> str:
        return escape_controls(super().__str__())


class MissingDependency(KisBenchError):
    """A package that an optional part needs is not installed."""

    def __init__(self, package: str, *, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the package {package}: python -m pip install {package}"
        )


class UnknownName(KisBenchError):
    """A model, dataset or label set that nobody declared."""

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        said = unknown(kind, name, known)
        super().__init__(f"{said}{'' if said.endswith('?') else '.'} {remedy}".rstrip())


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """What to say of a name that isn't known: names like it, and all that are.

    >>> unknown("key", "metrc", ["metric", "min"])
    "unknown key 'metrc': did you mean metric? known are metric, min"
    """
    known = sorted(known)
    close = find_close(name, known)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    if close and len(known) > MANY:
        return f"unknown {kind} {name!r}: {hint}".rstrip()
    return f"unknown {kind} {name!r}: {hint}known are {', '.join(known) or 'none'}"


def spell_option(name: str) -> str:
    """An option of a session as its user types it: behind ``kis-bench run`` without "kis-"."""
    return f"--{name}" if os.environ.get(SHORT_OPTIONS) else f"--kis-{name}"


def explain_install(extra: str) -> str:
    """How to add a group of packages to this installation, which no package index has.

    Args:
        extra: a key of ``[project.optional-dependencies]`` in pyproject.toml.
    """
    if (Path(__file__).parents[1] / "pyproject.toml").is_file():
        return f"in the clone of kis-bench: python -m pip install -e '.[{extra}]'"
    wheel = f"./kis_bench-{__version__}-py3-none-any.whl"
    return f"where the wheel of kis-bench lies: python -m pip install '{wheel}[{extra}]'"


def find_close(name: str, known: Iterable[str], cutoff: float = 0.5) -> list[str]:
    """What a name may mean: the names that hold it, shortest first, else up to three that are spelt alike.

    >>> find_close("SigLIP", ["demo", "vit-l-16-siglip-384", "vit-b-16-siglip-512"])
    ['vit-l-16-siglip-384', 'vit-b-16-siglip-512']
    >>> find_close("clip_vit_b32", ["clip-vit-b-32", "demo"])
    ['clip-vit-b-32']
    """
    wanted = name.casefold().replace("_", "-")
    plain = {each: each.casefold().replace("_", "-") for each in known}
    held = [each for each, text in plain.items() if wanted in text] if len(wanted) > 1 else []
    if held:
        return sorted(held, key=len)[:MOST_CLOSE]
    close = difflib.get_close_matches(wanted, plain.values(), n=3, cutoff=cutoff)
    return [each for text in dict.fromkeys(close) for each in plain if plain[each] == text]


class NotReady(KisBenchError):
    """A known model or dataset that can't be used here and now; says how to get it.

    Tests skip with it, unless what it ``concerns`` was asked for by name.
    """

    def __init__(self, what: str, state: str, remedy: str, *, concerns: str = "") -> None:
        self.concerns = concerns or what
        self.parts = what, state, remedy
        super().__init__(f"{what}: {state}. {remedy}".rstrip())


class BadFile(KisBenchError):
    """A user's file that can't be taken as it is; all its problems in one message."""

    def __init__(self, file: object, problems: Iterable[str]) -> None:
        self.file, self.problems = file, list(problems)
        shown = self.problems[:20]
        if len(self.problems) > len(shown):
            shown.append(f"... and {len(self.problems) - len(shown)} more")
        super().__init__("\n  ".join([f"{file}:", *shown]))


class ClusterError(KisBenchError):
    """A cluster, or one of its nodes, that can't do what it is asked for: nothing else that needs it can be done."""


class BadVector(KisBenchError):
    """A vector with NaN, infinity or no length."""


def raised(error: BaseException) -> str:
    """What a user's code raised, and where: the last line of their own, for libraries call each other far below it."""
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.isfile(frame.filename)
    ]
    if not frames or (
        isinstance(error, SyntaxError) and error.filename
    ):  # which says itself where it is
        return said
    frame = [frame for frame in frames if is_own(frame.filename)][-1:] or frames[-1:]
    return f"{said} ({frame[0].filename}, line {frame[0].lineno})"


def is_own(file: str) -> bool:
    """Whether a file is neither of this package, nor of Python's library or what is installed beside that."""
    others = (os.path.dirname(os.__file__), os.path.dirname(__file__))
    return not os.path.abspath(file).startswith(tuple(folder + os.sep for folder in others))


def in_one_line(error: KisBenchError) -> str:
    """An error as a line of a list: of a file's problems the first few, and how many there are more.

    >>> in_one_line(BadFile("labels.csv", ["line 2: text is empty", "line 3: text is empty"]))
    'labels.csv: line 2: text is empty; line 3: text is empty'
    """
    if not isinstance(error, BadFile):
        return "; ".join(filter(None, map(str.strip, str(error).splitlines())))
    shown = error.problems[:MOST_IN_A_LINE]
    more = len(error.problems) - len(shown)
    said = f"{error.file}: {'; '.join(shown)}" + (f"; and {more} more" if more else "")
    return " ".join(said.split())
