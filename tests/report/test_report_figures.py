"""Figures: they show what the numbers say, take any name, and are the same whenever they are drawn."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kis_bench.analysis.combinations import combinations as combine
from kis_bench.analysis.combinations import gains
from kis_bench.analysis.conditions import Condition
from kis_bench.analysis.growth import compute_growth
from kis_bench.metrics import cumulative_curve
from kis_bench.options import PLOT_FORMS
from kis_bench.report.plots import axes as plots
from kis_bench.report.plots import grid
from kis_bench.report.plots.axes import ink, styles
from kis_bench.report.plots.curves import draw_curves, draw_overview, list_panels
from kis_bench.report.plots.gains import draw_gains
from kis_bench.report.plots.grid import draw_grid
from kis_bench.report.plots.growth import draw_growth
from kis_bench.report.plots.label_sets import draw_label_sets
from kis_bench.report.plots.plot import Plot
from kis_bench.report.sections import combinations
from kis_bench.results.columns import FUSED
from kis_bench.statistics import wilson_interval

NAMES = [f"vit-so400m-14-siglip-38{i}" for i in range(10)]
HOSTILE = [
    "$x_1$ \\frac",
    "<script>alert(1)</script>-->",
    "two\nlines",
    "abc \u202eقلعة",
    "\U0001f600 漢字",
    "x" * 300,
    "_b^c{d",
    "",
    "W" * 60,
    "a & b",
]
NONE = pd.DataFrame(columns=FUSED)


def condition(models=NAMES, queries=40, items=5000, dataset="d", label_set="s", seed=0):
    rng = np.random.default_rng(seed)
    hard = rng.uniform(0, np.log(items), queries)
    best = np.exp(hard + rng.normal(0, 1, (len(models), queries))).astype(np.int64) + 1
    best = np.clip(best, 1, items)
    worst = np.minimum(best + (rng.random(best.shape) < 0.2) * 3, items)
    ids = tuple(f"q{i}" for i in range(queries))
    return Condition(dataset, label_set, tuple(models), ids, best, worst, items)


def table(one):
    rows = zip(one.models, one.best, one.worst, strict=True)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "dataset": one.dataset,
                    "label_set": one.label_set,
                    "model": model,
                    "query_id": one.queries,
                    "rank_best": best,
                    "rank_worst": worst,
                    "n_items": one.n_items,
                }
            )
            for model, best, worst in rows
        ]
    )


def label_rows(one):
    recall = one.hits(10).mean(axis=1)
    return pd.DataFrame(
        {
            "model": one.models,
            "metric": "recall",
            "k": 10,
            "value_a": recall / 2,
            "value_b": recall,
            "ci_low": recall / 2 - 0.1,
            "ci_high": recall / 2 + 0.1,
            "n": len(one.queries),
            "dataset": one.dataset,
            "label_set_a": "short",
            "label_set_b": "long",
        }
    )


def mrr_gains(one):
    found = gains(one, combine(one, NONE))
    return found[found["metric"] == "mrr"]


def list_plots(one):
    """Every kind of plots that a condition gives."""
    looks = styles([*one.models])
    plots = [
        Plot("curves", "", draw_curves, (looks, one.dataset, list_panels(table(one)))),
        Plot("overview", "", draw_overview, (looks, [one])),
        Plot("growth", "", draw_growth, (looks, compute_growth(one))),
        Plot("labels", "", draw_label_sets, (looks, label_rows(one))),
    ]
    if len(one.models) > 1:
        plots.append(Plot("grid", "", draw_grid, (looks, one.of(one.models[:3]))))
        plots.append(Plot("gains", "", draw_gains, (mrr_gains(one),)))
    return plots


LOOKS = styles(NAMES)


def words(figure):
    return " ".join(
        text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text"))
    )


def curves(axes):
    """Lines of more than two points with their shares."""
    return [line for line in axes.lines if len(line.get_xdata()) > 2]


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folders = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    for folder in folders:
        one = condition(
            HOSTILE, dataset="$d_1$ <b>" + "d" * 300, label_set="\U0001f600\n" + "s" * 99
        )
        for plot in list_plots(one):
            for form, content in plot.render(PLOT_FORMS).items():
                (folder / f"{plot.stem}.{form}").write_bytes(content)
    return folders


def test_every_figure_in_three_forms_the_same_whenever_drawn(twice):
    first, second = twice
    stems = {"curves", "overview", "growth", "labels", "grid", "gains"}
    assert {file.name for file in first.iterdir()} == {
        f"{s}.{form}" for s in stems for form in ("png", "svg", "pdf")
    }
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes(), file.name


def test_pdfs_hold_fonts_that_publishers_take_and_no_time(twice):
    for file in twice[0].glob("*.pdf"):
        raw = file.read_bytes()
        assert raw.startswith(b"%PDF-")
        assert b"/Subtype /Type3" not in raw
        assert b"/FontFile2" in raw
        assert b"CreationDate" not in raw


def test_names_are_text_in_svg(twice):
    for file in twice[0].glob("*.svg"):
        text = file.read_text(encoding="utf-8")
        assert "<script" not in re.sub("<!--.*?-->", "", text, flags=re.S), file.name
        assert "\u202e" not in text
    assert "$x_1$" in (twice[0] / "grid.svg").read_text(encoding="utf-8")


def test_printed_at_the_width_of_a_page(twice):
    for stem in ("grid", "growth", "gains", "labels", "overview", "curves"):
        with Image.open(twice[0] / f"{stem}.png") as picture:
            assert picture.width <= round(150 * plots.WIDTH)
            assert 400 < picture.height < 1500


def test_looks_differ_for_as_many_models_as_there_are_looks():
    looks = styles([f"m{i:02d}" for i in range(28)])
    assert len(set(map(str, looks.values()))) == 28
    assert styles(["b", "a", "a"]) == styles(["a", "b"])


@pytest.mark.parametrize("colour", plots.PALETTE)
def test_letters_in_a_models_colour_can_be_read_on_white(colour):
    channel = np.array([int(ink(colour)[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) > 3  # WCAG's contrast of large letters


def test_an_overview_shows_recall_in_every_panel():
    cells = {
        (d, s): condition(NAMES[:4], 20 + 5 * i, 30 * 10**i, d, s, i)
        for i, (d, s) in enumerate([("a", "short"), ("a", "long"), ("b", "long")])
    }
    figure = draw_overview(LOOKS, [*cells.values()])
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}
    assert len(panels) == 3
    for (dataset, label_set), one in cells.items():
        about = f"{dataset}, {label_set}\n{len(one.queries):,} queries, {one.n_items:,} items"
        *own, chance = curves(panels[about])
        assert len(own) == 4
        for line, best, worst, model in zip(own, one.best, one.worst, one.models, strict=True):
            whole = cumulative_curve(best, worst, one.n_items)
            assert line.get_ydata() == pytest.approx(100 * whole[line.get_xdata() - 1])
            assert line.get_color() == LOOKS[model][0]
        assert chance.get_ydata() == pytest.approx(100 * chance.get_xdata() / one.n_items)
    assert len(figure.legends) == 1
    assert len(figure.legends[0].get_texts()) == 5


def test_bands_are_wilsons_and_few():
    one = condition(NAMES[:1], 30, 100)
    figure = draw_overview(LOOKS, [one])
    (band,) = figure.axes[0].collections
    outline = band.get_paths()[0].vertices
    low, high = wilson_interval(30 * float(cumulative_curve(one.best[0], one.worst[0], 100)[9]), 30)
    at_ten = outline[np.isclose(outline[:, 0], 10), 1]
    assert (at_ten.min(), at_ten.max()) == pytest.approx((100 * low, 100 * high))
    for models, bands in ((4, 4), (5, 2), (10, 2)):
        figure = draw_overview(LOOKS, [condition(NAMES[:models])])
        assert len(figure.axes[0].collections) == bands
        assert ("highest" in words(figure)) == (models > 4)


def test_legends_stand_in_the_order_of_the_curves():
    rank = np.array([[50, 60, 70], [1, 2, 3], [9, 9, 9]])
    one = Condition("d", "s", ("a", "b", "c"), ("1", "2", "3"), rank, rank, 100)
    overview = draw_overview(styles(["a", "b", "c"]), [one])
    alone = draw_curves(styles(["a", "b", "c"]), "d", list_panels(table(one)))
    for legend in (overview.legends[0], alone.legends[0]):
        assert [text.get_text() for text in legend.get_texts()] == ["b", "c", "a", "chance"]


@pytest.mark.parametrize(("m", "items"), [(2, 20), (3, 1_000_000), (5, 400)])
def test_a_grid_counts_who_wins(m, items):
    one = condition(NAMES[:m], 60, items, seed=m)
    figure = draw_grid(LOOKS, one)
    panels = np.array(figure.axes).reshape(m, m)
    for i in range(m):
        for j in range(i + 1, m):
            column, row = one.rank[j], one.rank[i]
            better = sum(a < b for a, b in zip(column, row, strict=True))
            worse = sum(a > b for a, b in zip(column, row, strict=True))
            said = {text.get_text().strip() for text in panels[i, j].texts}
            assert said == {f"↑ {better}", f"← {worse}", f"= {60 - better - worse}"}
            points = [line for line in panels[i, j].lines if line.get_marker() == "o"]
            places = {
                (x, y)
                for line in points
                for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
            }
            assert places == set(zip(column, row, strict=True))


def test_a_grid_shows_ranks_up_to_the_last_and_the_oracle_as_a_bound():
    one = condition(NAMES[:3], 60, 400)
    figure = draw_grid(LOOKS, one.of(one.models[::-1]))
    panels = np.array(figure.axes).reshape(3, 3)
    assert "oracle of both" in words(figure)
    assert "upper bound of choices between both lists, not of fused ones" in words(figure)
    oracle = next(line for line in curves(panels[1, 0]) if line.get_color() == grid.GRID_BOUND[0])
    missed = [np.prod(1 - one.hits(int(k))[1:], axis=0).mean() for k in oracle.get_xdata()]
    assert oracle.get_ydata() == pytest.approx(100 * (1 - np.array(missed)))
    for each in one.rank:
        counts, edges = grid.histogram(each, 400)
        assert counts.sum() == 60
        assert (
            np.floor(edges[1:] - 1e-9) >= np.ceil(edges[:-1])
        ).all()  # no bin that must stay empty
    median = f"median {np.median(one.rank[2]):,.10g}"
    assert median in {text.get_text() for text in panels[0, 0].texts}


@pytest.mark.parametrize("m", [2, 3])
def test_what_a_grid_says_of_itself_is_not_cut(m):
    one = condition(NAMES[:m], 60, 400)
    figure = draw_grid(LOOKS, one)
    said = next(text for text in figure.texts if "upper bound" in text.get_text())
    box = said.get_window_extent(figure.canvas.get_renderer())
    assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1


@pytest.mark.parametrize("m", [2, 3, 5])
def test_counts_of_a_grid_lie_on_nothing(m):
    figure = draw_grid(LOOKS, condition(NAMES[:m], 12_345, 40_000))
    figure.canvas.draw()
    draws = figure.canvas.get_renderer()
    panels = [axes.get_window_extent(draws) for axes in figure.axes]
    for axes in figure.axes:
        boxes = [text.get_window_extent(draws) for text in axes.texts]
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(panel) for panel in panels)
            for other in boxes[i + 1 :]:  # a box of two lines covers its empty one
                same_line = abs(box.y0 - other.y0) < 1 and abs(box.y1 - other.y1) < 1
                assert not (same_line and box.overlaps(other))


def test_histograms_of_a_grid_have_a_scale():
    figure = draw_grid(LOOKS, condition(NAMES[:3], 400, 2000))
    figure.canvas.draw()
    for axes in np.array(figure.axes).reshape(3, 3).diagonal():
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels[0] == "0"
        assert len([label for label in labels if label]) > 1


def test_models_of_one_colour_have_other_marks_where_recall_is_extrapolated():
    figure = draw_growth(LOOKS, compute_growth(condition(NAMES, 50, 3000)))
    for axes in figure.axes:
        looks = [
            (line.get_color(), line.get_marker())
            for line in curves(axes)
            if line.get_gid() != "inside"
        ]
        assert len({*looks}) == len(NAMES) > len({colour for colour, _ in looks})
        assert "None" not in {marker for _, marker in looks}
    handles = figure.legends[0].legend_handles
    assert {(line.get_color(), line.get_marker()) for line in handles} == {*looks}


def test_panels_of_several_label_sets_share_one_legend():
    tables = [table(condition(NAMES[:3], label_set=name)) for name in ("short", "long")]
    figure = draw_curves(LOOKS, "d", list_panels(pd.concat(tables)))
    assert [axes.get_legend() for axes in figure.axes] == [None, None]
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {*NAMES[:3], "chance"}


def test_a_grid_takes_two_to_five_models():
    with pytest.raises(ValueError, match="2 to 5"):
        draw_grid(LOOKS, condition(NAMES[:6]))
    with pytest.raises(ValueError, match="2 to 5"):
        draw_grid(LOOKS, condition(NAMES[:1]))


def test_growth_is_dashed_where_it_is_extrapolated():
    one = condition(NAMES[:2], 50, 3000)
    rows = compute_growth(one)
    figure = draw_growth(LOOKS, rows)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "recall@1",
        "recall@10",
        "recall@100",
    ]
    for axes, k in zip(figure.axes, (1, 10, 100), strict=True):
        assert axes.get_title(loc="right") == "extrapolated"
        inside = [line for line in curves(axes) if line.get_gid() == "inside"]
        beyond = [line for line in curves(axes) if line.get_gid() != "inside"]
        assert len(inside) == len(beyond) == 2
        for model, solid, dashed in zip(NAMES, inside, beyond, strict=False):
            own = rows[(rows["k"] == k) & (rows["model"] == model)].set_index("size")["value"]
            for line in (solid, dashed):
                assert np.asarray(line.get_ydata()) == pytest.approx(
                    100 * own.loc[line.get_xdata()].to_numpy()
                )
            assert max(solid.get_xdata()) == min(dashed.get_xdata()) == 3000
            assert solid.get_linestyle() != dashed.get_linestyle()
        assert any(
            set(line.get_xdata()) == {3000} for line in axes.lines if len(line.get_xdata()) == 2
        )


def test_what_only_an_oracle_reaches_is_hollow_and_named():
    one = condition(NAMES[:6])
    rows = mrr_gains(one)
    figure = draw_gains(rows)
    axes = figure.axes[0]
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    filled = [line for line in marks if line.get_markerfacecolor() != "white"]
    top = (
        rows[rows["kind"] == "achievable"]
        .sort_values("value", ascending=False, kind="stable")
        .head(12)
    )
    assert [line.get_xdata()[0] for line in filled] == pytest.approx(top["gain"].tolist())
    bounds = {
        frozenset(combinations.name_models(r)): r["gain"]
        for _, r in rows[rows["kind"] == "bound"].iterrows()
    }
    wanted = [
        bounds[members]
        for members in (frozenset(combinations.name_models(r)) for _, r in top.iterrows())
    ]
    assert [line.get_xdata()[0] for line in marks if line not in filled] == pytest.approx(wanted)
    assert "bounds choices between lists, not fused ones" in words(figure)
    figure = draw_gains(rows[rows["kind"] == "bound"])
    assert "achievable" not in words(figure)


def test_gains_need_no_more_than_what_they_show():
    few = pd.DataFrame(
        {
            "method": ["rrf", "oracle"],
            "kind": ["achievable", "bound"],
            "model_1": "a",
            "model_2": "b",
            "model_3": [None, np.nan],
            "value": [0.5, 0.6],
            "ci_low": np.nan,
            "ci_high": np.nan,
            "gain": [0.1, 0.2],
            "gain_low": np.nan,
            "gain_high": np.nan,
        }
    )
    figure = draw_gains(few)
    assert "a + b\nreciprocal rank fusion" in words(figure)
    with pytest.raises(ValueError, match="no combination"):
        draw_gains(few.iloc[:0])


def test_label_sets_are_drawn_best_on_top_with_the_difference():
    rows = label_rows(condition(NAMES[:3]))
    figure = draw_label_sets(LOOKS, rows)
    left, right = figure.axes
    ordered = rows.sort_values("value_b", ascending=False, kind="stable")
    assert [label.get_text() for label in left.get_yticklabels()] == ordered["model"].tolist()
    differences = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "o"]
    assert differences == pytest.approx((100 * (ordered["value_b"] - ordered["value_a"])).tolist())
    assert "recall@10" in words(figure)
    figure = draw_label_sets(LOOKS, rows[["model", "value_a", "value_b"]])
    assert "interval" not in words(figure)
    with pytest.raises(ValueError, match="one row for each model"):
        draw_label_sets(LOOKS, pd.concat([rows, rows]))


@pytest.mark.parametrize(("models", "queries", "items"), [(1, 1, 1), (2, 3, 20)])
def test_few_queries_and_any_collection(models, queries, items):
    plots = list_plots(condition(NAMES[:models], queries, items))
    assert len(plots) == (6 if models > 1 else 4)
    for plot in plots:
        assert plot.render(("png",))["png"].startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [*HOSTILE, "half \ud800"])
@pytest.mark.parametrize("width", [0.3, 1.0, 2.5])
def test_names_fit(name, width):
    """What is left out is left out of the middle."""
    short = plots.fitting(name, width, 7)
    assert short
    assert "\n" not in short
    assert plots.text_width(short, 7) <= width or len(short) <= 3


def test_ids_keep_their_ends():
    names = {plots.fitting(f"videos/part-00/00017/frame-{i:03d}", 1.0, 7) for i in range(20)}
    assert len(names) == 20
    assert all(re.fullmatch(r"vid.*….*\d{3}", name) for name in names)
