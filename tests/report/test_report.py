"""Reports on real folders, with texts that try to be more than text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import make_ranks, read_page_data
from PIL import Image

from kis_bench.options import PLOT_FORMS
from kis_bench.records import Collection
from kis_bench.report import write_report
from kis_bench.report.markdown import show_timings
from kis_bench.report.page.thumbnails import BUDGET
from kis_bench.report.writing import BESIDES_BYTES, PAGE_BYTES, find_room
from kis_bench.results import Run
from kis_bench.results.columns import JUDGMENTS, RANKS, TIMINGS, VERDICTS
from kis_bench.results.figures import metrics_table
from kis_bench.results.folder import run_of
from kis_bench.results.pseudonyms import as_private

HOSTILE = [
    "<script>alert(1)</script>",
    "a | b",
    "two\nlines",
    "مرحبا \u202eقلعة",
    "x" * 10_000,
    "![x](https://a.test/b.png)",
    "[x](javascript:alert(1))",
    "C:\\dir | <b>$\\frac$",
    "# head",
    "",
]
MODELS = ["alpha|1", "beta $x_1$"]


def sample_run(folder: Path) -> Run:
    rng = np.random.default_rng(3)
    numbers = range(len(HOSTILE))
    ranks = pd.concat(
        make_ranks(
            rng.integers(1, 41, len(HOSTILE)),
            model=model,
            dataset="toy",
            label_set=label_set,
            query_id=[f"q{i}" for i in numbers],
            text=HOSTILE,
            item_id=[f"item-{i}" for i in numbers],
            n_items=40,
            truncated=[i == 0 for i in numbers],
            target_score=0.25,
            top_item_ids=[[f"item-{j}" for j in range(5)]] * len(HOSTILE),
        )
        for model in MODELS
        for label_set in ("short", "long")
    ).reset_index(drop=True)
    timings = pd.DataFrame(
        [("alpha|1", "toy", "", "embed", 1.5, 40, 26.7, False, None)], columns=TIMINGS
    )
    judgments, verdicts = pd.DataFrame(columns=JUDGMENTS), pd.DataFrame(columns=VERDICTS)
    provenance = {
        "time": "2026-11-24T02:15:00Z",
        "command": ["pytest", "/home/someone/benchmarks"],
        "interrupted": True,
        "models": {"alpha|1": {"revision": "r1", "note": "seen in <training>"}},
        "datasets": {"toy": {"fingerprint": "f00", "note": "made by hand"}},
    }
    return Run(folder, ranks, judgments, metrics_table(ranks), timings, verdicts, provenance)


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Collection]:
    files = {f"item-{i}": tmp_path / f"{i}.jpg" for i in range(8)}
    for i, file in enumerate(files.values()):
        if i != 3:
            Image.new("RGB", (300, 200), (30 * i, 90, 120)).save(file)
    (tmp_path / "4.jpg").write_bytes(b"no picture")
    return {"toy": Collection("toy", tuple(files), tuple(files.values()), tuple(files))}


def test_pictures_get_the_room_that_plots_leave_of_a_page(tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    assert find_room(tmp_path) == PAGE_BYTES - BESIDES_BYTES
    (tmp_path / "plots" / "curves.png").write_bytes(bytes(300_000))
    assert find_room(tmp_path) == PAGE_BYTES - BESIDES_BYTES - 400_000
    (tmp_path / "plots" / "worst-a.png").write_bytes(bytes(300_000))  # which pages don't hold
    (tmp_path / "plots" / "curves.svg").write_bytes(bytes(300_000))
    assert find_room(tmp_path) == PAGE_BYTES - BESIDES_BYTES - 400_000
    (tmp_path / "plots" / "grid.png").write_bytes(bytes(2_000_000))
    assert find_room(tmp_path) == BUDGET


def test_report_says_what_embedding_waited_for(tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    for stored in (None, ""):  # as it was measured, and as it was read
        cached = replace(run, timings=run.timings.assign(limit=stored))
        assert "waited for" not in "\n".join(show_timings(cached))
    embedded = run.timings.assign(step="embed images", limit="decode")
    ranked = run.timings.assign(step="rank")
    head, _, first, second = show_timings(
        replace(run, timings=pd.concat([embedded, ranked], ignore_index=True))
    )[2].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (head, first, second)]
    assert [row[-1] for row in cells] == ["waited for", "decode", ""]


def test_report_names_everything(tmp_path: Path, pictures: dict[str, Collection]) -> None:
    write_report(tmp_path, sample_run(tmp_path), pictures)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for part in (
        "alpha\\|1",
        "beta $x\\_1$",
        "interrupted",
        "made by hand",
        "recall@100",
        "truncated",
        "Timings",
        "f00",
    ):
        assert part in text
    assert "<script" not in text
    shown = re.findall(r"^!\[.*\]\(plots/(\w+).*\)\n\n(.*)", text, re.M)
    assert {stem for stem, _ in shown} == {
        "curves",
        "grid",
        "combinations",
        "growth",
        "label",
        "worst",
    }
    for stem, below in shown:  # contact sheets say what they show
        assert stem == "worst" or re.fullmatch(r"\*.*(queries|targets).*\.\*", below)
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert "\u202e" not in text


def test_html_stands_alone_and_shows_texts_as_texts(
    tmp_path: Path, pictures: dict[str, Collection]
) -> None:
    write_report(tmp_path, sample_run(tmp_path), pictures)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    data = read_page_data(tmp_path / "report.html")
    assert data["sets"][0]["texts"][0] == "<script>alert(1)</script>"
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    assert not re.search(r"""<[^>]*(?:src|href)\s*=\s*["'](?!data:|#|tables/)""", shown)
    assert "url(" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert shown.count("<img") == shown.count('src="data:image/')
    assert 'lang="en"' in html
    assert 'alt=""' not in shown
    assert "default-src 'none'" in html


