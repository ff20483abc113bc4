"""Words that the paragraphs on methods share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kis_bench.report.tables import escape

UNRECORDED = "was not recorded"


def enumerate_words(parts: Iterable[str]) -> str:
    """Parts in a row.

    >>> enumerate_words(["a", "b", "c"]), enumerate_words(["a"])
    ('a, b and c', 'a')
    """
    *most, last = [*parts] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def name_in_bold(name: object) -> str:
    return f"**{escape(name)}**"


def find_statistics(about: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """What run.json says of resampling for a part of the figures; empty where it says nothing."""
    facts = about.get("statistics")
    own = facts.get(part) if isinstance(facts, Mapping) else None
    return own if isinstance(own, Mapping) else {}


def count_draws(facts: Mapping[str, Any], key: str, noun: str) -> str:
    """How many draws there were and with which seed.

    >>> count_draws({"resamples": 10000, "seed": 0}, "resamples", "resamples")
    '10,000 resamples, seed 0'
    >>> count_draws({}, "resamples", "resamples")
    'the number of resamples and the seed were not recorded'
    """
    if not isinstance(facts.get(key), int):
        return f"the number of {noun} and the seed were not recorded"
    seed = f"seed {facts['seed']}" if "seed" in facts else "the seed was not recorded"
    return f"{facts[key]:,} {noun}, {seed}"
