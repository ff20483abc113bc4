"""Folders of the user's own, in the form that a repository of the hub has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kis_bench.encoders.hub import SMALL_FILES, Repository, find_repository
from kis_bench.files.cache import digest_file
from kis_bench.records import Checkpoint, Source


def locate_model(checkpoint: Checkpoint) -> Repository | Path:
    """The user's folder, or the repository."""
    return checkpoint.origin.folder or find_repository(checkpoint)


def prefer_folder(checkpoint: Checkpoint, start: Path) -> Checkpoint:
    """The row of a folder where one has the name of a repository that isn't in the cache; else the same.

    Args:
        start: where a relative path begins.
    """
    source = checkpoint.origin
    if source.folder is not None or not source.rest or not (start / source.rest).is_dir():
        return checkpoint
    if find_repository(checkpoint).snapshot is not None:
        return checkpoint
    found = Source.read(f"{source.kind}:./{source.rest}")
    found = found.starting_at(start) if start != Path() else found
    name = found.short_name if checkpoint.name == source.short_name else checkpoint.name
    return replace(checkpoint, name=name, source=found.text)


def list_read_files(
    folder: Path, preferred: Sequence[str], places: Iterable[str] = ("",)
) -> Iterator[str]:
    """Names of the files that make the vectors, below a folder: configurations, tokenizers, one set of weights.

    Args:
        places: folders in it that are looked into; empty: the folder itself.
    """
    for path in places:
        place = folder / path
        inside = sorted(one.name for one in place.iterdir()) if place.is_dir() else []
        chosen = next((name for name in preferred if name in inside), "")
        for name in inside:
            # An index names the parts; a set of weights that isn't read doesn't count.
            part = chosen.endswith(".index.json") and name.endswith(chosen.split(".")[-3])
            if SMALL_FILES.fullmatch(name) or name == chosen or part:
                yield f"{path}/{name}".lstrip("/")


def digest_read_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """A digest of each file, by its name with ``:`` for ``/``."""
    return {name.replace("/", ":"): digest_file(folder / name) for name in names}


def needs_lower_case(folder: Path) -> bool:
    """Whether a repository is SigLIP's with a tokenizer that keeps capitals, as those of SigLIP 2 at fixed resolutions.

    SigLIP was trained on lower case. The library folds case in `SiglipTokenizer` and, for the models of varying
    resolution, in `Siglip2Tokenizer`; in others it doesn't, whatever ``do_lower_case`` says. A repository whose
    ``do_lower_case`` is false was trained otherwise, and is left alone.
    """
    try:
        config, tokenizer = (
            json.loads((folder / name).read_text(encoding="utf-8"))
            for name in ("config.json", "tokenizer_config.json")
        )
        own = str(tokenizer.get("tokenizer_class") or "SiglipTokenizer").removesuffix("Fast")
        named = config.get("model_type") == "siglip" and own != "SiglipTokenizer"
    except (OSError, ValueError, AttributeError):
        return (
            False  # without a table the library takes SiglipTokenizer; loading says what is damaged
        )
    return named and tokenizer.get("do_lower_case") is not False
