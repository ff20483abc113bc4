"""The queries whose targets stand last, with what came first instead."""

from __future__ import annotations

import numpy as np

from kis_bench.analysis.findings import Key
from kis_bench.report.numbers import count, number
from kis_bench.report.plots.contact_sheets import SheetRow, make_contact_sheet
from kis_bench.report.tables import escape, table
from kis_bench.report.view import View
from kis_bench.triplets.summary import as_records

WORST = 20  #: queries of each model
MOST_COLUMNS = 6  #: models whose ranks have a column
MOST_ON_SHEET = 10


def show_worst(view: View, key: Key) -> list[str]:
    """The worst queries of each model in one table, and a contact sheet of the best model where there are pictures."""
    dataset, label_set = key
    one = view.findings.conditions[key]
    worst = np.zeros(len(one.queries), bool)
    for rank in one.rank:
        worst[np.argsort(-rank, kind="stable")[:WORST]] = True
    shown = [place for place in np.argsort(-one.rank.min(axis=0), kind="stable") if worst[place]]
    rows = view.findings.rows(key).assign(query_id=lambda own: own["query_id"].astype(str))
    asked = rows.drop_duplicates("query_id").set_index("query_id")
    cells = []
    for place in shown:
        query = one.queries[place]
        about = [] if view.privacy else [asked.at[query, "text"], asked.at[query, "item_id"]]
        cells.append([query, *map(number, one.rank[:MOST_COLUMNS, place]), *about])
    models = one.models[:MOST_COLUMNS]
    head = ["query", *models, *([] if view.privacy else ["text", "target"])]
    each = f"The {WORST} worst queries of each model; first those that even the best model for them ranks far down."
    if len(one.models) > len(models):
        each += f" Ranks under the best {len(models)} of {len(one.models)} models."
    lines = [f"### Worst queries: {escape(dataset)}, {escape(label_set)}", "", each, ""]
    lines += [table(head, cells, right=range(1, 1 + len(models))), ""]
    return lines + draw_sheet(view, key)


def draw_sheet(view: View, key: Key) -> list[str]:
    """Of the best model's worst queries, with what it placed first; nothing where there are no pictures."""
    (dataset, label_set), rows = key, view.findings.rows(key)
    if dataset not in view.pictures:
        return []
    model = view.findings.conditions[key].models[0]
    last = rows[rows["model"] == model].sort_values("rank", ascending=False, kind="stable")
    entries = []
    for row in as_records(last.head(MOST_ON_SHEET)):
        top = [] if row["top_item_ids"] is None else [str(item) for item in row["top_item_ids"]]
        rank = f"{number(row['rank'])} of {count(row['n_items'])}"
        entries.append(SheetRow(str(row["text"]), rank, str(row["item_id"]), top))
    alt = f"Contact sheet of the worst queries of {escape(model)}: targets in frames, then what came first"
    name = f"{dataset}-{label_set}-{model}"
    return view.show_plot(make_contact_sheet(name, alt, entries, view.pictures[dataset]))
