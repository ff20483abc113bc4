"""Known-item search under one label set: how good the models are, and which other models they beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.analysis.models import ALPHA, look_up_figures, select_measure, tiers, win_tie_loss
from kis_bench.files.text import list_first_names
from kis_bench.metrics import (
    KNOWN,
    LEADING_MEASURES,
    LOWER_QUARTILE_RANK,
    MEDIAN_RANK,
    RECALL,
    UPPER_QUARTILE_RANK,
    Measure,
    measure_words,
)
from kis_bench.records import count_things
from kis_bench.report.numbers import (
    change,
    count,
    figure,
    join_words,
    number,
    percent,
    probability,
)
from kis_bench.report.tables import escape, table
from kis_bench.statistics.clusters import describe_count
from kis_bench.triplets.summary import as_records

if TYPE_CHECKING:
    from kis_bench.analysis.conditions import Condition

MOST_NAMED = 10  #: queries that a line names
MOST_IN_MATRIX = 12  #: models
CHANCE_CUTOFF = 10  #: of the recall that shuffled results would have
RULE_NOTES = {"segment": "its segment", "group": "its group", "near_duplicate": "a near-duplicate"}


def show_figures(
    metrics: pd.DataFrame, condition: Condition, comparisons: pd.DataFrame | None
) -> list[str]:
    """Figures of each model, best first, with letters of those that can't be told apart."""
    measures = sorted(list_measured(metrics), key=lambda each: each != LEADING_MEASURES[0])
    lead = LEADING_MEASURES if comparisons is not None else ()
    letters = [tiers(comparisons, *each) for each in lead if comparisons is not None]
    quartiles = [LOWER_QUARTILE_RANK.name, UPPER_QUARTILE_RANK.name]
    rows = []
    known = look_up_figures(metrics)
    for model in condition.models:
        figures = []
        for metric, k in measures:
            row = known[model, metric, k]
            figures.append(figure(metric, row["value"], row["ci_low"], row["ci_high"]))
        middle = ", ".join(number(known[model, name, None]["value"]) for name in quartiles)
        median = known[model, MEDIAN_RANK.name, None]
        rows.append(
            [
                model,
                *(each[model] for each in letters),
                *figures,
                join_words(f"{number(median['value'])} [{middle}]"),
                count(median["n"]),
            ]
        )
    named = [f"tier ({measure_words(*each)})" for each in lead]
    head = [
        "model",
        *named,
        *(measure_words(*each) for each in measures),
        f"{MEDIAN_RANK.words} [quartiles]",
        "queries",
    ]
    if len({row[-1] for row in rows}) == 1:  # as the sentence above the table says
        head, rows = head[:-1], [row[:-1] for row in rows]
    asked = describe_count(len(condition.queries), condition.n_targets)
    chance = percent(min(1.0, CHANCE_CUTOFF / condition.n_items), digits=2)
    return [
        f"{asked}, {condition.n_items:,} items; by chance {measure_words(RECALL.name, CHANCE_CUTOFF)} "
        f"would be {chance}.",
        "",
        table(head, rows, right=range(1 + len(named), len(head))),
        "",
        *tell_clusters(condition),
    ]


def list_measured(metrics: pd.DataFrame) -> list[Measure]:
    """The means and proportions that a run has, at all its cut-offs, in its order."""
    known = metrics[
        [name in KNOWN and KNOWN[name].values_of is not None for name in metrics["metric"]]
    ]
    strict = known[[name == KNOWN[name].name for name in known["metric"]]]
    pairs = strict[["metric", "k"]].drop_duplicates().itertuples(index=False, name=None)
    return [(str(metric), None if pd.isna(k) else int(k)) for metric, k in pairs]


def tell_clusters(condition: Condition) -> list[str]:
    """What a reader has to know of queries that aren't independent."""
    if condition.clusters is None:
        return []
    asked = describe_count(len(condition.queries), condition.n_targets)
    return [
        f"Several queries have one target: {asked}. They share its difficulty, so that intervals, tests and folds of "
        "cross-validation are clustered by target.",
        "",
    ]


