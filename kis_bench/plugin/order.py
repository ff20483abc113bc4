"""Tests of one file together, as pytest shows them, as far as no model is loaded more than once for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kis_bench import datasets, encoders
from kis_bench.datasets import DatasetRow
from kis_bench.errors import KisBenchError
from kis_bench.plugin.gating import gate
from kis_bench.plugin.items import find_model, takes_all_models
from kis_bench.plugin.named import is_all_stored
from kis_bench.plugin.session import line_up, problems


def put_files_together(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sorts tests by file, in the order in which files come; those of models that will be loaded stay by model, after.

    What takes all models stays last. Processes of pytest-xdist, which name no files, keep their order, as does
    pytest where it is asked for one of its own.
    """
    option = config.option
    own_order = getattr(option, "failedfirst", False) or getattr(option, "newfirst", False)
    if own_order or problems(config) or option.collectonly or hasattr(config, "workerinput"):
        return
    files = [item.nodeid.partition("::")[0] for item in items]
    places = {file: place for place, file in enumerate(dict.fromkeys(files))}
    in_blocks = [places[file] for file in files]
    if in_blocks == sorted(in_blocks):
        return
    loaded = find_loaded(config, items)
    stays = {item: find_model(item) in loaded and will_be_measured(item) for item in items}

    def rank(item: pytest.Item) -> tuple[bool, bool, int]:
        place = 0 if stays[item] else places[item.nodeid.partition("::")[0]]
        return takes_all_models(item), stays[item], place

    items.sort(key=rank)


def find_loaded(config: pytest.Config, items: Sequence[pytest.Item]) -> set[str]:
    """The models that the tests will have to load, as far as can be known before."""
    by_name = {model.name: model for model in line_up(config).models}
    own: dict[str, list[pytest.Item]] = {}
    for item in items:
        if (name := find_model(item)) in by_name and will_be_measured(item):
            own.setdefault(name, []).append(item)
    if config.option.kis_verify or gate(config) is not None:
        return {*own}  # stored vectors may be made anew, to compare them
    found = set()
    for name, some in own.items():
        try:
            state = encoders.readiness(by_name[name])
            absent = not state.ready and not config.option.kis_download
            if absent or is_all_stored(config, by_name[name], some, lambda e: e.lacks_files()):
                continue
        except KisBenchError:  # told by the test itself
            pass
        found.add(name)
    return found


def will_be_measured(item: pytest.Item) -> bool:
    """Whether its dataset is here; else it is skipped, and loads nothing."""
    row = item.callspec.params.get("dataset")  # type: ignore[attr-defined]  # only such have a model
    return not isinstance(row, DatasetRow) or datasets.find_readiness(row).ready
