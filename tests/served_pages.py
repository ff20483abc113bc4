"""Pages that a command serves in a process of its own, and a plain client that fills in their forms."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

from PIL import Image

STARTS_S = 120


def make_pictures(folder, count, size=(80, 60)):
    """So many pictures ``0000.jpg``, ... of different colours."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        colour = (i * 37 % 256, i * 91 % 256, i * 151 % 256)
        Image.new("RGB", size, colour).save(folder / f"{i:04d}.jpg")
    return folder


def run_apart(coroutine):
    """Runs a coroutine in a thread of its own: the browser of other tests keeps a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


class Served:
    """A running command: what it printed, and the link of each person."""

    def __init__(self, process):
        self.process, self.links, self.lines = process, {}, []
        self.printed = queue.Queue()
        self.follower = threading.Thread(target=self.follow, daemon=True)
        self.follower.start()
        while not (line := self.printed.get(timeout=STARTS_S)).startswith("Ctrl-C"):
            assert line, "\n".join(self.lines)
            if found := re.match(r"  (.+): (http://\S+)$", line):
                self.links[found[1]] = found[2]

    def follow(self):
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))
                self.printed.put(line)
        self.printed.put("")

    def meet(self, name=None):
        """A client that has the link of a person, the first if none is named."""
        return Client(self.links[name] if name else next(iter(self.links.values())))

    def welcome(self, name=None):
        """The page behind a link."""
        client = self.meet(name)
        return client.get(client.start)

    def enter(self, name=None):
        """A client that has come in by the link of a person."""
        client = self.meet(name)
        assert client.post(client.start, {}).status == 303
        return client

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


@contextmanager
def serve(*arguments, program=("-m", "kis_bench.cli"), **variables):
    """``kis-bench`` with these arguments, until the end of the block at most."""
    process = subprocess.Popen(
        [sys.executable, "-u", *program, *map(str, arguments), "--no-browser"],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    try:
        served = Served(process)
        yield served
    finally:
        process.kill()
        process.wait()
    served.follower.join()


class Answer:
    def __init__(self, answer):
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def form(self):
        """The fields of the page's forms: hidden ones with their values, fields of text with what stands in them."""
        return Fields(self.text).found


class Fields(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found, self.open = {}, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        about = dict(attributes)
        if tag in ("input", "textarea") and "name" in about:
            self.found[about["name"]] = about.get("value", "")
        if tag == "textarea":
            self.open = about["name"]

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.found[self.open] = self.found[self.open].removeprefix("\n")
            self.open = None

    def handle_data(self, data):
        if self.open:
            self.found[self.open] += data


class Client:
    """A browser without scripts; it keeps its cookie, and sends what browsers send."""

    def __init__(self, address):
        parts = urlsplit(address)
        self.host, self.start, self.cookie = parts.netloc, parts.path, ""

    def ask(self, method, path, body=None, **headers):
        sent = {"Cookie": self.cookie} if self.cookie else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, path, body, sent)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        if given := answer.headers.get("Set-Cookie"):
            self.cookie = given.partition(";")[0]
        return answer

    def get(self, path="/", **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, form, **headers):
        usual = {
            "Origin": f"http://{self.host}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return self.ask("POST", path, urlencode(form), **{**usual, **headers})
