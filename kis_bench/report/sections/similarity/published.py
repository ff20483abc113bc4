"""Figures of a study beside those obtained here."""

from __future__ import annotations

import math

from kis_bench.metrics import (
    CONSISTENCY,
    CONSISTENCY_PUBLISHED,
    PER_TRIPLET,
    PER_TRIPLET_PUBLISHED,
)
from kis_bench.report.numbers import percent, signed
from kis_bench.report.sections.similarity.wording import list_point
from kis_bench.report.tables import escape, table
from kis_bench.triplets.summary import Record, Similarity

CONSISTENCY_WORDS = {
    CONSISTENCY.name: "each judgment",
    CONSISTENCY_PUBLISHED.name: "each judgment, published rules",
    PER_TRIPLET.name: "per triplet",
    PER_TRIPLET_PUBLISHED.name: "per triplet, published rules",
}
NORMALISED = {
    "difference": "margin",
    "max_normalised": "over the larger distance",
    "candidates_normalised": "over the distance of the candidates",
}
PUBLISHED_KINDS = ("pearson", "spearman")
WORDS = {
    **CONSISTENCY_WORDS,
    **{f"{kind}_{way}": words for kind in PUBLISHED_KINDS for way, words in NORMALISED.items()},
}
#: Metrics whose published figures are shown in one table.
FAMILIES = {
    CONSISTENCY.words: tuple(CONSISTENCY_WORDS),
    **{
        f"{kind.title()}'s correlation": tuple(f"{kind}_{way}" for way in NORMALISED)
        for kind in PUBLISHED_KINDS
    },
}


def show_published_similarity(study: Similarity) -> list[str]:
    """Obtained figures beside published ones: for each family of metrics a row per model."""
    found: dict[tuple[str, str], tuple[Record, Record]] = {}  # (model, metric) -> own, published
    for model, row in study.published:
        own = study.find_obtained(model, row)
        if own is not None and not math.isnan(own["value"]) and not math.isnan(row["value"]):
            found[model, str(row["metric"])] = own, row
    if not found:
        return []
    lines = [
        f"### Published figures of {escape(study.name)}",
        "",
        "Obtained / published / difference"
        + (
            f"; where that is {study.n_common:,} judgments, over those that all models know."
            if study.common
            else "."
        ),
        "",
    ]
    for title, names in FAMILIES.items():
        metrics = [metric for metric in names if any(metric == other for _, other in found)]
        models = [
            model for model in study.models if any((model, metric) in found for metric in metrics)
        ]
        if models:
            rows = [
                [model, *(show_beside(found.get((model, metric))) for metric in metrics)]
                for model in models
            ]
            lines += [
                table(
                    [title, *(WORDS[m] for m in metrics)], rows, right=range(1, 1 + len(metrics))
                ),
                "",
            ]
    sources = dict.fromkeys(str(row["source"]) for _, row in found.values())
    return [*lines, "Published in:", "", *map(list_point, sources), ""]


def show_beside(both: tuple[Record, Record] | None) -> str:
    """`72.98% / 72.88% / +0.10`, or correlations as they are."""
    if both is None:
        return ""
    own, other = both
    obtained, published = float(own["value"]), float(other["value"])
    if str(own["metric"]) in CONSISTENCY_WORDS:
        shares = percent(obtained, digits=2), percent(published, digits=2)
        return " / ".join([*shares, signed(100 * (obtained - published), 2)])
    return f"{obtained:.4f} / {published:.4f} / {signed(obtained - published, 4)}"
