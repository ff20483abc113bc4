"""open_clip's table of built-in architectures and their weights, without importing open_clip each time.

The import costs seconds; so the table is written down once for each installed version.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kis_bench.encoders.hub import Repository
from kis_bench.errors import UnknownName
from kis_bench.files import cache

#: What open_clip's table says of how the pictures of weights are prepared.
TOLD_OF_PICTURES = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True)
class Tag:
    """One architecture with one of its weights."""

    architecture: str
    tag: str
    weights: Repository | Path  # or a file of the user's
    files: tuple[str, ...]  # of the repository's weights, the preferred first
    quick_gelu: (
        bool | None
    )  # the activation that the weights were trained with; None: as the architecture's name says
    preprocessing: dict[str, Any]  # arguments of open_clip.create_model_from_pretrained
    context_length: int
    dim: int
    tokenizer: Repository | None  # None: open_clip's own
    tokenizer_options: dict[str, Any]
    text_model: (
        Repository | None
    )  # whose configuration describes the text side, where that is not open_clip's

    @property
    def repositories(self) -> list[Repository]:
        """All that the model is made of, the weights first."""
        found = (self.weights, self.tokenizer, self.text_model)
        return [one for one in found if isinstance(one, Repository)]

    def find_weights(self) -> Path | None:
        """The file of the weights, if it is here."""
        if isinstance(self.weights, Path):
            return self.weights if self.weights.is_file() else None
        folder = self.weights.snapshot
        places = [folder / file for file in self.files] if folder is not None else []
        return next((place for place in places if place.is_file()), None)


@functools.cache
def read_tags() -> dict[str, Any]:
    version = importlib.metadata.version("open_clip_torch")
    file = cache.find_folder("open_clip") / f"{version}-all.json"
    try:
        known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        import open_clip

        tags: dict[str, dict[str, Any]] = {}
        for architecture, tag in open_clip.list_pretrained():
            tags.setdefault(architecture, {})[tag] = open_clip.get_pretrained_cfg(architecture, tag)
        known = {
            "tags": tags,
            "architectures": {
                name: open_clip.get_model_config(name) for name in open_clip.list_models()
            },
        }
        cache.write_if_possible(file, json.dumps(known))
    return known


def find_tag(architecture: str, tag: str) -> Tag:
    """What open_clip knows of ``architecture`` with the weights ``tag``.

    Raises:
        UnknownName: it has no such architecture, or no such weights for it.
    """
    tags = read_tags()["tags"]
    if architecture not in tags:
        raise UnknownName("open_clip architecture", architecture, tags)
    if tag not in tags[architecture]:
        raise UnknownName(
            "open_clip tag", tag, tags[architecture], f"Architecture: {architecture}."
        )
    about = tags[architecture][tag]
    repository, _, file = about["hf_hub"].rpartition("/")
    file = file or "open_clip_pytorch_model.bin"
    safe = (
        "open_clip_model.safetensors"
        if file == "open_clip_pytorch_model.bin"
        else f"{file[:-4]}.safetensors"
    )
    return make_tag(
        architecture,
        tag,
        Repository(repository),
        (safe, file),
        bool(about.get("quick_gelu")),
        {f"image_{name}": about[name] for name in TOLD_OF_PICTURES},
    )


def find_weights_file(architecture: str, file: Path) -> Tag:
    """A file of weights for an architecture.

    Its pictures are prepared as those of all weights that open_clip knows for the architecture, where these agree, else
    as open_clip does by default.

    Raises:
        UnknownName: open_clip has no such architecture.
    """
    known = read_tags()
    if architecture not in known["architectures"]:
        raise UnknownName("open_clip architecture", architecture, known["architectures"])
    tags = known["tags"].get(architecture, {}).values()
    agreed = {}
    for name in TOLD_OF_PICTURES:
        values = [about[name] for about in tags]
        if values and all(value == values[0] for value in values):
            agreed[f"image_{name}"] = values[0]
    return make_tag(architecture, file.name, file, (), None, agreed)


def make_tag(
    architecture: str,
    tag: str,
    weights: Repository | Path,
    files: tuple[str, ...],
    quick_gelu: bool | None,
    preprocessing: dict[str, Any],
) -> Tag:
    model = read_tags()["architectures"][architecture]
    text = model["text_cfg"]
    tokenizer, text_model = text.get("hf_tokenizer_name"), text.get("hf_model_name")
    return Tag(
        architecture,
        tag,
        weights,
        files,
        quick_gelu,
        preprocessing,
        text.get("context_length", 77),
        model["embed_dim"],
        Repository(tokenizer) if tokenizer else None,
        {**text.get("tokenizer_kwargs", {}), "tokenizer_mode": text.get("tokenizer_mode")},
        Repository(text_model) if text_model else None,
    )


def find_quick_gelu(repository: str) -> bool | None:
    """What the weights of a hub repository were trained with, where the table knows the repository."""
    found = {
        bool(about.get("quick_gelu"))
        for tags in read_tags()["tags"].values()
        for about in tags.values()
        if about["hf_hub"].rpartition("/")[0] == repository
    }
    return found.pop() if len(found) == 1 else None
