"""What somebody without a link, or with another's, could try; each with harmless contents."""

import contextlib
import re
import socket

import pytest
from judged_pages import begin, make_study
from served_pages import make_pictures, serve

SECRETS = ("labels.sqlite", "labels.sqlite-wal", "judgments.sqlite", "judgments.sqlite-wal")
OUTSIDE = ("../labels.sqlite", "..%2flabels.sqlite", "%2e%2e/labels.sqlite", "....//labels.csv")
NUMBERS = ("0", "-1", "999", "9" * 30, "1e3", "0x1", "²", "%00", "1%2f..", "1;2", "", " 1", "+1")


@pytest.fixture(scope="module", params=["label", "judge"])
def served(request, tmp_path_factory):
    """A server of each kind; the pages of both are built on the same frame."""
    folder = tmp_path_factory.mktemp(request.param) / "mine"
    if request.param == "label":
        make_pictures(folder, 12)
    else:
        make_study(folder, 12)
    names = [f"--{'annotator' if request.param == 'label' else 'participant'}", "Ada"]
    names += [names[0], "Ben"]
    with serve(request.param, folder, *names) as served:
        served.kind, served.folder = request.param, folder
        served.ada, served.ben = served.enter("Ada"), served.enter("Ben")
        if request.param == "judge":
            begin(served.ada)
            begin(served.ben)
        yield served
        assert served.stop() == 0
    assert not [line for line in served.lines if "Traceback" in line or "Error" in line]


def send_raw(client, content, answered=True):
    """What the server answers to these bytes; empty if it hangs up."""
    host, port = client.host.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        with contextlib.suppress(OSError):  # it may hang up before it has read all
            connection.sendall(content)
        found = b""
        with contextlib.suppress(ConnectionError):
            while answered and (more := connection.recv(65536)):
                found += more
    return found


def find_pictures(client):
    return re.findall(r'src="(/picture/[^"]+)"', client.get("/").text)


def post_valid(served, client, **changed):
    """The form that is open, filled in, with some fields changed."""
    form = {**client.get("/").form, "text:short": "a", "text:long": "b", "choice": "1", **changed}
    return client.post("/save" if served.kind == "label" else "/judge", form)


def test_links(served):
    client = served.meet("Ada")
    assert client.get(client.start).status == 403  # was used
    assert client.post(client.start, {}).status == 403
    for path in (
        "/enter/",
        "/enter/x",
        "/enter/%ff",
        "/enter/" + "x" * 5000,
        "/enter",
    ):
        assert client.get(path).status in (403, 404)
    assert client.cookie == ""
    for cookie in ("", "=", "x" * 5000, "\xff", served.ada.cookie.split("=")[0] + "=wrong"):
        client.cookie = cookie
        assert client.get("/").status == 403
    other = served.meet("Ada")  # the link of somebody in whose browser somebody else is
    other.cookie = served.ben.cookie
    assert other.get(other.start).status == 303
    assert "Ben" in served.ben.get("/").text


def test_a_cookie_stays_with_its_browser(served):
    owner = served.ada
    form = owner.get("/invite").form
    page = owner.post("/invite", {**form, "name": "Cy"}).text
    fresh = served.meet("Ada")
    fresh.start = re.search(r"(/enter/[\w-]+)", page)[1]
    assert fresh.get(fresh.start, Origin="http://elsewhere.test").status == 200  # only looks
    assert fresh.post(fresh.start, {}, Origin="http://elsewhere.test").status == 403
    given = fresh.post(fresh.start, {}).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in given.split(";")}
    assert "Domain" not in given


@pytest.mark.parametrize("csrf", ["", "0" * 64, "é", "\0", "\U0001f600" * 20, None])
def test_a_form_without_its_token(served, csrf):
    form = served.ada.get("/").form
    wrong = {key: value for key, value in form.items() if key != "csrf"}
    if csrf is not None:
        wrong["csrf"] = csrf
    for path in ("/save", "/refuse", "/judge", "/invite", "/participant"):
        assert served.ada.post(path, wrong).status in (403, 404)
    ben = served.ben.get("/").form
    assert served.ada.post("/invite", {"csrf": ben["csrf"], "name": "x"}).status == 403


def test_other_hosts_and_methods(served):
    port = served.ada.host.partition(":")[2]
    for host in (
        "evil.test",
        f"evil.test:{port}",
        "localhost.evil.test",
        "",
        "[",
        "127.0.0.1.nip.test",
    ):
        assert served.ada.get("/", Host=host).status == 421, host
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"):
        assert served.ada.ask(method, "/").status == 405
    assert served.ada.ask("HEAD", "/").status == 200
    assert served.ada.ask("HEAD", "/").body == b""
    assert served.ada.get("/save").status in (404, 405)
    head = f"GET / HTTP/1.1\r\nHost: {served.ada.host}\r\nHost: evil.test\r\n\r\n".encode()
    assert send_raw(served.ada, head).split()[1] in (b"400", b"421")
    assert send_raw(served.ada, b"GET / HTTP/1.0\r\n\r\n").split()[1] == b"421"


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_that_are_nobodys(served, number):
    for client in (served.ada, served.ben):
        assert (
            client.get(f"/picture/{number.replace(' ', '%20').replace('²', '%C2%B2')}").status
            == 404
        )
        for field, path in (
            ("assignment", "/save"),
            ("assignment", "/refuse"),
            ("question", "/judge"),
        ):
            form = {**client.get("/").form, field: number, "choice": "1"}
            answer = client.post(path, {**form, "text:short": "a", "text:long": "b"})
            assert answer.status == 404


