"""Which settings of which search engines are tests of a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from _pytest.mark.expression import Expression

from kis_bench.errors import KisBenchError, spell_option
from kis_bench.plugin.options import list_given
from kis_bench.plugin.session import problems
from kis_bench.search_engines.catalogue import Setting, list_settings
from kis_bench.search_engines.probes import list_probed
from kis_bench.suite.fidelity_cases import DrawnSizes

FIDELITY_MARK = "fidelity"


def generate_settings(metafunc: pytest.Metafunc) -> None:
    """Makes a test of each setting, or of each engine, that takes part, and of vectors that are drawn if any are.

    What is wrong is noted as a problem, which ends the session with exit code 2 before anything is measured.
    """
    config, asked = metafunc.config, is_asked_for(metafunc)
    if not asked and "search-engine" in list_given(config):
        option = spell_option("search-engine")
        note_problem(
            config,
            KisBenchError(f"{option} is for -m {FIDELITY_MARK}, without which no engine is asked"),
        )
    names = [name for name in PARAMETERS if name in metafunc.fixturenames]
    offers = {name: PARAMETERS[name](config) if asked else () for name in names}
    lacking = [NOTHING_ASKED[name] for name, values in offers.items() if not values]
    left_out = pytest.param(None, id="none", marks=pytest.mark.skip(reason="; ".join(lacking)))
    for name, values in offers.items():
        cases = [pytest.param(one, id=getattr(one, "label", str(one))) for one in values]
        metafunc.parametrize(name, [left_out] if lacking else cases)


def is_asked_for(metafunc: pytest.Metafunc) -> bool:
    """Whether ``-m`` names the marker and selects a test of these markers, as "not fidelity" doesn't."""
    expression = metafunc.config.option.markexpr or ""
    if FIDELITY_MARK not in expression:
        return False
    names = {mark.name for mark in metafunc.definition.iter_markers()}

    def has_mark(name: str, /, **_: object) -> bool:
        return name in names

    with suppress(Exception):  # of what it can't read pytest says itself what is wrong
        return bool(Expression.compile(expression).evaluate(has_mark))
    return False


def offer_settings(config: pytest.Config) -> Sequence[Setting]:
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        why = "measures speed, and processes side by side slow each other"
        note_problem(config, KisBenchError(f"-m {FIDELITY_MARK} {why}: leave -n out"))
        return []
    return require_settings(config)


def offer_engines(config: pytest.Config) -> Sequence[str]:
    chosen = config.option.kis_search_engine
    return [name for name in list_probed() if name in chosen or not chosen]


def offer_sizes(config: pytest.Config) -> Sequence[DrawnSizes]:
    try:
        sizes = DrawnSizes.read()
    except KisBenchError as error:
        note_problem(config, error)
        return []
    return [sizes] if sizes.items else []


#: Parameters of tests -> what offers their values.
PARAMETERS: Mapping[str, Callable[[pytest.Config], Sequence[Any]]] = {
    "drawn_sizes": offer_sizes,
    "engine_name": offer_engines,
    "search_setting": offer_settings,
}
NOTHING_ASKED = {
    "search_setting": "no search engine takes part",
    "engine_name": "no facts are known of one's own engine",
    "drawn_sizes": "for drawn vectors set KIS_FIDELITY_ITEMS=100000",
}


def note_problem(config: pytest.Config, error: KisBenchError) -> None:
    """Notes what is wrong, once."""
    if str(error) not in map(str, problems(config)):
        problems(config).append(error)


def require_settings(config: pytest.Config) -> list[Setting]:
    """Returns the settings that take part; notes an engine that was named and isn't known or installed."""
    named, settings = config.option.kis_search_engine, []
    try:
        settings = list_settings(named)
        for setting in settings if named else ():
            setting.require()
    except KisBenchError as error:
        note_problem(config, error)
    return settings
