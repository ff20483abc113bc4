"""How a folder says that pictures are prepared and texts read: files of transformers, or our own ``onnx.toml``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kis_bench.encoders.own_folders import needs_lower_case
from kis_bench.errors import BadFile, unknown
from kis_bench.files.toml_tables import read_toml

OWN = "onnx.toml"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
PIECES = (
    "spiece.model"  #: of SigLIP 1, for a class of transformers that no tokenizer.json stands for
)
TOKENIZER, ABOUT_TOKENIZER = "tokenizer.json", "tokenizer_config.json"
SPECIAL_TOKENS, MODEL_CONFIG = "special_tokens_map.json", "config.json"
TOKENIZER_OF_OPEN_CLIP = (
    "open_clip"  #: in place of a file: the tokenizer that comes with the library
)
CONTEXT_OF_OPEN_CLIP = 77  #: tokens that it reads, where nothing else is said
TOML_KEYS: dict[str, type | tuple[type, ...]] = {
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
#: Classes of transformers that do nothing but what is read here -> whether a size of one number is the shorter side's.
KNOWN_PROCESSORS = {
    "CLIPImageProcessor": True,
    "SiglipImageProcessor": False,
    "ViTImageProcessor": False,
    "BlipImageProcessor": False,
}
#: Beside the size, what their configurations may hold; other keys could change pixels.
KNOWN_KEYS = {
    *(
        "do_resize",
        "size",
        "resample",
        "do_center_crop",
        "crop_size",
        "do_rescale",
        "rescale_factor",
    ),
    *("do_normalize", "image_mean", "image_std", "do_convert_rgb", "image_processor_type"),
    *("feature_extractor_type", "processor_class", "data_format", "input_data_format", "device"),
    *(
        "return_tensors",
        "_valid_processor_keys",
        "disable_grouping",
        "default_to_square",
        "use_fast",
    ),
}
UNLIMITED_TOKENS = 10**6  #: tokens; what tokenizers without a limit say is far more


@dataclass(frozen=True)
class PictureForm:
    """How pictures are prepared."""

    size: int | tuple[int, int]  # pixels of the shorter side, or height and width of all
    crop: tuple[int, int] | None  # height and width of the middle that is kept
    resample: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rounds: bool = (
        False  # where the middle lies between two pixels: torchvision rounds, else it is cut off
    )


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
        if key in TOML_KEYS
        and (not isinstance(value, TOML_KEYS[key]) or (value is True and TOML_KEYS[key] is int))
    ]
    for key, choices in (("interpolation", INTERPOLATIONS), ("resize", RESIZES)):
        if isinstance(told.get(key), str) and told[key] not in choices:
            problems.append(unknown(key, told[key], choices))
    if "texts" in told and "images" not in told:
        problems.append("texts without images; name the file of the network for pictures, too")
    if problems:
        raise BadFile(file, problems)
    return told


def describe_pixels(folder: Path, told: Mapping[str, Any]) -> PictureForm:
    """
    Args:
        told: of the folder's own description, where it has one.

    Raises:
        BadFile: nothing says how, or it is said in a form that isn't known.
    """
    if "side" in told:
        lacking = [key for key in ("mean", "std") if len(told.get(key, ())) != 3]
        if lacking:
            raise BadFile(folder / OWN, [f"{lacking[0]} of three colours is missing"])
        side = told["side"]
        squash = told.get("resize") == "squash"
        return PictureForm(
            (side, side) if squash else side,
            None if squash else (side, side),
            INTERPOLATIONS[told.get("interpolation", "bicubic")],
            1 / 255,
            tuple(map(float, told["mean"])),
            tuple(map(float, told["std"])),
            rounds=True,
        )
    file = next((folder / name for name in PROCESSORS if (folder / name).is_file()), None)
    if file is None:
        raise BadFile(folder, [f"no {PROCESSORS[0]}; save the processor beside it, or write {OWN}"])
    content = read_json_table(file)
    try:
        return read_processor(content.get("image_processor", content))
    except (KeyError, TypeError, ValueError) as error:
        said = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise BadFile(file, [f"{said}; write {OWN} beside it, which says how"]) from error


def read_processor(content: Mapping[str, Any]) -> PictureForm:
    """
    Raises:
        KeyError, TypeError, ValueError: a key is missing, of the wrong kind, or not known.
    """
    named = str(content.get("image_processor_type") or content["feature_extractor_type"])
    kind = named.removesuffix("Fast").removesuffix("Pil")
    kind = kind.replace("FeatureExtractor", "ImageProcessor")
    if kind not in KNOWN_PROCESSORS:
        raise ValueError(f"pictures are prepared by {named}, which isn't known here")
    if strange := sorted(
        key
        for key, value in content.items()
        if key not in KNOWN_KEYS and value not in (None, False)
    ):
        raise ValueError(f"{strange[0]} isn't known here")
    by_short_side = KNOWN_PROCESSORS[kind]
    crops = content.get("do_center_crop", by_short_side and "crop_size" in content)
    crop = read_lengths(content["crop_size"], "crop_size") if crops else None
    size: int | tuple[int, int]
    if not content.get("do_resize", True):
        raise ValueError("do_resize is false, but a network takes pictures of one size")
    if isinstance(content["size"], Mapping) and "shortest_edge" in content["size"]:
        size = int(content["size"]["shortest_edge"])
    elif isinstance(content["size"], int) and by_short_side:
        size = content["size"]
    else:
        size = read_lengths(content["size"], "size")
    if isinstance(size, int) and (crop is None or max(crop) > size):
        raise ValueError("size is that of the shorter side, and no smaller middle is cut out")
    scale = (
        float(content.get("rescale_factor", 1 / 255)) if content.get("do_rescale", True) else 1.0
    )
    mean: tuple[float, ...] = (0.0,) * 3
    std: tuple[float, ...] = (1.0,) * 3
    if content.get("do_normalize", True):
        mean, std = (
            tuple(map(float, content["image_mean"])),
            tuple(map(float, content["image_std"])),
        )
    return PictureForm(size, crop, int(content["resample"]), scale, mean, std)


def read_lengths(value: Any, key: str) -> tuple[int, int]:
    """Height and width."""
    if isinstance(value, int):
        return value, value
    try:
        return int(value["height"]), int(value["width"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{key} is {value!r}; height and width are needed") from error


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
        int(one) for one in limits if isinstance(one, int | float) and 0 < one < UNLIMITED_TOKENS
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
    if not isinstance(content, dict):
        raise BadFile(file, ["it is no table of names and values"])
    return content
