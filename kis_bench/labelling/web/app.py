"""The frame that pages of a project are put into: who comes in, forms that are theirs, templates, files of the page."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.labelling.exports import Exports
from kis_bench.labelling.people import People, Person
from kis_bench.labelling.truth import NotSaved, Truth
from kis_bench.labelling.web.forms import read_form
from kis_bench.labelling.web.guard import Guard
from kis_bench.labelling.web.pictures import Pictures
from kis_bench.labelling.web.statics import HERE, find_static_address, make_static

COOKIE_AGE_S = 400 * 24 * 3600  #: browsers keep none longer
LOCAL_HOSTS = frozenset({"localhost"})


@dataclass(frozen=True)
class Visit:
    """One request of somebody who was let in, as a page gets it."""

    person: Person
    form: Mapping[str, str]  # empty unless it was posted
    query: Mapping[str, str]  # of the address, behind ?
    path: Mapping[str, Any]  # parts of the address that the route names
    csrf: str
    wants_json: bool  # the script of the page asks, which stays where it is

    def number(self, name: str) -> int:
        """A whole number from the form, the path or the query; -1 where there is none."""
        text = str(self.path.get(name, self.form.get(name, self.query.get(name, ""))))
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


Page = Callable[["Site", Visit], Response]  #: runs in a thread


@dataclass
class Site:
    """What the pages of one project share."""

    title: str
    truth: Truth
    people: People
    exports: Exports
    pictures: Pictures
    folder: Path  # of the project's own templates/ and static/
    may_see: Callable[[Person, int], bool]  # whether somebody may see the picture of a number
    welcome: Mapping[str, Any] = field(default_factory=dict)  # for welcome.html
    keeps_pictures: bool = True  # a browser may show a picture again without asking
    hosts: frozenset[str] = LOCAL_HOSTS  # names that it may be asked for under
    address: str = ""  # once it is served, without a slash at its end

    def __post_init__(self) -> None:
        self.id = self.truth.read_setting("id")
        self.cookie = f"kis-bench-{self.id}"  # for cookies know no ports
        folders = [self.folder / "templates", HERE / "templates"]
        self.templates = Environment(
            loader=FileSystemLoader(folders),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,  # else each page looks whether its files have changed
        )
        self.templates.globals.update(site=self, static=self.static_address)

    @property
    def short_id(self) -> str:
        return self.id[:8]

    def picture_address(self, number: int) -> str:
        """Where a page finds a picture; a page that is still open while another project has its port finds none."""
        return f"/picture/{number}?of={self.short_id}"

    def static_address(self, name: str) -> str:
        return find_static_address(self.folder, name)

    def render(
        self, visit: Visit | None, template: str, status: int = 200, **values: Any
    ) -> Response:
        """A page of a template; it has ``visit``, ``site`` and these values. All is escaped."""
        text = self.templates.get_template(template).render(visit=visit, **values)
        return Response(text, status, media_type="text/html")


def make_app(site: Site, pages: Mapping[str, Page]) -> Starlette:
    """The application of a project.

    Args:
        pages: by method and address, such as ``"POST /save"``; who isn't let in, or sends a form that isn't of
            this server's pages, reaches none of them.
    """
    routes = [
        Route("/enter/{secret}", make_entrance(site), methods=["GET", "POST"]),
        Route("/static/{name}", make_static(site.folder)),
        Route("/picture/{number}", make_endpoint(site, show_picture)),
        Route("/invite", make_endpoint(site, show_people)),
        Route("/invite", make_endpoint(site, invite_person), methods=["POST"]),
        *(
            Route(name.split()[1], make_endpoint(site, page), methods=[name.split()[0]])
            for name, page in pages.items()
        ),
    ]

    @asynccontextmanager
    async def live(app: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(site.exports.start)
        yield
        await run_in_threadpool(site.exports.stop)
        site.pictures.close()

    async def say_not_found(request: Request, error: Exception) -> Response:
        return show_message(site, 404, "There is no such page", "")

    guard = Middleware(Guard, hosts=lambda: site.hosts)
    return Starlette(
        routes=routes, middleware=[guard], lifespan=live, exception_handlers={404: say_not_found}
    )


def show_message(
    site: Site, status: int, title: str, text: str, visit: Visit | None = None
) -> Response:
    return site.render(visit, "message.html", status, title=title, text=text)


def lead_to(visit: Visit, address: str) -> Response:
    """The answer to a form that was taken: where to go, told to the page's script or to the browser."""
    return JSONResponse({"next": address}) if visit.wants_json else RedirectResponse(address, 303)


