"""A run with everything in it that a page may have to show: two datasets, three models, and texts that attack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from builders import make_ranks
from PIL import Image

from kis_bench.records import Collection
from kis_bench.report.tables import escape, table
from kis_bench.results import Run
from kis_bench.results.columns import JUDGMENTS, METRICS, TIMINGS, VERDICTS

MODELS = ["alpha", "beta <b>bold</b>", "gamma"]
QUERIES, ITEMS = 230, 260
MINUS = "\u2212"
ATTACK = "<img src=x onerror=alert(1)>"
HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<!-- <script>",
    "a | b\nc",
    "\u202ereversed",
    "👩‍🚀 emoji",
    "x" * 10_000,
    ATTACK,
    '"><svg onload=alert(3)>',
    "&lt;b&gt; &amp; %{text} <a href='https://a.test'>",
]
HALF = "half \ud800 character"
SET = "photos </script>"  # a dataset's name


def sample_run(folder: Path) -> Run:
    """Two datasets, the first with two label sets and more queries than a table shows at once."""
    rng = np.random.default_rng(5)
    parts = []
    for dataset, label_set, n in (
        (SET, "short", QUERIES),
        (SET, "long", QUERIES),
        ("other", "only", 12),
    ):
        for model in MODELS:
            ranks = np.ceil(np.exp(rng.normal(2, 1.5, n))).clip(1, ITEMS).astype(int)
            ranks[0] = {"alpha": 1, "gamma": 200}.get(model, 3)
            tops = [[f"item-{(7 * i + j) % ITEMS}" for j in range(1, 11)] for i in range(n)]
            for i, rank in enumerate(ranks.tolist()):
                if rank <= 10:
                    tops[i][rank - 1] = f"item-{i}"
            others = [f"number {i} in {label_set}" for i in range(len(HOSTILE), n)]
            rows = make_ranks(
                ranks,
                model=model,
                dataset=dataset,
                label_set=label_set,
                query_id=[f"q{i}" for i in range(n)],
                text=[*HOSTILE[:n], *others],
                item_id=[f"item-{i}" for i in range(n)],
                n_items=ITEMS,
                truncated=[i == 20 for i in range(n)],
                target_score=0.25,
                top_item_ids=tops,
            )
            parts.append(rows)
    frame = pd.concat(parts, ignore_index=True)
    empty = [pd.DataFrame(columns=columns) for columns in (JUDGMENTS, METRICS, TIMINGS, VERDICTS)]
    return Run(folder, frame, *empty, {})


def sample_pictures(folder: Path) -> dict[str, Collection]:
    """All are different; one is missing, one is damaged, one lies on its side."""
    folder.mkdir()
    files = [folder / f"{i}.jpg" for i in range(ITEMS)]
    for i, file in enumerate(files):
        Image.new("RGB", (200, 100), (i % 256, 90, i // 2)).save(
            file, exif=turned() if i == 12 else b""
        )
    files[10].unlink()
    files[11].write_bytes(b"no picture")
    names = tuple(f"item-{i}" for i in range(ITEMS))
    return {
        name: Collection(name, names, files, [f"{i:064x}" for i in range(ITEMS)])
        for name in (SET, "other")
    }


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def sample_markdown(folder: Path) -> str:
    """Numbers of every kind, a long table, a picture, a contact sheet, and texts that try to be more."""
    (folder / "plots").mkdir()
    for name in ("curves", "worst-x"):
        Image.new("RGB", (900, 300), "#88aacc").save(folder / "plots" / f"{name}.png")
    figures = [
        ("alpha", "9.0% [3.1, 15.2]", "1,234", f"{MINUS}0.5"),
        ("beta", "71.0% [61.2, 79.3]", "98", "0.25"),
        ("gamma", "10.5% [5.0, 17.0]", "12,000", ""),
        ("delta", "100.0% [96.3, 100.0]", "7", "+1.5"),
    ]
    lines = [
        "# A report",
        "",
        f"> **Note:** {escape(ATTACK)}",
        "",
        "## In short",
        "",
        table(["model", "recall@10", "items", "gain"], figures, right=(1, 2, 3)),
        "",
        "## Details",
        "",
        "[A table](tables/x.csv), [elsewhere](https://a.test/x)",
        "",
        "### Curves",
        "",
        "![Curves of all](plots/curves.png)",
        "",
        "![Contact sheet](plots/worst-x.png)",
        "",
        "### Texts",
        "",
        table(["name", "text"], [(f"row {i}", HOSTILE[i % 10]) for i in range(12)]),
        "",
        "#### Wide",
        "",
        table([f"column {i}" for i in range(30)], [[f"cell {i}" for i in range(30)]] * 2),
        "",
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Pages:
    """Files of one page in all its forms."""

    single: Path
    private: Path
    plain: Path
    folder: Path


def explore(page: Any) -> None:
    """Goes where data are unpacked and plots are drawn, and back to the top."""
    page.locator("#explore").scroll_into_view_if_needed()
    page.locator("#queries tbody tr").first.wait_for()
    for name in ("#curves", "#scatter"):
        page.locator(name).scroll_into_view_if_needed()
        page.locator(f"{name} :is(.main-svg, .hint)").first.wait_for()
    page.evaluate("scrollTo(0, 0)")
