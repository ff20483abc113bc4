"""The collections on which papers report retrieval: their test splits, and what has to be here of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kis_bench.datasets.parts import DatasetPart


@dataclass(frozen=True)
class PaperCollection:
    """A collection with a test split that papers call Karpathy's."""

    name: str
    pictures: int  # of the test split
    texts: int  # all that they have

    @property
    def file(self) -> str:
        """The file with the splits and texts, as it is handed out."""
        return f"dataset_{self.name}.json"

    @property
    def get(self) -> str:
        """What a user has to do who lacks it; the same words for each, so that sessions say them once."""
        return (
            "nothing is downloaded: docs/datasets/captions.md says where its pictures and Karpathy's JSON are to be "
            "had, and on which terms"
        )

    @property
    def counts(self) -> str:
        return f"{self.pictures:,} pictures and {self.texts:,} texts"


PAPER_COLLECTIONS = {
    one.name: one
    for one in (
        PaperCollection("flickr30k", 1_000, 5_000),
        PaperCollection("flickr8k", 1_000, 5_000),
        PaperCollection("coco", 5_000, 25_010),
    )
}


def compare_counts(
    about: str, part: DatasetPart, pictures: int, texts: int, form: str = ""
) -> Iterator[str]:
    """A remark on a collection of this name that isn't the test split on which papers report.

    Args:
        about: which collection it is, by its files; where its name is that of another, the name counts.
        texts: also those that repeat a text of their picture, which papers count.
        form: what the files are, in words, where they aren't Karpathy's.
    """
    known = PAPER_COLLECTIONS.get(part.whole) or PAPER_COLLECTIONS.get(about)
    if known is None or (pictures, texts) == (known.pictures, known.texts):
        return
    usual = part.split in ("", "test") and part.most_texts is None
    remedy = f"the original {known.file} says" if usual else f"{part.whole} alone asks for"
    if form:
        remedy = f"{known.file} says, while these are of {form}"
    yield (
        f"papers report on {known.counts} of {known.name}'s test split, and here are {pictures:,} and {texts:,}; "
        f"those are what {remedy}"
    )


def explain_no_pictures(name: str) -> str:
    """What pictures the folder of such a collection lacks if there are none; nothing for other names."""
    known = PAPER_COLLECTIONS.get(DatasetPart.parse(name).whole)
    if known is None:
        return ""
    return (
        f"; papers search the {known.pictures:,} of its test split, see docs/datasets/captions.md"
    )


def explain_no_texts(name: str) -> str:
    """What the folder of such a collection lacks if no texts are found in it; nothing for other names."""
    known = PAPER_COLLECTIONS.get(name)
    if known is None:
        return ""
    return (
        f"{known.file} is missing, from which the {known.counts} of the papers' test split are read; put it beside "
        "its pictures, see docs/datasets/captions.md"
    )


def refuse_other_collection(about: str, name: str, file: str) -> str:
    """What is wrong with a file about another collection than its dataset's name says; both may have equal counts."""
    if about == name or not {about, name} <= PAPER_COLLECTIONS.keys():
        return ""
    right = PAPER_COLLECTIONS[name].file
    instead = f"the original {right}" if file == right else f"{right} in place of {file}"
    return f"it is about {about}, and the dataset is called {name}; put {instead} there, or call the dataset {about}"
