"""The page about scale says what was measured and what follows from it."""

import heapq
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import find_parts, regenerate_parts

ROOT = Path(__file__).parents[2]
scale = runpy.run_path(str(ROOT / "tools" / "scale"))
growth, page, plan = scale["growth"], scale["page"], scale["page"].plan
sizes = st.integers(1, 10**10)


def test_the_page_has_what_was_measured():
    text = scale["PAGE"].read_text(encoding="utf-8")
    writers = scale["make_writers"]()
    assert regenerate_parts(text, "scale", writers) == text, "run: python tools/scale page"
    assert {part[1] for part in find_parts("scale").findall(text)} == {*writers}


def test_the_plot_is_drawn_from_the_file(tmp_path):
    scale["draw_plot"](tmp_path / "scale-growth.svg")
    drawn, kept = ((f / "scale-growth.svg").read_text() for f in (tmp_path, ROOT / "docs"))
    if version(drawn) == version(kept):  # others draw otherwise
        assert drawn == kept, "run: python tools/scale page"


def version(svg):
    return svg[svg.index("Matplotlib v") :].split()[1]


def test_each_step_was_measured_from_a_thousand_to_ten_million():
    rows = scale["read_measured"](scale["GROWTH"])
    for step in growth.STEPS:
        own = [int(row["items"]) for row in rows if row["step"] == step]
        assert own == [10**e for e in range(3, 8)]
    assert all(int(row["verified"]) > 0 for row in rows if row["step"] == "rank")


@pytest.mark.slow
def test_growth_is_measured_by_processes_of_their_own(tmp_path):
    file = tmp_path / "scale.csv"
    growth.measure_growth([2_000, 1_000], file, tmp_path)
    growth.measure_growth([1_000], file, tmp_path)  # takes the place of what was there
    rows = growth.read_measured(file)
    assert [(row["step"], row["items"]) for row in rows] == [
        (step, n) for step in growth.STEPS for n in ("1000", "2000")
    ]
    for row in rows:
        assert int(row["disk_bytes"]) >= int(row["items"]) * 4 * growth.DIM
        assert float(row["wall_s"]) > 0
    assert [*tmp_path.iterdir()] == [file]


def test_a_step_that_fails_is_no_row(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        growth.measure_growth([0], tmp_path / "scale.csv", tmp_path)
    assert not (tmp_path / "scale.csv").exists()


def test_sizes_are_powers_of_ten():
    assert growth.list_sizes(1_000) == [1_000]
    assert growth.list_sizes(9_999_999) == [10**e for e in (3, 4, 5, 6)]


@given(st.floats(0, 10), st.floats(1e-9, 1e-3), sizes)
def test_a_line_goes_through_what_it_was_drawn_of(fixed, each, n):
    rows = [
        {"step": "open", "items": str(m), "wall_s": repr(fixed + each * m)} for m in (10, 10**6, 1)
    ]
    line = plan.draw_line([*rows, {"step": "rank", "items": "5", "wall_s": "1"}], "open", "wall_s")
    assert line.at(n) == pytest.approx(fixed + each * n, rel=1e-6, abs=1e-6)
    with pytest.raises(ValueError, match="measured at 1 sizes"):
        plan.draw_line(rows[:1], "open", "wall_s")


@given(sizes, st.floats(1, 10**4), st.floats(1, 1000), st.floats(0.1, 1))
def test_so_many_gpus_are_enough_and_one_less_is_not(n, rate, hours, busy):
    gpus = plan.count_gpus(n, rate, hours, busy)
    needed = n / rate / 3600 / busy
    assert gpus * hours >= needed * (1 - 1e-6)
    assert gpus == 1 or (gpus - 1) * hours < needed


@given(sizes, st.integers(1, 10**5), st.integers(1, 1000))
def test_ranking_waits_for_the_slower_of_products_and_reading(n, queries, nodes):
    machine = plan.Machine(terms_per_s=1e11, read_bytes_per_s=1e9)
    products = n * queries * 512 / 1e11 / nodes
    seconds = plan.count_ranking_seconds(n, queries, 512, machine, nodes)
    assert seconds == pytest.approx(max(products, n * 2048 / 1e9 / nodes))
    assert (seconds > products * (1 + 1e-9)) == (queries < 400)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=60), st.integers(1, 20))
def test_jobs_that_go_to_whoever_is_free_keep_the_bounds(durations, actors):
    """Whatever the order of the jobs: of a plain simulation, too."""
    free = [0.0] * actors
    for seconds in durations:
        heapq.heappush(free, heapq.heappop(free) + seconds)
    least, most = plan.bound_makespan(durations, actors)
    assert least * (1 - 1e-9) <= max(free) <= most * (1 + 1e-9)


@pytest.mark.parametrize(
    ("value", "said"),
    [(1.8e-9, "0.0018 µs"), (0.25, "250 ms"), (5400, "90 min"), (10**6, "11.6 days")],
)
def test_times_are_told_in_fitting_units(value, said):
    assert page.format_seconds(value) == said


def test_the_tool_says_how_it_is_used():
    tool = [sys.executable, str(ROOT / "tools" / "scale")]
    done = subprocess.run([*tool, "--help"], capture_output=True, text=True, check=True)
    assert "measure" in done.stdout
    assert "simulate" in done.stdout
    wrong = subprocess.run([*tool, "measure", "--most", "many"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "invalid int value: 'many'" in wrong.stderr
