"""What search engines do to the ranks of known items: the fixture, and the rows that it keeps."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kis_bench.encoders import LazyEncoder
from kis_bench.errors import NotReady
from kis_bench.measuring.both_sides import embed_both_sides
from kis_bench.measuring.steps import Steps
from kis_bench.plugin.recorder import find_reports
from kis_bench.plugin.session import QuerySet, choose_engine
from kis_bench.plugin.stopping import EXIT_CODE
from kis_bench.ranking import target_ranks
from kis_bench.ranking.relevance import find_target_positions
from kis_bench.records import Dataset, Float32s, Ranks
from kis_bench.results.pseudonyms import hide_queries
from kis_bench.search_engines.catalogue import Setting
from kis_bench.search_engines.fidelity import summarise_queries, tabulate_queries
from kis_bench.search_engines.isolation import run_setting
from kis_bench.search_engines.planted_ties import PlantedTies
from kis_bench.search_engines.probes import probe_engines
from kis_bench.search_engines.protocol import Ending
from kis_bench.search_engines.rescoring import Rescorer
from kis_bench.store import Store, default_store
from kis_bench.suite.fidelity_rows import TABLE_FILE, keep_fact, keep_queries, keep_row, start_row

PREPARED = pytest.StashKey["SearchedVectors"]()  #: of a session: what was searched last
#: Of a session: an engine that was asked for by name refused the vectors.
NAMED_AND_REFUSED = pytest.StashKey[bool]()
WRITTEN_PAGE = pytest.StashKey[Path]()  #: of a session
FIDELITY_FOLDER = "fidelity"  #: among the reports
END_PLUGIN = "kis-bench-search-engines"


@dataclass(frozen=True)
class SearchedVectors:
    """What engines are asked: vectors, queries, their targets and exact ranks."""

    key: object
    model: str
    dataset: str
    label_set: str
    query_ids: Sequence[str]
    clusters: Sequence[str]  # the target of each query
    ranks: Ranks
    rescorer: Rescorer
    planted: PlantedTies
    folder: tempfile.TemporaryDirectory[str]

    @property
    def vectors(self) -> Path:
        return Path(self.folder.name) / "vectors"

    @property
    def equals(self) -> Path:
        return Path(self.folder.name) / "planted"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Items, vectors of each, numbers of each vector."""
        n, v, d = self.rescorer.items.shape
        return n, v, d

    @classmethod
    def prepare(
        cls,
        key: object,
        names: tuple[str, str, str],
        query_ids: Sequence[str],
        queries: Float32s,
        items: Any,
        targets: Sequence[Sequence[int]],
        engine: Any = "numpy",
        most_pairs: int | None = None,
    ) -> SearchedVectors:
        """Ranks exactly, once for all engines, and writes the vectors where they can read them.

        Args:
            key: what it is found again by.
            names: of model, dataset and label set.
            query_ids: of the queries.
            queries: ``[q, d]``.
            items: ``[n, v, d]``, as the store has them.
            targets: positions of each query's targets.
            engine: as `target_ranks` takes it.
            most_pairs: of a query and a vector, for which fewer queries are taken.
        """
        few = take_evenly(len(queries), most_pairs, len(items) * items.shape[1])
        queries, query_ids, targets = (
            queries[few],
            [query_ids[i] for i in few],
            [targets[i] for i in few],
        )
        ranks = target_ranks(queries, items, targets, engine=engine)
        folder = tempfile.TemporaryDirectory(prefix="kis-fidelity-")
        planted = PlantedTies.make(items.shape[-1])
        for name in ("vectors", "planted"):
            (Path(folder.name) / name).mkdir()
        planted.save(Path(folder.name) / "planted")
        place, (n, v, d) = Path(folder.name) / "vectors", items.shape
        np.save(place / "items.npy", np.ascontiguousarray(items[:], np.float32).reshape(n * v, d))
        np.save(place / "queries.npy", np.ascontiguousarray(queries, np.float32))
        mapped = np.load(place / "items.npy", mmap_mode="r").reshape(n, v, d)
        clusters = ["|".join(map(str, own)) for own in targets]
        rescorer = Rescorer(np.ascontiguousarray(queries, np.float32), mapped, targets)
        return cls(key, *names, query_ids, clusters, ranks, rescorer, planted, folder)


