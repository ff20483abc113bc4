"""Paired comparison with a baseline: planted losses are found and named, noise alone is not."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import make_ranks, make_run
from scipy import stats

from kis_bench.analysis import models
from kis_bench.errors import KisBenchError
from kis_bench.gate.baselines import select_part
from kis_bench.gate.gate import Gate
from kis_bench.gate.rules import TESTED, Rules, compare_cells, significance, what_changed
from kis_bench.gate.verdicts import LISTED, MOST_QUERIES_NAMED, Cell, listing, told

CELL = Cell("a", "mine", "short")


def ranks_of(ranks, model="a", label_set="short", worst=None):
    return make_ranks(ranks, worst, model=model, label_set=label_set, text="")


def run(*ranks, judgments=None, **about):
    judged = () if judgments is None else (judgments,)
    return make_run(Path("reports/one"), *ranks, judgments=judged, **about)


def drawn(rng, q, spread=0.8):
    """Ranks of two runs of one model that differ by resampling noise only, exchangeable, and where they came from."""
    level = rng.normal(2.5, 1.8, q)
    return [
        np.clip(np.exp(level + rng.normal(0, spread, q)).astype(int) + 1, 1, 9_999)
        for _ in range(2)
    ]


def by(rows, **wanted):
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cells", "alpha", "runs"), [(1, 0.05, 400), (3, 0.05, 120), (1, 0.2, 120)]
)
def test_noise_alone_fails_at_most_at_the_declared_rate(cells, alpha, runs, monkeypatch):
    """Many runs of a model against itself under resampling noise; a run fails if any of its cells does.

    With fewer sign flips and resamples than in earnest, which is as honest and twenty times faster.
    """
    quick = partial(models.compare, resamples=50, permutations=2_000)
    monkeypatch.setattr("kis_bench.analysis.runs.compare", quick)
    rng = np.random.default_rng(cells)
    rules, failed = Rules(alpha=alpha), 0
    for _ in range(runs):
        for part in range(cells):
            # The first cell that fails ends the run, as it would under -x; the others are drawn all the same.
            old, new = drawn(rng, 50 + 25 * part)
            cell = Cell("a", "mine", f"set-{part}")
            pair = (run(ranks_of(each, label_set=cell.label_set)) for each in (old, new))
            if by(compare_cells(*pair, cell, rules, cells), verdict="fail"):
                failed += 1
                break
    print(f"\n{cells} cells, alpha {alpha}: {failed} of {runs} runs failed")
    most = stats.binom.ppf(0.999, runs, alpha)
    assert failed <= most, f"{failed} of {runs} runs failed, at most {most:.0f} should have"
    assert (
        failed > 0
    )  # else the test couldn't fail either: the rule has to use the rate that it is given


@pytest.mark.parametrize(
    ("strength", "share", "fails"),
    [
        (1.0, 0.0, False),
        (1.5, 0.015, False),
        (30.0, 0.2, True),
        (300.0, 0.1, True),
        (1000.0, 0.3, True),
    ],
)
def test_a_planted_loss_is_found_when_it_should_and_its_queries_are_named(strength, share, fails):
    rng = np.random.default_rng(5)
    old = rng.integers(1, 30, 200)
    chosen = rng.choice(200, int(share * 200), replace=False)
    new = old.copy()
    new[chosen] = np.minimum(new[chosen] * strength, 9_999).astype(int)

    rows = compare_cells(run(ranks_of(old)), run(ranks_of(new)), CELL, Rules(), 1)

    failed = by(rows, verdict="fail")
    assert bool(failed) == fails
    for row in failed:
        named = {one.split(":")[0] for one in row["queries"]}
        k = None if row["metric"] == "mrr" else int(row["metric"].partition("@")[2])
        assert named == {
            f"q{i:03d}" for i in chosen if new[i] > old[i] and (k is None or old[i] <= k < new[i])
        }
        first = int(row["queries"][0][1:4])
        assert row["queries"][0] == f"q{first:03d}: {old[first]:,} → {new[first]:,}"


def test_a_gain_never_fails():
    old = np.random.default_rng(1).integers(20, 500, 100)
    rows = compare_cells(
        run(ranks_of(old)),
        run(ranks_of(np.ones(100, int))),
        CELL,
        Rules(tolerance=0, query_factor=1),
        1,
    )
    assert {row["verdict"] for row in rows} == {"pass"}
    assert {row["metric"] for row in rows} == {*TESTED, "rank"} - {"consistency"}


def test_the_p_value_is_one_sided_adjusted_over_measures_and_cells():
    """40 queries drop out of the first ten, none comes in: by hand."""
    old, new = np.full(100, 3), np.full(100, 3)
    new[:8] = 200
    rules = Rules(measures=("recall@10", "recall@100"))
    rows = compare_cells(run(ranks_of(old)), run(ranks_of(new)), CELL, rules, 7)
    one_sided = 0.5**8
    assert [row["p"] for row in rows] == pytest.approx([min(1, one_sided * 2 * 7)] * 2)
    assert {row["verdict"] for row in rows} == {"fail" if one_sided * 14 < 0.05 else "pass"}
    lenient = compare_cells(run(ranks_of(old)), run(ranks_of(new)), CELL, rules, 1)
    assert {row["verdict"] for row in lenient} == {"fail"}


@pytest.mark.parametrize(
    ("tolerance", "verdict"), [(0.0, "fail"), (0.019, "fail"), (0.02, "pass"), (0.5, "pass")]
)
def test_tolerance_holds_also_where_the_loss_may_be_noise(tolerance, verdict):
    old, new = np.full(100, 3), np.full(100, 3)
    new[:2] = 50
    rows = compare_cells(
        run(ranks_of(old)), run(ranks_of(new)), CELL, Rules(tolerance=tolerance), 1
    )
    assert {row["verdict"] for row in by(rows, rule="significance")} == {"pass"}
    assert by(rows, rule="tolerance", metric="recall@10")[0]["verdict"] == verdict


@pytest.mark.parametrize(
    ("factor", "named"),
    [(70.6, ("q007: 3 → 212",)), (70.7, ()), (1.5, ("q007: 3 → 212", "q009: 3 → 6"))],
)
def test_a_query_that_falls_too_far_is_named(factor, named):
    old, new = np.full(100, 3), np.full(100, 3)
    new[[7, 9, 11]] = 212, 6, 1
    rows = compare_cells(
        run(ranks_of(old)), run(ranks_of(new)), CELL, Rules(query_factor=factor), 1
    )
    row = by(rows, rule="query factor")[0]
    assert (row["verdict"], row["queries"]) == ("fail" if named else "pass", named)
    assert row["obtained"] == pytest.approx(212 / 3)


@pytest.mark.parametrize(
    ("drift", "named"),
    [
        ("0", ("q004: 400 → 404", "q002: 3 → 1")),
        ("2", ("q004: 400 → 404",)),
        ("3.9", ("q004: 400 → 404",)),
        ("4", ()),
        ("1%", ("q002: 3 → 1",)),
        ("0.5%", ("q004: 400 → 404", "q002: 3 → 1")),
        ("100%", ()),
    ],
)
def test_exact_mode_finds_any_rank_that_differs(drift, named):
    old = np.array([1, 2, 3, 50, 400])
    new = np.array([1, 2, 1, 50, 404])
    rows = compare_cells(
        run(ranks_of(old)), run(ranks_of(new)), CELL, Rules(exact=True, drift=drift), 1
    )
    assert len(rows) == 1
    assert (rows[0]["verdict"], rows[0]["queries"]) == ("fail" if named else "pass", named)
    assert rows[0]["obtained"] == 4


def test_exact_mode_sees_ties_that_came_or_went():
    old, new = ranks_of([2, 5], worst=[2, 5]), ranks_of([1, 5], worst=[3, 5])
    assert (old["rank"] == new["rank"]).all()
    (row,) = compare_cells(run(old), run(new), CELL, Rules(exact=True), 1)
    assert row["verdict"] == "fail"


def judgments(agreement, model="a"):
    n = len(agreement)
    return pd.DataFrame(
        {
            "model": model,
            "dataset": "study",
            "judgement_id": [f"j{i}" for i in range(n)],
            "triplet_id": [f"t{i // 2}" for i in range(n)],
            "user_id": [f"u{i % 7}" for i in range(n)],
            "agreement": np.asarray(agreement, float),
            "margin": 0.1,
        }
    )


def test_agreement_with_people_is_compared_too():
    rng = np.random.default_rng(2)
    old = rng.random(600) < 0.8
    new = old & (rng.random(600) < 0.7)
    cell = Cell("a", "study", "")
    pair = run(judgments=judgments(old)), run(judgments=judgments(new))
    (row,) = compare_cells(*pair, cell, Rules(), 1)
    assert (row["metric"], row["rule"], row["verdict"]) == ("consistency", "significance", "fail")
    assert row["obtained"] == pytest.approx(new.mean())
    (same,) = compare_cells(pair[0], pair[0], cell, Rules(), 1)
    assert same["verdict"] == "pass"
    (differing,) = compare_cells(*pair, cell, Rules(exact=True), 1)
    assert differing["verdict"] == "fail"
    assert differing["obtained"] == (old != new).sum()
    assert differing["queries"][0] == f"j{np.flatnonzero(old != new)[0]}"


def test_judgments_that_only_one_run_has_are_found_in_exact_mode():
    cell = Cell("a", "study", "")
    (row,) = compare_cells(
        run(judgments=judgments([1, 0, 1])),
        run(judgments=judgments([1, 0])),
        cell,
        Rules(exact=True),
        1,
    )
    assert (row["verdict"], row["queries"]) == ("fail", ("j2",))


def test_an_incumbent_stands_for_all_models():
    rng = np.random.default_rng(3)
    good, bad = rng.integers(1, 20, 100), rng.integers(300, 900, 100)
    baseline = run(ranks_of(good, "incumbent"), ranks_of(bad, "other"))
    new = run(ranks_of(bad, "candidate"))
    cell = Cell("candidate", "mine", "short")
    (alone,) = compare_cells(baseline, new, cell, Rules(), 1)
    assert alone["verdict"] == "not compared"
    rows = compare_cells(baseline, new, cell, Rules(incumbent="incumbent"), 1)
    assert by(rows, metric="recall@10")[0]["verdict"] == "fail"
    rows = compare_cells(baseline, new, cell, Rules(incumbent="other"), 1)
    assert {row["verdict"] for row in rows} == {"pass"}


def test_another_dataset_or_query_set_is_no_baseline():
    old = run(
        ranks_of([1, 2, 3]),
        datasets={"mine": {"fingerprint": "x", "n_items": 10, "contents": {"pictures": "p"}}},
    )
    new = run(
        ranks_of([1, 2, 3, 4]),
        datasets={"mine": {"fingerprint": "y", "n_items": 11, "contents": {"pictures": "r"}}},
    )
    (row,) = compare_cells(old, new, CELL, Rules(), 1)
    assert row["verdict"] == "unusable"
    assert "n_items 10 and 11, other pictures" in row["expected"]
    assert "1 only in the new run: q003" in row["expected"]


def test_other_similarity_of_images_is_no_baseline():
    def of(rule):
        return run(
            judgments=judgments([1, 0]),
            datasets={"study": {"fingerprint": "x", "image_similarity": rule}},
        )

    (row,) = compare_cells(of("mean"), of("max"), Cell("a", "study", ""), Rules(), 1)
    assert row["verdict"] == "unusable"
    assert "--kis-image-similarity mean, this run with max" in row["expected"]


def test_what_changed_is_told_of_this_model_only():
    old = run(
        ranks_of([1]),
        ranks_of([1], "b"),
        versions={"torch": "2.4", "numpy": "2.0"},
        command=["pytest"],
    )
    new = run(ranks_of([1]), versions={"torch": "2.5", "numpy": "2.0"})
    new.provenance["models"]["a"]["key"] = "a-2"
    assert what_changed(old, new, CELL, Rules()) == [
        "model a key: a-fp32 → a-2",
        "torch: 2.4 → 2.5",
    ]
    old.provenance["git"] = {"commit": "abc", "dirty": False}
    new.provenance["git"] = {"commit": "def", "dirty": True}
    assert what_changed(old, new, CELL, Rules())[-1] == "git commit: abc → def"


def test_what_changed_compares_with_the_incumbent():
    old, new = run(ranks_of([1], "old")), run(ranks_of([1]))
    assert what_changed(old, new, CELL, Rules(incumbent="old")) == [
        "model a key: old-fp32 → a-fp32"
    ]


def test_what_changed_says_how_a_model_was_run():
    """Device, precision and threads as used: vectors may differ in the last bits, or more, for no other reason."""
    old, new = run(ranks_of([1])), run(ranks_of([1]))
    old.provenance["models"]["a"] |= {"device": "cpu", "precision": "fp32", "threads": 2}
    new.provenance["models"]["a"] |= {"device": "cuda:0", "precision": "bf16", "threads": 4}
    assert what_changed(old, new, CELL, Rules()) == [
        "model a device: cpu → cuda:0",
        "model a precision: fp32 → bf16",
        "model a threads: 2 → 4",
    ]


def test_what_changed_names_no_folders():
    old, new = run(ranks_of([1])), run(ranks_of([1]))
    old.provenance["models"]["a"]["source"] = "openclip:local-dir:/home/me/ours"
    new.provenance["models"]["a"]["source"] = "openclip:local-dir:ours"  # as under privacy
    assert what_changed(old, new, CELL, Rules()) == []
    new.provenance["models"]["a"]["source"] = "openclip:local-dir:/home/you/theirs"
    assert what_changed(old, new, CELL, Rules()) == [
        "model a source: openclip.ours → openclip.theirs"
    ]


def test_what_changed_is_told_outside_of_a_repository_too():
    old = run(ranks_of([1]), git={"commit": "abc"}, versions={"torch": "2.4", "timm": "1"})
    new = run(ranks_of([1]), git=None, versions={"torch": "2.4", "lavis": "2"})
    assert what_changed(old, new, CELL, Rules()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": 0},
        {"alpha": 1},
        {"alpha": float("nan")},
        {"tolerance": -0.1},
        {"tolerance": 2},
        {"query_factor": 0.5},
        {"query_factor": float("nan")},
        {"drift": "-1"},
        {"drift": "a"},
        {"drift": ""},
        {"measures": ("recall@7",)},
    ],
)
def test_rules_that_mean_nothing_are_refused(wrong):
    name = "gate-metric" if "measures" in wrong else next(iter(wrong)).replace("_", "-")
    with pytest.raises(KisBenchError, match=f"--kis-{name}"):
        Rules(**wrong)


def test_a_gate_adjusts_for_the_cells_that_it_compares():
    baseline = run(
        ranks_of([1, 2]), ranks_of([1, 2], label_set="long"), judgments=judgments([1, 0])
    )
    gate = Gate(
        (),
        baseline,
        Rules(),
        selected=[
            ("a", "mine", "short"),
            ("a", "mine", "long"),
            ("a", "study", ""),
            ("b", "mine", "short"),
            ("a", "other", "short"),
            ("a", "mine", None),
        ],
    )
    assert gate.cells == 3


def test_part_of_a_run_has_the_provenance_of_that_part():
    part = select_part(run(ranks_of([1]), ranks_of([2], "b")), ["b"], ["mine"])
    assert set(part.ranks["model"]) == {"b"}
    assert set(part.provenance["models"]) == {"b"}


def test_a_cell_has_only_the_measures_of_its_kind():
    """Else choosing one of the others would fail every cell that can't have it."""
    ranked = run(ranks_of([1, 2])), run(ranks_of([1, 9]))
    judged = run(judgments=judgments([1, 0])), run(judgments=judgments([1, 0]))
    study = Cell("a", "study", "")
    of_judgments, of_ranks = (
        Rules(measures=("consistency",), tolerance=0.0),
        Rules(measures=("mrr",), tolerance=0.0),
    )
    assert (
        compare_cells(*ranked, CELL, of_judgments, 1)
        == compare_cells(*judged, study, of_ranks, 1)
        == []
    )
    assert {row["metric"] for row in compare_cells(*ranked, CELL, of_ranks, 1)} == {"mrr"}
    assert {row["metric"] for row in compare_cells(*judged, study, of_judgments, 1)} == {
        "consistency"
    }
    only_queries = Rules(measures=("consistency",), query_factor=2)
    assert [row["rule"] for row in compare_cells(*ranked, CELL, only_queries, 1)] == [
        "query factor"
    ]


