"""Reads texts in UTF-8, and in older encodings where only one of them gives words of a language."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from kis_bench.errors import BadFile
from kis_bench.files.whole import read_chunks

#: Of each encoding the letters beyond ASCII of languages that are written in it, one entry a language.
ALPHABETS = {
    "cp1252": (
        "àâæçéèêëîïôœùûü",
        "äöüß",
        "áéíñóúü",
        "àáâãçéêíóôõúü",
        "àèéìíîòóùú",
        "æøåéèóôü",
        "åäöéàü",
        "áéëïíóöúüèê",
        "áðéíóúýþæö",
    ),
    "cp1250": (
        "áčďéěíňóřšťúůýž",
        "áäčďéíĺľňóôŕšťúýž",
        "ąćęłńóśźż",
        "áéíóöőúüű",
        "ăâîşţ",
        "čćđšž",
        "äöüß",
    ),
    "cp1251": (
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",
        "абвгдђежзијклљмнњопрстћуфхцчџш",
    ),
    "cp1253": ("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",),
    "cp1254": ("çğıöşüâîû\u0307",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),
}
NEVER_ALONE = {"cp1251", "cp1253"}  #: words in one are often words in the other
APOSTROPHE = "\u2019"
#: Quotes, dashes and the like, which all of them have at the same places, and which any language may use.
SIGNS = (
    f"\xa0\u2018{APOSTROPHE}\u201a\u201c\u201d\u201e\u2039\u203a\xab\xbb"
    "\u2013\u2014\u2026\u20ac\xa3\xb0\xb7\u2022\xa7\xa9\xae\u2122"
)
CONTRACTION = re.compile(
    rf"(?<=\w){APOSTROPHE}(?=(?:s|t|d|m|re|ve|ll)\b)|\b(?:\w{{1,2}}|\w{{0,3}}ll|\w{{2,4}}qu){APOSTROPHE}(?=\w)",
    re.IGNORECASE,
)
SIGN_IN_A_WORD = re.compile(rf"[^\W\d_][{SIGNS}][^\W\d_]")
BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
NOT_UTF8 = re.compile("[\udc80-\udcff]")
FIRST_OTHER_SCRIPT = "\u0370"  #: Greek; Cyrillic comes behind it


def decode_any(file: Path, problems: list[str]) -> tuple[str, str]:
    """The text of a file and its encoding, which is UTF-8 unless only another can be meant.

    Raises:
        BadFile: it can't be read, or is damaged UTF-16.
    """
    content = read_content(file)
    if encoding := find_utf16(content):
        try:
            return content.decode(encoding), "utf-16"
        except UnicodeDecodeError as error:
            said = f"the file is UTF-16 and damaged ({error.reason}); save it as UTF-8"
            raise BadFile(file, [said]) from error
    text = content.decode("utf-8-sig", "surrogateescape")
    other = NOT_UTF8.search(text) and not BEYOND_ASCII.search(NOT_UTF8.sub("", text))
    known = decode_code_page(content) if other else None
    return known or (mark_odd_bytes(text, problems), "utf-8")


def find_utf16(content: bytes) -> str | None:
    """The kind of UTF-16 of a text that begins with its mark, or whose every second byte is 0 at first; else None."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    start = content[: min(64, len(content) // 2 * 2)]
    low, high = start[::2], start[1::2]
    if len(start) > 3 and all(low) and not any(high):
        return "utf-16-le"
    return "utf-16-be" if len(start) > 3 and all(high) and not any(low) else None


def decode(file: Path, problems: list[str]) -> str:
    """The text of a file in UTF-8; what isn't UTF-8 or text becomes U+FFFD, and a problem."""
    content = read_content(file)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadFile(file, ["the file is UTF-16; save it as UTF-8"])
    return mark_odd_bytes(content.decode("utf-8-sig", "surrogateescape"), problems)


def read_content(file: Path) -> bytes:
    try:
        return b"".join(read_chunks(file))
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error


def mark_odd_bytes(text: str, problems: list[str]) -> str:
    """The text with U+FFFD in place of what isn't UTF-8 or text, each line with some being a problem."""
    for number, line in enumerate(text.split("\n"), start=1):
        if bad := NOT_UTF8.search(line):
            byte = ord(bad.group()) - 0xDC00
            problems.append(
                f"line {number}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
            )
        if "\0" in line:
            problems.append(f"line {number}: a NUL byte; is this a text file?")
    # So that the other problems can be found, too.
    return NOT_UTF8.sub("\ufffd", text).replace("\0", "\ufffd")


def decode_code_page(content: bytes) -> tuple[str, str] | None:
    """The text, and the name of the encoding; None where none of them gives words, or several give different ones.

    >>> decode_code_page("červený".encode("cp1250"))
    ('červený', 'cp1250')
    >>> decode_code_page("č".encode("cp1250"))  # or è in cp1252
    """
    found: dict[str, str] = {}
    for encoding, alphabets in ALPHABETS.items():
        try:
            text = codecs.decode(content, encoding)
        except UnicodeDecodeError:
            continue
        if has_words_of(alphabets, text):
            found.setdefault(text, encoding)
    if len(found) != 1 or NEVER_ALONE.issuperset(found.values()):
        return None
    return next(iter(found.items()))


def has_words_of(alphabets: tuple[str, ...], text: str) -> bool:
    """Whether a text is one of words: of one of the languages, small letters before small ones, signs not in words."""
    beyond = {*BEYOND_ASCII.findall(text)} - {*SIGNS}
    letters = {*"".join(beyond).lower()}
    if not any(letters <= {*alphabet, *"abcdefghijklmnopqrstuvwxyz"} for alphabet in alphabets):
        return False
    if SIGN_IN_A_WORD.search(
        CONTRACTION.sub(lambda found: found[0].replace(APOSTROPHE, "'"), text)
    ):
        return False
    for place in (found.start() for found in BEYOND_ASCII.finditer(text)):
        before, here, behind = (
            text[max(0, place - 1) : place],
            text[place],
            text[place + 1 : place + 2],
        )
        if here.isupper() and before.islower():
            return False
        latin = any(other.isascii() and other.isalpha() for other in (before, behind))
        if latin and here >= FIRST_OTHER_SCRIPT and here not in SIGNS:
            return False
    return True
