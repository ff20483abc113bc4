"""Runs become one only if they belong together; nothing is lost, doubled or changed by it."""

import itertools
import zlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kis_bench.errors import KisBenchError
from kis_bench.results import read_run, write_run
from kis_bench.results.columns import AGREEMENT, DISTANCES, FUSED, METRICS, PAIRS, PUBLISHED
from kis_bench.results.merging import merge, run_name, what_differs

QUERIES, ITEMS = 12, 40
ABOUT = {
    "fingerprint": "f",
    "n_items": ITEMS,
    "n_queries": {"short": QUERIES, "long": QUERIES},
    "segment_s": 10.0,
    "near_duplicates": "identical",
    "layout": None,
}
TABLES = (
    "ranks",
    "judgments",
    "metrics",
    "timings",
    "verdicts",
    "distances",
    "agreement",
    "published",
)


def rng_of(*names):
    return np.random.default_rng(zlib.crc32("/".join(names).encode()))


def rank_rows(model, dataset, label_set, privacy=False):
    rng = rng_of(model, dataset, label_set)
    for i in range(QUERIES):
        best = int(rng.integers(1, ITEMS))
        worst = best + int(rng.integers(0, 2))
        yield {
            "model": model,
            "dataset": dataset,
            "label_set": label_set,
            "query_id": f"q{i}",
            "text": "" if privacy else f"text {i}",
            "item_id": f"i{i}",
            "rank": (best + worst) / 2,
            "rank_best": best,
            "rank_worst": worst,
            "group_rank": None,
            "n_items": ITEMS,
            "truncated": False,
            "target_score": 0.25,
            "top_item_ids": [f"i{i}", "i1"],
        }


def similarity(models):
    """Judgments and what belongs to them, of each model, and of people and pairs."""
    found = {name: [] for name in ("judgments", "distances", "agreement", "metrics")}
    for model in models:
        agreed = rng_of(model, "judgments").choice([0.0, 0.5, 1.0, np.nan], 8)
        for i, value in enumerate(agreed):
            found["judgments"].append(
                (model, "study", f"j{i}", f"t{i % 4}", f"u{i % 3}", value, 0.1)
            )
        found["distances"] += [(model, "study", f"t{i}", 0.1, 0.2, 0.3, 0.1) for i in range(4)]
        row = (0.5, 0.25, 0.75, 8)
        found["agreement"].append(
            ("study", "model", model, "default", "judgments", "all", "", *row, 4, 3, 1, 0)
        )
        found["metrics"].append((model, "study", "", "consistency", None, *row))
    people = (
        "study",
        "people",
        "another person",
        "default",
        "judgments",
        "all",
        "",
        0.9,
        0.8,
        1.0,
        8,
        4,
        3,
        0,
        0,
    )
    found["agreement"].append(people)
    pairs = [
        ("study", a, b, 0.1, 0.0, 0.2, 0.04, 0.04, 8, 0.5)
        for a, b in itertools.combinations(models, 2)
    ]
    counted = ("n_targets", "ceiling")  # of newer versions; a run may lack them
    columns = {"distances": DISTANCES, "agreement": AGREEMENT, "metrics": METRICS}
    columns = {
        name: [column for column in head if column not in counted] for name, head in columns.items()
    }
    tables = {name: pd.DataFrame(found[name], columns=head) for name, head in columns.items()}
    tables["metrics"] = tables["metrics"].astype({"k": "Int64"})
    columns = ["model", "dataset", "judgement_id", "triplet_id", "user_id", "agreement", "margin"]
    return pd.DataFrame(found["judgments"], columns=columns), tables | {
        "pairs": pd.DataFrame(pairs, columns=PAIRS)
    }


def combined(models):
    return pd.DataFrame(
        [
            ("mine", "short", f"q{i}", "rrf", a, b, None, None, 2.0, 2, 2)
            for a, b in itertools.combinations(models, 2)
            for i in range(QUERIES)
        ],
        columns=FUSED,
    )


