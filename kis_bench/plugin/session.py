"""What one pytest session shares: which models and datasets take part, and the datasets that are loaded."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kis_bench import datasets, encoders
from kis_bench.choices import CLUSTER_ENGINES, LOCAL_ENGINE, SCALED
from kis_bench.datasets import DatasetRow
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.back_ends import find_back_end
from kis_bench.encoders.decoding import UNTOLD_SIDE
from kis_bench.encoders.prompts import parse_prompts
from kis_bench.encoders.receivers import find_receiver, require_private
from kis_bench.encoders.replicas import split_devices
from kis_bench.errors import KisBenchError, NotReady, spell_option
from kis_bench.plugin.lineup import LineUp
from kis_bench.plugin.stopping import stop
from kis_bench.ranking.engines import MakeEngine, NumpyEngine, find_engine
from kis_bench.ranking.relevance import NearDuplicates
from kis_bench.ranking.shares import find_shares
from kis_bench.records import Checkpoint, Dataset, Query

TIMED = pytest.StashKey[bool]()  #: of a test: pytest-benchmark waits for its first step
OTHER_DIRECTION = pytest.StashKey[
    bool
]()  #: whether tests of a direction were left out that wasn't asked for
NOT_FOR_ALL = "Other models may use it; leave it out for this one"
PROBLEMS = pytest.StashKey[list[KisBenchError]]()
LINE_UP = pytest.StashKey[LineUp]()
ENGINE = pytest.StashKey[MakeEngine]()
ENGINE_KEY = (
    "kis_bench_engine"  #: under which a process of pytest-xdist is told which cluster to join
)
LOADED = pytest.StashKey[dict[DatasetRow, Dataset]]()


@dataclass(frozen=True)
class QuerySet:
    """The queries of one label set over one dataset."""

    dataset: DatasetRow
    label_set: str | None  # None: the dataset is not there, so nobody knows
    queries: tuple[Query, ...] = ()

    @property
    def id(self) -> str:
        return (
            self.dataset.name if self.label_set is None else f"{self.dataset.name}-{self.label_set}"
        )

    def read(self, dataset: Dataset) -> QuerySet:
        """The same with its queries."""
        if self.label_set is None:  # a dataset that isn't there has been skipped before
            raise datasets.explain_no_queries(self.dataset)
        return QuerySet(self.dataset, self.label_set, dataset.queries(self.label_set))


QUERY_SETS = pytest.StashKey[list[QuerySet]]()


def line_up(config: pytest.Config) -> LineUp:
    """Which models and datasets take part; wrong options end the session with exit code 2, wrong names are problems."""
    if LINE_UP not in config.stash:
        option = config.option
        if option.kis_batch_size is not None and option.kis_batch_size < 1:
            said = f"{spell_option('batch-size')} {option.kis_batch_size}"
            stop(config, f"{said}: must be at least 1")
        try:
            split_devices(option.kis_device)
            NearDuplicates.parse(option.kis_near_duplicates)
            config.stash[LINE_UP] = LineUp.choose(
                models=[
                    row for rows in config.hook.pytest_kis_models(config=config) for row in rows
                ],
                datasets=[
                    row for rows in config.hook.pytest_kis_datasets(config=config) for row in rows
                ],
                model_names=option.kis_model,
                prompts=parse_prompts(option.kis_prompt),
                dataset_names=option.kis_dataset,
                label_sets=option.kis_labels,
                data=option.kis_data,
                problems=problems(config),
            )
        except KisBenchError as error:
            stop(config, str(error))
    return config.stash[LINE_UP]


def query_sets(config: pytest.Config) -> list[QuerySet]:
    """What is measured; wrong names are problems."""
    if QUERY_SETS not in config.stash:
        found = line_up(config).query_sets(problems(config))
        config.stash[QUERY_SETS] = [QuerySet(row, name) for row, name in found]
    return config.stash[QUERY_SETS]


def problems(config: pytest.Config) -> list[KisBenchError]:
    """Names that stand for nothing; they end the session once all the others have been looked at too."""
    return config.stash.setdefault(PROBLEMS, [])


def asked_by_name(config: pytest.Config, what: str) -> bool:
    """Whether somebody named it, as ``dataset NAME`` or ``model NAME``, or else it is only declared.

    Where somebody named one, only those that somebody named take part.
    """
    kind = what.partition(" ")[0]
    return kind in ("dataset", "model") and bool(getattr(config.option, f"kis_{kind}"))


def load_ready_dataset(config: pytest.Config, row: DatasetRow) -> Dataset:
    """
    Raises:
        NotReady: it isn't there.
    """
    state = datasets.find_readiness(row)
    if not state.ready:
        raise NotReady(f"dataset {row.name}", state.state, state.remedy)
    return load_dataset(config, row)


def load_dataset(config: pytest.Config, row: DatasetRow) -> Dataset:
    kept = config.stash.setdefault(LOADED, {})
    if row not in kept:
        skip = config.option.kis_skip_unreadable
        kept[row] = datasets.load(row.name, row.folder, layout=row.layout, skip_unreadable=skip)
    return kept[row]


def of_the_study(name: str) -> str:
    """What an extractor of a study is called where a model of this session has its name."""
    return f"{name} (of the study)"


def searching_models(config: pytest.Config) -> tuple[Checkpoint, ...]:
    """Models that take part in known-item search: those with a text side."""
    return tuple(model for model in line_up(config).models if not model.image_only)


def usable_model(config: pytest.Config, checkpoint: Checkpoint) -> LazyEncoder:
    """A model that is loaded only when something has to be encoded; NotReady where it can't be."""
    option = config.option
    if option.kis_download:
        encoders.fetch(checkpoint)
    if problem := encoders.unused(checkpoint, choose_device(config), option.kis_precision):
        raise NotReady(f"model {checkpoint.name}", problem, NOT_FOR_ALL)
    if option.kis_privacy:
        require_private(checkpoint)
    encoder = make_encoder(config, checkpoint)
    if not encoder.key_known:  # else all that is asked of it may lie in the store
        state = encoders.readiness(checkpoint)
        if not state.ready:
            raise NotReady(f"model {checkpoint.name}", state.state, state.remedy)
    return encoder


