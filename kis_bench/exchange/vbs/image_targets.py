"""Targets of DRES that are images, as in the Lifelog Search Challenge, and the items of a collection that they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kis_bench.exchange.vbs.json_values import TEXT_NOT_BLANK, Place
from kis_bench.files.picture_formats import IMAGE_SUFFIXES

IMAGE_TARGETS = ("MEDIA_ITEM", "MediaItemTarget", "MultipleMediaItemTarget")  #: DRES 2; 1; 1


@dataclass(frozen=True)
class ImageTarget:
    """An image that a task is about."""

    name: str
    location: str  # path below the folder of DRES' collection; "" where the file tells none


def aims_at_images(targets: Any) -> bool:
    """Whether all targets of a task are images, and none a whole video."""
    if not isinstance(targets, list) or not targets:
        return False
    return all(
        isinstance(target, dict)
        and target.get("type") in IMAGE_TARGETS
        and not any(is_video(item) for item in list_media_items(target))
        for target in targets
    )


def list_media_items(target: dict[str, Any]) -> list[Any]:
    several = target.get("items")
    return several if isinstance(several, list) else [target.get("item")]


def is_video(item: Any) -> bool:
    return isinstance(item, dict) and (
        item.get("type") == "VIDEO" or any(item.get(key) for key in ("fps", "durationMs"))
    )


def take_images(targets: Sequence[Place]) -> tuple[ImageTarget, ...]:
    """The images of all targets of a task, each once; none, and problems, if one has no name."""
    found: list[ImageTarget | None] = []
    for target in targets:
        if isinstance(target.found.get("items"), list):
            found += [take_image(item, "") for item in target.each("items")]
        else:
            found.append(take_image(target, "item."))
    images = tuple(dict.fromkeys(one for one in found if one is not None))
    return images if None not in found else ()


def take_image(place: Place, before: str) -> ImageTarget | None:
    name = place.take(f"{before}name", TEXT_NOT_BLANK)
    location = place.take(f"{before}location", TEXT_NOT_BLANK, needed=False)
    return None if name is None else ImageTarget(name, location or "")


def make_image_finder(ids: Sequence[str]) -> Callable[[ImageTarget], list[str]]:
    """Makes a function from an image to the items that it may be; several if that is ambiguous.

    That is the item of this name, with or without suffix; else those one of whose paths ends in the other, of its name
    and then of its location.
    """
    known, by_last = {*ids}, defaultdict(list)
    for item in ids:
        by_last[item.rpartition("/")[2]].append(item)

    def find(target: ImageTarget) -> list[str]:
        paths = [strip_suffix(path) for path in (target.name, target.location) if path]
        for path in (target.name, *paths):
            if path in known:
                return [path]
        for path in paths:
            near = by_last.get(path.rpartition("/")[2], [])
            fits = [
                item
                for item in near
                if is_tail(path, item) or ("/" in item and is_tail(item, path))
            ]
            if fits:
                return fits
        return []

    return find


def strip_suffix(path: str) -> str:
    plain = path.replace("\\", "/").strip("/")
    suffix = PurePosixPath(plain).suffix
    return plain.removesuffix(suffix) if suffix.lower() in IMAGE_SUFFIXES else plain


def is_tail(path: str, of: str) -> bool:
    return f"/{of}".endswith(f"/{path}")
