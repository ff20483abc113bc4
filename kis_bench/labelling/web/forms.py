"""Reads what the forms of the pages send."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

MOST_FIELDS = 100  #: of a form


async def read_form(request: Request) -> dict[str, str] | None:
    """The fields of a form, lines ended by \\n as they were typed; None for what no page of ours sends."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    body = await request.body()
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:  # of which UnicodeDecodeError is one
        return None
    return {name: value.replace("\r\n", "\n") for name, value in pairs}