def test_a_page_as_a_folder_holds_every_picture_as_a_file(
    tmp_path: Path, pictures: dict[str, Collection]
) -> None:
    write_report(tmp_path, sample_run(tmp_path), pictures, as_folder=True)
    about = read_page_data(tmp_path / "report" / "index.html")
    pictures_block = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    shown = json.loads(re.search(r'id="pictures">(.*?)</script>', pictures_block)[1])
    files = {file.name for file in (tmp_path / "report" / "thumbnails").iterdir()}
    assert {f"thumbnails/{name}" for name in files} == {*shown}
    assert len(files) == 6  # of eight, one is missing and one is no picture
    assert about["note"].startswith("4 of 10 ")  # two more are not in the collection
    write_report(tmp_path, as_private(sample_run(tmp_path)), pictures)
    assert not (tmp_path / "report").exists()  # what an earlier drawing showed is gone


def test_pictures_are_readable_and_the_same_each_time(
    tmp_path: Path, pictures: dict[str, Collection]
) -> None:
    for name in ("one", "two"):
        write_report(tmp_path / name, sample_run(tmp_path), pictures, forms=PLOT_FORMS)
    drawn = sorted((tmp_path / "one" / "plots").iterdir())
    assert {file.suffix for file in drawn} == {".png", ".svg", ".pdf"}
    for file in drawn:
        assert re.fullmatch(r"[a-z0-9._-]+", file.name)
        assert file.read_bytes() == (tmp_path / "two" / "plots" / file.name).read_bytes()
        if file.suffix == ".png":
            with Image.open(file) as picture:
                picture.load()
                assert picture.width > 600


def test_privacy(tmp_path: Path, pictures: dict[str, Collection]) -> None:
    write_report(tmp_path, as_private(sample_run(tmp_path)), pictures)
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        text = re.sub(r"base64,[^\"]+", "", text)
        text = re.sub("<script>.*?</script>", "", text, flags=re.DOTALL)  # programs; the data stay
        assert not re.search(r"item-\d", text)
        assert [word for word in ("alert(1)", "/home/", "xxxx") if word in text] == []
        assert "q1" in text
    assert not list((tmp_path / "plots").glob("worst*"))
    for table in (tmp_path / "tables").iterdir():
        text = table.read_text(encoding="utf-8")
        assert [word for word in ("alert(1)", "item-", "xxxx") if word in text] == []


def test_an_empty_run_is_reported(tmp_path: Path) -> None:
    empty = pd.DataFrame(columns=RANKS)
    tables = [pd.DataFrame(columns=c) for c in (JUDGMENTS, TIMINGS, VERDICTS)]
    write_report(
        tmp_path,
        Run(tmp_path, empty, tables[0], metrics_table(empty), tables[1], tables[2], {}),
        None,
    )
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize("n", [1, 2, 12])
def test_sentences_hold_for_any_number_of_queries_and_for_equal_models(
    tmp_path: Path, n: int
) -> None:
    """A constant model among three pictures, and one that always has the target in the middle: equal, and no text."""
    about = {"dataset": "d", "label_set": "s", "text": "text", "n_items": 3}
    about |= {"truncated": False, "target_score": 0.1, "top_item_ids": [["i0"]] * n}
    ranks = pd.concat(
        [
            make_ranks([1] * n, [3] * n, model="constant", **about),
            make_ranks([2] * n, model="middle", **about),
        ],
        ignore_index=True,
    )
    run = run_of(tmp_path, {}, ranks=ranks, metrics=metrics_table(ranks))
    write_report(tmp_path, run, None)
    text = (tmp_path / "report.md").read_text(encoding="utf-8").replace("\u00a0", " ")
    queries = "1 query" if n == 1 else f"{n} queries"
    assert (
        f"**constant** has the highest MRR, as has middle. Not to be told from it on {queries}: middle."
        in text
    )
    assert "| 1 word (" in " ".join(text.split()) or "recall@10, model" not in text
    assert [
        wrong
        for wrong in ("1 queries", "1 words", "Ten worst", "\\[, \\]", " nan ")
        if wrong in text
    ] == []
