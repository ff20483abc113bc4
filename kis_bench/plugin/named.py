"""What was asked for by name and can't be measured: found before the first test, all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pytest

from kis_bench import datasets, encoders
from kis_bench.datasets import DatasetRow
from kis_bench.encoders.back_ends import find_back_end
from kis_bench.encoders.receivers import find_receiver, require_private
from kis_bench.errors import KisBenchError, NotReady, in_one_line
from kis_bench.plugin.entry import REFUSED
from kis_bench.plugin.items import find_model, has_no_text_side
from kis_bench.plugin.options import list_given
from kis_bench.plugin.session import (
    NOT_FOR_ALL,
    QuerySet,
    asked_by_name,
    choose_device,
    hide_private,
    line_up,
    load_dataset,
    make_encoder,
    problems,
    query_sets,
)
from kis_bench.plugin.stopping import stop
from kis_bench.records import Checkpoint

if TYPE_CHECKING:
    from kis_bench.store import Entry

#: "dataset NAME" and "model NAME" for which a collected function makes tests, whatever is selected of them then.
OFFERED = pytest.StashKey[set[str]]()

#: Fixtures that ask of a model nothing but the vectors of a dataset and of its queries.
MEASURING = {"known_item_search", "image_similarity", "image_to_text", "index_fidelity"}


def refuse(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Ends the session with exit code 2 if anything that was asked for by name can't be measured.

    In several processes the first of them looks. None of them is given a test before all have told what they collected.
    """
    worker = getattr(config, "workerinput", {}).get("workerid")
    if worker not in (None, "gw0"):
        return
    if lines := [hide_private(config, line) for line in list_refusals(config, items)]:
        if worker is not None:
            config.workeroutput[REFUSED] = lines  # type: ignore[attr-defined]
        stop(config, explain_refusal(lines))


def explain_refusal(lines: Sequence[str]) -> str:
    said = (
        "; nothing was measured"
        if len(lines) == 1
        else f": {len(lines)} problems; nothing was measured"
    )
    return "\n  ".join([f"asked for by name{said}", *lines])


def list_refusals(config: pytest.Config, items: Sequence[pytest.Item]) -> list[str]:
    """One line for each of them, with what to do."""
    lined = line_up(config)
    found = {str(error): in_one_line(error) for error in problems(config)}
    checks: dict[str, Callable[[], None]] = {}
    if asked_by_name(config, "dataset"):
        checks |= {
            f"dataset {row.name}": partial(require_dataset, config, row) for row in lined.datasets
        }
    if asked_by_name(config, "model"):
        checks |= {
            f"model {model.name}": partial(require_model, config, model, items)
            for model in lined.models
        }
    for what, check in checks.items():
        try:
            check()
        except KisBenchError as error:
            line = in_one_line(error)
            found[what] = line if line.startswith(what) else f"{what}: {line}"
    return [*(find_useless_names(config) | found).values()]


def require_dataset(config: pytest.Config, row: DatasetRow) -> None:
    """Returns if a dataset can be measured, as far as can be known without opening its pictures.

    With ``--collect-only`` only its tables are looked at.
    """
    state = datasets.find_readiness(row)
    if not state.ready:
        raise NotReady(f"dataset {row.name}", state.state, state.remedy)
    known: tuple[str, ...] = ()
    if datasets.has_queries(row) and not (known := datasets.list_label_sets(row)):
        raise datasets.explain_no_queries(row)
    wanted = line_up(config).label_sets
    others = any(
        one.label_set for one in query_sets(config)
    )  # else it is the name of the label set that is wrong
    if wanted and known and others and not datasets.has_triplets(row) and not {*known} & {*wanted}:
        raise NotReady(
            f"dataset {row.name}",
            f"no label set {' or '.join(wanted)}",
            f"It has {', '.join(known)}",
        )
    if row.folder is not None and not config.option.collectonly:
        load_dataset(config, row)


