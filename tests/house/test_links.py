"""Every relative link in README and docs leads to a file that is there, and its anchor to a heading of that file."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    file.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "findings/*.md")
    for file in ROOT.glob(pattern)
)


def parse(file):
    return MarkdownIt("commonmark").parse(file.read_text(encoding="utf-8"))


def list_links(file):
    """Targets of links and pictures; code is no link."""
    inline = [child for token in parse(file) for child in token.children or []]
    return [
        str(child.attrs[name])
        for child in inline
        for name in ("href", "src")
        if name in child.attrs
    ]


def list_anchors(file):
    """Headings' ids, as forges make them."""
    tokens = parse(file)
    titles = [
        tokens[i + 1].children or []
        for i, token in enumerate(tokens)
        if token.type == "heading_open"
    ]
    texts = ["".join(part.content for part in parts) for parts in titles]
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in list_links(ROOT / page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in list_anchors(target), link


def test_links_are_found():
    assert "docs/concepts.md" in list_links(ROOT / "README.md")
    assert "ties" in list_anchors(ROOT / "docs" / "concepts.md")
