"""open_clip's table of built-in architectures and their weights, without importing open_clip each time.

The import costs seconds; so the table is written down once for each installed version.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
from dataclasses import dataclass
from typing import Any

from kis_bench.encoders.hub import Repository
from kis_bench.errors import UnknownName
from kis_bench.files import cache


@dataclass(frozen=True)
class Tag:
    """One architecture with one of its weights."""

    architecture: str
    tag: str
    weights: Repository
    files: tuple[str, ...]  # of the weights, the preferred first
    quick_gelu: bool  # the activation that the weights were trained with
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
        return [self.weights, *(one for one in (self.tokenizer, self.text_model) if one)]


@functools.cache
def read_tags() -> dict[str, Any]:
    file = cache.find_folder("open_clip") / f"{importlib.metadata.version('open_clip_torch')}.json"
    try:
        known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        import open_clip

        tags: dict[str, dict[str, Any]] = {}
        for architecture, tag in open_clip.list_pretrained():
            tags.setdefault(architecture, {})[tag] = open_clip.get_pretrained_cfg(architecture, tag)
        known = {
            "tags": tags,
            "architectures": {name: open_clip.get_model_config(name) for name in tags},
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
    about, model = tags[architecture][tag], read_tags()["architectures"][architecture]
    text = model["text_cfg"]
    repository, _, file = about["hf_hub"].rpartition("/")
    file = file or "open_clip_pytorch_model.bin"
    safe = (
        "open_clip_model.safetensors"
        if file == "open_clip_pytorch_model.bin"
        else f"{file[:-4]}.safetensors"
    )
    tokenizer, text_model = text.get("hf_tokenizer_name"), text.get("hf_model_name")
    return Tag(
        architecture,
        tag,
        Repository(repository),
        (safe, file),
        bool(about.get("quick_gelu")),
        {f"image_{name}": about[name] for name in ("mean", "std", "interpolation", "resize_mode")},
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
