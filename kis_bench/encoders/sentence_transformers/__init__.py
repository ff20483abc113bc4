"""Back end ``sentence-transformers:ORG/NAME`` or ``sentence-transformers:PATH``: models for pictures and texts.

A model is a list of modules (``modules.json``), each with a folder of its own or the model's. A path begins with
``/``, ``./``, ``../`` or ``~``; what else is written is a repository of the hub, or, while the hub's cache has none of
this name, a folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from kis_bench.encoders import hub
from kis_bench.encoders.own_folders import (
    digest_read_files,
    list_read_files,
    locate_model,
    prefer_folder,
)
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.errors import KisBenchError, explain_install
from kis_bench.records import Checkpoint, Readiness, digest

#: Before 6, a folder's own Python code was run without a question.
NEEDS = ("sentence-transformers>=6,<7", "torch>=2.4", "torchvision")
EXTRA = "sentence-transformers"
MODULES = "modules.json"
CONFIG = "config.json"
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
WITH_WEIGHTS = ("Dense", "LayerNorm")  #: modules that have weights, beside the first one


def read_modules(folder: Path) -> list[tuple[str, str]]:
    """Folder (empty: the model's own) and class of each module, in their order.

    Raises:
        KisBenchError: the table isn't there or is damaged, or a module lies elsewhere.
    """
    try:
        rows = json.loads((folder / MODULES).read_text(encoding="utf-8"))
        found = [(str(row["path"]), str(row["type"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KisBenchError(f"{MODULES} of {folder.name} can't be read: {error}") from error
    if not found or any(Path(path).is_absolute() or ".." in Path(path).parts for path, _ in found):
        raise KisBenchError(f"{MODULES} of {folder.name} lists no modules, or some elsewhere")
    return found


def find_missing(folder: Path) -> list[str]:
    """What a model's folder lacks, as far as its table of modules tells; empty: nothing."""
    if not (folder / MODULES).is_file():
        return [MODULES]
    try:
        modules = read_modules(folder)
    except KisBenchError:
        return [f"{MODULES} (damaged)"]
    missing = []
    for number, (path, kind) in enumerate(modules):
        if number == 0 or kind.rpartition(".")[2] in WITH_WEIGHTS:
            lacks = hub.missing_files(folder / path, CONFIG, WEIGHTS)
            missing += [f"{path}/{file}".lstrip("/") for file in lacks]
    return missing


def readiness(checkpoint: Checkpoint) -> Readiness:
    place = locate_model(checkpoint)
    if absent := [need for need in NEEDS if not hub.installed(need)]:
        return Readiness(False, f"needs {' and '.join(absent)}", explain_install(EXTRA))
    if isinstance(place, hub.Repository):
        snapshot = place.snapshot
        if snapshot is not None and not find_missing(snapshot):
            return Readiness(True, "ready")
        return hub.not_downloaded(checkpoint)
    missing = find_missing(place)
    return Readiness(
        not missing,
        f"no {missing[0]}" if missing else "ready",
        f"looked in {place}" if missing else "",
    )


def fetch(checkpoint: Checkpoint) -> None:
    """Downloads the table of modules, then of each module its configuration and one set of weights."""
    repository = hub.find_repository(checkpoint)
    folder = repository.fetch(choose_table)
    modules = read_modules(folder)

    def choose(files: Sequence[str]) -> list[str]:
        chosen = dict.fromkeys(hub.small_files(files))
        for number, (path, kind) in enumerate(modules):
            start = f"{path}/" if path else ""
            inside = [file.removeprefix(start) for file in files if file.startswith(start)]
            with_weights = number == 0 or kind.rpartition(".")[2] in WITH_WEIGHTS
            read = (
                hub.weights_and_small_files(inside, WEIGHTS)
                if with_weights
                else hub.small_files(inside)
            )
            chosen |= dict.fromkeys(f"{start}{file}" for file in read)
        return [*chosen]

    repository.fetch(choose)


def choose_table(files: Sequence[str]) -> list[str]:
    if MODULES not in files:
        raise KisBenchError(
            f"this is no repository of sentence-transformers, it has no {MODULES}; try transformers:ORG/NAME"
        )
    return [MODULES]


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    """The commit of a repository; of a folder a digest of each file that is read, ``MODULE:FILE``."""
    place = locate_model(checkpoint)
    if isinstance(place, hub.Repository):
        return place.weights()
    if find_missing(place):
        return {}
    places = dict.fromkeys(["", *(path for path, _ in read_modules(place))])
    return digest_read_files(place, list_read_files(place, WEIGHTS, places))


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    """Known as soon as the files are here, without loading them."""
    place = locate_model(checkpoint)
    if isinstance(place, hub.Repository):
        return f"{EXTRA}-{place.key()}-{precision}" if place.commit else None
    contents = weights(checkpoint)
    return f"{EXTRA}-local-{digest(contents.items())[:16]}-{precision}" if contents else None


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    from kis_bench.encoders.sentence_transformers.encoder import SentenceTransformersEncoder

    place, made_under = locate_model(checkpoint), key(checkpoint, precision)
    folder = place.snapshot if isinstance(place, hub.Repository) else place
    assert folder is not None  # it is ready
    assert made_under is not None
    return SentenceTransformersEncoder(checkpoint, made_under, device, precision, folder)


BACK_END = BackEnd(
    kinds=("sentence-transformers",),
    forms=("sentence-transformers:ORG/NAME", "sentence-transformers:PATH"),
    packages=("sentence-transformers", "transformers", "tokenizers", "torch", "torchvision"),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    fetch=fetch,
    fill_in=prefer_folder,
)
