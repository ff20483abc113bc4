"""Known-item search in the report: for each condition how good the models are, and which other models they beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.analysis.models import tiers, win_tie_loss
from kis_bench.files.text import file_name
from kis_bench.report.fusion_plots import draw_label_sets
from kis_bench.report.numbers import count, missing, number, percent, percent_points, probability, ratio, signed, spaced
from kis_bench.report.tables import escaped, table
from kis_bench.report.thumbnails import Row, Thumbnails, contact_sheet
from kis_bench.results.published import comparable
from kis_bench.statistics.clusters import counted

if TYPE_CHECKING:
    from kis_bench.analysis.conditions import Condition
    from kis_bench.analysis.findings import Findings
    from kis_bench.records import Collection

WORST, MOST_IN_MATRIX = 10, 12
SHOWN_RECALLS = (1, 10, 100)
TIERS = (("mrr", None, "tier (MRR)"), ("recall", 10, "tier (recall@10)"))
RULES = {"segment": "its segment", "group": "its group", "near_duplicate": "a near-duplicate"}


def summary(metrics: pd.DataFrame, condition: Condition, comparisons: pd.DataFrame | None) -> list[str]:
    """Figures of each model, best first, with letters of those that can't be told apart."""
    cuts = [int(k) for k in metrics.loc[metrics["metric"] == "recall", "k"].drop_duplicates()]
    letters = [] if comparisons is None else [tiers(comparisons, metric, k) for metric, k, _ in TIERS]
    rows = []
    for model in condition.models:
        own = metrics[metrics["model"] == model]
        recalls = own[own["metric"] == "recall"].set_index("k")
        others = own[own["metric"] != "recall"].set_index("metric")
        value, mrr = others["value"], others.loc["mrr"]
        interval = "" if missing(mrr["ci_low"]) else f" [{mrr['ci_low']:.3f}, {mrr['ci_high']:.3f}]"
        quartiles = f"{number(value['lower_quartile_rank'])}, {number(value['upper_quartile_rank'])}"
        rows.append([
            model, *(each[model] for each in letters),
            *(percent(*(recalls.loc[k, c] for c in ("value", "ci_low", "ci_high"))) for k in cuts),
            spaced(f"{mrr['value']:.3f}{interval}"), spaced(f"{number(value['median_rank'])} [{quartiles}]"),
            f"{int(own['n'].iloc[0]):,}", percent(min(1.0, 10 / condition.n_items), digits=2),
        ])  # fmt: skip
    named = [name for _, _, name in TIERS[: len(letters)]]
    head = ["model", *named, *(f"recall@{k}" for k in cuts), "MRR", "median rank [quartiles]", "queries",
            "chance recall@10"]  # fmt: skip
    return [table(head, rows, right=range(1 + len(named), len(head))), "", *clustered(condition)]


def clustered(condition: Condition) -> list[str]:
    """What a reader has to know of queries that aren't independent."""
    if condition.clusters is None:
        return []
    asked = counted(len(condition.queries), condition.n_targets)
    return [
        f"Several queries have one target: {asked}. They share its difficulty, so that intervals, tests and folds of "
        "cross-validation are clustered by target.",
        "",
    ]


