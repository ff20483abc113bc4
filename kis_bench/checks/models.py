"""Checks of models for common faults, from outside: vectors in, findings out."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from kis_bench.checks.check import Check
from kis_bench.encoders.protocol import Encoder
from kis_bench.records import Checkpoint, Vectors

VECTOR_TOLERANCE = 1e-5  #: largest difference of a component that batches may make
SAMPLE_TEXTS = (
    "red apple",
    "a grinning face",
    "sailboat on the sea",
    "clock",
    "two people under a tree in the rain",
)
LONG_TEXT = " ".join(SAMPLE_TEXTS * 40)  #: 720 words, more than any context
ENDING_TEXTS = ("blue boat", "green tree", "a white dog", "seven yellow flowers", "red apple")
PROJECTIONS = (
    "vision_proj",
    "text_proj",
    "vision_projection",
    "text_projection",
    "visual_projection",
    "image_projection",
)
TRAINED_WITH = {True: "QuickGELU", False: "GELU"}


@dataclass
class ExaminedModel:
    """A model under examination."""

    encoder: Encoder
    checkpoint: Checkpoint
    warnings: Sequence[str] = ()  # that were given while it was loaded
    images: list[Image.Image] = field(default_factory=lambda: make_pictures())

    @property
    def image_only(self) -> bool:
        return self.checkpoint.image_only or bool(getattr(self.encoder, "image_only", False))

    def texts(self, texts: Sequence[str]) -> Vectors:
        return self.encoder.encode_texts(texts)[0]


def make_pictures() -> list[Image.Image]:
    """Noise, plain colours and a gradient, of several shapes."""
    rng = np.random.default_rng(0)
    shapes = [(48, 64), (64, 64), (96, 40), (200, 30)]
    noise = [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in shapes]
    slope = (
        np.linspace(0, 255, 80, dtype=np.uint8)[None, :, None].repeat(60, axis=0).repeat(3, axis=2)
    )
    return [
        *noise,
        *(Image.new("RGB", (64, 48), colour) for colour in ("red", "navy")),
        Image.fromarray(slope),
    ]


def check_model(subject: ExaminedModel) -> Iterator[Check]:
    """Runs every check; one that raises has failed, and the others go on."""
    sides: list[tuple[str, Callable[[Any], Vectors], list[Any]]]
    sides = [("images", subject.encoder.encode_images, subject.images)]
    if not subject.image_only:
        sides.append(("texts", subject.texts, list(SAMPLE_TEXTS)))
    for kind, encode, inputs in sides:
        for name, of_side in (
            ("vectors", check_vectors),
            ("differ", check_differ),
            ("batch size", check_batch_size),
            ("order", check_order),
            ("repeat", check_repeat),
        ):
            yield run_check(f"{kind}: {name}", partial(of_side, subject, encode, inputs))
    for of_model in (
        check_evaluation_mode,
        check_activation,
        check_exif_orientation,
        check_padding,
        check_truncation,
        check_projection,
    ):
        if not (subject.image_only and of_model in (check_padding, check_truncation)):
            yield run_check(
                of_model.__name__.removeprefix("check_").replace("_", " "),
                partial(of_model, subject),
            )


def run_check(name: str, check: Callable[[], tuple[bool | None, str]]) -> Check:
    try:
        return Check(name, *check())
    except Exception as error:  # a user's code may raise anything, and that is a finding
        return Check(name, False, f"{type(error).__name__}: {error}")


def check_vectors(
    subject: ExaminedModel, encode: Callable[[Any], Vectors], inputs: list[Any]
) -> tuple[bool, str]:
    found = encode(inputs)
    wanted = (
        len(inputs),
        1 if encode == subject.texts else subject.encoder.vectors_per_item,
        subject.encoder.dim,
    )
    if found.dtype != np.float32 or found.shape != wanted:
        return False, f"{found.dtype} {list(found.shape)}; float32 {list(wanted)} is needed"
    lengths = np.linalg.norm(found.astype(np.float64), axis=2)
    if not np.isfinite(lengths).all():
        return False, "there is NaN or infinity"
    if (lengths == 0).any():
        return False, "there is a vector of length zero, which is similar to nothing"
    far = float(np.abs(lengths - 1).max())
    said = f"lengths {lengths.min():.6f} to {lengths.max():.6f}"
    return far < 1e-3, said if far < 1e-3 else f"{said}; divide each vector by its length"


def check_differ(
    subject: ExaminedModel, encode: Callable[[Any], Vectors], inputs: list[Any]
) -> tuple[bool, str]:
    spread = float(np.ptp(encode(inputs), axis=0).max())
    said = f"largest difference of a component between inputs {spread:.1e}"
    return spread > 1e-4, said if spread > 1e-4 else f"{said}: whatever goes in, the same comes out"


def check_batch_size(
    subject: ExaminedModel, encode: Callable[[Any], Vectors], inputs: list[Any]
) -> tuple[bool, str]:
    drift = measure_difference(np.concatenate([encode([one]) for one in inputs]), encode(inputs))
    advice = "; inputs of a batch influence each other: batch norm in train mode, padding"
    if drift < VECTOR_TOLERANCE:
        note = getattr(subject.encoder, "batch_note", "")
        advice = f"; {note}" if note else ""
    return (
        drift < VECTOR_TOLERANCE,
        f"one by one against all at once {drift:.1e}, at most {VECTOR_TOLERANCE:.0e}{advice}",
    )


def check_order(
    subject: ExaminedModel, encode: Callable[[Any], Vectors], inputs: list[Any]
) -> tuple[bool, str]:
    drift = measure_difference(encode(inputs[::-1])[::-1], encode(inputs))
    return (
        drift < VECTOR_TOLERANCE,
        f"in reversed order {drift:.1e}, at most {VECTOR_TOLERANCE:.0e}",
    )


def check_repeat(
    subject: ExaminedModel, encode: Callable[[Any], Vectors], inputs: list[Any]
) -> tuple[bool, str]:
    drift = measure_difference(encode(inputs), encode(inputs))
    advice = (
        ""
        if drift < VECTOR_TOLERANCE
        else "; something is random: dropout in train mode, or a seed"
    )
    return (
        drift < VECTOR_TOLERANCE,
        f"the same again {drift:.1e}, at most {VECTOR_TOLERANCE:.0e}{advice}",
    )


def measure_difference(one: Vectors, other: Vectors) -> float:
    """Largest difference of a component; NaN counts as infinitely far."""
    difference = np.abs(one.astype(np.float64) - other.astype(np.float64)).max()
    return float(difference) if np.isfinite(difference) else float("inf")


def check_evaluation_mode(subject: ExaminedModel) -> tuple[bool, str]:
    with_weights = [
        network
        for network in find_networks(subject.encoder)
        if any(True for _ in network.parameters())
    ]
    training = {
        type(part).__name__
        for network in with_weights
        for part in network.modules()
        if part.training and not list(part.children())
    }
    if training:
        return False, f"in train mode: {', '.join(sorted(training)[:5])}; call model.eval()"
    return True, "no layer is in train mode"


def check_activation(subject: ExaminedModel) -> tuple[bool | None, str]:
    """Weights trained with QuickGELU give wrong features under GELU, and the other way round, without any error."""
    mismatch = [said for said in subject.warnings if "QuickGELU mismatch" in said]
    if mismatch:
        return False, f"{mismatch[0]} Take the architecture whose name ends in -quickgelu"
    used = {
        type(part).__name__
        for network in find_networks(subject.encoder)
        for part in network.modules()
    }
    quick, plain = any("QuickGELU" in name for name in used), "GELU" in used
    expected: bool | None = getattr(subject.encoder, "quick_gelu", None)
    if expected is None:
        return (
            None,
            f"{'QuickGELU is' if quick else 'no QuickGELU is'} used; what the weights need isn't known here",
        )
    wrong = plain and not quick if expected else quick
    said = f"the weights were trained with {TRAINED_WITH[expected]}"
    return not wrong, said + (f", and {TRAINED_WITH[not expected]} is used" if wrong else "")


def check_exif_orientation(subject: ExaminedModel) -> tuple[bool, str]:
    """A picture stored sideways must give the vector of the upright one."""
    straight = subject.images[-1]
    sideways = straight.transpose(Image.Transpose.ROTATE_90)
    sideways.getexif()[0x0112] = 6  # turn clockwise to view
    drift = measure_difference(
        subject.encoder.encode_images([sideways]), subject.encoder.encode_images([straight])
    )
    if drift < VECTOR_TOLERANCE:
        return True, "a picture stored sideways gives the vector of the upright one"
    return False, (
        f"a picture stored sideways gives another vector ({drift:.1e}); benchmarks hand over upright pictures, "
        "other callers may not: begin with kis_bench.encoders.upright(image)"
    )


def check_padding(subject: ExaminedModel) -> tuple[bool, str]:
    """A text's vector must not depend on padding or on the length of its neighbours."""
    alone, beside = subject.texts(["clock"]), subject.texts(["clock", LONG_TEXT[:150]])[:1]
    drift = measure_difference(alone, beside)
    advice = (
        ""
        if drift < VECTOR_TOLERANCE
        else "; pad each text as in training (SigLIP: to the context), or mask it"
    )
    return (
        drift < VECTOR_TOLERANCE,
        f"a text alone against beside a longer one {drift:.1e}, at most {VECTOR_TOLERANCE:.0e}{advice}",
    )


