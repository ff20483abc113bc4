"""Exports a run for other information-retrieval tools: TREC, CSV and Parquet.

For each dataset, label set and model one file with the ranking, for each dataset and label set one with the targets
(qrels). Scores are the true ones rounded to float64, equal where items tie; or places, which every tool puts in the
same order. Tools break ties in their own ways (`kis_bench.exchange.foreign_ties`), and trec_eval sees a tie wherever
scores agree in single precision.

TREC lines are split at white space, by some tools in the machine's own encoding: ids and tags are percent-encoded
there (RFC 3986) unless they are visible ASCII without ``%`` and ``"``; ``urllib.parse.unquote`` gives them back.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from kis_bench.errors import KisBenchError
from kis_bench.exchange.foreign_ties import (
    SCORE_KINDS,
    describe_differences,
    read_as_others,
)
from kis_bench.exchange.rankings import (
    Unavailable,
    collect_targets,
    load_measured_dataset,
    rank_by_table,
    rank_by_vectors,
)
from kis_bench.files.text import make_file_name
from kis_bench.files.whole import fill_folder, write_whole
from kis_bench.records import Dataset
from kis_bench.results import Run
from kis_bench.store import Store, default_store

EXPORT_FORMS = ("trec", "csv", "parquet")
DEFAULT_DEPTH = 1000  #: items per query, as is usual at TREC
SAFE_CHARACTERS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '%"')


def export_run(
    run: Run,
    form: str,
    out: Path,
    *,
    depth: int | None = None,
    scores: str = "similarity",
    store: Store | None = None,
    datasets: Mapping[str, Path | None] = {},
) -> list[str]:
    """Writes rankings and qrels into the folder ``out``, once all are made; returns what was written, a line per file.

    Args:
        form: "trec", "csv" or "parquet".
        depth: items per query; None: 1000 where dataset and vectors are those of the run, else what its table holds.
        scores: "similarity", the true ones, or "places": whole numbers from 1 in the same order, equal where those are.
            Without vectors they are places in any case.
        datasets: folders of datasets by name; the others are built in or below ``KIS_DATA``.

    Raises:
        KisBenchError: an unknown form or kind of scores, a depth that can't be had, data that contradict the run, a
            full disk.
    """
    if form not in EXPORT_FORMS:
        raise KisBenchError(f"unknown form {form!r}: known are {', '.join(EXPORT_FORMS)}")
    if scores not in SCORE_KINDS:
        raise KisBenchError(f"unknown scores {scores!r}: known are {', '.join(SCORE_KINDS)}")
    if run.ranks.empty:
        other = "; kis-bench export reset-csv writes its distances" if len(run.distances) else ""
        raise KisBenchError(
            f"{run.folder} has no ranks, because nothing of known-item search was measured{other}"
        )
    if depth is not None and depth < 1:
        raise KisBenchError(
            f"{run.folder}: {len(run.ranks)} ranks to depth {depth} are nothing to export"
        )
    remarks: list[str] = []
    with fill_folder(out) as hidden:
        for name, rows in run.ranks.groupby("dataset", sort=False):
            dataset = load_measured_dataset(run, str(name), datasets.get(str(name)))
            for _, some in rows.groupby("label_set", sort=False):
                remarks += write_label_set(run, some, dataset, store, depth, scores, form, hidden)
        if not any(hidden.iterdir()):
            raise KisBenchError(
                "\n  ".join([f"nothing in {run.folder} can be exported:", *remarks])
            )
    return remarks


def write_label_set(
    run: Run,
    rows: pd.DataFrame,
    dataset: Dataset | Unavailable,
    store: Store | None,
    depth: int | None,
    scores: str,
    form: str,
    folder: Path,
) -> list[str]:
    """Writes the run file of each model on one label set, and the qrels of their queries."""
    name, label_set = rows[["dataset", "label_set"]].iloc[0]
    targets = collect_targets(rows, dataset)
    remarks, judged = [], dict[str, tuple[str, ...]]()
    for model, every in rows.groupby("model", sort=False):
        cell = every.drop_duplicates("query_id")  # two tests may have measured the same
        asked = cell[cell["query_id"].isin(targets)]
        try:
            ranking, remark = rank_by_vectors(
                run, asked, dataset, store or Store(default_store()), depth or DEFAULT_DEPTH
            )
        except Unavailable as why:
            ranking, remark = rank_by_table(asked, targets, depth, why)
        if scores == "places":
            ranking["score"] = ranking.groupby("query_id")["score"].rank(method="dense")
        queries = ranking["query_id"].unique()
        if len(queries) < len(cell):
            remark += f"; left out: {len(cell) - len(queries)} queries without a target or without ranked items"
        if len(queries) == 0:
            remarks.append(f"{name} {label_set} {model}: not written{remark}")
            continue
        file = f"{make_file_name(name, label_set, str(model))}.run.{form}"
        write_whole(folder / file, format_ranking(ranking, form, str(model)))
        read = read_as_others(ranking, targets, encode_name if form == "trec" else str)
        differs = describe_differences(read, asked[asked["query_id"].isin(queries)])
        remarks.append(f"{file}: {len(queries)} queries, {len(ranking)} items{remark}{differs}")
        judged |= {query: targets[query] for query in queries}
    if judged:
        file = f"{make_file_name(name, label_set)}.qrels.{form}"
        pairs = [(query, item, 1) for query, items in judged.items() for item in items]
        write_whole(
            folder / file,
            format_ranking(pd.DataFrame(pairs, columns=["query_id", "doc_id", "relevance"]), form),
        )
        remarks.append(f"{file}: {len(judged)} queries, {len(pairs)} targets")
    return remarks


def format_ranking(table: pd.DataFrame, form: str, tag: str = "") -> bytes:
    """The content of a file with a ranking, or with qrels, which have no score."""
    if form == "parquet":
        return table.to_parquet(index=False)
    if (
        form == "csv"
    ):  # with all ids in quotes, because one with a carriage return would not get them otherwise
        return table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).encode(
            "utf-8"
        )
    word = {
        name: encode_name(name)
        for column in ("query_id", "doc_id")
        for name in table[column].unique()
    }
    tag = encode_name(tag)
    # Lists first: rows of Arrow columns are slow to walk.
    rows = zip(*(table[column].tolist() for column in table), strict=True)
    if "score" in table:
        return "".join(
            f"{word[q]} Q0 {word[d]} {rank} {score!r} {tag}\n" for q, d, score, rank in rows
        ).encode("ascii")
    return "".join(f"{word[q]} 0 {word[d]} {relevance}\n" for q, d, relevance in rows).encode(
        "ascii"
    )


def encode_name(name: str) -> str:
    """Encodes a name as one word of visible ASCII; ``urllib.parse.unquote`` decodes it.

    >>> encode_name("a red/boat 100%")
    'a%20red/boat%20100%25'
    """
    return quote(name, safe=SAFE_CHARACTERS, errors="surrogatepass")
