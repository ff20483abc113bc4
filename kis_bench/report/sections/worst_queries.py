"""The queries whose targets stand last, with what came first instead."""

from __future__ import annotations

from kis_bench.analysis.findings import Key
from kis_bench.files.text import make_file_name
from kis_bench.report.numbers import number
from kis_bench.report.plots.contact_sheets import SheetRow, contact_sheet
from kis_bench.report.tables import escape, table
from kis_bench.report.view import View

SHOWN = 10


def show_worst(view: View, key: Key) -> list[str]:
    """Those of the best model: a table, and a contact sheet where there are pictures."""
    dataset, label_set = key
    model = view.findings.conditions[key].models[0]
    lines = [f"#### Worst queries of {escape(model)}, {escape(label_set)}", ""]
    rows = view.findings.rows(key)
    last = (
        rows[rows["model"] == model].sort_values("rank", ascending=False, kind="stable").head(SHOWN)
    )
    if view.privacy:
        ranks = [(row.query_id, number(row.rank)) for row in last.itertuples()]
        return [*lines, table(["query", "rank"], ranks, right=[1]), ""]
    tops = [[] if top is None else [str(item) for item in top] for top in last["top_item_ids"]]
    cells = [
        (row.query_id, row.text, number(row.rank), row.item_id, top[0] if top else "")
        for row, top in zip(last.itertuples(), tops, strict=True)
    ]
    lines += [table(["query", "text", "rank", "target", "what came first"], cells, right=[2]), ""]
    if dataset in view.pictures and cells:
        sheet = f"plots/{make_file_name('worst', f'{dataset}-{label_set}-{model}')}.png"
        entries = [
            SheetRow(str(text), f"{rank} of {int(n):,}", str(item), top)
            for (_, text, rank, item, _), top, n in zip(cells, tops, last["n_items"], strict=True)
        ]
        contact_sheet(entries, view.pictures[dataset], view.folder / sheet, view.thumbnails)
        alt = "Contact sheet of the worst queries: targets in frames, then what came first"
        lines += [f"![{alt}]({sheet})", ""]
    return lines
