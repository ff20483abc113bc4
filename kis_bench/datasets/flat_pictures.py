"""Finds pictures that a study names with their folder where they lie flat, as M3RT wants them: ``data/NAME.jpg``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import replace

from kis_bench.datasets.reset import Study


def name_flat(images: Set[str]) -> dict[str, str]:
    """Maps the name without folder of each image to its id, where no other image of the study has that name.

    >>> name_flat({"06925/shot06925_31_RKF", "a/1", "b/1", "flat"})
    {'shot06925_31_RKF': '06925/shot06925_31_RKF'}
    """
    count = Counter(image.rsplit("/", 1)[-1] for image in images)
    named = {image.rsplit("/", 1)[-1]: image for image in sorted(images)}
    return {name: image for name, image in named.items() if count[name] == 1 and name != image}


def place_study(study: Study, items: Set[str]) -> Study:
    """The study with triplets of the items that are there: an image lies where it is named, else flat.

    A remark counts those that lie flat.

    Args:
        items: ids of the collection.
    """
    flat = {
        image: name
        for name, image in name_flat(study.images).items()
        if name in items and image not in items
    }
    if not flat:
        return study
    triplets = tuple(
        replace(
            triplet,
            target=flat.get(triplet.target, triplet.target),
            candidate1=flat.get(triplet.candidate1, triplet.candidate1),
            candidate2=flat.get(triplet.candidate2, triplet.candidate2),
        )
        for triplet in study.triplets
    )
    said = f"images that lie without their folders, found by the rest of their names: {len(flat):,}"
    return replace(study, triplets=triplets, remarks=(*study.remarks, said))


def note_missing_images(named: Set[str], items: Set[str]) -> list[str]:
    """A remark on images that triplets name and that are missing."""
    absent = sorted(named - items)
    if not absent:
        return []
    if len(absent) == len(named):
        return [
            f"none of the {len(named):,} images that the triplets name is there; put them into keyframes/"
        ]
    return [
        f"{len(absent):,} of {len(named):,} images that the triplets name are missing, such as {', '.join(absent[:3])}"
    ]
