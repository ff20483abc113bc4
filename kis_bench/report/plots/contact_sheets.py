"""Contact sheets: what was asked for, and what came first instead."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from kis_bench.errors import BadFile
from kis_bench.files.images import UNREADABLE, upright
from kis_bench.files.picture_formats import open_image
from kis_bench.files.text import cut_middle, make_file_name, make_plain, shorten
from kis_bench.records import Collection, Picture
from kis_bench.report.plots.plot import Plot

SIDE_PIXELS, GAP, TEXT_WIDTH, CAPTION, HEAD_PIXELS = 128, 14, 330, 20, 32
FLAT_PIXELS, LINE_PIXELS = 72, 18  #: height of 16:9, and of a line of text
MOST_FOUND = 5  #: items that came first, of each query
MOST_TILES = 500  #: in memory, 50 kB each
Font = ImageFont.FreeTypeFont
_GREY, _INK, _FAINT, _FRAME = "#d9d9d9", "#222222", "#666666", "#D55E00"


@dataclass(frozen=True)
class SheetRow:
    """One query of a contact sheet."""

    text: str
    rank: str
    target: str
    top: Sequence[str]


@lru_cache
def _font(size: int, *, bold: bool = False) -> Font:
    """A font that is there wherever matplotlib is."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _fitted(text: str, font: Font, width: int) -> str:
    """The text, or as much of its beginning as is not wider than `width`."""
    text = shorten(text, 200)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _fitted_id(name: str, font: Font, width: int) -> str:
    """An id without its middle where it is wider than `width`: ids begin alike and end differently."""
    name = shorten(name, 200)
    letters = len(name)
    while letters > 2 and font.getlength(cut_middle(name, letters)) > width:
        letters -= 1
    return cut_middle(name, letters)


def _wrapped(text: str, font: Font, width: int, most: int) -> list[str]:
    """At most `most` lines; a word that is too long for a line is cut."""
    words, lines = shorten(make_plain(text), 500).split(" "), [""]
    while words:
        longer = f"{lines[-1]} {words[0]}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = _fitted(longer, font, width)
            words.pop(0)
        elif len(lines) == most:
            lines[-1] = _fitted(f"{lines[-1]} {words[0]} …", font, width)
            break
        else:
            lines.append("")
    return lines


@dataclass(frozen=True)
class Shown:
    """A picture of a sheet: where it lies, and what its content is."""

    picture: Picture
    content: str


def make_contact_sheet(name: str, alt: str, rows: Sequence[SheetRow], pictures: Collection) -> Plot:
    """A sheet that is the same as before if texts, ranks and the contents of all pictures are."""
    shown = list_shown(rows, pictures)
    return Plot(
        make_file_name("worst", name), alt, draw_contact_sheet, (tuple(rows), shown), pictures=True
    )


def list_shown(rows: Sequence[SheetRow], pictures: Collection) -> dict[str, Shown]:
    """The pictures of a sheet, by item; those that the collection lacks are left out."""
    try:
        content: Sequence[str | None] = pictures.content
        len(content)
    except (BadFile, OSError):  # a file has gone since
        content = [None] * len(pictures)
    found = {}
    for row in rows:
        for item in (row.target, *row.top[:MOST_FOUND]):
            place = pictures.position.get(item)
            if place is not None:
                picture = pictures.paths[place]
                found[item] = Shown(picture, content[place] or describe_file(picture))
    return found


def describe_file(picture: Picture) -> str:
    """What tells a file of unknown content from what it was before: its place, size and time of change."""
    try:
        state = os.stat(picture) if isinstance(picture, Path) else None
    except OSError:
        state = None
    return f"{picture} {state and (state.st_size, state.st_mtime_ns)}"


@lru_cache(MOST_TILES)
def make_tile(shown: Shown | None) -> Image.Image:
    """A small picture, or why there is none; decoded once however many sheets show it."""
    if shown is None:
        return _absent("no picture")
    try:
        with open_image(shown.picture) as file:
            file.draft("RGB", (2 * SIDE_PIXELS, 2 * SIDE_PIXELS))
            small = upright(file)
            small.thumbnail((SIDE_PIXELS, SIDE_PIXELS))
    except FileNotFoundError:
        return _absent("file is missing")
    except UNREADABLE:
        return _absent("not readable")
    return small


def _absent(reason: str) -> Image.Image:
    tile = Image.new("RGB", (SIDE_PIXELS, FLAT_PIXELS), _GREY)
    ImageDraw.Draw(tile).text(
        (SIDE_PIXELS / 2, FLAT_PIXELS / 2), reason, fill=_FAINT, font=_font(12), anchor="mm"
    )
    return tile


def draw_contact_sheet(rows: Sequence[SheetRow], pictures: Mapping[str, Shown]) -> Image.Image:
    """One row for each query: its text and rank, the target in a frame, and the first items.

    Args:
        pictures: by item; of those that have one.
    """
    shown = max(1, *(min(MOST_FOUND, len(row.top)) for row in rows)) if rows else 1
    step = SIDE_PIXELS + GAP
    left = TEXT_WIDTH + 2 * GAP
    first = left + step + GAP  # a wider gap parts the target from what was found
    columns = [left, *(first + k * step for k in range(MOST_FOUND))]
    tiles = [
        [make_tile(pictures.get(item)) for item in (row.target, *row.top[:MOST_FOUND])]
        for row in rows
    ]
    texts = [_wrapped(row.text, _font(13), TEXT_WIDTH, 6) for row in rows]
    heights = [
        max(CAPTION + max(tile.height for tile in own), 24 + LINE_PIXELS * len(text)) + GAP
        for own, text in zip(tiles, texts, strict=True)
    ]
    sheet = Image.new("RGB", (first + shown * step, HEAD_PIXELS + GAP + sum(heights)), "white")
    draw = ImageDraw.Draw(sheet)
    for x, name in ((GAP, "query"), (left, "target"), (first, "what came first")):
        draw.text((x, HEAD_PIXELS / 2), name, fill=_FAINT, font=_font(13, bold=True), anchor="lm")
    top = HEAD_PIXELS
    for row, own, text, height in zip(rows, tiles, texts, heights, strict=True):
        draw.line((GAP, top, sheet.width - GAP, top), fill="#e4e4e4")
        y, tallest = top + GAP // 2, max(tile.height for tile in own)
        draw.text((GAP, y), f"rank {row.rank}", fill=_FRAME, font=_font(14, bold=True))
        for j, line in enumerate(text):
            draw.text((GAP, y + 24 + LINE_PIXELS * j), line, fill=_INK, font=_font(13))
        for x, item, tile in zip(columns, (row.target, *row.top), own, strict=False):
            at = x + (SIDE_PIXELS - tile.width) // 2, y + (tallest - tile.height) // 2
            sheet.paste(tile, at)
            if x == left:
                corner = at[0] + tile.width + 2, at[1] + tile.height + 2
                draw.rectangle((at[0] - 3, at[1] - 3, *corner), outline=_FRAME, width=3)
            caption = _fitted_id(make_plain(item), _font(11), SIDE_PIXELS)
            place = x + SIDE_PIXELS / 2, y + tallest + 6
            draw.text(place, caption, fill=_FAINT, font=_font(11), anchor="mt")
        top += height
    return sheet
