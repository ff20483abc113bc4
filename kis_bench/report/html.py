"""The report as one page that needs nothing beside itself."""

from __future__ import annotations

import base64
import html
from pathlib import Path

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
_CSS = """
:root { color-scheme: light dark; --ink: #1d1d1f; --paper: #fff; --line: #ddd; --band: #f6f6f7; --link: #0072b2 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ea; --paper: #17181a; --line: #3a3b3f; --band: #212226; --link: #56b4e9 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem; max-width: 76rem; color: var(--ink); background: var(--paper);
  font: 16px/1.55 system-ui, sans-serif }
h1, h2, h3 { line-height: 1.25 } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line) }
.wide { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere;
  min-width: 4.5rem }
td:first-child { overflow-wrap: break-word } td[style*="right"] { white-space: nowrap }
th { background: var(--band); white-space: nowrap; overflow-wrap: normal } tbody tr:hover { background: var(--band) }
blockquote { margin: 1rem 0; padding: .2rem 1rem; border-left: 4px solid #e69f00; background: var(--band) }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px } a { color: var(--link) }
@media print { body { max-width: none; padding: 0; font-size: 11px } .wide { overflow: visible }
  img, tr { break-inside: avoid } h2, h3 { break-after: avoid } }
"""


def page(markdown: str, folder: Path, title: str) -> str:
    """HTML of the Markdown; pictures named relative to the folder become part of the page."""
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = renderer.parse(markdown)
    for token in tokens:
        if token.type in ("td_open", "th_open"):
            token.attrSet("dir", "auto")  # a cell in Arabic or Hebrew runs its own way
        for child in token.children or ():
            if child.type == "image":
                file = folder / str(child.attrGet("src"))
                data = base64.b64encode(file.read_bytes()).decode("ascii")
                child.attrSet("src", f"data:{_TYPES[file.suffix]};base64,{data}")
    body = renderer.renderer.render(tokens, renderer.options, {})
    body = body.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_CSS}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
