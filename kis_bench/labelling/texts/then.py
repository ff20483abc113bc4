"""Measures the texts as soon as they are written: the recall curve and how far annotators differ, for the last page."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kis_bench import encoders
from kis_bench.datasets import DatasetRow
from kis_bench.datasets.label_formats.label_files import read_labels
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.labelling.texts.pool import read_whole_collection
from kis_bench.records import Dataset

if TYPE_CHECKING:
    import pandas as pd


class Recall:
    """What a model finds by the texts of a labels.csv; measured in a thread, once for each state of the texts.

    Args:
        model: its name; it has to be here.
        write: brings labels.csv up to date.

    Raises:
        UnknownName, NotReady: the model can't be used.
    """

    def __init__(self, row: DatasetRow, file: Path, model: str, write: Callable[[], None]) -> None:
        encoders.require(encoders.find(model))
        self.row, self.file, self.model, self.write = row, file, model, write
        self.curve, self.tables, self.problem = b"", "", ""
        self.revision = -1
        self.lock, self.thread = threading.Lock(), threading.Thread()

    @property
    def running(self) -> bool:
        return self.thread.is_alive()

    def refresh(self, revision: int) -> None:
        """Begins to measure unless this state of the texts was measured, or something is being measured."""
        with self.lock:
            if self.revision != revision and not self.running:
                self.revision = revision
                self.thread = threading.Thread(target=self.measure, daemon=True)
                self.thread.start()

    def measure(self) -> None:
        try:
            self.write()
            ranks = measure_texts(self.row, self.file, self.model)
            self.curve, self.tables = draw_recall(self.row.name, ranks), describe_recall(ranks)
            self.problem = ""
        except KisBenchError as error:
            self.problem = str(error)


def measure_texts(row: DatasetRow, file: Path, model: str) -> pd.DataFrame:
    """The ranks of all texts of a label file, in the columns of ranks.parquet."""
    import pandas as pd

    from kis_bench.measuring import measure_known_items
    from kis_bench.store import Store, default_store

    collection = read_whole_collection(row)
    labels = read_labels([file], collection)
    if problems := labels.problems.get(file):
        raise BadFile(file, problems)
    dataset = Dataset(row.name, collection, tuple(labels.queries))
    encoder, store = encoders.load(model), Store(default_store())
    found = [measure_known_items(encoder, dataset, name, store) for name in dataset.label_sets]
    return pd.concat([one.to_frame() for one in found], ignore_index=True)


def draw_recall(dataset: str, ranks: pd.DataFrame) -> bytes:
    """The recall curve of each label set, as SVG."""
    from kis_bench.report.plots.axes import styles
    from kis_bench.report.plots.curves import draw_curves, list_panels
    from kis_bench.report.plots.plot import write_figure

    look = styles(list(ranks["model"].unique()))
    return write_figure(draw_curves(look, dataset, list_panels(ranks)), ["svg"])["svg"]


def describe_recall(ranks: pd.DataFrame) -> str:
    """HTML: figures of each label set, and of their annotators where there are several."""
    from kis_bench.analysis.annotators import between_annotators, by_annotator
    from kis_bench.analysis.conditions import conditions
    from kis_bench.metrics import FEW_MEASURES, measure_words
    from kis_bench.report.numbers import count, figure
    from kis_bench.report.page.html import render
    from kis_bench.report.sections.annotators import show_annotators
    from kis_bench.report.tables import table
    from kis_bench.results.figures import metrics_table

    metrics = metrics_table(ranks)
    rows = []
    for name, own in metrics.groupby("label_set", sort=False):
        cells = []
        for metric, k in FEW_MEASURES:
            one = own[
                (own["metric"] == metric) & (own["k"].isna() if k is None else own["k"].eq(k))
            ]
            about = one.iloc[0]
            cells.append(figure(metric, about["value"], about["ci_low"], about["ci_high"]))
        n = int((ranks["label_set"] == name).sum())
        rows.append([str(name), *cells, count(n)])
    head = ["label set", *(measure_words(*each) for each in FEW_MEASURES), "texts"]
    lines = [table(head, rows, right=range(1, len(head))), ""]
    for (_, label_set), condition in conditions(ranks).items():
        own = ranks[ranks["label_set"] == label_set]
        figures = by_annotator(own, condition)
        if not figures.empty:
            lines += [f"### Annotators: {label_set}", ""]
            lines += show_annotators(figures, between_annotators(own, condition))
    body, _ = render("\n".join(lines), Path(), sheets=False, above="")
    # The content security policy of these pages allows no style in elements.
    return re.sub(r' style="[^"]*"', "", body.replace('style="text-align:right"', 'class="number"'))
