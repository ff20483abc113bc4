"""The pages of ``kis-bench label``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import JSONResponse, RedirectResponse, Response

from kis_bench.labelling.texts.handing import Assignment, Handing
from kis_bench.labelling.texts.task import TEXT_LETTERS, LabelTask
from kis_bench.labelling.web.app import Page, Site, Visit, show_message


@dataclass(frozen=True)
class LabelPages:
    """What the pages show and do."""

    task: LabelTask
    handing: Handing

    def list_pages(self) -> dict[str, Page]:
        return {"GET /": self.show_current, "POST /save": self.save}

    def show_current(self, site: Site, visit: Visit) -> Response:
        """The picture that is to be described now."""
        assignment = self.handing.open_next(visit.person)
        if assignment is None:
            return site.render(visit, "finished.html")
        site.pictures.fetch(assignment.number)
        ahead = self.handing.find_ahead(visit.person)
        if ahead is not None:
            site.pictures.prepare(ahead.number)
        return self.show_form(site, visit, assignment, {}, ahead=ahead)

    def show_form(
        self,
        site: Site,
        visit: Visit,
        assignment: Assignment,
        problems: Mapping[str, str],
        *,
        typed: Mapping[str, str] | None = None,
        ahead: Assignment | None = None,
        status: int = 200,
    ) -> Response:
        return site.render(
            visit,
            "label.html",
            status,
            task=self.task,
            assignment=assignment,
            texts=assignment.texts if typed is None else typed,
            problems=problems,
            ahead=ahead,
        )

    def save(self, site: Site, visit: Visit) -> Response:
        number = visit.number("assignment")
        typed = {name: visit.form.get(f"text:{name}", "") for name in self.task.names}
        assignment = self.handing.read_assignment(visit.person, number)
        if assignment is None:
            return show_message(site, 404, "This picture isn't yours", "", visit)
        problems = self.find_problems(typed)
        if problems:
            if visit.wants_json:
                return JSONResponse({"problems": problems}, 422)
            return self.show_form(site, visit, assignment, problems, typed=typed, status=422)
        self.handing.save(
            visit.person, number, {n: t if t.strip() else "" for n, t in typed.items()}
        )
        return JSONResponse({"next": "/"}) if visit.wants_json else RedirectResponse("/", 303)

    def find_problems(self, typed: Mapping[str, str]) -> dict[str, str]:
        """What is wrong with texts, by label set."""
        problems = {}
        for one in self.task.label_sets:
            text = typed[one.name]
            if not text.strip() and not one.optional:
                problems[one.name] = "Nothing is written here yet."
            elif len(text) > TEXT_LETTERS:
                problems[one.name] = (
                    f"{len(text):,} characters; {TEXT_LETTERS:,} are the most. Nothing was cut: shorten it."
                )
            elif "\0" in text:
                problems[one.name] = "It holds a character that no text file can."
        return problems
