"""The tables that a terminal shows of a run."""

from __future__ import annotations

from kis_bench.report.agreement import similarity_summary
from kis_bench.results import Run


def summary(run: Run) -> str:
    """The tables that a terminal shows."""
    return "\n\n".join(summaries(run).values())


def summaries(run: Run) -> dict[str, str]:
    """One table for known-item search and one for image similarity, where anything of them was measured."""
    found = {"known-item search": ranks_summary, "image similarity": similarity_summary}
    rows = {"known-item search": run.ranks, "image similarity": run.judgments}
    return {name: table(run) for name, table in found.items() if len(rows[name])}


def ranks_summary(run: Run) -> str:
    """Recall@k in percent, MRR and median rank per cell."""
    from tabulate import tabulate

    lines = []
    metrics = run.metrics[run.metrics.dataset.isin(run.ranks.dataset) & (run.metrics.label_set != "")]
    for (dataset, label_set, model), cell in metrics.groupby(["dataset", "label_set", "model"], sort=False):
        recall = cell[cell.metric == "recall"]
        line = {"dataset": dataset, "labels": label_set, "model": model}
        line |= {f"R@{int(k)}": f"{100 * value:.1f}%" for k, value in zip(recall.k, recall.value, strict=True)}
        values = cell.set_index("metric").value
        line |= {"MRR": f"{values['mrr']:.3f}", "median": f"{values['median_rank']:g}", "queries": int(cell.n.iloc[0])}
        if (metrics.n_targets < metrics.n).any():
            line["targets"] = int(cell.n_targets.fillna(cell.n).iloc[0])
        lines.append(line)
    return str(tabulate(lines, headers="keys", disable_numparse=True))
