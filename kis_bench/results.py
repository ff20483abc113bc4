"""A run's tables and provenance: measured, written in one piece, read back."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.spreadsheets import unguarded, write_csv
from kis_bench.metrics import hits_at_k, mean_reciprocal_rank, rank_quantile, recall_at_k
from kis_bench.statistics import bootstrap_interval, quantile_interval, wilson_interval
from kis_bench.statistics.clusters import count, of_targets
from kis_bench.statistics.paired_intervals import mean_intervals

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
RANKS = [
    "model", "dataset", "label_set", "query_id", "text", "item_id", "rank", "rank_best", "rank_worst",
    "group_rank", "n_items", "truncated", "target_score", "top_item_ids",
]  # fmt: skip
#: What counts as found, beside the item itself: prefixes of columns of ranks and of names of metrics.
RELEVANCES = ("segment", "group", "near_duplicate")
#: Where known: who wrote the text, and which group (video, day, burst) the target is of.
ABOUT_QUERIES = ["annotator", "target_group"]
#: Columns of ranks that a table may lack.
OTHER_RANKS = [c for n in RELEVANCES for c in (f"{n}_rank", f"{n}_rank_best", f"{n}_rank_worst") if c not in RANKS]
ALL_RANKS = [*RANKS, *ABOUT_QUERIES, *OTHER_RANKS]
JUDGMENTS = ["model", "dataset", "judgement_id", "triplet_id", "user_id", "agreement", "margin", "target_item"]
#: Cosine distances of every triplet; margin: similarity of target and candidate 1 less that of target and candidate 2
DISTANCES = [
    "model", "dataset", "triplet_id", "distance_candidate1", "distance_candidate2", "distance_candidates", "margin",
]  # fmt: skip
#: Agreement with people: kind is model or people; protocol default or published; counts judgments or triplets.
AGREEMENT = [
    "dataset", "kind", "model", "protocol", "counts", "part", "group", "value", "ci_low", "ci_high", "n", "n_triplets",
    "n_participants", "ties", "missing", "n_targets", "ceiling",
]  # fmt: skip
PAIRS = ["dataset", "model_a", "model_b", "difference", "ci_low", "ci_high", "p", "p_holm", "n", "correlation"]
#: Ranks of the targets where models are combined; model_3 is missing for pairs, parameter where a method has none.
FUSED = [
    "dataset", "label_set", "query_id", "method", "model_1", "model_2", "model_3", "parameter", "rank", "rank_best",
    "rank_worst",
]  # fmt: skip
PUBLISHED = ["dataset", "label_set", "model", "metric", "k", "value", "n", "tolerance", "published_as", "source"]
#: n_targets: where several of the n queries have one target, by which the intervals are clustered then.
METRICS = ["model", "dataset", "label_set", "metric", "k", "value", "ci_low", "ci_high", "n", "n_targets"]
TIMINGS = ["model", "dataset", "label_set", "step", "seconds", "n", "per_second", "cached"]
VERDICTS = ["model", "dataset", "label_set", "metric", "expected", "obtained", "verdict"]
#: Which rule judged, by what (a file and line, or a baseline), how sure the figure is, by which queries it failed and
#: by how many; the queries are a tuple, in the file a JSON list.
OTHER_VERDICTS = ["rule", "judged_by", "ci_low", "ci_high", "p", "queries", "n_queries", "remark"]
ALL_VERDICTS = [*VERDICTS, *OTHER_VERDICTS]
STUDY_SOURCE = "study:distances"  #: of models whose distances came with a study's own files
RECALL_AT = (1, 5, 10, 50, 100)

# Columns that are not listed here hold text.
_PARQUET_TYPES = {
    "rank": "float64", "rank_best": "int64", "rank_worst": "int64", "group_rank": "float64", "n_items": "int64",
    "truncated": "bool", "target_score": "float32", "agreement": "float64", "margin": "float64",
    "parameter": "float64",
    "distance_candidate1": "float64", "distance_candidate2": "float64", "distance_candidates": "float64",
    **{column: "float64" if column.endswith("_rank") else "int64" for column in OTHER_RANKS},
}  # fmt: skip
# With nulls these become pandas' own kinds, which know them.
_NULLABLE = {"int64": "Int64", "bool": "boolean"}
_CSV_TEXT = {
    "model", "dataset", "label_set", "metric", "step", "verdict", "kind", "protocol", "counts", "part", "group",
    "model_a", "model_b", "published_as", "source", "expected", "rule", "judged_by", "queries",
    "remark",
}  # fmt: skip
#: Columns that a table may lack: what an older version didn't write, and ranks that a collection doesn't have.
_MAY_LACK = {*OTHER_RANKS, *ABOUT_QUERIES, *OTHER_VERDICTS, "target_item", "n_targets", "ceiling"}


@dataclass(frozen=True)
class Run:
    """Everything that one run measured."""

    folder: Path
    ranks: pd.DataFrame
    judgments: pd.DataFrame
    metrics: pd.DataFrame
    timings: pd.DataFrame
    verdicts: pd.DataFrame
    provenance: dict[str, Any]
    # Of image similarity; without rows in a run that measured none.
    distances: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=DISTANCES))
    agreement: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=AGREEMENT))
    pairs: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=PAIRS))
    published: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=PUBLISHED))
    # Of combinations of models; without rows where fewer than two were measured.
    fused: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FUSED))


def of_study(provenance: Mapping[str, Any], model: str) -> bool:
    """Whether a model's distances came with the files of a study."""
    about = (provenance.get("models") or {}).get(model) or {}
    return str(about.get("source", "")).startswith(STUDY_SOURCE.partition(":")[0] + ":")


