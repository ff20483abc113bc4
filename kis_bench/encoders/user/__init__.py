"""Back end ``python:module:function``: a function of the user's that returns an Encoder."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any

from kis_bench.encoders.catalogue import nameless
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.encoders.user.own_code import code_digest
from kis_bench.errors import KisBenchError, raised
from kis_bench.files.cache import digest_file
from kis_bench.records import Checkpoint, Readiness, digest

WANTED = ("name", "dim", "vectors_per_item", "encode_images")
OF_TEXTS = ("context_length", "encode_texts")
DEFAULTS = ("auto", "fp32")  #: of device and precision: nobody asked for anything
PRECISION_NAMES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}  #: as torch says it
OPTIONAL = ("prepare_image", "encode_prepared", "batch_size", "input_side")


def split_source(checkpoint: Checkpoint) -> tuple[str, str]:
    module, _, function = checkpoint.origin.rest.partition(":")
    if not (function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        said = f"source {checkpoint.source!r} names no function; write python:MODULE:FUNCTION"
        raise KisBenchError(f"model {checkpoint.name}: {said}")
    return module, function


def readiness(checkpoint: Checkpoint) -> Readiness:
    module, _ = split_source(checkpoint)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # as python -m does; last, so that nothing is hidden
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as error:
        found = not f"{module}.".startswith(
            f"{error.name}."
        )  # else a package around it lacks something else
    except Exception:  # of a package around it; told when it is imported
        found = True
    if not found:
        return Readiness(
            False, "no module", f"there is no Python module {module}; run where it can be imported"
        )
    return Readiness(True, "ready")


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    """Not known before the function has run: the object tells which files it depends on."""
    return None


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    """The function's own affair; its key tells."""
    return {}


def function_of(checkpoint: Checkpoint) -> Callable[..., Any]:
    """The function itself. Raises KisBenchError with the error and the line at which its module can't be imported."""
    module, function = split_source(checkpoint)
    try:
        found = getattr(importlib.import_module(module), function, None)
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        said = f"module {module} can't be imported: {raised(error)}"
        raise KisBenchError(f"model {checkpoint.name}: {said}") from error
    if not callable(found):
        raise KisBenchError(f"model {checkpoint.name}: module {module} has no function {function}")
    return found  # type: ignore[no-any-return]


class OwnEncoder:
    """An object of the user's as an Encoder, under a key that changes with its code and its files."""

    def __init__(
        self, checkpoint: Checkpoint, own: Any, key: str, device: str | None, precision: str | None
    ) -> None:
        self.own, self.key, self.device, self.precision = own, key, device, precision
        self.name: str = own.name if nameless(checkpoint) else checkpoint.name
        self.own_key: str = getattr(own, "key", "")
        self.image_only = bool(getattr(own, "image_only", False))
        self.dim, self.vectors_per_item = int(own.dim), int(own.vectors_per_item)
        self.context_length: int | None = getattr(own, "context_length", None)
        self.encode_images = own.encode_images
        self.encode_texts = getattr(own, "encode_texts", self.no_texts)
        for part in OPTIONAL:
            if hasattr(own, part):
                setattr(self, part, getattr(own, part))

    def no_texts(self, texts: object) -> Any:
        raise KisBenchError(f"model {self.name} is image-only: it has no text side")


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    """Builds the object.

    A parameter ``device`` or ``precision`` of the function is given what was asked for. Where it has none, and its
    object doesn't say that it uses just that, asking for something is an error.
    """
    _, function = split_source(checkpoint)
    make = function_of(checkpoint)
    given = choose_arguments(make, device, precision)
    with locate_errors(checkpoint, f"{function}() fails"):
        own = make(**given)
    with locate_errors(
        checkpoint, f"what {function}() returns fails"
    ):  # an attribute may be computed
        check_object(checkpoint, function, own)
        return wrap_object(checkpoint, own, given, device, precision)


@contextmanager
def locate_errors(checkpoint: Checkpoint, what: str) -> Iterator[None]:
    """What a user's code raises, which may be anything, as a KisBenchError with its line."""
    try:
        yield
    except KisBenchError:
        raise
    except (Exception, SystemExit) as error:
        raise KisBenchError(f"model {checkpoint.name}: {what}: {raised(error)}") from error


def wrap_object(
    checkpoint: Checkpoint, own: Any, given: dict[str, str], device: str, precision: str
) -> Encoder:
    """The object as an Encoder, with its key and with device and precision as used."""
    module, function = split_source(checkpoint)
    used = {
        name: as_used(checkpoint, function, own, name, asked, given.get(name))
        for name, asked in (("device", device), ("precision", precision))
    }
    depends_on = digest([code_digest(module), *digest_files(checkpoint, own, module)])
    told = [depends_on[:16], str(getattr(own, "key", "")), given.get("precision", "")]
    made_under = "-".join(["python", module, function, *filter(None, told)])
    encoder: Encoder = OwnEncoder(checkpoint, own, made_under, used["device"], used["precision"])
    return encoder


