"""The frozen records that pass between the rooms of the package."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import parse_qs

import numpy as np
from numpy.typing import NDArray

from kis_bench.notebook import show_record

REPR_CHARACTERS = 120
Float32s: TypeAlias = NDArray[np.float32]
Float64s: TypeAlias = NDArray[np.float64]
Int64s: TypeAlias = NDArray[np.int64]


def digest(parts: Iterable[object]) -> str:
    """SHA-256 over the texts of the parts, each ended by a zero byte; 64 hexadecimal digits."""
    total = hashlib.sha256()
    for part in parts:
        total.update(str(part).encode("utf-8", "surrogatepass") + b"\0")
    return total.hexdigest()


def describe_record(record: object, *facts: str) -> str:
    """What a record is, in one line of at most `REPR_CHARACTERS`.

    Fingerprints are made of the texts of queries, triplets, judgments and participants, so these stay as they are.

    >>> describe_record(3, "'mine'", "12 items")
    "int('mine', 12 items)"
    """
    text = f"{type(record).__name__}({', '.join(facts)})"
    return text if len(text) <= REPR_CHARACTERS else f"{text[: REPR_CHARACTERS - 2]}…)"


def describe_name(name: str) -> str:
    """A name as Python writes it, without its middle where it is long."""
    text = repr(name)
    return text if len(text) <= 40 else f"{text[:20]}…{text[-18:]}"


def count_things(n: int, noun: str) -> str:
    """A number and its noun, in the singular for one.

    >>> count_things(1, "triplet"), count_things(1200, "triplet"), count_things(2, "query")
    ('1 triplet', '1,200 triplets', '2 queries')
    """
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{n:,} {noun if n == 1 else many}"


class Part(Protocol):
    """A picture inside a larger file; ``str`` of it says where."""

    @property
    def name(self) -> str: ...
    @property
    def archive(self) -> Path:
        """The larger file."""
        ...

    def read_bytes(self) -> bytes: ...


Picture: TypeAlias = Path | Part


@dataclass(frozen=True)
class Collection:
    """The images that are searched; all sequences have one entry per item, in one order."""

    name: str
    ids: tuple[str, ...]
    paths: Sequence[Picture]  # where each image lies: a file, or a part of an archive
    content: Sequence[str]  # SHA-256 of each image file; may be found only when first asked for
    groups: tuple[str, ...] | None = None  # video, segment, day, burst, subgroup
    times_s: tuple[float, ...] | None = None  # seconds within the group

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        groups = [] if self.groups is None else [count_things(len({*self.groups}), "group")]
        return describe_record(
            self, describe_name(self.name), count_things(len(self), "item"), *groups
        )

    @cached_property
    def fingerprint(self) -> str:
        """Of ids and contents; where the files lie does not count."""
        return digest(x for pair in zip(self.ids, self.content, strict=True) for x in pair)

    @cached_property
    def position(self) -> dict[str, int]:
        """Item id -> its place in the collection, from 0."""
        return {item: i for i, item in enumerate(self.ids)}


@dataclass(frozen=True)
class Query:
    """A text written for one known item (or for several, any of which will do)."""

    query_id: str
    item_ids: tuple[str, ...]
    label_set: str
    text: str
    annotator: str | None = None
    stage: str | None = None
    range_s: tuple[float, float] | None = (
        None  # the segment that was meant: seconds within the target's group
    )


@dataclass(frozen=True)
class Triplet:
    """Which of two candidates is more similar to the target? Images are item ids, also of items that are missing."""

    triplet_id: str
    target: str
    candidate1: str
    candidate2: str
    category: str
    bins: tuple[int, int] | None = (
        None  # class of rank that each candidate was drawn from; the higher, the farther
    )


@dataclass(frozen=True)
class Judgment:
    """One choice on a triplet: -1 = candidate 1 is more similar, 1 = candidate 2, 0 = no difference."""

    judgement_id: str
    triplet_id: str
    user_id: str
    choice: int
    degree: int | None = None  # the same on five points, -2 ... 2
    left: int = 1  # which candidate was shown on the left


@dataclass(frozen=True)
class Participant:
    """A person who judged triplets; what they said of themselves, empty where they said nothing."""

    user_id: str
    age_group: str = ""
    education: str = ""
    ml_expert: str = ""


@dataclass(frozen=True)
class Dataset:
    name: str
    collection: Collection
    all_queries: tuple[Query, ...] = ()
    triplets: tuple[Triplet, ...] = ()
    judgments: tuple[Judgment, ...] = ()
    participants: tuple[Participant, ...] = ()
    # extractor -> its cosine distances, float64 [t, 3]: target-candidate1, target-candidate2, candidate1-candidate2
    distances: Mapping[str, Float64s] = field(default_factory=dict, compare=False, repr=False)
    note: str = ""  # what a reader of results has to know, shown in reports
    remarks: tuple[str, ...] = ()  # what was counted or left out in reading
    # kind of file -> how many of it lie beside the pictures and aren't searched
    left_out: Mapping[str, int] = field(default_factory=dict, compare=False)
    unread: tuple[str, ...] = field(
        default=(), compare=False
    )  # tables that seem to be meant, and what to do
    # item id -> why its picture can't be read; these were left out, as somebody asked
    unreadable: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    unasked: tuple[str, ...] = ()  # LABEL_SET/QUERY_ID of queries of which no target can be read
    # Label set -> texts that their picture has already, each a query only once; papers count them all.
    repeated: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    _sets: dict[str, tuple[Query, ...]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        grouped: dict[str, list[Query]] = {}
        for query in self.all_queries:
            grouped.setdefault(query.label_set, []).append(query)
        self._sets.update({name: tuple(queries) for name, queries in grouped.items()})

    def __repr__(self) -> str:
        counts = {
            "item": len(self.collection),
            "triplet": len(self.triplets),
            "judgment": len(self.judgments),
        }
        facts = [count_things(n, what) for what, n in counts.items() if n or what == "item"]
        facts += [
            f"{describe_name(name)}: {len(queries):,}" for name, queries in self._sets.items()
        ]
        return describe_record(self, describe_name(self.name), *facts)

    def _repr_html_(self) -> str:
        """Numbers of queries, targets and words of each label set, for notebooks; no text and no item."""
        rows = []
        for name, queries in self._sets.items():
            targets = {item for query in queries for item in query.item_ids}
            words = np.median([len(query.text.split()) for query in queries])
            rows.append([name, f"{len(queries):,}", f"{len(targets):,}", f"{words:,.10g}"])
        return show_record(repr(self), ["labels", "queries", "targets", "words (median)"], rows)

    @property
    def label_sets(self) -> tuple[str, ...]:
        """Names of the label sets, in the order of their first query."""
        return tuple(self._sets)

    def queries(self, label_set: str) -> tuple[Query, ...]:
        from kis_bench.errors import UnknownName

        if label_set not in self._sets:
            raise UnknownName("label set", label_set, self._sets, f"Dataset: {self.name}.")
        return self._sets[label_set]

    @cached_property
    def fingerprint(self) -> str:
        """Of the collection, its groups and times, and all queries, triplets, judgments and participants."""
        collection = self.collection
        parts: list[object] = [
            collection.fingerprint,
            *(collection.groups or ()),
            *(collection.times_s or ()),
        ]
        return digest(
            [*parts, *self.all_queries, *self.triplets, *self.judgments, *self.participants]
        )

    @cached_property
    def contents(self) -> dict[str, str]:
        """Digests of the dataset's parts, which tell what of it is different when the fingerprints differ."""
        collection = self.collection
        parts: dict[str, Iterable[object]] = {
            "pictures": collection.content,
            "item ids": collection.ids,
            "groups and times": [*(collection.groups or ()), *(collection.times_s or ())],
            **{f"queries of {name}": queries for name, queries in self._sets.items()},
            "triplets": self.triplets,
            "judgments": [*self.judgments, *self.participants],
        }
        return {name: digest(part)[:16] for name, part in parts.items()}


