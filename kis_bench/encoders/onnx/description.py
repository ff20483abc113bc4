"""What a folder's own ``onnx.toml`` says, and how texts are read, by it or by files of transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kis_bench.encoders.onnx.networks import names_inner_file
from kis_bench.encoders.own_folders import needs_lower_case
from kis_bench.errors import BadFile, unknown
from kis_bench.files.toml_tables import read_toml

OWN = "onnx.toml"
PIECES = (
    "spiece.model"  #: of SigLIP 1, for a class of transformers that no tokenizer.json stands for
)
TOKENIZER, ABOUT_TOKENIZER = "tokenizer.json", "tokenizer_config.json"
SPECIAL_TOKENS, MODEL_CONFIG = "special_tokens_map.json", "config.json"
TOKENIZER_OF_OPEN_CLIP = (
    "open_clip"  #: in place of a file: the tokenizer that comes with the library
)
CONTEXT_OF_OPEN_CLIP = 77  #: tokens that it reads, where nothing else is said
TOML_KEYS: dict[str, type] = {
    "images": str,
    "texts": str,
    "image_output": str,
    "text_output": str,
    "side": int,
    "resize": str,
    "interpolation": str,
    "mean": list,
    "std": list,
    "tokenizer": str,
    "context_length": int,
    "pad_id": int,
    "lower_case": bool,
}
#: As Pillow numbers them, which configurations do as well.
INTERPOLATIONS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
RESIZES = ("shortest", "squash")
FILES = ("images", "texts", "tokenizer")  #: keys that name one
LEAST = {"context_length": 1, "pad_id": 0}
UNLIMITED_TOKENS = 10**6  #: tokens; what tokenizers without a limit say is far more


@dataclass(frozen=True)
class TextForm:
    """How texts become tokens."""

    tokenizer: Path | None  # None: open_clip's own
    context_length: int | None  # None: only the network can tell
    pad: int | str  # the token, or its number
    pad_left: bool = False
    lower_case: bool = False


def read_own(folder: Path) -> dict[str, Any]:
    """The folder's ``onnx.toml``; empty where there is none.

    Raises:
        BadFile: it is damaged or holds something else.
    """
    file = folder / OWN
    if not file.is_file():
        return {}
    told = read_toml(file)
    problems = [unknown("key", key, TOML_KEYS) for key in told if key not in TOML_KEYS]
    problems += [
        f"{key} = {value!r} is of the wrong kind"
        for key, value in told.items()
        if key in TOML_KEYS and type(value) is not TOML_KEYS[key]
    ]
    problems += [
        f"{key} = {told[key]!r} names no file in this folder or below it"
        for key in FILES
        if isinstance(told.get(key), str) and not names_inner_file(told[key])
    ]
    problems += [
        f"{key} = {told[key]} is less than {least}"
        for key, least in LEAST.items()
        if isinstance(told.get(key), int) and told[key] < least
    ]
    for key, choices in (("interpolation", INTERPOLATIONS), ("resize", RESIZES)):
        if isinstance(told.get(key), str) and told[key] not in choices:
            problems.append(unknown(key, told[key], choices))
    if "texts" in told and "images" not in told:
        problems.append("texts without images; name the file of the network for pictures, too")
    if problems:
        raise BadFile(file, problems)
    return told


def describe_tokens(folder: Path, told: Mapping[str, Any]) -> TextForm:
    """
    Raises:
        BadFile: there is no tokenizer, or nothing says what it pads with.
    """
    name = told.get("tokenizer", TOKENIZER)
    file = None if name == TOKENIZER_OF_OPEN_CLIP else folder / name
    if file is not None and not file.is_file():
        remedy = (
            f"{PIECES} isn't read; take the {TOKENIZER} of a repository that has its networks in onnx/"
            if (folder / PIECES).is_file()
            else "save it beside the network: AutoTokenizer.from_pretrained(...).save_pretrained(FOLDER)"
        )
        raise BadFile(folder, [f"no {name}, which reads texts; {remedy}"])
    config, about, special = (
        read_json_table(folder / each) if (folder / each).is_file() else {}
        for each in (MODEL_CONFIG, ABOUT_TOKENIZER, SPECIAL_TOKENS)
    )
    of_text = config.get("text_config")
    of_text = of_text if isinstance(of_text, Mapping) else {}
    limits = [told.get("context_length")]
    if limits == [None]:
        limits = [about.get("model_max_length"), of_text.get("max_position_embeddings")]
    known = [
        int(one) for one in limits if isinstance(one, int | float) and 1 <= one < UNLIMITED_TOKENS
    ]
    token = about.get("pad_token") or special.get("pad_token")
    token = token.get("content") if isinstance(token, Mapping) else token
    pad = told.get("pad_id", 0 if file is None else token or of_text.get("pad_token_id"))
    if pad is None:
        raise BadFile(folder, [f"nothing says what texts are padded with; write pad_id in {OWN}"])
    return TextForm(
        file,
        min(known, default=CONTEXT_OF_OPEN_CLIP if file is None else None),
        pad,
        about.get("padding_side") == "left",
        told.get("lower_case", needs_lower_case(folder)),
    )


def read_json_table(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
    except ValueError as error:
        raise BadFile(file, [str(error)]) from error
    except RecursionError as error:
        raise BadFile(file, ["it is nested too deeply to be a configuration"]) from error
    if not isinstance(content, dict):
        raise BadFile(file, ["it is no table of names and values"])
    return content
