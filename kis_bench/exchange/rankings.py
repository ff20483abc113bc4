"""The best items of each query of a run, from its vectors or else from its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from kis_bench import datasets as readers
from kis_bench.embed import images_entry, texts_entry
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.back_ends import back_ends
from kis_bench.errors import KisBenchError, in_one_line
from kis_bench.exchange.foreign_ties import score_listed
from kis_bench.ranking import target_ranks
from kis_bench.ranking.exact_scores import (
    gather,
)
from kis_bench.ranking.relevance import find_target_positions
from kis_bench.ranking.single_scores import true_scores
from kis_bench.records import Checkpoint, Dataset, Embeddings, Float64s, Query, Source
from kis_bench.results import Run
from kis_bench.store import Store


class Unavailable(KisBenchError):
    """The dataset or the vectors of a run aren't available; the message says what to do."""


def load_measured_dataset(run: Run, name: str, root: Path | None) -> Dataset | Unavailable:
    """Loads the dataset as it was measured; Unavailable if that isn't possible."""
    about = run.provenance.get("datasets", {}).get(name, {})
    try:
        skip = bool(about.get("unreadable"))
        dataset = readers.load(name, root, layout=about.get("layout"), skip_unreadable=skip)
        fingerprint = dataset.fingerprint  # which may look into all images for the first time
    except KisBenchError as error:
        return Unavailable(" ".join(str(error).split()))
    if fingerprint != about.get("fingerprint"):
        return Unavailable(
            f"dataset {name} here is not the one that was measured; name the folder of that one"
        )
    return dataset


def collect_targets(
    rows: pd.DataFrame, dataset: Dataset | Unavailable
) -> dict[str, tuple[str, ...]]:
    """The targets of each query that has any, from the dataset if it is available, else from the table."""
    queries = () if isinstance(dataset, Unavailable) else dataset.all_queries
    known = {(query.label_set, query.query_id): query.item_ids for query in queries}
    barred = any(
        "|" in item for items in rows["top_item_ids"] if items is not None for item in items
    )
    found: dict[str, tuple[str, ...]] = {}
    counts = rows["n_targets"] if "n_targets" in rows else [None] * len(rows)
    names = rows[["label_set", "query_id", "item_id"]].fillna("")
    for (label_set, query, item), n in zip(names.itertuples(index=False), counts, strict=True):
        whole = (item,) if n == 1 else tuple(item.split("|"))
        unsure = (barred and "|" in item) or (not pd.isna(n) and len(whole) != n)
        if unsure and item and (label_set, query) not in known:
            raise KisBenchError(
                f"query {query!r}: item ids hold '|', which also stands between several targets, so that only the "
                f"dataset can tell what {item!r} means: {dataset}"
            )
        if query and item:
            found[query] = known.get((label_set, query)) or whole
    return found


def rank_by_vectors(
    run: Run, rows: pd.DataFrame, dataset: Dataset | Unavailable, store: Store, depth: int
) -> tuple[pd.DataFrame, str]:
    """The ranking by the stored vectors, which must give the ranks of the run; Unavailable where they are not here."""
    if isinstance(dataset, Unavailable):
        raise dataset
    queries, items, texts = find_measured_vectors(run, rows, dataset, store)
    model, label_set = rows[["model", "label_set"]].iloc[0]
    vectors = np.asarray(texts.vectors)[:, 0]
    ranks = target_ranks(
        vectors, items.vectors, find_target_positions(dataset.collection, queries), top_k=depth
    )
    differ = (ranks.best != rows["rank_best"].to_numpy()) | (
        ranks.worst != rows["rank_worst"].to_numpy()
    )
    if differ.any():
        raise KisBenchError(
            f"{differ.sum()} queries of {dataset.name} {label_set}, the first {queries[differ.argmax()].query_id!r}, "
            f"rank otherwise by the vectors of {model} in {name_place(run, model, store)} than in the run; name its "
            "store or measure anew"
        )
    tops = [[dataset.collection.ids[i] for i in top] for top in ranks.top_items]
    scores = [
        true_scores(q, gather(items.vectors, top))
        for q, top in zip(vectors, ranks.top_items, strict=True)
    ]
    beyond = (ranks.best > depth).sum()
    remark = (
        f"; {beyond} targets lie beyond depth {depth} and are not found for other tools"
        if beyond
        else ""
    )
    return make_ranking_table(texts.ids, tops, scores), remark