def test_a_figure_without_a_test_is_not_compared():
    figures = pd.DataFrame(
        [
            {
                "metric": "consistency",
                "k": None,
                "old": 0.9,
                "new": 0.1,
                "difference": -0.8,
                "p": np.nan,
            }
        ]
    )
    (row,) = significance(figures, lambda *_: [], Cell("a", "study", ""), Rules(), "base", 1)
    assert (row["verdict"], row["p"], row["obtained"]) == ("not compared", None, 0.1)
    assert row["expected"] == "not below 90.0% beyond noise, for which there is no test"


def test_the_queries_named_are_those_by_which_the_measure_fell():
    """By hand: 14 queries leave first place but stay among the first ten; ten others fall far behind the 50th."""
    old = np.repeat([1, 60, 7, 2], [14, 10, 50, 26])
    new = old.copy()
    new[:14], new[14:24] = np.arange(2, 9).repeat(2), 9_000

    rows = compare_cells(
        run(ranks_of(old)), run(ranks_of(new)), CELL, Rules(tolerance=0.05, query_factor=3), 1
    )

    left = {f"q{i:03d}: 1 → {new[i]}" for i in range(14)}
    far = {f"q{i:03d}: 60 → 9,000" for i in range(14, 24)}
    for rule in ("significance", "tolerance"):
        assert {*by(rows, rule=rule, metric="recall@1")[0]["queries"]} == left
        assert by(rows, rule=rule, metric="recall@1")[0]["queries"][0] == "q012: 1 → 8"
        assert {*by(rows, rule=rule, metric="recall@100")[0]["queries"]} == far
        assert by(rows, rule=rule, metric="recall@10")[0]["queries"] == ()  # it did not fail
        mrr = by(rows, rule=rule, metric="mrr")[0]["queries"]
        assert {*mrr[:14]} == left  # 7/8 of a reciprocal rank is more than all of 1/60
        assert {*mrr[14:]} == far
    assert {*by(rows, rule="query factor")[0]["queries"]} == far | {
        one for one in left if int(one[-1]) > 3
    }