def require_model(
    config: pytest.Config, checkpoint: Checkpoint, items: Sequence[pytest.Item]
) -> None:
    """Returns if a model is here, or all that the selected tests ask of it lies in the store."""
    if problem := encoders.unused(checkpoint, choose_device(config), config.option.kis_precision):
        raise NotReady(f"model {checkpoint.name}", problem, NOT_FOR_ALL)
    if config.option.kis_privacy:
        require_private(checkpoint)
    own = [item for item in items if find_model(item) == checkpoint.name]
    if config.option.kis_download and not config.option.collectonly:
        encoders.fetch(checkpoint)
    state = encoders.readiness(checkpoint)
    is_asked = find_receiver(checkpoint) is not None  # which costs, and takes a network
    all_stored = (is_asked or not state.ready) and is_all_stored(
        config, checkpoint, own, lambda entry: entry.missing()
    )
    if not state.ready and not all_stored:
        raise NotReady(f"model {checkpoint.name}", state.state, state.remedy)
    if state.ready and not all_stored and not config.option.collectonly:
        encoders.require(checkpoint)
    if own and all(map(has_no_text_side, own)):
        raise explain_no_text_side(checkpoint)
    if find_back_end(checkpoint).saved and not config.option.collectonly:
        require_saved_vectors(config, checkpoint, own)


def require_saved_vectors(
    config: pytest.Config, checkpoint: Checkpoint, own: Sequence[pytest.Item]
) -> None:
    """Returns if a model that is vectors on disk has those of all pictures and queries that its tests are over.

    Raises:
        KisBenchError: it doesn't, or some can't be taken; the message names them.
    """
    saved = make_encoder(config, checkpoint).saved
    assert saved is not None  # its back end says so
    seen = set()
    for item in own:
        parameters = item.callspec.params  # type: ignore[attr-defined]  # only such have a model
        row, query_set = parameters.get("dataset"), parameters.get("query_set")
        if not isinstance(row, DatasetRow) or not datasets.find_readiness(row).ready:
            continue
        dataset = load_dataset(config, row)
        if row.name not in seen:
            saved.find_images(dataset.collection)
        seen.add(row.name)
        if isinstance(query_set, QuerySet) and not checkpoint.image_only:
            saved.find_texts(query_set.read(dataset).queries, query_set.id)


def explain_no_text_side(checkpoint: Checkpoint) -> NotReady:
    remedy = "It serves image similarity only, and no selected test is about that"
    return NotReady(f"model {checkpoint.name}", "has no text side", remedy)


def is_all_stored(
    config: pytest.Config,
    checkpoint: Checkpoint,
    own: Sequence[pytest.Item],
    lacks: Callable[[Entry], object],
) -> bool:
    """Whether tests of a model would find every vector; ``lacks`` tells whether an entry of the store is incomplete."""
    encoder = make_encoder(config, checkpoint)
    if not encoder.key_known or not own:
        return False
    from kis_bench.embed import images_entry, texts_entry
    from kis_bench.store import Store, default_store

    store = Store(config.option.kis_store or default_store())
    for item in own:
        if not MEASURING & {*getattr(item, "fixturenames", ())}:
            return False  # nobody knows what it does with the model
        parameters = item.callspec.params  # type: ignore[attr-defined]  # only such have a model
        row, query_set = parameters.get("dataset"), parameters.get("query_set")
        if not isinstance(row, DatasetRow) or not datasets.find_readiness(row).ready:
            return False
        dataset = load_dataset(config, row)
        if lacks(images_entry(dataset.collection, encoder.key, store)):
            return False
        if isinstance(query_set, QuerySet) and query_set.label_set is not None:
            queries, name = (
                dataset.queries(query_set.label_set),
                f"{dataset.name}-{query_set.label_set}",
            )
            if lacks(texts_entry(queries, encoder.key, store, name)[0]):
                return False
    return True


def offer(
    config: pytest.Config, kind: str, rows: Sequence[DatasetRow] | Sequence[Checkpoint]
) -> None:
    """Notes for which datasets or models a collected function makes tests."""
    config.stash.setdefault(OFFERED, set()).update(f"{kind} {row.name}" for row in rows)


def find_useless_names(config: pytest.Config) -> dict[str, str]:
    """Names of the command line for which no collected function makes a test, each with a line.

    Those in files are what a project measures, and a command may be about a part of that. So may ``-k``, and ``--lf``.
    """
    offered, lined = config.stash.get(OFFERED, set()), line_up(config)
    if not offered or getattr(config.option, "lf", False):
        return {}
    found = {}
    # A wrong name, as of a label set, is reason enough.
    for row in lined.datasets if "dataset" in list_given(config) and not problems(config) else ():
        has = (
            "judgments and no queries" if datasets.has_triplets(row) else "queries and no judgments"
        )
        found[f"dataset {row.name}"] = (
            f"dataset {row.name}: no collected test can use it. It has {has}"
        )
    for model in lined.models if "model" in list_given(config) else ():
        if model.image_only:
            found[f"model {model.name}"] = str(explain_no_text_side(model))
    return {what: line for what, line in found.items() if what not in offered}
