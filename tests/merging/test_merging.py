"""Runs of several machines as one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kis_bench.errors import KisBenchError
from kis_bench.merging import merge
from kis_bench.results import ALL_RANKS, JUDGMENTS, TIMINGS, VERDICTS, read_run, write_run


def ranks(models, seed=0, label_sets=("short", "long")):
    rows = []
    for model in models:
        rng = np.random.default_rng([seed, *model.encode()])
        for label_set in label_sets:
            for q in range(6):
                rank = int(rng.integers(1, 40))
                row = dict.fromkeys(ALL_RANKS) | {
                    "model": model, "dataset": "d", "label_set": label_set, "query_id": f"q{q}", "text": f"text {q}",
                    "item_id": str(q), "rank": float(rank), "rank_best": rank, "rank_worst": rank, "n_items": 40,
                    "truncated": False, "target_score": 0.5, "top_item_ids": ["1", "2"],
                }  # fmt: skip
                rows.append(row)
    return pd.DataFrame(rows, columns=ALL_RANKS)


def written(folder: Path, names, seed=0, **about):
    provenance = {
        "models": {m: {"key": f"{m}-key", "source": f"demo:{m}", "weights": {"w": m}} for m in names},
        "datasets": {"d": {"fingerprint": "f", "n_items": 40, "segment_s": 10.0, "near_duplicates": "identical"}},
        "versions": {"python": "3.11", "numpy": "2"}, "device": "cpu", "privacy": False, "interrupted": False,
        "time": "2026-01-01", "command": ["pytest"],
    } | about  # fmt: skip
    timings = pd.DataFrame([(m, "d", "short", "rank", 1.0, 6, 6.0, False) for m in names], columns=TIMINGS)
    return read_run(write_run(
        folder, ranks=ranks(names, seed), judgments=pd.DataFrame(columns=JUDGMENTS), timings=timings,
        verdicts=pd.DataFrame(columns=VERDICTS), provenance=provenance,
    ))  # fmt: skip


def test_two_halves_are_the_whole(tmp_path):
    whole = written(tmp_path / "whole", ["a", "b", "c"])
    halves = [written(tmp_path / "x", ["a", "b"]), written(tmp_path / "y", ["c"], device="cuda")]
    merged = merge(halves)
    pd.testing.assert_frame_equal(merged.ranks, whole.ranks)
    pd.testing.assert_frame_equal(merged.timings, whole.timings)
    assert list(merged.provenance["models"]) == ["a", "b", "c"]
    assert "device" not in merged.provenance  # they don't agree
    assert merged.provenance["versions"] == {"python": "3.11", "numpy": "2"}
    assert [part["device"] for part in merged.provenance["merged_from"]] == ["cpu", "cuda"]
    again = write_run(
        tmp_path / "again", ranks=merged.ranks, judgments=merged.judgments, timings=merged.timings,
        verdicts=merged.verdicts, provenance=merged.provenance, tables=merged.tables,
    )  # fmt: skip
    pd.testing.assert_frame_equal(read_run(again).metrics, whole.metrics)


def test_what_both_measured_alike_is_taken_once(tmp_path):
    runs = [written(tmp_path / "x", ["a", "b"]), written(tmp_path / "y", ["b", "c"])]
    merged = merge(runs)
    assert not merged.ranks.duplicated(["model", "label_set", "query_id"]).any()
    assert sum("taken once" in remark for remark in merged.remarks) == 2


def test_other_ranks_of_the_same_model_are_refused_with_the_first(tmp_path):
    runs = [written(tmp_path / "x", ["a"]), written(tmp_path / "y", ["a"], seed=1)]
    with pytest.raises(
        KisBenchError, match=r"a, d, short: \d queries rank otherwise .* such as q\d: \d+ and \d+; .*compare"
    ):
        merge(runs)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"datasets": {"d": {"fingerprint": "g", "n_items": 41}}}, "dataset d .*not the same .n_items 40 and 41."),
        ({"datasets": {"d": {"fingerprint": "g", "n_items": 40}}}, "equally large, but"),
        ({"datasets": {"d": {"fingerprint": "f", "segment_s": 5.0}}}, "--kis-segment 10.0, .* with 5.0"),
        ({"models": {"a": {"key": "other"}}}, "model a: key is a-key in .* and other in"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, about, said):
    runs = [written(tmp_path / "x", ["a"]), written(tmp_path / "y", ["a"], **about)]
    with pytest.raises(KisBenchError, match=said):
        merge(runs)


def test_private_and_interrupted_runs_stay_so(tmp_path):
    runs = [written(tmp_path / "x", ["a"]), written(tmp_path / "y", ["b"], privacy=True, interrupted=True)]
    assert merge(runs).provenance["privacy"]
    assert merge(runs).provenance["interrupted"]


def test_tables_of_similarity_are_joined_once(tmp_path):
    run = written(tmp_path / "x", ["a"])
    judgments = pd.DataFrame([("a", "r", "j1", "t1", "u", 1.0, 0.5)], columns=JUDGMENTS)
    first = replace(run, judgments=judgments)
    second = replace(run, judgments=pd.concat([judgments, judgments.assign(model="b")]))
    assert merge([first, second]).judgments.model.tolist() == ["a", "b"]
