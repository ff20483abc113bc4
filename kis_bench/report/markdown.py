"""The report in Markdown, and the order in which everything else is drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.report.agreement import agreement_section, similarity_datasets
from kis_bench.report.html import page
from kis_bench.report.plots import draw_curves, styles
from kis_bench.report.tables import escaped, file_name, table
from kis_bench.report.thumbnails import Row, Thumbnails, contact_sheet

if TYPE_CHECKING:
    from kis_bench.records import Collection
    from kis_bench.results import Run

Pictures = Mapping[str, "Collection"]
WORST = 10
SHOWN_RECALLS = (1, 10, 100)
RULES = {"segment": "its segment", "group": "its group", "near_duplicate": "a near-duplicate"}
# Under privacy only these are shown of the provenance; others may hold paths or names of people.
_HARMLESS = {"time", "git_commit", "dirty", "git_dirty", "versions", "device", "schema_version", "python", "platform",
             "revision", "weights", "weight_digest", "digest", "key", "fingerprint", "counts", "n_items", "n_queries",
             "precision", "items", "queries", "interrupted"}  # fmt: skip


def _title(run: Run) -> str:
    if not len(run.judgments):
        return "Known-item search: report"
    return "Known-item search and image similarity: report" if len(run.ranks) else "Image similarity: report"


def _number(value: Any, digits: int = 1) -> str:
    return "" if pd.isna(value) else f"{float(value):,.{digits}f}".removesuffix(".0")


def _summary(metrics: pd.DataFrame, n_items: Mapping[str, int]) -> str:
    cuts = [int(k) for k in metrics.loc[metrics["metric"] == "recall", "k"].drop_duplicates()]
    rows = []
    for model, own in metrics.groupby("model", sort=True):
        recalls = own[own["metric"] == "recall"].set_index("k")
        others = own[own["metric"] != "recall"].set_index("metric")
        cells = [str(model)]
        for k in cuts:
            at = recalls.loc[k]
            cells.append(f"{100 * at['value']:.1f}% [{100 * at['ci_low']:.1f}, {100 * at['ci_high']:.1f}]")
        value = others["value"]
        mrr = others.loc["mrr"]
        cells.append(f"{mrr['value']:.3f} [{mrr['ci_low']:.3f}, {mrr['ci_high']:.3f}]")
        quartiles = f"{_number(value['lower_quartile_rank'])}, {_number(value['upper_quartile_rank'])}"
        cells.append(f"{_number(value['median_rank'])} [{quartiles}]")
        cells.append(f"{int(own['n'].iloc[0]):,}")
        cells.append(f"{100 * min(1.0, 10 / n_items[str(model)]):.2f}%")
        rows.append([cell.replace(", ", ",\u00a0") for cell in cells])  # an interval stays on one line
    head = ["model", *(f"recall@{k}" for k in cuts), "MRR", "median rank [quartiles]", "queries", "chance recall@10"]
    return table(head, rows, right=range(1, len(head)))


def _relevances(metrics: pd.DataFrame, about: Mapping[str, Any]) -> list[str]:
    """What would count as found under other rules, beside the strict one."""
    rows = []
    for model, own in metrics.groupby("model", sort=True):
        for prefix, words in (("", "the item itself"), *((f"{rule}_", said) for rule, said in RULES.items())):
            recalls = own[own["metric"] == f"{prefix}recall"].set_index("k")
            if len(recalls):
                value = recalls["value"]
                shares = [f"{100 * float(value.loc[k]):.1f}%" for k in SHOWN_RECALLS]
                median = own.loc[own["metric"] == f"{prefix}median_rank", "value"].iloc[0]
                among = (
                    f"{about.get('n_groups', '')} groups" if prefix == "group_" else f"{about.get('n_items', '')} items"
                )
                n = int(recalls["n"].iloc[0])
                rows.append([str(model), words, among, *shares, _number(median), f"{n:,}"])
    if not any(words in RULES.values() for _, words, *_ in rows):
        return []
    head = ["model", "found is", "among", *(f"recall@{k}" for k in SHOWN_RECALLS), "median rank", "queries"]
    said = []
    if any(row[1] == RULES["segment"] for row in rows):
        said.append(f"a segment is what the query says, else {_number(about.get('segment_s'))} s around the target")
    if any(row[1] == RULES["near_duplicate"] for row in rows):
        said.append(f"near-duplicates are: {escaped(about.get('near_duplicates', ''))}")
    if len({row[-1] for row in rows}) > 1:
        said.append("not every rule is known for every query: compare rows over the same number of queries")
    note = f" ({'; '.join(said)})" if said else ""
    return [f"What the same rankings are worth under other rules{note}:", "", table(head, rows, right=range(2, 8)), ""]


def _notes(provenance: Mapping[str, Any]) -> list[str]:
    """What a reader has to know, as quotations that cannot be overlooked."""
    lines = []
    for kind, word in (("datasets", "Dataset"), ("models", "Model")):
        for name, facts in sorted((provenance.get(kind) or {}).items()):
            if isinstance(facts, Mapping) and facts.get("note"):
                lines.append(f"> **{word} {escaped(name)}:** {escaped(facts['note'], 2000)}\n")
    return lines


def _worst(
    rows: pd.DataFrame, folder: Path, stem: str, pictures: Collection | None, thumbnails: Thumbnails | None
) -> list[str]:
    """The queries whose targets stand last: a table, and a contact sheet where there are pictures."""
    worst = rows.sort_values("rank", ascending=False, kind="stable").head(WORST)
    if thumbnails is None:
        return [table(["query", "rank"], [(r.query_id, _number(r.rank)) for r in worst.itertuples()], right=[1]), ""]
    tops = [[] if top is None else [str(item) for item in top] for top in worst["top_item_ids"]]
    cells = [
        (r.query_id, r.text, _number(r.rank), r.item_id, top[0] if top else "")
        for r, top in zip(worst.itertuples(), tops, strict=True)
    ]
    lines = [table(["query", "text", "rank", "target", "what came first"], cells, right=[2]), ""]
    if pictures is not None and cells:
        sheet = f"plots/{file_name('worst', stem)}.png"
        entries = [
            Row(str(text), f"{rank} of {int(n):,}", str(item), top)
            for (_, text, rank, item, _), top, n in zip(cells, tops, worst["n_items"], strict=True)
        ]
        contact_sheet(entries, pictures, folder / sheet, thumbnails)
        lines += [f"![Contact sheet of the worst queries: targets in frames, then what came first]({sheet})", ""]
    return lines


def _dataset(
    name: str, run: Run, folder: Path, style: Mapping[str, Any], pictures: Pictures, thumbnails: Thumbnails | None
) -> list[str]:
    ranks = run.ranks[run.ranks["dataset"] == name]
    metrics = run.metrics[run.metrics["dataset"] == name]
    lines = [f"## {escaped(name)}", ""]
    for label_set, part in ranks.groupby("label_set", sort=False):
        n_items = {str(model): int(n) for model, n in part.groupby("model")["n_items"].max().items()}
        lines += [f"### Labels: {escaped(label_set)}", ""]
        lines += [_summary(metrics[metrics["label_set"] == label_set], n_items), ""]
        lines += _relevances(
            metrics[metrics["label_set"] == label_set], run.provenance.get("datasets", {}).get(name, {})
        )
        for name_of_model, cut in part[part["truncated"].eq(True)].groupby("model")["query_id"]:
            shown = ", ".join(map(str, cut[:WORST])) + (f" and {len(cut) - WORST:,} more" if len(cut) > WORST else "")
            lines.append(
                f"- {escaped(name_of_model)}: {len(cut):,} texts were longer than it reads and were truncated: "
                f"{escaped(shown)}."
            )
        lines.append("")
    stem = file_name("curves", name)
    draw_curves(name, ranks, style, folder / "plots" / stem)
    lines += [f"![Cumulative curves of {escaped(name)}: recall@k against k](plots/{stem}.png)", ""]
    lines += [f"### Ten worst queries of {escaped(name)}", ""]
    for (labels, model), part in ranks.groupby(["label_set", "model"], sort=False):
        lines += [f"#### {escaped(labels)}, {escaped(model)}", ""]
        lines += _worst(part, folder, f"{name}-{labels}-{model}", pictures.get(name), thumbnails)
    return lines


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_shown(inner)}" for key, inner in value.items())
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _provenance(provenance: Mapping[str, Any], privacy: bool) -> list[str]:
    def allowed(key: str) -> bool:
        return key != "note" and (not privacy or key in _HARMLESS)

    facts = [(k, _shown(v)) for k, v in provenance.items() if k not in ("models", "datasets") and allowed(k)]
    lines = ["## Provenance", "", table(["what", "value"], facts), ""]
    for kind in ("models", "datasets"):
        rows = [
            (name, key, _shown(value))
            for name, own in sorted((provenance.get(kind) or {}).items())
            if isinstance(own, Mapping)
            for key, value in own.items()
            if allowed(key)
        ]
        if rows:
            lines += [table([kind.removesuffix("s"), "what", "value"], rows), ""]
    return lines


def _other_tables(run: Run) -> list[str]:
    lines: list[str] = []
    if len(run.verdicts):
        head = list(run.verdicts.columns)
        cells = run.verdicts.astype(object).where(run.verdicts.notna(), "").to_numpy().tolist()
        lines += ["## Thresholds", "", table(head, cells), ""]
    if len(run.timings):
        head = ["model", "dataset", "label set", "step", "seconds", "n", "per second", "from cache"]
        timings: Any = run.timings.itertuples()
        steps = [
            (*("" if pd.isna(x) else x for x in (t.model, t.dataset, t.label_set, t.step)), _number(t.seconds, 2),
             _number(t.n, 0), _number(t.per_second), "" if pd.isna(t.cached) else "yes" if t.cached else "no")
            for t in timings
        ]  # fmt: skip
        lines += ["## Timings", "", table(head, steps, right=[4, 5, 6]), ""]
    return lines


def write_report(folder: Path, run: Run, pictures: Pictures | None, privacy: bool = False) -> None:
    """Write report.md, report.html and plots/ of a run into the folder.

    `pictures` leads from a dataset's name to its images. With `privacy` neither texts nor
    items, paths or pictures are shown.
    """
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    for sheet in (folder / "plots").glob("worst-*"):  # of an earlier drawing, which showed more
        sheet.unlink()
    style = styles([str(model) for model in run.ranks["model"].unique()])
    thumbnails = None if privacy else Thumbnails()
    title = _title(run)
    lines = [f"# {title}", ""]
    if run.provenance.get("interrupted"):
        lines += ["> **This run was interrupted:** what follows is only what had been measured by then.\n"]
    lines += _notes(run.provenance)
    ranked = " Rank 1 is the best." if len(run.ranks) or not len(run.judgments) else ""
    lines += [f"Shares with their 95% intervals in brackets.{ranked}", ""]
    for name in run.ranks["dataset"].unique():
        lines += _dataset(str(name), run, folder, style, pictures or {}, thumbnails)
    for name in similarity_datasets(run):
        lines += agreement_section(name, run, folder, privacy=privacy)
    lines += _other_tables(run)
    lines += _provenance(run.provenance, privacy)
    text = "\n".join(lines).rstrip() + "\n"
    (folder / "report.md").write_text(text, encoding="utf-8", errors="replace", newline="\n")
    (folder / "report.html").write_text(page(text, folder, title), encoding="utf-8", errors="replace", newline="\n")