def check_truncation(subject: ExaminedModel) -> tuple[bool | None, str]:
    """A model must report which texts it truncates; reports count them."""
    limit = subject.encoder.context_length
    found, cut = subject.encoder.encode_texts(
        [*(f"{LONG_TEXT} {end}" for end in ENDING_TEXTS), "clock"]
    )
    if cut is None:
        return None, "nobody knows which texts it cuts"
    if cut.dtype != bool or cut.shape != (len(found),):
        return (
            False,
            f"which texts were cut is {cut.dtype} {list(cut.shape)}; bool [{len(found)}] is needed",
        )
    if cut[-1]:
        return False, "a text of one word is said to have been cut"
    ends_count = bool(np.ptp(found[:-1], axis=0).max() > 1e-6)
    if cut[:-1].all():
        return True, f"texts longer than {limit} tokens are cut and reported"
    if ends_count:
        return limit is None, (
            "texts of any length are read"
            if limit is None
            else f"reads on beyond the {limit} tokens of its context"
        )
    return False, "the end of a long text makes no difference, and it isn't reported as cut"


def check_projection(subject: ExaminedModel) -> tuple[bool | None, str]:
    """Vectors must be projected into the joint space; hidden states of the two sides aren't comparable."""
    encoder, row = subject.encoder, subject.checkpoint
    if not getattr(encoder, "projected", True):
        return (
            False,
            "vectors are taken from before the projection: images and texts are not in one space",
        )
    for before, after in find_projections(encoder):
        if encoder.dim == before != after:
            return (
                False,
                f"vectors have the {before} components from before a projection to {after}",
            )
    if row.dim and row.dim != encoder.dim:
        return None, f"vectors have {encoder.dim} components, the table of models says {row.dim}"
    if subject.image_only:
        return True, f"image-only, {encoder.dim} components"
    dims = {
        subject.encoder.encode_images(subject.images[:1]).shape[2],
        subject.texts(SAMPLE_TEXTS[:1]).shape[2],
    }
    if len(dims) > 1:
        return (
            False,
            f"images and texts have vectors of {' and '.join(map(str, sorted(dims)))} components",
        )
    return True, f"images and texts have {encoder.dim} components each"


def find_projections(encoder: Encoder) -> set[tuple[int, int]]:
    """Input and output sizes of the projections into the joint space, found by the names that libraries give them."""
    named = [pair for network in find_networks(encoder) for pair in network.named_modules()]
    return {
        (layer.in_features, layer.out_features)
        for name, layer in named
        if name.rpartition(".")[2] in PROJECTIONS and hasattr(layer, "out_features")
    }


def find_networks(thing: object) -> list[Any]:
    """The torch modules that an object holds, also in lists and in objects that it holds."""
    torch, found, seen = sys.modules.get("torch"), list[Any](), set[int]()
    waiting = deque([thing])  # the nearest first: tokenizers hold whole vocabularies
    while torch is not None and waiting and len(seen) < 10_000:
        here = waiting.popleft()
        if id(here) in seen:
            continue
        seen.add(id(here))
        if isinstance(here, torch.nn.Module):
            found.append(here)
        elif isinstance(here, dict):
            waiting += here.values()
        elif isinstance(here, list | tuple):
            waiting += here
        else:
            waiting += getattr(here, "__dict__", {}).values()
    return found