def test_of_ties_the_part_that_was_lost_counts():
    """Ranks 1 to 4 tie with chance 1/4 of first place: less is lost by them than by who falls from 1 to 3."""
    old, new = [1] * 30, [1] * 8 + [3] * 11 + [1] * 11
    worst = [1] * 19 + [4] * 11
    rows = compare_cells(
        run(ranks_of(old)), run(ranks_of(new, worst=np.maximum(new, worst))), CELL, Rules(), 1
    )
    names = by(rows, metric="recall@1")[0]["queries"]
    assert list(names) == [
        *(f"q{i:03d}: 1 → 3" for i in range(8, 19)),
        *(f"q{i:03d}: 1 → 2.5" for i in range(19, 30)),
    ]


def test_judgments_that_are_no_longer_agreed_with_are_named():
    old, new = np.ones(600), np.ones(600)
    new[100:200], old[50:60] = 0, 0
    new[150] = 0.5  # now a tie
    pair = (run(judgments=judgments(each)) for each in (old, new))
    (row,) = compare_cells(*pair, Cell("a", "study", ""), Rules(), 1)
    assert row["verdict"] == "fail"
    assert row["n_queries"] == len(row["queries"]) == 100
    assert row["queries"][0] == "j100: 1 → 0"
    assert row["queries"][-1] == "j150: 1 → 0.5"
    assert listing(row).startswith(
        "worst of the 100 judgments no longer agreed with: j100: 1 → 0; j101"
    )


