"""What a request has to pass before a page sees it: the guard by itself, and slow clients on real sockets."""

import asyncio
import socket
import threading

import pytest
import uvicorn
from served_pages import run_apart

from kis_bench.errors import KisBenchError
from kis_bench.labelling.web import guard as guard_module
from kis_bench.labelling.web import serve as serve_module
from kis_bench.labelling.web.guard import BODY_BYTES, Guard
from kis_bench.labelling.web.serve import bind, run_server

OWN = {"host": "127.0.0.1:80"}
FORM = {**OWN, "origin": "http://127.0.0.1:80"}


async def echo(scope, receive, send):
    """An application that reads all that is sent, and answers with how much it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def ask(method="GET", parts=(b"",), delay=0.0, names=frozenset({"localhost", "lab"}), **headers):
    """Status, headers and body of the answer to a request whose body comes in parts."""
    waiting, answers = list(parts), []

    async def receive():
        await asyncio.sleep(delay)
        body = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message):
        answers.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "scheme": "http", "headers": raw}
    run_apart(Guard(echo, lambda: names)(scope, receive, send))
    start, *rest = answers
    return start["status"], dict(start["headers"]), b"".join(each["body"] for each in rest)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:80", 200),
        ("[::1]:80", 200),
        ("192.0.2.7", 200),
        ("localhost:8000", 200),
        ("LAB:80", 200),
        ("evil.test", 421),
        ("127.0.0.1.evil.test:80", 421),
        ("localhost.evil.test", 421),
        ("", 421),
    ],
)
def test_hosts(host, status):
    assert ask(host=host)[0] == status


def test_a_request_without_a_host():
    assert ask()[0] == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (FORM, 200),
        ({**OWN, "sec_fetch_site": "same-origin"}, 200),
        ({**OWN, "sec_fetch_site": "cross-site"}, 403),
        (OWN, 403),
        ({**OWN, "origin": "null", "sec_fetch_site": "same-origin"}, 403),
        ({**OWN, "origin": "http://127.0.0.1:81"}, 403),
        ({**OWN, "origin": "https://127.0.0.1:80"}, 403),
        ({**FORM, "content_length": str(BODY_BYTES + 1)}, 413),
        ({**FORM, "content_length": "-1"}, 413),
    ],
)
def test_forms(headers, status):
    assert ask("POST", **headers)[0] == status


def test_what_comes_without_its_length_is_limited_too():
    assert ask("POST", [b"x" * 1000] * 262, **FORM)[::2] == (200, b"262000")
    assert ask("POST", [b"x" * 1000] * 300, **FORM)[0] == 413


def test_a_form_whose_rest_does_not_come(monkeypatch):
    monkeypatch.setattr(guard_module, "BODY_TIMEOUT_S", 0.2)
    assert ask("POST", [b"a", b"b"], delay=30.0, **FORM)[0] == 408


@pytest.mark.parametrize("host", ["127.0.0.1", "evil.test"])
def test_every_answer_says_what_a_browser_may_do(host):
    _, headers, _ = ask(host=host)
    assert b"script-src 'self'" in headers[b"content-security-policy"]
    assert b"unsafe" not in headers[b"content-security-policy"]
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cache-control"] == b"no-store"


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 70_000), ("192.0.2.1", 0), ("no-such-host.invalid", 0)]
)
def test_where_nothing_can_be_served(host, port):
    with pytest.raises(KisBenchError, match=f"{host} port {port}: .*--port"):
        bind(host, port)


def test_the_last_port_if_it_is_free_else_another():
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with bind("127.0.0.1", 0, port) as second:
            assert second.getsockname()[1] not in (0, port)
    with bind("127.0.0.1", 0, port) as third:
        assert third.getsockname()[1] == port


@pytest.fixture
def slow_server(monkeypatch):
    """A server that waits a third of a second for the head of a request, in a thread."""
    monkeypatch.setattr(serve_module, "HEAD_TIMEOUT_S", 0.3)
    servers, ready = [], threading.Event()

    class Server(uvicorn.Server):
        def __init__(self, config):
            super().__init__(config)
            servers.append(self)

    monkeypatch.setattr(uvicorn, "Server", Server)
    with bind("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=run_server, args=(echo, bound, ready.set))
        thread.start()
        assert ready.wait(60)
        yield bound.getsockname()
        servers[0].should_exit = True
        thread.join()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nA: "])
def test_a_connection_on_which_no_request_comes_is_closed(slow_server, sent):
    with socket.create_connection(slow_server, timeout=60) as client:
        client.sendall(sent)
        assert client.recv(100) == b""


def test_a_whole_request_is_answered_and_half_of_the_next_is_not(slow_server):
    with socket.create_connection(slow_server, timeout=60) as client:
        for _ in range(2):
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"0\r\n\r\n"):
                answer += client.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")
        client.sendall(b"GET / HT")
        assert client.recv(100) == b""