def made(
    parent,
    models,
    *,
    labels=("short", "long"),
    about=None,
    head=None,
    other=None,
    judged=True,
    privacy=False,
):
    """A run of these models on ``mine`` and the image similarity ``study``; ``other``: changes of the ranks."""
    ranks = pd.DataFrame(
        [row for m in models for s in labels for row in rank_rows(m, "mine", s, privacy)]
    )
    for (model, label_set, query), rank in (other or {}).items():
        place = (
            (ranks["model"] == model)
            & (ranks["label_set"] == label_set)
            & (ranks["query_id"] == query)
        )
        ranks.loc[place, ["rank", "rank_best", "rank_worst"]] = rank
    judgments, tables = similarity(models if judged else ())
    tables["fused"] = combined(models)
    tables["published"] = pd.DataFrame(
        [("mine", "short", "a", "recall", 10, 0.5, 100, 0.01, "A", "thesis")], columns=PUBLISHED
    )
    study = {"fingerprint": "s", "n_triplets": 4, "image_similarity": "mean"}
    provenance = {
        "models": {
            m: {"key": f"{m}-fp32", "weights": {"w": m}, "source": f"hf-hub:some/{m}"}
            for m in models
        },
        "datasets": {"mine": ABOUT | (about or {}), **({"study": study} if judged else {})},
        "time": "2026-01-01T00:00:00+00:00",
        "git": {"commit": "c", "dirty": False},
        "device": "cpu",
        "versions": {"numpy": "2.0", "torch": "2.4"},
        "command": ["pytest", "benchmarks"],
        "interrupted": False,
        "statistics": {"seed": 0},
        "privacy": privacy,
        **(head or {}),
    }
    folder = write_run(
        parent,
        ranks=ranks,
        judgments=judgments,
        tables=tables,
        provenance=provenance,
        timings=pd.DataFrame(
            [
                {
                    "model": m,
                    "dataset": "mine",
                    "label_set": s,
                    "step": "rank",
                    "seconds": 1.0,
                    "n": QUERIES,
                    "per_second": 12.0,
                    "cached": False,
                }
                for m in models
                for s in labels
            ]
        ),
        verdicts=pd.DataFrame(
            [
                {
                    "model": m,
                    "dataset": "mine",
                    "label_set": "short",
                    "metric": "recall@10",
                    "expected": ">= 0",
                    "obtained": 0.5,
                    "verdict": "pass",
                }
                for m in models
            ]
        ),
    )
    return read_run(folder)


def written(parent, merged):
    """The merged run as it comes back from its folder."""
    tables = {
        name: getattr(merged, name)
        for name in ("ranks", "judgments", "timings", "verdicts", "provenance")
    }
    return read_run(write_run(parent, tables=merged.tables, **tables))


def rows(frame):
    """A table without the order of its rows; numbers as they are."""
    return sorted(
        map(repr, frame.astype(object).where(frame.notna(), None).map(str).to_dict("records"))
    )


def test_two_halves_are_the_whole(tmp_path):
    whole = made(tmp_path / "whole", ["a", "b", "c"])
    halves = [made(tmp_path / "halves", ["a"]), made(tmp_path / "halves", ["b", "c"])]
    merged = merge(halves)
    again = written(tmp_path / "merged", merged)
    for name in TABLES:
        assert len(getattr(whole, name))
        assert rows(getattr(again, name)) == rows(getattr(whole, name)), name
    assert {str(t) for t in again.ranks.dtypes} == {str(t) for t in whole.ranks.dtypes}
    assert again.pairs[["model_a", "model_b"]].to_numpy().tolist() == [["b", "c"]]
    assert again.fused["query_id"].tolist() == [f"q{i}" for i in range(QUERIES)]
    assert [remark.split(":")[0] for remark in merged.remarks] == [
        "image similarity",
        "combinations of models",
    ]
    assert all(run_name(half) in merged.remarks[0] for half in halves)
    for kind in ("models", "datasets"):
        assert again.provenance[kind] == whole.provenance[kind]


def test_halves_by_label_set_are_the_whole(tmp_path):
    whole = made(tmp_path / "whole", ["a", "b"], judged=False)
    halves = [
        made(tmp_path / "halves", ["a", "b"], labels=[name], judged=False)
        for name in ("short", "long")
    ]
    again = written(tmp_path / "merged", merge(halves))
    assert rows(again.ranks) == rows(whole.ranks)
    assert rows(again.metrics) == rows(whole.metrics)


def test_the_order_of_the_runs_changes_nothing(tmp_path):
    parts = [
        made(tmp_path, [m], head={"time": t})
        for m, t in (("a", "2026-03"), ("b", "2026-01"), ("c", "2026-02"))
    ]
    first = merge(parts)
    for order in itertools.permutations(parts):
        other = merge(order)
        assert rows(other.ranks) == rows(first.ranks)
        assert other.ranks["query_id"].tolist() == first.ranks["query_id"].tolist()
        assert other.provenance == first.provenance
        assert all(rows(other.tables[name]) == rows(table) for name, table in first.tables.items())
    assert list(first.provenance["models"]) == ["b", "c", "a"]  # the oldest goes first


def test_what_two_runs_measured_alike_is_taken_once(tmp_path):
    both = [made(tmp_path, ["a", "b"]), made(tmp_path, ["b", "c"])]
    merged = merge(both)
    whole = made(tmp_path, ["a", "b", "c"])
    assert rows(merged.ranks) == rows(whole.ranks)
    assert rows(merged.judgments) == rows(whole.judgments)
    assert rows(merged.timings) == rows(whole.timings)
    assert any(
        remark.startswith("ranks: 2 times a model, dataset and label set measured")
        for remark in merged.remarks
    )
    assert any(
        remark.startswith("judgments: 1 times a model and dataset measured")
        for remark in merged.remarks
    )


