"""The two towers of the demo encoder: a small convolutional net and a bag of hashed words.

Importing this module imports torch; everything else about the demo encoder is in the package.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

PICTURE_SIZE = 64
DIM = 128
CONTEXT_LENGTH = 64  #: words; the rest of a text is not read
WORD_BUCKETS, PIECE_BUCKETS, WORD_WIDTH = 8192, 4096, 64


def split_words(text: str) -> list[str]:
    """Lower-case runs of letters and digits; a text without any is one unknown word."""
    return re.findall(r"[^\W_]+", text.lower()) or ["?"]


def bucket(token: str, buckets: int) -> int:
    return zlib.crc32(token.encode()) % buckets


def pieces(word: str) -> list[str]:
    """Character 3- and 4-grams of ``<word>``, so that unknown words resemble known ones."""
    marked = f"<{word}>"
    return [marked[i : i + n] for n in (3, 4) for i in range(max(1, len(marked) - n + 1))]


def shrink(image: Image.Image) -> NDArray[np.uint8]:
    """An RGB picture, squashed to a square: ``[64, 64, 3]``."""
    size = (PICTURE_SIZE, PICTURE_SIZE)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, reducing_gap=None))


def scale_levels(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Pictures as `shrink` makes them -> float32 ``[n, 3, 64, 64]`` in -1..1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1)


class ImageTower(nn.Module):
    """``[n, 3, 64, 64]`` -> unit vectors ``[n, 128]``."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(3, 24, 2),
            convolution(24, 48, 2),
            Residual(48),
            convolution(48, 96, 2),
            Residual(96),
            convolution(96, 160, 2),
            Residual(160),
        )
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(160 * (4 * 4 + 1), DIM)  # the 4 x 4 map and its mean

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.body(pictures)
        features = torch.cat([maps.flatten(1), maps.mean((2, 3))], dim=1)
        return F.normalize(self.head(self.dropout(features)), dim=1)


def convolution(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = convolution(channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        sharpened: Tensor = maps + self.inner(maps)
        return sharpened


class TextTower(nn.Module):
    """Texts -> unit vectors ``[n, 128]``: an attention-weighted bag of words beside a bag of pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.word_vectors = nn.EmbeddingBag(WORD_BUCKETS, WORD_WIDTH, mode="sum")
        self.word_weights = nn.Embedding(WORD_BUCKETS, 1)
        self.piece_vectors = nn.EmbeddingBag(PIECE_BUCKETS, WORD_WIDTH, mode="mean")
        self.straight = nn.Linear(2 * WORD_WIDTH, DIM)
        self.bent = nn.Sequential(nn.Linear(2 * WORD_WIDTH, 256), nn.GELU(), nn.Linear(256, DIM))
        nn.init.normal_(self.word_vectors.weight, std=0.3)
        nn.init.normal_(self.piece_vectors.weight, std=0.3)
        nn.init.zeros_(self.word_weights.weight)

    def forward(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """``texts``: the words of each text, as `split_words` gives them."""
        word_ids, word_starts = flatten([[bucket(w, WORD_BUCKETS) for w in text] for text in texts])
        piece_ids, piece_starts = flatten(
            [[bucket(p, PIECE_BUCKETS) for w in text for p in pieces(w)] for text in texts]
        )
        row = torch.repeat_interleave(torch.tensor([len(text) for text in texts]))
        weights = self.word_weights(word_ids).squeeze(1).exp()
        weights = weights / torch.zeros(len(texts)).index_add(0, row, weights)[row]
        features = torch.cat(
            [
                self.word_vectors(word_ids, word_starts, per_sample_weights=weights),
                self.piece_vectors(piece_ids, piece_starts),
            ],
            dim=1,
        )
        return F.normalize(self.straight(features) + self.bent(features), dim=1)


def flatten(bags: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Bags of ids -> all ids in one row, and where each bag starts."""
    starts = np.cumsum([0] + [len(bag) for bag in bags[:-1]])
    return torch.tensor([i for bag in bags for i in bag]), torch.from_numpy(starts)


class DualEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = ImageTower(), TextTower()