def report_fidelity(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of the tables; once all settings of a module are measured, the page and its plots are written."""
    config, folder = request.config, find_reports(request.config) / FIDELITY_FOLDER
    yield folder
    if (prepared := config.stash.get(PREPARED, None)) is not None:
        prepared.folder.cleanup()
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
        key = model.name, model.key, dataset.fingerprint, query_set.label_set, setting.most_pairs
        prepare = partial(self.prepare, key, model, dataset, query_set, setting.most_pairs)
        return self.measure(setting, key, prepare)

    def measure_drawn(
        self, setting: Setting, draw: Callable[[], tuple[Float32s, Float32s, Sequence[int]]]
    ) -> dict[str, Any]:
        """Returns the row of one setting, over vectors that are drawn: queries, items and the target of each query."""
        self.require(setting)
        key = "drawn", setting.most_pairs

        def prepare() -> SearchedVectors:
            queries, items, targets = draw()
            names = "drawn", f"clustered-{len(items)}x{items.shape[1]}", "near"
            wanted = [[target] for target in targets]
            ids = [str(i) for i in range(len(queries))]
            return SearchedVectors.prepare(
                key, names, ids, queries, items[:, None], wanted, most_pairs=setting.most_pairs
            )

        return self.measure(setting, key, prepare)

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

    def prepare(
        self,
        key: object,
        model: LazyEncoder,
        dataset: Dataset,
        query_set: QuerySet,
        most_pairs: int | None,
    ) -> SearchedVectors:
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
        return SearchedVectors.prepare(
            key,
            (model.name, dataset.name, label_set),
            [query.query_id for query in shown],
            texts.vectors[:, 0],
            items.vectors,
            find_target_positions(dataset.collection, chosen),
            choose_engine(self.config),
            most_pairs,
        )

    def measure(
        self, setting: Setting, key: object, prepare: Callable[[], SearchedVectors]
    ) -> dict[str, Any]:
        """Returns the row, which is kept before anything fails."""
        condition = self.config.stash.get(PREPARED, None)
        if condition is None or condition.key != key:
            if condition is not None:
                condition.folder.cleanup()
            condition = self.config.stash[PREPARED] = prepare()
        with tempfile.TemporaryDirectory(prefix="kis-engine-") as place:
            outcome = run_setting(
                setting, condition.vectors, condition.equals, Path(place), condition.shape[1]
            )
            started = time.process_time()
            row = start_row(setting, condition, outcome, privacy=self.option.kis_privacy)
            if outcome.answers is not None:
                table = tabulate_queries(condition.ranks, outcome.answers, condition.rescorer)
                row |= summarise_queries(table, outcome.answers, condition.clusters)
                row |= condition.planted.judge(dict(outcome.planted))
                row["own_cpu_s"] = time.process_time() - started
                keep_queries(table, condition.query_ids, row, self.folder)
        keep_row(row, self.folder)
        if outcome.status == Ending.MEASURED:
            return row
        if outcome.status == Ending.REFUSED:
            if not self.option.kis_search_engine:
                pytest.skip(outcome.said)
            self.request.session.stash[NAMED_AND_REFUSED] = True
        pytest.fail(f"{outcome.status}: {outcome.said}", pytrace=False)


def take_evenly(q: int, most_pairs: int | None, n: int) -> list[int]:
    """Returns the positions of so many of q queries, from the first to the last, that make few pairs with n vectors.

    One at least, if there is any; all where there is no limit.

    >>> take_evenly(9, 500, 100), take_evenly(3, None, 100), take_evenly(9, 10, 100)
    ([0, 2, 4, 6, 8], [0, 1, 2], [0])
    """
    most = q if most_pairs is None else min(q, max(1, most_pairs // n))
    few: list[int] = np.linspace(0, q - 1, most).round().astype(int).tolist()
    return few
