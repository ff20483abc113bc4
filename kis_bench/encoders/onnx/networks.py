"""Which files of a folder are the networks: one for pictures and one for texts, or one file for both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from kis_bench.errors import BadFile
from kis_bench.files.text import list_first_names

NETWORK_PLACES = ("", "onnx")  #: below the folder, where networks are looked for, in this order
LONGEST_PATH = 255  #: bytes, of a name in most file systems
BOTH = "model"
#: Names of a network of one side, without what stands for a variant.
STEMS = {"images": ("vision_model", "image_model"), "texts": ("text_model",)}
#: What converters call smaller forms of one network, behind its name.
VARIANT = re.compile(r"_(fp16|bf16|int8|uint8|quantized|q4|q4f16|q8|bnb4|optimized)(?=\.onnx$)")


@dataclass(frozen=True)
class Networks:
    """The files of the networks; the same file where it is one for both sides."""

    images: Path
    texts: Path | None  # None: there is no text side

    @property
    def files(self) -> list[Path]:
        return [*dict.fromkeys(file for file in (self.images, self.texts) if file is not None)]


def names_inner_file(path: str) -> bool:
    """Whether a path of a foreign file can only be one of a file below a folder, on every system."""
    parts = PureWindowsPath(path).parts  # between both kinds of slashes
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).anchor or ".." in parts:
        return False
    return "\0" not in path and 0 < len(path.encode()) <= LONGEST_PATH


def find_networks_in(folder: Path, variant: str, told: Mapping[str, Any]) -> Networks:
    """The networks of a folder.

    Args:
        variant: such as ``fp16``, for files that end so; empty: those without, or the only ones.
        told: of the folder's own description, with the files as ``images`` and ``texts``; may lack them.

    Raises:
        BadFile: there are none, or several that could be meant.
    """
    if "images" in told:
        files = [folder / str(told[side]) for side in ("images", "texts") if side in told]
        if absent := [file.name for file in files if not file.is_file()]:
            raise BadFile(folder, [f"no {absent[0]}, which its description names"])
        return Networks(files[0], files[1] if len(files) > 1 else None)
    by_variant: dict[str, Networks] = {}
    for place in reversed(NETWORK_PLACES):  # of two for one variant, that in the folder itself
        by_variant.update(list_variants(folder / place))
    if by_variant:
        if not variant and "" not in by_variant and len(by_variant) == 1:
            return next(iter(by_variant.values()))
        if variant in by_variant:
            return by_variant[variant]
        there = list_first_names([one or "without" for one in by_variant], 9)
        wanted = (
            f"no network of the variant {variant!r}" if variant else "networks of variants only"
        )
        raise BadFile(folder, [f"{wanted}; there is: {there}; write onnx:VARIANT=FOLDER"])
    names = [
        file.name for place in NETWORK_PLACES for file in sorted((folder / place).glob("*.onnx"))
    ]
    remedy = 'name the files in onnx.toml: images = "FILE", texts = "FILE"'
    if names:
        raise BadFile(folder, [f"{list_first_names(names, 3)}: which is for what? {remedy}"])
    raise BadFile(folder, ["no networks: model.onnx, or vision_model.onnx and text_model.onnx"])


def list_variants(folder: Path) -> dict[str, Networks]:
    """Variant, empty for none -> its networks, of a folder's files with the usual names."""
    stems: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.glob("*.onnx")):
        found = VARIANT.search(file.name)
        stems.setdefault(found[1] if found else "", {})[VARIANT.sub("", file.name)[:-5]] = file
    return {
        variant: networks
        for variant, files in stems.items()
        if (networks := choose_sides(files)) is not None
    }


def choose_sides(files: Mapping[str, Path]) -> Networks | None:
    """Two networks where there are two, else one for both, else that of pictures alone."""
    images, texts = (
        next((files[stem] for stem in STEMS[side] if stem in files), None)
        for side in ("images", "texts")
    )
    if BOTH in files and (images is None or texts is None):
        return Networks(files[BOTH], files[BOTH])
    return None if images is None else Networks(images, texts)
