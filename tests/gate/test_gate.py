"""Whether everything that a session was asked for came before its gate."""

import pytest
from test_rules import judgments, ranks_of, run

from kis_bench.gate.gate import Gate
from kis_bench.gate.rules import Rules
from kis_bench.gate.thresholds import Threshold
from kis_bench.gate.verdicts import Cell

LIMIT = Threshold("recall@10", "mine", "short", "a", min=0.5, file="t.toml", place="line 1")
HERE = ("a", "mine", "short")


def judged(gate, cell=Cell(*HERE), ranks=(1, 2, 3)):  # noqa: B008  # a tuple
    table = ranks_of(list(ranks), cell.model, cell.label_set)
    return gate.judged(
        cell,
        {"datasets": {"mine": {"fingerprint": "mine"}}, "models": {cell.model: {"key": "k"}}},
        {"ranks": table},
    )


def test_all_was_judged():
    gate = Gate((LIMIT,), run(ranks_of([1] * 30)), Rules(), selected=[HERE])
    rows, failure = judged(gate, ranks=[1] * 30)
    assert failure == []
    assert gate.not_judged(rows) == []


def test_a_failure_says_all_and_the_most_important_first():
    baseline = run(ranks_of([1] * 30), versions={"torch": "2.4"})
    gate = Gate((LIMIT,), baseline, Rules(query_factor=2), {"versions": {"torch": "2.5"}}, [HERE])
    _, failure = judged(gate, ranks=[500] * 30)
    assert (
        failure[0]
        == "mine, short, a: recall@10 is 0.0% [0.0, 11.4], expected at least 50.0% (t.toml, line 1)"
    )
    assert any(
        line.startswith("  mrr is 0.002, expected not below 1.000 beyond noise") for line in failure
    )
    assert failure[1] == "  worst of the 30 queries not among the first 10: " + "; ".join(
        f"q{i:03d}: rank 500" for i in range(10)
    )
    assert failure[3] == "  worst of the 30 queries that left first place: " + "; ".join(
        f"q{i:03d}: 1 → 500" for i in range(10)
    )
    assert failure[-2].startswith(
        "  worst of the 30 queries that fell by a larger factor: q000: 1 → 500; q001: 1 → 500;"
    )
    assert "torch: 2.4 → 2.5" in failure[-1]


def test_few_queries_that_can_show_nothing_are_no_passing_gate():
    """Even if all six fell to the end, no test could tell."""
    gate = Gate((), run(ranks_of([1] * 6)), Rules(), selected=[HERE])
    rows, failure = judged(gate, ranks=[500] * 6)
    assert failure == []
    assert {row["verdict"] for row in rows} == {"not compared"}
    assert rows[0]["expected"].endswith("for which 6 queries are too few")
    (problem,) = gate.not_judged(rows)
    assert "for there are too few queries or judgments" in problem
    rows, failure = judged(
        Gate((), run(ranks_of([1] * 6)), Rules(tolerance=0.1), selected=[HERE]), ranks=[500] * 6
    )
    assert "at least 90.0%" in failure[0]


def test_a_test_that_chose_its_model_itself_counts_for_all_that_the_baseline_has():
    baseline = run(
        ranks_of([1] * 40), ranks_of([1] * 40, "b"), ranks_of([1] * 40, label_set="long")
    )
    ranks = [1] * 30 + [200] * 10
    declared, _ = judged(Gate((), baseline, Rules(), selected=[HERE]), ranks=ranks)
    itself, _ = judged(Gate((), baseline, Rules(), selected=[]), ranks=ranks)
    for one, other in zip(declared, itself, strict=True):
        assert other["p"] == pytest.approx(min(1, one["p"] * 4))


def test_a_cell_of_two_tests_counts_once():
    gate = Gate((), run(ranks_of([1])), Rules(), selected=[HERE, HERE])
    assert gate.cells == 1


@pytest.mark.parametrize(
    ("selected", "said"),
    [
        (
            [HERE],
            "no figure was measured for the threshold t.toml, line 1: recall@10 at least 50.0%",
        ),
        ([("a", "mine", None)], "no figure was measured for the threshold"),
        ([("*", "mine", "short")], "no figure was measured for the threshold"),
        ([("b", "mine", "short")], "none of the thresholds is about what was run"),
        ([], "none of the thresholds is about what was run"),
    ],
)
def test_thresholds_that_were_not_used(selected, said):
    (problem,) = Gate((LIMIT,), None, Rules(), selected=selected).not_judged([])
    assert said in problem


def test_a_threshold_left_out_by_intention_is_fine_where_another_was_used():
    other = Threshold("recall@10", model="b", min=0.0, file="t.toml", place="line 9")
    gate = Gate((LIMIT, other), None, Rules(), selected=[("b", "mine", "short")])
    rows, _ = judged(gate, Cell("b", "mine", "short"))
    assert gate.not_judged(rows) == []


@pytest.mark.parametrize(
    ("selected", "incumbent", "missing"),
    [
        ([HERE], "", ["mine, short, a"]),
        ([("a", "mine", None)], "", ["mine, short, a", "mine, long, a"]),
        ([("new", "mine", "short")], "a", ["mine, short, new"]),
        ([("a", "study", "")], "", ["study, a"]),
        ([("new", "mine", "short")], "", []),
        ([("a", "other", "short")], "", []),
        ([("*", "study", "")], "", []),
    ],
)
def test_cells_of_the_baseline_that_were_asked_for_and_not_measured(selected, incumbent, missing):
    baseline = run(ranks_of([1]), ranks_of([1], label_set="long"), judgments=judgments([1]))
    gate = Gate((), baseline, Rules(incumbent=incumbent), selected=selected)
    problems = gate.not_judged([])
    assert [one for one in problems if "was not measured" in one] == [
        f"the baseline has {cell}, which was not measured" for cell in missing
    ]
    assert "nothing that was run could be compared with the baseline, which has a;" in problems[-1]
