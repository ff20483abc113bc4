"""A browser that may reach nothing but the page, and whatever goes wrong in it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from browser_page import HALF, Pages, explore, sample_markdown, sample_pictures, sample_run

from kis_bench.report.page.data import explorer_data
from kis_bench.report.page.html import page, write_folder_form
from kis_bench.report.view import make_view
from kis_bench.results.pseudonyms import as_private

HOW = "install one (apt-get install chromium) or name its file in KIS_CHROMIUM"
OWN = re.compile(r"file:.*(single|private|plain|index)\.html|file:.*/report/thumbnails/\d+\.webp")


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    base = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIS_CACHE", str(base / "cache"))
        run, pictures, text = (
            sample_run(base),
            sample_pictures(base / "pictures"),
            sample_markdown(base),
        )
        data = explorer_data(make_view(run, base, pictures))
        first = data["sets"][0]
        first["texts"][21], first["queries"][21] = HALF, HALF  # no table can hold these, JSON can
        first["queries"][22] = "a/b?c#d %41 ' é"
        files = {
            "single": page(text, base, "A report", data=data),
            "private": page(
                text,
                base,
                "A report",
                data=explorer_data(make_view(as_private(run), base, pictures)),
            ),
            "plain": page(text, base, "A report"),
        }
        for name, html in files.items():
            (base / f"{name}.html").write_text(html, encoding="utf-8", errors="replace")
        beside = write_folder_form(make_view(run, base, pictures), text, "A report")
    return Pages(*(base / f"{name}.html" for name in files), beside)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        no_browser("Playwright is not installed (pip install playwright)")
    names = ("chromium", "chromium-browser", "google-chrome")
    file = os.environ.get("KIS_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if file is None:
        no_browser(f"no browser: {HOW}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=file, args=["--no-sandbox"])
        yield started
        started.close()


def no_browser(why: str) -> None:
    if os.environ.get("KIS_REQUIRE_BROWSER"):
        pytest.fail(why)
    pytest.skip(why)


@dataclass
class Watched:
    """What a browser says and asks for while a test runs."""

    problems: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        page.on("console", lambda said: said.type == "error" and self.problems.append(said.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on(
            "dialog",
            lambda dialog: (self.problems.append(f"dialog {dialog.message}"), dialog.dismiss()),
        )
        page.on("request", lambda request: self.asked(request.url.partition("#")[0]))

    def asked(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")) and not OWN.fullmatch(url):
            self.problems.append(f"request {url}")


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file, off line; at the end nothing may have gone wrong in it."""
    watched, contexts = Watched(), []

    def opened(file: Path, address: str = "", *, explored: bool = True, **options: Any) -> Any:
        options = {"viewport": {"width": 1280, "height": 900}, "offline": True, **options}
        context = browser.new_context(**options)
        contexts.append(context)
        context.add_init_script(
            "window.__hacked = 0; window.alert = () => { window.__hacked = 1; }"
        )
        shown = context.new_page()
        shown.set_default_timeout(30_000)
        watched.watch(shown)
        shown.goto(file.as_uri() + address)
        if explored and not address.startswith("#/") and shown.locator("#explore").count():
            explore(shown)
        return shown

    opened.problems = watched.problems  # type: ignore[attr-defined]
    yield opened
    hacked = [page.evaluate("window.__hacked") for context in contexts for page in context.pages]
    for context in contexts:
        context.close()
    assert watched.problems == []
    assert not any(hacked)
