"""Shows steps: as one line of a terminal that is drawn anew, or as a line a minute in a log."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from kis_bench.files.progress import Step
from kis_bench.files.text import make_plain, shorten_middle

LEAST_NAME_CELLS = 12
USUAL_CELLS = 80
MEGABYTE = 10**6
# Room for a line below (IND, which keeps the column, and up again), there and back: what stands on the line that
# pytest is writing stays, and so does the cursor.
OPEN_BELOW = "\x1bD\x1b[A\x1b7\x1b[B\r\x1b[2K"
CLOSE_BELOW = "\x1b8"
OPEN_HERE = "\r\x1b[2K"


class StatusLine:
    """Shows the innermost step that is open for long. A `kis_bench.files.progress.Watcher`.

    Args:
        file: number of the open file that it writes to; what is captured or redirected later isn't its business.
        below: on a terminal, below the line where the cursor is, and not on it.
        others: gives the steps of other processes.
        say: writes a line into a log; None: as it is.
        terminal: None: asks the file.
    """

    patience_s = 2.0  #: that a step takes before it is shown
    drawn_every_s = 0.25
    said_every_s = 60.0  #: in a log

    def __init__(
        self,
        file: int,
        *,
        below: bool = False,
        others: Callable[[], Sequence[Step]] = tuple,
        say: Callable[[str], None] | None = None,
        terminal: bool | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.file, self.below, self.others = file, below, others
        self.say = say or (lambda line: self.write(f"{line}\n"))
        self.terminal = can_draw(file) if terminal is None else terminal
        self.clock = clock
        self.steps: list[Step] = []
        self.said_s = clock()
        self.drawn = False
        self.lock = threading.RLock()
        self.stopped = threading.Event()
        self.thread: threading.Thread | None = None
        self.needed = 0  # by how many steps, and by whoever waits for other processes

    def begin(self, step: Step) -> None:
        self.steps.append(step)
        self.start()

    def update(self, step: Step) -> None:
        """Nothing: the step itself is looked at."""

    def end(self, step: Step) -> None:
        self.steps.remove(step)
        self.stop()

    @contextmanager
    def keep_watching(self) -> Iterator[None]:
        """Shows the steps of other processes meanwhile."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    def start(self) -> None:
        self.needed += 1
        if self.thread is None:
            self.stopped.clear()
            self.thread = threading.Thread(target=self.run, name="kis-bench progress", daemon=True)
            self.thread.start()

    def stop(self) -> None:
        """Ends the thread with the last step, so that none is left behind, and takes the line away."""
        self.needed -= 1
        if self.needed == 0 and self.thread is not None:
            self.stopped.set()
            self.thread.join()
            self.thread = None
        with self.lock:
            self.erase()

    def run(self) -> None:
        while not self.stopped.wait(self.drawn_every_s):
            self.tick()

    def tick(self) -> None:
        """Shows what there is to be shown now."""
        with self.lock:
            now = self.clock()
            own = [one for one in [*self.steps] if now - one.started_s >= self.patience_s][-1:]
            shown = [*own, *(o for o in self.others() if now - o.started_s >= self.patience_s)]
            if not shown:
                self.erase()
            elif self.terminal:
                line = describe_steps(shown, now, count_columns(self.file) - 1)
                begin, end = (OPEN_BELOW, CLOSE_BELOW) if self.below else (OPEN_HERE, "")
                self.write(f"{begin}{line}{end}")
                self.drawn = True
            elif now - self.said_s >= self.said_every_s:
                self.said_s = now
                self.say(f"kis-bench: {describe_steps(shown, now)}")

    @contextmanager
    def out_of_the_way(self) -> Iterator[None]:
        """Takes the line away while something else writes to the terminal."""
        with self.lock:
            self.erase()
            yield

    def erase(self) -> None:
        if self.drawn:
            self.drawn = False
            self.write(OPEN_BELOW + CLOSE_BELOW if self.below else OPEN_HERE)

    def write(self, text: str) -> None:
        """All at once, so that nothing else comes between; who can't be written to any more isn't."""
        try:
            os.write(self.file, text.encode("utf-8", "replace"))
        except OSError:
            self.terminal, self.say = False, lambda _: None


