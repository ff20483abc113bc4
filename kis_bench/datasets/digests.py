"""Digests of pictures: computed in parallel when the first is asked for, and known the next time.

A picture is read again only if size or time of change of its file differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

from kis_bench.datasets.file_tree import READING_THREADS
from kis_bench.datasets.listing import PictureFiles
from kis_bench.errors import BadFile
from kis_bench.files.cache import MOST_NAMES, FileFacts, read_file_state
from kis_bench.files.images import is_shown_anew
from kis_bench.files.parallel import map_in_threads
from kis_bench.files.picture_formats import HEAD_BYTES
from kis_bench.files.whole import CHUNK_BYTES, digest_chunks, read_chunks
from kis_bench.records import Picture, digest

CHUNK_UNIT = f" x {MOST_NAMES} files"  #: unit of progress over chunks of pictures


class Digests(Sequence[str]):
    """SHA-256 of each picture's bytes; all are computed when the first is needed.

    Raises, then:
        BadFile: some pictures can't be read; all of them are named.
    """

    def __init__(self, name: str, pictures: PictureFiles) -> None:
        self.name, self.pictures = name, pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: Any) -> Any:
        return self.all[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.all)

    @cached_property
    def all(self) -> tuple[str, ...]:
        chunks = self.pictures.chunks()
        digests: list[str] = []
        problems: list[str] = []
        for some, wrong in map_in_threads(
            digest_some, chunks, READING_THREADS, f"{self.name}: digests", unit=CHUNK_UNIT
        ):
            digests += some
            problems += wrong
        if problems:
            raise BadFile(f"dataset {self.name}", problems)
        return tuple(digests)


def digest_some(pictures: PictureFiles) -> tuple[list[str], list[str]]:
    """The digests of some pictures, and their problems; a file is read again only if it has changed."""
    names, states, problems = read_states(pictures)
    facts = FileFacts("picture")
    digests = facts.look_up(states)
    new = {name: state for name, state in states.items() if name not in digests}
    contents = FileFacts("digest").look_up(new) if new else {}  # as they were kept once
    fresh: list[tuple[str, str, str]] = []
    for i, name in enumerate(names):
        if name not in digests:
            try:
                digests[name] = digest_picture(pictures[i], contents.get(name))
            except OSError as error:
                problems.append(f"{pictures[i]} can't be read: {error.strerror or error}")
                digests[name] = ""
            else:
                if name in states:
                    fresh.append((name, states[name], digests[name]))
    facts.keep(fresh)
    return [digests[name] for name in names], list(dict.fromkeys(problems))


def digest_picture(picture: Picture, content: str | None = None) -> str:
    """SHA-256 of a picture's bytes; of one that earlier versions showed otherwise, another digest.

    So nothing that was made of such a picture before is taken for what would be made of it now.

    Args:
        content: SHA-256 of the bytes, where it is known.

    Raises:
        OSError: it can't be read.
    """
    chunks = read_chunks(picture, HEAD_BYTES if content else CHUNK_BYTES)
    first = next(chunks, b"")
    if content is None:
        content = digest_chunks(chain([first], chunks))
    return digest([content, "shown anew"]) if is_shown_anew(first, picture) else content


def read_states(pictures: PictureFiles) -> tuple[list[str], dict[str, str], list[str]]:
    """Names under which facts on pictures are kept, states of the files old enough to have one, and problems."""
    names, states, problems = [], {}, []
    for i, (name, file) in enumerate(pictures.places()):
        names.append(name)
        try:
            state = read_file_state(file)
        except OSError as error:
            problems.append(f"{pictures[i]} can't be read: {error.strerror}")
            continue
        if state is not None:
            states[name] = state
    return names, states, problems