def run_of(folder: Path, provenance: Mapping[str, Any], **tables: pd.DataFrame) -> Run:
    """A run of the tables that are named; the others are empty."""
    columns = {"ranks": ALL_RANKS, "judgments": JUDGMENTS, "metrics": METRICS, "timings": TIMINGS,
               "verdicts": ALL_VERDICTS}  # fmt: skip
    whole = {name: pd.DataFrame(columns=names) for name, names in columns.items()} | tables
    return Run(folder=folder, provenance=dict(provenance), **whole)


#: Tables that a run has only where there is something in them: file and columns.
OPTIONAL_TABLES = {
    "distances": ("distances.parquet", DISTANCES),
    "agreement": ("agreement.csv", AGREEMENT),
    "pairs": ("model_pairs.csv", PAIRS),
    "published": ("published.csv", PUBLISHED),
    "fused": ("fused.parquet", FUSED),
}


def metrics_table(ranks: pd.DataFrame, at: Sequence[int] = RECALL_AT) -> pd.DataFrame:
    """Recall, MRR and quartiles of the rank with 95% intervals, for each model, dataset and label set.

    Of the other relevances, where they are known: recall and median, over the queries that have such a rank. ``at``
    are the cut-offs of recall. Intervals are clustered by target.
    """
    rows: list[tuple[Any, ...]] = []
    for key, group in ranks.groupby(["model", "dataset", "label_set"], sort=False):
        rank = group["rank"].to_numpy(np.float64)
        clusters = of_targets(group["item_id"])
        n = len(group), count(clusters, len(group))
        rows += recalls(key, "", group, at)
        mrr = mean_reciprocal_rank(rank), *mrr_interval(rank, clusters)
        rows.append((*key, "mrr", None, *mrr, *n))
        for name, q in (("median_rank", 0.5), ("lower_quartile_rank", 0.25), ("upper_quartile_rank", 0.75)):
            interval = quantile_interval(rank, q, clusters=clusters)
            rows.append((*key, name, None, rank_quantile(rank, q), *interval, *n))
        for name in (name for name in RELEVANCES if f"{name}_rank_best" in group):
            known = group[group[f"{name}_rank_best"].notna()]
            if len(known):
                rank, clusters = known[f"{name}_rank"].to_numpy(np.float64), of_targets(known["item_id"])
                rows += recalls(key, f"{name}_", known, at)
                middle = rank_quantile(rank, 0.5), *quantile_interval(rank, 0.5, clusters=clusters)
                n = len(known), count(clusters, len(known))
                rows.append((*key, f"{name}_median_rank", None, *middle, *n))
    table = pd.DataFrame(rows, columns=METRICS)
    types = {"k": "Int64", "n": "int64", "n_targets": "Int64"}
    types |= dict.fromkeys(("value", "ci_low", "ci_high"), "float64")
    return table.astype(types)


def mrr_interval(rank: NDArray[np.float64], clusters: NDArray[np.int64] | None) -> tuple[float, float]:
    """Percentile bootstrap over queries; of clusters, :func:`kis_bench.statistics.paired_intervals.mean_intervals`."""
    if clusters is None:
        return bootstrap_interval(1.0 / rank)
    low, high = mean_intervals(1.0 / rank[None], clusters=clusters)[0]
    return max(0.0, float(low)), min(1.0, float(high))


