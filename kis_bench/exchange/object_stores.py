"""Folders in object stores, as fsspec shows them: S3, GCS, Azure and whatever else it has a back end for."""

from __future__ import annotations

import errno
import re
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

from kis_bench.errors import KisBenchError, MissingDependency, explain_install
from kis_bench.files.strays import HIDDEN, claim_hidden

STORE_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
BACK_ENDS = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
}  #: the package behind each protocol; in all of these an object appears whole or not at all
#: What back ends call the time of the last change: S3, Azure, GCS, local files, memory.
TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
NOTHING = "there is no such bucket or folder"


@dataclass(frozen=True)
class StoredFile:
    """What is known of a file without reading it."""

    place: str  # as its side names it
    size: int  # bytes
    changed_s: float | None  # since 1970; None: nobody tells


@dataclass(frozen=True)
class ObjectFolder:
    """A folder in an object store."""

    system: Any  # of fsspec
    root: str
    protocol: str
    shown: str  # its URL without credentials
    hidden: tuple[str, ...]  # texts that no message may have

    def list_files(self) -> dict[str, StoredFile]:
        """All files by their names in the folder, with / between folders; unfinished ones are left out.

        Raises:
            KisBenchError: it can't be listed, isn't a folder, or isn't there.
        """
        found = {}
        with self.explain():
            self.system.invalidate_cache()
            waiting = [self.root]
            while waiting:
                folder = waiting.pop()
                for about in self.system.ls(folder, detail=True):
                    place = str(about["name"])
                    if place.rstrip("/") == folder:
                        if about["type"] == "file" and folder == self.root and place[-1] != "/":
                            self.fail("it is a file; name the folder that it lies in")
                        continue  # an empty object that stands for the folder
                    if about["type"] == "directory":
                        waiting.append(place.rstrip("/"))
                    elif not HIDDEN.fullmatch(place.rpartition("/")[2]):
                        found[self.strip_root(place)] = StoredFile(
                            place, self.read_size(about), find_time(about)
                        )
        return found

    def strip_root(self, place: str) -> str:
        """The name of a file in the folder."""
        start = f"{self.root}/"
        if not place.startswith(start):
            self.fail(f"it lists {place!r}, which isn't in it")
        return place[len(start) :]

    def read_size(self, about: Mapping[str, Any]) -> int:
        """Bytes of a file."""
        if about["type"] != "file" or about.get("size") is None:
            self.fail(f"{about['name']} is no file (links are none), or nobody tells its size")
        return int(about["size"])

    def read(self, file: StoredFile, target: Path, go_on: Callable[[], object]) -> None:
        """Writes the bytes of a file into one of this machine.

        Args:
            go_on: called now and then; what it raises ends the reading.
        """
        from fsspec.callbacks import Callback

        class Asking(Callback):  # type: ignore[misc]  # fsspec has no types
            def relative_update(self, inc: int = 1) -> None:
                go_on()

        missing = f"{self.strip_root(file.place)} was there, and is gone"
        with self.explain(missing=missing, let_pass=DISK_ERRORS):
            self.system.get_file(file.place, str(target), callback=Asking())

    def write(self, source: Path, name: str) -> None:
        """Writes a file of this machine into the folder; it appears there whole or not at all."""
        place = f"{self.root}/{name}"
        with self.explain():
            if self.protocol in BACK_ENDS:
                self.system.put_file(str(source), place)
                return
            self.system.makedirs(place.rpartition("/")[0], exist_ok=True)
            if self.protocol in ("file", "local"):
                with claim_hidden(Path(place)) as unfinished:
                    self.system.put_file(str(source), str(unfinished))
                    unfinished.replace(place)
            else:
                parent, _, last = place.rpartition("/")
                aside = f"{parent}/.{last}-{secrets.token_hex(8)}"
                self.system.put_file(str(source), aside)
                self.system.mv(aside, place)

    @contextmanager
    def explain(self, *, missing: str = NOTHING, let_pass: Collection[int] = ()) -> Iterator[None]:
        """Turns what a back end raises into one line without credentials.

        Args:
            missing: what to say where something isn't there.
            let_pass: numbers of errors of the disk here, which are raised as they are.
        """
        try:
            yield
        except KisBenchError:
            raise
        except FileNotFoundError:
            raise NothingThere(f"{self.shown}: {missing}") from None
        except PermissionError as error:
            self.fail(f"no permission: {error}; look at the credentials of {self.protocol}")
        except OSError as error:
            if error.errno in let_pass:
                raise
            self.fail(str(error.strerror or error))
        except Exception as error:  # each back end has its own
            self.fail(f"{type(error).__name__}: {error}")

    def fail(self, why: str) -> NoReturn:
        """Raises KisBenchError, without a cause that might name credentials."""
        raise KisBenchError(f"{self.shown}: {hide_credentials(why, self.hidden)}") from None


