"""How a folder says that pictures are prepared: a configuration of transformers, or our own ``onnx.toml``."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kis_bench.encoders.onnx.description import INTERPOLATIONS, OWN, read_json_table
from kis_bench.errors import BadFile

PROCESSORS = ("preprocessor_config.json", "processor_config.json")
#: Classes of transformers that do nothing but what is read here -> whether a size of one number is the shorter side's.
KNOWN_PROCESSORS = {
    "CLIPImageProcessor": True,
    "SiglipImageProcessor": False,
    "ViTImageProcessor": False,
    "BlipImageProcessor": False,
}
#: Beside the size, what their configurations may hold; other keys could change pixels.
KNOWN_KEYS = {
    *("do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale"),
    *("rescale_factor", "do_normalize", "image_mean", "image_std", "do_convert_rgb"),
    *("image_processor_type", "feature_extractor_type", "processor_class", "data_format"),
    *("input_data_format", "device", "return_tensors", "_valid_processor_keys"),
    *("disable_grouping", "default_to_square", "use_fast"),
}
COLOUR_CHANNELS = 3
#: Numbers with which float32 neither overflows nor divides by zero.
LEAST_NUMBER, MOST_NUMBER = 1e-9, 1e9
LARGEST_SIDE = 8192  #: pixels of a network's pictures; no known one takes a quarter of them


@dataclass(frozen=True)
class PictureForm:
    """How pictures are prepared.

    Raises:
        ValueError: nothing could be prepared so, or not as another library would.
    """

    size: int | tuple[int, int]  # pixels of the shorter side, or height and width of all
    crop: tuple[int, int] | None  # height and width of the middle that is kept
    resample: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rounds: bool = (
        False  # where the middle lies between two pixels: torchvision rounds, else it is cut off
    )

    def __post_init__(self) -> None:
        whole = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        for length in (*whole, *(self.crop or ())):
            if not 1 <= length <= LARGEST_SIDE:
                raise ValueError(f"{length} pixels are no side of a picture; 1 to {LARGEST_SIDE:,}")
        if isinstance(self.size, int) and (self.crop is None or max(self.crop) > self.size):
            raise ValueError("size is that of the shorter side, and no smaller middle is cut out")
        if self.crop is not None and any(
            kept > length for kept, length in zip(self.crop, whole, strict=True)
        ):
            raise ValueError("crop_size is larger than size; borders that are added aren't known")
        if self.resample not in INTERPOLATIONS.values():
            raise ValueError(f"resample = {self.resample} is no interpolation of Pillow's, 0 to 5")
        if not LEAST_NUMBER <= self.scale <= MOST_NUMBER:
            raise ValueError(f"rescale_factor = {self.scale} makes no numbers of pixels")
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) != COLOUR_CHANNELS or not all(
                abs(one) <= MOST_NUMBER for one in numbers
            ):
                raise ValueError(f"{name} = {list(numbers)} is no number for each of three colours")
        if min(self.std) < LEAST_NUMBER:
            raise ValueError(f"std = {list(self.std)} has to be more than 0")


def describe_pixels(folder: Path, told: Mapping[str, Any]) -> PictureForm:
    """
    Args:
        told: of the folder's own description, where it has one.

    Raises:
        BadFile: nothing says how, or it is said in a form that isn't known.
    """
    file, remedy = folder / OWN, ""
    try:
        if "side" in told:
            return read_own_form(told)
        found = next((folder / name for name in PROCESSORS if (folder / name).is_file()), None)
        if found is None:
            said = f"no {PROCESSORS[0]}; save the processor beside it, or write {OWN}"
            raise BadFile(folder, [said])
        file, remedy = found, f"; write {OWN} beside it, which says how"
        content = read_json_table(file)
        return read_processor(check_table(content.get("image_processor", content)))
    except KeyError as error:
        raise BadFile(file, [f"{error.args[0]} is missing{remedy}"]) from error
    except ValueError as error:
        raise BadFile(file, [f"{error}{remedy}"]) from error


def read_own_form(told: Mapping[str, Any]) -> PictureForm:
    """
    Raises:
        KeyError, ValueError: a key is missing, or of the wrong kind.
    """
    side = told["side"]
    squash = told.get("resize") == "squash"
    return PictureForm(
        (side, side) if squash else side,
        None if squash else (side, side),
        INTERPOLATIONS[told.get("interpolation", "bicubic")],
        1 / 255,
        read_colours(told, "mean"),
        read_colours(told, "std"),
        rounds=True,
    )


def read_processor(content: Mapping[str, Any]) -> PictureForm:
    """
    Raises:
        KeyError, ValueError: a key is missing, of the wrong kind, or not known.
    """
    named = str(content.get("image_processor_type") or content["feature_extractor_type"])
    kind = named.removesuffix("Fast").removesuffix("Pil")
    kind = kind.replace("FeatureExtractor", "ImageProcessor")
    if kind not in KNOWN_PROCESSORS:
        raise ValueError(f"pictures are prepared by {named}, which isn't known here")
    if strange := sorted(
        key
        for key, value in content.items()
        if key not in KNOWN_KEYS and value is not None and value is not False
    ):
        raise ValueError(f"{strange[0]} isn't known here")
    by_short_side = KNOWN_PROCESSORS[kind]
    crops = content.get("do_center_crop", by_short_side and "crop_size" in content)
    crop = read_lengths(content["crop_size"], "crop_size") if crops else None
    size: int | tuple[int, int]
    if not content.get("do_resize", True):
        raise ValueError("do_resize is false, but a network takes pictures of one size")
    if isinstance(content["size"], Mapping) and "shortest_edge" in content["size"]:
        size = read_whole(content["size"]["shortest_edge"], "shortest_edge of size")
    elif by_short_side and not isinstance(content["size"], Mapping):
        size = read_whole(content["size"], "size")
    else:
        size = read_lengths(content["size"], "size")
    scale = 1 / 255 if content.get("do_rescale", True) else 1.0
    if content.get("do_rescale", True) and "rescale_factor" in content:
        scale = read_number(content["rescale_factor"], "rescale_factor")
    mean: tuple[float, ...] = (0.0,) * COLOUR_CHANNELS
    std: tuple[float, ...] = (1.0,) * COLOUR_CHANNELS
    if content.get("do_normalize", True):
        mean, std = read_colours(content, "image_mean"), read_colours(content, "image_std")
    return PictureForm(size, crop, read_whole(content["resample"], "resample"), scale, mean, std)


def check_table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(
            f"image_processor is {reprlib.repr(value)}; a table of names and values is needed"
        )
    return value


def read_lengths(value: Any, key: str) -> tuple[int, int]:
    """Height and width."""
    if not isinstance(value, Mapping):
        return read_whole(value, key), read_whole(value, key)
    if not {"height", "width"} <= value.keys():
        raise ValueError(f"{key} is {reprlib.repr(value)}; height and width are needed")
    return read_whole(value["height"], f"height of {key}"), read_whole(
        value["width"], f"width of {key}"
    )


def read_whole(value: Any, key: str) -> int:
    if type(value) is not int:
        raise ValueError(f"{key} is {reprlib.repr(value)}; a whole number is needed")
    return value


def read_number(value: Any, key: str) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{key} is {reprlib.repr(value)}; a number is needed")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{key} is larger than any number of floating point") from error


def read_colours(content: Mapping[str, Any], key: str) -> tuple[float, ...]:
    """One number for each of three colours."""
    if not isinstance(content[key], list) or len(content[key]) != COLOUR_CHANNELS:
        raise ValueError(
            f"{key} is {reprlib.repr(content[key])}; a number for each of three colours is needed"
        )
    return tuple(read_number(one, key) for one in content[key])
