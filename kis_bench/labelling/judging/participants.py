"""What participants say of themselves, and how far each has come."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kis_bench.labelling.people import Person
from kis_bench.labelling.truth import Truth
from kis_bench.statistics import wilson_interval
from kis_bench.triplets.planning import ASSUMED, estimate_design_effect, find_half_width

SURE = (
    0.999  #: confidence with which somebody is said to prefer a side, for many people are looked at
)
#: Field of the form -> its question, and what may be answered; "" is no answer.
FORM_FIELDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "age_group": (
        "How old are you?",
        ("under 18", "18-24", "25-34", "35-44", "45-54", "55-64", "65 or more"),
    ),
    "education": (
        "What is the highest degree that you have?",
        ("school", "vocational", "bachelor", "master", "doctorate", "other"),
    ),
    "ml_expert": ("Is machine learning or image retrieval part of your work?", ("yes", "no")),
}


@dataclass(frozen=True)
class Standing:
    """How far a participant has come."""

    user_id: str
    n_answers: int
    n_decided: int  # without repetitions, with a preference
    n_left: int  # of these, for the left one
    n_repeated: int
    n_same: int  # of the repetitions, answered with the same preference as the first time
    median_s: float
    goal: int

    @property
    def is_one_sided(self) -> bool:
        """Whether one side was chosen more often than chance explains in nearly all people who know no side."""
        low, high = wilson_interval(self.n_left, self.n_decided, SURE) if self.n_decided else (0, 1)
        return not low <= 0.5 <= high


class Participants:
    """Who judges, as the tables know them: by number and never by name."""

    def __init__(self, truth: Truth, consent: str, goal: int) -> None:
        self.truth, self.consent, self.goal = truth, consent, goal

    def has_registered(self, person: Person) -> bool:
        return bool(self.truth.read("SELECT 1 FROM participants WHERE person = ?", person.id))

    def register(self, person: Person, answers: Mapping[str, str]) -> None:
        """Keeps what somebody says of themselves; what is no answer of the form is none."""
        known = {
            name: answers.get(name, "") if answers.get(name) in choices else ""
            for name, (_, choices) in FORM_FIELDS.items()
        }
        agreed = hashlib.sha256(self.consent.encode()).hexdigest() if self.consent else ""
        with self.truth.writing() as rows:
            taken = {name for (name,) in rows.execute("SELECT user_id FROM participants")}
            number = person.id
            while f"p{number}" in taken:
                number += 1
            rows.execute(
                "INSERT INTO participants VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (person) DO NOTHING",
                (person.id, f"p{number}", *known.values(), agreed, time.time(), self.goal),
            )

    def raise_goal(self, person: Person) -> None:
        """Somebody who has reached the goal goes on."""
        with self.truth.writing() as rows:
            rows.execute(
                "UPDATE participants SET goal = ? + (SELECT count(*) FROM questions"
                " WHERE person = ? AND state = 'judged') WHERE person = ?",
                (self.goal, person.id, person.id),
            )

    def read_standings(self, person: Person | None = None) -> list[Standing]:
        """That of all participants, or of one."""
        everybody = self.truth.read(
            "SELECT person, user_id, goal FROM participants ORDER BY person"
        )
        answers: dict[int, dict[int, tuple[int, int, int, int]]] = {p: {} for p, _, _ in everybody}
        for who, number, repeats, left, choice, spent in self.truth.read(
            'SELECT person, id, repeats, "left", choice, spent_ms FROM questions'
            " WHERE state = 'judged' AND (?1 = 0 OR person = ?1)",
            0 if person is None else person.id,
        ):
            if who in answers:
                answers[who][number] = repeats, left, choice, spent
        return [
            summarise_answers(user_id, goal, answers[who])
            for who, user_id, goal in everybody
            if person is None or who == person.id
        ]

    def count_judgments(self) -> tuple[list[int], list[int]]:
        """How many judgments with a preference there are on each triplet that has any, and of each person."""
        counts = (
            self.truth.read(
                "SELECT count(*) FROM questions WHERE state = 'judged' AND choice != 0 AND repeats = 0"
                f" GROUP BY {column}"
            )
            for column in ("triplet", "person")
        )
        by_triplet, by_person = ([n for (n,) in rows] for rows in counts)
        return by_triplet, by_person


def summarise_answers(
    user_id: str, goal: int, answers: Mapping[int, tuple[int, int, int, int]]
) -> Standing:
    """From a person's answers by number: the question repeated or 0, the left candidate, the choice, milliseconds."""

    def prefer(left: int, choice: int) -> int:
        """The sign of the preference for candidate 2."""
        sign = (choice > 0) - (choice < 0)
        return sign if left == 1 else -sign

    first = [one for one in answers.values() if not one[0] and one[2]]
    again = [
        prefer(*one[1:3]) == prefer(*answers[one[0]][1:3])
        for one in answers.values()
        if one[0] in answers
    ]
    times = sorted(one[3] for one in answers.values())
    middle = len(times) // 2
    median = (times[middle] + times[~middle]) / 2000 if times else 0.0
    n_left = sum(one[2] < 0 for one in first)
    return Standing(user_id, len(answers), len(first), n_left, len(again), sum(again), median, goal)


def describe_precision(by_triplet: list[int], by_person: list[int]) -> str:
    """How well a consistency would be known by so many judgments on each triplet and of each person."""
    n = sum(by_person)
    if n < 2:
        return "Nothing can be told from so few judgments yet."
    alone = len(by_person) == 1
    assumed = replace(ASSUMED, person_correlation=0.0) if alone else ASSUMED
    effect = estimate_design_effect(by_triplet, by_person, assumed)
    half = 100 * find_half_width(n, effect, None if alone else len(by_person), assumed)
    said = f"A model that agrees with {ASSUMED.consistency:.0%} of them would be known to ±{half:.1f} points"
    return f"{said}, for this person alone." if alone else f"{said}."