def choose_arguments(make: Callable[..., Any], device: str, precision: str) -> dict[str, str]:
    """What a function is called with: of device and precision those that it takes.

    ``**options`` take only what somebody asked for.
    """
    try:
        found = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # of some functions written in C
        return {}
    names = {one.name for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    anything = any(one.kind == one.VAR_KEYWORD for one in found)
    asked = {"device": device, "precision": precision}
    given = {
        name: value
        for name, value in asked.items()
        if name in names or (anything and value not in DEFAULTS)
    }
    return given | ({"device": resolve_device(device)} if "device" in given else {})


def resolve_device(device: str) -> str:
    """``auto`` and the shares of several processes as one device, if torch is here to tell which there are."""
    if importlib.util.find_spec("torch") is None:
        return "cpu" if device.startswith("auto") else device
    from kis_bench.encoders.device import choose

    return str(choose(device))


def as_used(
    checkpoint: Checkpoint, function: str, own: Any, name: str, asked: str, given: str | None
) -> str | None:
    """Device or precision as the object says, else as the function was given it; None: nobody knows.

    Raises:
        KisBenchError: something was asked for, and isn't used or nobody knows.
    """
    said, wanted = getattr(own, name, None), asked.partition("@")[0]
    used = (
        given
        if said is None or callable(said)
        else PRECISION_NAMES.get(str(said).removeprefix("torch."), str(said))
    )
    if (
        wanted in DEFAULTS
        or used == wanted
        or (used or "").partition(":")[0] == wanted.removesuffix(":0")
    ):
        return used
    if wanted == "cpu" and used is None and not gpu_in_use():
        return wanted
    problem = f"it uses {used}" if used else f"{function}() takes no {name}"
    raise KisBenchError(
        f"model {checkpoint.name}: {name} {wanted} was asked for, but {problem}; give {function} a parameter {name} "
        "and heed it, or don't ask for it"
    )


def gpu_in_use() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


def check_object(checkpoint: Checkpoint, function: str, own: Any) -> None:
    """
    Raises:
        KisBenchError: it lacks something, or has something that can't be; with all of it.
    """
    wanted = WANTED if getattr(own, "image_only", False) else (*WANTED, *OF_TEXTS)
    returned = f"model {checkpoint.name}: what {function}() returns"
    if absent := [part for part in wanted if not hasattr(own, part)]:
        raise KisBenchError(f"{returned} ({type(own).__name__}) lacks {', '.join(absent)}")
    wrong = [
        f"{part} {getattr(own, part)!r}, which is no whole number of at least 1"
        for part in ("dim", "vectors_per_item", "batch_size", "input_side")
        if not is_count(getattr(own, part, 1))
    ]
    texts = {part: getattr(own, part) for part in ("name", "key") if hasattr(own, part)}
    wrong += [
        f"{part} {value!r}, which is no text with something in it"
        for part, value in texts.items()
        if not isinstance(value, str) or not value.strip()
    ]
    if checkpoint.dim and checkpoint.dim != own.dim:
        wrong.append(f"dim {own.dim}, where the table of models says {checkpoint.dim}")
    if wrong:
        raise KisBenchError(f"{returned} has the {'; and the '.join(wrong)}")


def is_count(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def digest_files(checkpoint: Checkpoint, own: Any, module: str) -> list[str]:
    """Name and digest of each file that the object's ``files`` lists; of a folder, of all that lie in it.

    Raises:
        KisBenchError: one isn't there.
    """
    listed = getattr(own, "files", None)
    if listed is None or isinstance(listed, str | os.PathLike):
        listed = [] if listed is None else [listed]
    if not isinstance(listed, Iterable):
        raise KisBenchError(
            f"model {checkpoint.name}: files is {listed!r}; a list of paths is needed"
        )
    found: list[str] = []
    for each in listed:
        if not isinstance(each, str | os.PathLike):
            raise KisBenchError(f"model {checkpoint.name}: files has {each!r}, which is no path")
        place = Path(each).expanduser()
        if (
            not place.exists()
            and (beside := Path(str(sys.modules[module].__file__)).parent / place).exists()
        ):
            place = beside
        inside = (
            sorted(file for file in place.rglob("*") if file.is_file())
            if place.is_dir()
            else [place]
        )
        if not all(file.is_file() for file in inside) or not inside:
            raise KisBenchError(
                f"model {checkpoint.name}: there is no file {place}, which its object lists in files"
            )
        found += [
            f"{file.relative_to(place) if file != place else file.name} {digest_file(file)}"
            for file in inside
        ]
    return found


BACK_END = BackEnd(
    kinds=("python",),
    forms=("module:function",),
    packages=(),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    require=function_of,
)
