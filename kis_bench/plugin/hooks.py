"""What pytest calls in sessions that use the plugin: tests, their order, what skips or fails them. Glue only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager

import pytest

from kis_bench import datasets
from kis_bench.choices import IMAGE_TO_TEXT, TEXT_TO_IMAGE
from kis_bench.datasets import DatasetRow
from kis_bench.errors import ClusterError, KisBenchError, NotReady
from kis_bench.plugin.entry import OWN_REPORTS, PAYLOAD, RECORDER, in_use
from kis_bench.plugin.gating import FAILURES, GATE, gate
from kis_bench.plugin.items import (
    find_model,
    has_no_dataset,
    has_no_text_side,
    selected,
    takes_all_models,
    uses_dataset,
)
from kis_bench.plugin.named import offer, refuse
from kis_bench.plugin.order import put_files_together
from kis_bench.plugin.progress import SessionProgress
from kis_bench.plugin.recorder import ABSENT, SELECTED, Recorder, require_log, require_reports
from kis_bench.plugin.session import (
    OTHER_DIRECTION,
    TIMED,
    asked_by_name,
    choose_engine,
    hide_private,
    line_up,
    list_full_decoding,
    list_receivers,
    problems,
    query_sets,
    searching_models,
)

PROPERTIES = pytest.StashKey[Iterable[tuple[str, object]]]()  #: of a test before it ran
OPT_IN = "throughput", "fidelity"  #: markers of tests that run only where ``-m`` names them
NOT_COLLECTED = (
    "fidelity",
)  #: those of them of which there are so many that they aren't even collected
BENCHMARKED = (
    "known_item_search",
    "image_similarity",
    "image_to_text",
)  #: fixtures whose steps pytest-benchmark can time


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(SessionProgress(config), "kis-bench-progress")
    if not hasattr(config, "workerinput"):
        recorder = Recorder(config)
        config.pluginmanager.register(recorder, RECORDER)
        config.pluginmanager.register(recorder.own_reports, OWN_REPORTS)


def pytest_report_header(config: pytest.Config) -> list[str]:
    if not in_use(config):
        return []
    judge = None if config.option.collectonly else gate(config)
    lined = line_up(config)
    if problems(config):  # of which the session ends
        return []
    lines = lined.header(detailed=config.get_verbosity() > 0) + list_full_decoding(config)
    header = [hide_private(config, line) for line in lines] + list_receivers(config)
    return header + ([f"kis-bench gate: {judge.about()}"] if judge else [])


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Wrong files end the session here with one message; later it would be one traceback per test file."""
    if in_use(session.config):
        query_sets(session.config)
        if not session.config.option.collectonly:
            gate(session.config)
            choose_engine(session.config)
            require_log(session.config)
            if (
                getattr(session.config.option, "dist", "no") != "no"
            ):  # others collect, this one writes
                require_reports(session.config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """After everything was deselected: ends the session at names that can't be measured, and tells the gate the rest.

    A model's module may lie beside tests, where it can be imported only now.
    """
    if not in_use(session.config):
        return
    refuse(session.config, session.items)
    if session.config.option.collectonly:
        return
    if any(map(uses_dataset, session.items)):
        require_reports(session.config)
    if judge := gate(session.config):
        judge.selected = [cell for item in session.items for cell in selected(item)]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With ``-n``: all tests of a model in one process, so that it is loaded once; other ``--dist`` are left alone."""
    if config.option.dist != "load" or not in_use(config):
        return None
    from kis_bench.plugin.xdist import ByModel

    return ByModel(config, log, [model.name for model in line_up(config).models])


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of pytest-xdist tells the one that writes what it collected; all of them collect the same."""
    judge = session.config.stash.get(GATE, None)
    if judge is not None and hasattr(session.config, "workeroutput"):
        session.config.workeroutput[SELECTED] = judge.selected


def generate_tests(metafunc: pytest.Metafunc, names: Set[str]) -> None:
    """Makes a test of each model, dataset and label set, as far as a function asks for these by ``names``."""
    config = metafunc.config
    marked = metafunc.definition.get_closest_marker
    unasked = any(marked(mark) and not is_marked_for(config, mark) for mark in NOT_COLLECTED)
    if unasked or not takes_part(config, names):
        parameters = [name for name in ("dataset", "query_set", "model") if name in names]
        none = tuple(None for _ in parameters)
        metafunc.parametrize(parameters, [none], ids=["none"], indirect=True, scope="session")
        return
    of_use = True
    if "query_set" in names:
        sets = query_sets(config)
        of_use = bool(sets)
        offer(config, "dataset", [one.dataset for one in sets])
        both: list[object] = [(s.dataset, s) for s in sets] or [(None, None)]
        ids = [s.id for s in sets] or ["none"]
        metafunc.parametrize(
            ("dataset", "query_set"), both, ids=ids, indirect=True, scope="session"
        )
    elif "dataset" in names:
        judged: Callable[[DatasetRow], object] = datasets.has_triplets
        if "study_distances" in names:
            judged = has_distances
        of_triplets = bool(names & {"image_similarity", "study_distances"})
        rows = [row for row in line_up(config).datasets if not of_triplets or judged(row)]
        of_use = bool(rows)
        offer(config, "dataset", rows)
        ids = [row.name for row in rows] or ["none"]
        metafunc.parametrize("dataset", rows or [None], ids=ids, indirect=True, scope="session")
    if "model" in names:
        models = line_up(config).models
        if "query_set" in names and not config.option.kis_model:
            models = searching_models(config) or models
        offer(
            config,
            "model",
            [m for m in models if of_use and not ("query_set" in names and m.image_only)],
        )
        metafunc.parametrize(
            "model", models, ids=[m.name for m in models], indirect=True, scope="session"
        )


def takes_part(config: pytest.Config, names: Set[str]) -> bool:
    """Whether a function that asks for fixtures by ``names`` is of a direction that was asked for; notes if not."""
    asked = config.option.kis_direction
    away = (
        (TEXT_TO_IMAGE, {"image_to_text"}),
        (IMAGE_TO_TEXT, {"known_item_search", "complementarity"}),
    )
    if not any(asked == direction and names & others for direction, others in away):
        return True
    config.stash[OTHER_DIRECTION] = True
    return False


def has_distances(row: DatasetRow) -> bool:
    """Whether distances of extractors come with the dataset; also if it isn't there, so that nobody knows."""
    return datasets.has_triplets(row) and (
        not datasets.find_readiness(row).ready or bool(datasets.list_extractors(row))
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Iterator[None]:
    arrange(config, items)
    yield
    # What can't search is measured where it can be, and if nothing of that is selected, the session ends.
    useful = {find_model(item) for item in items if not has_no_text_side(item)}
    leave_out(
        config,
        items,
        [item for item in items if has_no_text_side(item) and find_model(item) in useful],
    )
    put_files_together(config, items)


def arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    unasked = [mark for mark in OPT_IN if not is_marked_for(config, mark)]
    alone = in_use(config) and len(searching_models(config)) < 2
    out = [
        item
        for item in items
        if has_no_dataset(item)
        or any(map(item.get_closest_marker, unasked))
        or (alone and takes_all_models(item))
    ]
    leave_out(config, items, out)
    # One model at a time in memory: its tests stand together, in the slots that such tests have.
    slots = [i for i, item in enumerate(items) if find_model(item)]
    for slot, item in zip(slots, sorted((items[i] for i in slots), key=find_model), strict=True):
        items[slot] = item
    # What takes all models comes after the tests that load them one by one.
    items.sort(key=takes_all_models)


def is_marked_for(config: pytest.Config, mark: str) -> bool:
    """Whether ``-m`` names a marker, without which its tests don't run."""
    return mark in (config.option.markexpr or "")


def leave_out(config: pytest.Config, items: list[pytest.Item], out: list[pytest.Item]) -> None:
    if out:
        config.hook.pytest_deselected(items=out)
        gone = set(out)
        items[:] = [item for item in items if item not in gone]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Lets pytest-benchmark time the steps of a test where its times were asked for; else its table would be noise."""
    names = getattr(item, "fixturenames", None)
    if (
        names is not None
        and "benchmark" not in names
        and {*BENCHMARKED} & {*names}
        and wants_times(item.config)
    ):
        item.fixturenames = [*names, "benchmark"]  # type: ignore[attr-defined]  # a list of its own: tests share theirs
        item.stash[TIMED] = True


def wants_times(config: pytest.Config) -> bool:
    asked = ("json", "save", "autosave", "compare", "only", "enable", "histogram")
    return any(bool(getattr(config.option, f"benchmark_{name}", None)) for name in asked)


@contextmanager
def named_skip(item: pytest.Item) -> Iterator[None]:
    """Skips what is declared and not here, with the reason; what somebody asked for by name fails.

    Other errors over a model or a dataset are one message: our traceback would tell nobody anything.
    """
    try:
        yield
    except KisBenchError as error:
        if not uses_dataset(item):
            raise
        wanted, said = item.config.option.kis_strict, hide_private(item.config, str(error))
        if isinstance(error, NotReady) and not (
            wanted or asked_by_name(item.config, error.concerns)
        ):
            lack = [hide_private(item.config, part) for part in error.parts]
            item.user_properties.append((PAYLOAD, {ABSENT: lack}))
            raise pytest.skip.Exception(said) from None
        if isinstance(error, ClusterError):  # which ends the session with exit code 2
            item.session.shouldstop = said
        raise pytest.fail.Exception(said, pytrace=False) from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.stash[FAILURES] = []
    # Where a test is run again, as by pytest-rerunfailures, it still has what it measured before.
    item.user_properties[:] = item.stash.setdefault(PROPERTIES, [*item.user_properties])
    if uses_dataset(item):
        item.user_properties.append((PAYLOAD, {}))  # whatever it measures, it is ours
    with named_skip(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with named_skip(item):
        try:
            result = yield
        except pytest.skip.Exception:
            fail_by_gate(item)  # a test that skips itself after it measured is not excused
            raise
        fail_by_gate(item)
        return result


def fail_by_gate(item: pytest.Item) -> None:
    if failures := item.stash.get(FAILURES, []):
        raise pytest.fail.Exception("\n".join(failures), pytrace=False) from None
