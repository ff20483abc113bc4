"""A process that draws plots for another: ``python -m kis_bench.report.plots.worker``, fed over a pipe."""

from __future__ import annotations

import os
import signal
import sys

from kis_bench.report.plots.drawing import receive, send, try_rendering


def serve() -> None:
    """Draws each plot that comes in, until no more do; whoever started it says when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    os.chdir(receive(sys.stdin.buffer))  # paths of pictures may begin there
    while True:
        try:
            plot, forms = receive(sys.stdin.buffer)
        except EOFError:
            return
        send(try_rendering(plot, forms), answers)


if __name__ == "__main__":
    serve()