def test_what_is_somebody_elses(served):
    own, other = find_pictures(served.ada), served.ben
    if served.kind == "label":
        assert [other.get(address).status for address in own] == [404] * len(own)
    key = "assignment" if served.kind == "label" else "question"
    form = served.ada.get("/").form
    assert post_valid(served, other, **{key: form[key]}).status == 404
    assert served.ada.get("/").form == form
    assert other.get("/invite").status == 403
    assert other.post("/invite", {"csrf": other.get("/").form["csrf"], "name": "x"}).status == 403


def test_pictures_of_another_project(served):
    (address, *_) = find_pictures(served.ada)
    assert served.ada.get(address).status == 200
    path, _, own = address.partition("?of=")
    wrong = "0" * len(own)
    # A page that was left open while another project took its port would show another picture for the same number.
    assert served.ada.get(f"{path}?of={wrong}").status == 404


@pytest.mark.parametrize("name", OUTSIDE)
def test_paths_lead_nowhere(served, name):
    for place in ("static", "picture", "edit", "enter", ""):
        answer = served.ada.get(f"/{place}/{name}")
        assert answer.status in (403, 404)
        assert b"SQLite" not in answer.body


def test_headers(served):
    pages = [served.ada.get(path) for path in ("/", "/none", "/invite", "/static/base.css")]
    pages += [served.ada.get(find_pictures(served.ada)[0]), served.ada.get("/", Host="evil.test")]
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in policy
        assert page.headers["Cache-Control"]
        assert "Server" not in page.headers
    assert {page.headers["Cache-Control"] for page in pages[:3]} == {"no-store"}
    assert "private" in pages[4].headers["Cache-Control"]
    for page in pages[:3]:
        assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|<style|\sstyle=", page.text)


def test_huge_and_broken_posts(served):
    client, line = served.ada, f"POST {'/save' if served.kind == 'label' else '/judge'} HTTP/1.1"
    usual = f"Host: {client.host}\r\nCookie: {client.cookie}\r\nOrigin: http://{client.host}\r\n"
    kind = "Content-Type: application/x-www-form-urlencoded\r\n"
    for length in ("99999999999", "9" * 40, "-1", "1, 2", "x"):
        sent = f"{line}\r\n{usual}{kind}Content-Length: {length}\r\n\r\na=b".encode()
        assert send_raw(client, sent).split()[1] in (b"400", b"413"), length
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    sent = f"{line}\r\n{usual}{kind}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 8
    assert send_raw(client, sent + b"0\r\n\r\n").split()[1:2] in ([b"413"], [])
    flood = f"GET / HTTP/1.1\r\n{usual}".encode() + b"X-A: b\r\n" * 30_000
    assert send_raw(client, flood + b"\r\n").split()[1:2] in ([b"400"], [b"431"], [])
    form = client.get("/").form
    assert client.post("/invite", {**form, **{f"f{i}": "" for i in range(500)}}).status == 403
    for body in (b"csrf=%ff%fe", b"\xff\xfe", b"csrf=%ED%A0%80", b"&&&&=", b"%"):
        wrong = client.ask(
            "POST",
            "/invite",
            body,
            Origin=f"http://{client.host}",
            Content_Type="application/x-www-form-urlencoded",
        )
        assert wrong.status == 403
    assert client.get("/").status == 200


def test_slow_clients_keep_nobody_waiting(served):
    host, port = served.ada.host.split(":")
    with contextlib.ExitStack() as stack:
        for i in range(150):
            slow = stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
            usual = f"Host: {host}\r\nOrigin: http://{host}\r\n"
            start = (
                "GET /" if i % 2 else f"POST /save HTTP/1.1\r\n{usual}Content-Length: 50\r\n\r\na"
            )
            slow.sendall(start.encode())
        assert served.ben.get("/").status == 200
        assert served.ada.get(find_pictures(served.ada)[0]).status == 200


def test_no_secret_is_in_the_files(served):
    post_valid(served, served.ada)
    secret = served.ada.cookie.split("=")[1].encode()
    links = [link.rpartition("/")[2].encode() for link in served.links.values()]
    for file in served.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [one for one in (secret, *links) if one in content]
    files = [served.folder / name for name in SECRETS if (served.folder / name).exists()]
    assert files
    assert {file.stat().st_mode & 0o077 for file in files} == {0}
