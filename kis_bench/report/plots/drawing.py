"""Draws the plots of a report: those that are not known from before, in several processes where it pays."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, cast

import kis_bench
from kis_bench.files.progress import track_each
from kis_bench.report.plots.kept import find_plot, keep_plot, prune_plots
from kis_bench.report.plots.plot import Plot

PLOTS_PER_PROCESS = 8  #: fewer take less time than a process needs to start
Content = Mapping[str, bytes]  #: of the files of a plot, by form
LIBRARIES = ("matplotlib", "numpy", "pandas", "pillow", "scipy")


def draw_plots(plots: Sequence[Plot], folder: Path, forms: Sequence[str]) -> dict[str, str]:
    """Writes each plot into the folder as ``stem.form``; what is drawn already is taken from the cache.

    Returns:
        The stems of the plots that could not be drawn or written, and why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    surroundings = digest_surroundings()
    missing: list[Plot] = []
    failed: dict[str, str] = {}
    names = {plot.stem: plot.digest(surroundings) for plot in plots}
    for plot in plots:
        known = find_plot(names[plot.stem], plot.list_forms(forms))
        if known is None:
            missing.append(plot)
        else:
            write_forms(plot, known, folder, failed)
    rendered = render_all(missing, forms)
    for plot, content in track_each(rendered, "drawing plots", unit="plot", total=len(missing)):
        if isinstance(content, str):
            failed[plot.stem] = content
        else:
            write_forms(plot, content, folder, failed)
            keep_plot(names[plot.stem], content)
    if missing:
        prune_plots()
    return failed


def write_forms(plot: Plot, content: Content, folder: Path, failed: dict[str, str]) -> None:
    try:
        for form, data in content.items():
            (folder / f"{plot.stem}.{form}").write_bytes(data)
    except OSError as error:
        failed[plot.stem] = describe_failure(error)


@cache
def digest_surroundings() -> str:
    """SHA-256 of what plots follow from beside their arguments: the code of this package, libraries and Python."""
    root = Path(kis_bench.__file__).parent
    total = hashlib.sha256(repr((sys.version, *map(version, LIBRARIES))).encode())
    for file in sorted(root.rglob("*.py")):
        total.update(f"\0{file.relative_to(root).as_posix()}\0".encode())
        total.update(file.read_bytes())
    return total.hexdigest()


def render_all(plots: Sequence[Plot], forms: Sequence[str]) -> Iterator[tuple[Plot, Content | str]]:
    """Yields each plot with its content, or why there is none, in the order in which they are done.

    Where there are many, other processes take part. They import nothing of the program that runs here.
    """
    waiting, done = deque(plots), deque[tuple[Plot, Content | str]]()
    most = min(os.cpu_count() or 1, len(plots) // PLOTS_PER_PROCESS)
    workers = [worker for _ in range(most - 1) if (worker := start_worker())]
    threads = [
        threading.Thread(target=feed, args=(worker, waiting, done, forms), daemon=True)
        for worker in workers
    ]
    try:
        for thread in threads:
            thread.start()
        while plot := take(waiting):
            yield plot, try_rendering(plot, forms)
            while done:
                yield done.popleft()
        for thread in threads:
            thread.join()
        yield from done
        # What a process that died had not begun is in the queue only if all others were done by then.
        while plot := take(waiting):
            yield plot, try_rendering(plot, forms)
    finally:
        for worker in workers:
            stop_worker(worker)


def take(waiting: deque[Plot]) -> Plot | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def try_rendering(plot: Plot, forms: Sequence[str]) -> Content | str:
    """The content of a plot, or why there is none."""
    try:
        return plot.render(plot.list_forms(forms))
    except Exception as error:
        return describe_failure(error)


def describe_failure(error: Exception) -> str:
    """What went wrong, and where in the code unless the system said it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"


Worker = subprocess.Popen[bytes]


def start_worker() -> Worker | None:
    """A process that draws what it is given, see `kis_bench.report.plots.worker`; None where there can't be one.

    It starts beside this package, so that no module of the user's folder stands for one of Python's.
    """
    beside = Path(kis_bench.__file__).parent.parent
    path = os.pathsep.join(str(Path(each).absolute()) for each in sys.path if each)
    try:
        worker = subprocess.Popen(
            [sys.executable, "-m", "kis_bench.report.plots.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=beside,
            env={**os.environ, "PYTHONPATH": path},
        )
        send(os.getcwd(), worker.stdin)
    except OSError:
        return None
    return worker


def stop_worker(worker: Worker) -> None:
    worker.kill()
    worker.wait()
    for stream in (worker.stdin, worker.stdout):
        with contextlib.suppress(OSError):  # what was on its way to it
            cast(IO[bytes], stream).close()


def feed(
    worker: Worker,
    waiting: deque[Plot],
    done: deque[tuple[Plot, Content | str]],
    forms: Sequence[str],
) -> None:
    """Hands plots to a process, one after the other, for as long as it lives and there are any."""
    while plot := take(waiting):
        try:
            send((plot, forms), worker.stdin)
            done.append((plot, receive(worker.stdout)))
        except (OSError, EOFError):
            done.append((plot, f"the process that drew it ended with {worker.wait()}"))
            return
        except Exception as error:  # what isn't of a module can't be sent
            done.append((plot, describe_failure(error)))
            return


def send(value: Any, stream: IO[bytes] | None) -> None:
    stream = cast(IO[bytes], stream)
    pickle.dump(value, stream)
    stream.flush()


def receive(stream: IO[bytes] | None) -> Any:
    return pickle.load(cast(IO[bytes], stream))
