"""The tables that a terminal shows of a run."""

from __future__ import annotations

import math

from kis_bench.analysis.runs import Comparison
from kis_bench.files.text import make_plain
from kis_bench.metrics import KNOWN, PER_TRIPLET, measure_name
from kis_bench.report.compared import (
    TABLE_HEAD,
    VERDICT_ORDER,
    figure_rows,
    list_moved,
    names_in,
    step,
    verdicts,
)
from kis_bench.report.numbers import figure, percent
from kis_bench.report.sections.similarity.wording import CEILING, share_in
from kis_bench.results import Run
from kis_bench.triplets.summary import PERSON, Similarity, as_records, judged_datasets


def summarise(run: Run) -> str:
    """All tables of a run."""
    return "\n\n".join(summarise_kinds(run).values())


def summarise_kinds(run: Run) -> dict[str, str]:
    """One table for known-item search and one for image similarity, where anything of them was measured."""
    found = {"known-item search": summarise_ranks, "image similarity": summarise_similarity}
    rows = {"known-item search": run.ranks, "image similarity": run.judgments}
    return {name: table(run) for name, table in found.items() if len(rows[name])}


def summarise_ranks(run: Run) -> str:
    """The metrics that have a heading, and the number of queries, of each cell."""
    from tabulate import tabulate

    lines = []
    metrics = run.metrics[
        run.metrics.dataset.isin(run.ranks.dataset) & (run.metrics.label_set != "")
    ]
    for (dataset, label_set, model), cell in metrics.groupby(
        ["dataset", "label_set", "model"], sort=False
    ):
        line = {"dataset": dataset, "labels": label_set, "model": model}
        for name, k, value in cell[["metric", "k", "value"]].itertuples(index=False, name=None):
            known = KNOWN.get(name)
            if known is not None and known.heading and name == known.name:
                shown = f"{value:g}" if known.format == "rank" else figure(name, value)
                line[measure_name(known.heading, k)] = shown
        line["queries"] = int(cell.n.iloc[0])
        if (metrics.n_targets < metrics.n).any():
            line["targets"] = int(cell.n_targets.fillna(cell.n).iloc[0])
        lines.append(line)
    return str(tabulate(lines, headers="keys", disable_numparse=True))


def summarise_similarity(run: Run) -> str:
    """The table that a terminal shows: consistency of each model, best first, and of people."""
    from tabulate import tabulate

    lines = []
    for name in judged_datasets(run):
        study = Similarity(name, run)
        people = {f"({PERSON})": study.people[PERSON]} if PERSON in study.people else {}
        ceiling = max(study.ceilings.values(), default=math.nan)
        if not math.isnan(ceiling):
            none = {"ci_low": math.nan, "ci_high": math.nan}
            most = max(int(row["n"]) for row in study.models.values())
            people = {f"({CEILING})": {"value": ceiling, "n": most, **none}, **people}
        for model, row in (*study.models.items(), *people.items()):
            share = share_in(row)
            per_triplet = study.metrics.get((model, PER_TRIPLET.name), {"value": math.nan})
            interval = (
                "" if math.isnan(share.low) else f"{100 * share.low:.1f} - {100 * share.high:.1f}"
            )
            lines.append(
                {
                    "dataset": make_plain(name),
                    "model": make_plain(model),
                    "consistency": percent(share.value),
                    "95% interval": interval,
                    "ties": row["ties"] if model in study.models else "",
                    "judgments": share.n,
                    "per triplet": percent(float(per_triplet["value"])),
                }
            )
    return str(tabulate(lines, headers="keys", disable_numparse=True))


FEW = 20  #: rows of figures that a terminal shows, even of what didn't change


def in_short(found: Comparison, most: int = 20) -> str:
    """For a terminal: how many figures changed, which, and the queries that moved most."""
    from tabulate import tabulate

    parts = [
        tabulate(
            verdicts(found.figures), headers=["measure", *VERDICT_ORDER], disable_numparse=True
        )
    ]
    figures = found.figures
    if len(figures) > FEW:
        figures = figures[figures["verdict"].isin(["better", "worse"])]
    if len(figures):
        rows = [[make_plain(cell) for cell in row] for row in figure_rows(figures)]
        parts.append(tabulate(rows, headers=TABLE_HEAD, disable_numparse=True))
    for title, (part, n) in list_moved(found, most).items():
        steps = [
            f"  {make_plain(step(row))}  "
            f"({make_plain(row['dataset'])}, {make_plain(row['label_set'])}, {make_plain(names_in(row))})"
            for row in as_records(part)
        ]
        if steps:
            parts.append("\n".join([f"{title} ({n:,}):", *steps]))
    parts += [f"note: {make_plain(remark)}" for remark in found.remarks]
    return "\n\n".join(parts)
