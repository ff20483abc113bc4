"""The tables of a run, column by column.

From these records follow files and their types, the reading of older runs, what privacy and baseline files show, and
the lists of columns in docs/report.md (``python tools/docs.py``).
"""

from __future__ import annotations

from kis_bench.metrics import RELEVANCES
from kis_bench.results.schema import IN_BASELINES, PUBLIC, Column, Table

RUN_VERSION = 1
STUDY_SOURCE = "study:distances"  #: of models whose distances came with a study's own files

MODEL = Column("model", "string", "name of the model", IN_BASELINES)
DATASET = Column("dataset", "string", "name of the dataset", IN_BASELINES)
LABEL_SET = Column("label_set", "string", "name of the label set", IN_BASELINES)
LOW = Column("ci_low", "float64", "lower end of the 95% interval", PUBLIC, nullable=True)
HIGH = Column("ci_high", "float64", "upper end of the 95% interval", PUBLIC, nullable=True)


def list_places(relevance: str) -> tuple[Column, ...]:
    """The three columns of ranks under another rule of what counts as found; the rank of groups is an old one."""
    what = f"of the {relevance.replace('_', '-')}; empty where not known"
    rank = Column(f"{relevance}_rank", "float64", f"rank {what}", PUBLIC, True, "0.1.0")
    best = Column(f"{relevance}_rank_best", "int64", f"best rank {what}", PUBLIC, True, "0.1.0")
    worst = Column(f"{relevance}_rank_worst", "int64", f"worst rank {what}", PUBLIC, True, "0.1.0")
    return (best, worst) if relevance == "group" else (rank, best, worst)