def comparison(condition: Condition, comparisons: pd.DataFrame) -> list[str]:
    """Which differences are more than noise, and how many queries the others would take."""
    best = condition.models[0]
    mrr = comparisons[(comparisons["metric"] == "mrr") & (comparisons["model_a"] == best)]
    near = [escaped(row["model_b"]) for _, row in mrr.iterrows() if row["p_holm"] >= 0.05]
    said = (
        f"Not to be told from it on {counted(len(condition.queries), condition.n_targets)}: {', '.join(near)}."
        if near else "It is better than every other beyond noise."
    )  # fmt: skip
    equal = mrr[mrr["value_b"] >= mrr["value_a"]]["model_b"]
    shared = f", as has {', '.join(map(escaped, equal))}" if len(equal) else ""
    lines = [f"**{escaped(best)}** has the highest MRR{shared}. {said}", ""]
    if condition.left_out:
        left = counted(condition.left_out, condition.left_out)
        lines += [f"Left out of comparisons, because not all models were asked: {left}.", ""]
    at_10 = comparisons[(comparisons["metric"] == "recall") & (comparisons["k"] == 10)]
    at_10 = at_10.set_index(["model_a", "model_b"])
    rows = []
    for _, row in mrr.iterrows():
        hits = at_10.loc[(best, row["model_b"])]
        rows.append([
            row["model_b"],
            spaced(f"{signed(row['difference'], 3)} [{signed(row['ci_low'], 3)}, {signed(row['ci_high'], 3)}]"),
            probability(row["p_holm"]),
            percent_points(hits["difference"], hits["ci_low"], hits["ci_high"]),
            probability(hits["p_holm"]), f"{row['wins']} / {row['ties']} / {row['losses']}",
            number(row["effect_size"], 2), count(row["queries_needed"]),
        ])  # fmt: skip
    head = [f"{best} against", "difference of MRR", "p (Holm)", "of recall@10, points", "p (Holm)",
            "better / equal / worse", "effect size", "queries to tell them apart"]  # fmt: skip
    lines += [table(head, rows, right=range(1, len(head))), ""]
    if 2 < len(condition.models) <= MOST_IN_MATRIX:
        matrix = win_tie_loss(condition)
        cells = [
            [model, *("" if i == j else f"{w} / {t} / {x}" for j, (w, t, x) in enumerate(matrix[i].tolist()))]
            for i, model in enumerate(condition.models)
        ]
        head = ["better / equal / worse than", *condition.models]
        lines += [table(head, cells, right=range(1, len(head))), ""]
    return lines


def relevances(metrics: pd.DataFrame, about: Mapping[str, Any]) -> list[str]:
    """What would count as found under other rules, beside the strict one."""
    rows = []
    for model, own in metrics.groupby("model", sort=True):
        for prefix, words in (("", "the item itself"), *((f"{rule}_", said) for rule, said in RULES.items())):
            recalls = own[own["metric"] == f"{prefix}recall"].set_index("k")
            if len(recalls):
                shares = [percent(recalls.loc[k, "value"]) for k in SHOWN_RECALLS]
                median = own.loc[own["metric"] == f"{prefix}median_rank", "value"].iloc[0]
                among = (
                    f"{about.get('n_groups', '')} groups" if prefix == "group_" else f"{about.get('n_items', '')} items"
                )
                n = int(recalls["n"].iloc[0])
                rows.append([str(model), words, among, *shares, number(median), f"{n:,}"])
    if not any(words in RULES.values() for _, words, *_ in rows):
        return []
    head = ["model", "found is", "among", *(f"recall@{k}" for k in SHOWN_RECALLS), "median rank", "queries"]
    said = []
    if any(row[1] == RULES["segment"] for row in rows):
        said.append(f"a segment is what the query says, else {number(about.get('segment_s'))} s around the target")
    if any(row[1] == RULES["near_duplicate"] for row in rows):
        said.append(f"near-duplicates are: {escaped(about.get('near_duplicates', ''))}")
    if len({row[-1] for row in rows}) > 1:
        said.append("not every rule is known for every query: compare rows over the same number of queries")
    note = f" ({'; '.join(said)})" if said else ""
    return [f"What the same rankings are worth under other rules{note}:", "", table(head, rows, right=range(2, 8)), ""]


def truncations(rows: pd.DataFrame) -> list[str]:
    lines = []
    for model, cut in rows[rows["truncated"].eq(True)].groupby("model")["query_id"]:
        shown = ", ".join(map(str, cut[:WORST])) + (f" and {len(cut) - WORST:,} more" if len(cut) > WORST else "")
        lines.append(
            f"- {escaped(model)}: {len(cut):,} texts were longer than it reads and were truncated: {escaped(shown)}."
        )
    return [*lines, ""] if lines else []


