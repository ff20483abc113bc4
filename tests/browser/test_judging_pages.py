"""``kis-bench judge`` in a real browser, and the suite on what came of it."""

from __future__ import annotations

import csv
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import run_pytest
from judged_pages import write_triplets_table
from PIL import Image
from served_pages import serve

from kis_bench.results import read_run

ROOT = Path(__file__).parents[2]
PEOPLE = ("--participant", "Ada", "--participant", "Ben")


def make_coloured_study(folder: Path, count: int = 30) -> Path:
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    for i in range(count):
        cells = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(cells).resize((640, 480), Image.Resampling.NEAREST)
        picture.save(folder / "images" / f"{i:04d}.jpg")
    write_triplets_table(folder, [(i, (i + 1) % count, (i + 7) % count) for i in range(count)])
    return folder


class Judge:
    """Somebody before a browser; whatever goes wrong in it is noted."""

    def __init__(self, browser: Any, link: str, **options: Any) -> None:
        settings = {"viewport": {"width": 1280, "height": 900}, "bypass_csp": True, **options}
        self.context, self.origin = browser.new_context(**settings), link.partition("/enter")[0]
        self.problems: list[str] = []
        self.page = self.open()
        self.page.goto(link)
        self.page.get_by_role("button", name="Begin").click()

    def open(self) -> Any:
        page = self.context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.note(request.url))
        return page

    def note(self, url: str) -> None:
        if not url.startswith((self.origin, "data:")):
            self.problems.append(url)

    @property
    def question(self) -> str:
        return str(self.page.locator("input[name=question]").get_attribute("value"))

    def await_next(self, before: str) -> None:
        gone = f"main:not(:has(input[name=question][value='{before}']))"
        self.page.locator(gone).wait_for(state="attached")
        self.page.wait_for_load_state()

    def press(self, key: str) -> None:
        """Answers with a key, once the page takes keys."""
        before = self.question
        self.page.wait_for_timeout(400)
        self.page.keyboard.press(key)
        self.await_next(before)

    def click(self, name: str) -> None:
        before = self.question
        self.page.get_by_role("button", name=name).click()
        self.await_next(before)