def test_a_run_with_itself_is_itself(tmp_path):
    run = made(tmp_path, ["a", "b"])
    merged = merge([run, read_run(tmp_path / "latest")])
    again = written(tmp_path / "merged", merged)
    for name in (*TABLES, "fused", "pairs"):
        assert rows(getattr(again, name)) == rows(getattr(run, name)), name
    assert [one["run"] for one in merged.provenance["merged_from"]] == [run.folder.name]
    assert merged.remarks == []


def test_a_merged_run_is_merged_again(tmp_path):
    parts = [made(tmp_path, [m], head={"time": f"2026-0{i}"}) for i, m in enumerate("abc", 1)]
    pair = written(tmp_path / "merged", merge(parts[:2]))
    merged = merge([pair, parts[2]])
    assert rows(merged.ranks) == rows(merge(parts).ranks)
    assert {one["run"] for one in merged.provenance["merged_from"]} == {
        run.folder.name for run in parts
    }
    assert len(merged.provenance["merged_from"]) == 3


def test_provenance_is_what_all_agree_on(tmp_path):
    one = made(tmp_path, ["a"])
    git = {"commit": "d", "dirty": True}
    two = made(
        tmp_path,
        ["b"],
        head={
            "time": "2026-02",
            "device": "cuda",
            "git": git,
            "interrupted": True,
            "versions": {"numpy": "2.0", "torch": "2.5"},
        },
    )
    found = merge([two, one]).provenance
    assert found["versions"] == {"numpy": "2.0"}
    assert (found["device"], found["git"], found["interrupted"]) == (None, None, True)
    assert found["statistics"] == {"seed": 0}
    origins = found["merged_from"]
    assert [origin["run"] for origin in origins] == [one.folder.name, two.folder.name]
    assert (origins[1]["device"], origins[1]["git"], origins[1]["versions"]["torch"]) == (
        "cuda",
        git,
        "2.5",
    )
    assert origins[0]["command"] == ["pytest", "benchmarks"]
    alike = merge([one, made(tmp_path, ["c"])]).provenance
    assert (alike["device"], alike["git"]["commit"]) == ("cpu", "c")


def test_other_ranks_are_named_and_all_at_once(tmp_path):
    one = made(tmp_path, ["a", "b"], other={("a", "short", "q3"): 3, ("b", "long", "q0"): 1})
    two = made(
        tmp_path,
        ["a", "b"],
        head={"time": "2026-02"},
        other={("a", "short", "q3"): 21, ("a", "short", "q7"): 40, ("b", "long", "q0"): 2},
    )
    with pytest.raises(KisBenchError) as caught:
        merge([one, two])
    said = str(caught.value).splitlines()
    assert said[0] == "these runs can't be one:"
    assert "a, mine, short: 2 of 12 queries differ" in said[1]
    assert "first q3: 3 and 21; see kis-bench compare" in said[1]
    assert "b, mine, long: 1 of 12 queries differ" in said[2]
    assert one.folder.name in said[1]
    assert two.folder.name in said[1]
    assert len(said) == 3


def test_many_conflicts_are_counted(tmp_path):
    names = [f"m{i:02d}" for i in range(13)]
    other = {(name, label_set, "q0"): 77 for name in names for label_set in ("short", "long")}
    one, two = made(tmp_path, names, judged=False), made(tmp_path, names, judged=False, other=other)
    with pytest.raises(KisBenchError) as caught:
        merge([one, two])
    said = str(caught.value).splitlines()
    assert len(said) == 1 + 20 + 1
    assert said[-1] == "  ... and 6 more"


def test_ties_that_differ_differ(tmp_path):
    one = made(tmp_path, ["a"], other={("a", "short", "q3"): [3.0, 3, 3]})
    two = made(tmp_path, ["a"], other={("a", "short", "q3"): [3.0, 2, 4]})
    with pytest.raises(KisBenchError, match="1 of 12 queries differ"):
        merge([one, two])


