"""Which models can be told apart by the judgments, and how alike they judge."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from kis_bench.report.plots.correlations import draw_correlations
from kis_bench.report.sections.similarity.wording import count_range, name_some
from kis_bench.report.tables import escape, table
from kis_bench.report.view import View
from kis_bench.triplets.summary import Record, Similarity, as_records

SEPARATED = 0.05  #: p, adjusted, below which two models are told apart


def show_pairs(study: Similarity) -> list[str]:
    """Which models can be told apart."""
    better, worse = (dict.fromkeys(study.models, 0) for _ in range(2))
    alike: dict[str, list[str]] = {model: [] for model in study.models}
    tested = 0
    for row in as_records(study.select_own(study.run.pairs)):
        a, b = str(row["model_a"]), str(row["model_b"])
        if pd.isna(row["p_holm"]) or a not in alike or b not in alike:
            continue
        tested += 1
        if row["p_holm"] < SEPARATED:
            first, second = (a, b) if row["difference"] > 0 else (b, a)
            better[first] += 1
            worse[second] += 1
        else:
            alike[a].append(b)
            alike[b].append(a)
    if not tested:
        return []
    place = {model: i for i, model in enumerate(study.models)}

    def nearest(model: str) -> list[str]:
        return sorted(alike[model], key=lambda other: abs(place[other] - place[model]))

    rows = [
        (model, better[model], worse[model], name_some(nearest(model))) for model in study.models
    ]
    said = (
        f"{tested:,} pairs, tested on the judgments that both models know; a pair is separated where p < {SEPARATED} "
        "after Holm's correction for the number of pairs. model_pairs.csv has the differences with their intervals."
    )
    head = ["model", "better than", "worse than", "not separable from"]
    title = f"### Which models can be told apart: {escape(study.name)}"
    return [title, "", said, "", table(head, rows, right=[1, 2]), ""]


def draw_heat_map(view: View, study: Similarity) -> list[str]:
    pairs = study.select_own(study.run.pairs)
    involved = {*pairs["model_a"], *pairs["model_b"]}
    models = [model for model in study.models if model in involved]
    if len(models) < 2:
        return []
    place = {model: i for i, model in enumerate(models)}
    together = np.eye(len(models))
    together[~np.eye(len(models), dtype=bool)] = np.nan
    for row in as_records(pairs):
        if row["model_a"] in place and row["model_b"] in place:
            i, k = place[row["model_a"]], place[row["model_b"]]
            together[i, k] = together[k, i] = float(row["correlation"])
    none: Record = {"value": math.nan}
    people = [
        float(study.metrics.get((model, "pearson_max_normalised"), none)["value"])
        for model in models
    ]
    n = count_range(pairs["n"])
    of = f"the triplets of the {n} judgments that both know"
    caption = f"Pearson's correlation of the margins of two models over {of}."
    arguments = (study.name, models, together, np.array(people, np.float64))
    alt = f"Heat map: correlation of the margins of {len(models):,} models on {escape(study.name, 60)}, in the "
    alt += "order of their consistency" + (
        ", and of each with people" if np.isfinite(people).any() else ""
    )
    return view.show(alt, draw_correlations, arguments, "correlations", study.name, caption=caption)
