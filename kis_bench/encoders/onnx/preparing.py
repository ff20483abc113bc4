"""Pictures and texts -> the arrays that networks take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kis_bench.encoders.onnx.description import CONTEXT_OF_OPEN_CLIP, OWN, TextForm
from kis_bench.encoders.onnx.picture_form import PictureForm
from kis_bench.errors import BadFile
from kis_bench.records import Float32s


def prepare_pixels(image: Image.Image, form: PictureForm) -> Float32s:
    """An RGB picture as float32 ``[3, height, width]``, resized by Pillow."""
    height, width = form.size if isinstance(form.size, tuple) else fit_short_side(image, form.size)
    resized = image.resize((width, height), Image.Resampling(form.resample))
    pixels = np.asarray(resized)
    if form.crop is not None:
        top, left = (
            find_margin(length, kept, rounds=form.rounds)
            for length, kept in zip(pixels.shape[:2], form.crop, strict=True)
        )
        pixels = pixels[top : top + form.crop[0], left : left + form.crop[1]]
    numbers: Any = pixels.astype(np.float32) * np.float32(form.scale)
    numbers = (numbers - np.array(form.mean, np.float32)) / np.array(form.std, np.float32)
    ready: Float32s = np.ascontiguousarray(numbers.transpose(2, 0, 1))
    return ready


def fit_short_side(image: Image.Image, side: int) -> tuple[int, int]:
    """Height and width of a picture whose shorter side gets so long."""
    longer = int(side * max(image.size) / min(image.size))
    return (side, longer) if image.width >= image.height else (longer, side)


def find_margin(length: int, kept: int, *, rounds: bool) -> int:
    """Pixels before the middle that is kept."""
    return round((length - kept) / 2) if rounds else (length - kept) // 2


def open_reader(form: TextForm, fixed: int | None) -> TextReader | OpenClipReader:
    """
    Args:
        fixed: tokens of a text, where the network takes just so many.

    Raises:
        BadFile: the tokenizer is damaged or another one's, or nothing says how long texts may be.
    """
    context_length = fixed or form.context_length
    if form.tokenizer is None:
        return OpenClipReader(context_length or CONTEXT_OF_OPEN_CLIP)
    if context_length is None:
        raise BadFile(form.tokenizer, [f"nothing says its context; write context_length in {OWN}"])
    try:
        return TextReader(form, form.tokenizer, context_length)
    except Exception as error:  # the library raises just this
        raise BadFile(form.tokenizer, [str(error)]) from error


class TextReader:
    """A tokenizer that cuts and pads each text to the context."""

    def __init__(self, form: TextForm, file: Path, context_length: int) -> None:
        from tokenizers import Tokenizer, normalizers

        self.context_length = context_length
        self.tokenizer = Tokenizer.from_file(str(file))
        if form.lower_case:
            before = [self.tokenizer.normalizer] if self.tokenizer.normalizer is not None else []
            self.tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *before])
        number = form.pad if isinstance(form.pad, int) else self.tokenizer.token_to_id(form.pad)
        if number is None:
            raise ValueError(f"it has no token {form.pad!r}, with which texts are padded")
        self.tokenizer.enable_truncation(context_length)
        self.tokenizer.enable_padding(
            direction="left" if form.pad_left else "right",
            pad_id=number,
            pad_token=self.tokenizer.id_to_token(number) or "",
            length=context_length,
        )

    def read(self, texts: Sequence[str]) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.bool_]]:
        """All that networks may ask for, each int64 ``[n, context]``, and which texts were cut, bool ``[n]``."""
        found = self.tokenizer.encode_batch(list(texts))
        columns = {
            "input_ids": [one.ids for one in found],
            "attention_mask": [one.attention_mask for one in found],
            "token_type_ids": [one.type_ids for one in found],
            "position_ids": [range(self.context_length)] * len(found),
        }
        tokens = {name: np.array(rows, np.int64) for name, rows in columns.items()}
        return tokens, np.array([bool(one.overflowing) for one in found], bool)


class OpenClipReader:
    """The tokenizer that comes with open_clip, for networks that were exported from it."""

    def __init__(self, context_length: int) -> None:
        from open_clip.tokenizer import SimpleTokenizer

        self.tokenizer: Any = SimpleTokenizer(context_length=context_length)
        self.context_length = context_length

    def read(self, texts: Sequence[str]) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.bool_]]:
        """As of `TextReader`; the mask covers what isn't padding."""
        from kis_bench.encoders.torch_encoder import find_cut_texts

        at_context, one_more, empty = (
            self.tokenizer(some, context_length=self.context_length + more)
            for some, more in ((list(texts), 0), (list(texts), 1), ([""], 1))
        )
        ids = at_context.numpy().astype(np.int64)
        mask = (ids != 0).astype(np.int64)
        tokens = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
            "position_ids": np.zeros_like(ids) + np.arange(self.context_length),
        }
        return tokens, find_cut_texts(at_context, one_more, empty[0])