def recalls(key: Any, prefix: str, group: pd.DataFrame, at: Sequence[int]) -> list[tuple[Any, ...]]:
    """Recall at each cut-off with Wilson's interval by target, of the ranks whose columns have that prefix."""
    best = group[f"{prefix}rank_best"].to_numpy(np.int64)
    worst = group[f"{prefix}rank_worst"].to_numpy(np.int64)
    clusters = of_targets(group["item_id"])
    n = len(group), count(clusters, len(group))
    return [
        (*key, f"{prefix}recall", k, recall_at_k(best, worst, k),
         *wilson_interval(hits_at_k(best, worst, k), clusters=clusters), *n)
        for k in at
    ]  # fmt: skip


def _columns(frame: pd.DataFrame, columns: list[str], name: str) -> pd.DataFrame:
    """The named columns in their order; an empty table may come without any, and any without other ranks."""
    missing = [c for c in columns if c not in frame.columns and c not in _MAY_LACK]
    if missing and len(frame):
        raise KisBenchError(f"the table {name} lacks the column(s) {', '.join(missing)}")
    return frame.reindex(columns=columns)


def _schema(columns: list[str]) -> pa.Schema:
    import pyarrow as pa

    def kind(column: str) -> pa.DataType:
        if column == "top_item_ids":
            return pa.list_(pa.string())
        return pa.type_for_alias(_PARQUET_TYPES.get(column, "string"))

    return pa.schema([(column, kind(column)) for column in columns])


def _write_parquet(frame: pd.DataFrame, columns: list[str], file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = _columns(frame, columns, file.stem).copy()
    for column in columns:
        if column != "top_item_ids":
            # Ids that a caller holds as numbers are text in the file; absent group ranks become nulls.
            kind: Any = _PARQUET_TYPES.get(column, "string")
            if frame[column].isna().any():
                kind = _NULLABLE.get(kind, kind)
            frame[column] = frame[column].astype(kind)
    pq.write_table(pa.Table.from_pandas(frame, schema=_schema(columns), preserve_index=False), file)


def _write_csv(frame: pd.DataFrame, columns: list[str], file: Path) -> None:
    write_csv(_columns(frame, columns, file.stem), file)


def with_lists(verdicts: pd.DataFrame) -> pd.DataFrame:
    """With each tuple of queries as text, JSON; empty where there is none."""
    if "queries" not in verdicts:
        return verdicts
    texts = ["" if not isinstance(own, tuple) or not own else json.dumps(own, ensure_ascii=False)
             for own in verdicts["queries"]]  # fmt: skip
    return verdicts.assign(queries=pd.Series(texts, verdicts.index, object))


def without_lists(verdicts: pd.DataFrame) -> pd.DataFrame:
    """With each text of :func:`with_lists` as a tuple; what an older version wrote there counts as one query's."""

    def listed(text: object) -> tuple[str, ...]:
        if not isinstance(text, str) or not text:
            return ()
        try:
            return tuple(map(str, json.loads(text)))
        except (ValueError, TypeError):
            return (text,)

    lists = pd.Series([listed(text) for text in verdicts["queries"]], verdicts.index, object)
    return verdicts.assign(queries=lists)


def _sync(path: Path) -> None:
    """Make a file or folder durable; folders cannot be opened on every system."""
    try:
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except (PermissionError, IsADirectoryError):
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _point_latest(parent: Path, name: str) -> None:
    """Let `latest` lead to the run; replaced in one step so that it never leads nowhere."""
    fresh = parent / f".latest-{secrets.token_hex(4)}"
    try:
        try:
            fresh.symlink_to(name, target_is_directory=True)
        except (OSError, NotImplementedError):
            fresh.write_text(name + "\n", encoding="utf-8")
        os.replace(fresh, parent / "latest")
    finally:
        fresh.unlink(missing_ok=True)


def write_run(
    parent: Path,
    *,
    ranks: pd.DataFrame,
    judgments: pd.DataFrame,
    timings: pd.DataFrame,
    verdicts: pd.DataFrame,
    provenance: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame] | None = None,
    draw: Callable[[Path], None] | None = None,
) -> Path:
    """Write a run folder below parent, whole or not at all, and let `latest` lead to it.

    `tables` has those of OPTIONAL_TABLES, and further rows of `metrics`. `draw` gets the folder,
    its tables already inside, and adds the report.
    """
    parent = Path(parent)
    name = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    hidden, folder = parent / f".{name}.partial", parent / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        hidden.mkdir()
        head = {**provenance, "schema_version": SCHEMA_VERSION}
        text = json.dumps(head, indent=2, ensure_ascii=False, default=str, sort_keys=True)
        (hidden / "run.json").write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
        _write_parquet(ranks, ALL_RANKS, hidden / "ranks.parquet")
        _write_parquet(judgments, JUDGMENTS, hidden / "judgments.parquet")
        others = dict(tables or {})
        metrics = [metrics_table(_columns(ranks, ALL_RANKS, "ranks")), others.pop("metrics", pd.DataFrame())]
        filled = [table for table in metrics if len(table)] or metrics[:1]
        _write_csv(pd.concat(filled, ignore_index=True), METRICS, hidden / "metrics.csv")
        for kind, table in others.items():
            file, columns = OPTIONAL_TABLES[kind]
            if len(table):
                write = _write_csv if file.endswith(".csv") else _write_parquet
                write(table, columns, hidden / file)
        _write_csv(timings, TIMINGS, hidden / "timings.csv")
        _write_csv(with_lists(verdicts), ALL_VERDICTS, hidden / "verdicts.csv")
        if draw is not None:
            draw(hidden)
        for path in [*hidden.rglob("*"), hidden]:
            _sync(path)
        os.rename(hidden, folder)
        _sync(parent)
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        raise KisBenchError(
            f"the run could not be written to {parent}: {error.strerror or error}. Nothing was left there; "
            "free some space or name another folder, then run again (embeddings are kept)."
        ) from error
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    try:
        _point_latest(parent, name)
    except OSError as error:
        raise KisBenchError(
            f"the run was written to {folder}, but {parent / 'latest'} could not be set: {error.strerror or error}"
        ) from error
    return folder


