"""A plot that a section asks for, and what it is drawn into: bytes in one of three forms."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from kis_bench.report.plots.axes import STYLE, lacking_letters

DPI, COLOURS = 150, 256  #: of a PNG


@dataclass(frozen=True)
class Plot:
    """What is needed to draw a plot in this or another process.

    ``draw`` is a function of a module, and pure: its arguments, which `digest_value` takes, alone say what is drawn.
    It returns a figure of matplotlib, or for ``pictures`` an image of Pillow, of which there is a PNG alone.
    """

    stem: str  # of the names of its files
    alt: str  # what it shows, as Markdown
    draw: Callable[..., Any]
    arguments: tuple[Any, ...]
    pictures: bool = False

    def link(self, form: str) -> str:
        """Markdown that shows it."""
        return f"![{self.alt}](plots/{self.stem}.{self.list_forms((form,))[0]})"

    def list_forms(self, forms: Sequence[str]) -> Sequence[str]:
        """The forms that this plot is drawn in if those are asked for."""
        return ("png",) if self.pictures else forms

    def digest(self, surroundings: str) -> str:
        """SHA-256 of everything that its files follow from; ``surroundings``: of the code that draws."""
        name = f"{self.draw.__module__}.{self.draw.__qualname__}"
        return digest_value((surroundings, name, self.pictures, self.arguments))

    def render(self, forms: Sequence[str]) -> dict[str, bytes]:
        """Draws it; its content in each form.

        What a user's matplotlibrc says counts for nothing: the same plot is the same everywhere.
        """
        if self.pictures:
            stream = io.BytesIO()
            self.draw(*self.arguments).save(stream, "PNG")
            return {"png": stream.getvalue()}
        import matplotlib

        with matplotlib.rc_context(), lacking_letters():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            return write_figure(self.draw(*self.arguments), forms)


def write_figure(figure: Any, forms: Sequence[str]) -> dict[str, bytes]:
    """The content of a figure of matplotlib in some of `kis_bench.options.PLOT_FORMS`, the same each time.

    It is laid out once, and drawn once for each form.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.dpi = DPI
    canvas: Any = FigureCanvasAgg(figure)
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine("none")
    found = {}
    if "png" in forms:
        canvas.draw()
        found["png"] = compress(canvas)
    if "svg" in forms:
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        canvas, stream = FigureCanvasSVG(figure), io.BytesIO()
        canvas.print_svg(stream, metadata={"Date": None, "Creator": None})
        found["svg"] = stream.getvalue()
    if "pdf" in forms:
        from matplotlib.backends.backend_pdf import FigureCanvasPdf

        canvas, stream = FigureCanvasPdf(figure), io.BytesIO()
        canvas.print_pdf(stream, metadata=dict.fromkeys(("CreationDate", "Creator", "Producer")))
        found["pdf"] = stream.getvalue()
    return found


def compress(canvas: Any) -> bytes:
    """A PNG of 256 colours, a third of one with all: those of the plots, their edges and what shines through."""
    from PIL import Image

    stream = io.BytesIO()
    size = canvas.get_width_height()
    drawn = Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
    few = drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(stream, "PNG", dpi=(DPI, DPI))
    return stream.getvalue()


def digest_value(value: Any) -> str:
    """SHA-256 of nested plain values, arrays, tables, paths and records: equal only if all they hold is.

    Raises:
        TypeError: something else, of which nobody knows when it is equal.
    """
    total = hashlib.sha256()
    for part in iterate_parts(value):
        total.update(struct.pack("<q", len(part)))
        total.update(part)
    return total.hexdigest()


def iterate_parts(value: Any) -> Iterator[bytes]:
    """Yields what a value consists of, each part after its kind."""
    kind = type(value)
    yield f"{kind.__module__}.{kind.__qualname__}".encode()
    if value is None or isinstance(value, bool | int | float | np.generic):
        yield repr(value).encode()
    elif isinstance(value, str | PurePath):
        yield str(value).encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype.str} {value.shape}".encode()
        if value.dtype.hasobject:
            yield from iterate_parts(value.ravel().tolist())
        else:
            yield np.ascontiguousarray(value).tobytes()
    elif isinstance(value, Mapping):
        yield from iterate_parts([part for pair in value.items() for part in pair])
    elif isinstance(value, set | frozenset):
        yield from iterate_parts(sorted(map(digest_value, value)))
    elif isinstance(value, tuple | list):
        yield str(len(value)).encode()
        for part in value:
            yield from iterate_parts(part)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield field.name.encode()
            yield from iterate_parts(getattr(value, field.name))
    else:
        yield from list_columns(value)


def list_columns(table: Any) -> Iterable[bytes]:
    """Yields what a table of pandas consists of, with its index."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{type(table).__name__} can't be an argument of a plot")
    whole: dict[str, Any] = {"": table.index, **{str(name): table[name] for name in table.columns}}
    for name, column in whole.items():
        yield f"{name} {column.dtype}".encode()
        values = column.to_numpy()
        if values.dtype == object:
            yield from iterate_parts([None if each is pd.NA else each for each in values])
        else:
            yield from iterate_parts(values)
