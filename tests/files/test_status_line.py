"""Long steps are shown on a terminal and in a log, without a thread or a line that is left behind."""

import contextlib
import os
import threading
from contextlib import contextmanager

import pytest

from kis_bench.files.progress import Step, track, track_each, watch
from kis_bench.files.status_line import StatusLine, describe_steps


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def pipe():
    """What was written so far, and the number of the file to write to."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    text = ""

    def read():
        nonlocal text
        with contextlib.suppress(BlockingIOError):
            text += os.read(reading, 1 << 16).decode()
        return text

    yield read, writing
    os.close(reading)
    os.close(writing)


def make_line(file, clock, **settings):
    line = StatusLine(file, clock=clock, **settings)
    line.drawn_every_s = 3600.0  # the test calls tick itself
    return line


@contextmanager
def follow(line, clock, total):
    """A step over pictures that begins now and that the line shows."""
    with watch(line), track("photos: images", unit="image", total=total) as step:
        step.started_s = clock.now
        yield step


def test_a_step_is_shown_once_it_takes_long_and_taken_away_at_its_end(pipe):
    read, file = pipe
    clock = Clock()
    line = make_line(file, clock, terminal=True)
    with follow(line, clock, total=100) as step:
        line.tick()
        assert read() == ""
        clock.now += 4
        step.advance(20)
        line.tick()
        assert read() == "\r\x1b[2Kphotos: images: 20/100 images, 5.0/s, 0:16 left"
    assert read().endswith("left\r\x1b[2K")
    assert line.thread is None
    assert "kis-bench progress" not in {thread.name for thread in threading.enumerate()}


def test_an_inner_step_is_shown_where_it_is_long_itself(pipe):
    read, file = pipe
    clock = Clock()
    line = make_line(file, clock, terminal=True)
    with watch(line), track("outer") as outer:
        outer.started_s = clock.now - 10
        with track("inner") as inner:
            inner.started_s = clock.now
            line.tick()
            assert read().endswith("outer: 0:10")
            clock.now += 3
            line.tick()
            assert read().endswith("inner: 0:03")


def test_a_log_gets_a_line_a_minute_and_none_of_short_steps(pipe):
    read, file = pipe
    clock = Clock()
    line = make_line(file, clock, terminal=False)
    with follow(line, clock, total=10_000) as step:
        for _ in range(59):
            clock.now += 1
            step.advance()
            line.tick()
        assert read() == ""
        for _ in range(120):
            clock.now += 1
            step.advance()
            line.tick()
    lines = read().splitlines()
    assert lines[0].startswith("kis-bench: photos: images: 60/10,000 images, 1.0/s, 2:45:")
    assert len(lines) == 2
    assert "\x1b" not in read()


def test_a_terminal_that_is_gone_stops_nothing():
    reading, writing = os.pipe()
    os.close(reading)
    line = make_line(writing, Clock(), terminal=True)
    with watch(line), track("x") as step:
        step.started_s = 0.0
        line.tick()
        line.tick()
    os.close(writing)


def test_who_raises_or_stops_early_leaves_no_step_open(pipe):
    _, file = pipe
    line = make_line(file, Clock(), terminal=True)
    with watch(line):
        with pytest.raises(RuntimeError), track("x"):
            raise RuntimeError
        for _ in track_each(range(3), "y", unit="item"):
            break
    assert line.steps == []
    assert line.thread is None


def test_many_processes_are_one_line():
    steps = [
        Step("a: images with m", "image", 100, 50, started_s=0.0),
        Step("a: images with n", "image", 300, 50, started_s=0.0),
    ]
    assert describe_steps(steps, 10.0) == (
        "2 processes: a: images with m; a: images with n: 100/400 images, 10/s, 0:50 left"
    )
    shown = describe_steps(steps, 10.0, 60)
    assert len(shown) <= 60
    assert shown.endswith("100/400 images, 10/s, 0:50 left")
    mixed = describe_steps([Step("loading m", started_s=0.0), steps[0]], 10.0)
    assert mixed == "2 processes: loading m; a: images with m: 50/100 images, 5.0/s, 0:10 left"


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        (Step("x", started_s=0.0), "x: 1:40"),
        (Step("x", "file", None, 5000, started_s=0.0), "x: 5,000 files, 50/s"),
        (Step("x", "image", 10, 0, started_s=0.0), "x: 0/10 images"),
        (Step("x", "image", 1, 1, started_s=0.0), "x: 1/1 image, 0.0/s, 0:00 left"),
        (Step("x", "image", 900, 600, 500, started_s=0.0), "x: 600/900 images, 1.0/s, 5:00 left"),
        (
            Step("x", "B", 2 * 10**9, 10**9, started_s=0.0),
            "x: 1,000/2,000 MB, 10.0 MB/s, 1:40 left",
        ),
        (Step("x", "score", 10**12, 10**11, started_s=0.0), "x: 10%, 1,000,000,000/s, 15:00 left"),
        (Step("a\x1b[2J\nb", started_s=0.0), "a[2J b: 1:40"),
    ],
)
def test_what_a_line_says(step, shown):
    assert describe_steps([step], 100.0) == shown


def test_what_steps_wait_for_is_said_once():
    steps = [
        Step(what, "image", 10, 5, limit=limit, started_s=0.0)
        for what, limit in (("a", "decode"), ("b", "decode"), ("c", "forward"), ("d", ""))
    ]
    assert describe_steps(steps[:2], 5.0).endswith("20 images, 2.0/s, 0:05 left, waits for decode")
    assert describe_steps(steps, 5.0).endswith("left, waits for decode and forward")
    assert describe_steps(steps[3:], 5.0).endswith("left")
    narrow = describe_steps(steps, 5.0, 60)
    assert "20/40 images" in narrow
    assert "0:05 left" in narrow