_RANKS = (
    MODEL,
    DATASET,
    LABEL_SET,
    Column("query_id", "string", "the query", IN_BASELINES),
    Column("text", "string", "its text; empty under `--kis-privacy`"),
    Column("item_id", "string", "the target; several are joined by a vertical bar", IN_BASELINES),
    Column("rank", "float64", "the middle of the next two", IN_BASELINES),
    Column("rank_best", "int64", "rank before all items that tie with the target", IN_BASELINES),
    Column("rank_worst", "int64", "rank behind all items that tie with the target", IN_BASELINES),
    Column("group_rank", "float64", "rank of the group; empty where not known", IN_BASELINES, True),
    Column("n_items", "int64", "size of the collection", IN_BASELINES),
    Column(
        "truncated",
        "bool",
        "the text was longer than the model reads; empty in runs that were imported, and of vectors made elsewhere",
        PUBLIC,
        nullable=True,
    ),
    Column(
        "target_score",
        "float32",
        "cosine similarity of the query and its best-placed target",
        IN_BASELINES,
        nullable=True,
    ),
    Column("top_item_ids", "texts", "the first ten items, best first", PUBLIC, nullable=True),
    Column(
        "annotator",
        "string",
        "who wrote the text, where known; under `--kis-privacy` `annotator-1`, `annotator-2` …, "
        "also in `query_id`",
        PUBLIC,
        nullable=True,
        since="0.1.0",
    ),
    Column(
        "target_group",
        "string",
        "the group (video, day, burst) of the target, where the collection has groups; several "
        "are joined by a vertical bar; empty under `--kis-privacy`",
        nullable=True,
        since="0.1.0",
    ),
    *(column for relevance in RELEVANCES for column in list_places(relevance)),
    Column("n_targets", "int64", "how many items are the target", PUBLIC, True, "0.1.0"),
)
_TEXT_PLACES = (
    MODEL,
    DATASET,
    LABEL_SET,
    Column("item_id", "string", "the picture, which is the query here", PUBLIC),
    Column("n_targets", "int64", "how many texts of the label set are its own", PUBLIC),
    Column("rank", "float64", "the middle of the next two", PUBLIC),
    Column("rank_best", "int64", "rank of its best-placed text before all others that tie", PUBLIC),
    Column("rank_worst", "int64", "that rank behind all others that tie", PUBLIC),
    Column("n_texts", "int64", "texts of the label set, which are searched", PUBLIC),
    Column("target_score", "float32", "cosine similarity of the picture and that text", PUBLIC),
)
_JUDGMENTS = (
    MODEL,
    DATASET,
    Column("judgement_id", "string", "the judgment", IN_BASELINES),
    Column("triplet_id", "string", "the triplet that was judged", IN_BASELINES),
    Column("user_id", "string", "the person who judged", IN_BASELINES),
    Column(
        "agreement", "float64", "1: model and person agree; 0.5: a tie", IN_BASELINES, nullable=True
    ),
    Column(
        "margin",
        "float64",
        "similarity of the chosen candidate minus that of the other: positive where model and "
        "person agree",
        PUBLIC,
        nullable=True,
    ),
    Column(
        "target_item",
        "string",
        "the triplet's target picture, by which intervals and tests are clustered",
        IN_BASELINES,
        nullable=True,
        since="0.1.0",
    ),
)
_DISTANCES = (
    MODEL,
    DATASET,
    Column("triplet_id", "string", "the triplet", PUBLIC),
    Column("distance_candidate1", "float64", "from target to candidate 1", PUBLIC, nullable=True),
    Column("distance_candidate2", "float64", "from target to candidate 2", PUBLIC, nullable=True),
    Column("distance_candidates", "float64", "between the candidates", PUBLIC, nullable=True),
    Column(
        "margin",
        "float64",
        "similarity of target and candidate 1 minus that of target and candidate 2",
        PUBLIC,
        nullable=True,
    ),
)
COMMON = (
    "common"  #: the part of the judgments that all models know, where one lacks what another has
)
_AGREEMENT = (
    DATASET,
    Column("kind", "string", "`model` or `people`", PUBLIC),
    Column("model", "string", "name of the model, or the rule for people", PUBLIC),
    Column("protocol", "string", "`default` or `published`", PUBLIC),
    Column("counts", "string", "what is counted: `judgments` or `triplets`", PUBLIC),
    Column(
        "part",
        "string",
        f"of which judgments: `all`; `{COMMON}`, those that all models know, if one lacks what another "
        "has; or a `class` (as scuba, wedding), `bins` (how far from the "
        "target both candidates were drawn), `age_group`, `education`, `ml_expert`; "
        "`without participant` leaves one out",
        PUBLIC,
    ),
    Column("group", "string", "which class, bins, age group and so on", PUBLIC),
    Column("value", "float64", "the agreement", PUBLIC, nullable=True),
    LOW,
    HIGH,
    Column("n", "int64", "judgments, or triplets", PUBLIC),
    Column("n_triplets", "int64", "triplets that the interval is over", PUBLIC),
    Column("n_participants", "int64", "people", PUBLIC),
    Column("ties", "int64", "of the model", PUBLIC),
    Column("missing", "int64", "judgments of the part that a missing image left out", PUBLIC),
    Column(
        "n_targets", "int64", "target pictures that the interval is over", PUBLIC, True, "0.1.0"
    ),
    Column(
        "ceiling",
        "float64",
        "the largest consistency that a model could reach on these judgments",
        PUBLIC,
        nullable=True,
        since="0.1.0",
    ),
)
_PAIRS = (
    DATASET,
    Column("model_a", "string", "name of a model", PUBLIC),
    Column("model_b", "string", "name of another", PUBLIC),
    Column("difference", "float64", "consistency of a minus that of b", PUBLIC, nullable=True),
    LOW,
    HIGH,
    Column("p", "float64", "of the paired test", PUBLIC, nullable=True),
    Column("p_holm", "float64", "adjusted over all pairs of the dataset", PUBLIC, nullable=True),
    Column("n", "int64", "judgments that both know", PUBLIC),
    Column("correlation", "float64", "of both margins (`max_normalised`)", PUBLIC, nullable=True),
)
_FUSED = (
    DATASET,
    LABEL_SET,
    Column("query_id", "string", "the query", PUBLIC),
    Column("method", "string", "how lists are fused", PUBLIC),
    Column("model_1", "string", "name of a model", PUBLIC),
    Column("model_2", "string", "name of another", PUBLIC),
    Column("model_3", "string", "name of a third; empty for pairs", PUBLIC, nullable=True),
    Column("parameter", "float64", "the weight of `model_1`, where one was learned", PUBLIC, True),
    Column("rank", "float64", "the middle of the next two", PUBLIC),
    Column("rank_best", "int64", "rank before all items that tie with the target", PUBLIC),
    Column("rank_worst", "int64", "rank behind all items that tie with the target", PUBLIC),
)
_PUBLISHED = (
    DATASET,
    Column("label_set", "string", "name of the label set; empty: image similarity", PUBLIC, True),
    MODEL,
    Column("metric", "string", "as in `metrics.csv`", PUBLIC),
    Column("k", "Int64", "cut-off, where the metric has one", PUBLIC, nullable=True),
    Column("value", "float64", "the figure", PUBLIC),
    Column("n", "int64", "queries, triplets or judgments", PUBLIC, nullable=True),
    Column("tolerance", "float64", "how exactly it is known; 0: from printed counts", PUBLIC, True),
    Column("published_as", "string", "the model's name in the source", PUBLIC, nullable=True),
    Column("source", "string", "where it was published", PUBLIC),
    Column(
        "direction",
        "string",
        "`image-to-text` where pictures look for their texts, else empty",
        PUBLIC,
        nullable=True,
        since="0.1.0",
    ),
)
_METRICS = (
    MODEL,
    DATASET,
    Column("label_set", "string", "name of the label set; empty: image similarity", PUBLIC, True),
    Column("metric", "string", "what was measured", PUBLIC),
    Column("k", "Int64", "cut-off of recall, else empty", PUBLIC, nullable=True),
    Column("value", "float64", "the figure", PUBLIC, nullable=True),
    LOW,
    HIGH,
    Column("n", "int64", "queries, judgments or triplets", PUBLIC),
    Column(
        "n_targets",
        "int64",
        "their targets, by which intervals are clustered",
        PUBLIC,
        True,
        "0.1.0",
    ),
)
_TEXT_FIGURES = (
    MODEL,
    DATASET,
    LABEL_SET,
    Column(
        "metric",
        "string",
        "as in `metrics.csv`, of a picture's best-placed text, so that `ndcg` is that of one found text",
        PUBLIC,
    ),
    Column("k", "Int64", "cut-off, where the metric has one", PUBLIC, nullable=True),
    Column("value", "float64", "the figure", PUBLIC),
    LOW,
    HIGH,
    Column("n", "int64", "pictures that have a text, each a query", PUBLIC),
    Column("n_texts", "int64", "texts that are searched", PUBLIC),
)
_TIMINGS = (
    MODEL,
    DATASET,
    Column("label_set", "string", "name of the label set; empty for pictures", PUBLIC, True),
    Column(
        "step",
        "string",
        "`embed images`, `embed texts`, `relevance` (finding segments and near-duplicates; once "
        "for all models), `rank`, or `rank texts` in the direction from image to text",
        PUBLIC,
    ),
    Column("seconds", "float64", "how long it took", PUBLIC),
    Column("n", "int64", "of how many", PUBLIC),
    Column("per_second", "float64", "how many in a second", PUBLIC, nullable=True),
    Column(
        "cached",
        "bool",
        "the vectors were in the store already, so that the time tells nothing of the model",
        PUBLIC,
        nullable=True,
    ),
    Column(
        "limit",
        "string",
        "what embedding waited for longest: `decode` (reading and preparing pictures), `forward` (the model) or `disk` "
        "(writing vectors); empty where nothing was encoded",
        PUBLIC,
        nullable=True,
        since="0.1.0",
    ),
)
_VERDICTS = (
    Column("model", "string", "which model was judged", PUBLIC),
    Column("dataset", "string", "on which dataset", PUBLIC),
    Column("label_set", "string", "and label set; empty: image similarity", PUBLIC, True),
    Column(
        "metric",
        "string",
        "as in thresholds, such as `recall@10`; `rank` where queries are judged one by one, "
        "`agreement` where judgments are",
        PUBLIC,
    ),
    Column("expected", "string", "in words", PUBLIC),
    Column(
        "obtained",
        "float64",
        "the figure; of `query factor` the largest factor; of `exact` the largest difference, or "
        "how many judgments differ",
        PUBLIC,
        nullable=True,
    ),
    Column(
        "verdict",
        "string",
        "`pass`, `fail`; `not compared`: the baseline doesn't have this model there; `unusable`: "
        "the baseline is of another dataset or rule",
        PUBLIC,
    ),
    Column(
        "rule",
        "string",
        "`threshold`; against a baseline `significance`, `tolerance`, `query factor` or `exact`; "
        "`baseline` where nothing was compared",
        PUBLIC,
        nullable=True,
        since="0.1.0",
    ),
    Column(
        "judged_by",
        "string",
        "file and line of the threshold, or the run that is the baseline",
        PUBLIC,
        nullable=True,
        since="0.1.0",
    ),
    Column("ci_low", "float64", "of thresholds: 95% interval", PUBLIC, True, "0.1.0"),
    Column("ci_high", "float64", "of thresholds: 95% interval", PUBLIC, True, "0.1.0"),
    Column(
        "p",
        "float64",
        "of `significance`: one-sided, adjusted over the whole run; empty where there is no test",
        PUBLIC,
        nullable=True,
        since="0.1.0",
    ),
    Column(
        "queries",
        "texts",
        "where `significance`, `tolerance`, `query factor` or `exact` failed: by which queries or "
        'judgments, the worst first, as a JSON list such as `["q017: 3 → 212", "q003: 1 → 12"]`; '
        "at most 200",
        PUBLIC,
        nullable=True,
        since="0.1.0",
    ),
    Column("n_queries", "int64", "by how many; 0: none are named", PUBLIC, True, "0.1.0"),
    Column(
        "remark",
        "string",
        "what is known of why it failed, and what to do; mostly empty",
        PUBLIC,
        nullable=True,
        since="0.1.0",
    ),
)
TABLES = {
    table.name: table
    for table in (
        Table("ranks", "ranks.parquet", _RANKS),
        Table("judgments", "judgments.parquet", _JUDGMENTS),
        Table("metrics", "metrics.csv", _METRICS),
        Table("timings", "timings.csv", _TIMINGS),
        Table("verdicts", "verdicts.csv", _VERDICTS),
        Table("distances", "distances.parquet", _DISTANCES, optional=True),
        Table("agreement", "agreement.csv", _AGREEMENT, optional=True),
        Table("pairs", "model_pairs.csv", _PAIRS, optional=True),
        Table("published", "published.csv", _PUBLISHED, optional=True),
        Table("fused", "fused.parquet", _FUSED, optional=True),
        Table("image_to_text", "image_to_text.parquet", _TEXT_PLACES, optional=True),
        Table("text_figures", "image_to_text.csv", _TEXT_FIGURES, optional=True),
    )
}
RANKS, ALL_RANKS = TABLES["ranks"].required, TABLES["ranks"].names
VERDICTS, ALL_VERDICTS = TABLES["verdicts"].required, TABLES["verdicts"].names
PUBLISHED, ALL_PUBLISHED = TABLES["published"].required, TABLES["published"].names
JUDGMENTS, METRICS, TIMINGS, DISTANCES, AGREEMENT, PAIRS, FUSED, TEXT_PLACES = (
    TABLES[name].names
    for name in (
        "judgments",
        "metrics",
        "timings",
        "distances",
        "agreement",
        "pairs",
        "fused",
        "image_to_text",
    )
)
TEXT_FIGURES = TABLES["text_figures"].names
