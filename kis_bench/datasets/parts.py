"""Parts of datasets: ``NAME:SPLIT`` and ``NAME:SPLIT:TEXTS`` ask for a split, and for so many texts of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ALL = "all"  #: the split that is everything there is
USUAL_SPLIT = "test"  #: of which papers report figures
MOST_DIGITS = 9  #: of a number of texts


class DatasetPart(NamedTuple):
    """The part of a dataset that its name asks for."""

    whole: str  # the name of the whole dataset
    split: str = ""  # "": the usual one
    most_texts: int | None = None  # of a picture, the first ones; None: all
    wrong: str = ""  # why no part can be meant, where something reads parts

    @classmethod
    def parse(cls, name: str, folder: Path | None = None) -> DatasetPart:
        """
        >>> DatasetPart.parse("flickr30k:val:1")
        DatasetPart(whole='flickr30k', split='val', most_texts=1, wrong='')

        Args:
            folder: that of the dataset, which is whole if the folder itself is called so.
        """
        if folder is not None and folder.expanduser().resolve().name == name:
            return cls(name)
        whole, _, part = name.partition(":")
        split, colon, texts = part.partition(":")
        if not colon:
            return cls(whole, split)
        if texts.isascii() and texts.isdigit() and len(texts) <= MOST_DIGITS and int(texts):
            return cls(whole, split, int(texts))
        said = f"{texts!r} is no number of texts; {whole}:{split or ALL}:5 takes the first five"
        return cls(whole, split, wrong=f"{name}: {said} of each picture")