def _read_parquet(file: Path, columns: list[str]) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Opened as one file: a folder name such as `a=b` must not be taken for a partition column.
        with pq.ParquetFile(file) as parquet:
            table = parquet.read()
    except (pa.ArrowException, OSError) as error:
        raise BadFile(file, [f"not a readable Parquet file: {error}"]) from error
    return _checked(table.to_pandas(), columns, file)


def _read_csv(file: Path, columns: list[str]) -> pd.DataFrame:
    # A model may be called "NA" or "007": names stay text, and only empty cells of the other columns are missing.
    missing_cells = {c: [""] for c in columns if c not in _CSV_TEXT}
    types: dict[str, Any] = {c: "str" for c in columns if c in _CSV_TEXT}
    if "k" in columns:
        types["k"] = "Int64"
    try:
        frame = pd.read_csv(file, dtype=types, keep_default_na=False, na_values=missing_cells)
    except (ValueError, OSError) as error:
        raise BadFile(file, [f"not a readable CSV file: {error}"]) from error
    for column in _CSV_TEXT & {*frame.columns}:
        frame[column] = frame[column].map(unguarded)
    return _checked(frame, columns, file)


def _checked(frame: pd.DataFrame, columns: list[str], file: Path) -> pd.DataFrame:
    missing = [c for c in columns if c not in frame.columns and c not in _MAY_LACK]
    if missing:
        raise BadFile(file, [f"the column {c!r} is missing" for c in missing])
    return frame.reindex(columns=[*frame.columns, *(c for c in columns if c not in frame.columns)])


def check_schema(head: Any, file: Path) -> None:
    """BadFile unless what a run says about itself is of a version that can be read."""
    version = head.get("schema_version") if isinstance(head, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise BadFile(file, ["schema_version is missing or not a whole number"])
    if version > SCHEMA_VERSION:
        newer = f"written with schema version {version}, this kis-bench reads up to {SCHEMA_VERSION}"
        raise BadFile(file, [f"{newer}; install a newer kis-bench"])


def read_run(folder: Path) -> Run:
    """The run in a folder that `write_run` made; `latest` may be given as well."""
    folder = Path(folder)
    if folder.name == "latest" and folder.is_file():
        folder = folder.parent / folder.read_text(encoding="utf-8").strip()
    if not folder.is_dir():
        raise KisBenchError(f"there is no run folder {folder}")
    names = ["run.json", "ranks.parquet", "judgments.parquet", "metrics.csv", "timings.csv", "verdicts.csv"]
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise KisBenchError(f"{folder} is not a whole run: missing {', '.join(absent)}")
    file = folder / "run.json"
    try:
        head = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BadFile(file, [f"not readable as JSON: {error}"]) from error
    check_schema(head, file)
    return Run(
        folder=folder,
        ranks=_read_parquet(folder / "ranks.parquet", ALL_RANKS),
        judgments=_read_parquet(folder / "judgments.parquet", JUDGMENTS),
        metrics=_read_csv(folder / "metrics.csv", METRICS),
        timings=_read_csv(folder / "timings.csv", TIMINGS),
        verdicts=without_lists(_read_csv(folder / "verdicts.csv", ALL_VERDICTS)),
        provenance=head,
        **{
            table: (_read_csv if file.endswith(".csv") else _read_parquet)(folder / file, columns)
            for table, (file, columns) in OPTIONAL_TABLES.items()
            if (folder / file).is_file()
        },
    )
