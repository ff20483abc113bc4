"""The report as one page that needs nothing beside itself and asks nothing of anybody."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from kis_bench.report.page.packing import digest_program, pack_data, pack_plotly
from kis_bench.report.tables import slug

if TYPE_CHECKING:
    from kis_bench.report.view import View

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
PARTS = Path(__file__).parent
QUERIES, UNFOUND = "Queries", "Queries that no model found"  #: headings that the page adds to
SHEETS = "plots/worst-"  #: contact sheets; the explorer shows the same, and better
#: A figure and its interval in a cell; the space between them is one at which no line breaks.
INTERVAL = re.compile(r"(.*\S)[ \u00a0](\[[^\[\]]*\])")
TALL_ROWS, TALL_COLUMNS = 16, 3  #: more rows of at most so many columns are printed side by side
SHORT = 26  #: letters of a cell that stays on one line
PLAIN, EXPLORING = (
    ("page.js", "saving.js", "fitting.js", "tables.js"),
    (
        "charts.js",
        "queries.js",
        "query.js",
        "explorer.js",
        "unfound.js",
    ),
)
#: Names of elements that the page has by itself.
OWN_NAMES = (
    "report",
    "contents",
    "bar",
    "toggle",
    "theme",
    "explore",
    "explore-title",
    "data",
    "pictures",
    "plotly",
    "set",
    "curves",
    "curves-title",
    "scatter",
    "scatter-title",
    "model-x",
    "model-y",
    "queries",
    "queries-title",
    "search",
    "flag",
    "count",
    "before",
    "after",
    "query",
    "query-title",
    "back",
    "js-plotly-tester",
)
EXPLORER = """<section id="explore" aria-labelledby="explore-title">
<h2 id="explore-title">Explore the queries</h2>
<noscript><p>This part of the page needs JavaScript; everything else does not.</p></noscript>
</section>
"""


def page(markdown: str, folder: Path, title: str, *, data: Mapping[str, Any] | None = None) -> str:
    """HTML of the Markdown; pictures named relative to the folder become part of the page.

    ``data``: what `kis_bench.report.page.data.explorer_data` gives; the page then lets people explore it, and
    contact sheets, which show less of the same, are left out. Nothing is fetched from anywhere, which the page also
    forbids to itself; only its own scripts run.
    """
    beside = data is not None and data["form"] == "folder"
    body, sections = render(markdown, folder, sheets=data is None, above="../" if beside else "")
    programs = [
        (PARTS / name).read_text(encoding="utf-8")
        for name in [*PLAIN, *(EXPLORING if data is not None else ())]
    ]
    sheets = ["page.css", *(["explorer.css"] if data is not None else [])]
    style = "".join((PARTS / name).read_text(encoding="utf-8") for name in sheets)
    blocks, allowed = [], [digest_program(program) for program in programs]
    if data is not None:
        body, sections = with_explorer(body, sections)
        drawing = pack_plotly()
        allowed.append(drawing.digest)
        blocks = [
            pack_data({**data, "pictures": None}).as_block("data"),
            as_block("pictures", data["pictures"]),  # which are compressed already
            drawing.as_block("plotly"),
        ]
    pictures = "data: 'self' file:" if beside else "data:"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy(allowed, pictures)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{html.escape(title)}</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            '<a class="skip" href="#report">Skip to the report</a>',
            '<header class="bar" id="bar"></header>',
            '<div class="sheet">',
            f'<nav class="contents" id="contents" aria-label="Contents">\n{list_contents(sections)}\n</nav>',
            f'<main id="report" tabindex="-1">\n{body}</main>',
            "</div>",
            *blocks,
            *(f"<script>{program}</script>" for program in programs),
            "</body>",
            "</html>",
            "",
        ]
    )


def write_folder_form(
    view: View,
    markdown: str,
    title: str,
) -> Path:
    """The same page as a folder, report/, with every thumbnail as a file; returns its index.html."""
    from kis_bench.report.page.data import explorer_data

    target = view.folder / "report"
    target.mkdir(parents=True, exist_ok=True)
    data = explorer_data(view, folder=target / "thumbnails")
    text = page(markdown, view.folder, title, data=data)
    (target / "index.html").write_text(text, encoding="utf-8", errors="replace", newline="\n")
    return target / "index.html"


Sections = list[tuple[str, str, str]]  #: of headings: tag, name, words


def render(markdown: str, folder: Path, *, sheets: bool, above: str) -> tuple[str, Sections]:
    """The body, and its sections of the second and third level; ``above``: from the page to the report's folder."""
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = renderer.parse(markdown)
    sections: Sections = []
    taken = dict.fromkeys(OWN_NAMES, 1)
    names: dict[str, str] = {}  # of sections, by the name that links know them by
    near, tables = "Table", 0  # a table is called after the heading above it
    for place, token in enumerate(tokens):
        if token.type in ("td_open", "th_open"):
            token.attrSet("dir", "auto")  # a cell in Arabic or Hebrew runs its own way
            if "right" in str(token.attrGet("style")):
                set_apart(tokens[place + 1])
            else:
                letters = len(plain_text(tokens[place + 1]))
                token.attrSet("class", "short" if letters <= SHORT else "long")
        if token.type == "heading_open":
            near = words = plain_text(tokens[place + 1])
            name = anchor(words, taken)
            names.setdefault(slug(words), name)
            if words == UNFOUND:
                token.attrSet("data-part", "unfound")
            token.attrSet("id", name)
            token.attrSet("dir", "auto")
            sections += [(token.tag, name, words)] if token.tag in ("h2", "h3") else []
        if token.type == "table_open":
            tables += 1
            token.meta["label"] = f"Table {tables}: {near}"
            token.meta["rows"], token.meta["columns"] = measure_table(tokens[place:])
        if token.children:
            token.children = [child for child in token.children if sheets or not is_sheet(child)]
    for child in (child for token in tokens for child in token.children or ()):
        if child.type == "image":
            inline_picture(child, folder)
        elif child.type == "link_open":
            child.attrSet("href", lead(str(child.attrGet("href")), names, above))
    renderer.add_render_rule("table_open", open_parts)
    renderer.add_render_rule("table_close", lambda *_: "</table></div>\n")
    body = renderer.renderer.render(tokens, renderer.options, {})
    return body.replace("<p></p>\n", ""), sections


