"""What search engines do to the ranks of known items: the fixture, and the rows that it keeps."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kis_bench.encoders import LazyEncoder
from kis_bench.errors import NotReady
from kis_bench.measuring.both_sides import embed_both_sides
from kis_bench.measuring.steps import Steps
from kis_bench.plugin.recorder import find_reports
from kis_bench.plugin.session import QuerySet, choose_engine, hide_private
from kis_bench.plugin.stopping import EXIT_CODE
from kis_bench.ranking.relevance import find_target_positions
from kis_bench.records import Dataset, Float32s
from kis_bench.results.pseudonyms import hide_queries
from kis_bench.search_engines.catalogue import Setting
from kis_bench.search_engines.fidelity import CUTOFFS, summarise_queries, tabulate_queries
from kis_bench.search_engines.isolation import run_setting
from kis_bench.search_engines.probes import probe_engines
from kis_bench.search_engines.protocol import Ending
from kis_bench.store import Store, default_store
from kis_bench.suite.fidelity_rows import TABLE_FILE, keep_fact, keep_queries, keep_row, start_row
from kis_bench.suite.searched_vectors import SearchedVectors, SearchInput

#: Of a session: what was searched last, and what it is found again by.
PREPARED = pytest.StashKey[tuple[object, SearchedVectors]]()
#: Of a session: an engine that was asked for by name refused the vectors.
NAMED_AND_REFUSED = pytest.StashKey[bool]()
WRITTEN_PAGE = pytest.StashKey[Path]()  #: of a session
FIDELITY_FOLDER = "fidelity"  #: among the reports
END_PLUGIN = "kis-bench-search-engines"
EXHAUSTIVE_SETTINGS = {
    "numpy: float32",
    "faiss: flat",
    "usearch: f32, exact",
    "duckdb: exact, cosine",
    "lancedb: flat",
    "qdrant: local, exact",
    "milvus-lite: FLAT",
    "sqlite-vec: vec0, cosine",
}
ROUNDED_POINTS = 0.5  #: of recall that rounding of scores may cost


def report_fidelity(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of the tables; once all settings of a module are measured, the page and its plots are written."""
    config, folder = request.config, find_reports(request.config) / FIDELITY_FOLDER
    yield folder
    if PREPARED in config.stash:
        config.stash[PREPARED][1].folder.cleanup()
        del config.stash[PREPARED]
    file = folder / TABLE_FILE
    if file.exists():
        from kis_bench.report.search_engines import write_fidelity

        config.stash[WRITTEN_PAGE] = write_fidelity(pd.read_csv(file), folder)


