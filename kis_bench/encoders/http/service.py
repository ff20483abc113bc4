"""What a source says of an embedding service: its address, and how it is asked."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from kis_bench.encoders.http.forms import FORMS
from kis_bench.errors import KisBenchError, unknown
from kis_bench.records import Checkpoint, digest

ASKING_VERSION = 2  #: of how pictures and texts become requests here; part of the key
PICTURES, TEXTS = "pictures", "texts"  #: prefixes of fields that go into requests of one side only
PICTURE_FILES = ("png", "jpeg")  #: how pictures are sent
#: Of the environment; one word alone is none, so that a key that stands there by mistake isn't taken for a name.
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
KEY = re.compile(r"[\x21-\x7e]+")  #: of a service; what a header can hold
#: Of fields that may hold a secret, which no source does.
SECRET_FIELD = re.compile(
    r"(?:^|[_-])(?:key|token|auth|sig)$|apikey|secret|passw|authorization|credential|signature",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Service:
    """How a service is asked for vectors; written as a URL whose query has these fields."""

    base: str  # scheme, host and path, without a slash at the end
    model: str  # as the service calls it
    form: str = "infinity"  # of requests and answers, one of FORMS
    key_variable: str = ""  # of the environment, which holds the key; "": none is sent
    batch: int = 16  # inputs of a request
    in_flight: int = 4  # requests at once
    picture: str = "png"  # the file that a picture is sent as
    max_side: int = 0  # pixels that the longer side of a picture has at most; 0: as it is
    revision: str = ""  # what a user calls the state of a service that says nothing of its own
    under_privacy: bool = False  # whether pictures and texts may be sent in private runs
    fields: tuple[tuple[str, str, str], ...] = ()  # side, name, value in JSON: more of a request

    @property
    def host(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def unencrypted(self) -> bool:
        """Whether others on the network can read what is sent."""
        parts = urlsplit(self.base)
        return parts.scheme == "http" and not is_loopback(parts.hostname or "")

    @property
    def key(self) -> str | None:
        """What is in the variable now; None: there is none, or it is empty.

        Raises:
            KisBenchError: no header can hold it. What is there isn't repeated.
        """
        key = os.environ.get(self.key_variable, "").strip() if self.key_variable else ""
        if key and not KEY.fullmatch(key):
            raise KisBenchError(
                f"${self.key_variable} holds no key: there are blanks, line breaks or characters outside ASCII in it"
            )
        return key or None

    def list_fields(self, side: str) -> dict[str, Any]:
        return {name: json.loads(value) for one, name, value in self.fields if one == side}

    def name_vectors(self, revision: str) -> str:
        """The key under which vectors are stored: all that a request says but for how many come at once."""
        parts = [ASKING_VERSION, self.base, self.model, self.form, self.picture, self.max_side]
        told = digest([*parts, self.revision, revision, *self.fields])
        return f"http-{re.sub(r'[^A-Za-z0-9._-]', '_', self.model)}-{told[:16]}"

    def describe(self) -> str:
        """Where pictures and texts go, for terminals."""
        open_text = ", unencrypted" if self.unencrypted else ""
        return f"pictures and texts go to {self.host}{open_text}"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_positive_number(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise ValueError("a whole number of at least 1")
    return int(text)


def parse_listed(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return parse


def parse_variable(text: str) -> str:
    if not VARIABLE.fullmatch(text):
        raise ValueError("the name of an environment variable, such as KIS_HTTP_KEY, not a key")
    return text


def parse_yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("yes or no")
    return text == "yes"


#: Field of a source -> what reads it; its ValueError says what is wanted, and never what was there.
SOURCE_FIELDS: Mapping[str, Callable[[str], Any]] = {
    "model": str,
    "form": parse_listed(*FORMS),
    "key_variable": parse_variable,
    "batch": parse_positive_number,
    "in_flight": parse_positive_number,
    "picture": parse_listed(*PICTURE_FILES),
    "max_side": parse_positive_number,
    "revision": str,
    "under_privacy": parse_yes,
}


def read_service(checkpoint: Checkpoint) -> Service:
    """The service that a model's source names.

    Raises:
        KisBenchError: the URL or a field of it can't be taken. What may be a secret isn't repeated.
    """
    who = f"model {checkpoint.name}"
    rest = checkpoint.origin.rest
    parts = split_url(who, f"http:{rest}" if rest.startswith("//") else rest)
    found: dict[str, Any] = {}
    fields = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        side, dot, field = name.partition(".")
        if SECRET_FIELD.search(field or name) and name != "key_variable":
            raise KisBenchError(
                f"{who}: a key doesn't belong into a URL ({name}=…), where histories and reports keep it; put it "
                "into an environment variable and name that: key_variable=KIS_HTTP_KEY"
            )
        if dot and field and side in (PICTURES, TEXTS):
            fields.append((side, field, to_json(value)))
        elif name not in SOURCE_FIELDS:
            raise KisBenchError(f"{who}: {unknown('field', name, SOURCE_FIELDS)}")
        elif name in found:
            raise KisBenchError(f"{who}: {name} stands twice in the URL")
        else:
            try:
                found[name] = SOURCE_FIELDS[name](value)
            except ValueError as error:
                raise KisBenchError(f"{who}: {name} has to be {error}") from None
    if not found.get("model"):
        raise KisBenchError(f"{who}: the URL doesn't say which model; write http:URL?model=NAME")
    base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    service = Service(base, fields=tuple(sorted(fields)), **found)
    if service.unencrypted and service.key_variable:
        raise KisBenchError(
            f"{who}: {service.host} is not encrypted, and a key would be readable on the way; use https"
        )
    return service


def split_url(who: str, url: str) -> SplitResult:
    """The parts of a URL of a service. Raises KisBenchError where it is none, or holds a password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise KisBenchError(
            f"{who}: write http:URL?model=NAME, such as http:https://HOST/v1?model=NAME"
        )
    if "@" in parts.netloc:
        raise KisBenchError(
            f"{who}: a URL with a name and password before its host isn't taken, for histories and reports would keep "
            "them; put a key into an environment variable and name that: key_variable=KIS_HTTP_KEY"
        )
    if parts.fragment:
        raise KisBenchError(f"{who}: a URL with # can't be asked for vectors")
    return parts


def to_json(text: str) -> str:
    """A value of a source as JSON: what is JSON already as it is, everything else as text."""
    try:
        return json.dumps(json.loads(text))
    except ValueError:
        return json.dumps(text)
