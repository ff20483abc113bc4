"""The pages of ``kis-bench judge``."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from starlette.responses import RedirectResponse, Response

from kis_bench.errors import BadFile
from kis_bench.labelling.judging.asking import Asking, Question
from kis_bench.labelling.judging.participants import (
    FORM_FIELDS,
    Participants,
    describe_precision,
)
from kis_bench.labelling.web.app import Page, Site, Visit, lead_to, show_message

#: Choice -> what its button says, from left to right; the keys are 1 to 5.
CHOICES = {
    -2: "Clearly left",
    -1: "Rather left",
    0: "No difference",
    1: "Rather right",
    2: "Clearly right",
}


@dataclass(frozen=True)
class JudgingPages:
    """What the pages show and do."""

    asking: Asking
    participants: Participants

    def list_pages(self) -> dict[str, Page]:
        return {
            "GET /": self.show_current,
            "GET /question/{question}": self.show_earlier,
            "POST /judge": self.judge,
            "POST /participant": self.register,
            "POST /more": self.go_on,
            "GET /progress": self.show_progress,
        }

    def show_current(self, site: Site, visit: Visit) -> Response:
        """The form about oneself, then question after question, then the thanks."""
        if not self.participants.has_registered(visit.person):
            return self.show_participant_form(site, visit)
        (standing,) = self.participants.read_standings(visit.person)
        if standing.n_answers >= standing.goal:
            return self.show_thanks(site, visit)
        while question := self.asking.open_next(visit.person):
            if self.prepare(site, question):
                return self.show_question(site, visit, question)
        return self.show_thanks(site, visit, left=False)

    def show_participant_form(
        self, site: Site, visit: Visit, problem: str = "", status: int = 200
    ) -> Response:
        return site.render(
            visit,
            "participant.html",
            status,
            fields=FORM_FIELDS,
            consent=self.participants.consent,
            problem=problem,
        )

    def register(self, site: Site, visit: Visit) -> Response:
        if self.participants.consent and visit.form.get("consent") != "yes":
            problem = "Without your consent nothing is asked of you, and nothing is kept."
            return self.show_participant_form(site, visit, problem, 422)
        self.participants.register(visit.person, visit.form)
        return RedirectResponse("/", 303)

    def prepare(self, site: Site, question: Question) -> bool:
        """Has the pictures of a question ready; one with a picture that can't be shown is never asked again."""
        whole = True
        for number in question.pictures:
            site.pictures.prepare(number)
        for number in question.pictures:
            try:
                site.pictures.fetch(number)
            except (BadFile, KeyError) as error:
                missing = f"{self.asking.items[number]} is missing"
                reason = str(error) if isinstance(error, BadFile) else missing
                self.asking.leave_out(number, reason)
                print(f"a picture is left out, and triplets with it: {reason}", flush=True)
                whole = False
        return whole

    def show_question(self, site: Site, visit: Visit, question: Question) -> Response:
        ahead = self.asking.find_in_state(visit.person, "ahead")
        for number in ahead.pictures if ahead else ():
            site.pictures.prepare(number)
        (standing,) = self.participants.read_standings(visit.person)
        before = self.asking.find_before(visit.person, question.id)
        return site.render(
            visit,
            "judge.html",
            question=question,
            ahead=ahead,
            before=before,
            choices=CHOICES,
            standing=standing,
        )

    def show_earlier(self, site: Site, visit: Visit) -> Response:
        """A question that was answered, to correct it."""
        question = self.asking.read_question(visit.person, visit.number("question"))
        if question is None or question.state == "ahead":
            return show_message(site, 404, "This question isn't yours", "", visit)
        if not self.prepare(site, question):
            return show_message(site, 404, "A picture of it can't be shown any more", "", visit)
        return self.show_question(site, visit, question)

    def judge(self, site: Site, visit: Visit) -> Response:
        choice = {str(value): value for value in CHOICES}.get(visit.form.get("choice", ""))
        if choice is None:
            return show_message(site, 422, "No choice came with this", "Go back.", visit)
        question, spent = visit.number("question"), visit.number("spent")
        if not self.asking.judge(visit.person, question, choice, spent):
            return show_message(site, 404, "This question isn't yours", "", visit)
        return lead_to(visit, "/")

    def go_on(self, site: Site, visit: Visit) -> Response:
        self.participants.raise_goal(visit.person)
        return RedirectResponse("/", 303)

    def show_thanks(self, site: Site, visit: Visit, *, left: bool = True) -> Response:
        (standing,) = self.participants.read_standings(visit.person)
        return self.show_numbers(site, visit, "thanks.html", left=left, standing=standing)

    def show_progress(self, site: Site, visit: Visit) -> Response:
        """How the study goes, for its owner."""
        if not visit.person.owner:
            return show_message(site, 403, "Only who started this sees everybody", "", visit)
        standings = self.participants.read_standings()
        folder = shlex.quote(str(site.exports.folder))
        return self.show_numbers(site, visit, "progress.html", standings=standings, folder=folder)

    def show_numbers(self, site: Site, visit: Visit, template: str, **values: Any) -> Response:
        by_triplet, by_person = self.participants.count_judgments()
        return site.render(
            visit,
            template,
            n_decided=sum(by_person),
            n_triplets=len(by_triplet),
            n_people=len(by_person),
            precision=describe_precision(by_triplet, by_person),
            n_all=len(self.asking.wanted),
            n_wanted=sum(self.asking.wanted.values()),
            unreadable=len(self.asking.unreadable),
            **values,
        )
