"""What the documentation takes from the code is what the code says."""

import re
import runpy
from pathlib import Path

import pytest
from pages import find_parts, regenerate_parts

from kis_bench import cli
from kis_bench.options import OPTIONS

ROOT = Path(__file__).parents[2]
docs = runpy.run_path(str(ROOT / "tools" / "docs.py"))
PAGES = {str(page.relative_to(ROOT)): page for page in docs["find_pages"]()}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_what_the_code_says(page):
    text = PAGES[page].read_text(encoding="utf-8")
    assert regenerate_parts(text, "generated", docs["GENERATORS"]) == text, (
        f"{page} is out of date; run: python tools/docs.py"
    )
    marks = re.findall(r"^<!-- generated:", text, re.MULTILINE)
    assert len(marks) == len(find_parts("generated").findall(text)), (
        f"{page}: a part lacks its <!-- end -->"
    )


def test_every_generator_is_used():
    used = {
        part[1]
        for page in PAGES.values()
        for part in find_parts("generated").findall(page.read_text("utf-8"))
    }
    assert {*docs["GENERATORS"]} == used


def test_a_part_is_written_anew_and_the_rest_stays(monkeypatch):
    monkeypatch.setitem(docs["GENERATORS"], "colours", lambda: "red\n")
    page = "before\n<!-- generated: colours -->\n\nblue\n\n<!-- end -->\nafter\n"
    assert regenerate_parts(page, "generated", docs["GENERATORS"]) == page.replace("blue", "red")
    shapes = page.replace("colours", "shapes")
    with pytest.raises(KeyError, match="shapes"):
        regenerate_parts(shapes, "generated", docs["GENERATORS"])


@pytest.mark.parametrize("command", docs["COMMANDS"])
def test_help_says_what_a_command_does(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([*command.split()[1:], "--help"])
    said = capsys.readouterr().out
    assert said.startswith(f"usage: {command}")
    for argument in docs["find_arguments"](docs["COMMANDS"][command]):
        assert argument.help, argument


def test_tables_have_every_option():
    assert docs["write_pytest_options"]().count("\n| `--kis-") == len(OPTIONS)
    written = docs["write_arguments"](docs["COMMANDS"]["kis-bench export"])
    forms = r"`trec\|csv\|parquet\|reset-csv\|latex\|xlsx\|model-card\|mlflow\|wandb`"
    assert f"\n| {forms} | which form: " in written
    assert written.startswith("```\nkis-bench export csv reports/latest\n")
