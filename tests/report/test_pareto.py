"""What search engines cost, drawn and written: no setting is left out, no name covers another."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kis_bench.report.plots.pareto import draw_pareto, find_front
from kis_bench.report.search_engines import PLOTTED_CUTOFF, write_fidelity
from kis_bench.search_engines.fidelity import TIMED_RESULTS
from kis_bench.suite.fidelity_rows import ROW_COLUMNS


def make_rows(engines, **changes):
    """Rows of fidelity.csv, the later ones slower, larger and better."""
    rows = []
    for i, engine in enumerate(engines):
        row = dict.fromkeys(ROW_COLUMNS, np.nan)
        row |= {
            "engine": engine,
            "setting": f"setting {i}",
            "model": "a",
            "dataset": "b",
            "label_set": "short",
            "items": 1000,
            "queries": 50,
            "dim": 64,
            "status": "measured",
            "said": "",
            "found": 1.0,
            "rank_told": 0.9,
            "ties_order": "ascending",
            "ties_change": 0.5,
            "queries_per_cpu_s": 1000 / (i + 1),
            "bytes_per_item": 100 * (i + 1),
            "build_cpu_s": 0.5,
            "builds": 1,
            "equal_built": 1.0,
        }
        for k in (1, 5, 10, 100):
            row |= {f"lost@{k}": 8 / 2**i, f"lost@{k}_low": 0.0, f"lost@{k}_high": 16 / 2**i}
        rows.append(row | changes)
    return pd.DataFrame(rows)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=9))
def test_the_front_is_what_nothing_beats(points):
    cost, lost = (np.array(each, float) for each in zip(*points, strict=True))
    wanted = [not any(a <= x and b <= y and (a, b) != (x, y) for a, b in points) for x, y in points]
    assert find_front(cost, lost).tolist() == wanted


def test_names_cover_no_other():
    figure = draw_pareto(make_rows(["faiss", "usearch", "hnswlib", "chroma", "lancedb"]), 10)
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) == 5
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:i])


def test_compressions_are_hollow_and_no_part_of_the_front():
    figure = draw_pareto(make_rows(["numpy", "faiss", "numpy"]), 10)
    for axes in figure.axes:
        assert [text.get_text() for text in axes.texts] == ["faiss setting 1"]
        fills = {line.get_markerfacecolor() for line in axes.lines if line.get_marker() != "None"}
        assert "none" in fills
        assert len(fills) == 2
    assert not draw_pareto(make_rows(["numpy"]), 10).axes[0].texts


def test_intervals_are_drawn_within_the_axes():
    axes = draw_pareto(make_rows(["faiss", "usearch"]), 10).axes[0]
    ends = [path.vertices[:, 1].tolist() for c in axes.collections for path in c.get_paths()]
    assert ends == [[0.0, 16.0], [0.0, 8.0]]
    assert axes.get_ylim()[1] > 16


@pytest.mark.parametrize("lost", [0.0, -0.5])
def test_nothing_lost_is_drawn(lost):
    rows = make_rows(["faiss", "numpy"], **{"lost@10": lost})
    assert draw_pareto(rows, 10).axes[0].get_ylim()[0] < 0


def test_speed_that_nobody_knows_is_left_out():
    assert not draw_pareto(make_rows(["faiss"], queries_per_cpu_s=np.nan), 10).axes[0].texts


def test_page(tmp_path):
    rows = make_rows(["faiss", "us|earch", "mine"])
    rows.loc[2, ["status", "said"]] = "crashed", "signal <SIGKILL>"
    page = write_fidelity(rows, tmp_path).read_text(encoding="utf-8")
    assert "## a, b, short" in page
    assert "1,000 items of 64 numbers, 50 queries" in page
    assert "us\\|earch" in page
    assert "- mine setting 2, crashed: signal &lt;SIGKILL&gt;" in page
    assert "ascending, another first for 50%" in page
    assert len([*tmp_path.glob("*.svg")]) == len([*tmp_path.glob("*.png")]) == 1


def test_speed_and_loss_are_of_the_same_search():
    assert PLOTTED_CUTOFF == TIMED_RESULTS
    first = draw_pareto(make_rows(["faiss"]), PLOTTED_CUTOFF).axes[0]
    assert "10 results each" in first.get_xlabel()
    assert "recall@10" in first.get_ylabel()


def test_speeds_have_two_digits_and_builds_their_spread(tmp_path):
    rows = make_rows(["faiss", "usearch", "mine"], queries_per_cpu_s=26_950.0)
    chance = {"builds": 3, "equal_built": 0.2}
    chance |= {"lost@10_lowest_build": 0.4, "lost@10_highest_build": 1.4}
    rows.loc[1, [*chance]] = list(chance.values())
    rows.loc[2, "equal_built"] = 0.5
    page = write_fidelity(rows, tmp_path).read_text(encoding="utf-8")
    assert "27,000" in page
    assert "26,950" not in page
    (faiss,), (usearch,), (mine,) = (
        [line for line in page.splitlines() if line.startswith(f"| {name}")]
        for name in rows["engine"]
    )
    assert "always the same" in faiss
    assert "3 builds: +0.40 to +1.40" in usearch
    assert "one build" in mine


def test_recall_beyond_what_an_engine_gives_is_left_empty(tmp_path):
    rows = make_rows(["faiss", "mine"], asked_k=1000)
    rows.loc[1, "asked_k"] = 50
    page = write_fidelity(rows, tmp_path).read_text(encoding="utf-8").splitlines()
    for name, filled in (("faiss", 3), ("mine", 2)):
        (line,) = [line for line in page if line.startswith(f"| {name}")]
        assert line.count("[") == filled


def test_sizes_have_plots_of_their_own(tmp_path):
    rows = pd.concat([make_rows(["faiss"]), make_rows(["faiss"], items=2000)], ignore_index=True)
    write_fidelity(rows, tmp_path)
    assert len([*tmp_path.glob("*.svg")]) == 2


def test_a_page_of_failures_alone(tmp_path):
    rows = make_rows(["mine"], status="failed", said="no memory")
    assert "no memory" in write_fidelity(rows, tmp_path).read_text(encoding="utf-8")
    assert not [*tmp_path.glob("*.svg")]
