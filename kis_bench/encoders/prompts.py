"""Prompts: what stands around each text, or several of them, whose vectors are averaged."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kis_bench.encoders.back_ends import find_back_end
from kis_bench.encoders.protocol import Encoder, SavedEncoder
from kis_bench.errors import KisBenchError
from kis_bench.records import Checkpoint, Float32s, digest

PLACE = "{}"  #: where the text stands in a prompt
MARK = "+prompt-"  #: between a model's key and what stands for its prompts
EncodeTexts = Callable[[Sequence[str]], tuple[Float32s, NDArray[np.bool_] | None]]


def name_prompted(key: str, prompts: Sequence[str]) -> str:
    """The key of texts that are read with prompts."""
    return f"{key}{MARK}{digest(prompts)[:12]}" if prompts else key


def strip_prompts(key: str) -> str:
    """The key of pictures, whose vectors don't depend on prompts.

    >>> strip_prompts(name_prompted("clip-1", ["a photo of {}"]))
    'clip-1'
    """
    return key.partition(MARK)[0]


def check_prompt(prompt: str) -> str:
    """What is wrong with a prompt; empty: nothing."""
    if prompt.count(PLACE) != 1:
        return f"prompt {prompt!r}: {PLACE} has to stand in it once, for the text"
    return ""


def parse_prompts(given: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Prompts by name, from ``NAME=PROMPT``; those of one name are averaged.

    Raises:
        KisBenchError: one isn't of this form.
    """
    found: dict[str, tuple[str, ...]] = {}
    for each in given:
        name, equals, prompt = each.partition("=")
        wrong = check_prompt(prompt)
        if not equals or not re.fullmatch(r"[\w.-]+", name):
            wrong = f"{each!r}: write NAME=PROMPT, with letters, digits, '.', '-' and '_' in NAME"
        if wrong:
            raise KisBenchError(wrong)
        found[name] = tuple(dict.fromkeys((*found.get(name, ()), prompt)))
    return found


def add_prompts(
    models: Sequence[Checkpoint], prompts: Mapping[str, Sequence[str]]
) -> list[Checkpoint]:
    """Each model and behind it, if it reads texts and has no prompts of its own, ``MODEL+NAME`` for each name."""
    found: dict[str, Checkpoint] = {}
    for model in models:
        found.setdefault(model.name, model)
        if model.image_only or model.prompts or find_back_end(model).saved:
            continue
        for name, some in prompts.items():
            prompted = prompt_model(model, name, some)
            found.setdefault(prompted.name, prompted)
    return list(found.values())


def prompt_model(model: Checkpoint, name: str, prompts: Sequence[str]) -> Checkpoint:
    return dataclasses.replace(model, name=f"{model.name}+{name}", prompts=tuple(prompts))


def use_prompts(encoder: Any, checkpoint: Checkpoint) -> Encoder:
    """The encoder, which reads texts with the prompts of its row from now on, under a key of its own.

    Raises:
        KisBenchError: it has vectors of known texts only.
    """
    prompts, changed = checkpoint.prompts, encoder
    if not prompts or getattr(encoder, "image_only", False):
        return changed  # type: ignore[no-any-return]
    if isinstance(encoder, SavedEncoder):
        raise KisBenchError(f"model {checkpoint.name}: it is vectors on disk and takes no prompts")
    encode = encoder.encode_texts
    changed.encode_texts = lambda texts: encode_prompted(encode, prompts, texts)
    changed.key, changed.name = name_prompted(encoder.key, prompts), checkpoint.name
    return changed  # type: ignore[no-any-return]


def encode_prompted(
    encode: EncodeTexts, prompts: Sequence[str], texts: Sequence[str]
) -> tuple[Float32s, NDArray[np.bool_] | None]:
    """Unit vectors of texts, float32 ``[n, 1, d]``: of one prompt its own, else the mean of all, made length 1.

    Returns:
        Also which texts were cut under any of the prompts, bool ``[n]``; None where nobody knows.
    """
    found = [encode([prompt.replace(PLACE, text) for text in texts]) for prompt in prompts]
    if len(found) == 1:
        return found[0]
    mean = np.mean([vectors.astype(np.float64) for vectors, _ in found], axis=0)
    with np.errstate(invalid="ignore"):  # vectors that cancel out are refused as NaN
        unit = (mean / np.linalg.norm(mean, axis=2, keepdims=True)).astype(np.float32)
    cut = [flags for _, flags in found if flags is not None]
    return unit, np.any(cut, axis=0) if len(cut) == len(found) else None
