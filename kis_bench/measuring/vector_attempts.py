"""Causes of another recall than the published one that take vectors to try: another collection, another direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from kis_bench.analysis.attempts import PLACES, Attempt
from kis_bench.files.progress import track
from kis_bench.ranking import target_ranks
from kis_bench.ranking.relevance import find_target_positions
from kis_bench.ranking.text_ranks import rank_texts
from kis_bench.records import Collection, Dataset, Embeddings, Query

MOST_SCORES = 2**31  #: of pictures and texts, where all of them are compared: a minute or so


def search_part(
    part: Dataset,
    collection: Collection,
    queries: Sequence[Query],
    items: Embeddings,
    texts: Embeddings,
) -> pd.DataFrame | None:
    """The places of the queries of a part among its pictures; None unless it is a smaller collection of the same.

    Args:
        part: as a dataset of its own, with the ids of the whole.
        items: vectors of the whole collection.
        texts: vectors of ``queries``.
    """
    position = collection.position
    kept = [position[one] for one in part.collection.ids if one in position]
    if len(kept) != len(part.collection) or len(kept) == len(collection):
        return None
    place = {old: new for new, old in enumerate(kept)}
    wanted = {(query.query_id, query.text) for query in part.all_queries}
    rows = [i for i, query in enumerate(queries) if (query.query_id, query.text) in wanted]
    if not rows:
        return None
    asked = [queries[i] for i in rows]
    whole = find_target_positions(collection, asked)
    targets = [[place[i] for i in some if i in place] for some in whole]
    ranks = target_ranks(
        np.asarray(texts.vectors)[rows, 0], np.asarray(items.vectors)[kept], targets
    )
    return make_places_table(
        [query.query_id for query in asked],
        ["|".join(query.item_ids) for query in asked],
        ranks.best,
        ranks.worst,
    )


def search_texts(
    collection: Collection, queries: Sequence[Query], items: Embeddings, texts: Embeddings
) -> pd.DataFrame:
    """The places of pictures' own texts among all texts: text retrieval, of which papers report, too."""
    owners = find_target_positions(collection, queries)
    n = len({one for some in owners for one in some}) * len(queries)
    with track(f"{collection.name}: ranking texts", unit="score", total=n) as step:
        vectors = np.asarray(texts.vectors)[:, 0]
        found = rank_texts(items.vectors, vectors, owners, advance=step.advance)
    ids = [collection.ids[i] for i in found.pictures]
    return make_places_table(ids, ids, found.ranks.best, found.ranks.worst)


def make_places_table(
    queries: Sequence[str], items: Sequence[str], best: object, worst: object
) -> pd.DataFrame:
    columns = dict(zip(PLACES, (queries, items, best, worst), strict=True))
    return pd.DataFrame(columns)


def list_vector_attempts(
    collection: Collection,
    queries: Sequence[Query],
    items: Embeddings,
    texts: Embeddings,
    part: Dataset | None,
) -> Iterator[Attempt]:
    """What can be tried on the vectors of one model: the usual part of the dataset, and the other direction.

    Args:
        part: on which papers report; None where that isn't to be had.
    """
    if (
        part is not None
        and (places := search_part(part, collection, queries, items, texts)) is not None
    ):
        yield Attempt(f"{part.name} alone, {len(part.collection):,} pictures", places)
    if len(collection) * len(queries) <= MOST_SCORES:
        places = search_texts(collection, queries, items, texts)
        yield Attempt("pictures look for their texts", places, n_texts=len(queries))