def find_faults(page: Any) -> list[tuple[str, str]]:
    """What axe-core finds serious, and whether the page is wider than the window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = []
    for width, colours in ((1280, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=colours)
        found += [
            (each["id"], each["nodes"][0]["html"][:200])
            for each in axe.run(page).response["violations"]
            if each["impact"] in ("serious", "critical")
        ]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(("too wide", page.url))
    page.set_viewport_size({"width": 1280, "height": 900})
    return found


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_people_judge_and_the_suite_measures_what_they_said(browser: Any, tmp_path: Path) -> None:
    folder = make_coloured_study(tmp_path / "mine")
    consent = tmp_path / "consent.txt"
    consent.write_text("You may stop at any time.\n" * 40)
    options = ("--overlap", "2", "--goal", "20", "--repeats", "0.1", "--consent", consent)
    with serve("judge", folder, *PEOPLE, *options) as served:
        ada = Judge(browser, served.links["Ada"])
        # Ben's browser runs no scripts, and he holds a phone.
        phone = {"width": 390, "height": 844}
        ben = Judge(browser, served.links["Ben"], java_script_enabled=False, viewport=phone)
        assert find_faults(ada.page) == []
        for one in (ada, ben):
            one.page.get_by_label("I have read this and agree.").check()
            one.page.get_by_label("How old are you?").select_option("25-34")
            one.page.get_by_role("button", name="Go to the pictures").click()
        ada.page.locator(".triplet").wait_for()
        assert find_faults(ada.page) == []
        sizes = ada.page.evaluate(
            "[...document.images].map(i => [i.naturalWidth, i.getBoundingClientRect().bottom])"
        )
        assert len(sizes) == 3
        assert all(width == 640 and bottom < 900 for width, bottom in sizes)
        for turn in range(8):
            ada.press(str(1 + turn % 5))
            ben.click(["Clearly left", "Rather right", "No difference"][turn % 3])
        for one in (ada, ben):
            assert one.page.locator(".count").inner_text() == "8 of 20"
        # Reloading changes nothing, and neither does a double click or a key that is held down.
        before = reloaded = ada.question
        ada.page.wait_for_timeout(600)
        ada.page.reload()
        assert ada.question == before
        ada.page.get_by_role("button", name="Rather left").dblclick(no_wait_after=True)
        ada.await_next(before)
        assert ada.page.locator(".count").inner_text() == "9 of 20"
        # Back corrects, and the browser's own button shows no question that was answered meanwhile.
        ada.page.get_by_role("link", name="Back").click()
        assert ada.page.locator("[aria-pressed=true]").inner_text().startswith("Rather left")
        assert ada.question == before
        assert find_faults(ada.page) == []
        ada.click("Clearly right")
        assert ada.page.locator(".count").inner_text() == "9 of 20"
        # Two tabs show one question, and the last answer to it counts.
        other, question = ada.open(), ada.question
        other.goto(ada.origin)
        assert other.locator("input[name=question]").get_attribute("value") == question
        ada.click("Clearly left")
        other.get_by_role("button", name="No difference").click()
        other.locator(f"input[name=question]:not([value='{question}'])").wait_for(state="attached")
        other.close()
        assert ada.page.locator(".count").inner_text() == "10 of 20"
        served.stop(signal.SIGKILL)
        ada.page.get_by_role("button", name="Rather right").click()
        ada.page.get_by_text("The server can't be reached. Your answer stays here").wait_for()
        unsaved = ada.question
    with serve("judge", folder, *PEOPLE, *options) as served:
        assert served.links["Ada"].startswith(f"{ada.origin}/")  # the same port
        ada.await_next(unsaved)  # it was sent again
        while ada.page.locator("#judge").count():
            ada.press("2")
        while ben.page.locator("#judge").count():
            ben.click("Rather left")
        assert find_faults(ada.page) == []
        thanks = ada.page.locator("main").inner_text()
        assert re.search(r"So far \d+ judgments with a preference by 2 people", thanks)
        ada.page.get_by_role("link", name="How the study goes").click()
        ada.page.locator("tbody tr").nth(1).wait_for()
        assert find_faults(ada.page) == []
        assert ada.problems == ben.problems == []
        for one in (ada, ben):
            one.context.close()
        assert served.stop() == 0
    rows, again = (
        read_rows(folder / name) for name in ("triplet_judgements.csv", "repeated_judgements.csv")
    )
    spent = {row["judgement_id"]: int(row["time_spent"]) for row in rows + again}
    assert spent[reloaded] > 600  # before and after it was reloaded
    assert sum(ms > 400 for ms in spent.values()) > 12  # those that were answered with a key
    choices = {row["judgement_id"]: row["choice"] for row in rows + again}
    assert choices[before] == "2"
    assert choices[question] == "0"
    assert choices[unsaved] == "1"
    assert len(choices) == len(rows) + len(again) == 40
    assert [sum(row["user_id"] == user for row in rows + again) for user in ("p1", "p2")] == [
        20,
        20,
    ]
    done = run_pytest(
        *(ROOT / "benchmarks", "-c", ROOT / "pyproject.toml", "-k", "reset"),
        *("--kis-model", "extractor:rgb-histogram-64", f"--kis-dataset=mine={folder}"),
        *("--kis-report", tmp_path / "reports"),
        drawn=False,
        KIS_STORE=str(tmp_path / "store"),
        KIS_CACHE=str(tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "reports").glob("2*")
    metrics = read_run(run).metrics
    (row,) = metrics[metrics["metric"] == "consistency"].to_dict("records")
    assert row["n"] == sum(each["choice"] != "0" for each in rows)
    assert 0 <= row["ci_low"] <= row["value"] <= row["ci_high"] <= 1
