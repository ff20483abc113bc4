"""Finds the item that somebody meant who wrote its id almost right: for a message, never for a figure."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property

from kis_bench.files.picture_formats import IMAGE_SUFFIXES


class NearIds:
    """The ids of a collection by what is left of them when folder, case, zeros and the like don't count."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = ids

    @cached_property
    def index(self) -> dict[str, list[str]]:
        """Simple form -> ids that have it; made when the first id is missed."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for item in self.ids:
            for form in {*spell_forms(item)}:
                found[form].append(item)
        return found

    def suggest(self, written: str) -> str:
        """Words that name the one item that may be meant, with a blank before them; empty if none or several may.

        Of pictures that differ in their suffix alone, all are named.

        >>> NearIds(["beach/0042", "a.png", "a.jpg"]).suggest("Beach\\\\42.jpg")
        " (did you mean 'beach/0042'?)"
        """
        for form in spell_forms(written):
            meant = sorted(self.index.get(form, []))
            if len(meant) > 1 and {written} == {os.path.splitext(item)[0] for item in meant}:
                return f" (did you mean {' or '.join(map(repr, meant))}?)"
            if len(meant) == 1:
                same = unicodedata.normalize("NFC", meant[0]) == unicodedata.normalize(
                    "NFC", written
                )
                how = "; its accents are composed otherwise, NFC or NFD" if same else ""
                return f" (did you mean {meant[0]!r}?{how})"
        return ""


def spell_forms(written: str) -> Iterable[str]:
    """Forms of an id, those that keep most of it first: whole, without zeros before numbers, without its folder."""
    path = unicodedata.normalize("NFC", written).casefold().replace("\\", "/").removeprefix("./")
    path = path.strip("/ ").removeprefix("images/")
    stem, suffix = os.path.splitext(path)
    path = stem if suffix in IMAGE_SUFFIXES else path.removesuffix(".0")  # as spreadsheets write 7
    folder, _, name = path.rpartition("/")
    number = name.lstrip("0") or "0"
    plain = number if name.isascii() and name.isdigit() else name
    return path, f"{folder}/{plain}", f"*/{name}", f"*/{plain}"
