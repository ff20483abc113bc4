"""What a session says at its end, in real sessions: what was skipped and failed, once, and where the report is."""

import re
from textwrap import dedent
from urllib.parse import unquote, urlparse

import pytest
from PIL import Image

from kis_bench.plugin.summary import group_lacks

pytest_plugins = ["pytester"]

COLOURS = ("red", "green", "blue")
FETCH = "kis-bench fetch {}, or add --kis-download"
PROJECT = {
    "conftest.py": """
        from pathlib import Path

        from kis_bench import encoders
        from kis_bench.datasets import DatasetRow
        from kis_bench.records import Checkpoint

        def pytest_kis_models(config):
            far = [Checkpoint(name, f"hf-hub:a/{name}") for name in ("far", "farther")]
            return [encoders.find("colour-words"), *far]

        def pytest_kis_datasets(config):
            return [DatasetRow("mvk"), DatasetRow("colours", Path(__file__).parent / "colours")]

        def pytest_terminal_summary(terminalreporter):
            counted = len(terminalreporter.stats.get("skipped", []))
            terminalreporter.write_line(f"a conftest counts {counted} skipped")
    """,
    "test_search.py": """
        import pytest

        WHY = "a reason that is longer than a line of a terminal has room for, up to its very end"

        def test_search(model, dataset, query_set):
            pytest.fail(WHY)

        @pytest.mark.skip(reason="somebody else's")
        def test_other():
            pass

        def test_others_failure():
            assert 1 == 2
    """,
}


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs pytest in that project; gives the lines it wrote, and its result."""
    for name, text in PROJECT.items():
        (pytester.path / name).write_text(dedent(text), encoding="utf-8")
    (pytester.path / "colours" / "images").mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text", *(f"{c},{c},short,{c}" for c in COLOURS)]
    (pytester.path / "colours" / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    for colour in COLOURS:
        Image.new("RGB", (8, 8), colour).save(
            pytester.path / "colours" / "images" / f"{colour}.png"
        )
    for name in ("CI", "BUILD_NUMBER", "PYTEST_ADDOPTS", "KIS_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("KIS_STORE", str(pytester.path / "store"))

    def run(*arguments, plugins=("no:randomly", "no:cacheprovider")):
        off = [part for plugin in plugins for part in ("-p", plugin)]
        result = pytester.runpytest_inprocess(*off, "--kis-labels=short", *arguments)
        return result.outlines, result

    return run


@pytest.mark.parametrize(
    "more",
    [[], ["-ra"], ["-rs", "-v"], ["-q", "-rs"], ["--no-header"], ["-n", "1", "-ra"]],
    ids=" ".join,
)
def test_a_skip_of_ours_is_told_once_and_others_by_pytest(run, more):
    lines, result = run(*more)
    said = "\n".join(lines)
    shown = said.partition(" not here ")[2]  # before it, -v has the reason of each test
    for reason in (
        "skipped 1: dataset mvk: no data.",
        "skipped 4: models far, farther: not downloaded. kis-bench fetch hf-hub:a/NAME, or",
    ):
        assert shown.count(reason) == 1, said
    assert not re.search(r"SKIPPED.*(mvk|not downloaded)", shown)
    listed = any(option in ("-ra", "-rs") for option in more)
    assert shown.count("somebody else's") == listed
    assert "a conftest counts 6 skipped" in lines
    result.assert_outcomes(skipped=6, failed=2)


def test_a_reason_why_a_test_of_ours_failed_is_whole(run):
    lines, _ = run()
    (whole,) = [line for line in lines if line.startswith("FAILED test_search.py::test_search")]
    assert whole.endswith("up to its very end")
    (other,) = [line for line in lines if line.startswith("FAILED test_search.py::test_others")]
    assert "assert 1 == 2" in other


def test_nothing_is_told_without_a_terminal(run):
    lines, result = run(plugins=("no:terminal", "no:randomly"))
    assert lines == []
    assert result.ret == 1


def test_junit_has_all_of_them(run, pytester):
    run("--junitxml=out.xml")
    xml = (pytester.path / "out.xml").read_text(encoding="utf-8")
    assert 'skipped="6"' in xml
    assert "dataset mvk: no data." in xml
    assert 'name="kis_bench"' not in xml


@pytest.mark.parametrize("more", [[], ["-n", "1"], ["-q"], ["-p", "no:terminal"]], ids=" ".join)
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--kis-batch-size=0", "kis-bench: --kis-batch-size 0: must be at least 1"),
        ("--kis-model=clour-words", "kis-bench: asked for by name; nothing was measured"),
        ("--kis-thresholds=gone.toml", "kis-bench: gone.toml"),
        ("--kis-report=test_search.py/x", "kis-bench: no run can be written (--kis-report)"),
    ],
)
def test_a_wrong_option_is_one_message_and_exit_code_2(run, option, message, more):
    lines, result = run(option, *more)
    said = "\n".join([*lines, *result.errlines])
    assert result.ret == 2
    messages = said.replace("kis-bench: not here: ", "").count("kis-bench: ")
    assert messages == said.count(message) == 1, said
    assert "!!!" not in said
    assert "Error" not in said
    assert "Exit" not in said


def test_the_header_is_four_lines_of_which_v_has_the_details(run):
    for more, detailed in ([], False), (["-v"], True):
        lines, _ = run("--collect-only", *more)
        own = [line for line in lines if line.startswith("kis-bench")]
        assert own[:2] == (
            ["kis-bench models: ready: colour-words", "kis-bench datasets: ready: colours"]
            if detailed
            else [
                "kis-bench models: 1 of 3 ready: colour-words",
                "kis-bench datasets: 1 of 2 ready: colours",
            ]
        )
        assert len(own) <= 4
        assert any("not downloaded: far, farther; " in line for line in lines) == detailed
        assert (max(map(len, own)) <= 80) or detailed


def test_the_links_lead_to_files(run, pytester):
    file = pytester.path / "test_search.py"
    file.write_text(
        "def test_search(model, dataset, query_set, known_item_search):\n"
        "    known_item_search(model, dataset, query_set)\n"
    )
    folder = pytester.path / "my reports é"
    own = ("--kis-model=colour-words", "--kis-dataset=colours")
    lines = pytester.runpytest_subprocess("--kis-report", folder, *own).outlines
    links = [word for line in lines for word in line.split() if word.startswith("file://")]
    paths = [unquote(urlparse(link).path) for link in links]
    latest = (folder / "latest").resolve()
    assert paths == [str(latest / "report.html"), str(latest / "report.md")]
    assert all(" " not in link for link in links)


def test_what_lacks_the_same_is_one_line():
    absent = {
        ("model b", "not downloaded", FETCH.format("b")): {"t1", "t2"},
        ("model a", "not downloaded", FETCH.format("a")): {"t3"},
        ("model fetch", "not downloaded", FETCH.format("hf-hub:x/fetch")): {"t4"},
        ("dataset a", "no data", "docs/a.md says how"): {"t3"},
        ("complementarity", "takes two models, and none is here", ""): {"t5"},
    }
    assert group_lacks(absent) == [
        "skipped 1: complementarity: takes two models, and none is here.",
        "skipped 1: dataset a: no data. docs/a.md says how",
        "skipped 1: model fetch: not downloaded. kis-bench fetch hf-hub:x/fetch, or add --kis-download",
        "skipped 3: models a, b: not downloaded. kis-bench fetch NAME, or add --kis-download",
    ]