Vectors: TypeAlias = Float32s


@dataclass(frozen=True)
class Embeddings:
    """Unit vectors of all items or texts of a dataset under one encoder."""

    ids: tuple[str, ...]
    vectors: Vectors  # float32 [n, v, d]; memory-mapped unless small
    key: str  # what they were made under
    truncated: NDArray[np.bool_] | None = None  # [n], texts only: longer than the encoder's context
    made: Mapping[str, str] = field(
        default_factory=dict
    )  # device, precision, threads that computed them, where known
    limit: str | None = (
        None  # stage that encoding waited for longest: decode, forward or disk; None: all was stored
    )

    def __repr__(self) -> str:
        shape = " x ".join(f"{n:,}" for n in self.vectors.shape)
        return describe_record(self, shape, str(self.vectors.dtype), describe_name(self.key))


@dataclass(frozen=True)
class Ranks:
    """Where the targets of q queries stand; ranks count from 1."""

    best: Int64s  # [q] 1 + number of items with a higher score
    worst: Int64s  # [q] number of items with a score at least as high
    rank: Float64s  # [q] the middle of both
    group_rank: Float64s | None  # [q] of the target's group among groups
    top_items: Int64s  # [q, k] positions of the best items, best first
    target_score: Float32s  # [q] cosine similarity of the best-placed target
    group_best: Int64s | None  # [q] as best and worst, of the target's group among groups
    group_worst: Int64s | None
    relevant_best: NDArray[
        np.int64
    ]  # [q, r] of the best-placed item of each wider set; 0: the query has none
    relevant_worst: Int64s
    top_scores: Float64s | None = (
        None  # [q, k] of the best items, good to rounding in float64; where they are asked for
    )

    def __repr__(self) -> str:
        n = len(self.rank)
        median = [f"median {np.median(self.rank):,g}"] if n else []
        return describe_record(self, count_things(n, "query"), *median)


