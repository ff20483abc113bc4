"""How models, combinations and label sets were compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kis_bench.analysis.combinations import WAYS
from kis_bench.analysis.models import ALPHA
from kis_bench.fusion import RRF_K
from kis_bench.measuring.fused_ranks import DEPTH, FUSION_METHODS
from kis_bench.measuring.run import statistics
from kis_bench.metrics import RECALL
from kis_bench.report.sections.methods.wording import count_draws, enumerate_words

if TYPE_CHECKING:
    from kis_bench.analysis.findings import Findings


def tell_comparisons(found: Findings) -> list[str]:
    """Paired tests between models, where there were several.

    The numbers of draws are those of the code that draws the report, which computes the comparisons.
    """
    tables = [table for table in found.comparisons.values() if len(table)]
    if not tables:
        return []
    facts = statistics()["comparisons"]
    said = ["Models were compared in pairs on the queries that all were asked."]
    if left := sum(one.left_out for one in found.conditions.values()):
        said.append(f"{left:,} queries that not all were asked are left out of that.")
    tests = {str(test) for table in tables for test in table["test"].unique()}
    ways = []
    if "mcnemar" in tests:
        ways.append("McNemar's exact test for recall")
    if "randomization" in tests:
        also = ", and for recall where ties make hits shares" if flips_hits(found) else ""
        draws = count_draws(facts, "permutations", "sign patterns")
        ways.append(
            "the two-sided randomization test of the signs of the differences for means"
            f"{also} ({draws}; all patterns where these are fewer)"
        )
    resamples = count_draws(facts, "resamples", "resamples")
    said += [
        f"The test{'s are' if len(ways) > 1 else ' is'} {enumerate_words(ways)}.",
        "p-values are adjusted by Holm's method over all pairs of models under one measure, on one dataset and "
        f"label set; models share a letter unless adjusted p < {ALPHA:g}.",
        "Intervals of differences are Tango's score interval for recall and, for means, the wider one of the "
        f"percentile bootstrap ({resamples}) and Student's t.",
    ]
    if any(one.clusters is not None for one in found.conditions.values()):
        said.append("Queries of one target were flipped, drawn and left out together.")
    return [" ".join(said)]


def flips_hits(found: Findings) -> bool:
    """Whether recall was tested by sign flips, too."""
    return any(
        ((table["metric"] == RECALL.name) & (table["test"] == "randomization")).any()
        for table in found.comparisons.values()
    )


def tell_combinations(found: Findings) -> list[str]:
    """Which combinations were tried, how their parameters were learned, and what the advice rests on."""
    gains = [table for table in found.gains.values() if len(table)]
    if not gains:
        return []
    methods = {str(method) for table in gains for method in table["method"].unique()}
    ways = {**WAYS, "rrf": f"{WAYS['rrf']} (k = {RRF_K})"}
    named = [words for method, words in ways.items() if method in methods]
    facts = statistics()["combinations"]
    said = []
    if named:
        triples = any(table["model_3"].notna().any() for table in gains)
        some = "Pairs and triples" if triples else "Pairs"
        said.append(f"{some} of models were combined by {enumerate_words(named)}.")
    if methods & {*FUSION_METHODS}:
        said.append(f"Fused were the first {DEPTH:,} images of each list.")
    if methods & {"weighted", "switch"}:
        said.append(
            "Weights and points of switching were chosen by cross-validation in "
            f"{facts['cross_validation_folds']} folds (seed {facts['cross_validation_seed']}): those of a query "
            "without that query, and without others of its target."
        )
    said.append(
        "Gains are against the best single model under the same measure, with percentile bootstrap intervals "
        f"({count_draws(facts, 'resamples', 'resamples')}) and randomization tests "
        f"({count_draws(facts, 'permutations', 'sign patterns')})."
    )
    if "oracle" in methods:
        said.append("The oracle, the better rank of each query, is a bound that nobody can build.")
    if any(len(table) for table in found.advice.values()):
        said.append(
            "The gain of the best combination was estimated by choosing it, and the single model, on the other "
            f"folds; its interval ({facts['resamples_of_advice']:,} resamples) allows for the overlap of the "
            "folds, and its p-value for the number of combinations that were tried, by the bootstrap of the "
            f"largest t-value ({facts['resamples']:,} resamples)."
        )
    return [" ".join(said)]


def tell_label_sets(found: Findings) -> list[str]:
    """How label sets on the same targets were compared, where there were such."""
    if not any(len(summary) for summary, _ in found.label_sets.values()):
        return []
    facts = statistics()["label sets"]
    return [
        "Label sets on the same targets were compared target by target: differences with percentile bootstrap "
        f"intervals ({count_draws(facts, 'resamples', 'resamples')}; of medians "
        f"{facts['resamples_of_medians']:,} resamples), and McNemar's exact test for recall or the randomization "
        f"test ({count_draws(facts, 'permutations', 'sign patterns')}), adjusted by Holm's method."
    ]


def tell_growth(found: Findings) -> list[str]:
    """Where recall in collections of other sizes comes from, where it is shown."""
    if not any(len(table) for table in found.growth.values()):
        return []
    return [
        "Recall in smaller collections was computed in closed form from the ranks, as its expectation over random "
        "parts of the collection that hold the target; for larger ones it is extrapolated, as if further images "
        "were like these."
    ]
