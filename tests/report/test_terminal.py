"""The tables of a terminal: as wide as it is, best model first, with the letters of the report."""

import re
from dataclasses import replace

import numpy as np
import pytest
from builders import make_ranks
from builders import make_run as make_bare_run

from kis_bench.analysis.findings import Findings
from kis_bench.analysis.models import tiers
from kis_bench.files.text import count_cells, shorten_middle
from kis_bench.metrics import LEADING_MEASURES
from kis_bench.report.terminal import lay_out, summarise, summarise_ranks
from kis_bench.results.figures import metrics_table


def make_run(folder, *ranks):
    run = make_bare_run(folder, *ranks)
    return replace(run, metrics=metrics_table(run.ranks))


LONG = "vit-so400m-14-siglip-384"


def ranks_like(place, seed=0, n=60):
    return np.maximum(1, np.random.default_rng(seed).poisson(place, n))


@pytest.fixture
def run(tmp_path):
    """Three models on two label sets of two datasets; the first two can't be told apart."""
    near = ranks_like(3)
    return make_run(
        tmp_path,
        *(
            make_ranks(best, model=model, dataset=dataset, label_set=label_set)
            for dataset in ("openmoji", "photos-of-two-thousand")
            for label_set in ("short", "long")
            for model, best in (
                ("colour-words", ranks_like(5_000)),
                (LONG, near),
                ("demo", np.where(np.arange(60) == 0, near + 1, near)),
            )
        ),
    )


def test_the_table_fits_80_columns_and_wraps_nothing(run):
    lines = summarise_ranks(Findings(run)).splitlines()
    assert max(map(count_cells, lines)) <= 80
    head = lines[0].split()
    assert head[-7:] == ["R@1", "R@5", "R@10", "R@50", "R@100", "MRR", "median"]
    models = [line for line in lines if re.match("  [a-z]", line)]
    assert len(models) == 12
    assert {len(line) for line in models} == {len(lines[0])}


def test_the_best_model_stands_first_with_the_letters_of_the_report(run):
    findings = Findings(run)
    lines = summarise_ranks(findings).splitlines()
    first = lines.index("openmoji, short: 60 queries among 10,000 items") + 1
    shown = [line.split()[:2] for line in lines[first : first + 3]]
    letters = tiers(findings.comparisons["openmoji", "short"], *LEADING_MEASURES[0])
    assert shown == [
        [letters[model], cut]
        for model, cut in zip(letters, (LONG, "demo", "colour-words"), strict=True)
    ]
    assert [mark for mark, _ in shown] == ["a", "a", "b"]
    assert lines[-1].startswith("Models that share a letter can't be told apart by MRR")


def test_one_model_has_no_letter_and_no_note(tmp_path):
    run = make_run(tmp_path, make_ranks([1, 2, 30]))
    assert summarise(Findings(run)).splitlines() == [
        "R in %   R@1   R@5  R@10   R@50  R@100    MRR  median",
        "mine, short: 3 queries among 10,000 items",
        "  a     33.3  66.7  66.7  100.0  100.0  0.511       2",
    ]


def test_queries_that_share_targets_say_how_many_targets(tmp_path):
    rows = make_ranks([1, 2, 30]).assign(item_id=["i0", "i0", "i1"])
    assert "mine, short: 3 queries of 2 targets among" in summarise(
        Findings(make_run(tmp_path, rows))
    )


def test_names_give_way_before_columns_and_columns_in_their_order():
    head, cells = ("R@1", "R@5", "MRR"), ("10.0", "20.0", "0.100")
    groups = {"g": [("x" * 30 + "1", cells), ("x" * 30 + "2", cells)]}
    wide = lay_out("", head, groups, 80, may_go=["R@5"]).splitlines()
    assert wide[2].startswith("x" * 30 + "1")
    cut = lay_out("", head, groups, 40, may_go=["R@5"]).splitlines()
    assert max(map(len, cut)) <= 40
    assert "…" in cut[2]
    assert cut[2] != cut[3]
    assert "R@5" in cut[0]
    narrow = lay_out("", head, groups, 30, may_go=["R@5"]).splitlines()
    assert max(map(len, narrow)) <= 30
    assert "R@5" not in narrow[0]
    alike = {"g": [("x" * 15 + "1" + "x" * 15, cells), ("x" * 15 + "2" + "x" * 15, cells)]}
    assert len({*lay_out("", head, alike, 30).splitlines()[2:]}) == 2


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "\u202eleft", "日本語" * 9, "x" * 300])
def test_no_name_breaks_the_table(tmp_path, name):
    run = make_run(tmp_path, make_ranks([1, 2], model=name), make_ranks([2, 3], model="other"))
    lines = summarise(Findings(run)).splitlines()
    assert len(lines) == 5
    assert not re.search("[\x00-\x1f\u202e]", "".join(lines))
    assert len({count_cells(line) for line in (lines[0], lines[2], lines[3])}) == 1
    assert max(map(count_cells, lines)) <= 80


def test_figures_that_a_run_lacks_are_empty(tmp_path):
    run = make_run(tmp_path, make_ranks([1, 2]), make_ranks([1], model="b", label_set="long"))
    metrics = run.metrics[~((run.metrics["model"] == "b") & (run.metrics["metric"] == "mrr"))]
    shown = summarise(Findings(replace(run, metrics=metrics)))
    assert "nan" not in shown.lower()
    assert "<NA>" not in shown


def test_both_ends_of_a_name_stay():
    assert shorten_middle("abcdef", 6) == "abcdef"
    assert shorten_middle("abcdef", 4) == "ab…f"
    assert count_cells(shorten_middle("日本語日本語", 7)) <= 7


def test_without_comparisons_the_figures_are_shown_all_the_same(run, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError

    monkeypatch.setattr("kis_bench.analysis.findings.compare", fail)
    lines = summarise_ranks(Findings(run), tiered=False).splitlines()
    assert lines[2].split()[0] == LONG
    assert "share a letter" not in lines[-1]