class NothingThere(KisBenchError):
    """A folder in an object store that isn't there."""


def open_object_folder(url: str) -> ObjectFolder:
    """The folder of a URL such as ``s3://bucket/mine``; nothing is read yet.

    Raises:
        KisBenchError: fsspec or its back end isn't installed, or it is no folder of a store.
    """
    shown, hidden = hide_credentials(url), find_secrets(url)
    found = STORE_URL.fullmatch(url)
    if found is None or "::" in url:
        raise KisBenchError(f"{shown}: write it as s3://bucket/folder, of one store")
    protocol = found[1].lower()
    try:
        import fsspec
    except ImportError:
        raise KisBenchError(
            f"{shown} needs the package fsspec; {explain_install('cloud')}"
        ) from None
    try:
        system, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        if protocol in BACK_ENDS:
            raise MissingDependency(BACK_ENDS[protocol], needed_for=f"{protocol}://") from None
        raise KisBenchError(f"{shown}: {hide_credentials(str(error), hidden)}") from None
    except Exception as error:  # of the back end: a wrong URL, credentials it can't find
        raise KisBenchError(f"{shown}: {hide_credentials(str(error), hidden)}") from None
    root = root.rstrip("/")
    if not root.strip("/"):
        raise KisBenchError(f"{shown}: name a bucket or a folder, not all there is")
    return ObjectFolder(system, root, protocol, shown, hidden)


def find_time(about: Mapping[str, Any]) -> float | None:
    """Seconds since 1970 at which an object was written, as far as its store tells."""
    for key in TIMES:
        told = about.get(key)
        if isinstance(told, str):
            told = datetime.fromisoformat(re.sub("Z$", "+00:00", told))
        if isinstance(told, datetime):
            return (told if told.tzinfo else told.replace(tzinfo=timezone.utc)).timestamp()
        if isinstance(told, int | float):
            return float(told)
    return None


def find_secrets(url: str) -> tuple[str, ...]:
    """What of a URL is never shown, the longest first: user and password, and what is behind a question mark."""
    rest = url.partition("://")[2]
    found: list[str] = []
    for before, at, _ in (rest.partition("@"), rest.rpartition("@")):  # a password may have an @
        if at and ("/" not in before or ":" in rest.partition("@")[0]):
            found += [before, *before.split(":")]
    query = rest.partition("?")[2]
    found += [query, *re.split("[&=]", query)[1::2]]
    return tuple(sorted({s for text in found for s in (text, unquote(text)) if s}, key=len))[::-1]


def hide_credentials(text: str, hidden: tuple[str, ...] = ()) -> str:
    """A text whose URLs lack user, password and what is behind a question mark.

    >>> hide_credentials("sftp://me:secret@host/mine?token=1 isn't there")
    "sftp://host/mine isn't there"
    """
    for secret in hidden:
        text = text.replace(secret, "***")
    text = re.sub(r"(\w://)(?:[^\s@]*:\S*|[^\s/@]*)@", r"\1", text)
    return re.sub(r"(\w://[^\s?#]*)[?#]\S*", r"\1", text)
