"""The report's part on provenance: what the figures were made with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kis_bench.datasets.left_out import describe_left_out, describe_unreadable
from kis_bench.report.tables import escape, table


def show_fact(value: object) -> str:
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def list_facts(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every fact in a row of its own, those of a table within as well."""
    rows = []
    for key, value in about.items():
        if isinstance(value, Mapping):
            rows += [(f"{key}: {inner}", text) for inner, text in list_facts(value)]
        else:
            rows.append((str(key), show_fact(value)))
    return rows


def show_provenance(about: Mapping[str, Any]) -> list[str]:
    """How everything was measured, whole: nothing is cut."""
    facts = list_facts(
        {key: value for key, value in about.items() if key not in ("models", "datasets")}
    )
    lines = ["## Provenance", "", table(["what", "value"], facts, limit=None), ""]
    for kind in ("models", "datasets"):
        rows = [
            (name, *fact)
            for name, own in sorted((about.get(kind) or {}).items())
            if isinstance(own, Mapping)
            for fact in list_facts({key: value for key, value in own.items() if key != "note"})
        ]
        if rows:
            lines += [table([kind, "what", "value"], gather_facts(rows), limit=None), ""]
    return lines


def gather_facts(rows: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """One row for a fact that holds of several names; those that hold of all come first.

    >>> gather_facts([("a", "dim", "2"), ("a", "device", "cpu"), ("b", "dim", "3"), ("b", "device", "cpu")])
    [('all 2', 'device', 'cpu'), ('a', 'dim', '2'), ('b', 'dim', '3')]
    """
    order = {name: place for place, name in enumerate(dict.fromkeys(name for name, _, _ in rows))}
    holders: dict[tuple[str, str], list[str]] = {}
    for name, what, value in rows:
        holders.setdefault((what, value), []).append(name)
    whole = {fact for fact, names in holders.items() if 1 < len(names) == len(order)}
    ranked = sorted(holders, key=lambda fact: -1 if fact in whole else order[holders[fact][0]])
    return [
        (f"all {len(order):,}" if fact in whole else ", ".join(holders[fact]), *fact)
        for fact in ranked
    ]


def tell_left_out(facts: object) -> list[str]:
    """What of a dataset's folder was not read: a smaller collection flatters every model."""
    if not isinstance(facts, Mapping):
        return []
    counts = facts.get("left_out")
    said = [describe_left_out(counts)] if counts else []
    said += describe_unreadable(facts.get("unreadable") or {}, facts.get("queries_left_out") or ())
    return [*said, *map(str, facts.get("unread") or ())]


def show_notes(provenance: Mapping[str, Any]) -> list[str]:
    """What a reader has to know, as quotations that cannot be overlooked."""
    lines = []
    for kind, word in (("datasets", "Dataset"), ("models", "Model")):
        for name, facts in sorted((provenance.get(kind) or {}).items()):
            if isinstance(facts, Mapping) and facts.get("note"):
                lines.append(f"> **{word} {escape(name)}:** {escape(facts['note'], 2000)}\n")
            for said in tell_left_out(facts):
                lines.append(f"> **{word} {escape(name)}, left out:** {escape(said, 2000)}\n")
    return lines
