"""Published figures of known-item search beside those measured here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from kis_bench.analysis.diagnosis import read_figures
from kis_bench.analysis.models import select_measure
from kis_bench.choices import SCALED
from kis_bench.metrics import KNOWN, measure_words
from kis_bench.records import count_things
from kis_bench.report.numbers import change, count, figure
from kis_bench.report.sections.diagnosis import show_diagnosis
from kis_bench.report.tables import escape, table
from kis_bench.results.published import comparable, count_repeated, find_other_sizes


def show_published(
    rows: pd.DataFrame, metrics: pd.DataFrame, provenance: Mapping[str, Any], ranks: pd.DataFrame
) -> list[str]:
    """Figures of others, beside those measured here on the same queries of the same dataset.

    Args:
        rows: of ``published.csv``, about one dataset and label set.
        metrics: of the same.
        provenance: of the run, whose facts are told where a published figure is outside the interval.
        ranks: of the same dataset and label set, on which causes are tried then.
    """
    repeated, asked = count_repeated(provenance), rows[rows["metric"].isin([*KNOWN])]
    known, others = (find(asked, metrics, repeated) for find in (comparable, find_other_sizes))
    said, outside = place_beside(known, metrics) if len(known) else ([], {})
    sets = zip(known["dataset"], known["label_set"], strict=True)
    for n in (repeated[one] for one in dict.fromkeys(sets) if one in repeated):
        said += [
            f"Of the published queries {n:,} repeat a text of their picture, and count once here.",
            "",
        ]
    names, other_names = (name_measured(some, metrics) for some in (known, others))
    for model, n in outside.items():
        said += [tell_outside(model, n, provenance), ""]
        said += try_causes(model, known[names == model], ranks, provenance)
    for model in dict.fromkeys(other_names):
        said += [tell_other_sizes(model, others[other_names == model], metrics), ""]
        said += try_causes(model, others[other_names == model], ranks, provenance)
    return said


def name_measured(published: pd.DataFrame, metrics: pd.DataFrame) -> pd.Series:
    """For published figures the name of the model that was measured: ours, else that of the source."""
    return published["model"].where(
        published["model"].isin(metrics["model"]), published["published_as"]
    )


def try_causes(
    model: str, published: pd.DataFrame, ranks: pd.DataFrame, provenance: Mapping[str, Any]
) -> list[str]:
    """What is tried to explain the figures of each source about a model."""
    return [
        line
        for _, rows in published.groupby(["published_as", "source"], sort=False)
        for line in show_diagnosis(model, read_figures(rows), ranks, provenance)
    ]


def tell_other_sizes(model: str, published: pd.DataFrame, metrics: pd.DataFrame) -> str:
    """That what is published of a model is of another number of queries than was measured here."""
    here = sorted({int(n) for n in metrics.loc[metrics["metric"].isin(published["metric"]), "n"]})
    there = sorted({int(n) for n in published["n"]})
    counts = (" and ".join(f"{n:,}" for n in some) for some in (there, here))
    sources = "; ".join(escape(source, 1000) for source in published["source"].unique())
    return (
        f"What is published of **{escape(model)}** is of {next(counts)} queries, and here are {next(counts)}: not "
        f"compared directly (from {sources}). `kis-bench diagnose RUN` tries what it would be of these."
    )


def place_beside(known: pd.DataFrame, metrics: pd.DataFrame) -> tuple[list[str], dict[str, int]]:
    """A table of published figures that are known to be of the same, and how many of each model are outside.

    Args:
        known: rows of ``published.csv``.
        metrics: what was obtained.
    """
    cells, outside = [], dict[str, int]()
    for _, row in known.iterrows():
        metric, k = str(row["metric"]), None if pd.isna(row["k"]) else int(row["k"])
        obtained = select_measure(metrics, metric, k).set_index("model")
        names = [name for name in (row["model"], row["published_as"]) if name in obtained.index]
        own = obtained.loc[names[0]]
        slack = 0.0 if pd.isna(row["tolerance"]) else float(row["tolerance"])
        bounded = not (pd.isna(own["ci_low"]) or pd.isna(own["ci_high"]))
        inside = own["ci_low"] - slack <= row["value"] <= own["ci_high"] + slack
        if bounded and not inside:
            outside[names[0]] = outside.get(names[0], 0) + 1
        cells.append(
            [
                names[0],
                row["published_as"],
                measure_words(metric, k),
                figure(metric, row["value"]),
                figure(metric, own["value"], own["ci_low"], own["ci_high"]),
                change(metric, own["value"] - row["value"]),
                ("yes" if inside else "no") if bounded else "",
                count(row["n"]),
            ]
        )
    head = [
        "model",
        "published as",
        "measure",
        "published",
        "obtained",
        "difference, points",
        "within its interval",
        "queries",
    ]
    sources = "; ".join(escape(source, 1000) for source in known["source"].unique())
    said = [f"Published figures, from {sources}:", "", table(head, cells, right=(3, 4, 5, 7)), ""]
    return said, outside


def tell_outside(model: str, n: int, provenance: Mapping[str, Any], asked: str = "texts") -> str:
    """What is known of a model's run that may explain published figures outside its intervals."""
    about = provenance.get("models", {}).get(model, {})
    facts = []
    if about.get("prompts"):
        facts.append("prompts were put around the texts")
    if (precision := about.get("precision", "fp32")) != "fp32":
        facts.append(f"it computed in {precision}")
    if str(about.get("decode", "")).startswith(SCALED):
        facts.append("JPEGs were decoded scaled")
    known = f" Known of this run: {', '.join(facts)}." if facts else ""
    return (
        f"{count_things(n, 'published figure')} of **{escape(model)}** {'is' if n == 1 else 'are'} outside the "
        f"interval of what was obtained on as many {asked}, which chance doesn't explain."
        f"{known} Other reasons, and how to find them: docs/reproducing.md."
    )
