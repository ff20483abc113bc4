"""What is large in the page, packed: compressed, and unpacked by the page when it is needed."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from typing import Any

from kis_bench.files import cache

FASTEST_LEVEL, SMALLEST_LEVEL = 6, 9  #: levels of gzip


@dataclass(frozen=True)
class Packed:
    """A text as base64 of its gzip form, and the SHA-256 by which a policy knows it."""

    content: str
    digest: str

    def as_block(self, name: str) -> str:
        return f'<script type="application/gzip" id="{name}">{self.content}</script>'


def pack(text: str, level: int = FASTEST_LEVEL) -> Packed:
    """The same text gives the same bytes each time."""
    content = base64.b64encode(gzip.compress(text.encode(), level, mtime=0)).decode("ascii")
    return Packed(content, digest_program(text))


def pack_data(data: Any) -> Packed:
    return pack(json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False))


def digest_program(program: str) -> str:
    """Its SHA-256 as base64, by which a Content-Security-Policy allows a script."""
    return base64.b64encode(hashlib.sha256(program.encode()).digest()).decode("ascii")


def pack_plotly() -> Packed:
    """The library that draws, packed once for each version of it."""
    version = importlib.metadata.version("plotly")
    kept = cache.find_folder("page") / f"plotly-{version}.txt"
    with contextlib.suppress(OSError, ValueError):
        digest, own, content = kept.read_text(encoding="ascii").split(" ")
        if digest_program(content) == own:
            return Packed(content, digest)
    from plotly.offline import get_plotlyjs

    program: str = get_plotlyjs()
    packed = pack(program, SMALLEST_LEVEL)
    own = digest_program(packed.content)
    cache.write_if_possible(kept, f"{packed.digest} {own} {packed.content}")
    return packed
