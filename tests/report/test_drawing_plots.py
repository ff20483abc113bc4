"""Plots are drawn once, in one or several processes, and taken from the cache after that."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kis_bench.report.plots import drawing, kept
from kis_bench.report.plots.drawing import PLOTS_PER_PROCESS, draw_plots
from kis_bench.report.plots.plot import Plot, digest_value

DRAWN: list[str] = []


def draw_square(name, colour=(1, 2, 3)):
    """Stands for any drawing: as fast as one can be."""
    DRAWN.append(name)
    if name == "broken":
        raise ZeroDivisionError("no such axis")
    return Image.new("RGB", (4, 4), tuple(colour))


def square(name, **more):
    return Plot(name, f"a square, {name}", draw_square, (name, *more.values()), pictures=True)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    DRAWN.clear()
    return tmp_path / "cache" / "figures"


def draw_some(folder: Path, *names: str) -> list[str]:
    """Draws squares; which of them had to be."""
    DRAWN.clear()
    assert draw_plots([square(name) for name in names], folder, ("png", "svg")) == {}
    assert {file.name for file in folder.iterdir()} == {f"{name}.png" for name in names}
    return [*DRAWN]


def test_what_did_not_change_is_not_drawn_again(tmp_path, cache):
    assert draw_some(tmp_path / "one", "a", "b") == ["a", "b"]
    assert draw_some(tmp_path / "two", "a", "b", "c") == ["c"]
    for name in ("a", "b"):
        first, second = (tmp_path / run / f"{name}.png" for run in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
    DRAWN.clear()
    draw_plots([square("a", colour=(9, 9, 9))], tmp_path / "three", ("png",))
    assert DRAWN == ["a"]


def test_other_code_or_libraries_draw_anew(tmp_path, monkeypatch):
    draw_some(tmp_path / "one", "a")
    monkeypatch.setattr(drawing, "digest_surroundings", lambda: "another matplotlib")
    assert draw_some(tmp_path / "two", "a") == ["a"]


@pytest.mark.parametrize("damage", [b"", b"\x89PNG", None])
def test_a_damaged_cache_costs_only_time(tmp_path, cache, damage):
    draw_some(tmp_path / "one", "a")
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] if damage is None else damage)
    assert draw_some(tmp_path / "two", "a") == ["a"]
    assert file.read_bytes() == whole
    assert draw_some(tmp_path / "three", "a") == []


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, cache):
    cache.parent.write_text("a file where the folder should be")
    assert draw_some(tmp_path / "one", "a") == ["a"]
    assert draw_some(tmp_path / "two", "a") == ["a"]


def test_the_cache_stays_below_its_size_and_loses_what_was_used_longest_ago(
    tmp_path, cache, monkeypatch
):
    draw_some(tmp_path / "one", "a", "b", "c")
    files = {file: file.stat().st_size for file in cache.iterdir()}
    old = time.time() - 1000
    for file in files:
        os.utime(file, (old, old))
    left = cache / ".abandoned"
    left.write_bytes(b"x")
    os.utime(left, (time.time() - 2 * kept.UNFINISHED_S,) * 2)
    assert draw_some(tmp_path / "two", "b") == []  # and is used now
    monkeypatch.setattr(kept, "CACHED_BYTES", 2 * max(files.values()))
    assert draw_some(tmp_path / "three", "d") == ["d"]
    assert sum(file.stat().st_size for file in cache.iterdir()) <= kept.CACHED_BYTES
    assert draw_some(tmp_path / "four", "b", "d") == []
    assert not left.exists()


def test_a_plot_that_fails_is_named_and_the_others_are_drawn(tmp_path):
    failed = draw_plots([square("a"), square("broken"), square("b")], tmp_path / "plots", ("png",))
    assert [*failed] == ["broken"]
    assert "ZeroDivisionError: no such axis (test_drawing_plots.py, line " in failed["broken"]
    assert {file.stem for file in (tmp_path / "plots").iterdir()} == {"a", "b"}


def test_a_plot_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "plots" / "a.png").mkdir(parents=True)
    failed = draw_plots([square("a"), square("b")], tmp_path / "plots", ("png",))
    assert [*failed] == ["a"]
    assert "a.png" in failed["a"]


def draw_dots(n, size):
    from kis_bench.report.plots.axes import add_title, new_figure

    figure = new_figure(2, 2)
    figure.subplots().plot(np.arange(n), "o", markersize=size)
    return add_title(figure, f"{n} dots, process {os.getpid()}" if size == 0 else f"{n} dots")


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing.os, "cpu_count", lambda: 2)
    # a worker imports this file by its name
    monkeypatch.setitem(sys.modules, "test_drawing_plots", sys.modules[__name__])
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    for function in (draw_square, draw_dots, draw_at_home):
        monkeypatch.setattr(function, "__module__", "test_drawing_plots")


def test_several_processes_draw_what_one_does(tmp_path, several, monkeypatch):
    plots = [Plot(f"dots-{n}", "", draw_dots, (n, 3)) for n in range(2 * PLOTS_PER_PROCESS)]
    counts = count_in_here(monkeypatch)
    assert draw_plots(plots, tmp_path / "two", ("png",)) == {}
    assert 0 < len(counts) < len(plots)
    monkeypatch.setattr(drawing, "digest_surroundings", lambda: "anew")
    monkeypatch.setattr(drawing.os, "cpu_count", lambda: 1)
    counts.clear()
    assert draw_plots(plots, tmp_path / "one", ("png",)) == {}
    assert len(counts) == len(plots)
    for plot in plots:
        one, two = (tmp_path / name / f"{plot.stem}.png" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def count_in_here(monkeypatch):
    drawn, original = [], drawing.try_rendering

    def counted(plot, forms):
        drawn.append(plot.stem)
        return original(plot, forms)

    monkeypatch.setattr(drawing, "try_rendering", counted)
    return drawn


def draw_at_home(home):
    """Ends every process but one."""
    if os.getpid() != home:
        os._exit(3)
    return Image.new("RGB", (4, 4))


def test_a_process_that_dies_names_the_plot_and_the_rest_is_drawn(tmp_path, several, monkeypatch):
    workers, start, here = [], drawing.start_worker, drawing.try_rendering

    def wait_for_the_worker(plot, forms):
        workers[0].wait()
        return here(plot, forms)

    monkeypatch.setattr(drawing, "try_rendering", wait_for_the_worker)
    monkeypatch.setattr(drawing, "start_worker", lambda: workers.append(start()) or workers[-1])
    plots = [
        Plot(f"n{i}", "", draw_at_home, (os.getpid(),), pictures=True)
        for i in range(2 * PLOTS_PER_PROCESS)
    ]
    failed = draw_plots(plots, tmp_path / "plots", ("png",))
    assert [*failed.values()] == ["the process that drew it ended with 3"]
    assert len(list((tmp_path / "plots").iterdir())) == len(plots) - 1


def test_a_script_without_a_guard_is_not_run_again(tmp_path):
    """Where processes were forked by multiprocessing, each would run it from its beginning."""
    script = tmp_path / "script.py"
    (tmp_path / "random.py").write_text("raise SystemExit('a file of the user')")
    script.write_text(
        dedent(f"""
        print("begun")
        import os
        os.cpu_count = lambda: 2
        from pathlib import Path
        from kis_bench.report.plots.consistency import draw_consistency
        from kis_bench.report.plots.drawing import draw_plots
        from kis_bench.report.plots.plot import Plot
        from kis_bench.report.plots.shares import Share

        plots = [
            Plot(f"p{{i}}", "", draw_consistency, ("d", {{"m": Share(i / 50)}}, (), None, {{}}))
            for i in range({2 * PLOTS_PER_PROCESS})
        ]
        print(draw_plots(plots, Path("plots"), ("png",)))
        """)
    )
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.stdout == "begun\n{}\n", done.stderr
    assert len(list((tmp_path / "plots").iterdir())) == 2 * PLOTS_PER_PROCESS


@dataclass(frozen=True)
class Record:
    one: object
    two: object = None


ALIKE = [
    (1, 1.0, True, "1", b"1"),
    ([1, 2], (1, 2), [[1], 2], [12], ["1", "2"]),
    (np.array([1, 2]), np.array([1.0, 2.0]), np.array([[1, 2]]), np.array([1, 2], object)),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1}),  # the order of models is what a legend shows
    (None, float("nan"), np.nan_to_num(0), ""),
    (Path("a"), "a"),
    (Record(1), Record(None, 1), Record((1, None))),
    (
        pd.DataFrame({"a": [1, 2]}),
        pd.DataFrame({"a": [1, 2]}, index=[1, 2]),
        pd.DataFrame({"b": [1, 2]}),
        pd.DataFrame({"a": [1.0, 2.0]}),
        pd.DataFrame({"a": ["1", "2"]}),
        pd.DataFrame({"a": [None, "2"]}),
    ),
]


@pytest.mark.parametrize("values", ALIKE)
def test_digests_tell_values_apart(values):
    digests = [digest_value(value) for value in values]
    assert len({*digests}) == len(values)
    assert digests == [digest_value(value) for value in values]


def test_equal_tables_have_one_digest_whatever_they_were_made_of():
    one = pd.DataFrame({"a": ["x", "y"], "b": [1, None]})
    other = pd.DataFrame([{"a": "x" * 1, "b": 1.0}, {"a": "".join("y"), "b": np.nan}])
    assert digest_value(one) == digest_value(other)


def test_what_nobody_can_compare_is_no_argument():
    with pytest.raises(TypeError, match="function can't be an argument of a plot"):
        digest_value([draw_square])


def test_a_png_has_few_colours_and_its_size_in_inches(tmp_path):
    content = Plot("dots", "", draw_dots, (5, 4)).render(("png",))["png"]
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.mode == "P"
        assert picture.size == (300, 300)
        assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)


def test_ctrl_c_reaches_who_draws_and_not_the_processes_that_help(tmp_path, several):
    worker = drawing.start_worker()
    assert worker is not None
    try:
        assert answer(worker, "a")
        worker.send_signal(signal.SIGINT)
        assert answer(worker, "b")
    finally:
        drawing.stop_worker(worker)


def answer(worker, name):
    drawing.send((square(name), ("png",)), worker.stdin)
    return drawing.receive(worker.stdout)["png"].startswith(b"\x89PNG")
