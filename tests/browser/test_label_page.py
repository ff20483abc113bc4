"""``kis-bench label`` in a real browser: by keyboard, without scripts, while the server dies, on a phone."""

import csv
import re
import signal

import pytest
from browser_page import ATTACK
from builders import run_cli
from served_pages import make_pictures, serve

WAIT_MS = 30_000
# A save that is refused, and the names that Chromium has for a server that dies: which one depends on the moment.
EXPECTED = re.compile(r"422|net::ERR_(CONNECTION|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)")


class Visitor:
    """A browser of somebody's own, in which nothing may go wrong that isn't expected."""

    def __init__(self, browser, address, **options):
        self.context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, **options}
        )
        self.page, self.problems = self.context.new_page(), []
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda shown: (self.problems.append("dialog"), shown.dismiss()))
        self.page.on("console", self.note)
        self.page.goto(address)

    def note(self, said):
        if said.type == "error" and not EXPECTED.search(said.text):
            self.problems.append(said.text)

    def begin(self):
        self.page.get_by_role("button", name="Begin").click()
        self.page.locator("textarea").first.wait_for()
        return self

    @property
    def title(self):
        return self.page.title()

    def write(self, short, long):
        """Describes a picture by keyboard alone, and waits for the next page."""
        before = self.title
        self.page.keyboard.type(short)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(long)
        self.page.keyboard.press("Control+Enter")
        self.await_other(before)

    def await_other(self, title):
        """Waits until another page is there; its first field has the focus."""
        self.page.wait_for_function("before => document.title !== before", arg=title)
        self.page.wait_for_function(
            "() => !document.querySelector('textarea') || document.activeElement.matches('textarea')"
        )

    def close(self):
        self.context.close()
        assert self.problems == []


