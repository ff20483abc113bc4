"""What every request has to pass before a page sees it, and what every answer tells the browser."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES = 2**18  #: of a form; a text has 2,000 characters at most
BODY_TIMEOUT_S = 20.0  #: for all of a form
HEADERS = {
    "content-security-policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class TooSlow(Exception):
    """A form whose rest doesn't come."""


class TooLarge(Exception):
    """A form with more in it than any page asks for."""


class Guard:
    """ASGI middleware: other hosts, other sites' forms, huge posts and those that never end are refused.

    Args:
        hosts: gives the names under which the server may be asked for; addresses in numbers always are, for no
            foreign site can be called so.
    """

    def __init__(self, app: App, hosts: Callable[[], frozenset[str]]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name.lower() for name, _ in message.get("headers", [])}
                message["headers"] = [
                    *message.get("headers", []),
                    *(
                        (name.encode(), value.encode())
                        for name, value in {**HEADERS, "cache-control": "no-store"}.items()
                        if name.encode() not in present
                    ),
                ]
            await send(message)

        problem = self.find_problem(scope)
        if problem is None:
            try:
                await self.app(scope, limit_body(receive), send_guarded)
                return
            except TooLarge:
                problem = 413, "This is more than a form of these pages holds."
            except TooSlow:
                problem = 408, "The rest of the form didn't come in time. Send it again."
            if started:
                return
        await refuse_request(send_guarded, *problem)

    def find_problem(self, scope: Scope) -> tuple[int, str] | None:
        """Status and words for a request that isn't answered; None for one that may pass."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        hosts = headers.get(b"host", [])
        host = hosts[0].decode("latin-1") if len(hosts) == 1 else ""
        if not self.is_own_host(host):
            return (
                421,
                "This server is not asked for under this name. Use the address that it printed.",
            )
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "These pages know GET and POST."
        if scope["method"] != "POST":
            return None
        origin = [value.decode("latin-1") for value in headers.get(b"origin", [])]
        site = headers.get(b"sec-fetch-site", [b""])[0]
        if origin != [f"{scope['scheme']}://{host}"] and (origin or site != b"same-origin"):
            return 403, "This form was not sent from a page of this server."
        length = headers.get(b"content-length", [b"0"])[0]
        if not length.isdigit() or int(length[:20]) > BODY_BYTES:
            return 413, "This is more than a form of these pages holds."
        return None

    def is_own_host(self, host: str) -> bool:
        """Whether a Host header names this server: ``NAME:PORT``, or an address in numbers."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name.lower() in self.hosts()
        return True


def limit_body(receive: Receive) -> Receive:
    """The same with an end to patience: raises TooLarge or TooSlow."""
    total, until = 0, asyncio.get_running_loop().time() + BODY_TIMEOUT_S
    complete = False

    async def receive_some() -> Message:
        nonlocal total, complete
        if complete:  # what comes now is that the browser has gone
            return await receive()
        try:
            left = until - asyncio.get_running_loop().time()
            message = await asyncio.wait_for(receive(), max(0.0, left))
        except asyncio.TimeoutError:
            raise TooSlow from None
        total += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if total > BODY_BYTES:
            raise TooLarge
        return message

    return receive_some


async def refuse_request(send: Send, status: int, said: str) -> None:
    body = said.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
