"""The tables of a run and their columns."""

from __future__ import annotations

from kis_bench.metrics import RELEVANCES

SCHEMA_VERSION = 1
RANKS = [
    "model",
    "dataset",
    "label_set",
    "query_id",
    "text",
    "item_id",
    "rank",
    "rank_best",
    "rank_worst",
    "group_rank",
    "n_items",
    "truncated",
    "target_score",
    "top_item_ids",
]
#: Where known: who wrote the text, and which group (video, day, burst) the target is of.
ABOUT_QUERIES = ["annotator", "target_group"]
#: Columns of ranks that a table may lack.
OTHER_RANKS = [
    c
    for n in RELEVANCES
    for c in (f"{n}_rank", f"{n}_rank_best", f"{n}_rank_worst")
    if c not in RANKS
]
ALL_RANKS = [*RANKS, *ABOUT_QUERIES, *OTHER_RANKS]
JUDGMENTS = [
    "model",
    "dataset",
    "judgement_id",
    "triplet_id",
    "user_id",
    "agreement",
    "margin",
    "target_item",
]
#: Cosine distances of every triplet; margin: similarity of target and candidate 1 minus that of target and candidate 2
DISTANCES = [
    "model",
    "dataset",
    "triplet_id",
    "distance_candidate1",
    "distance_candidate2",
    "distance_candidates",
    "margin",
]
#: Agreement with people: kind is model or people; protocol default or published; counts judgments or triplets.
AGREEMENT = [
    "dataset",
    "kind",
    "model",
    "protocol",
    "counts",
    "part",
    "group",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "n_triplets",
    "n_participants",
    "ties",
    "missing",
    "n_targets",
    "ceiling",
]
PAIRS = [
    "dataset",
    "model_a",
    "model_b",
    "difference",
    "ci_low",
    "ci_high",
    "p",
    "p_holm",
    "n",
    "correlation",
]
#: Ranks of the targets where models are combined; model_3 is missing for pairs, parameter where a method has none.
FUSED = [
    "dataset",
    "label_set",
    "query_id",
    "method",
    "model_1",
    "model_2",
    "model_3",
    "parameter",
    "rank",
    "rank_best",
    "rank_worst",
]
PUBLISHED = [
    "dataset",
    "label_set",
    "model",
    "metric",
    "k",
    "value",
    "n",
    "tolerance",
    "published_as",
    "source",
]
#: n_targets: where several of the n queries have one target, by which the intervals are clustered then.
METRICS = [
    "model",
    "dataset",
    "label_set",
    "metric",
    "k",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "n_targets",
]
TIMINGS = ["model", "dataset", "label_set", "step", "seconds", "n", "per_second", "cached"]
VERDICTS = ["model", "dataset", "label_set", "metric", "expected", "obtained", "verdict"]
#: Which rule judged, by what (a file and line, or a baseline), how sure the figure is, by which queries it failed and
#: by how many; the queries are a tuple, in the file a JSON list.
OTHER_VERDICTS = ["rule", "judged_by", "ci_low", "ci_high", "p", "queries", "n_queries", "remark"]
ALL_VERDICTS = [*VERDICTS, *OTHER_VERDICTS]
STUDY_SOURCE = "study:distances"  #: of models whose distances came with a study's own files
#: Tables that a run has only where there is something in them: file and columns.
OPTIONAL_TABLES = {
    "distances": ("distances.parquet", DISTANCES),
    "agreement": ("agreement.csv", AGREEMENT),
    "pairs": ("model_pairs.csv", PAIRS),
    "published": ("published.csv", PUBLISHED),
    "fused": ("fused.parquet", FUSED),
}
