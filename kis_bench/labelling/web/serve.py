"""Serves an application on this machine until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kis_bench.errors import KisBenchError
from kis_bench.labelling.web.app import Site

HEAD_TIMEOUT_S = 20.0  #: for the head of a request
CLOSING_TIMEOUT_S = 3
LOOPBACK = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")  #: all addresses of this machine


class PatientProtocol(H11Protocol):
    """Closes connections on which no whole request comes."""

    head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE and self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None
        elif self.conn.their_state is h11.IDLE and self.head_timer is None:
            self.await_head()

    def await_head(self) -> None:
        self.head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.give_up)

    def give_up(self) -> None:
        self.head_timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()


def bind(host: str, port: int, last_port: int = 0) -> socket.socket:
    """A socket on a port: the one that is asked for, else the last one if it is free, else any.

    Raises:
        KisBenchError: the port is in use, or there is no such address here.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    problem: OSError | OverflowError | None = None
    for candidate in [port] if port else [last_port, 0] if last_port else [0]:
        # With its protocol named, or asyncio lets each answer's second packet wait 40 ms for the first.
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name == "posix":  # so that the port is free again at once
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, candidate))
            found.listen(128)
            return found
        except (OSError, OverflowError) as error:
            found.close()
            problem = error
    said = getattr(problem, "strerror", None) or problem
    raise KisBenchError(
        f"{host} port {port}: {said}; name another --port, or leave it out for a free one"
    )


def find_own_address() -> str:
    """The address under which others in the network reach this machine; its name if that can't be told."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # of documentation; nothing is sent
            return str(asked.getsockname()[0])
        except OSError:
            return socket.gethostname()


def run_server(app: Any, bound: socket.socket, started: Callable[[], None]) -> None:
    """Answers requests until Ctrl-C; ``started`` is called once it does."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=CLOSING_TIMEOUT_S,
    )
    server = uvicorn.Server(config)

    def watch() -> None:
        while not server.started:
            if server.should_exit:
                return
            threading.Event().wait(0.02)
        started()

    threading.Thread(target=watch, daemon=True).start()
    try:
        server.run(sockets=[bound])
    except KeyboardInterrupt:  # which is how one stops it
        print(file=sys.stderr)
    except SystemExit as error:
        raise KisBenchError("the server could not be started; see above") from error


def open_browser(address: str) -> bool:
    """Whether a browser with windows was told to open an address."""
    if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return False
    try:
        return webbrowser.open(address)
    except (OSError, webbrowser.Error):
        return False


@dataclass(frozen=True)
class Serving:
    """Where pages are served, as the command line says it."""

    host: str = LOOPBACK
    port: int = 0  # 0: the last one, so that open pages go on, or a free one
    browser: bool = True  # opens one


def serve_site(site: Site, app: Any, links: Mapping[str, str], serving: Serving) -> None:
    """Serves a site until Ctrl-C; prints a link for each person, and opens the first in a browser.

    Args:
        links: by name, what `People.invite` gives.
    """
    bound = bind(serving.host, serving.port, int(site.truth.read_setting("port", "0")))
    port = bound.getsockname()[1]
    site.truth.set_setting("port", str(port))
    shown = find_own_address() if serving.host in EVERYWHERE else serving.host
    site.address = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
    site.hosts |= {serving.host.lower(), socket.gethostname().lower()}
    if serving.host not in (LOOPBACK, "localhost", "::1"):
        print(
            "Anybody in this network who has a link can open it, and what is sent is not encrypted: "
            "use --host only in a network that you trust.",
            file=sys.stderr,
        )

    def show_links() -> None:
        addresses = {name: f"{site.address}/enter/{secret}" for name, secret in links.items()}
        for name, address in addresses.items():
            print(f"  {name}: {address}", flush=True)
        first = next(iter(addresses.values()))
        if serving.browser and not open_browser(first):
            print("No browser could be opened: open the first address yourself.")
        print("Ctrl-C ends it; what is saved stays, and the same command goes on.", flush=True)

    with bound:
        run_server(app, bound, show_links)
