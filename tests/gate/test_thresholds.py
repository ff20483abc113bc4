"""thresholds.toml: what is read, what it matches, what it says of a figure, and how one is written."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import make_ranks
from hypothesis import given
from hypothesis import strategies as st

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.gate.threshold_writing import USUAL, Margin, write_thresholds
from kis_bench.gate.thresholds import (
    Threshold,
    check,
    index_figures,
    list_measures,
    read_thresholds,
    unmatchable,
    wrong_metric,
)
from kis_bench.gate.verdicts import Cell, Figure
from kis_bench.results.figures import metrics_table
from kis_bench.results.folder import run_of

CELL = Cell("siglip", "mvk", "long")
STUDY = Cell("siglip", "reset", "")
GOOD = """
[[threshold]]
dataset = "mvk"
label_set = "long"
model = "*siglip*"
metric = "recall@10"
min = 0.45

[[threshold]] # for all
metric = "median_rank"
max = 30
"""


def write(folder, text):
    file = folder / "thresholds.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_is_read_with_its_lines(tmp_path):
    first, second = read_thresholds(write(tmp_path, GOOD))
    assert first == Threshold(
        "recall@10", "mvk", "long", "*siglip*", min=0.45, file="thresholds.toml", place="line 2"
    )
    assert second == Threshold("median_rank", max=30, file="thresholds.toml", place="line 9")
    assert (first.source, second.expected) == ("thresholds.toml, line 2", "at most 30")


def test_inline_tables_have_numbers_in_place_of_lines(tmp_path):
    file = write(tmp_path, 'threshold = [{metric = "mrr", min = 0.1}, {metric = "mrr", max = 0.9}]')
    assert [one.place for one in read_thresholds(file)] == ["[[threshold]] 1", "[[threshold]] 2"]
    file = write(tmp_path, 'threshold = [{metric = "mrr", min = 0.1}, {metrc = "mrr", max = 0.9}]')
    with pytest.raises(
        BadFile, match=r"\[\[threshold\]\] 2: unknown key 'metrc': did you mean metric?"
    ):
        read_thresholds(file)


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        (6, 'metrc = "recall@10"', "line 6: unknown key 'metrc': did you mean metric?"),
        (6, 'metric = "recal@10"', "line 6: unknown metric 'recal@10': did you mean recall@K"),
        (
            6,
            'metric = "recall"',
            "line 6: metric 'recall': write recall with its cut-off, such as recall@10",
        ),
        (6, 'metric = "recall@0"', "line 6: metric 'recall@0': write recall"),
        (6, 'metric = "recall@010"', "line 6: metric 'recall@010': write recall"),
        (
            6,
            'metric = "median_rnak"',
            "line 6: unknown metric 'median_rnak': did you mean median_rank",
        ),
        (6, "metric = 10", "line 6: metric is not a text in quotes"),
        (6, "", "line 2: metric is missing"),
        (7, "min = 45", "line 7: min = 45: recall@10 is a share from 0 to 1; 0.45?"),
        (7, 'min = "0.45"', "line 7: min = '0.45' is not a number"),
        (7, "min = true", "line 7: min = True is not a number"),
        (7, "min = nan", "line 7: min = nan is not a number"),
        (7, "min = inf", "line 7: min = inf is not a number"),
        (7, "", "line 2: neither min nor max is given, so recall@10 may be anything"),
        (7, "min = 0.5\nmax = 0.4", "line 7: min 0.5 is above max 0.4"),
        (7, 'min = 0.4\non = "ci-low"', "line 8: unknown bound 'ci-low': did you mean ci_low"),
        (11, "max = 0", "line 11: max = 0: ranks count from 1"),
        (5, "model = 3", "line 5: model is not a text in quotes"),
        (5, 'model = ["a"]', "line 5: model is not a text in quotes"),
        (5, 'modell = "a"', "line 5: unknown key 'modell': did you mean model?"),
        (2, "[[treshold]]", "unknown key 'treshold': did you mean threshold?"),
        (2, "[threshold]", "thresholds.toml:"),
        (7, "min = ", "line 7"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, line, instead, said):
    lines = GOOD.splitlines()
    lines[line - 1] = instead
    file = write(tmp_path, "\n".join(lines))
    with pytest.raises(BadFile) as caught:
        read_thresholds(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_all_problems_are_told_at_once(tmp_path):
    text = GOOD.replace("min = 0.45", "min = 45").replace("max = 30", "max = 0")
    with pytest.raises(BadFile) as caught:
        read_thresholds(write(tmp_path, text))
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("text", ["", "# nothing\n", "threshold = []\n"])
def test_a_file_without_thresholds_checks_nothing_and_is_refused(tmp_path, text):
    with pytest.raises(BadFile, match="nothing would be checked"):
        read_thresholds(write(tmp_path, text))


def test_a_mark_in_front_of_a_file_of_windows_is_no_part_of_it(tmp_path):
    file = tmp_path / "thresholds.toml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert len(read_thresholds(file)) == 2


@pytest.mark.parametrize("zeros", [400, 5_000])
def test_numbers_that_no_figure_can_be(tmp_path, zeros):
    with pytest.raises(BadFile):
        read_thresholds(write(tmp_path, GOOD.replace("max = 30", "max = 1" + "0" * zeros)))
    with pytest.raises(BadFile, match="write recall with its cut-off"):
        read_thresholds(write(tmp_path, GOOD.replace("recall@10", "recall@1" + "0" * 20)))


@pytest.mark.parametrize("content", [b"\xff\xfe", b'[[threshold]]\nmetric = "\xe9"\n'])
def test_a_file_that_is_no_text_is_refused(tmp_path, content):
    file = tmp_path / "thresholds.toml"
    file.write_bytes(content)
    with pytest.raises(BadFile, match="thresholds.toml"):
        read_thresholds(file)
    with pytest.raises(BadFile, match="can't be read"):
        read_thresholds(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("model", "siglip", True),
        ("model", "*", True),
        ("model", "sig*", True),
        ("model", "sig", False),
        ("model", "SIGLIP", False),
        ("dataset", "m?k", True),
        ("dataset", "lsc", False),
        ("label_set", "[ls]*", True),
        ("label_set", "short", False),
    ],
)
def test_patterns(pattern, value, matches):
    assert Threshold("mrr", min=0.1, **{pattern: value}).matches(CELL) == matches


@pytest.mark.parametrize(
    ("on", "limits", "ok"),
    [
        ("value", {"min": 0.5}, True),
        ("value", {"min": 0.51}, False),
        ("value", {"max": 0.5}, True),
        ("value", {"max": 0.49}, False),
        ("ci_low", {"min": 0.4}, True),
        ("ci_low", {"min": 0.41}, False),
        ("ci_high", {"max": 0.6}, True),
        ("ci_high", {"max": 0.59}, False),
        ("value", {"min": 0.4, "max": 0.6}, True),
    ],
)
def test_the_value_or_the_end_of_its_interval_has_to_keep_the_limit(on, limits, ok):
    threshold = Threshold("recall@10", on=on, **limits)
    (row,) = check([threshold], CELL, {"recall@10": Figure(0.5, 0.4, 0.6)})
    assert row["verdict"] == ("pass" if ok else "fail")
    assert (row["obtained"], row["ci_low"], row["ci_high"]) == (0.5, 0.4, 0.6)


@pytest.mark.parametrize("on", ["value", "ci_low", "ci_high"])
def test_a_figure_that_nobody_knows_never_passes(on):
    (row,) = check(
        [Threshold("consistency", min=0.0, on=on)], STUDY, {"consistency": Figure(math.nan)}
    )
    assert (row["verdict"], row["obtained"]) == ("fail", None)


def test_a_cell_without_the_metric_is_not_judged():
    assert check([Threshold("group_recall@10", min=0.1)], CELL, {"recall@10": Figure(0.5)}) == []


def test_names_that_nothing_has_are_found_and_what_is_not_here_is_left_open():
    datasets = {"mvk": {"short", "long"}, "lsc": None, "reset": {""}}
    models = ["siglip", "clip"]

    def wrong(**parts):
        return unmatchable([Threshold("mrr", min=0, place="line 3", **parts)], datasets, models)

    assert wrong() == wrong(dataset="lsc", label_set="anything") == []
    assert wrong(dataset="r*", label_set="") == [
        "line 3: mrr is of queries, which reset has none of"
    ]
    judged = Threshold("consistency", min=0, place="line 4", dataset="mvk")
    assert unmatchable([judged], datasets, models) == [
        "line 4: consistency is of judgments, which mvk has none of"
    ]
    assert unmatchable([Threshold("consistency", min=0, dataset="reset")], datasets, models) == []
    extractor = Threshold("consistency", min=0, place="line 5", dataset="lsc", model="of-a-study")
    assert unmatchable([extractor], datasets, models, ["lsc"]) == []
    assert len(unmatchable([extractor], datasets, models)) == 1
    assert wrong(dataset="mvkk") == [
        "line 3: unknown dataset 'mvkk': did you mean mvk? known are lsc, mvk, reset"
    ]
    assert wrong(model="sigclip")[0].startswith(
        "line 3: unknown model 'sigclip': did you mean siglip or clip?"
    )
    assert wrong(dataset="mvk", label_set="lnog") == [
        "line 3: unknown label set 'lnog': did you mean long? known are long, short in mvk"
    ]
    assert len(wrong(dataset="x*", model="y*")) == 2


def measured(ranks=None):
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 300, 80) if ranks is None else np.asarray(ranks)
    return make_ranks(ranks, model="clip", dataset="mvk", label_set="long", n_items=300)


def test_any_cut_off_is_measured_when_a_threshold_asks_for_it():
    thresholds = [Threshold("recall@7", min=0.0), Threshold("mrr", min=0.0)]
    assert ("recall", 7) in list_measures(thresholds)
    ranks = measured()
    figures = index_figures(metrics_table(ranks, list_measures(thresholds)))
    assert figures["recall@7"].value == pytest.approx((ranks["rank"] <= 7).mean())
    assert {"recall@10", "mrr", "median_rank"} <= set(figures)


@pytest.mark.parametrize("margin", ["0.02", "5%", "interval", "0", "0%"])
def test_a_run_keeps_the_thresholds_that_were_written_from_it(tmp_path, margin):
    ranks = measured()
    run = run_of(Path("runs/this"), {}, ranks=ranks, metrics=metrics_table(ranks))
    file = tmp_path / "t.toml"
    n = write_thresholds(run, file, Margin(margin))
    thresholds = read_thresholds(file)
    ranked = [one for one in thresholds if one.metric == "median_rank"]
    assert len(ranked) == (margin not in ("0.02", "0"))  # a share says nothing of ranks
    assert n == len(thresholds) >= 3
    assert all(one.max or one.min for one in thresholds)  # none that nothing could miss
    rows = check(thresholds, Cell("clip", "mvk", "long"), index_figures(run.metrics))
    assert [row["verdict"] for row in rows] == ["pass"] * n
    half = index_figures(metrics_table(measured(ranks["rank"] * 2)))
    assert "fail" in {
        row["verdict"] for row in check(thresholds, Cell("clip", "mvk", "long"), half)
    }


def test_names_that_look_like_patterns_match_only_themselves(tmp_path):
    ranks = measured().assign(model="a[1]*", dataset='q"uote', label_set="öl\\")
    file = tmp_path / "t.toml"
    write_thresholds(
        run_of(Path("r"), {}, metrics=metrics_table(ranks)), file, Margin("5%"), ["mrr"]
    )
    (one,) = read_thresholds(file)
    assert one.matches(Cell("a[1]*", 'q"uote', "öl\\"))
    assert not one.matches(Cell("a1x", 'q"uote', "öl\\"))


@pytest.mark.parametrize(
    ("margin", "metrics", "said"),
    [
        ("x", [], "--margin x: write a share"),
        ("1.5", [], "--margin 1.5"),
        ("-1%", [], "--margin"),
        ("nan", [], "--margin"),
        ("0.1", ["median_rank"], "a rank needs a margin in percent, or interval"),
        ("5%", ["recall@7"], "unknown metric 'recall@7'"),
        ("5%", ["recal@1"], "unknown metric 'recal@1'"),
        ("5%", ["group_recall@1"], "has nothing of group_recall@1"),
    ],
)
def test_margins_and_metrics_that_mean_nothing(tmp_path, margin, metrics, said):
    run = run_of(Path("r"), {}, metrics=metrics_table(measured()))
    with pytest.raises(KisBenchError) as caught:
        write_thresholds(run, tmp_path / "t.toml", Margin(margin), metrics)
    assert said in str(caught.value)
    assert not (tmp_path / "t.toml").exists()


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["recall@10", "mrr", "consistency", "median_rank"]),
)
def test_a_limit_never_excludes_the_figure_that_it_was_made_of(value, size, metric):
    value = 1 + 1000 * value if metric == "median_rank" else value
    figure = Figure(value, value * 0.9, value * 1.1)
    for text in (f"{size:.6f}", f"{100 * size:.6f}%", "interval"):
        limit = Margin(text).limit(metric, figure)
        if limit is None:
            assert metric == "median_rank" or value * (1 - size) < 0.001 or value - size < 0.001
            continue
        kind, bound = limit
        assert (
            (kind, bound >= value) == ("max", True)
            if metric == "median_rank"
            else (kind, bound <= value + 1e-12) == ("min", True)
        )


def test_every_metric_of_the_usual_ones_is_known():
    assert not any(map(wrong_metric, USUAL))


def ranks_of(best, worst, **others):
    table = {
        "query_id": [f"q{i}" for i in range(len(best))],
        "rank_best": best,
        "rank_worst": worst,
        **others,
    }
    table["rank"] = [(a + b) / 2 for a, b in zip(best, worst, strict=True)]
    return pd.DataFrame(table)


@pytest.mark.parametrize(
    ("limits", "figure", "queries"),
    [
        (("recall@1", {"min": 0.9}), 0.4, ("q3: rank 40", "q4: rank 12", "q1: rank 2.5")),
        (("recall@10", {"min": 0.9}), 0.6, ("q3: rank 40", "q4: rank 12")),
        (
            ("recall@3", {"min": 0.9}),
            0.5,
            ("q3: rank 40", "q4: rank 12", "q1: rank 2.5"),
        ),  # 1 to 4: not surely
        (("mrr", {"min": 0.9}), 0.5, ("q3: rank 40", "q4: rank 12", "q1: rank 2.5")),
        (("median_rank", {"max": 2}), 2.5, ("q3: rank 40", "q4: rank 12", "q1: rank 2.5")),
        (("segment_recall@1", {"min": 0.9}), 0.5, ("q4: rank 3",)),
        (("segment_median_rank", {"max": 2}), 2.5, ("q4: rank 3",)),
        (("recall@1", {"min": 0.3}), 0.4, ()),  # it passes
        (("recall@1", {"max": 0.3}), 0.4, ()),  # too good: no query is to blame
        (("median_rank", {"min": 5}), 2.5, ()),
    ],
)
def test_the_worst_queries_are_named(limits, figure, queries):
    metric, ends = limits
    nan = float("nan")
    segment = {
        name: [1, nan, 1, 1, 3]
        for name in ("segment_rank", "segment_rank_best", "segment_rank_worst")
    }
    table = ranks_of([1, 1, 1, 40, 12], [1, 4, 1, 40, 12], **segment)
    (row,) = check([Threshold(metric, **ends)], CELL, {metric: Figure(figure)}, table)
    assert (row["queries"], row["n_queries"]) == (queries, len(queries))


def test_figures_of_judgments_name_no_queries():
    (row,) = check(
        [Threshold("consistency", min=0.9)],
        CELL._replace(label_set=""),
        {"consistency": Figure(0.5)},
    )
    assert (row["verdict"], row["queries"]) == ("fail", ())