def name_place(run: Run, model: str, store: Store) -> str:
    """Where the vectors of a model of a run are, in words."""
    source = str(run.provenance["models"][model].get("source", ""))
    back_end = back_ends().get(Source.read(source).kind)
    return f"the folder of {model}" if back_end and back_end.saved else str(store.path)


def find_measured_vectors(
    run: Run, rows: pd.DataFrame, dataset: Dataset, store: Store
) -> tuple[list[Query], Embeddings, Embeddings]:
    """The queries of a model and label set of a run, and the vectors of the pictures and of their texts.

    Args:
        rows: of ranks.parquet, all of that model, dataset and label set.

    Raises:
        Unavailable: they aren't here, or the queries are others.
    """
    if rows.empty:
        raise Unavailable("no query has a target")
    model, label_set = rows[["model", "label_set"]].iloc[0]
    key = run.provenance.get("models", {}).get(model, {}).get("key")
    queries = [query for query in dataset.all_queries if query.label_set == label_set]
    if key is None or rows["query_id"].tolist() != [query.query_id for query in queries]:
        raise Unavailable(
            f"the run has not all queries of the dataset, or no key of {model}; measure it anew"
        )
    name = f"{dataset.name}-{label_set}"
    source = str(run.provenance["models"][model].get("source", ""))
    items: Embeddings | None
    texts: Embeddings | None
    if (back_end := back_ends().get(Source.read(source).kind)) and back_end.saved:
        items, texts = read_vectors_of_folder(
            Checkpoint(model, source), key, dataset, queries, name
        )
    else:
        items = images_entry(dataset.collection, key, store).read()
        texts = texts_entry(queries, key, store, name)[0].read()
    if items is None or texts is None:
        raise Unavailable(
            f"{store.path} lacks vectors of {model} under the key of the run; name the store of the run, or try "
            f"kis-bench embed {dataset.name} --model {model}"
        )
    return queries, items, texts


def read_vectors_of_folder(
    checkpoint: Checkpoint, key: str, dataset: Dataset, queries: Sequence[Query], name: str
) -> tuple[Embeddings, Embeddings]:
    """The vectors of pictures and texts of a model on disk; Unavailable where they aren't those of the run."""
    try:
        encoder = LazyEncoder(checkpoint)
        if encoder.key_known and encoder.key == key and (saved := encoder.saved):
            return saved.find_images(dataset.collection), saved.find_texts(queries, name)
    except KisBenchError as error:
        raise Unavailable(in_one_line(error)) from error
    raise Unavailable(
        f"{checkpoint.source} doesn't hold the files of {checkpoint.name} that were measured; bring them back, and "
        "export where that path leads to them, or measure anew"
    )


def rank_by_table(
    rows: pd.DataFrame, wanted: Mapping[str, tuple[str, ...]], depth: int | None, why: Unavailable
) -> tuple[pd.DataFrame, str]:
    """The best items that the run's table names, scored by place. Raises KisBenchError for a greater depth."""
    held: dict[str, list[str]] = {}
    scores: list[Float64s] = []
    columns = ["query_id", "top_item_ids", "rank_best", "rank_worst", "n_items"]
    for query, items, best, worst, n in rows[columns].itertuples(index=False):
        top = [] if items is None else list(items[:depth])
        if depth is not None and 0 < len(top) < min(depth, n):
            raise KisBenchError(
                f"depth {depth}: the run itself names {len(top)} items for query {query!r}, and {why}"
            )
        place = next(
            (i for i, item in enumerate(top, start=1) if item in wanted[query]), len(top) + 1
        )
        if top and not min(best, len(top) + 1) <= place <= worst:
            raise KisBenchError(
                f"query {query!r}: its target has rank {best} to {worst} in the run, but place {place}"
            )
        if top:
            held[query] = top
            scores.append(score_listed(len(top), best, worst))
    tops = list(held.values())
    most = max(map(len, tops), default=0)
    remark = f"; scores tell places and measures hold up to cutoff {most} only" if held else ""
    return make_ranking_table(list(held), tops, scores), f"{remark}: {why}"


def make_ranking_table(
    queries: Sequence[str], items: Sequence[Sequence[str]], scores: Sequence[Float64s]
) -> pd.DataFrame:
    """A table with one row per query and item, from the items and scores of each query."""
    counts = [len(some) for some in items]
    return pd.DataFrame(
        {
            "query_id": np.repeat(np.array(queries, object), counts),
            "doc_id": np.array([*chain.from_iterable(items)], object),
            "score": np.concatenate([np.zeros(0), *scores]),
            "rank": np.concatenate([np.zeros(0, np.int64), *(np.arange(1, n + 1) for n in counts)]),
        }
    )
