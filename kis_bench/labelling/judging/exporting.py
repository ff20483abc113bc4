"""The tables of a study as the reader of RESET takes them; repetitions stand in one of their own and don't count."""

from __future__ import annotations

from kis_bench.datasets.reset import (
    JUDGMENT_COLUMNS,
    JUDGMENTS_FILE,
    PARTICIPANTS_FILE,
    PERSON_COLUMNS,
)
from kis_bench.labelling.exports import make_row
from kis_bench.labelling.truth import Truth

REPEATED_FILE = "repeated_judgements.csv"
JUDGED_COLUMNS = (
    *JUDGMENT_COLUMNS[:3],
    "choice",
    "simplified_choice",
    *JUDGMENT_COLUMNS[3:],
    "time_spent",
)


class StudyTables:
    """The tables as bytes; rows that didn't change aren't made anew."""

    def __init__(self, truth: Truth) -> None:
        self.truth, self.revision = truth, 0
        self.rows: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})

    def render(self) -> dict[str, bytes]:
        """Each table by its file's name; none before somebody has judged."""
        fresh = self.truth.read(
            'SELECT id, triplet_id, user_id, choice, path1, path2, "left", spent_ms, repeats, questions.revision'
            " FROM questions JOIN triplets ON number = triplet JOIN participants USING (person)"
            " WHERE questions.revision > ? ORDER BY id",
            self.revision,
        )
        for number, triplet, user, choice, first, second, left, spent, repeats, revision in fresh:
            sides = (first, second) if left == 1 else (second, first)
            sign = (choice > 0) - (choice < 0)
            cells = [number, triplet, user, choice, sign, *sides, spent, *[repeats] * bool(repeats)]
            self.rows[bool(repeats)][number] = make_row(cells)
            self.revision = max(self.revision, revision)
        if not self.rows[0]:
            return {}
        people = self.truth.read(
            f"SELECT {', '.join(PERSON_COLUMNS)} FROM participants ORDER BY person"
        )
        tables = {
            PARTICIPANTS_FILE: make_row(PERSON_COLUMNS) + b"".join(map(make_row, people)),
            JUDGMENTS_FILE: make_row(JUDGED_COLUMNS) + b"".join(self.rows[0].values()),
        }
        if self.rows[1]:
            header = make_row([*JUDGED_COLUMNS, "repeats"])
            tables[REPEATED_FILE] = header + b"".join(self.rows[1].values())
        return tables