def show_differences(condition: Condition, comparisons: pd.DataFrame) -> list[str]:
    """Which differences are more than noise, and how many queries the others would take."""
    best = condition.models[0]
    first, second = LEADING_MEASURES
    own = comparisons[comparisons["model_a"] == best]
    leading = select_measure(own, *first)
    near = [escape(row["model_b"]) for row in as_records(leading) if row["p_holm"] >= ALPHA]
    said = (
        f"Not to be told from it on {describe_count(len(condition.queries), condition.n_targets)}: {', '.join(near)}."
        if near
        else "It is better than every other beyond noise."
    )
    equal = leading[leading["value_b"] >= leading["value_a"]]["model_b"]
    shared = f", as has {', '.join(map(escape, equal))}" if len(equal) else ""
    lines = [f"**{escape(best)}** has the highest {measure_words(*first)}{shared}. {said}", ""]
    if condition.left_out:
        left = describe_count(condition.left_out, condition.left_out)
        lines += [f"Left out of comparisons, because not all models were asked: {left}.", ""]
    beside = select_measure(own, *second).set_index("model_b")
    rows = []
    for row in as_records(leading):
        other = beside.loc[row["model_b"]]
        rows.append(
            [
                row["model_b"],
                change(first[0], row["difference"], row["ci_low"], row["ci_high"]),
                probability(row["p_holm"]),
                change(second[0], other["difference"], other["ci_low"], other["ci_high"]),
                probability(other["p_holm"]),
                f"{row['wins']} / {row['ties']} / {row['losses']}",
                number(row["effect_size"], 2),
                count(row["queries_needed"]),
            ]
        )
    head = [
        f"{best} against",
        f"difference of {measure_words(*first)}",
        "p (Holm)",
        f"of {measure_words(*second)}, points",
        "p (Holm)",
        "better / equal / worse",
        "effect size",
        "queries to tell them apart",
    ]
    lines += [table(head, rows, right=range(1, len(head))), ""]
    if 2 < len(condition.models) <= MOST_IN_MATRIX:
        matrix = win_tie_loss(condition)
        cells = [
            [
                model,
                *(
                    "" if i == j else f"{w} / {t} / {x}"
                    for j, (w, t, x) in enumerate(matrix[i].tolist())
                ),
            ]
            for i, model in enumerate(condition.models)
        ]
        head = ["better / equal / worse than", *condition.models]
        lines += [table(head, cells, right=range(1, len(head))), ""]
    return lines


def show_relevances(
    metrics: pd.DataFrame, models: Sequence[str], about: Mapping[str, Any]
) -> list[str]:
    """What would count as found under other rules, beside the strict one, of models in their order."""
    rows = []
    for model in models:
        own = metrics[metrics["model"] == model]
        for prefix, words in (
            ("", "the item itself"),
            *((f"{rule}_", said) for rule, said in RULE_NOTES.items()),
        ):
            recalls = own[own["metric"] == f"{prefix}{RECALL.name}"].set_index("k")
            if len(recalls):
                shares = [percent(recalls.loc[k, "value"]) for k in RECALL.few_cutoffs]
                name = f"{prefix}{MEDIAN_RANK.name}"
                median = own.loc[own["metric"] == name, "value"].iloc[0]
                things = "groups" if prefix == "group_" else "items"
                among = f"{count(about.get(f'n_{things}'))} {things}"
                n = int(recalls["n"].iloc[0])
                rows.append([model, words, among, *shares, number(median), f"{n:,}"])
    if not any(words in RULE_NOTES.values() for _, words, *_ in rows):
        return []
    head = [
        "model",
        "found is",
        "among",
        *(measure_words(*each) for each in RECALL.measures(few=True)),
        MEDIAN_RANK.words,
        "queries",
    ]
    said = []
    if any(row[1] == RULE_NOTES["segment"] for row in rows):
        said.append(
            f"a segment is what the query says, else {number(about.get('segment_s'))} s around the target"
        )
    if any(row[1] == RULE_NOTES["near_duplicate"] for row in rows):
        said.append(f"near-duplicates are: {escape(about.get('near_duplicates', ''))}")
    if len({row[-1] for row in rows}) > 1:
        said.append(
            "not every rule is known for every query: compare rows over the same number of queries"
        )
    note = f" ({'; '.join(said)})" if said else ""
    return [
        f"What the same rankings are worth under other rules{note}:",
        "",
        table(head, rows, right=range(2, 8)),
        "",
    ]


def show_truncations(rows: pd.DataFrame) -> list[str]:
    lines = []
    for model, cut in rows[rows["truncated"].eq(True)].groupby("model")["query_id"]:
        shown = list_first_names([*map(str, cut)], MOST_NAMED)
        lines.append(
            f"- {escape(model)} did not read {count_things(len(cut), 'text')} to the end: {escape(shown)}."
        )
    return [*lines, ""] if lines else []