class SessionEnd:
    """Says where the page is; exit code 2 where an engine that was asked for by name refused what it was given."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.stash.get(NAMED_AND_REFUSED, False):
            session.exitstatus = EXIT_CODE

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        if (page := config.stash.get(WRITTEN_PAGE, None)) is not None:
            terminalreporter.write_line(f"index fidelity: {page.absolute().as_uri()}")


class IndexFidelity:
    """The fixture ``index_fidelity``: builds one setting of an engine, asks it, and keeps a row."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.request, self.config, self.option = request, request.config, request.config.option
        if not self.config.pluginmanager.hasplugin(END_PLUGIN):
            self.config.pluginmanager.register(SessionEnd(), END_PLUGIN)

    @property
    def folder(self) -> Path:
        return find_reports(self.config) / FIDELITY_FOLDER

    def __call__(
        self, model: LazyEncoder, dataset: Dataset, query_set: QuerySet, setting: Setting
    ) -> dict[str, Any]:
        """Returns the row of one setting, over the vectors of a model and the queries of a label set."""
        self.require(setting)
        key = model.name, model.key, dataset.fingerprint, query_set.label_set
        return self.measure(setting, key, partial(self.embed, model, dataset, query_set))

    def measure_drawn(
        self, setting: Setting, draw: Callable[[], tuple[Float32s, Float32s, Sequence[int]]]
    ) -> dict[str, Any]:
        """Returns the row of one setting, over vectors that are drawn: queries, items and the target of each query."""
        self.require(setting)

        def draw_known() -> SearchInput:
            queries, items, targets = draw()
            names = "drawn", f"clustered-{len(items)}x{items.shape[1]}", "near"
            ids = [str(i) for i in range(len(queries))]
            wanted = [[target] for target in targets]
            return SearchInput(*names, ids, queries, items[:, None], wanted)

        return self.measure(setting, "drawn", draw_known)

    def find_facts(self, engine: str) -> dict[str, str]:
        """Returns what an engine does by itself, each fact with its value, and keeps them."""
        try:
            facts = probe_engines([engine])
        except NotReady as error:
            pytest.skip(str(error))
        for row in facts.to_dict("records"):
            keep_fact({str(name): str(value) for name, value in row.items()}, self.folder)
        return dict(zip(facts["fact"], facts["value"], strict=True))

    def require(self, setting: Setting) -> None:
        """Skips where an engine isn't installed: one that was named has ended the session before."""
        try:
            setting.require()
        except NotReady as error:
            pytest.skip(str(error))

    def embed(self, model: LazyEncoder, dataset: Dataset, query_set: QuerySet) -> SearchInput:
        label_set = str(query_set.label_set)
        chosen, items, texts = embed_both_sides(
            model,
            dataset,
            label_set,
            Store(self.option.kis_store or default_store()),
            Steps(),
            queries=query_set.queries,
            batch_size=self.option.kis_batch_size,
            privacy=self.option.kis_privacy,
        )
        shown = hide_queries(chosen, dataset.all_queries) if self.option.kis_privacy else chosen
        return SearchInput(
            model.name,
            dataset.name,
            label_set,
            [query.query_id for query in shown],
            texts.vectors[:, 0],
            items.vectors,
            find_target_positions(dataset.collection, chosen),
            model.key,
            dataset.fingerprint,
        )

    def measure(
        self, setting: Setting, key: object, find_known: Callable[[], SearchInput]
    ) -> dict[str, Any]:
        """Returns the row, which is kept before anything fails. What it takes beside the engine is ours."""
        known_key, condition = self.config.stash.get(PREPARED, (None, None))
        known = None
        if condition is None or known_key != key:
            if condition is not None:
                condition.folder.cleanup()
            known = find_known()
        started = time.process_time()
        if known is not None:
            condition = SearchedVectors.prepare(known, choose_engine(self.config))
            self.config.stash[PREPARED] = key, condition
        assert condition is not None  # it is there or was made
        condition = condition.take(setting.most_pairs)
        with tempfile.TemporaryDirectory(prefix="kis-engine-") as place:
            outcome = run_setting(
                setting, condition.vectors, condition.equals, Path(place), condition.shape[1]
            )
            said = hide_private(self.config, outcome.said)
            row = start_row(setting, condition, outcome, said)
            if outcome.answers is not None:
                table = tabulate_queries(condition.ranks, outcome.answers, condition.rescorer)
                row |= summarise_queries(table, outcome.answers, condition.clusters)
                row |= condition.planted.judge(dict(outcome.planted))
                keep_queries(table, condition.known.query_ids, row, self.folder)
                row["own_cpu_s"] = time.process_time() - started
        keep_row(row, self.folder)
        if outcome.status == Ending.MEASURED:
            return row
        if outcome.status == Ending.REFUSED:
            if not self.option.kis_search_engine:
                pytest.skip(said)
            self.request.session.stash[NAMED_AND_REFUSED] = True
        pytest.fail(f"{outcome.status}: {said}", pytrace=False)


def is_exhaustive(setting: Setting) -> bool:
    """Whether a setting of ours compares whole float32 vectors with all items."""
    return setting.name in EXHAUSTIVE_SETTINGS


def loses_nothing(row: dict[str, Any]) -> bool:
    """Whether recall is the exact one but for scores that float32 can't tell apart."""
    return all(abs(row[f"lost@{k}"]) <= ROUNDED_POINTS for k in CUTOFFS)
