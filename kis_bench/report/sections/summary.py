"""The answer on one screen: for each dataset one table of all models under all label sets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kis_bench.analysis.conditions import Condition
from kis_bench.analysis.models import ALPHA, letters, look_up_figures, select_measure, tiers
from kis_bench.metrics import (
    LEADING_MEASURES,
    MRR,
    RECALL,
    Measure,
    measure_words,
)
from kis_bench.report.numbers import count, figure, is_absent, percent
from kis_bench.report.sections.similarity.consistency import tell_common
from kis_bench.report.sections.similarity.wording import name_some
from kis_bench.report.tables import escape, link_section, table
from kis_bench.report.view import View
from kis_bench.statistics.clusters import describe_count
from kis_bench.triplets.summary import Similarity, as_records, judged_datasets

SUMMARY = "In short"
TIER = "tier"  #: the column of letters
EXPLAINED = "Best first, each figure with its 95% interval where it is known."
TIERS_EXPLAINED = (
    f" Models that share a letter of their *{TIER}* can't be told apart: "
    f"p of the paired test is {ALPHA} or more after Holm's correction."
)
SHOWN: tuple[Measure, ...] = (*MRR.measures(), *RECALL.measures(few=True))


def show_summary(view: View) -> list[str]:
    """Known-item search first, then image similarity; what a run lacks for it is named."""
    found = view.findings
    studies = [Similarity(name, view.run) for name in judged_datasets(view.run)]
    compared = found.comparisons or any(map(rank_similarity, studies))
    lines = [f"## {SUMMARY}", "", EXPLAINED + (TIERS_EXPLAINED if compared else ""), ""]
    for name in found.of_datasets:
        own = {key[1]: one for key, one in found.conditions.items() if key[0] == name}
        lines += show_found(view, name, own) if own else []
    for study in studies:
        lines += show_agreed(study)
    return lines if len(lines) > 4 else []


def show_found(view: View, name: str, own: Mapping[str, Condition]) -> list[str]:
    """One dataset: every model under every label set, best first, and what can't be told apart."""
    all_metrics = view.run.metrics
    metrics = all_metrics[all_metrics["dataset"] == name]
    shown = [each for each in SHOWN if len(select_measure(metrics, *each))]
    rows, said = [], []
    for label_set, one in own.items():
        pairs = view.findings.comparisons.get((name, label_set))
        tier = {} if pairs is None else tiers(pairs, *LEADING_MEASURES[0])
        here = look_up_figures(metrics[metrics["label_set"] == label_set])
        for model in one.models:
            cells = [show_measure(here.get((model, *each)), each) for each in shown]
            rows.append([model, label_set, tier.get(model, ""), *cells])
        asked = describe_count(len(one.queries), one.n_targets)
        said.append(f"**{escape(label_set)}** ({asked}): {tell_apart(tier)}")
    items = max(one.n_items for one in own.values())
    head = ["model", "labels", TIER, *(measure_words(*each) for each in shown)]
    lines = [f"### {escape(name)}: {items:,} items", ""]
    lines += [show_tiers(head, rows), "", *(f"- {each}" for each in said)]
    if lacking := [measure_words(*each) for each in SHOWN if each not in shown]:
        lines += [f"- This run has no figures of {', '.join(lacking)}."]
    links = [link_section("curves", name)]
    for label_set in own:
        if len(own[label_set].models) > 1:
            links += [
                link_section(f"differences, {label_set}", title_differences(name, label_set)),
                link_section(f"combinations, {label_set}", title_combinations(name, label_set)),
            ]
    return [*lines, "", "More: " + " · ".join(links), ""]


def show_tiers(head: list[str], rows: list[list[str]]) -> str:
    """A table of figures behind the letters, which are left out where nothing was compared."""
    figures = head.index(TIER) + 1
    if not any(row[figures - 1] for row in rows):
        figures -= 1
        head, *rows = ([*row[:figures], *row[figures + 1 :]] for row in (head, *rows))
    return table(head, rows, right=range(figures, len(head)))


def title_differences(dataset: str, label_set: str) -> str:
    return f"Which differences are more than noise: {dataset}, {label_set}"


def title_combinations(dataset: str, label_set: str) -> str:
    return f"What combinations find: {dataset}, {label_set}"


def show_measure(row: Mapping[str, Any] | None, measure: Measure) -> str:
    """A figure with its interval; empty where the run has none."""
    if row is None:
        return ""
    return figure(measure[0], row["value"], row["ci_low"], row["ci_high"])


def tell_apart(tier: Mapping[str, str], measure: str = measure_words(*LEADING_MEASURES[0])) -> str:
    """A sentence on models that share a letter, from `tiers`; empty mapping: there is one model.

    >>> tell_apart({"a": "a", "b": "ab", "c": "b"})
    "a and b; b and c can't be told apart by MRR."
    """
    if not tier:
        return "one model, which nothing is compared with."
    groups: dict[str, list[str]] = {}
    for model, own in tier.items():
        for letter in own:
            groups.setdefault(letter, []).append(model)
    alike = [name_alike(names) for names in groups.values() if len(names) > 1]
    if not alike:
        return f"every difference of {measure} is more than noise."
    return f"{'; '.join(alike)} can't be told apart by {measure}."


def name_alike(names: Sequence[str]) -> str:
    if len(names) == 2:
        return " and ".join(map(escape, names))
    return escape(name_some(names[:-1], 4)) + f" and {escape(names[-1])}"


def show_agreed(study: Similarity) -> list[str]:
    """One dataset with judgments: every model, best first, with people below."""
    tier = rank_similarity(study)
    of_triplets = {model: study.find_per_triplet(model) for model in study.compared}
    per_triplet = any(of_triplets.values())
    rows = []
    for model, row in study.compared.items():
        cells = [percent(row["value"], row["ci_low"], row["ci_high"])]
        if per_triplet:
            own = of_triplets[model]
            known = own is not None and not is_absent(own["value"])
            cells.append(
                percent(own["value"], own["ci_low"], own["ci_high"]) if own and known else ""
            )
        rows.append([model, tier.get(model, ""), *cells, count(row["n"])])
    for name, row in study.compared_people.items():
        cells = [percent(row["value"], row["ci_low"], row["ci_high"])]
        rows.append([name, "", *cells, *[""] * per_triplet, count(row["n"])])
    head = ["model", TIER, "consistency", *["per triplet"] * per_triplet, "judgments"]
    title = f"{study.name}: image similarity"
    said = tell_apart(tier, "consistency") if len(study.models) > 1 and tier else ""
    note_tests = " Each two were tested on what both know." if tier else ""
    return [
        f"### {escape(study.name)}: consistency with judgments",
        "",
        show_tiers(head, rows),
        "",
        *([f"- {said}"] if said else []),
        *([f"- {tell_common(study)}{note_tests}"] if study.n_common is not None else []),
        "",
        f"More: {link_section('parts, pairs and plots', title)}",
        "",
    ]


def rank_similarity(study: Similarity) -> dict[str, str]:
    """Model -> letters of what can't be told apart by its pairs; empty where no pair was tested."""
    separable = {}
    for row in as_records(study.select_own(study.run.pairs)):
        if not is_absent(row["p_holm"]):
            pair = frozenset((str(row["model_a"]), str(row["model_b"])))
            separable[pair] = bool(row["p_holm"] < ALPHA)
    order = [model for model, row in study.compared.items() if not math.isnan(row["value"])]
    return letters(order, separable) if separable else {}
