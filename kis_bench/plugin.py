"""The pytest plugin: options, fixtures, and the run that is written at the end. Glue only."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kis_bench import datasets, encoders
from kis_bench.datasets import DatasetRow
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.catalogue import FORMS, short_name
from kis_bench.errors import KisBenchError, NotReady
from kis_bench.lineup import LineUp
from kis_bench.records import Checkpoint, Dataset, Query

PAYLOAD = "kis_bench"
LINE_UP = pytest.StashKey[LineUp]()
RECORDER = pytest.StashKey["Recorder"]()
LOADED = pytest.StashKey[dict[Any, Any]]()


@dataclass(frozen=True)
class QuerySet:
    """The queries of one label set over one dataset."""

    dataset: DatasetRow
    label_set: str | None  # None: the dataset is not there, so nobody knows
    queries: tuple[Query, ...] = ()

    @property
    def id(self) -> str:
        return self.dataset.name if self.label_set is None else f"{self.dataset.name}-{self.label_set}"


class Hooks:
    """What a conftest.py or another plugin may add."""

    @pytest.hookspec
    def pytest_kis_models(self, config: pytest.Config) -> list[Checkpoint]:
        """Models to measure, beside those of other conftest files."""
        raise NotImplementedError

    @pytest.hookspec
    def pytest_kis_datasets(self, config: pytest.Config) -> list[DatasetRow]:
        """Datasets to search."""
        raise NotImplementedError


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kis", "known-item search benchmarks (kis-bench)")
    add = group.addoption
    add("--kis-model", action="append", default=[], metavar="NAME",
        help=f"measure this model: a name that is declared or known, or {FORMS}; repeatable "
        "(default: all declared)")  # fmt: skip
    add("--kis-dataset", action="append", default=[], metavar="NAME[=FOLDER]",
        help="search this dataset, in FOLDER if given; repeatable (default: all declared)")  # fmt: skip
    add("--kis-labels", action="append", default=[], metavar="NAME",
        help="use only this label set; repeatable (default: all that a dataset has)")  # fmt: skip
    add("--kis-data", type=Path, metavar="DIR", help="folder in which dataset folders lie (default: $KIS_DATA)")
    add("--kis-store", type=Path, metavar="DIR",
        help="folder of embeddings, reused between runs (default: $KIS_STORE, else the user's cache)")  # fmt: skip
    add("--kis-device", default="auto", metavar="DEVICE", help="auto, cpu, cuda or cuda:N (default: auto)")
    add("--kis-precision", default="fp32", choices=encoders.PRECISIONS,
        help="arithmetic of the models; bf16 and fp16 need a GPU (default: fp32)")  # fmt: skip
    add("--kis-batch-size", type=int, metavar="N",
        help="images encoded at once; halved when memory is short (default: what suits model and device)")  # fmt: skip
    add("--kis-download", action="store_true", help="download the weights of models that are not here yet")
    add("--kis-report", type=Path, metavar="DIR", help="where run folders are written (default: reports/)")
    add("--kis-strict", action="store_true", help="a dataset or model that is missing fails instead of skipping")
    add("--kis-privacy", action="store_true", help="leave texts, paths and pictures out of tables and reports")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "throughput: loads models and times them; runs only with -m throughput")
    config.stash[LOADED] = {}
    if not hasattr(config, "workerinput"):
        config.stash[RECORDER] = Recorder(config)
        config.pluginmanager.register(config.stash[RECORDER], "kis-bench-recorder")


def line_up(config: pytest.Config) -> LineUp:
    """Which models and datasets take part; wrong names end the session with exit code 2."""
    if LINE_UP not in config.stash:
        option = config.option
        if option.kis_batch_size is not None and option.kis_batch_size < 1:
            pytest.exit(f"--kis-batch-size {option.kis_batch_size}: must be at least 1", returncode=2)
        try:
            config.stash[LINE_UP] = LineUp.choose(
                models=[row for rows in config.hook.pytest_kis_models(config=config) for row in rows],
                datasets=[row for rows in config.hook.pytest_kis_datasets(config=config) for row in rows],
                model_names=option.kis_model,
                dataset_names=option.kis_dataset,
                label_sets=option.kis_labels,
                data=option.kis_data,
            )
            for checkpoint in config.stash[LINE_UP].models:
                encoders.readiness(checkpoint)  # a source that is written wrong shows now
        except KisBenchError as error:
            pytest.exit(f"kis-bench: {error}", returncode=2)
    return config.stash[LINE_UP]


def pytest_report_header(config: pytest.Config) -> list[str]:
    if not (config.hook.pytest_kis_models.get_hookimpls() or config.option.kis_model or config.option.kis_dataset):
        return []
    return line_up(config).header()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names, config = ours(metafunc), metafunc.config
    if "query_set" in names:
        try:
            sets = [QuerySet(row, name) for row, name in line_up(config).query_sets()]
        except KisBenchError as error:
            pytest.exit(f"kis-bench: {error}", returncode=2)
        both = [(s.dataset, s) for s in sets]
        ids = [s.id for s in sets]
        metafunc.parametrize(("dataset", "query_set"), both, ids=ids, indirect=True, scope="session")
    elif "dataset" in names:
        rows = line_up(config).datasets
        metafunc.parametrize("dataset", rows, ids=[row.name for row in rows], indirect=True, scope="session")
    if "model" in names:
        models = line_up(config).models
        metafunc.parametrize("model", models, ids=[m.name for m in models], indirect=True, scope="session")


def ours(metafunc: pytest.Metafunc) -> set[str]:
    """The fixtures of this plugin that a test asks for; a project may have a ``model`` or ``dataset`` of its own."""
    found = metafunc.definition._fixtureinfo.name2fixturedefs  # pytest offers no public way to see an override
    return {name for name, definitions in found.items() if definitions[-1].func.__module__ == __name__}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "throughput" not in (config.option.markexpr or ""):
        timed = [item for item in items if item.get_closest_marker("throughput")]
        if timed:
            config.hook.pytest_deselected(items=timed)
            items[:] = [item for item in items if item not in timed]
    # One model at a time in memory: its tests stand together, in the slots that such tests have.
    slots = [i for i, item in enumerate(items) if model_of(item)]
    for slot, item in zip(slots, sorted((items[i] for i in slots), key=model_of), strict=True):
        items[slot] = item


def model_of(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    model = callspec.params.get("model") if callspec else None
    return model.name if isinstance(model, Checkpoint) else ""


def not_ready(config: pytest.Config, what: str, state: str, remedy: str) -> None:
    (pytest.fail if config.option.kis_strict else pytest.skip)(f"{what}: {state}. {remedy}")


@pytest.fixture(scope="session")
def dataset(request: pytest.FixtureRequest) -> Dataset:
    """One dataset of the line-up, loaded: its collection, queries and triplets."""
    row: DatasetRow = request.param
    state = datasets.readiness(row)
    if not state.ready:
        not_ready(request.config, f"dataset {row.name}", state.state, state.remedy)
    return load_dataset(request.config, row)


def load_dataset(config: pytest.Config, row: DatasetRow) -> Dataset:
    kept = config.stash[LOADED]
    if row not in kept:
        with visible_progress(config):
            kept[row] = datasets.load(row.name, row.folder)
    loaded: Dataset = kept[row]
    return loaded


@pytest.fixture(scope="session")
def query_set(request: pytest.FixtureRequest, dataset: Dataset) -> QuerySet:
    """One label set of the dataset: ``.label_set`` and ``.queries``."""
    chosen: QuerySet = request.param
    assert chosen.label_set is not None  # a dataset that isn't there has been skipped
    return QuerySet(chosen.dataset, chosen.label_set, dataset.queries(chosen.label_set))


@pytest.fixture(scope="session")
def model(request: pytest.FixtureRequest) -> Iterator[LazyEncoder]:
    """One model of the line-up; loaded only when something has to be encoded, and given up before the next."""
    checkpoint: Checkpoint = request.param
    option = request.config.option
    if option.kis_download:
        with visible_progress(request.config):
            encoders.fetch(checkpoint)
    encoder = LazyEncoder(checkpoint, device=option.kis_device, precision=option.kis_precision)
    if not encoder.key_known:  # else all that is asked of it may lie in the store
        state = encoders.readiness(checkpoint)
        if not state.ready:
            not_ready(request.config, f"model {checkpoint.name}", state.state, state.remedy)
    yield encoder
    encoder.unload()


@contextmanager
def named_skip(item: pytest.Item) -> Iterator[None]:
    """A model that turns out not to be usable while it is fetched or loaded is skipped by name too.

    Other errors over a model or a dataset are one message: our traceback would tell nobody anything.
    """
    try:
        yield
    except KisBenchError as error:
        if not model_of(item):
            raise
        if isinstance(error, NotReady) and not item.config.option.kis_strict:
            pytest.skip(str(error))
        pytest.fail(str(error), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    with named_skip(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with named_skip(item):
        return (yield)


class KnownItemSearch:
    """The fixture ``known_item_search``: measures one model on one query set and hands the rows to the report."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.request, self.config = request, request.config

    def __call__(self, model: LazyEncoder, dataset: Dataset, query_set: QuerySet) -> Any:
        """The ranks of the queries' targets (:class:`kis_bench.records.Ranks`)."""
        from kis_bench import embed, ranking, search
        from kis_bench.store import Store

        if model.checkpoint.image_only:
            raise NotReady(f"model {model.name}", "has no text side", "It serves image similarity only")
        option, timings = self.config.option, list[dict[str, Any]]()
        store = Store(option.kis_store or default_store())

        @contextmanager
        def timed(step: str, n: int) -> Iterator[None]:
            started, loaded = time.perf_counter(), model.loaded
            yield
            seconds = time.perf_counter() - started
            cached = step != "rank" and model.loaded == loaded and not loaded
            timings.append(
                {"model": model.name, "dataset": dataset.name, "label_set": query_set.label_set, "step": step,
                 "seconds": seconds, "n": n, "per_second": n / seconds if seconds else None, "cached": cached}
            )  # fmt: skip

        queries, collection = query_set.queries, dataset.collection
        with visible_progress(self.config):
            with timed("embed images", len(collection)):
                items = embed.embed_collection(collection, model, store, batch_size=option.kis_batch_size)
            with timed("embed texts", len(queries)):
                texts = embed.embed_texts(queries, model, store, name=f"{dataset.name}-{query_set.label_set}")
        with timed("rank", len(queries)):
            ranks = ranking.target_ranks(
                texts.vectors[:, 0], items.vectors, search.targets(collection, queries),
                groups=collection.groups, top_k=10,
            )  # fmt: skip
        rows = search.rows(model.name, dataset.name, collection, queries, texts, ranks, privacy=option.kis_privacy)
        source = model.checkpoint.source
        provenance: dict[str, Any] = {
            "models": {model.name: {"source": short_name(source) if option.kis_privacy else source,
                                    "revision": model.checkpoint.revision, "precision": model.precision,
                                    "key": model.key, "weights": encoders.weights(model.checkpoint),
                                    "dim": items.vectors.shape[2],
                                    "note": model.checkpoint.note, "licence": model.checkpoint.licence}},
            "datasets": {dataset.name: {"fingerprint": dataset.fingerprint, "n_items": len(collection),
                                        "n_queries": {s: len(dataset.queries(s)) for s in dataset.label_sets},
                                        "note": dataset.note}},
        }  # fmt: skip
        payload = {"ranks": rows, "timings": timings, "provenance": provenance}
        self.request.node.user_properties.append((PAYLOAD, payload))
        return ranks


