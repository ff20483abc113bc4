"""Figures of others beside those measured on the same pictures and texts, and what may explain a difference."""

from dataclasses import replace

import pandas as pd
import pytest
from builders import make_ranks, make_run

from kis_bench.report.sections.published import name_measured, show_published
from kis_bench.results.columns import PUBLISHED
from kis_bench.results.figures import metrics_table
from kis_bench.results.published import read_published

N = 40


@pytest.fixture
def run(tmp_path):
    ranks = make_ranks([*range(1, N + 1)], model="clip", dataset="flickr", label_set="captions")
    found = make_run(tmp_path, ranks)
    return replace(found, metrics=metrics_table(found.ranks))


def publish(value, n=N, model="clip"):
    row = ("flickr", "captions", model, "recall", 10, value, n, 0.0, "CLIP", "a paper")
    return pd.DataFrame([row], columns=PUBLISHED).astype({"k": "Int64", "n": "Int64"})


def show(run, rows):
    text = "\n".join(show_published(rows, run.metrics, run.provenance, run.ranks))
    shown = text.partition("Tried on")[0]
    table = [line for line in shown.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]
    return text, [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def test_a_figure_within_the_interval_needs_no_explanation(run):
    text, (row,) = show(run, publish(0.26))
    assert (row["published"], row["within its interval"]) == ("26.0%", "yes")
    assert row["difference, points"] == "\u22121.0"
    assert "outside" not in text


def test_a_figure_outside_is_counted_with_what_is_known_of_the_run(run):
    run.provenance["models"]["clip"] |= {"precision": "bf16", "decode": "scaled to 448 pixels"}
    text, (row,) = show(run, publish(0.9))
    assert row["within its interval"] == "no"
    assert "1 published figure of **clip** is outside the interval" in text
    assert "Known of this run: it computed in bf16, JPEGs were decoded scaled." in text
    assert "docs/reproducing.md" in text
    plain = {**run.provenance, "models": {"clip": {"prompts": ["a photo of {}"]}}}
    text, _ = show(replace(run, provenance=plain), publish(0.9))
    assert "Known of this run: prompts were put around the texts." in text


def test_a_row_is_of_one_model_though_its_other_name_is_measured_too(tmp_path):
    cell = {"dataset": "flickr", "label_set": "captions"}
    some = [make_ranks([*range(1, N + 1)], model=name, **cell) for name in ("clip", "CLIP")]
    found = make_run(tmp_path, *some)
    rows = pd.concat([publish(0.26), publish(0.9, model="CLIP")], ignore_index=True)
    metrics = metrics_table(found.ranks)
    _, table = show(replace(found, metrics=metrics), rows)
    assert [row["model"] for row in table] == ["clip", "CLIP"]
    assert name_measured(rows, metrics).tolist() == ["clip", "CLIP"]  # as causes are tried


def test_texts_that_repeat_are_queries_in_papers(run):
    assert "not compared directly" in show(run, publish(0.26, n=N + 2))[0]
    run.provenance["datasets"]["flickr"]["n_repeated"] = {"captions": 2}
    text, (row,) = show(run, publish(0.26, n=N + 2))
    assert row["queries"] == str(N + 2)
    assert "Of the published queries 2 repeat a text of their picture, and count once here." in text


def test_a_figure_without_an_interval_is_within_none_and_outside_none(run):
    bare = replace(run, metrics=run.metrics.assign(ci_low=float("nan")))
    text, (row,) = show(bare, publish(0.9))
    assert row["within its interval"] == ""
    assert "outside" not in text


def test_a_figure_that_is_printed_with_few_digits_may_be_just_beside(run):
    high = run.metrics.query("metric == 'recall' and k == 10")["ci_high"].item()
    for tolerance, inside in ((0.0, "no"), (0.001, "yes")):
        _, (row,) = show(run, publish(high + 0.0005).assign(tolerance=tolerance))
        assert row["within its interval"] == inside


def test_parts_of_a_dataset_have_what_is_published_of_their_size(tmp_path):
    file = tmp_path / "published.csv"
    rows = [f"flickr,captions,clip,recall,10,0.5,{N},0,CLIP,a paper,{items}" for items in (7, "")]
    file.write_text("\n".join([",".join([*PUBLISHED, "items"]), *rows]), encoding="utf-8")
    datasets = {"flickr:test": {"n_items": 7}, "flickr:all": {"n_items": 9}, "flickr": {}}
    found = read_published([file], datasets)
    assert found["dataset"].tolist() == ["flickr:test", "flickr"]


def test_another_set_has_nothing_published(run):
    assert show_published(publish(0.26, model="x"), run.metrics, run.provenance, run.ranks) == []


def test_causes_are_tried_where_a_figure_is_outside_and_the_result_is_a_sentence(tmp_path):
    """Two texts of each picture, of which the second finds it late: the figure is that of the first ones."""
    n = 2 * N
    late = [1 if i % 2 == 0 else 100 for i in range(n)]
    items = [f"i{i // 2}" for i in range(n)]
    about = {"model": "clip", "dataset": "flickr", "label_set": "captions", "item_id": items}
    found = make_run(tmp_path, make_ranks(late, **about))
    run = replace(found, metrics=metrics_table(found.ranks))
    text, _ = show(run, publish(1.0, n=n))
    assert "None of this explains what was published" in text  # it is of all texts
    assert "| the first text of each picture alone |" in text
    text, _ = show(run, publish(0.1, n=n))
    assert "None of this explains what was published. `kis-bench diagnose RUN` tries more" in text
    text, _ = show(run, publish(0.5, n=n))
    assert "Tried on" not in text
    text, _ = show(run, publish(1.0))
    assert (
        f"What is published of **clip** is of {N} queries, and here are {n}: not compared directly "
        "(from a paper)." in text
    )
    assert "agrees with: the first text of each picture alone." in text
    assert "Published figures" not in text  # beside one another they would be taken for the same
    assert "Tried on" not in show(run, publish(0.5))[0]