def read_texts(folder):
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return [(row["annotator"], row["label_set"], row["text"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_a_morning_of_two_annotators(browser, tmp_path):
    """Twenty pictures, one refused, corrections, reloads, a server that dies in a save; then models are measured."""
    folder = make_pictures(tmp_path / "mine" / "images", 40).parent
    people = ["--annotator", "Ada", "--annotator", "Ben"]
    with serve("label", folder, *people) as served:
        ada = Visitor(browser, served.links["Ada"]).begin()
        ben = Visitor(browser, served.links["Ben"]).begin()
        for turn in range(9):
            ada.write(f"ada {turn}", f"what Ada sees, {turn}")
            ben.write(f"ben {turn}", f"what Ben sees, {turn}")
        before = ada.title
        ada.page.keyboard.press("Alt+n")
        ada.page.get_by_role("button", name="Blurred").press("Enter")
        ada.await_other(before)
        ada.page.get_by_role("link", name="Back").click()  # to the one that was refused
        ada.page.get_by_text("not suitable: blurred").wait_for()
        ada.page.get_by_role("link", name="Back").click()
        ada.page.get_by_text("You have described this picture").wait_for()
        assert ada.page.get_by_label("short").input_value() == "ada 8"
        ada.page.get_by_label("short").fill("ada 8, corrected")
        ada.page.keyboard.press("Control+Enter")
        ada.page.wait_for_url(re.compile("/$"))
        ada.page.get_by_label("short").fill("typed before a reload")
        ada.page.reload()
        assert ada.page.get_by_label("short").input_value() == "typed before a reload"
        ada.page.go_back()  # of the browser
        ada.page.goto(served.links["Ada"].rpartition("/enter")[0])
        assert ada.page.get_by_label("short").input_value() == "typed before a reload"
        ada.page.get_by_label("long").fill("saved while the server dies")
        served.process.send_signal(signal.SIGSTOP)
        ada.page.keyboard.press("Control+Enter")
        ada.page.keyboard.press("Control+Enter")  # somebody gets impatient
        ada.page.locator("[aria-busy=true]").wait_for()
        waiting = ada.title
        served.process.kill()
        ada.page.get_by_text("Not saved yet").wait_for()
    with serve("label", folder, *people) as served:
        ada.await_other(waiting)
        ada.write("ada 10", "after the restart")
        ben.write("ben 9", "after the restart")  # in a page of the first server
        ada.close()
        ben.close()
        assert served.stop() == 0
    found = read_texts(folder)
    assert len(found) == 2 * (11 + 10)
    short = [(name, text) for name, label_set, text in found if label_set == "short"]
    assert sorted(short) == sorted(
        [
            *(("Ada", f"ada {turn}") for turn in (0, 1, 2, 3, 4, 5, 6, 7, 10)),
            ("Ada", "ada 8, corrected"),
            ("Ada", "typed before a reload"),
            *(("Ben", f"ben {turn}") for turn in range(10)),
        ]
    )
    places = {f"KIS_{name}": str(tmp_path / name.lower()) for name in ("STORE", "CACHE")}
    measured = run_cli(
        "run", folder, "--model", "colour-words", "--report", tmp_path / "runs", **places
    )
    assert measured.returncode == 0, measured.stdout
    assert "mine, short: 21 queries" in measured.stdout


def test_accessible(browser, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    folder = make_pictures(tmp_path / "photos", 6, (640, 480))
    with serve("label", folder, "--goal", 1) as served:
        ada = Visitor(browser, served.links["annotator-1"], bypass_csp=True)
        page = ada.page

        def check():
            for width, colours in ((1280, "light"), (390, "dark")):
                page.set_viewport_size({"width": width, "height": 800})
                page.emulate_media(color_scheme=colours)
                found = axe.run(page).response["violations"]
                serious = [each for each in found if each["impact"] in ("serious", "critical")]
                assert [(each["id"], each["nodes"][0]["html"]) for each in serious] == []
                assert page.evaluate("document.documentElement.scrollWidth") == width

        check()
        ada.begin()
        assert page.locator("img").get_attribute("alt") == "Picture 1"
        page.get_by_text("Not suitable …").click()
        page.get_by_label("short").fill(ATTACK)
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Nothing is written here yet.").wait_for()
        check()
        page.get_by_label("long").fill("</textarea>" + ATTACK)
        page.get_by_role("button", name="Save").click()
        page.get_by_text("The goal is reached").wait_for()
        check()
        page.get_by_role("link", name="Describe more").click()
        page.get_by_role("link", name="Back").click()
        page.get_by_text("You have described this picture").wait_for()
        assert page.get_by_label("long").input_value() == "</textarea>" + ATTACK
        page.get_by_role("link", name="Invite").click()
        page.get_by_label("Name").fill("Ben <b>")
        page.get_by_role("button", name="Make a link").click()
        address = page.locator("code.link").inner_text()
        check()
        ada.close()
        ben = Visitor(browser, address)
        assert ben.page.get_by_role("heading").inner_text() == "Welcome, Ben <b>"
        ben.page.get_by_role("button", name="Begin").click()
        ben.page.get_by_text("The goal is reached").wait_for()
        ben.close()
        served.stop()


def test_without_scripts_from_memory(browser, tmp_path):
    folder = make_pictures(tmp_path / "photos", 6, (640, 480))
    with serve("label", folder, "--memory", 1) as served:
        ada = Visitor(browser, served.links["annotator-1"], java_script_enabled=False)
        page = ada.page
        page.get_by_role("button", name="Begin").click()
        page.get_by_role("button", name="Show the picture").click()
        page.get_by_role("img", name="Picture 1").wait_for()
        page.get_by_label("short").wait_for()  # comes by itself
        assert page.get_by_role("img").count() == 0
        page.get_by_label("short").fill("a")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Nothing is written here yet.").wait_for()
        page.get_by_label("long").fill("b")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="Show the picture").click()
        page.get_by_text("Not suitable …").click()
        page.get_by_label("Another reason").fill("upside down")
        page.get_by_label("Another reason").press("Enter")
        page.get_by_role("link", name="Back").click()
        page.get_by_text("not suitable: upside down").wait_for()
        ada.close()
        served.stop()
    assert [text for _, _, text in read_texts(folder)] == ["a", "b"]


def test_the_next_picture_is_there_already(browser, tmp_path):
    folder = make_pictures(tmp_path / "photos", 6, (640, 480))
    with serve("label", folder) as served:
        ada, asked = Visitor(browser, served.links["annotator-1"]), []
        ada.page.on("request", lambda request: asked.append(request.url))
        ada.begin()
        ada.page.wait_for_load_state("networkidle")
        for number in (2, 3):
            ada.write("a", "b")
            ada.page.wait_for_load_state("networkidle")
            picture = ada.page.get_by_role("img", name=f"Picture {number}")
            assert picture.evaluate("(shown) => shown.complete && shown.naturalWidth") == 640
            address = picture.evaluate("(shown) => shown.src")
            assert asked.count(address) == 1
        assert len([url for url in asked if url.endswith("/")]) == 3  # no page was loaded anew
        assert ada.page.evaluate("performance.getEntriesByType('navigation').length") == 1
        ada.close()
        served.stop()