@pytest.mark.parametrize(
    "n", [1, 2, MOST_QUERIES_NAMED, MOST_QUERIES_NAMED + 1, 24, LISTED, LISTED + 1]
)
def test_queries_are_counted_not_read_from_a_sentence(n):
    """Whatever their ids are: one may look like what a sentence says, or hold its separator."""
    ids = [f"a; and {i} more" for i in range(n)]
    old, new = (
        ranks_of(ranks).assign(query_id=[*ids, "last"]) for ranks in ([3] * (n + 1), [40] * n + [3])
    )
    (failed,) = by(
        compare_cells(run(old), run(new), CELL, Rules(query_factor=2), 1), rule="query factor"
    )
    assert (failed["n_queries"], len(failed["queries"])) == (n, min(n, LISTED))
    said = listing(failed)
    plural = "query" if n == 1 else "queries"
    assert said.startswith(
        f"{n} {plural} that" if n <= MOST_QUERIES_NAMED else f"worst of the {n} {plural} that"
    )
    assert said.count("3 → 40") == min(n, MOST_QUERIES_NAMED)


@pytest.mark.parametrize(
    ("shift", "said"), [(0.0, False), (6e-7, True), (3e-6, True), (1e-4, False), (np.nan, False)]
)
def test_exact_mode_says_so_where_scores_differ_by_rounding_only(shift, said):
    scores = np.linspace(0.2, 0.4, 5)
    old = ranks_of([1, 2, 3, 50, 400]).assign(target_score=scores.astype(np.float32))
    new = ranks_of([1, 2, 3, 51, 398]).assign(target_score=(scores - shift).astype(np.float32))
    (row,) = compare_cells(run(old), run(new), CELL, Rules(exact=True), 1)
    assert row["verdict"] == "fail"
    assert ("differ in their last bits only" in row["remark"]) == said
    assert ("--kis-drift 2 would let all of them pass" in row["remark"]) == said
    assert (row["remark"] in told([row])) == said
    (row,) = compare_cells(run(old), run(new), CELL, Rules(exact=True, drift="2"), 1)
    assert (row["verdict"], row["remark"]) == ("pass", "")


def test_exact_mode_says_so_of_judgments_where_their_margins_are_known():
    old, new = judgments([1, 0, 1]), judgments([1, 1, 1])
    cell = Cell("a", "study", "")
    for shift, said in ((3e-7, True), (0.01, False), (np.nan, False)):
        pair = run(judgments=old), run(judgments=new.assign(margin=0.1 + shift))
        (row,) = compare_cells(*pair, cell, Rules(exact=True), 1)
        assert ("last bits only" in row["remark"]) == said
