"""The page of the report in a browser without a network, by mouse and by keyboard."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kis_bench.records import Collection
from kis_bench.report import write_report
from kis_bench.results import ALL_RANKS, JUDGMENTS, TIMINGS, VERDICTS, Run, metrics_table

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NAMES = ["alpha|<b>1</b>", "beta $x_1$", "gamma"]
HOSTILE = [
    "<script>window.hacked = 1</script>", "</script><img src=x onerror='window.hacked = 1'>", "<!-- <script>", "a | b",
    "two\nlines", "مرحبا \u202eقلعة", "x" * 10_000, "=cmd()|' /C calc'!A0", "👩‍🚀 🏳️‍🌈", "&lt;b&gt;",
    "",
]  # fmt: skip
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def run_of(folder: Path, names=NAMES, queries=130) -> Run:
    rng = np.random.default_rng(0)
    rows = []
    for label_set in ("short", "a/b ü"):
        for name in names:
            for q in range(queries):
                rank = int(np.exp(rng.uniform(0, 3.6)))
                top = [f"item {i % 24}" for i in range(q, q + 12) if i % 24 != q % 24][:10]
                if rank <= 10:
                    top.insert(rank - 1, f"item {q % 24}")
                rows.append(dict.fromkeys(ALL_RANKS) | {
                    "model": name, "dataset": "d&<i>", "label_set": label_set, "query_id": f"q{q}" if q else "q/0 <x>",
                    "text": HOSTILE[q] if q < len(HOSTILE) else f"picture number {q}", "item_id": f"item {q % 24}",
                    "rank": float(rank), "rank_best": rank, "rank_worst": rank, "n_items": 40, "truncated": q == 5,
                    "target_score": 0.1, "top_item_ids": top[:10],
                })  # fmt: skip
    ranks = pd.DataFrame(rows, columns=ALL_RANKS)
    empty = [pd.DataFrame(columns=c) for c in (JUDGMENTS, TIMINGS, VERDICTS)]
    about = {"models": {name: {"note": "<i>"} for name in names}, "datasets": {"d&<i>": {"fingerprint": "f"}}}
    return Run(folder, ranks, empty[0], metrics_table(ranks), empty[1], empty[2], about)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The page, the same as a folder, and the page of a private run with one model."""
    pictures = tmp_path_factory.mktemp("pictures")
    for i in range(22):  # two of 24 are missing
        Image.new("RGB", (200, 120), (10 * i, 90, 200 - 8 * i)).save(pictures / f"{i}.png")
    ids = tuple(f"item {i}" for i in range(24))
    collection = Collection("d&<i>", ids, tuple(pictures / f"{i}.png" for i in range(24)), ids)
    folder, private = tmp_path_factory.mktemp("report"), tmp_path_factory.mktemp("private")
    write_report(folder, run_of(folder), {"d&<i>": collection}, as_folder=True)
    write_report(private, run_of(private, NAMES[:1], 12), {}, privacy=True)
    return {
        "page": folder / "report.html",
        "folder": folder / "report" / "index.html",
        "private": private / "report.html",
    }


@pytest.fixture(scope="module")
def browser():
    found = os.environ.get("KIS_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        said = f"needs a browser: install one of {', '.join(BROWSERS)}, or say where it is with KIS_CHROMIUM"
        (pytest.fail if os.environ.get("KIS_REQUIRE_BROWSER") else pytest.skip)(said)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser):
    """Opens a page without a network; whatever it complains of, or asks others for, fails the test."""
    contexts, complaints = [], []

    def open_page(file, *, viewport=WIDE, scheme="light", route="", bypass_csp=False):
        context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True, bypass_csp=bypass_csp,
                                      reduced_motion="reduce")  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:", "blob:"))
                else complaints.append(f"asked for {asked.url}"))  # fmt: skip
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.goto(file.as_uri() + route)
        return page

    yield open_page
    hacked = [page.evaluate("window.hacked") for context in contexts for page in context.pages]
    for context in contexts:
        context.close()
    assert complaints == []
    assert not any(hacked)


def column(page, place):
    return page.locator(f"#explorer tbody tr td:nth-child({place})").all_inner_texts()


def test_tables_are_sorted_by_mouse_and_by_keyboard(files, visit):
    page = visit(files["page"])
    table = page.locator("main .wide table").filter(has=page.get_by_role("button", name="recall@10", exact=True)).first
    button = table.get_by_role("button", name="recall@10", exact=True)
    place = table.locator("thead th").all_inner_texts().index(button.inner_text()) + 1

    def values():
        return [float(text.split("%")[0]) for text in table.locator(f"tbody td:nth-child({place})").all_inner_texts()]

    button.click()
    assert values() == sorted(values(), reverse=True)
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    button.focus()
    page.keyboard.press("Enter")
    assert values() == sorted(values())
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert values() == sorted(values(), reverse=True)


