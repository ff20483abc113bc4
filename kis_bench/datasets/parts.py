"""Parts of datasets: ``NAME:SPLIT`` and ``NAME:SPLIT:TEXTS`` ask for a split, and for so many texts of a picture."""

from __future__ import annotations

from typing import NamedTuple

from kis_bench.errors import KisBenchError

ALL = "all"  #: the split that is everything there is


class DatasetPart(NamedTuple):
    """The part of a dataset that its name asks for."""

    whole: str  # the name of the whole dataset
    split: str = ""  # "": the usual one
    most_texts: int | None = None  # of a picture, the first ones; None: all

    @classmethod
    def parse(cls, name: str) -> DatasetPart:
        """
        >>> DatasetPart.parse("flickr30k:val:1")
        DatasetPart(whole='flickr30k', split='val', most_texts=1)

        Raises:
            KisBenchError: the number of texts is none.
        """
        whole, _, part = name.partition(":")
        split, colon, texts = part.partition(":")
        if colon and not (texts.isascii() and texts.isdigit() and int(texts)):
            said = f"{texts!r} is no number of texts; {whole}:{split or ALL}:5 takes the first five"
            raise KisBenchError(f"dataset {name}: {said} of each picture")
        return cls(whole, split, int(texts) if colon else None)
