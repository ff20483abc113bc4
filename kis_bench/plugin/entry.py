"""What pytest calls in every project: options and fixtures. All else comes with `hooks`, once a session uses it.

Imports neither numpy nor what reads datasets, for most sessions of most projects never ask for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kis_bench.errors import KisBenchError
from kis_bench.plugin.options import GIVEN_KEY, add_options, fill_in, list_given, take_defaults
from kis_bench.plugin.stopping import stop

if TYPE_CHECKING:
    from kis_bench.datasets import DatasetRow
    from kis_bench.encoders import LazyEncoder
    from kis_bench.plugin.fixtures import (
        Complementarity,
        ImageSimilarity,
        ImageToTextRetrieval,
        KnownItemSearch,
    )
    from kis_bench.plugin.recorder import Recorder
    from kis_bench.plugin.session import QuerySet
    from kis_bench.records import Checkpoint, Dataset

PAYLOAD = "kis_bench"  #: under which a test's report carries what it measured
REFUSED = "kis_bench_refused"  #: under which a process of pytest-xdist says why it ended
HOOKS = "kis_bench.plugin.hooks"  #: the plugin that sessions have which use any of this
RECORDER = "kis-bench-recorder"  #: the plugin that gathers what was measured
OWN_REPORTS = (
    "kis-bench-reports"  #: the plugin that knows which tests were over our models and datasets
)
LISTENER = "kis-bench-listener"  #: the plugin that other sessions have
DECLARING = ("pytest_kis_models", "pytest_kis_datasets")
CONFIGURED = pytest.StashKey[bool]()
WRONG_OPTIONS = pytest.StashKey[str]()


class HookSpecs:
    """What a conftest.py or another plugin may add."""

    @pytest.hookspec
    def pytest_kis_models(self, config: pytest.Config) -> list[Checkpoint]:
        """Models to measure, beside those of other conftest files."""
        raise NotImplementedError

    @pytest.hookspec
    def pytest_kis_datasets(self, config: pytest.Config) -> list[DatasetRow]:
        """Datasets to search."""
        raise NotImplementedError

    @pytest.hookspec
    def pytest_kis_published(self, config: pytest.Config) -> list[Path]:
        """CSV files of figures that others published, to be shown beside measured ones."""
        raise NotImplementedError


class Listener:
    """On a controller of pytest-xdist: what its processes collect may use this plugin, also where it can't know."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if any(name == PAYLOAD for name, _ in report.user_properties):
            find_recorder(self.config).pytest_runtest_logreport(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if REFUSED in getattr(node, "workeroutput", {}):
            find_recorder(self.config).pytest_testnodedown(node)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(HookSpecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "throughput: loads models and times them; runs only with -m throughput"
    )
    config.addinivalue_line(
        "markers", "fidelity: asks search engines for known items; runs only with -m fidelity"
    )
    try:
        fill_in(config)
    except (
        KisBenchError
    ) as error:  # told when a session starts; pytest --help shall work nevertheless
        config.stash[WRONG_OPTIONS] = str(error)
        take_defaults(config)
        return
    config.stash[CONFIGURED] = True
    if config.option.kis_max_pixels is not None:
        from kis_bench.files.picture_formats import set_pixel_limit

        config.add_cleanup(set_pixel_limit(config.option.kis_max_pixels))
    if in_use(config):
        enable(config)
    elif not hasattr(config, "workerinput"):
        config.pluginmanager.register(Listener(config), LISTENER)


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    """A conftest.py that declares models or datasets may be found as late as when its folder is collected."""
    config = manager.getplugin("pytestconfig")
    if (
        isinstance(config, pytest.Config)
        and config.stash.get(CONFIGURED, False)
        and any(hasattr(plugin, name) for name in DECLARING)
    ):
        enable(config)


def in_use(config: pytest.Config) -> bool:
    """Whether this session declares or asks for anything of ours; the plugin is there in other projects too."""
    hook, option = config.hook, config.option
    declared = any(getattr(hook, name).get_hookimpls() for name in DECLARING)
    asked = (
        option.kis_model,
        option.kis_dataset,
        option.kis_labels,
        option.kis_thresholds,
        option.kis_baseline,
    )
    return bool(declared or any(asked))


def enable(config: pytest.Config) -> None:
    """Registers the hooks of sessions that use the plugin, if that wasn't done before."""
    manager = config.pluginmanager
    if manager.hasplugin(HOOKS):
        return
    from kis_bench.plugin import hooks

    if manager.hasplugin(LISTENER):
        manager.unregister(name=LISTENER)
    manager.register(hooks, HOOKS)


def find_recorder(config: pytest.Config) -> Recorder:
    """What gathers the measurements of this session."""
    enable(config)
    found: Recorder = config.pluginmanager.getplugin(RECORDER)
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Ends a session of wrong options here; pytest --fixtures measures nothing, and shall work nevertheless."""
    option = session.config.option
    if option.showfixtures or option.show_fixtures_per_test:
        return
    if message := session.config.stash.get(WRONG_OPTIONS, ""):
        stop(session.config, message)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells a process of pytest-xdist, where all options are given, which of them stood on the command line.

    And which cluster to join, where this one has started or joined one.
    """
    node.workerinput[GIVEN_KEY] = sorted(list_given(node.config))
    if in_use(node.config):
        from kis_bench.plugin.session import ENGINE_KEY, name_cluster

        node.workerinput[ENGINE_KEY] = name_cluster(node.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if names := ours(metafunc):
        enable(metafunc.config)
        from kis_bench.plugin.hooks import generate_tests

        generate_tests(metafunc, names)


def ours(metafunc: pytest.Metafunc) -> set[str]:
    """The fixtures of this plugin that a test asks for; a project may have a ``model`` or ``dataset`` of its own."""
    found = (
        metafunc.definition._fixtureinfo.name2fixturedefs
    )  # pytest offers no public way to see an override
    return {
        name for name, definitions in found.items() if definitions[-1].func.__module__ == __name__
    }


@pytest.fixture(scope="session")
def dataset(request: pytest.FixtureRequest) -> Dataset:
    """One dataset of the line-up, loaded: its collection, queries and triplets."""
    from kis_bench.plugin.session import load_ready_dataset

    return load_ready_dataset(request.config, request.param)


@pytest.fixture(scope="session")
def query_set(request: pytest.FixtureRequest, dataset: Dataset) -> QuerySet:
    """One label set of the dataset: ``.label_set`` and ``.queries``."""
    chosen: QuerySet = request.param
    return chosen.read(dataset)


@pytest.fixture(scope="session")
def model(request: pytest.FixtureRequest) -> Iterator[LazyEncoder]:
    """One model of the line-up; loaded only when something has to be encoded, and given up before the next."""
    from kis_bench.plugin.session import usable_model

    encoder = usable_model(request.config, request.param)
    yield encoder
    encoder.unload()


@pytest.fixture
def image_similarity(request: pytest.FixtureRequest) -> ImageSimilarity:
    """Measures how often a model judges as people did: ``consistency = image_similarity(model, dataset)``."""
    from kis_bench.plugin.fixtures import ImageSimilarity

    return ImageSimilarity(request)


@pytest.fixture
def study_distances(request: pytest.FixtureRequest) -> Callable[[Dataset], dict[str, float]]:
    """The same of the extractors whose distances come with a dataset: ``consistencies = study_distances(dataset)``."""
    from kis_bench.plugin.fixtures import ImageSimilarity

    return ImageSimilarity(request).measure_study


@pytest.fixture
def known_item_search(request: pytest.FixtureRequest) -> KnownItemSearch:
    """Measures a model on a query set: ``ranks = known_item_search(model, dataset, query_set)``."""
    from kis_bench.plugin.fixtures import KnownItemSearch

    return KnownItemSearch(request)


@pytest.fixture
def image_to_text(request: pytest.FixtureRequest) -> ImageToTextRetrieval:
    """Lets pictures look for texts, under --kis-direction: ``ranks = image_to_text(model, dataset, query_set)``."""
    from kis_bench.plugin.fixtures import ImageToTextRetrieval

    return ImageToTextRetrieval(request)


@pytest.fixture
def complementarity(request: pytest.FixtureRequest) -> Complementarity:
    """Measures all models that are here together: ``combined = complementarity(dataset, query_set)``."""
    from kis_bench.plugin.fixtures import Complementarity

    return Complementarity(request)
