"""JPEGs that are decoded at a part of their size for models that shrink them anyway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kis_bench.choices import FULL, SCALED
from kis_bench.encoders.protocol import BackEnd, Encoder

UNTOLD_SIDE = "it doesn't tell what size it shrinks pictures to"  #: of a model
SPARE = 2  #: times what a model shrinks pictures to, that scaled decoding leaves of each side


def name_scaled(key: str) -> str:
    """The key of vectors of scaled pictures."""
    return f"{key}-{SCALED}"


def scale_decoding(encoder: Any, back_end: BackEnd) -> Encoder:
    """The encoder, for which JPEGs are decoded scaled from now on, under a key of its own, if it tells its size.

    Where all encoders of a back end are said to, the key is another one even if this one doesn't: it is known before
    the encoder is loaded.
    """
    encoder.decode = SCALED
    if back_end.tells_side or getattr(encoder, "input_side", None) is not None:
        encoder.key = name_scaled(encoder.key)
    changed: Encoder = encoder
    return changed


def find_least_side(encoder: object) -> int | None:
    """What each side of a picture has to keep for an encoder, in pixels; None: pictures are decoded in full."""
    side = getattr(encoder, "input_side", None)
    if getattr(encoder, "decode", FULL) != SCALED or side is None:
        return None
    return SPARE * int(side)


def describe_decoding(encoder: object) -> str | None:
    """How JPEGs are decoded for an encoder, as runs record it; None where nobody asked for anything."""
    if getattr(encoder, "decode", FULL) != SCALED:
        return None
    side = find_least_side(encoder)
    return FULL if side is None else f"{SCALED} to {side} pixels a side or more"


def find_largest_side(size: Any) -> int | None:
    """The largest of the lengths that a library's preprocessing names, in pixels; None: it names none.

    >>> find_largest_side({"height": 224, "width": 256}), find_largest_side((224, 224)), find_largest_side(None)
    (256, 224, None)
    """
    if isinstance(size, Mapping):
        size = list(size.values())
    lengths = size if isinstance(size, Sequence) else [size]
    return max((int(one) for one in lengths if isinstance(one, int | float)), default=None)
