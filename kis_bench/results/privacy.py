"""What a run under privacy says of itself: what is named here, and nothing else.

Everything else may hold folders, names of people or of machines, or texts. Names of models, datasets and label sets,
and ids of queries and items, are shown: choose such as you may show.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kis_bench.choices import CLUSTER_ENGINES
from kis_bench.records import Source

PUBLIC_FACTS = frozenset(
    {
        "command",
        "datasets",
        "device",
        "gate",
        "git",
        "interrupted",
        "left_out",
        "merged_from",
        "models",
        "precision",
        "privacy",
        "remarks",
        "schema_version",
        "statistics",
        "tables",
        "threads",
        "time",
        "versions",
    }
)
OF_MODELS = frozenset(
    {
        "batch_size",
        "decode",
        "device",
        "dim",
        "embedding",
        "key",
        "licence",
        "note",
        "paper",
        "precision",
        "probes",
        "ranking",
        "read",
        "revision",
        "row",
        "service",
        "source",
        "threads",
        "vectors_per_item",
        "verified",
        "weights",
    }
)
OF_DATASETS = frozenset(
    {
        "contents",
        "fingerprint",
        "image_similarity",
        "layout",
        "left_out",
        "n_groups",
        "n_indifferent",
        "n_items",
        "n_judgments",
        "n_participants",
        "n_queries",
        "n_repeated",
        "n_targets",
        "n_triplets",
        "near_duplicates",
        "note",
        "queries_left_out",
        "segment_s",
        "unreadable",
    }
)
#: Options that are shown with their values, which are numbers or words of ours; of others only the name.
PUBLIC_OPTIONS = frozenset(
    {
        "alpha",
        "batch-size",
        "decode",
        "device",
        "direction",
        "download",
        "drift",
        "engine",
        "exact",
        "gate-metric",
        "image-similarity",
        "max-pixels",
        "near-duplicates",
        "precision",
        "privacy",
        "query-factor",
        "segment",
        "skip-unreadable",
        "strict",
        "tolerance",
        "verify",
    }
)
#: The folders of an absolute path, down to its last name; addresses of the network have none.
ABSOLUTE = re.compile(r"(?<![\w.~:/\\@])(?:[A-Za-z]:|~)?[\\/](?:[^\s'\",;:()\\/]+[\\/])+")


def without_private(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a run says of itself, what may be shown under privacy."""
    found = {key: value for key, value in provenance.items() if key in PUBLIC_FACTS}
    for kind, allowed in (("models", OF_MODELS), ("datasets", OF_DATASETS)):
        if isinstance(provenance.get(kind), Mapping):
            found[kind] = {
                name: hide_facts(about or {}, allowed) for name, about in provenance[kind].items()
            }
    if found.get("command"):
        found["command"] = hide_command(found["command"])
    if found.get("merged_from"):
        found["merged_from"] = [
            {**one, "command": hide_command(one["command"]) if one.get("command") else None}
            for one in found["merged_from"]
        ]
    return found


#: How messages name nodes, and how addresses look, with a port or of four numbers.
NODE = re.compile(r"\bnode \S+ \([^)\s]+\)")
HOST = re.compile(
    r"\b(?:\d{1,3}\.){3}\d{1,3}\b(?::\d+\b)?|(?:[A-Za-z][\w.-]*|\[[0-9A-Fa-f:.]+\]):\d{2,5}\b"
)
ANY_CLUSTER = "auto"  #: which is no address


def hide_facts(about: Mapping[str, Any], allowed: Collection[str]) -> dict[str, Any]:
    """Of a model or a dataset."""
    found = {key: value for key, value in about.items() if key in allowed}
    if isinstance(found.get("source"), str):
        found["source"] = Source.read(found["source"]).public
    if "remarks" in about:  # which name files
        found["remarks"] = []
    if isinstance(found.get("weights"), Mapping):
        found["weights"] = {last(str(name)): value for name, value in found["weights"].items()}
    return found


def hide_folders(text: str, known: Iterable[Path] = ()) -> str:
    """A message with the last names of paths only.

    Args:
        known: folders and files of the user's that it may name; others are found by how absolute paths look.

    >>> hide_folders("no config.json. looked in /home/me/ours", [])
    'no config.json. looked in ours'
    >>> hide_folders("looked in /home/my self/ours", [Path("/home/my self/ours")])
    'looked in ours'
    """
    written = {str(path) for each in known for path in (each, each.absolute(), each.resolve())}
    for path in sorted(written, key=len, reverse=True):
        if len(Path(path).parts) > 1:
            text = text.replace(path, last(path))
    return ABSOLUTE.sub("", text)


def last(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]


def hide_address(value: str) -> str:
    """The value of an option without the address of a cluster.

    >>> hide_address("ray:10.0.0.1:6379"), hide_address("cuda:1")
    ('ray', 'cuda:1')
    """
    kind, _, _ = value.partition(":")
    return kind if kind in CLUSTER_ENGINES else value


def hide_hosts(text: str, engine: str) -> str:
    """A message about a cluster without its address, and without names and addresses of its nodes.

    >>> hide_hosts("node gpu7 (10.0.0.7): no cluster answers at head:6379: refused", "ray:head:6379")
    'a node: no cluster answers at an address: refused'
    >>> hide_hosts("--kis-engine ray:nowhere: 'nowhere' is no address", "ray:nowhere")
    "--kis-engine ray: 'an address' is no address"
    """
    address = engine.partition(":")[2]
    text = NODE.sub("a node", text).replace(engine, hide_address(engine))
    if address and address != ANY_CLUSTER:
        text = text.replace(address, "an address")
    return HOST.sub("an address", text)


def hide_command(arguments: Sequence[str]) -> list[str]:
    """The program, and our options: those of `PUBLIC_OPTIONS` with their values.

    >>> hide_command(["pytest", "/home/me/suite", "-k", "anna", "--kis-data", "/home/me", "--kis-drift", "2"])
    ['pytest', '--kis-data', '--kis-drift', '2']
    """
    kept = [last(str(part)) for part in arguments[:1]]
    shown = False
    for part in map(str, arguments[1:]):
        name, equals, value = part.partition("=")
        option = name.removeprefix("--kis-")
        if name.startswith("--kis-"):
            shown = not equals and option in PUBLIC_OPTIONS
            value = hide_address(value)
            kept.append(f"{name}={value}" if equals and option in PUBLIC_OPTIONS else name)
            continue
        if shown and not part.startswith("-") and re.fullmatch(r"[\w.:%@-]+", part):
            kept.append(hide_address(part))
        shown = False
    return kept
