"""Asking a service, with patience: what is busy or away for a moment is asked again, what refuses is told."""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import (
    HTTPError,
    InvalidHeader,
    LocationValueError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)
from urllib3.util import make_headers, parse_url

from kis_bench.encoders.http.service import Service, is_loopback
from kis_bench.errors import KisBenchError, NotReady, escape_controls

AGAIN = (408, 425, 429, 500, 502, 503, 504)  #: answers after which the same request is sent again
MOST_REPEATS = 6  #: of a request; with the pauses below these last about a minute
FIRST_PAUSE_S = 1.0  #: the first pause but one; each is twice as long as the one before
MOST_PAUSE_S = 60.0
MOST_ASKED_PAUSE_S = 300.0  #: that a service may ask for; one that wants more ends the work
MOST_REPEATING_S = 900.0  #: after which a request isn't sent again
CONNECT_S, READ_S = 10.0, 120.0  #: time-outs
SHOWN_CHARACTERS = 300  #: of what a service says of an error
HIDDEN_KEY = "***"
KEPT = "What was embedded is kept: run again to go on"


class TooLongPause(Exception):
    """A service asks for a longer pause, or for more of them, than anybody waits."""


class Client:
    """One service: its connections, its key, and how many answers it was asked for again.

    The key is read from the environment for each request and stands in no attribute. Redirects are not followed.
    """

    def __init__(self, service: Service, model: str) -> None:
        self.service, self.model = service, model
        self.answered = False  # whether it ever did; before, a refused connection is final
        self.stopped = threading.Event()  # ends pauses
        self.repeats = 0
        self.pool = connect(service)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What the service answers, from JSON.

        Raises:
            NotReady: nothing answers there, and never did.
            KisBenchError: it refuses, redirects, is busy for too long, or answers something else.
        """
        url = self.service.base + path
        try:
            response = self.pool.request(
                "POST",
                url,
                body=json.dumps(body).encode(),
                headers=self.make_headers(),
                redirect=False,
                retries=make_retry(self),
            )
            content = response.data
        except TooLongPause as error:
            raise self.error(f"{error}. {KEPT}") from None
        except HTTPError as error:
            raise self.explain_silence(error) from None
        except (ValueError, OSError, HTTPException) as error:  # whose words may repeat a header
            raise self.error(f"can't be asked ({type(error).__name__})") from None
        self.answered = True
        if response.status != 200:
            raise self.explain_refusal(response.status, content, response.headers.get("location"))
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise self.error(f"answers something that is not JSON{self.quote(content)}") from None

    def make_headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key := self.service.key:
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def error(self, said: str) -> KisBenchError:
        return KisBenchError(f"model {self.model}: {self.service.base} {said}")

    def explain_silence(self, error: HTTPError) -> KisBenchError:
        """What no answer means."""
        reason: BaseException = error
        if isinstance(error, MaxRetryError) and error.reason is not None:
            reason = error.reason
        if isinstance(reason, NameResolutionError):
            said = "there is no such host"
        elif isinstance(reason, LocationValueError):
            said = "that is no address; look at its host and port"
        elif isinstance(reason, NewConnectionError):
            said = "nothing answers there"
        elif isinstance(reason, SSLError):
            said = f"its certificate or encryption can't be taken: {reason}"
        else:
            said = f"it breaks off or takes too long ({type(reason).__name__})"
        if self.answered:
            return self.error(f"answered before, and now {said}. {KEPT}")
        remedy = "Start the service or mend the URL; vectors that are stored stay"
        return NotReady(f"model {self.model}", f"no service at {self.service.base}: {said}", remedy)

    def explain_refusal(self, status: int, content: bytes, location: str | None) -> KisBenchError:
        """What an answer other than 200 means, and what to do."""
        said = self.quote(content)
        if 300 <= status < 400:
            there = urlsplit(location or "")
            shown = f"{there.scheme}://{there.hostname}" if there.hostname else "another place"
            return self.error(
                f"redirects to {shown}, which isn't followed, for pictures and keys go to the host that was named "
                "only; if it is the right one, write its URL"
            )
        variable = self.service.key_variable
        if status in (401, 403):
            remedy = (
                f"look at ${variable}"
                if variable
                else "name the variable that holds a key: key_variable=NAME"
            )
            return self.error(f"doesn't let us in ({status}); {remedy}{said}")
        if status == 404:
            return self.error(
                f"has no such address or model (404); look at the URL and its model{said}"
            )
        if status == 413:
            return self.error(
                f"takes no requests as large as this (413); write a smaller batch=N, or max_side=N{said}"
            )
        if status in AGAIN:
            return self.error(
                f"still answers {status} after {MOST_REPEATS} repetitions{said}. {KEPT}"
            )
        form = f"form={self.service.form}"
        return self.error(
            f"refuses the request ({status}); is it of the form that it wants ({form})?{said}"
        )

    def quote(self, content: bytes) -> str:
        """The beginning of what a service says, behind a colon, in one line and without the key.

        Nothing of one that may be asked under privacy, for it may repeat the texts that it was sent.
        """
        text = " ".join(content.decode("utf-8", "replace").split())
        if not text or self.service.under_privacy:
            return ""
        if key := self.service.key:
            text = text.replace(key, HIDDEN_KEY)
        return f": {escape_controls(text[:SHOWN_CHARACTERS])}"


def connect(service: Service) -> urllib3.PoolManager:
    """Connections for as many requests as may be under way, through the proxy that the environment names, if any.

    Raises:
        KisBenchError: that proxy is of another kind than HTTP, or no address. It isn't repeated, nor its password.
    """
    parts = urlsplit(service.base)
    settings: dict[str, Any] = {
        "maxsize": service.in_flight,
        "block": True,
        "timeout": urllib3.Timeout(connect=CONNECT_S, read=READ_S),
    }
    host, proxies = parts.hostname or "", getproxies()
    kind = parts.scheme if parts.scheme in proxies else "all"
    if kind not in proxies or is_loopback(host) or proxy_bypass(host):
        return urllib3.PoolManager(**settings)
    proxy = proxies[kind] if "://" in proxies[kind] else f"http://{proxies[kind]}"
    try:
        auth = parse_url(proxy).auth
        headers = make_headers(proxy_basic_auth=unquote(auth)) if auth else None
        return urllib3.ProxyManager(proxy, proxy_headers=headers, **settings)
    except (HTTPError, ValueError, AssertionError):  # whose words may repeat a password
        raise KisBenchError(
            f"{service.host}: the proxy in ${kind}_proxy can't be used; write http://HOST:PORT there, "
            f"or name the host in $no_proxy"
        ) from None


def make_retry(client: Client) -> urllib3.Retry:
    """How a client's next request is repeated: with growing pauses, or those that the service asks for."""
    latest = time.monotonic() + MOST_REPEATING_S

    class CountedRetry(urllib3.Retry):
        def sleep(self, response: Any = None) -> None:
            client.repeats += 1
            try:
                asked = self.get_retry_after(response) if response is not None else None
            except InvalidHeader:
                asked = None
            if asked and asked > MOST_ASKED_PAUSE_S:
                raise TooLongPause(f"asks to be left alone for {asked:.0f} seconds")
            pause = asked or self.get_backoff_time()
            if time.monotonic() + pause > latest:
                raise TooLongPause(f"hasn't answered for {MOST_REPEATING_S / 60:.0f} minutes")
            if client.stopped.wait(pause):
                raise HTTPError("stopped")

    return CountedRetry(
        total=MOST_REPEATS,
        connect=MOST_REPEATS if client.answered else 0,
        allowed_methods=None,
        status_forcelist=AGAIN,
        backoff_factor=FIRST_PAUSE_S,
        backoff_max=MOST_PAUSE_S,
        backoff_jitter=FIRST_PAUSE_S / 2,
        raise_on_status=False,
        redirect=0,
    )
