"""What changed between two runs, with changes planted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kis_bench.errors import KisBenchError
from kis_bench.report.compared import in_short, markdown, write_comparison
from kis_bench.results import ALL_RANKS, JUDGMENTS, TIMINGS, VERDICTS, Run, metrics_table
from kis_bench.run_comparison import FIGURES, QUERIES, compare_runs
from kis_bench.statistics import mcnemar_exact


def run(tmp_path, name, ranks, texts=None, **about):
    rows = [
        dict.fromkeys(ALL_RANKS) | {
            "model": model, "dataset": "d", "label_set": "s", "query_id": f"q{q:03d}",
            "text": f"text {q}" if texts is None else texts[q], "item_id": str(q), "rank": float(rank),
            "rank_best": rank, "rank_worst": rank, "n_items": 1000, "truncated": False, "top_item_ids": [],
        } for model, own in ranks.items() for q, rank in enumerate(own)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=ALL_RANKS)
    provenance = {"models": {m: {"key": m} for m in ranks}, "datasets": {"d": {"fingerprint": "f", "n_items": 1000}},
                  "versions": {"torch": "1"}, "time": "2026-01-01"} | about  # fmt: skip
    empty = [pd.DataFrame(columns=c) for c in (JUDGMENTS, TIMINGS, VERDICTS)]
    return Run(tmp_path / name, table, empty[0], metrics_table(table), empty[1], empty[2], provenance)


def base(seed=0, queries=60):
    return np.random.default_rng(seed).integers(1, 60, queries).tolist()


def test_a_run_is_identical_with_itself(tmp_path):
    one = run(tmp_path, "one", {"a": base()})
    found = compare_runs(one, one)
    assert list(found.figures.columns) == FIGURES
    assert set(found.figures.verdict) == {"identical"}
    assert (found.figures.difference == 0).all()
    assert (found.queries.octaves == 0).all()
    assert found.changes.empty


def test_one_query_from_3_to_212(tmp_path):
    old = base()
    old[17] = 3
    new = old[:]
    new[17] = 212
    found = compare_runs(run(tmp_path, "old", {"a": old}), run(tmp_path, "new", {"a": new}))
    assert list(found.queries.columns) == QUERIES
    assert (found.queries.octaves != 0).sum() == 1
    assert "q017: 3 → 212" in in_short(found)
    assert "q017: 3 → 212" in "\n".join(markdown(found, 20))
    assert set(found.figures[found.figures.k.eq(10)].verdict) == {"no change beyond noise"}


def test_a_degraded_model_is_worse_and_the_repaired_one_better(tmp_path):
    old = base()
    new = [rank * 9 for rank in old]
    runs = run(tmp_path, "old", {"a": old}), run(tmp_path, "new", {"a": new})
    worse = compare_runs(*runs).figures.set_index(["metric", "k"])
    better = compare_runs(*runs[::-1]).figures.set_index(["metric", "k"])
    row = worse.loc[("recall", 10)]
    assert (row.verdict, better.loc[("recall", 10)].verdict) == ("worse", "better")
    assert row.p == pytest.approx(mcnemar_exact(np.array(old) <= 10, np.array(new) <= 10))
    assert row.old == pytest.approx(np.mean(np.array(old) <= 10))
    assert worse.difference.to_numpy() == pytest.approx(-better.difference.to_numpy())


def test_only_the_same_queries_are_compared(tmp_path):
    texts = [f"text {q}" for q in range(60)]
    old = run(tmp_path, "old", {"a": base()}, texts)
    other = run(tmp_path, "new", {"a": base(1)}, ["changed", "", *texts[2:]])
    found = compare_runs(old, other)
    assert set(found.figures.n) == {59}  # one text has changed; of the other nothing is known
    assert any("1 queries are not in both" in remark for remark in found.remarks)


def test_another_dataset_is_left_out_and_said_to_be(tmp_path):
    old = run(tmp_path, "old", {"a": base()})
    new = run(tmp_path, "new", {"a": base()}, datasets={"d": {"fingerprint": "g", "n_items": 999}})
    with pytest.raises(KisBenchError, match=r"(?s)nothing that both runs measured.*n_items 1000 and 999"):
        compare_runs(old, new)


def test_models_of_other_names(tmp_path):
    old, new = run(tmp_path, "old", {"a": base()}), run(tmp_path, "new", {"b": base(1)})
    found = compare_runs(old, new, models={"a": "b"})
    assert set(zip(found.figures.model, found.figures.new_model, strict=True)) == {("a", "b")}
    assert "a → b" in in_short(found)
    with pytest.raises(KisBenchError, match="there is no model 'x' in .*; it has a"):
        compare_runs(old, new, models={"x": "b"})
    with pytest.raises(KisBenchError, match=r"--model OLD=NEW"):
        compare_runs(old, new)


def test_what_was_changed_is_listed(tmp_path):
    old = run(tmp_path, "old", {"a": base()}, git={"commit": "1"})
    new = run(tmp_path, "new", {"a": base(), "b": base()}, versions={"torch": "2"}, git={"commit": "2"})
    rows = compare_runs(old, new).changes[["what", "name", "fact", "old", "new"]].to_numpy().tolist()
    facts = {(what, name, fact): (before, after) for what, name, fact, before, after in rows}
    assert facts["version", "", "torch"] == ("1", "2")
    assert facts["run", "", "git"] == ({"commit": "1"}, {"commit": "2"})
    assert facts["model", "b", "measured"] == ("no", "yes")


def test_agreement_with_people_is_compared_on_the_same_judgments(tmp_path):
    rows = [(f"j{i}", f"t{i // 2}", f"u{i % 7}") for i in range(80)]
    old = pd.DataFrame([("a", "d", *row, float(i % 4 != 0), 0.1) for i, row in enumerate(rows)], columns=JUDGMENTS)
    new = old.assign(agreement=[float(i % 2 == 0) for i in range(80)])
    runs = [replace(run(tmp_path, name, {"a": base()}), judgments=table) for name, table in (("x", old), ("y", new))]
    row = compare_runs(*runs).figures.set_index("metric").loc["consistency"]
    assert (row.old, row.new) == (0.75, 0.5)
    assert row.verdict == "worse"


HOSTILE = ["<script>alert(1)</script>", "a | b", "two\nlines", "=cmd()", "x" * 10_000]


def test_hostile_texts_stay_texts_and_privacy_leaves_them_out(tmp_path):
    texts = [HOSTILE[q % 5] for q in range(60)]
    new = [rank * 3 for rank in base()]
    for privacy in (False, True):
        runs = [run(tmp_path, name, {"a|<b>": ranks}, texts, privacy=privacy)
                for name, ranks in (("old", base()), ("new", new))]  # fmt: skip
        folder = tmp_path / str(privacy)
        write_comparison(folder, compare_runs(*runs))
        for file in ("compare.md", "compare.html"):
            said = (folder / file).read_text(encoding="utf-8")
            assert "<script>alert" not in said
            assert ("alert(1)" in said) != privacy
        table = (folder / "compared_queries.csv").read_text(encoding="utf-8")
        assert ("'=cmd()" in table) != privacy
        assert ",=cmd()" not in table
