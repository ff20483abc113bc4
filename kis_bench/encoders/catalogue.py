"""Tables of models: the catalogue of the package, a user's own rows, and names that need no row."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kis_bench.encoders.back_ends import back_ends, list_forms
from kis_bench.encoders.prompts import check_prompt
from kis_bench.errors import BadFile, KisBenchError, UnknownName
from kis_bench.files.toml_tables import read_toml
from kis_bench.records import Checkpoint, Source

CATALOGUE = Path(__file__).with_name("catalogue.toml")
IMPORTED_KEYS = (
    "m3rt-"  #: how the store's keys of imported features begin; models are named by them, too
)
OPEN_CLIP = {"openclip": "hf-hub"}  #: two kinds of source, one library
NUMBERS = {
    "dim": int,
    "vectors_per_item": int,
    "context_length": int,
    "parameters_m": (int, float),
    "image_only": bool,
    "with_judgments": bool,
}
TYPES: dict[str, Any] = {
    **{field.name: NUMBERS.get(field.name, str) for field in dataclasses.fields(Checkpoint)},
    "prompts": tuple,
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
        if isinstance(row.get("prompts"), list):
            row = {**row, "prompts": tuple(map(str, row["prompts"]))}
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
        elif said := list(filter(None, map(check_prompt, map(str, row.get("prompts", ()))))):
            problems.append(f"[[model]] {number} ({name}): {said[0]}")
        elif "source" in row:
            source = Source.read(row["source"]).starting_at(file.parent)
            found.append(complete_row(Checkpoint(**{**row, "source": source.text}), file.parent))
        elif (base := name if "prompts" not in row else name.rpartition("+")[0]) in catalogue():
            found.append(dataclasses.replace(catalogue()[base], **row))
        else:
            problems.append(f"[[model]] {number}: {name} is not in the catalogue; give its source")
    if problems:
        raise BadFile(file, problems)
    return found


def find(name: str, declared: Iterable[Checkpoint] = ()) -> Checkpoint:
    """The checkpoint of a name: declared by the user, in the catalogue, or in a form of a back end's."""
    known = {**catalogue(), **{row.name: row for row in declared}}
    if name in known:
        return known[name]
    imported = name.startswith(IMPORTED_KEYS)
    source = Source.read(name.replace("-", ":", 1) if imported else name)
    back_end = back_ends().get(source.kind)
    if back_end and any(form.startswith(f"{source.kind}:") for form in back_end.forms):
        if source.rest:
            row = Checkpoint(source.short_name, source.text, image_only=back_end.image_only)
            return complete_row(row, Path())
    elif all(part.isidentifier() for part in (*source.kind.split("."), source.rest)):
        return Checkpoint(name.replace(":", "."), f"python:{name}")
    elif source.kind == "https":  # which isn't repeated, for a key may stand in it
        raise KisBenchError(
            "a model whose name begins with https: isn't known; a service is named "
            "http:https://HOST/v1?model=NAME"
        )
    raise UnknownName("model", name, known, f"Without a row, a model is named {list_forms()}.")


def complete_row(row: Checkpoint, start: Path) -> Checkpoint:
    """The row with what its files tell, which are looked for from a folder."""
    back_end = back_ends().get(row.origin.kind)
    return row if back_end is None or back_end.fill_in is None else back_end.fill_in(row, start)


def find_same_weights(source: str) -> list[str]:
    """The sources of the same weights, as far as the catalogue tells, itself among them."""
    return [
        same
        for row in read_toml(CATALOGUE)["same_weights"]
        if source in row["sources"]
        for same in row["sources"]
    ]


def find_other_routes(checkpoint: Checkpoint) -> dict[str, list[Checkpoint]]:
    """Kind of source -> the same weights through that library, as far as the catalogue tells, here or not."""
    rest, sources = checkpoint.origin.rest, find_same_weights(checkpoint.source)
    kind = OPEN_CLIP.get(checkpoint.origin.kind, checkpoint.origin.kind)
    if other := {"hf-hub": "transformers", "transformers": "hf-hub"}.get(checkpoint.origin.kind):
        sources.append(f"{other}:{rest}")  # many repositories hold the files of both libraries
    named = {row.source: row for row in catalogue().values()}
    routes: dict[str, list[Checkpoint]] = {}
    for source in dict.fromkeys(sources):
        one = named.get(source) or find(source)
        routes.setdefault(OPEN_CLIP.get(one.origin.kind, one.origin.kind), []).append(one)
    routes.pop(kind, None)
    return routes


def nameless(checkpoint: Checkpoint) -> bool:
    """Whether it is a function that no table gave a name: then that of its object counts."""
    return checkpoint.source == f"python:{checkpoint.name[::-1].replace('.', ':', 1)[::-1]}"


def spoken(checkpoint: Checkpoint) -> str:
    """What to type for this model on a command line."""
    if checkpoint.name in catalogue():
        return checkpoint.name
    return checkpoint.source + ("" if checkpoint.revision == "main" else f"@{checkpoint.revision}")
