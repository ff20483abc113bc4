"""How ranks were made from vectors, and figures from ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kis_bench.analysis.imported import is_imported
from kis_bench.metrics import MRR, NDCG, RECALL, find_metric
from kis_bench.report.numbers import number
from kis_bench.report.sections.methods.material import find_facts
from kis_bench.report.sections.methods.wording import (
    UNRECORDED,
    count_draws,
    enumerate_words,
    find_statistics,
    name_in_bold,
)
from kis_bench.report.tables import escape
from kis_bench.statistics.clusters import cluster_by_target

if TYPE_CHECKING:
    import pandas as pd

    from kis_bench.results import Run


def tell_ranking(run: Run) -> list[str]:
    """What similarity and rank are; of ranks that were imported, only that they were."""
    models = [str(name) for name in run.ranks["model"].unique()]
    imported = [name for name in models if is_imported(run, name)]
    said = []
    if len(imported) < len(models):
        several = any(
            int(find_facts(run, "models", name).get("vectors_per_item") or 1) > 1 for name in models
        )
        best = " Of an image with several vectors the largest product counts." if several else ""
        said += [
            "All images were ranked for each query by the dot product of the stored float32 vectors of query and "
            f"image, that is by cosine similarity.{best}",
            "With s the score of the target, its best rank is 1 plus the number of images that score more than s, its "
            "worst rank the number of images that score at least s, and its rank the middle of both.",
            f"{tell_engines(run, models)}Comparisons that float32 cannot decide were decided in float64 and, where "
            "that could err, by exact summation, so that ranks depend neither on the number of threads nor on the "
            "order of the collection.",
        ]
    if imported:
        said.append(
            f"The ranks of {enumerate_words(map(name_in_bold, imported))} were imported from M3RT as they were saved "
            "there, and not measured."
        )
    if several_targets(run.ranks):
        said.append("Of several targets of a query the best-placed one counts.")
    cut = run.ranks.loc[run.ranks["truncated"].eq(True)]
    if len(cut):
        each = [
            f"{escape(name)} {n:,}" for name, n in cut.groupby("model", sort=False).size().items()
        ]
        said.append(
            f"Texts longer than a model reads were truncated (number of texts: {enumerate_words(each)})."
        )
    return [" ".join(said)]


def tell_engines(run: Run, models: Sequence[str]) -> str:
    """What multiplied vectors for ranks, as far as it was recorded: a sentence with a space behind it, or nothing."""
    used: dict[tuple[str, str], list[str]] = {}
    for name in models:
        about = find_facts(run, "models", name).get("ranking")
        if isinstance(about, Mapping) and about.get("engine"):
            used.setdefault((str(about["engine"]), str(about.get("device") or "")), []).append(name)
    if not used:
        return ""
    ways = [
        f"{escape(engine)}{' on ' + escape(device) if device else ''}"
        + (f" ({enumerate_words(map(name_in_bold, names))})" if len(used) > 1 else "")
        for (engine, device), names in used.items()
    ]
    return f"The products were computed in float32 with {enumerate_words(ways)}. "


def several_targets(ranks: pd.DataFrame) -> bool:
    return bool(ranks["item_id"].astype(str).str.contains("|", regex=False).any())


def tell_metrics(run: Run) -> list[str]:
    """Definitions of the figures that the run has."""
    own = run.metrics[run.metrics["label_set"] != ""]
    names = {*own["metric"]}
    said = []
    if RECALL.name in names:
        cutoffs = sorted({int(k) for k in own.loc[own["metric"] == RECALL.name, "k"].dropna()})
        tied = bool((run.ranks["rank_best"] < run.ranks["rank_worst"]).any())
        ties = (
            "its expectation under random tie-breaking: with ranks from b to w a query counts "
            "(k - b + 1) / (w - b + 1), at least 0 and at most 1"
            if tied
            else "no target tied with another image"
        )
        shown = enumerate_words(map(str, cutoffs))
        said.append(
            f"Recall@k, for k = {shown}, is the share of queries whose target is among the first k images ({ties})."
        )
    if MRR.name in names:
        said.append("MRR is the mean of 1/rank.")
    if NDCG.name in names:
        said.append("nDCG@k is the mean of 1/log2(1 + rank) of targets among the first k, else 0.")
    return [" ".join([*said, *tell_wider(run, names)])]


def tell_wider(run: Run, names: set[str]) -> list[str]:
    """What else counts as found, where that is in the figures."""
    prefixes = {name.removesuffix(found.name) for name in names if (found := find_metric(name))}
    said = []
    for name in map(str, run.ranks["dataset"].unique()):
        about = find_facts(run, "datasets", name)
        rules = []
        if "segment_" in prefixes:
            seconds = about.get("segment_s")
            width = f"{number(seconds)} s around the target" if seconds is not None else UNRECORDED
            rules.append(f"the target's segment (what the query says, else {width})")
        if "group_" in prefixes and about.get("n_groups"):
            rules.append("the target's group (ranked among groups by their best images)")
        if "near_duplicate_" in prefixes:
            rule = about.get("near_duplicates")
            by = f"rule: {escape(rule)}" if rule else f"the rule {UNRECORDED}"
            rules.append(f"near-duplicates of the target ({by})")
        if rules:
            said.append(
                f"Figures that are named so also take for found on {name_in_bold(name)}: {enumerate_words(rules)}."
            )
    return said


def tell_figure_intervals(run: Run) -> list[str]:
    """How the intervals of the figures were made."""
    rows = run.metrics[run.metrics["label_set"] != ""]
    kinds = {found.kind for name in rows["metric"].unique() if (found := find_metric(str(name)))}
    cells = run.ranks.groupby(["dataset", "label_set", "model"], sort=False)["item_id"]
    clustered = [cluster_by_target(items) is not None for _, items in cells]
    draws = count_draws(find_statistics(run.provenance, "figures"), "resamples", "resamples")
    said = ["Intervals are 95% confidence intervals over queries:"]
    ways = []
    if "proportion" in kinds:
        ways.append("Wilson's score interval for recall")
    if "mean" in kinds:
        named = enumerate_words(one.words for one in (MRR, NDCG) if one.name in {*rows["metric"]})
        ways.append(f"the percentile bootstrap for {named} ({draws})")
    if "quantile" in kinds:
        ways.append("order statistics for median and quartiles")
    said.append(f"{enumerate_words(ways)}.")
    if any(clustered):
        where = "" if all(clustered) else "Where several queries have one target, "
        start = "queries" if where else "Queries"
        said.append(
            f"{where}{start} of one target are no independent observations, so that whole targets are resampled: "
            "recall is given Wilson's interval of the effective number of queries, means the wider one of the "
            "bootstrap over targets and Student's t."
        )
    return [" ".join(said)]