#: Where a path begins in a source: behind a mark, or by its own first characters.
PATH_IN_SOURCE = re.compile(
    r"^vectors(?:-of-more)?:|^onnx:(?:\w+=)?|:local-dir:|^openclip:[^/:@]+/(?=.*\.(?:pt|pth|ckpt|bin|safetensors)$)|=|(^|(?<=[:@]))(?=(?:[A-Za-z]:)?[\\/]|~|\.{1,2}(?:[\\/]|$))"
)


SERVICE = "http"  #: the kind of source that is the address of a service


@dataclass(frozen=True)
class Source:
    """Where a model comes from, written ``KIND:REST``.

    A file or folder of this machine is what follows ``vectors:``, ``onnx:``, ``local-dir:``, ``openclip:ARCH/`` where
    it ends as files of weights do, or ``=``, or what begins like a path. Back ends get paths from here only, so that
    whatever they read is left out of what others may see. So is the address of a service.
    """

    text: str  # as written
    kind: str  # which back end: "demo", "hf-hub", "python", ...
    rest: str  # what the back end makes of it
    folder: Path | None  # the user's own file or folder in it, "~" expanded
    public: str  # as others may see it: the last name of a path, without the folders above

    @classmethod
    def read(cls, text: str) -> Source:
        """
        >>> Source.read("openclip:local-dir:/home/me/ours").public, Source.read("vlad=~/x/c.npz").public
        ('openclip:local-dir:ours', 'vlad=c.npz')
        >>> Source.read("openclip:ViT-B-32/runs/epoch_3.pt").public, Source.read("hf-hub:org/name").folder is None
        ('openclip:ViT-B-32/epoch_3.pt', True)
        >>> Source.read("http:https://host.example/v1?model=org/clip").public
        'http:org/clip'
        """
        kind, _, rest = text.partition(":")
        if kind == SERVICE:
            named = parse_qs(rest.partition("?")[2]).get("model", [""])
            return cls(text, kind, rest, None, f"{kind}:{named[0]}")
        found = PATH_IN_SOURCE.search(text)
        path = text[found.end() :] if found else ""
        if not path:
            return cls(text, kind, rest, None, text)
        last = re.split(r"[\\/]", path.rstrip("\\/"))[-1]
        return cls(text, kind, rest, Path(path).expanduser(), text.removesuffix(path) + last)

    def starting_at(self, place: Path) -> Source:
        """The same with its path absolute; a relative one starts at a place."""
        found = PATH_IN_SOURCE.search(self.text)
        if found is None or self.folder is None:  # or the address of a service
            return self
        return Source.read(f"{self.text[: found.end()]}{place.absolute() / self.folder}")

    @property
    def short_name(self) -> str:
        """As part of a test's id: no characters that ``-k`` or file systems mind."""
        return re.sub(r":local-dir:|[:/@=]+", ".", self.public)


@dataclass(frozen=True)
class Checkpoint:
    """One row of a table of models: where a pretrained model comes from and what it is."""

    name: str
    source: str  # as written: "demo:", "hf-hub:ORG/NAME", "python:module:function"; see Source
    revision: str = "main"  # of a hub repository: a branch, a tag or a commit
    dim: int = 0  # 0: known only once the model is loaded
    vectors_per_item: int = 1
    context_length: int | None = None  # tokens; None: not limited
    tokenizer: str = ""  # whose tokens they are: "clip", or another; empty: not said
    parameters_m: float | None = None  # millions
    licence: str = ""
    paper: str = ""
    note: str = ""  # what a reader of results has to know, shown in reports
    image_only: bool = False  # no text side: for image similarity, not for known-item search
    with_judgments: bool = (
        False  # left out unless it is named, or a dataset with people's judgments is here
    )
    thesis_name: str = ""  # what M3RT calls it in code and figures
    prompts: tuple[
        str, ...
    ] = ()  # what stands around each text, with {} for it; several are averaged

    @cached_property
    def origin(self) -> Source:
        """What the source says."""
        return Source.read(self.source)


@dataclass(frozen=True)
class Readiness:
    """Whether a model or dataset can be used now; if not, how to get it."""

    ready: bool
    state: str  # "ready", "no data", "not downloaded", ...
    remedy: str = ""
    downloadable: bool = False  # what is missing can be had with kis-bench fetch or --kis-download