def list_full_decoding(config: pytest.Config) -> list[str]:
    """Lines for the top of a session: for which models scaled decoding is asked for in vain, as far as is known yet."""
    if config.option.kis_decode != SCALED:
        return []
    known = (model for model in line_up(config).models if model.origin.kind != "python")
    names = [model.name for model in known if not find_back_end(model).tells_side]
    return [f"kis-bench: JPEGs are decoded in full for {name}: {UNTOLD_SIDE}" for name in names]


def list_receivers(config: pytest.Config) -> list[str]:
    """Lines for the top of a session: to which services pictures and texts go that aren't encoded yet."""
    found = [(model.name, find_receiver(model)) for model in line_up(config).models]
    return [f"kis-bench: {one.describe()} ({name})" for name, one in found if one is not None]


def make_encoder(config: pytest.Config, checkpoint: Checkpoint) -> LazyEncoder:
    """A model as this session asks for it, which isn't loaded yet."""
    option = config.option
    return LazyEncoder(
        checkpoint,
        device=choose_device(config),
        precision=option.kis_precision,
        decode=option.kis_decode,
    )


def hide_private(config: pytest.Config, text: str) -> str:
    """A message as it may be shown and written: under privacy without folders of this machine and hosts of services."""
    if not config.option.kis_privacy:
        return text
    from kis_bench.results.privacy import hide_folders, hide_hosts

    sources = [checkpoint.origin for checkpoint in line_up(config).models]
    for receiver in map(find_receiver, line_up(config).models):
        if receiver is not None:
            text = text.replace(receiver.host, "its service")
    engine = config.option.kis_engine
    if engine.partition(":")[0] in CLUSTER_ENGINES:
        text = hide_hosts(text, engine)
    return hide_folders(text, [source.folder for source in sources if source.folder is not None])


def choose_device(config: pytest.Config) -> str:
    """What was asked for; processes of pytest-xdist take GPUs in turn."""
    device: str = config.option.kis_device
    worker = getattr(config, "workerinput", {}).get("workerid", "")
    return (
        f"{device}@{worker.removeprefix('gw')}" if worker and device in ("auto", "cuda") else device
    )


def choose_engine(config: pytest.Config) -> MakeEngine:
    """What multiplies for ranks; a library, device or cluster that isn't here ends the session with exit code 2."""
    if ENGINE not in config.stash:
        asked = config.option.kis_engine
        name = NumpyEngine.name if asked == LOCAL_ENGINE else asked
        name = getattr(config, "workerinput", {}).get(ENGINE_KEY) or name
        try:
            made = find_engine(name, choose_device(config).partition(",")[0])
        except KisBenchError as error:
            said = f"{spell_option('engine')} {asked}: {error}; nothing was measured"
            stop(config, hide_private(config, said))
        config.stash[ENGINE] = made
        if (shares := find_shares(made)) is not None:
            config.add_cleanup(shares.close)
    return config.stash[ENGINE]


def name_cluster(config: pytest.Config) -> str | None:
    """The engine that processes of pytest-xdist take, so that all of them join one cluster; None: as they are told."""
    engine = config.stash.get(ENGINE, None)
    shares = None if engine is None else find_shares(engine)
    return None if shares is None else shares.spelling
