"""What a notebook shows of a dataset, a run and a measurement: HTML that calls nothing and holds nothing private."""

import itertools
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from builders import make_ranks, make_run

from kis_bench.measuring import SimilarImages, rank
from kis_bench.records import Collection, Dataset, Judgment, Participant, Query, Triplet
from kis_bench.results.display import LINES_DRAWN, ROWS_SHOWN
from kis_bench.results.figures import metrics_table

EMPTY_TAGS = ("br", "path", "polyline")
HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202e\n"


class Reader(HTMLParser):
    """Reads HTML as a notebook would, and fails where a tag isn't closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        assert not [name for name, _ in attributes if name.startswith("on")]
        if tag not in EMPTY_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def count(self, tag):
        return sum(one == tag for one, _ in self.tags)


def show(record):
    """What IPython does to show a record: it calls the method, and takes the text that comes back."""
    shown = record._repr_html_()
    assert isinstance(shown, str)
    assert not set(shown) & set("\u202e\x00")
    return Reader(shown)


def measure(name="mine"):
    vectors = np.eye(60, dtype=np.float32)
    mixed = vectors + 0.6 * np.roll(vectors, 1, axis=1)
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    found = [(i + (i % 3 == 0)) % 60 for i in range(60)]
    return rank(vectors, mixed, found, model=name, dataset=name, label_set=name)


def measure_run(name, *ranks):
    run = make_run(Path("reports") / name, *ranks)
    return replace(run, metrics=metrics_table(run.ranks))


def make_dataset(name="mine"):
    ids = tuple(f"secret-{i}" for i in range(9))
    queries = [Query(f"q{i}", (ids[i // 2],), name, f"hidden words {i}") for i in range(6)]
    return Dataset(name, Collection(name, ids, [Path(i) for i in ids], ids), tuple(queries))


def test_a_measurement_shows_its_figures_and_its_curve():
    found = measure()
    shown = show(found)
    text = " ".join(shown.text)
    assert repr(found) in text
    for metric, k in (("recall", 1), ("recall", 10)):
        rows = found.metrics[(found.metrics["metric"] == metric) & (found.metrics["k"] == k)]
        value, low, high = rows[["value", "ci_low", "ci_high"]].iloc[0]
        assert f"{value:.1%}" in text
        assert f"[{100 * low:.1f}, {100 * high:.1f}]" in text
    (line,) = [about for tag, about in shown.tags if tag == "polyline"]
    heights = [float(point.split(",")[1]) for point in line["points"].split()]
    assert all(above >= below for above, below in itertools.pairwise(heights))
    assert heights[0] > heights[-1]
    labels = [about["aria-label"] for tag, about in shown.tags if "aria-label" in about]
    assert labels == ["mine, mine: recall@k"]


def test_a_dataset_shows_how_much_was_asked_and_no_text():
    shown = show(make_dataset())
    cells = " ".join(shown.text).split()
    assert cells[-4:] == ["mine", "6", "3", "3"]
    assert not {"secret", "hidden"} & {*cells}
    assert "secret" not in " ".join(cells)


def test_a_run_shows_every_cell_best_model_first():
    worse, better = range(3, 63), range(1, 61)
    ranks = [
        make_ranks(each, model=model, label_set=name, annotator="Anna")
        for name in ("short", "long")
        for model, each in (("a", worse), ("b", better))
    ]
    shown = show(measure_run("one", *ranks))
    assert shown.count("figure") == 2
    assert shown.count("polyline") == 4
    text = "|".join(shown.text)
    assert text.index("|b|") < text.index("|a|")
    assert not [hidden for hidden in ("text 0", "q000", "i0", "Anna") if hidden in text]


def test_a_run_of_many_models_is_cut_and_says_so():
    names = [f"model-{i:02d}" for i in range(ROWS_SHOWN + 4)]
    ranks = [make_ranks(range(1 + i, 21 + i), model=name) for i, name in enumerate(names)]
    shown = show(measure_run("many", *ranks))
    assert shown.count("tr") == ROWS_SHOWN + 1
    assert "4 more rows are in its metrics." in shown.text
    assert shown.count("polyline") == LINES_DRAWN


def test_a_run_that_lacks_its_figures_shows_the_curves():
    shown = show(make_run(Path("reports/part"), make_ranks(range(1, 9))))
    assert shown.count("table") == 0
    assert shown.count("polyline") == 1


def test_image_similarity_shows_its_consistency():
    pictures = Collection("mine", ("a", "b", "c"), [Path("x")] * 3, ("1", "2", "3"))
    judged = Dataset(
        "mine",
        pictures,
        triplets=tuple(Triplet(f"t{i}", "a", "b", "c", "") for i in range(6)),
        judgments=tuple(Judgment(f"j{i}", f"t{i}", f"anna-{i}", -1) for i in range(6)),
        participants=tuple(Participant(f"anna-{i}") for i in range(6)),
    )
    margins = np.array([1.0, 1, 1, 1, 1, -1])
    shown = show(SimilarImages("model", judged, np.full((6, 3), 0.5), margins, {}))
    text = " ".join(shown.text)
    assert "83.3%" in text
    assert "anna" not in text
    assert shown.count("figure") == 0


def test_a_run_that_measured_nothing_is_one_line():
    shown = show(make_run(Path("reports/none")))
    assert shown.count("table") == shown.count("figure") == 0


@pytest.mark.parametrize("make", [measure, make_dataset])
def test_names_that_look_like_html_are_text(make):
    shown = show(make(HOSTILE))
    assert shown.count("img") == 0
    assert "<img" in " ".join(shown.text)


def test_figures_that_are_not_known_are_left_out():
    run = measure_run("old", make_ranks(range(1, 9)))
    table = run.metrics.assign(ci_low=np.nan, ci_high=np.nan)
    table.loc[table["metric"] == "mrr", "value"] = np.nan
    shown = show(replace(run, metrics=table))
    assert "[" not in "".join(shown.text)
    assert "0.339" not in "".join(shown.text)