def can_draw(file: int) -> bool:
    """Whether it is a terminal that understands the usual control sequences."""
    try:
        if not os.isatty(file) or os.environ.get("TERM") == "dumb":
            return False
    except OSError:
        return False
    return sys.platform != "win32" or bool({"WT_SESSION", "TERM"} & {*os.environ})


def count_columns(file: int) -> int:
    try:
        return os.get_terminal_size(file).columns or USUAL_CELLS
    except OSError:
        return USUAL_CELLS


def describe_steps(steps: Sequence[Step], now_s: float, width: int | None = None) -> str:
    """One line for some steps, with counts, rate, time left, and what they wait for, of those that count the same.

    >>> one = Step("photos: images with demo", "image", 1617, 1024, started_s=0)
    >>> describe_steps([one], 64.0)
    'photos: images with demo: 1,024/1,617 images, 16/s, 0:37 left'
    >>> one.limit = "decode"
    >>> describe_steps([one], 64.0)
    'photos: images with demo: 1,024/1,617 images, 16/s, 0:37 left, waits for decode'
    """
    first, many = next((one for one in steps if one.unit), steps[0]), len(steps) > 1
    same = [one for one in steps if one.unit == first.unit]
    counted = describe_counts(same, now_s) if first.unit else ""
    if not counted:
        counted = write_time(max(now_s - one.started_s for one in steps))
    what = "; ".join(dict.fromkeys(make_plain(one.what) for one in steps))
    start = f"{len(steps)} processes: " if many else ""
    if width is not None:
        what = shorten_middle(what, max(LEAST_NAME_CELLS, width - len(start) - len(counted) - 2))
    line = f"{start}{what}: {counted}"
    return line if width is None else line[:width]


def describe_counts(steps: Sequence[Step], now_s: float) -> str:
    """How many of how many, how fast, and how long it takes until the last of some steps is done."""
    done = sum(one.done for one in steps)
    known = [one.total for one in steps if one.total is not None]
    total = sum(known) if len(known) == len(steps) else None
    rates = [(one.done - one.began_with) / max(now_s - one.started_s, 1e-9) for one in steps]
    parts = [write_count(done, total, steps[0].unit)]
    if sum(rates) > 0:
        parts.append(f"{write_rate(sum(rates), steps[0].unit)}/s")
    if total is not None and all(rates):
        left = [
            (one.total - one.done) / rate
            for one, rate in zip(steps, rates, strict=True)
            if one.total is not None
        ]
        parts.append(f"{write_time(max(left))} left")
    if limits := dict.fromkeys(one.limit for one in steps if one.limit):
        parts.append(f"waits for {' and '.join(limits)}")
    return ", ".join(part for part in parts if part)


def write_count(done: int, total: int | None, unit: str) -> str:
    """``1,024/1,617 images``; of bytes megabytes, of scores the share, for there are billions."""
    if unit == "score":
        return "" if not total else f"{100 * done // total}%"
    if unit == "B":
        of = "" if total is None else f"/{total / MEGABYTE:,.0f}"
        return f"{done / MEGABYTE:,.0f}{of} MB"
    of = "" if total is None else f"/{total:,}"
    number = done if total is None else total
    return f"{done:,}{of} {unit}{'' if number == 1 else 's'}"


def write_rate(rate: float, unit: str) -> str:
    """Two figures at least; in the unit of `write_count`."""
    if unit == "B":
        return f"{rate / MEGABYTE:,.1f} MB"
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def write_time(seconds: float) -> str:
    """Hours only where there are some.

    >>> write_time(7.2), write_time(3725)
    ('0:07', '1:02:05')
    """
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
