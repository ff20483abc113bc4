"""The first screen of a report and its part on queries: what leads, what can't be told apart, what no model found."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from builders import make_ranks

from kis_bench.report import write_report
from kis_bench.report.sections.queries import UNFOUND_RULE, show_queries
from kis_bench.report.sections.summary import show_summary
from kis_bench.report.view import make_view
from kis_bench.results.figures import metrics_table
from kis_bench.results.folder import run_of
from kis_bench.results.pseudonyms import as_private

N = 200


@pytest.fixture
def run(tmp_path):
    """Two label sets; b and c differ by chance, a is far better; the last three queries are found by none."""
    rng = np.random.default_rng(1)
    parts = []
    for label_set in ("short", "long"):
        for model, middle in (("c|1", 3.0), ("a", 0.5), ("b", 3.0)):
            ranks = np.ceil(np.exp(rng.normal(middle, 0.6, N))).clip(1, 90).astype(int)
            ranks[-3:] = [101, 300, 200] if model == "b" else 400
            parts.append(
                make_ranks(ranks, model=model, label_set=label_set, n_items=1_000, truncated=False)
            )
    ranks = pd.concat(parts, ignore_index=True)
    about = {"datasets": {"mine": {"fingerprint": "f", "n_items": 1_000}}}
    return run_of(tmp_path, about, ranks=ranks, metrics=metrics_table(ranks))


def rows(lines):
    table = next(line for line in lines if line.startswith("|"))
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in table.split("\n")
    ]


def test_every_model_under_every_label_set_best_first(run, tmp_path):
    lines = show_summary(make_view(run, tmp_path))
    head, _, *cells = rows(lines)
    assert head == ["model", "labels", "tier", "MRR", "recall@1", "recall@10", "recall@100"]
    assert [row[1] for row in cells] == ["short"] * 3 + ["long"] * 3
    assert [cells[0][0], cells[3][0]] == ["a", "a"]
    assert [row[2] for row in cells] == ["a", "b", "b"] * 2
    values = [float(row[3].split()[0]) for row in cells]
    assert values[:3] == sorted(values[:3], reverse=True)
    assert all(
        re.fullmatch(r"[\d.]+%? \\\[[\d.]+, [\d.]+\\\]", cell.replace("\u00a0", " "))
        for row in cells
        for cell in row[3:]
    )
    said = [line for line in lines if line.startswith("- **short**")]
    assert re.fullmatch(
        r"- \*\*short\*\* \(200 queries\): (b and c\\\|1|c\\\|1 and b) can't be told apart by MRR\.",
        said[0],
    )


def test_what_a_run_lacks_is_named(run, tmp_path):
    run = replace(run, metrics=run.metrics[run.metrics["metric"] != "mrr"])
    lines = show_summary(make_view(run, tmp_path))
    assert "MRR" not in rows(lines)[0]
    assert "- This run has no figures of MRR." in lines


def test_the_answer_stands_before_everything_and_its_links_lead_somewhere(run, tmp_path):
    write_report(tmp_path, run)
    text = (tmp_path / "report.md").read_text("utf-8")
    parts = re.findall(r"^## (.*)", text, re.MULTILINE)
    assert parts[:3] == ["In short", "mine", "Queries"]
    assert (
        text.index("## In short")
        < text.index("\n|")
        < text.index("![")
        < text.index("Queries that no model")
    )
    html = (tmp_path / "report.html").read_text("utf-8")
    links = re.findall(r'href="#([^"]+)"', html)
    assert "what-combinations-find-mine-short" in links
    assert not [name for name in links if f'id="{name}"' not in html]


def test_queries_that_no_model_found(run, tmp_path):
    lines = show_queries(make_view(run, tmp_path))
    assert UNFOUND_RULE in lines
    assert (
        "first 100, or, in a collection of more than 10,000 items, among the first 1.0%"
        in UNFOUND_RULE
    )
    assert "mine, short: 3 of 200 queries." in lines
    head, _, *cells = rows(lines)
    assert head == ["query", "best rank", "under", "text", "target"]
    assert [row[:3] for row in cells] == [
        ["q197", "101", "b"],
        ["q199", "200", "b"],
        ["q198", "300", "b"],
    ]


def test_the_worst_of_each_model_stand_in_one_table(run, tmp_path):
    lines = show_queries(make_view(run, tmp_path))
    worst = lines[lines.index("### Worst queries: mine, short") :]
    head, _, *cells = rows(worst)
    assert [head[1], *sorted(head[2:4])] == ["a", "b", r"c\|1"]
    assert [head[0], *head[4:]] == ["query", "text", "target"]
    assert [row[0] for row in cells[:3]] == [
        "q198",
        "q199",
        "q197",
    ]  # even the best model has them farthest down
    own = run.ranks[run.ranks["label_set"] == "short"]
    for _, ranks in own.groupby("model"):
        last = ranks.sort_values("rank", ascending=False, kind="stable").head(20)
        assert {*last["query_id"]} <= {row[0] for row in cells}


def test_a_private_run_shows_no_text_of_its_queries(run, tmp_path):
    text = "\n".join(show_queries(make_view(as_private(run), tmp_path)))
    assert "q198" in text
    assert not re.search(r"text \d|\bi\d+\b|target \|", text)
