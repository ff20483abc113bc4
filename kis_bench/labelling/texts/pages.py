"""The pages of ``kis-bench label``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, RedirectResponse, Response

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.files.text import make_plain
from kis_bench.labelling.people import Person
from kis_bench.labelling.texts.aids import Aids
from kis_bench.labelling.texts.assignments import (
    Assignment,
    Progress,
    find_neighbours,
    find_number_ahead,
    read_assignment,
    read_progress,
)
from kis_bench.labelling.texts.finish import Finish
from kis_bench.labelling.texts.handing import GONE, Handing
from kis_bench.labelling.texts.task import TEXT_LETTERS, LabelTask
from kis_bench.labelling.web.app import Page, Site, Visit, lead_to, show_message

REASONS = ("blurred", "empty", "private")
REASON_LETTERS = 200
MOST_SKIPPED = 50  #: pictures in a row that can't be shown, before somebody is told
GRACE_S = 2.0  #: a picture that disappears may still be on its way
NOT_YOURS = "This picture isn't yours"


@dataclass(frozen=True)
class LabelPages:
    """What the pages show and do."""

    task: LabelTask
    handing: Handing
    finish: Finish
    aids: Aids = field(default_factory=Aids)

    def list_pages(self) -> dict[str, Page]:
        return {
            "GET /": self.show_current,
            "GET /edit/{assignment}": self.show_earlier,
            "POST /look": self.look,
            "POST /save": self.save,
            "POST /refuse": self.refuse,
            "GET /finished": self.finish.show,
            "GET /curve.svg": self.finish.show_curve,
        }

    def may_see(self, person: Person, number: int) -> bool:
        """Whether somebody may see a picture now: of their own, and only while it is shown if it doesn't stay."""
        found = self.handing.truth.read(
            "SELECT seen FROM assignments WHERE number = ? AND person = ?", number, person.id
        )
        if not found or not self.task.memory_s:
            return bool(found)
        (seen,) = found[0]
        # A clock that was set back meanwhile ends it, for nobody knows how long it was shown.
        return seen is not None and 0 <= time.time() - seen <= self.task.memory_s + GRACE_S

    def read_progress(self, person: Person) -> Progress:
        return read_progress(self.handing.truth, person, self.finish.needed)

    def show_current(self, site: Site, visit: Visit) -> Response:
        """The picture that is to be described now; at the goal the last page, unless they want to go on."""
        more = "more" in visit.query
        if not more and self.read_progress(visit.person).reached:
            return RedirectResponse("/finished", 303)
        assignment = self.open_readable(site, visit.person)
        if assignment is None:
            return RedirectResponse("/finished", 303)
        ahead = find_number_ahead(self.handing.truth, visit.person)
        left = self.count_seconds_left(assignment)
        if self.task.memory_s and assignment.seen is None:
            page = self.show(site, visit, "ready.html", assignment)
        elif left > 0:
            page = self.show(site, visit, "look.html", assignment, left=left)
        else:
            said = self.aids.take_message(visit.person)
            page = self.show_form(site, visit, assignment, more=more, ahead=ahead, said=said)
        if ahead is not None:  # once this page is on its way, which it would slow down
            page.background = BackgroundTask(site.pictures.prepare, ahead)
        return page

    def count_seconds_left(self, assignment: Assignment) -> int:
        """Seconds for which a picture that doesn't stay is still shown; 0 for one that does."""
        if not self.task.memory_s or assignment.seen is None:
            return 0
        passed = time.time() - assignment.seen
        return max(0, round(self.task.memory_s - passed + 0.4)) if passed >= 0 else 0

    def open_readable(self, site: Site, person: Person) -> Assignment | None:
        """Their open picture; those that can't be shown are skipped, with the reason.

        Raises:
            KisBenchError: too many in a row can't.
        """
        for _ in range(MOST_SKIPPED):
            assignment = self.handing.open_next(person)
            if assignment is None:
                return None
            try:
                site.pictures.fetch(assignment.number)
                return assignment
            except BadFile as error:
                why = "; ".join(error.problems)
            except KeyError:
                why = GONE
            self.handing.skip_unreadable(person, assignment, why)
        raise KisBenchError(
            f"{MOST_SKIPPED} pictures in a row can't be shown, the last one because: {why}; "
            "kis-bench datasets check FOLDER says more"
        )

    def show_earlier(self, site: Site, visit: Visit) -> Response:
        """One that they have finished, to correct it."""
        assignment = self.read_own(visit)
        if assignment is None:
            return show_message(site, 404, NOT_YOURS, "", visit)
        if assignment.state == "open":
            return RedirectResponse("/", 303)
        return self.show_form(site, visit, assignment)

    def read_own(self, visit: Visit) -> Assignment | None:
        return read_assignment(self.handing.truth, visit.person, visit.number("assignment"))

    def show(
        self, site: Site, visit: Visit, template: str, assignment: Assignment, **values: Any
    ) -> Response:
        before, after = find_neighbours(self.handing.truth, visit.person, assignment.id)
        return site.render(
            visit,
            template,
            values.pop("status", 200),
            task=self.task,
            assignment=assignment,
            before=before,
            after=after,
            progress=self.read_progress(visit.person),
            **values,
        )

    def show_form(
        self,
        site: Site,
        visit: Visit,
        assignment: Assignment,
        *,
        problems: Mapping[str, str] | None = None,
        typed: Mapping[str, str] | None = None,
        more: bool = False,
        ahead: int | None = None,
        said: str = "",
        confirmed: str = "",
        status: int = 200,
    ) -> Response:
        return self.show(
            site,
            visit,
            "label.html",
            assignment,
            texts=assignment.texts if typed is None else typed,
            problems=problems or {},
            more=more,
            ahead=None if self.task.memory_s else ahead,
            shown=not self.task.memory_s,
            said=said,
            confirmed=confirmed,
            reasons=REASONS,
            letters=TEXT_LETTERS,
            status=status,
        )

    def look(self, site: Site, visit: Visit) -> Response:
        """Begins to show a picture that doesn't stay."""
        self.handing.note_seen(visit.person)
        return RedirectResponse("/", 303)

    def save(self, site: Site, visit: Visit) -> Response:
        typed = {name: visit.form.get(f"text:{name}", "") for name in self.task.names}
        assignment = self.read_own(visit)
        if assignment is None:
            return show_message(site, 404, NOT_YOURS, "", visit)
        confirmed = ""
        problems = self.task.find_problems(typed)
        if not problems:
            problems, confirmed = self.aids.find_repeated(
                self.handing.truth, assignment.number, typed, visit.form.get("confirmed", "")
            )
        if problems:
            if visit.wants_json:
                return JSONResponse({"problems": problems, "confirmed": confirmed}, 422)
            return self.show_form(
                site,
                visit,
                assignment,
                problems=problems,
                typed=typed,
                more="more" in visit.form,
                confirmed=confirmed,
                status=422,
            )
        # What is left empty by all its letters is empty; blanks around others stay as they were typed.
        texts = {name: text if text.strip() else "" for name, text in typed.items()}
        self.handing.save(visit.person, assignment.id, texts)
        self.aids.note_saved(visit.person, self.handing.items[assignment.number], texts)
        return self.go_on(visit)

    def refuse(self, site: Site, visit: Visit) -> Response:
        reason = make_plain(visit.form.get("reason", "")) or make_plain(visit.form.get("note", ""))
        assignment = self.read_own(visit)
        if assignment is None:
            return show_message(site, 404, NOT_YOURS, "", visit)
        self.handing.refuse(
            visit.person, assignment.id, reason[:REASON_LETTERS] or "no reason given"
        )
        return self.go_on(visit)

    def go_on(self, visit: Visit) -> Response:
        return lead_to(visit, "/?more=1" if "more" in visit.form else "/")
