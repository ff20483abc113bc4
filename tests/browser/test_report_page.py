"""The page in a browser: with the mouse, with the keyboard, on a phone, printed, and under attack."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from browser_page import (
    ATTACK,
    HALF,
    HOSTILE,
    MINUS,
    MODELS,
    QUERIES,
    SET,
    Pages,
    explore,
    sample_run,
)
from builders import read_page_data
from markdown_it import MarkdownIt

from kis_bench.report.page.data import explorer_data
from kis_bench.report.page.html import page as page_of
from kis_bench.report.view import make_view
from kis_bench.results.pseudonyms import as_private

Visit = Callable[..., Any]
PHONE = {"viewport": {"width": 390, "height": 800}}


def query(name: str, labels: str = "short") -> str:
    return f"#/{quote(SET, safe='')}/{labels}/{quote(name, safe='')}"


def column(page: Any, table: int, place: int) -> list[str]:
    box = page.locator("main .wide").nth(table)
    cells: list[str] = box.locator(f"tbody tr td:nth-child({place})").all_inner_texts()
    return cells


def reads(page: Any, selector: str, text: str) -> None:
    """Waits until there is an element with just that text: addresses are followed a little later."""
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.textContent === text",
        arg=[selector, text],
    )


def first_ids(page: Any, n: int = 3) -> list[str]:
    links: list[str] = page.locator("#queries tbody a").all_inner_texts()
    return links[:n]


@pytest.mark.parametrize("key", [None, "Enter", "Space"])
def test_tables_sort_by_mouse_and_keys(pages: Pages, visit: Visit, key: str | None) -> None:
    page = visit(pages.plain)

    def press(name: str) -> Any:
        button = page.get_by_role("button", name=name, exact=True)
        button.press(key) if key else button.click()
        return page.locator("th", has=button)

    before = column(page, 0, 2)
    head = press("recall@10")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [cell.split("%")[0] for cell in column(page, 0, 2)] == ["9.0", "10.5", "71.0", "100.0"]
    press("recall@10")
    assert head.get_attribute("aria-sort") == "descending"
    assert [cell.split("%")[0] for cell in column(page, 0, 2)] == ["100.0", "71.0", "10.5", "9.0"]
    press("recall@10")
    assert head.get_attribute("aria-sort") is None
    assert column(page, 0, 2) == before
    press("items")
    assert column(page, 0, 3) == ["7", "98", "1,234", "12,000"]
    press("gain")
    assert column(page, 0, 4) == [
        f"{MINUS}0.5",
        "0.25",
        "+1.5",
        "",
    ]  # what is missing comes last both ways
    press("gain")
    assert column(page, 0, 4) == ["+1.5", "0.25", f"{MINUS}0.5", ""]
    press("model")
    assert column(page, 0, 1) == ["alpha", "beta", "delta", "gamma"]
    assert page.locator("th[aria-sort]").count() == 1


def test_long_tables_filter(pages: Pages, visit: Visit) -> None:
    page = visit(pages.plain)
    assert page.locator(".filter").count() == 1  # only one table is long
    field = page.get_by_role("searchbox", name=re.compile("^Filter rows of Table 2: Texts"))
    field.press_sequentially("ROW 1 SCRIPT")
    assert (
        page.locator(".filter [role=status]").inner_text() == "4 of 12 rows"
    )  # those of 1, 10 and 11, and alert(1)
    assert page.locator("main .wide").nth(1).locator("tbody tr:visible").count() == 4
    field.fill("")
    assert page.locator("main .wide").nth(1).locator("tbody tr:visible").count() == 12


def test_contents_and_colours(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    assert page.locator("#contents a").all_inner_texts() == [
        "In short",
        "Details",
        "Curves",
        "Texts",
        "Explore the queries",
    ]
    toggle, theme = page.locator("#toggle"), page.locator("#theme")
    toggle.click()
    assert page.locator("#contents").is_hidden()
    toggle.press("Enter")
    assert page.locator("#contents").is_visible()
    page.get_by_role("link", name="Texts").press("Enter")
    page.wait_for_function("location.hash === '#texts'")
    theme.click()
    light = page.evaluate(paper)
    assert theme.inner_text() == "Colours: light"
    assert light != dark
    font = "document.getElementById('curves').layout.font.color"
    inked = page.evaluate(font)
    theme.press("Space")
    assert page.evaluate(paper) == dark
    assert page.evaluate(font) != inked  # plots follow
    page.reload()
    explore(page)
    assert page.locator("#theme").inner_text() == "Colours: dark"
    page.locator("#theme").press("Enter")
    page.emulate_media(color_scheme="light")
    assert page.evaluate(paper) == light
    for _ in range(
        200
    ):  # the page hears of the change a moment later; its policy lets nothing wait inside of it
        if page.evaluate(font) == inked:
            break
        page.wait_for_timeout(50)
    assert page.evaluate(font) == inked


def test_skip_link_comes_first(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.id === 'report'")
    levels = page.evaluate(
        "[...document.querySelectorAll('#report :is(h1,h2,h3,h4)')].map((h) => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert all(later <= before + 1 for before, later in itertools.pairwise(levels))


def test_no_heading_takes_a_name_of_the_page(pages: Pages, visit: Visit, tmp_path: Path) -> None:
    names = "[...document.querySelectorAll('body [id]')].map((element) => element.id)"
    own = visit(pages.single, query("q2")).evaluate(names)
    data = explorer_data(make_view(as_private(sample_run(tmp_path)), tmp_path))
    file = tmp_path / "single.html"
    html = page_of(
        "\n\n".join(f"## {name}" for name in [*own, *own, "größe"]), tmp_path, "", data=data
    )
    file.write_text(html, encoding="utf-8")
    page = visit(file, query("q2"))
    found = page.evaluate(names)
    assert [name for name, n in Counter(found).items() if n > 1] == []
    page.get_by_role("link", name="größe").click()
    page.locator("h2", has_text="größe").wait_for()


def test_contact_sheets_are_only_in_pages_without_explorer(pages: Pages, visit: Visit) -> None:
    assert visit(pages.plain).locator("main img").count() == 2
    page = visit(pages.single)
    assert page.locator("#report img").count() == 1
    assert page.locator("#report img").get_attribute("width") == "900"


def test_search_flags_and_pages(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single)
    count, rows = page.locator("#count"), page.locator("#queries tbody tr")
    before, after = page.locator("#before"), page.locator("#after")
    assert rows.count() == 25
    assert count.inner_text() == f"1 to 25 of {QUERIES} queries"
    assert before.is_disabled()
    after.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "q25"
    for _ in range(8):
        after.click()
    assert count.inner_text() == f"226 to {QUERIES} of {QUERIES} queries"
    assert after.is_disabled()
    before.click()
    assert first_ids(page)[0] == "q200"
    search, flag = page.locator("#search"), page.locator("#flag")
    search.fill("NUMBER 42")
    assert first_ids(page) == ["q42", "q142"]
    assert count.inner_text() == f"1 to 2 of 2 of {QUERIES} queries"
    search.fill("item-17")
    assert first_ids(page)[0] == "q17"
    search.fill("")
    choices = flag.locator("option").all_inner_texts()
    assert choices[0] == "with or without"
    assert "truncated (1)" in choices
    flag.select_option(label="truncated (1)")
    assert first_ids(page) == ["q20"]
    flag.focus()
    flag.press("Home")
    assert rows.count() == 25


@pytest.mark.parametrize("key", [None, "Enter", "Space"])
def test_queries_sort(pages: Pages, visit: Visit, key: str | None) -> None:
    page = visit(pages.single)

    def press(name: str) -> None:
        button = page.locator("#queries").get_by_role("button", name=name, exact=True)
        button.press(key) if key else button.click()

    place = MODELS.index("gamma")
    ranks = page.evaluate("Kis.data.sets[0]")
    best = ranks["best"][ranks["models"].index(place)]
    press("gamma")
    press("gamma")
    head = page.locator("#queries th[aria-sort]")
    assert head.inner_text().startswith("gamma")
    assert head.get_attribute("aria-sort") == "descending"
    worst = sorted(range(QUERIES), key=lambda i: (-best[i], i))[:3]
    assert first_ids(page) == [ranks["queries"][i] for i in worst]
    press("query")
    assert first_ids(page)[:2] == ["a/b?c#d %41 ' é", HALF]
    assert page.evaluate("document.activeElement.textContent") == "query"


def test_choosing_a_dataset_and_hiding_curves(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single)
    seen = "document.getElementById('curves').data.map((trace) => trace.visible ?? true)"
    button = page.get_by_role("button", name="gamma").first
    legend = page.get_by_role("list", name="Models whose curves are shown").get_by_role(
        "button", name="gamma"
    )
    assert button.count() == 1
    legend.click()
    assert legend.get_attribute("aria-pressed") == "false"
    assert page.evaluate(seen).count(False) == 1
    legend.press("Space")
    assert page.evaluate(seen).count(False) == 0
    choose = page.get_by_label("Dataset and labels")
    assert choose.locator("option").all_inner_texts() == [
        f"{SET}, short",
        f"{SET}, long",
        "other, only",
    ]
    choose.select_option(label="other, only")
    assert page.locator("#queries tbody tr").count() == 12
    assert "12 queries" in page.locator("#curves").get_attribute("aria-label")
    choose.focus()
    choose.press("ArrowUp")
    assert f"{SET}, long" in page.locator("#curves").get_attribute("aria-label")


def test_curves_are_expected_recall(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single)
    drawn, shown = page.evaluate("""() => {
        return [document.getElementById("curves").data, Kis.data];
    }""")
    one = shown["sets"][0]
    for i, model in enumerate(one["models"]):
        assert drawn[i]["line"]["color"] == shown["models"][model]["colour"]
        for k, y in list(zip(drawn[i]["x"], drawn[i]["y"], strict=True))[:40:7]:
            assert y == pytest.approx(100 * sum(best <= k for best in one["best"][i]) / QUERIES)
    assert re.search(r"^\d+\.\d% \[\d+\.\d, \d+\.\d\]", drawn[0]["text"][3])


def test_a_point_opens_its_query(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single)
    x, y = page.locator("#model-x"), page.locator("#model-y")
    x.select_option(label="gamma")
    y.focus()
    y.press("End")
    titles = page.evaluate(
        "['xaxis', 'yaxis'].map((a) => document.getElementById('scatter').layout[a].title.text)"
    )
    assert titles[0] == "rank under gamma"
    y.select_option(label="alpha")  # q0 is first under alpha and at 200 under gamma
    box = page.locator("#scatter")
    box.scroll_into_view_if_needed()
    spot = page.evaluate("""() => {
        const box = document.getElementById("scatter"), { xaxis, yaxis } = box._fullLayout;
        const side = box.data.find((trace) => (trace.customdata || []).includes(0));
        const i = side.customdata.indexOf(0), at = box.getBoundingClientRect();
        const [x, y] = [xaxis.l2p(Math.log10(side.x[i])), yaxis.l2p(Math.log10(side.y[i]))];
        return [at.x + xaxis._offset + x, at.y + yaxis._offset + y, side.text[i]];
    }""")
    assert "rank 200 under gamma; first is item-" in spot[2]
    assert "rank 1 under alpha" in spot[2]
    page.mouse.move(spot[0], spot[1])
    page.wait_for_selector("#scatter .hoverlayer text")
    hover = page.locator("#scatter .hoverlayer").text_content()
    assert "<script>alert(1)</script>" in hover
    page.mouse.click(spot[0], spot[1])
    page.wait_for_selector("#query:not([hidden])")
    assert page.url.endswith(query("q0"))


def test_opening_a_query_and_going_back(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single)
    link = page.get_by_role("link", name="q15", exact=True)
    link.press("Enter")
    reads(page, "#query h1", "Query q15")
    assert page.url.endswith(query("q15"))
    assert page.evaluate("document.activeElement.id") == "query-title"
    assert page.locator("#query h1").inner_text() == "Query q15"
    assert page.title().startswith("q15")
    assert page.locator("#report").is_hidden()
    view = page.locator("#query")
    assert view.locator(".quote").inner_text() == "number 15 in short"
    assert view.locator(".asked .target").inner_text().split() == ["target", "item-15"]
    assert view.locator(".strip").count() == len(MODELS)
    page.wait_for_function(
        "() => [...document.querySelectorAll('#query img')].every((i) => i.complete && i.naturalWidth)"
    )
    page.get_by_role("link", name="Next query").click()
    reads(page, "#query h1", "Query q16")
    page.get_by_role("link", name="Previous query").press("Enter")
    reads(page, "#query h1", "Query q15")
    page.get_by_role("link", name="long").click()
    reads(page, ".quote", "number 15 in long")
    page.go_back()
    reads(page, ".quote", "number 15 in short")
    page.go_back()
    reads(page, "#query h1", "Query q16")
    page.go_forward()
    reads(page, "#query h1", "Query q15")
    page.keyboard.press("Escape")
    page.wait_for_selector("#report:not([hidden])")
    assert page.locator("#query").is_hidden()
    assert page.evaluate("document.activeElement.textContent") == "q15"
    link.click()
    page.get_by_role("link", name="All queries").click()
    link.click()
    reads(page, "#query h1", "Query q15")
    page.get_by_role("link", name="Texts").click()  # the contents lead back, too
    page.locator("#texts").wait_for()


def test_targets_are_marked(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single, query("q0"))
    marked = page.locator(".strip .target")
    assert marked.first.inner_text().split() == ["1.", "target", "item-0"]
    assert (
        page.locator(".strip .target .frame").first.evaluate(
            "(e) => getComputedStyle(e).outlineStyle"
        )
        == "solid"
    )
    assert "rank 200, not among the first 10" in page.locator("h3", has_text="gamma").inner_text()


def test_pictures_that_are_not_there_say_so(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single, query("q10"))
    assert page.locator(".asked .frame").inner_text() == "file is missing"
    page.goto(pages.single.as_uri() + query("q11"))
    reads(page, "#query h1", "Query q11")
    assert page.locator(".asked .frame").inner_text() == "not readable"
    page.goto(pages.single.as_uri() + query("q12"))
    reads(page, "#query h1", "Query q12")
    image = page.locator(".asked img")
    image.evaluate("(image) => image.decode()")
    assert image.evaluate("(image) => [image.naturalWidth, image.naturalHeight]") == [
        64,
        128,
    ]  # upright


@pytest.mark.parametrize("name", ["a/b?c#d %41 ' é", "q3"])
def test_copied_links(pages: Pages, visit: Visit, name: str) -> None:
    page = visit(pages.single, query(name))
    assert page.locator("#query h1").inner_text() == f"Query {name}"


def test_unknown_links_show_the_report(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single)
    for address in ("#/no/such/query", "#/%E0%A4%A", "#/", "#nothing"):
        page.evaluate("(address) => { location.hash = address; }", address)
        page.wait_for_timeout(50)
        assert page.locator("#report").is_visible()
        assert page.locator("#query").is_hidden()


def test_texts_stay_texts(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single)
    for place, text in enumerate(HOSTILE):
        page.goto(pages.single.as_uri() + query(f"q{place}"))
        reads(page, "#query h1", f"Query q{place}")
        assert page.locator(".quote").text_content() == text
        assert page.locator(".quote").get_attribute("dir") == "auto"
    assert page.locator("#query h3 bdi").all_text_contents().count(MODELS[1]) == 1
    page.goto(pages.single.as_uri() + "#explore")
    page.locator("#search").fill("half")
    link = page.locator("#queries tbody a")
    link.click()
    page.wait_for_selector("#query:not([hidden])")
    assert page.locator("#query h1").text_content() == f"Query {HALF}"
    page.keyboard.press("Escape")
    page.wait_for_selector("#report:not([hidden])")
    assert page.locator("blockquote").inner_text() == f"Note: {ATTACK}"
    assert page.locator("main :is(script, b, iframe, [onerror], [onload])").count() == 0
    page.locator("#curves").scroll_into_view_if_needed()
    box = page.locator("#curves").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.wait_for_selector("#curves .hoverlayer text")
    shown = page.locator("#curves .hoverlayer").text_content()
    assert all(name in shown for name in MODELS)


@pytest.mark.parametrize("address", ["", query("q2")])
def test_accessible(pages: Pages, visit: Visit, address: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(pages.single, address, bypass_csp=True)
    page.locator("#query h1" if address else "#queries").wait_for()
    if not address:
        page.locator("#search").fill("script")  # a few rows show the same as hundreds
    for width, colours in itertools.product((1280, 390), ("light", "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=colours)
        found = [
            each
            for each in axe.run(page).response["violations"]
            if each["impact"] in ("serious", "critical")
        ]
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_columns_give_way_until_a_table_fits(pages: Pages, visit: Visit) -> None:
    page = visit(pages.plain, **PHONE)
    box = page.get_by_role("region", name="Table 3: Wide")
    heads = box.locator("th:visible")
    few = heads.count()
    assert 2 <= few < 30
    assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth")
    assert heads.last.inner_text().strip(" ↕") == f"column {few - 1}"  # they go from the right
    note = page.locator(".gave").nth(2)
    assert note.inner_text().startswith(f"The last {30 - few} columns gave way: column {few}, ")
    note.get_by_role("button", name="Show all columns").press("Enter")
    assert heads.count() == 30
    assert "scroll it sideways" in note.inner_text()
    page.wait_for_function("() => document.querySelectorAll('main .wide')[2].tabIndex === 0")
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelectorAll('main .wide')[2].scrollLeft > 0")
    first = box.locator("td").first  # stays where it is
    assert first.evaluate("(cell) => cell.getBoundingClientRect().left") == box.evaluate(
        "(box) => box.getBoundingClientRect().left"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    note.get_by_role("button", name="Show what fits").click()
    assert heads.count() == few
    page.set_viewport_size({"width": 1280, "height": 800})
    page.wait_for_function(
        "(few) => document.querySelectorAll('main .wide')[2].querySelector('table').dataset.shown > few",
        arg=few,
    )


def test_tables_scroll_without_scripts(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single, explored=False, java_script_enabled=False, **PHONE)
    assert "needs JavaScript" in page.locator("#explore").inner_text()
    assert page.locator("main table th:visible").count() == page.locator("main table th").count()


def test_tables_are_saved_and_copied(pages: Pages, visit: Visit) -> None:
    page = visit(pages.plain, permissions=["clipboard-read", "clipboard-write"])
    name = "Table 1: In short"
    with page.expect_download() as saved:
        page.get_by_role("button", name=f"Save {name} as CSV").press("Enter")
    assert saved.value.suggested_filename == "table-1-in-short.csv"
    rows = list(csv.reader(Path(saved.value.path()).read_text("utf-8").splitlines()))
    assert rows[0] == ["model", "recall@10", "recall@10, low", "recall@10, high", "items", "gain"]
    assert rows[1] == ["alpha", "9.0%", "3.1%", "15.2%", "1,234", f"{MINUS}0.5"]
    assert rows[4][-1] == "+1.5"  # a number, not a formula
    page.get_by_role("button", name=f"Copy {name} as LaTeX").press("Enter")
    page.locator(".saving", has_text="copied").wait_for()
    latex = page.evaluate("navigator.clipboard.readText()")
    assert "\\begin{tabular}{lrrr}" in latex
    assert "  alpha & 9.0\\% {[}3.1, 15.2{]} & 1,234 & $-$0.5 \\\\" in latex
    page.get_by_role("button", name="Copy Table 2: Texts as Markdown").click()
    page.wait_for_function(
        "async () => (await navigator.clipboard.readText()).startsWith('| name')"
    )
    shown = MarkdownIt().enable("table").render(page.evaluate("navigator.clipboard.readText()"))
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>" in shown
    assert shown.count("<tr>") == 13


def test_contents_are_a_drawer_on_a_phone(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single, **PHONE)
    contents, toggle = page.locator("#contents"), page.locator("#toggle")
    assert contents.is_hidden()
    toggle.click()
    assert contents.is_visible()
    assert toggle.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Escape")
    assert contents.is_hidden()
    assert page.evaluate("document.activeElement.id") == "toggle"
    toggle.press("Enter")
    page.get_by_role("link", name="Details").click()
    assert contents.is_hidden()
    toggle.click()
    page.mouse.click(380, 600)  # beside it
    assert contents.is_hidden()


def test_privacy(pages: Pages, visit: Visit) -> None:
    html = pages.private.read_text(encoding="utf-8")
    data = json.dumps(read_page_data(pages.private))
    for secret in ("item-", "number 42", "photos/", "webp"):
        assert secret not in data
    assert 'id="pictures">[]</script>' in html
    page = visit(pages.private)
    heads = page.locator("#queries th").all_inner_texts()
    assert [head.strip(" ↕") for head in heads][-3:] == [
        "flags",
        "disagreement (octaves)",
        "median rank",
    ]
    page.get_by_role("link", name="q5", exact=True).click()
    reads(page, "#query h1", "Query q5")
    assert page.locator("#query li").count() == len(MODELS)
    assert page.locator("#query img, #query .quote").count() == 0


def test_folder_form_loads_what_it_shows(pages: Pages, visit: Visit) -> None:
    page = visit(pages.folder)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert asked == []
    assert page.get_by_role("link", name="A table").get_attribute("href") == "../tables/x.csv"
    assert page.get_by_role("link", name="elsewhere").get_attribute("href") == "https://a.test/x"
    page.get_by_role("link", name="q15", exact=True).click()
    images = page.locator("#query img")
    assert images.first.get_attribute("loading") == "lazy"
    assert images.first.get_attribute("width") == "128"
    page.wait_for_function("() => document.querySelector('#query img').naturalWidth > 0")
    assert any(url.endswith(".webp") for url in asked)


def test_printed(pages: Pages, visit: Visit) -> None:
    page = visit(pages.single, color_scheme="dark")
    page.locator("#theme").click()
    page.locator("#theme").click()
    page.get_by_role("searchbox", name=re.compile("^Filter rows")).fill("row 1")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    for name in ("#bar", "#contents", ".controls", ".plots", ".filter", ".saving", ".gave"):
        assert not any(
            page.locator(name).nth(i).is_visible() for i in range(page.locator(name).count())
        )
    assert (
        page.get_by_role("region", name="Table 2: Texts").locator("tbody tr:visible").count() == 12
    )
    assert page.locator("#explore").is_hidden()  # the tables of the worst are printed
    assert page.pdf().startswith(b"%PDF")


def test_tables_work_without_plotly(
    pages: Pages, visit: Visit, tmp_path_factory: pytest.TempPathFactory
) -> None:
    html = pages.single.read_text(encoding="utf-8")
    start = html.index('id="plotly">') + 12
    file = tmp_path_factory.mktemp("none") / "single.html"
    file.write_text(html[:start] + html[html.index("</script>", start) :], encoding="utf-8")
    page = visit(file)
    assert "can't draw the plot" in page.locator("#curves").inner_text()
    page.locator("#search").fill("number 42")
    page.get_by_role("link", name="q42").click()
    reads(page, "#query h1", "Query q42")


def test_queries_that_no_model_found_are_a_grid(visit: Visit, tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    lost = run.ranks["query_id"].isin(["q3", "q7"]) & (run.ranks["label_set"] == "short")
    for name in ("rank", "rank_best", "rank_worst"):
        run.ranks.loc[lost, name] = 150
    data = explorer_data(make_view(run, tmp_path))
    table = "| query | rank |\n|---|---|\n| q3 | 150 |"
    text = f"## Queries\n\n### Queries that no model found\n\nThe rule.\n\nTwo.\n\n{table}\n\n### Others\n\nwords"
    file = tmp_path / "single.html"
    file.write_text(page_of(text, tmp_path, "", data=data), encoding="utf-8", errors="replace")
    page = visit(file)
    grid = page.get_by_role("list", name="Queries of photos </script>, short that no model found")
    assert grid.locator("li").count() == 2
    tile = grid.locator("li").nth(1)
    assert tile.locator(".text").text_content() == ATTACK
    assert "best rank 150, " in tile.inner_text()
    assert "no picture here" in tile.inner_text()
    assert page.get_by_text("The rule.").is_visible()
    assert page.get_by_text("Two.").is_hidden()  # the grid says the same
    tile.get_by_role("link", name="q7").click()
    reads(page, "#query h1", "Query q7")
    page.go_back()
    page.emulate_media(media="print")
    assert page.get_by_text("Two.").is_visible()
    assert grid.is_hidden()


def test_nothing_large_is_unpacked_before_it_is_seen(visit: Visit, tmp_path: Path) -> None:
    data = explorer_data(make_view(as_private(sample_run(tmp_path)), tmp_path))
    file = tmp_path / "single.html"
    file.write_text(
        page_of("\n\n".join(["words"] * 200), tmp_path, "", data=data), encoding="utf-8"
    )
    state = "[typeof Kis.data, typeof Plotly]"
    page = visit(file, explored=False)
    page.wait_for_timeout(300)
    assert page.evaluate(state) == ["undefined", "undefined"]
    page.keyboard.press("End")
    page.locator("#curves .main-svg").first.wait_for()
    assert page.evaluate(state) == ["object", "object"]
    page = visit(file, "#/other/only/q3")  # a query needs no plots
    reads(page, "#query h1", "Query q3")
    assert page.evaluate(state) == ["object", "undefined"]


def test_injected_scripts_do_not_run(
    pages: Pages, visit: Visit, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """If a text ever left its place, the policy of the page would stop it."""
    file = tmp_path_factory.mktemp("evil") / "single.html"
    html = pages.single.read_text(encoding="utf-8").replace(
        "<body>", "<body><script>window.__hacked = 1</script>"
    )
    file.write_text(html, encoding="utf-8")
    page = visit(file, explored=False)
    assert page.evaluate("window.__hacked") == 0
    assert "Content Security Policy" in visit.problems[0]  # type: ignore[attr-defined]
    visit.problems.clear()  # type: ignore[attr-defined]