def label_sets(findings: Findings, dataset: str, folder: Path, style: Mapping[str, Any]) -> list[str]:
    """Label sets against each other on the same targets, and recall against the length of texts."""
    summaries, each = findings.label_sets[dataset]
    lines: list[str] = []
    for (first, second), part in summaries.groupby(["label_set_a", "label_set_b"], sort=False):
        lines += [f"### {escaped(first)} against {escaped(second)} on the same targets", ""]
        lines += compared_labels(part, str(first), str(second))
        stem = file_name("label-sets", dataset, str(first), str(second))
        draw_label_sets(part[(part["metric"] == "recall") & part["k"].eq(10)], style, folder / "plots" / stem)
        names = f"{escaped(dataset)}, {escaped(first)} and {escaped(second)}"
        lines += [f"![Recall@10 of every model under both label sets, {names}](plots/{stem}.png)", ""]
        own = each[(each["label_set_a"] == first) & (each["label_set_b"] == second)] if len(each) else each
        lines += changed_most(own, part, str(first), str(second))
    by_length = findings.lengths[dataset]
    if len(by_length):
        lines += ["### Recall against the length of texts", "", *lengths(by_length, findings, dataset)]
    return lines


def compared_labels(part: pd.DataFrame, first: str, second: str) -> list[str]:
    def cell(row: pd.Series, measure: str) -> list[str]:
        if measure == "recall":
            return [f"{percent(row['value_a'])} → {percent(row['value_b'])}",
                    percent_points(row["difference"], row["ci_low"], row["ci_high"])]  # fmt: skip
        if measure == "mrr":
            difference = f"{signed(row['difference'], 3)} [{signed(row['ci_low'], 3)}, {signed(row['ci_high'], 3)}]"
            return [f"{row['value_a']:.3f} → {row['value_b']:.3f}", spaced(difference)]
        return [ratio(row["difference"], row["ci_low"], row["ci_high"])]

    measures = [("recall", 10, f"recall@10, {first} → {second}"), ("mrr", None, f"MRR, {first} → {second}"),
                ("rank_ratio", None, "target stands nearer the top")]  # fmt: skip
    rows = []
    for model, own in part.groupby("model", sort=False):
        cells: list[str] = [str(model), f"{int(own['n'].iloc[0]):,}"]
        for metric, k, _ in measures:
            at = own[(own["metric"] == metric) & (own["k"].eq(k) if k else True)]
            if len(at):
                cells += cell(at.iloc[0], metric)
                if metric != "rank_ratio":
                    cells.append(probability(at.iloc[0]["p_holm"]))
        rows.append(cells)
    head = ["model", "targets"]
    for metric, _, name in measures:
        if (part["metric"] == metric).any():
            head += [name, "difference", "p (Holm)"] if metric != "rank_ratio" else [name]
    return [table(head, rows, right=range(1, len(head))), ""]


def changed_most(each: pd.DataFrame, part: pd.DataFrame, first: str, second: str) -> list[str]:
    """The targets that gain and lose most under the model that is best on the second label set."""
    mrr = part[part["metric"] == "mrr"]
    if each.empty or mrr.empty:
        return []
    model = mrr.sort_values("value_b", ascending=False)["model"].iloc[0]
    own = each[each["model"] == model].sort_values("ratio", kind="stable")
    shown = pd.concat([own.tail(5).iloc[::-1], own.head(5)]).drop_duplicates(["query_a", "query_b"])
    rows = [
        [row["query_a"] if row["query_a"] == row["query_b"] else f"{row['query_a']} / {row['query_b']}",
         number(row["rank_a"]), number(row["rank_b"]), times(2.0 ** row["ratio"])]
        for _, row in shown.iterrows() if row["ratio"] != 0
    ]  # fmt: skip
    head = ["query", f"rank, {first}", f"rank, {second}", "to the top"]
    said = f"Where it matters most under {escaped(model)}:"
    return [said, "", table(head, rows, right=range(1, 4)), ""] if rows else []


def times(factor: float) -> str:
    """How many times nearer to the top, or farther from it."""
    way, shown = ("nearer", factor) if factor >= 1 else ("farther", 1 / factor)
    return f"{shown:,.{0 if shown >= 10 else 1}f} times {way}"


