"""Tables of models: the catalogue of the package, a user's own rows, and names that need no row."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kis_bench.errors import BadFile, UnknownName
from kis_bench.files.toml_tables import read_toml
from kis_bench.records import Checkpoint, short_name

CATALOGUE = Path(__file__).with_name("catalogue.toml")
NUMBERS = {
    "dim": int,
    "vectors_per_item": int,
    "context_length": int,
    "parameters_m": (int, float),
    "image_only": bool,
}
TYPES: dict[str, Any] = {
    field.name: NUMBERS.get(field.name, str) for field in dataclasses.fields(Checkpoint)
}


@functools.cache
def catalogue() -> dict[str, Checkpoint]:
    return {row["name"]: Checkpoint(**row) for row in read_toml(CATALOGUE)["model"]}


def read_models(file: Path) -> list[Checkpoint]:
    """The rows of a models.toml: a bare name stands for the catalogue's row, a ``source`` makes a new one."""
    problems: list[str] = []
    found: list[Checkpoint] = []
    for number, row in enumerate(read_toml(file).get("model", []), start=1):
        name, unknown = row.get("name"), sorted(set(row) - set(TYPES))
        if not isinstance(name, str) or not name:
            problems.append(f"[[model]] {number}: name is missing")
        elif unknown:
            problems.append(f"[[model]] {number} ({name}): unknown key {', '.join(unknown)}")
        elif wrong := [key for key, value in row.items() if not isinstance(value, TYPES[key])]:
            problems.append(
                f"[[model]] {number} ({name}): {wrong[0]} = {row[wrong[0]]!r} is of the wrong kind"
            )
        elif any(earlier.name == name for earlier in found):
            problems.append(f"[[model]] {number}: {name} is there twice")
        elif "source" in row:
            found.append(Checkpoint(**{**row, "source": beside(file, row["source"])}))
        elif name in catalogue():
            found.append(dataclasses.replace(catalogue()[name], **row))
        else:
            problems.append(f"[[model]] {number}: {name} is not in the catalogue; give its source")
    if problems:
        raise BadFile(file, problems)
    return found


def beside(table: Path, source: str) -> str:
    """A folder that is written relative in a table starts at the table's own."""
    kind, local, path = source.partition(":local-dir:")
    return f"{kind}{local}{table.parent / Path(path).expanduser()}" if local else source


#: Sources that a user may write in place of a name, and those without a text side.
FREE_SOURCES = ("hf-hub", "openclip", "transformers", "timm", "extractor")
IMAGE_ONLY = ("timm", "extractor")
FORMS = "openclip:ARCH/TAG, openclip:local-dir:PATH, hf-hub:ORG/NAME, transformers:ORG/NAME, timm:NAME, module:function"


def find(name: str, declared: Iterable[Checkpoint] = ()) -> Checkpoint:
    """The checkpoint of a name: declared by the user, in the catalogue, or one of the :data:`FORMS`."""
    known = {**catalogue(), **{row.name: row for row in declared}}
    if name in known:
        return known[name]
    kind, colon, rest = name.partition(":")
    if colon and kind in FREE_SOURCES:
        if not rest:
            raise UnknownName("model", name, known, f"Without a row, a model is named {FORMS}.")
        return Checkpoint(name=short_name(name), source=name, image_only=kind in IMAGE_ONLY)
    if colon and rest.isidentifier() and all(part.isidentifier() for part in kind.split(".")):
        return Checkpoint(name=name.replace(":", "."), source=f"python:{name}")
    raise UnknownName("model", name, known, f"Without a row, a model is named {FORMS}.")


def nameless(checkpoint: Checkpoint) -> bool:
    """Whether it is a function that no table gave a name: then that of its object counts."""
    return checkpoint.source == f"python:{checkpoint.name[::-1].replace('.', ':', 1)[::-1]}"


def spoken(checkpoint: Checkpoint) -> str:
    """What to type for this model on a command line."""
    if checkpoint.name in catalogue():
        return checkpoint.name
    return checkpoint.source + ("" if checkpoint.revision == "main" else f"@{checkpoint.revision}")