def make_endpoint(site: Site, page: Page) -> Callable[[Request], Any]:
    """What Starlette calls for a page: only who is let in gets further, and only with forms of our own."""

    def show(request: Request, form: Mapping[str, str] | None) -> Response:
        cookie = request.cookies.get(site.cookie, "")
        person = site.people.recognise(cookie) if cookie else None
        if person is None:
            text = "Open the link that was printed when this was started, or ask who started it for a new one."
            return show_message(site, 403, "You need a link", text)
        csrf = hmac.digest(cookie.encode(), b"form", "sha256").hex()
        if form is None or (
            request.method == "POST"
            and not hmac.compare_digest(csrf.encode(), form.get("csrf", "").encode())
        ):
            text = "Go back, reload that page and send it again; what you typed is still in it."
            return show_message(site, 403, "This form is not of your page", text)
        visit = Visit(
            person,
            form,
            dict(request.query_params),
            request.path_params,
            csrf,
            request.headers.get("accept", "") == "application/json",
        )
        try:
            return page(site, visit)
        except KisBenchError as error:
            status, title = (507, "Not saved") if isinstance(error, NotSaved) else (500, "Not done")
            if visit.wants_json:
                return Response(str(error), status, media_type="text/plain")
            again = f"{error}. Go back and send it again; what you typed is still there."
            return show_message(site, status, title, again, visit)

    async def answer(request: Request) -> Response:
        form = await read_form(request) if request.method == "POST" else {}
        return await run_in_threadpool(show, request, form)

    return answer


def make_entrance(site: Site) -> Callable[[Request], Any]:
    """The page behind a link: it tells what is asked for, and lets in at a press of its button.

    Looking at it doesn't use the link up, for mail and chat programs look at links, too.
    """

    async def answer(request: Request) -> Response:
        secret = request.path_params["secret"]
        person = await run_in_threadpool(site.people.find_invited, secret)
        cookie = request.cookies.get(site.cookie, "")
        known = await run_in_threadpool(site.people.recognise, cookie) if cookie else None
        if known is not None and (person is None or person == known):
            return RedirectResponse("/", 303)
        if person is None:
            text = "It lets in once. Ask who started the server for a new one, or look at what it printed last."
            return show_message(site, 403, "This link was used before", text)
        if request.method == "GET":
            return site.render(None, "welcome.html", person=person, **site.welcome)
        fresh = await run_in_threadpool(site.people.accept, secret)
        if fresh is None:
            return RedirectResponse(request.url.path, 303)
        entered = RedirectResponse("/", 303)
        entered.set_cookie(
            site.cookie, fresh, max_age=COOKIE_AGE_S, httponly=True, samesite="strict", path="/"
        )
        return entered

    return answer


def show_picture(site: Site, visit: Visit) -> Response:
    number = visit.number("number")
    try:
        of_this = visit.query.get("of", site.short_id) == site.short_id
        if not of_this or number < 0 or not site.may_see(visit.person, number):
            raise KeyError(number)
        content = site.pictures.fetch(number)
    except (KeyError, BadFile):
        return Response("There is no such picture for you.", 404, media_type="text/plain")
    kept = "private, max-age=86400, immutable" if site.keeps_pictures else "no-store"
    return Response(content, media_type="image/jpeg", headers={"cache-control": kept})


def show_people(site: Site, visit: Visit, link: str = "", problem: str = "") -> Response:
    """The page on which the owner invites others."""
    if not visit.person.owner:
        return show_message(site, 403, "Only who started this invites others", "", visit)
    people = site.people.list_all()
    return site.render(visit, "people.html", people=people, link=link, problem=problem)


def invite_person(site: Site, visit: Visit) -> Response:
    if not visit.person.owner:
        return show_people(site, visit)
    try:
        secret = site.people.invite(visit.form.get("name", "").strip())
    except NotSaved:
        raise
    except KisBenchError as error:
        return show_people(site, visit, problem=str(error))
    return show_people(site, visit, link=f"{site.address}/enter/{secret}")