def lengths(by_length: pd.DataFrame, findings: Findings, dataset: str) -> list[str]:
    bins = list(dict.fromkeys(zip(by_length["words_low"], by_length["words_high"], strict=True)))
    values = by_length.set_index(["model", "words_low"])
    rows = []
    for model in by_length["model"].unique():
        cells = [str(model)]
        for low, _ in bins:
            row = values.loc[(model, low)] if (model, low) in values.index else None
            cells.append("" if row is None else percent(row["recall_at_10"], row["ci_low"], row["ci_high"]))
        rows.append(cells)
    sizes = by_length[by_length["model"] == by_length["model"].iloc[0]].set_index("words_low")["n"]
    head = ["recall@10, model", *(
        f"{int(low)}{'' if low == high else f' to {int(high)}'} {'word' if high == 1 else 'words'} "
        f"({int(sizes.get(low, 0)):,})"
        for low, high in bins
    )]  # fmt: skip
    lines = [table(head, rows, right=range(1, len(head))), ""]
    correlations = findings.length_correlations[dataset]
    if len(correlations):
        measures = list(dict.fromkeys(correlations["measure"]))
        of = correlations.set_index(["model", "measure"])
        rows = [
            [str(model), *(correlation(*of.loc[(model, m), ["rho", "ci_low", "ci_high"]]) for m in measures)]
            for model in correlations["model"].unique()
        ]  # fmt: skip
        lines += [
            "Spearman's correlation of the rank with the text: below zero, longer texts find better. Detail is the "
            "number of different words of four letters or more.", "",
            table(["model", *map(str, measures)], rows, right=range(1, 1 + len(measures))), "",
        ]  # fmt: skip
    return lines


def correlation(rho: float, low: float, high: float) -> str:
    """With its interval where there is one; ``unknown`` where all texts, or all ranks, are equal or too few."""
    if missing(rho):
        return "unknown"
    interval = "" if missing(low) or missing(high) else f" [{signed(low, 2)}, {signed(high, 2)}]"
    return spaced(f"{signed(rho, 2)}{interval}")


def worst(
    rows: pd.DataFrame, folder: Path, stem: str, pictures: Collection | None, thumbnails: Thumbnails | None
) -> list[str]:
    """The queries whose targets stand last: a table, and a contact sheet where there are pictures."""
    last = rows.sort_values("rank", ascending=False, kind="stable").head(WORST)
    if thumbnails is None:
        return [table(["query", "rank"], [(r.query_id, number(r.rank)) for r in last.itertuples()], right=[1]), ""]
    tops: Sequence[list[str]] = [[] if top is None else [str(i) for i in top] for top in last["top_item_ids"]]
    cells = [
        (r.query_id, r.text, number(r.rank), r.item_id, top[0] if top else "")
        for r, top in zip(last.itertuples(), tops, strict=True)
    ]
    lines = [table(["query", "text", "rank", "target", "what came first"], cells, right=[2]), ""]
    if pictures is not None and cells:
        sheet = f"plots/{file_name('worst', stem)}.png"
        entries = [
            Row(str(text), f"{rank} of {int(n):,}", str(item), top)
            for (_, text, rank, item, _), top, n in zip(cells, tops, last["n_items"], strict=True)
        ]
        contact_sheet(entries, pictures, folder / sheet, thumbnails)
        lines += [f"![Contact sheet of the worst queries: targets in frames, then what came first]({sheet})", ""]
    return lines


def published(rows: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Figures of others, beside those measured here on the same queries of the same dataset."""
    obtained = metrics[metrics["metric"] == "recall"].set_index(["model", "k"])
    cells = []
    for _, row in comparable(rows[rows["metric"] == "recall"], metrics).iterrows():
        names = [name for name in (row["model"], row["published_as"]) if (name, row["k"]) in obtained.index]
        own = obtained.loc[names[0], row["k"]]
        cells.append([
            names[0], row["published_as"], f"recall@{int(row['k'])}", percent(row["value"]),
            percent(own["value"], own["ci_low"], own["ci_high"]), percent_points(own["value"] - row["value"]),
            count(row["n"]),
        ])  # fmt: skip
    if not cells:
        return []
    head = ["model", "published as", "measure", "published", "obtained", "difference, points", "queries"]
    shown = comparable(rows[rows["metric"] == "recall"], metrics)
    sources = "; ".join(escaped(source, 1000) for source in shown["source"].unique())
    return [f"Published figures, from {sources}:", "", table(head, cells, right=range(3, 7)), ""]
