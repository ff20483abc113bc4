"""Pictures as pages show them: upright, no larger than a screen, made ahead and kept in memory."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from kis_bench.errors import BadFile
from kis_bench.files.images import UNREADABLE, explain, upright
from kis_bench.files.picture_formats import open_image
from kis_bench.records import Picture

SCREEN_PIXELS = 1600  #: the longer side of a picture at most
JPEG_QUALITY = 88
SCALING_THREADS = 2
MOST_KEPT = 64  #: scaled pictures in memory, of about 0.3 MB each


class Pictures:
    """Scaled pictures by their number.

    Args:
        find: the picture of a number. Raises KeyError for one that isn't there.
    """

    def __init__(self, find: Callable[[int], Picture]) -> None:
        self.find = find
        self.kept: OrderedDict[int, Future[bytes]] = OrderedDict()
        self.lock = threading.Lock()
        self.pool = ThreadPoolExecutor(SCALING_THREADS, "pictures")

    def prepare(self, number: int) -> Future[bytes]:
        """Begins to scale a picture, unless it is there already; returns at once."""
        with self.lock:
            future = self.kept.get(number)
            if future is None:
                future = self.kept[number] = self.pool.submit(self.scale, number)
            self.kept.move_to_end(number)
            while len(self.kept) > MOST_KEPT:
                self.kept.popitem(last=False)
            return future

    def fetch(self, number: int) -> bytes:
        """A picture as JPEG. Raises BadFile if it can't be read, KeyError if there is none of this number."""
        try:
            return self.prepare(number).result()
        except BaseException:
            with self.lock:  # the next one may find the file mended
                self.kept.pop(number, None)
            raise

    def scale(self, number: int) -> bytes:
        return scale_picture(self.find(number))

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)


def scale_picture(picture: Picture, pixels: int = SCREEN_PIXELS) -> bytes:
    """A picture upright as JPEG of at most so many pixels on each side, and nothing else that its file holds.

    Of a JPEG no more is decoded than the size needs.

    Raises:
        BadFile: it can't be read.
    """
    stream = io.BytesIO()
    try:
        with open_image(picture) as file:
            part = min(1.0, pixels / max(file.size))
            file.draft("RGB", (round(file.width * part), round(file.height * part)))
            shown = upright(file)
        shown.thumbnail((pixels, pixels), reducing_gap=2.0)
        shown.info.clear()  # no place, no camera
        shown.save(stream, "JPEG", quality=JPEG_QUALITY)
    except UNREADABLE as error:
        said = "is missing" if isinstance(error, FileNotFoundError) else explain(error)
        raise BadFile(picture, [f"not a readable image ({said})"]) from error
    return stream.getvalue()
