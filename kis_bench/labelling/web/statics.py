"""Style sheets and scripts of the pages: the frame's, a project's own, and the colours of the report."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from kis_bench.report.page.html import PARTS

HERE = Path(__file__).parent


def find_static_address(folder: Path, name: str) -> str:
    """Where a page finds a file; of another content it is another, so that browsers may keep it."""
    return f"/static/{name}?as={hashlib.sha256(read_static(folder, name)).hexdigest()[:8]}"


def make_static(folder: Path) -> Callable[[Request], Any]:
    """What Starlette calls for a style sheet or script."""

    async def answer(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            content = read_static(folder, name)
        except KeyError:
            return Response("There is no such file.", 404, media_type="text/plain")
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        kind = mimetypes.guess_type(name)[0] or "text/plain"
        return Response(content, media_type=kind, headers=headers)

    return answer


@cache
def read_static(folder: Path, name: str) -> bytes:
    """A style sheet or script. Raises KeyError for a name that none has."""
    if name == "colours.css":
        return read_report_colours().encode()
    files = {file.name: file for place in (folder, HERE) for file in (place / "static").glob("*.*")}
    return files[name].read_bytes()


def read_report_colours() -> str:
    """The colours of the report's page, which these pages have, too."""
    sheet = (PARTS / "page.css").read_text(encoding="utf-8")
    return sheet.partition("\n\n")[0]
