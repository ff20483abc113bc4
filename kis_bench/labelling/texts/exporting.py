"""The label file of what was written: byte for byte what people typed."""

from __future__ import annotations

from pathlib import Path

from kis_bench.labelling.exports import make_row
from kis_bench.labelling.truth import Truth

HEADER = b"query_id,item_id,label_set,text,annotator\n"


class LabelTable:
    """A label file as bytes; rows that didn't change aren't made anew. Without rows none is begun."""

    def __init__(self, truth: Truth, file: Path) -> None:
        self.truth, self.file, self.revision = truth, file, 0
        self.rows: dict[int, bytes] = {}

    def render(self) -> dict[str, bytes]:
        """The table by its file's name."""
        fresh = self.truth.read(
            "SELECT labels.id, item_id, label_set, text, name, state, revision FROM labels"
            " JOIN assignments ON assignments.id = assignment JOIN items USING (number)"
            " JOIN people ON people.id = person WHERE revision > ? ORDER BY labels.id",
            self.revision,
        )
        for label, item, label_set, text, annotator, state, revision in fresh:
            cells = (f"{item}-{label_set}", item, label_set, text, annotator)
            # An optional text that was erased, or of a picture that was refused, leaves its place empty.
            self.rows[label] = make_row(cells) if text and state == "saved" else b""
            self.revision = max(self.revision, revision)
        content = b"".join(self.rows.values())
        return {self.file.name: HEADER + content} if content or self.file.exists() else {}
