"""A model hub on this machine's loopback: the real clients load miniature models by their true names from it.

It serves the repositories below a folder, and plain files below ``files/``::

    ROOT/<ORG>/<NAME>/<files>        a repository with one commit, on the branch main
    ROOT/files/<any path>            any other download

``log`` holds (method, path, status) of every request; ``bytes_per_second`` slows answers down, so that a test
can stop a client in the middle.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


class LoopbackHub:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.log: list[tuple[str, str, int]] = []
        self.renamed: dict[str, str] = {}  # former name of a repository -> its name
        self.bytes_per_second: float | None = None
        self.server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self})
        )
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def commit(self, name: str) -> str:
        """Changes with the content of the repository, as a commit does."""
        total = hashlib.sha1(name.encode())
        for file in self.files(name):
            total.update(f"{file} {(self.root / name / file).stat().st_size}".encode())
        return total.hexdigest()

    def files(self, name: str) -> list[str]:
        folder = self.root / name
        return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


class Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self.answer()

    do_GET = do_HEAD

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        try:
            if found := re.fullmatch(r"/api/models/([^/]+(?:/[^/]+)?)(?:/revision/([^/]+))?", path):
                self.about(*found.groups())
            elif found := re.fullmatch(r"/((?:[^/]+/)?[^/]+)/resolve/([^/]+)/(.+)", path):
                self.repository_file(*found.groups())
            elif path.startswith("/files/") and (self.hub.root / path[1:]).is_file():
                self.file(self.hub.root / path[1:], {})
            else:
                self.send(404, {})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def refuse(self, code: str) -> None:
        self.send(404, {"X-Error-Code": code, "X-Error-Message": code})

    def found(self, name: str, revision: str | None, elsewhere: str) -> bool:
        if name in self.hub.renamed:
            self.send(307, {"Location": elsewhere.format(self.hub.renamed[name])})
        elif not (self.hub.root / name).is_dir() or name.startswith("files"):
            self.refuse("RepoNotFound")
        elif revision not in (None, "main", self.hub.commit(name)):
            self.refuse("RevisionNotFound")
        else:
            return True
        return False

    def about(self, name: str, revision: str | None) -> None:
        if self.found(name, revision, f"/api/models/{{}}/revision/{revision or 'main'}"):
            siblings = [{"rfilename": file} for file in self.hub.files(name)]
            about = {
                "id": name,
                "sha": self.hub.commit(name),
                "siblings": siblings,
                "tags": [],
                "private": False,
            }
            self.send(200, {"Content-Type": "application/json"}, json.dumps(about).encode())

    def repository_file(self, name: str, revision: str, file: str) -> None:
        if self.found(name, revision, f"/{{}}/resolve/{revision}/{file}"):
            here, commit = self.hub.root / name / file, {"X-Repo-Commit": self.hub.commit(name)}
            if here.is_file():
                self.file(here, commit)
            else:
                self.send(
                    404,
                    commit | {"X-Error-Code": "EntryNotFound", "X-Error-Message": "no such file"},
                )

    def file(self, file: Path, headers: dict[str, str]) -> None:
        content = file.read_bytes()
        headers = headers | {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted:
            return self.send(200, headers, content)
        start, end = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
        if start > end:
            return self.send(416, {"Content-Range": f"bytes */{len(content)}"})
        headers |= {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
        return self.send(206, headers, content[start : end + 1])

    def send(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.hub.log.append((self.command, self.path, status))
        self.send_response(status)
        for header, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(header, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        step = 2**16
        for start in range(0, len(content), step):
            self.wfile.write(content[start : start + step])
            if self.hub.bytes_per_second:
                time.sleep(step / self.hub.bytes_per_second)