def set_apart(cell: Any) -> None:
    """Makes the interval behind a figure an element of its own, which stands below the figure."""
    from markdown_it.token import Token

    found = INTERVAL.fullmatch("".join(child.content for child in cell.children or ()))
    if found is None or any(child.type not in ("text", "text_special") for child in cell.children):
        return
    value, interval = (Token("text", "", 0, content=part) for part in found.groups())
    start = Token("html_inline", "", 0, content=' <span class="ci">')
    cell.children = [value, start, interval, Token("html_inline", "", 0, content="</span>")]


def lead(address: str, names: Mapping[str, str], above: str) -> str:
    """Where a link leads: a section by the name that it has here, a file from where the page lies."""
    if address.startswith("#"):
        known = unquote(address[1:])
        return f"#{quote(names.get(known, known))}"
    return address if re.match(r"[a-z+.-]+:|/", address, re.I) else f"{above}{address}"


def measure_table(tokens: Any) -> tuple[int, int]:
    """Rows and columns of the table that begins here."""
    end = next(place for place, token in enumerate(tokens) if token.type == "table_close")
    kinds = [token.type for token in tokens[:end]]
    return kinds.count("tr_open"), kinds.count("th_open")


def open_parts(_: Any, tokens: Any, place: int, *__: Any) -> str:
    """A table that scrolls by itself where it is too wide, also with the keyboard.

    The number of its rows lets a browser know about how high it is before it is laid out.
    """
    about = tokens[place].meta
    label, rows = html.escape(about["label"]), about["rows"]
    kind = "wide tall" if rows > TALL_ROWS and about["columns"] <= TALL_COLUMNS else "wide"
    return f'<div class="{kind}" role="region" tabindex="0" aria-label="{label}" style="--rows: {rows}"><table>\n'


def is_sheet(token: Any) -> bool:
    return token.type == "image" and str(token.attrGet("src")).startswith(SHEETS)


def inline_picture(token: Any, folder: Path) -> None:
    """The file that an image leads to as part of the page, with its size, so that nothing moves while it is decoded."""
    file = folder / str(token.attrGet("src"))
    content = file.read_bytes()
    token.attrSet(
        "src", f"data:{_TYPES[file.suffix]};base64,{base64.b64encode(content).decode('ascii')}"
    )
    if file.suffix == ".png":  # width and height follow the first chunk's name
        token.attrSet("width", str(int.from_bytes(content[16:20], "big")))
        token.attrSet("height", str(int.from_bytes(content[20:24], "big")))


def plain_text(token: Any) -> str:
    return "".join(
        child.content for child in token.children or () if child.type in ("text", "code_inline")
    )


def anchor(words: str, taken: dict[str, int]) -> str:
    """A name of a section that nothing else has; routes of the explorer begin with a slash, these don't."""
    name = slug(words).strip("-")[:80] or "section"
    while name in taken:
        taken[name] += 1
        name = f"{name}-{taken[name]}"
    taken[name] = 1
    return name


def with_explorer(body: str, sections: Sections) -> tuple[str, Sections]:
    """The explorer behind the part on queries, or else at the end."""
    parts = [place for place, (tag, _, _) in enumerate(sections) if tag == "h2"]
    before = [i for i, place in enumerate(parts) if sections[place][2] == QUERIES]
    behind = parts[before[-1] + 1 : before[-1] + 2] if before else []
    at = body.index(f'<h2 id="{html.escape(sections[behind[0]][1])}"') if behind else len(body)
    place = behind[0] if behind else len(sections)
    own = ("h2", "explore", "Explore the queries")
    return body[:at] + EXPLORER + body[at:], [*sections[:place], own, *sections[place:]]


def list_contents(sections: Sections) -> str:
    links = "\n".join(
        f'<li class="{tag}"><a href="#{html.escape(name)}" dir="auto">{html.escape(words)}</a></li>'
        for tag, name, words in sections
    )
    return f"<ul>\n{links}\n</ul>" if links else ""


def policy(digests: list[str], pictures: str) -> str:
    """What the page may do: run the programs of these digests, show these pictures, and nothing else."""
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; img-src {pictures}; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def as_block(name: str, data: Any) -> str:
    """JSON in the page that no text in it can leave: nothing is left in it of what could end a script in HTML."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json" id="{name}">{text}</script>'
