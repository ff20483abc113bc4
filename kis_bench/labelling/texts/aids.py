"""What may be shown to annotators besides the picture; all of it is off unless asked for, because it biases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kis_bench.datasets import DatasetRow
from kis_bench.errors import KisBenchError, NotReady
from kis_bench.labelling.people import Person, digest_secret
from kis_bench.labelling.texts.pool import read_whole_collection
from kis_bench.labelling.truth import Truth


class TargetRanks:
    """Where the known item stands for a text under one model; its vectors of all pictures lie in the store.

    Raises:
        NotReady: they don't. KisBenchError: no such model, or it has no text side.
    """

    def __init__(self, row: DatasetRow, model: str) -> None:
        from kis_bench import embed, encoders
        from kis_bench.store import Store, default_store

        self.encoder = encoders.load(model)
        if getattr(self.encoder, "image_only", False):
            raise KisBenchError(f"--show-rank {model}: it has no text side")
        if embed.find_saved(self.encoder) is not None:
            raise KisBenchError(
                f"--show-rank {model}: it has vectors on disk and reads no new text"
            )
        self.collection, store = read_whole_collection(row), Store(default_store())
        if embed.images_entry(self.collection, self.encoder.key, store).missing():
            get = f"kis-bench embed {row.name}={row.folder} --model {model}"
            raise NotReady(f"--show-rank {model}", "not all pictures are in the store", get)
        self.items = embed.embed_collection(self.collection, self.encoder, store)

    def find(self, item: str, texts: Mapping[str, str]) -> dict[str, float]:
        """The rank of an item for each text, by label set; empty if it is not among the pictures."""
        from kis_bench.ranking import target_ranks

        place = self.collection.position.get(item)
        if place is None or not texts:
            return {}
        vectors, _ = self.encoder.encode_texts(list(texts.values()))
        ranks = target_ranks(vectors[:, 0], self.items.vectors, [[place]] * len(texts))
        return dict(zip(texts, ranks.rank.tolist(), strict=True))


@dataclass
class Aids:
    """The aids that were asked for.

    Attributes:
        warn_repeated: of a text that another picture has, too.
        ranks: tells after each save where the picture stands.
    """

    warn_repeated: bool = False
    ranks: TargetRanks | None = None
    messages: dict[int, str] = field(default_factory=dict)  # for the next page, by person

    def find_repeated(
        self, truth: Truth, number: int, typed: Mapping[str, str], confirmed: str
    ) -> tuple[dict[str, str], str]:
        """A warning by label set, and what the form has to send back to save the same texts nevertheless."""
        if not self.warn_repeated:
            return {}, ""
        token = digest_secret("\0".join(typed.values()))
        if confirmed == token:
            return {}, ""
        found = {}
        for name, text in typed.items():
            others = truth.read(
                "SELECT text FROM labels JOIN assignments ON assignments.id = assignment"
                " WHERE label_set = ? AND number != ? AND state = 'saved'",
                name,
                number,
            )
            if text.strip() and simplify(text) in {simplify(other) for (other,) in others}:
                found[name] = (
                    "Another picture has the same text, so that nothing can find just one of them. "
                    "Add what is different here, or save again to keep it."
                )
        return found, token if found else ""

    def note_saved(self, person: Person, item: str, texts: Mapping[str, str]) -> None:
        """Finds out what the next page says of texts that were saved."""
        if self.ranks is None:
            return
        found = self.ranks.find(item, {name: text for name, text in texts.items() if text})
        said = ", ".join(f"{name} at place {rank:,.0f}" for name, rank in found.items())
        total = f"{len(self.ranks.collection):,}"
        self.messages[person.id] = (
            f"Your last picture among {total} under {self.ranks.encoder.name}: {said}."
            if said
            else ""
        )

    def take_message(self, person: Person) -> str:
        return self.messages.pop(person.id, "")


def simplify(text: str) -> str:
    """A text by which those are alike that differ in case or blanks only."""
    return " ".join(text.casefold().split())
