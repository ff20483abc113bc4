"""Simulated annotators: each over one connection that stays open, as a browser's does."""

import csv
import http.client
import re
import threading
from pathlib import Path
from urllib.parse import urlencode

from served_pages import Answer

GOAL_REACHED = re.compile(r"The goal is reached|No picture is left")


class Annotator(threading.Thread):
    """Describes what the pages show, until nothing is left, it has done ``count``, or the server is gone.

    Attributes:
        saved: what the server said it had saved: the number of the picture, and the texts by label set.
        sent: the last form that it sent, answered or not.
    """

    def __init__(self, client, name, count):
        super().__init__(daemon=True)
        self.client, self.name, self.count = client, name, count
        self.saved, self.sent, self.turn, self.error = [], None, 0, None
        self.connection = None

    def begin_again(self, host):
        """The same person after a restart of the server, with the cookie that they have."""
        self.client.host = host
        again = Annotator(self.client, self.name, self.count)
        again.saved, again.sent, again.turn = self.saved, self.sent, self.turn
        return again

    def connect(self):
        self.connection = http.client.HTTPConnection(self.client.host, timeout=60)

    def ask(self, method, path, form=None):
        headers = {"Cookie": self.client.cookie}
        if form is not None:
            headers |= {
                "Origin": f"http://{self.client.host}",
                "Content-Type": "application/x-www-form-urlencoded",
            }
        body = None if form is None else urlencode(form)
        self.connection.request(method, path, body, headers)
        return Answer(self.connection.getresponse())

    def run(self):
        self.connect()
        try:
            while len(self.saved) < self.count and self.describe_next():
                pass
        except (OSError, http.client.HTTPException):
            pass  # the server was killed
        except Exception as error:
            self.error = error
        finally:
            self.connection.close()

    def describe_next(self):
        page = self.ask("GET", "/?more=1")
        if page.status == 303:
            return False
        for address in re.findall(r'(?:src|data-ahead)="(/picture/[^"]+)"', page.text):
            if "ahead" not in address and self.ask("GET", address).status != 200:
                raise AssertionError(address)
        self.turn += 1
        number = int(re.search(r"/picture/(\d+)", page.text)[1])
        texts = {
            name: f"{self.name}, {name} {self.turn}, of {number}" for name in ("short", "long")
        }
        self.sent = {**page.form, **{f"text:{name}": text for name, text in texts.items()}}
        answer = self.ask("POST", "/save", self.sent)
        if answer.status != 303:
            raise AssertionError((answer.status, answer.text))
        self.saved.append((number, texts))
        return True


def describe_together(annotators):
    """Lets all write at once until they have finished."""
    for annotator in annotators:
        annotator.start()
    for annotator in annotators:
        annotator.join()
        if annotator.error is not None:
            raise annotator.error


def read_labels(folder: Path):
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def list_saved(annotators):
    """Annotator, label set and text of everything of which a page said that it is saved."""
    return [
        (annotator.name, name, text)
        for annotator in annotators
        for _, texts in annotator.saved
        for name, text in texts.items()
    ]