@pytest.fixture
def known_item_search(request: pytest.FixtureRequest) -> KnownItemSearch:
    """Measures a model on a query set: ``ranks = known_item_search(model, dataset, query_set)``."""
    return KnownItemSearch(request)


def default_store() -> Path:
    import platformdirs

    return Path(os.environ.get("KIS_STORE") or Path(platformdirs.user_cache_dir("kis-bench")) / "store")


@contextmanager
def visible_progress(config: pytest.Config) -> Iterator[None]:
    """Lets progress bars through pytest's capturing, so that a long run shows that it lives."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None or hasattr(config, "workerinput"):
        yield
    else:
        with capture.global_and_fixture_disabled():
            yield


class Recorder:
    """On the controller: gathers what the tests measured and writes the run folder."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.ranks: list[dict[str, Any]] = []
        self.timings: list[dict[str, Any]] = []
        self.provenance: dict[str, dict[str, Any]] = {"models": {}, "datasets": {}}
        self.folder: Path | None = None
        self.error: KisBenchError | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes the measurements off the report, before JUnit XML and others print them."""
        mine: list[Any] = [value for name, value in report.user_properties if name == PAYLOAD]
        if not mine:
            return
        report.user_properties = [(name, value) for name, value in report.user_properties if name != PAYLOAD]
        if report.when != "call":  # pytest repeats the properties in the report on the teardown
            return
        for payload in mine:
            self.ranks += payload["ranks"]
            self.timings += payload["timings"]
            for kind, found in payload["provenance"].items():
                self.provenance[kind] |= found

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if not self.ranks:
            return
        from kis_bench.runs import write_measured

        option = self.config.option
        try:
            self.folder = write_measured(
                option.kis_report or self.config.rootpath / "reports",
                ranks=self.ranks,
                timings=self.timings,
                provenance=self.provenance,
                command=["pytest", *self.config.invocation_params.args],
                device=option.kis_device,
                interrupted=exitstatus == pytest.ExitCode.INTERRUPTED,
                pictures=self.pictures(),
                privacy=option.kis_privacy,
                repository=self.config.rootpath,
            )
        except KisBenchError as error:
            self.error = error
            session.exitstatus = 2

    def pictures(self) -> dict[str, dict[str, Path]]:
        if self.config.option.kis_privacy:
            return {}
        found = {}
        for row in line_up(self.config).datasets:
            if row.name in self.provenance["datasets"]:
                collection = load_dataset(self.config, row).collection
                found[row.name] = dict(zip(collection.ids, collection.paths, strict=True))
        return found

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.error is not None:
            terminalreporter.section("kis-bench", red=True)
            terminalreporter.write_line(f"the run was measured, but not written: {self.error}", red=True)
        if self.folder is None:
            return
        from kis_bench.results import read_run
        from kis_bench.runs import summary

        terminalreporter.section("known-item search")
        terminalreporter.write_line(summary(read_run(self.folder)))
        terminalreporter.write_line(f"\nreport: {self.folder / 'report.md'}")
