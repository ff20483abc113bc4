"""What a notebook shows of a record: a line, a table, curves. HTML of its own, without scripts and without styles."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D")
LINE_DASHES = ("", "6 3", "2 2")  #: of lines beyond as many as there are colours
NAME_LETTERS = 60
WIDTH_PIXELS, HEIGHT_PIXELS = 400, 200
LEFT_PIXELS, BOTTOM_PIXELS, EDGE_PIXELS = 42, 34, 8
MUTED = 'fill="currentColor" font-size="11" opacity="0.75"'


@dataclass(frozen=True)
class Curves:
    """Shares of queries against ranks from 1 to the number of items, a line for each name."""

    title: str
    n_items: int
    ks: Sequence[int]
    shares: Sequence[tuple[str, Sequence[float]]]  # name, 0 to 1 at each of the ranks


def show_record(
    line: str,
    head: Sequence[str] = (),
    rows: Sequence[Sequence[str]] = (),
    curves: Iterable[Curves] = (),
    notes: Iterable[str] = (),
    *,
    n_names: int = 1,
) -> str:
    """The HTML of a record; whatever people named is escaped.

    Args:
        line: its ``repr``.
        head: of the table.
        rows: as long as the head; what stands behind a line break is in small letters below the rest.
        curves: drawn below the table, each as an SVG.
        notes: sentences under the table.
        n_names: so many columns hold names, the others figures.
    """
    parts = [f"<p><code>{escape_text(line, 200)}</code></p>"]
    if rows:
        table = f"<thead>{write_table_row(head, 'th', n_names)}</thead>"
        table += f"<tbody>{''.join(write_table_row(row, 'td', n_names) for row in rows)}</tbody>"
        parts.append(f'<div style="overflow-x:auto"><table>{table}</table></div>')
    parts += [f"<p><small>{escape_text(note, 400)}</small></p>" for note in notes]
    parts += [draw_lines(one) for one in curves if one.shares]
    return f"<div>{''.join(parts)}</div>"


def write_table_row(cells: Sequence[str], kind: str, n_names: int) -> str:
    parts = []
    for place, cell in enumerate(cells):
        side = "left" if place < n_names else "right"
        first, _, below = cell.partition("\n")
        small = f"<br><small>{escape_text(below)}</small>" if below and place >= n_names else ""
        text = escape_text(first if small else cell)
        parts.append(f'<{kind} style="text-align:{side};white-space:nowrap">{text}{small}</{kind}>')
    return f"<tr>{''.join(parts)}</tr>"


def escape_text(text: str, most: int = NAME_LETTERS) -> str:
    """A text as HTML shows it, without control characters and marks of direction; the middle of a long one is cut.

    >>> escape_text("<b>" + "x" * 80, 9)
    '&lt;b&gt;x…xxxx'
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    if len(plain) > most:
        plain = f"{plain[: most - most // 2 - 1]}…{plain[len(plain) - most // 2 :]}"
    return html.escape(plain)


def draw_lines(curves: Curves) -> str:
    """A figure of the curves with ranks on a log scale, and below it the names in the colours of their lines."""
    across, up = (
        WIDTH_PIXELS - LEFT_PIXELS - EDGE_PIXELS,
        HEIGHT_PIXELS - BOTTOM_PIXELS - EDGE_PIXELS,
    )
    widest = math.log10(max(curves.n_items, 2))

    def find_x(k: float) -> float:
        return LEFT_PIXELS + across * math.log10(k) / widest

    def find_y(share: float) -> float:
        return EDGE_PIXELS + up * (1 - share)

    right, bottom = WIDTH_PIXELS - EDGE_PIXELS, HEIGHT_PIXELS - BOTTOM_PIXELS
    shapes = []
    for share in (0.0, 0.5, 1.0):
        y = find_y(share)
        shapes += [
            f'<path d="M{LEFT_PIXELS} {y:.1f}H{right}" stroke="currentColor" opacity="0.2"/>',
            f'<text x="{LEFT_PIXELS - 5}" y="{y + 4:.1f}" text-anchor="end" {MUTED}>{share:.0%}</text>',
        ]
    for power in range(int(widest + 1e-9) + 1):
        x = find_x(10**power)
        shapes += [
            f'<path d="M{x:.1f} {EDGE_PIXELS}V{bottom}" stroke="currentColor" opacity="0.2"/>',
            f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle" {MUTED}>{10**power:,}</text>',
        ]
    shapes.append(
        f'<text x="{right}" y="{bottom + 29}" text-anchor="end" {MUTED}>rank k (log scale)</text>'
    )
    names = []
    for place, (name, shares) in enumerate(curves.shares):
        colour = LINE_COLOURS[place % len(LINE_COLOURS)]
        dashes = LINE_DASHES[place // len(LINE_COLOURS) % len(LINE_DASHES)]
        points = " ".join(
            f"{find_x(k):.1f},{find_y(share):.1f}"
            for k, share in zip(curves.ks, shares, strict=True)
        )
        shapes.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8" '
            f'stroke-dasharray="{dashes}"/>'
        )
        line = (
            f'<svg width="22" height="8" aria-hidden="true"><path d="M0 4H22" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dashes}"/></svg>'
        )
        names.append(f"<span style='white-space:nowrap'>{line} {escape_text(name)}</span>")
    title = escape_text(f"{curves.title}: recall@k")
    return (
        f'<figure style="margin:0.5em 0;max-width:{WIDTH_PIXELS}px"><figcaption>{title}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH_PIXELS} {HEIGHT_PIXELS}" style="width:100%" role="img" aria-label="{title}">'
        f"{''.join(shapes)}</svg><div>{' &ensp;'.join(names)}</div></figure>"
    )
