"""Texts as LaTeX that shows them literally."""

from __future__ import annotations

from kis_bench.files.text import make_plain

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",
    "\N{MINUS SIGN}": "$-$",
}


def escape_latex(text: object) -> str:
    r"""A text on one line in which nothing is a command.

    >>> escape_latex("50% of a_b & {c}")
    '50\\% of a\\_b \\& \\{c\\}'
    """
    return "".join(SPECIAL.get(letter, letter) for letter in make_plain(text))