def test_long_tables_are_filtered(files, visit):
    page = visit(files["page"])
    field = page.get_by_label("Rows with these words").first
    rows = field.locator("xpath=ancestor::div[1]/following-sibling::div[1]").locator("tbody tr")
    before = rows.count()
    word = rows.nth(3).locator("td").first.inner_text()
    field.fill(word)
    shown = [row for row in rows.all() if row.is_visible()]
    assert 1 <= len(shown) < before
    assert all(word.lower() in row.inner_text().lower() for row in shown)
    assert f"of {before} rows" in field.locator("xpath=..").inner_text()
    field.fill("")
    assert all(row.is_visible() for row in rows.all())


def test_queries_are_searched_sorted_flagged_and_shown_in_parts(files, visit):
    page = visit(files["page"])
    assert page.locator("#found").inner_text() == "100 of 130 queries"
    page.locator("#more").focus()
    page.keyboard.press("Enter")
    assert page.locator("#found").inner_text() == "130 of 130 queries"
    assert page.locator("#more").is_hidden()
    page.locator("#search").fill("NUMBER 77")
    assert column(page, 2) == ["picture number 77"]
    page.locator("#search").fill("")
    flag = page.locator("#flag option").nth(1).get_attribute("value")
    page.locator("#flag").select_option(flag)
    assert all(flag in text for text in column(page, 4))
    page.locator("#flag").select_option("")
    button = page.locator("#explorer th").get_by_role("button", name="median rank")
    button.focus()
    page.keyboard.press("Enter")
    values = [float(text.replace(",", "")) for text in column(page, 5)]
    assert values == sorted(values)
    page.keyboard.press("Enter")  # the focus is still there
    values = [float(text.replace(",", "")) for text in column(page, 5)]
    assert values == sorted(values, reverse=True)


def test_a_query_is_opened_read_and_left(files, visit):
    page = visit(files["page"])
    page.locator("#search").fill("number 30")
    link = page.locator("#explorer tbody a").first
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#query:not([hidden])")
    assert page.evaluate("document.activeElement.textContent") == "Query q30"
    assert page.locator("#report").is_hidden()
    assert page.locator("#query h2").all_inner_texts()[0] == "Target"
    assert {h.split(":")[0] for h in page.locator("#query h2").all_inner_texts()[1:]} == set(NAMES)
    tiles = page.locator("#query ol").first.locator("li")
    assert tiles.count() == 10
    for model in range(3):
        marked = page.locator("#query ol").nth(model).locator("li.target")
        assert marked.count() <= 1
        if marked.count():
            assert "target" in marked.inner_text()
    pictures = page.locator("#query img")
    assert pictures.count() > 0
    assert page.evaluate("[...document.querySelectorAll('#query img')].every((i) => i.alt.startsWith('item '))")
    page.get_by_role("link", name="Next query").click()
    page.wait_for_function("document.querySelector('#query h1').textContent === 'Query q31'")
    page.go_back()
    page.wait_for_function("document.querySelector('#query h1').textContent === 'Query q30'")
    page.keyboard.press("Escape")
    page.wait_for_selector("#query", state="hidden")
    assert page.locator("#explore").is_visible()
    assert page.evaluate("document.activeElement.textContent") == "q30"


def test_links_lead_to_queries_whatever_their_names(files, visit):
    page = visit(files["page"])
    page.locator("#which-set").select_option("1")
    page.locator("#explorer tbody a").first.click()
    page.wait_for_selector("#query:not([hidden])")
    route = page.evaluate("location.hash")
    assert page.locator("#query h1").inner_text() == "Query q/0 <x>"
    again = visit(files["page"], route=route)
    assert again.locator("#query h1").inner_text() == "Query q/0 <x>"
    assert "a/b ü" in again.locator("#query .hint").first.inner_text()
    wrong = visit(files["page"], route="#/no/such/query")
    wrong.wait_for_function("location.hash === '#explore'")
    assert wrong.locator("#query").is_hidden()


def test_texts_are_shown_as_they_are(files, visit):
    page = visit(files["page"])
    for place, text in enumerate(HOSTILE):
        page.locator(f"#explorer tbody tr:nth-child({place + 1}) a").click()
        page.wait_for_selector("#query:not([hidden])")
        shown = page.locator("#query .quote").text_content()
        assert shown[:1990] == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")[:1990]
        page.keyboard.press("Escape")
        page.wait_for_selector("#query", state="hidden")


