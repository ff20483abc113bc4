"""Makes a query ``ITEM#n`` of each caption, and takes the first captions of each picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from kis_bench.datasets.captions import Caption
from kis_bench.datasets.label_formats.label_format import Labels
from kis_bench.records import Collection, Query


def take_first_captions(texts: Sequence[Caption], most: int | None) -> list[Caption]:
    """The first texts of a picture in each label set, in their order; all if no number is given."""
    taken = Counter[str]()
    kept = []
    for one in texts:
        taken[one.label_set] += 1
        if most is None or taken[one.label_set] <= most:
            kept.append(one)
    return kept


def ask_captions(
    captions: Mapping[str, Sequence[Caption]], collection: Collection, source: str
) -> Labels:
    """A query ``ITEM#n`` of each caption, where n counts those of the picture in the label set from 0.

    Empty captions and those that a picture has already count, so that no other query changes its id when they are
    mended, but are no queries; ``unread`` says how many there are.

    Args:
        captions: item id -> its texts, in their order.
        source: what they are from, in words.
    """
    labels = Labels()
    empty, repeated = Counter[str](), labels.repeated
    for item in collection.ids:
        numbers, seen = Counter[str](), set[tuple[str, str | None, str]]()
        for one in captions.get(item, ()):
            number = numbers[one.label_set]
            numbers[one.label_set] += 1
            if not one.text:
                empty[one.label_set] += 1
            elif (one.label_set, one.annotator, one.text) in seen:
                repeated[one.label_set] += 1
            else:
                about = (one.label_set, one.text, one.annotator)
                query = Query(f"{item}#{number}", (item,), *about)
                labels.queries.append(query)
                labels.places.append(one.place)
            seen.add((one.label_set, one.annotator, one.text))
    counted = [f"{n:,} empty of {name}" for name, n in empty.items()]
    counted += [f"{n:,} of {name} that their picture has already" for name, n in repeated.items()]
    lost = [texts for item, texts in captions.items() if item not in collection.position]
    if n_lost := sum(bool(one.text) for texts in lost for one in texts):
        counted.append(f"{n_lost:,} of pictures that are left out")
    labels.unread += [f"texts in {source}: {', '.join(counted)}"] if counted else []
    return labels


def spell_spread(asked: Mapping[tuple[str, str], int]) -> str:
    """How many pictures have how many texts, of each label set where there are several.

    >>> spell_spread({("short", "a"): 5, ("short", "b"): 5}), spell_spread({("x", "a"): 2, ("y", "a"): 1})
    ('5 of 2', 'x: 2 of 1; y: 1 of 1')
    """
    spread: dict[str, Counter[int]] = {}
    for (label_set, _), n in asked.items():
        spread.setdefault(label_set, Counter())[n] += 1
    said = {
        name: ", ".join(f"{n:,} of {pictures:,}" for n, pictures in each.most_common(4))
        for name, each in spread.items()
    }
    return "; ".join(f"{name}: {one}" if len(said) > 1 else one for name, one in said.items())