def test_other_choices_and_other_queries_are_refused(tmp_path):
    one, two = made(tmp_path, ["a"]), made(tmp_path, ["a"])
    two.judgments.loc[two.judgments["judgement_id"] == "j1", "agreement"] = 0.125
    with pytest.raises(KisBenchError, match="a, study: 1 of 8 judgments differ .* first j1"):
        merge([one, two])
    two = replace(one, folder=two.folder, ranks=one.ranks.iloc[1:])
    with pytest.raises(KisBenchError, match="a, mine, short: 1[12] queries in .*, 1[12] in"):
        merge([one, two])


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (
            {"fingerprint": "g", "n_items": 41},
            r"dataset mine in .* and .*: not the same \(n_items 40 and 41\)",
        ),
        (
            {"fingerprint": "g", "n_queries": {"short": 13, "long": 12}},
            "n_queries of short 12 and 13",
        ),
        ({"fingerprint": "g", "n_queries": {"short": 12}}, "n_queries of long 12 and none"),
        ({"fingerprint": "g", "layout": "mvk"}, "layout None and mvk"),
        ({"fingerprint": "g"}, "equally large, but other pictures, ids or texts"),
        ({"fingerprint": None}, "nobody knows whether they are the same"),
        ({"segment_s": 5.0}, "measured with --kis-segment 10.0, .* with 5.0"),
        ({"near_duplicates": "phash:6"}, "--kis-near-duplicates identical, .* with phash:6"),
    ],
)
def test_other_data_or_options_are_refused(tmp_path, about, said):
    one = made(tmp_path, ["a"])
    two = made(tmp_path, ["b"], about=about, head={"time": "2026-02"})
    with pytest.raises(KisBenchError, match=said) as caught:
        merge([one, two])
    assert one.folder.name in str(caught.value)
    assert two.folder.name in str(caught.value)


def test_a_conflict_that_the_first_run_is_silent_about(tmp_path):
    """An option that the oldest run doesn't record must still agree between the others."""
    about = [{"segment_s": None}, {"segment_s": 10.0}, {"segment_s": 5.0}]
    runs = [
        made(tmp_path, ["abc"[i]], about=a, head={"time": f"2026-0{i}"})
        for i, a in enumerate(about)
    ]
    merge(runs[:2])
    with pytest.raises(KisBenchError, match="10.0, .* with 5.0"):
        merge(runs)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"key": "b-fp16", "weights": {"w": "b"}}, "model b: key is b-fp32 in .* and b-fp16 in"),
        (
            {"key": "b-fp32", "weights": {"w": "x"}},
            "model b: weights is {'w': 'b'} in .* and {'w': 'x'}",
        ),
        ({"source": "study:distances"}, "model b: taken from a study is False in"),
    ],
)
def test_other_weights_under_one_name_are_refused(tmp_path, facts, said):
    one = made(tmp_path, ["a", "b"])
    two = made(
        tmp_path,
        ["b"],
        labels=["other"],
        judged=False,
        head={"models": {"b": facts}, "time": "2026-02"},
    )
    with pytest.raises(KisBenchError, match=said):
        merge([one, two])


def test_the_same_weights_from_elsewhere_are_the_same(tmp_path):
    facts = {"key": "b-fp32", "weights": {"w": "b"}, "source": "openclip:B=folder"}
    merge([made(tmp_path, ["b"]), made(tmp_path, ["b"], head={"models": {"b": facts}})])


@pytest.mark.parametrize("first", ["2026-01", "2026-03"])
def test_one_private_run_makes_the_whole_private(tmp_path, first):
    """No text, no folder and no command of the other run survives, whichever is the older."""
    models = {
        "b": {
            "key": "b-fp32",
            "weights": {"w": "b"},
            "source": "openclip:B:local-dir:/home/somebody/b",
        }
    }
    datasets = {"mine": ABOUT | {"remarks": ["/home/somebody is odd"]}}
    public = made(
        tmp_path,
        ["b"],
        judged=False,
        head={
            "time": first,
            "models": models,
            "datasets": datasets,
            "command": ["pytest", "--kis-data=/home/somebody"],
        },
    )
    private = made(tmp_path, ["a", "b"], privacy=True, judged=False, head={"time": "2026-02"})
    merged = merge([public, private])
    again = written(tmp_path / "merged", merged)
    assert again.provenance["privacy"] is True
    assert set(again.ranks["text"]) == {""}
    assert "somebody" not in (again.folder / "run.json").read_text(encoding="utf-8")
    assert rows(again.metrics) == rows(
        written(tmp_path / "other", merge([private, public])).metrics
    )
    assert len(again.ranks) == 4 * QUERIES


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    one, two = made(tmp_path / "x", ["a"]), made(tmp_path / "y", ["a"], about={"segment_s": 5.0})
    same = two.folder.with_name(one.folder.name)
    two.folder.rename(same)
    with pytest.raises(KisBenchError, match="x.*y|y.*x"):
        merge([one, read_run(same)])


def test_differences_are_told_in_words():
    a = {"fingerprint": "a", "n_items": 3, "n_queries": {"s": 1}, "n_triplets": 4}
    b = {"fingerprint": "b", "n_items": 5, "n_queries": {"s": 2, "l": 7}, "n_judgments": 2}
    assert (
        what_differs(a, b)
        == "not the same (n_items 3 and 5, n_queries of s 1 and 2, n_queries of l none and 7)"
    )
