"""Annotators without their names, for runs under privacy; the ids of their queries may end in these names.

Each is called ``annotator-1``, ``annotator-2`` and so on by the order of their names within a dataset, so that the same
data always give the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from kis_bench.records import Query
from kis_bench.results.folder import Run
from kis_bench.results.privacy import without_private
from kis_bench.results.tables import hide_private


def pseudonyms(names: Iterable[Any]) -> dict[str, str]:
    """Name -> pseudonym; what is no name is left out.

    >>> pseudonyms(["Bo", None, "Ada", "Bo"])
    {'Ada': 'annotator-1', 'Bo': 'annotator-2'}
    """
    known = sorted({name for name in names if isinstance(name, str) and name})
    return {name: f"annotator-{i}" for i, name in enumerate(known, start=1)}


def hidden_id(query_id: str, annotator: Any, called: Mapping[str, str]) -> str:
    """The id of an annotator's query, ``QUERY/NAME`` where several wrote one, with the pseudonym.

    >>> hidden_id("q1/Ada", "Ada", {"Ada": "annotator-1"}), hidden_id("q1", "Ada", {"Ada": "annotator-1"})
    ('q1/annotator-1', 'q1')
    """
    if annotator in called and query_id.endswith(f"/{annotator}"):
        return f"{query_id.removesuffix(annotator)}{called[annotator]}"
    return query_id


def hide_queries(queries: Sequence[Query], every: Sequence[Query]) -> tuple[Query, ...]:
    """Queries as a run under privacy shows them: without text and name; ``every``: those of the whole dataset."""
    called = pseudonyms(query.annotator for query in every)
    shown = []
    for query in queries:
        name = hidden_id(query.query_id, query.annotator, called)
        shown.append(
            replace(query, query_id=name, text="", annotator=called.get(query.annotator or ""))
        )
    return tuple(shown)


def as_private(run: Run) -> Run:
    """The run as one under privacy has it: private columns empty, annotators by pseudonyms, and of provenance what may
    be shown."""
    if not run.provenance.get("privacy"):  # whose names are hidden already
        ranks, fused, verdicts = without_names(run.ranks, run.fused, run.verdicts)
        run = replace(run, ranks=ranks, fused=fused, verdicts=verdicts)
    about = without_private({**run.provenance, "privacy": True})
    return replace(run.map_tables(hide_private), provenance=about)


def without_names(ranks: pd.DataFrame, *others: pd.DataFrame) -> list[pd.DataFrame]:
    """A run's table of ranks, and others of the same queries, with pseudonyms.

    Ids of queries are also replaced inside of a column ``queries`` of verdicts.
    """
    tables = [ranks, *others]
    if "annotator" not in ranks or not ranks["annotator"].notna().any():
        return tables
    new_id: dict[tuple[str, str], str] = {}
    called: dict[str, dict[str, str]] = {}
    for dataset, rows in ranks.groupby("dataset", sort=False):
        called[str(dataset)] = own = pseudonyms(rows["annotator"])
        each = rows.drop_duplicates(["query_id", "annotator"])
        for query_id, annotator in zip(
            each["query_id"].astype(str), each["annotator"], strict=True
        ):
            new_id[str(dataset), query_id] = hidden_id(query_id, annotator, own)
    changed = {key: new for key, new in new_id.items() if key[1] != new}
    return [replace_ids(table, changed, called) for table in tables]


def replace_ids(
    table: pd.DataFrame,
    new_id: Mapping[tuple[str, str], str],
    called: Mapping[str, Mapping[str, str]],
) -> pd.DataFrame:
    """A table of rows of datasets with other ids of queries, and other names of annotators."""
    if not len(table):
        return table
    datasets = table["dataset"].astype(str)
    if "query_id" in table:
        each = zip(datasets, table["query_id"].astype(str), strict=True)
        table = table.assign(query_id=[new_id.get(key, key[1]) for key in each])
    if "annotator" in table:
        pairs = zip(datasets, table["annotator"], strict=True)
        named = [called.get(dataset, {}).get(name) for dataset, name in pairs]
        table = table.assign(annotator=pd.Series(named, table.index, object))
    if "queries" in table:
        told = [
            tuple(rename_moved(own, dataset, new_id) for own in some)
            if isinstance(some, tuple)
            else some
            for dataset, some in zip(datasets, table["queries"], strict=True)
        ]
        table = table.assign(queries=pd.Series(told, table.index, object))
    return table


def rename_moved(said: str, dataset: str, new_id: Mapping[tuple[str, str], str]) -> str:
    """What `kis_bench.gate.verdicts.move` says, with another id of the query."""
    query_id, colon, ranks = said.rpartition(": ")
    return new_id.get((dataset, query_id), query_id) + colon + ranks