def test_plots_follow_what_is_chosen(files, visit):
    page = visit(files["page"])
    curves = "document.getElementById('curves').data"
    assert page.evaluate(f"{curves}.length") == 4  # three models and chance
    box = page.get_by_label("gamma", exact=True)
    box.focus()
    page.keyboard.press("Space")
    assert page.evaluate(f"{curves}.length") == 3
    page.locator("#model-y").select_option("2")
    points = page.evaluate("document.getElementById('scatter').data.slice(1).flatMap((t) => t.customdata)")
    assert sorted(points) == list(range(130))
    said = page.evaluate("document.getElementById('scatter').data.slice(1).flatMap((t) => t.text).join()")
    assert "<script" not in said
    assert "<img" not in said
    assert page.locator("#curves .main-svg").first.is_visible()
    assert "better on" in page.locator("#scatter").get_attribute("aria-label")


def test_a_point_opens_its_query(files, visit):
    page = visit(files["page"])
    page.locator("#scatter").scroll_into_view_if_needed()
    point = page.locator("#scatter .scatterlayer .points path").nth(5)
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#scatter .hoverlayer .hovertext")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#query:not([hidden])")
    assert page.locator("#query h1").inner_text().startswith("Query q")


def test_colours_are_chosen_and_kept(files, visit):
    page = visit(files["page"], scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    button = page.locator("#theme")
    button.focus()
    page.keyboard.press("Enter")
    assert button.inner_text() == "Colours: light"
    light = page.evaluate(background)
    assert light != dark
    page.reload()
    assert page.evaluate(background) == light
    page.locator("#theme").click()
    assert page.evaluate(background) == dark


def test_the_contents_lead_to_sections(files, visit):
    page = visit(files["page"], viewport=PHONE)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    summary = page.locator(".bar summary")
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator(".bar li").count() > 4
    page.keyboard.press("Escape")
    assert page.locator(".bar details").get_attribute("open") is None
    summary.click()
    page.locator(".bar a", has_text="Overview").click()
    page.wait_for_function("location.hash === '#overview'")
    assert page.locator(".bar details").get_attribute("open") is None


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_nothing_is_wider_than_the_window(files, visit, viewport):
    page = visit(files["page"], viewport=viewport)
    too_wide = "document.documentElement.scrollWidth - innerWidth"
    assert page.evaluate(too_wide) <= 0
    page.locator("#explorer tbody a").nth(6).click()  # 10,000 letters without a space
    page.wait_for_selector("#query:not([hidden])")
    assert page.evaluate(too_wide) <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_serious(files, visit, scheme, viewport):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(files["page"], viewport=viewport, scheme=scheme, bypass_csp=True)

    def serious():
        found = Axe().run(page).response["violations"]
        return [(each["id"], each["nodes"][0]["html"][:300]) for each in found
                if each["impact"] in ("serious", "critical")]  # fmt: skip

    assert serious() == []
    page.locator("#explorer tbody a").nth(20).click()
    page.wait_for_selector("#query:not([hidden])")
    assert serious() == []


def test_the_folder_form_loads_its_pictures(files, visit):
    page = visit(files["folder"])
    page.locator("#explorer tbody a").nth(20).click()
    page.wait_for_selector("#query:not([hidden])")
    page.wait_for_function("document.querySelector('#query img').naturalWidth > 0")
    assert page.locator("#query img").first.get_attribute("src").startswith("thumbnails/")


def test_a_private_run_shows_ranks_only(files, visit):
    page = visit(files["private"])
    assert page.locator("#explorer thead th").all_inner_texts()[:2] == ["query", "flags"]
    assert page.locator("#scatter").is_hidden()  # one model
    page.locator("#explorer tbody a").nth(2).click()
    page.wait_for_selector("#query:not([hidden])")
    assert "rank" in page.locator("#query ul").inner_text()
    assert page.locator("#query img").count() == 0
    assert "picture number" not in page.content()


def test_it_prints_without_controls_and_on_white(files, visit):
    page = visit(files["page"], scheme="dark")
    page.emulate_media(media="print")
    assert page.locator("#theme").is_hidden()
    assert page.locator("#search").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("main table").first.is_visible()


def test_without_scripts_everything_is_there_to_read(files, browser):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(files["page"].as_uri())
    assert page.locator("main table").first.is_visible()
    assert page.locator("main h2", has_text="Overview").is_visible()
    context.close()
