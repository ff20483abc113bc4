"""The report as one page that needs nothing beside itself."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
PARTS = Path(__file__).with_name("page")
#: Nothing is fetched from anywhere; pictures of the folder form lie beside the page.
POLICY = "default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
EXPLORER = '<div id="explorer"></div>\n'


def page(markdown: str, folder: Path, title: str, *, data: Mapping[str, Any] | None = None) -> str:
    """HTML of the Markdown; pictures named relative to the folder become part of the page.

    ``data``: what :func:`kis_bench.report.explorer.explorer_data` gives; the page then lets people explore it, and
    contact sheets, which show less of the same, are left out.
    """
    body, contents = rendered(markdown, folder, sheets=data is None)
    if data is not None:
        first = body.find("<h2")
        body = body[:first] + EXPLORER + body[first:] if first >= 0 else body + EXPLORER
    scripts = [script("page.js")]
    if data is not None:
        scripts = [plotly(), f'<script type="application/json" id="data">{as_json(data)}</script>', *scripts,
                   script("explorer.js")]  # fmt: skip
    return "\n".join([
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        f"<title>{html.escape(title)}</title>",
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>\n{(PARTS / 'page.css').read_text(encoding='utf-8')}</style>", "</head>", "<body>",
        '<a class="skip" href="#report">Skip to the report</a>',
        f'<header class="bar"><nav aria-label="Contents">{contents}</nav></header>',
        f'<main id="report">\n{body}</main>', *scripts, "</body>", "</html>", "",
    ])  # fmt: skip


def rendered(markdown: str, folder: Path, *, sheets: bool) -> tuple[str, str]:
    """The body, and a list of its sections."""
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = renderer.parse(markdown)
    sections: list[tuple[str, str, str]] = []
    taken: dict[str, int] = {}
    for place, token in enumerate(tokens):
        if token.type in ("td_open", "th_open"):
            token.attrSet("dir", "auto")  # a cell in Arabic or Hebrew runs its own way
        if token.type == "heading_open":
            words = plain_text(tokens[place + 1])
            name = anchor(words, taken)
            token.attrSet("id", name)
            sections += [(token.tag, name, words)] if token.tag in ("h2", "h3") else []
        if token.children:
            token.children = [
                child for child in token.children
                if sheets or child.type != "image" or not str(child.attrGet("src")).startswith("plots/worst-")
            ]  # fmt: skip
        for child in token.children or ():
            if child.type == "image":
                file = folder / str(child.attrGet("src"))
                content = base64.b64encode(file.read_bytes()).decode("ascii")
                child.attrSet("src", f"data:{_TYPES[file.suffix]};base64,{content}")
                child.attrSet("loading", "lazy")
    body = renderer.renderer.render(tokens, renderer.options, {}).replace("<p></p>\n", "")
    body = body.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    return body, contents_of(sections)


def plain_text(token: Any) -> str:
    return "".join(child.content for child in token.children or () if child.type in ("text", "code_inline"))


def anchor(words: str, taken: dict[str, int]) -> str:
    """A name of a section; routes of the explorer begin with a slash, these don't."""
    name = re.sub(r"\W+", "-", words.lower()).strip("-") or "section"
    taken[name] = taken.get(name, 0) + 1
    return name if taken[name] == 1 else f"{name}-{taken[name]}"


def contents_of(sections: list[tuple[str, str, str]]) -> str:
    links = "\n".join(
        f'<li class="{tag}"><a href="#{html.escape(name)}" dir="auto">{html.escape(words)}</a></li>'
        for tag, name, words in sections
    )
    return f'<details><summary>Contents</summary><ul>\n{links}\n</ul></details><span id="tools"></span>'


def as_json(data: Mapping[str, Any]) -> str:
    """JSON that no text in it can leave: of what ends a script in HTML nothing is left."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def script(name: str) -> str:
    return f"<script>\n{(PARTS / name).read_text(encoding='utf-8')}</script>"


def plotly() -> str:
    from plotly.offline import get_plotlyjs

    return f"<script>{get_plotlyjs()}</script>"
