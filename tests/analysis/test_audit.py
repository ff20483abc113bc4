"""Which queries are flagged, and why."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kis_bench.analysis.audit import AUDIT, FLAGS, audit, count_flags, sort_by_disagreement
from kis_bench.analysis.conditions import conditions


def table(ranks, n_items=5000, **columns):
    """Rows of the table of ranks for ``ranks``: model -> a rank, or best and worst, of each query."""
    rows = []
    for model, own in ranks.items():
        for i, each in enumerate(own):
            best, worst = each if isinstance(each, tuple) else (each, each)
            row = {
                "model": model,
                "dataset": "d",
                "label_set": "s",
                "query_id": f"q{i}",
                "text": f"text {i}",
                "item_id": f"i{i}",
                "rank": (best + worst) / 2,
                "rank_best": best,
                "rank_worst": worst,
                "n_items": n_items,
                "truncated": False,
            }
            rows.append(row | {name: values[i] for name, values in columns.items()})
    return pd.DataFrame(rows)


def audited(rows):
    return audit(rows, conditions(rows)["d", "s"]).set_index("query_id")


def flags(ranks, n_items=5000, **columns):
    return list(audited(table(ranks, n_items, **columns))["flags"])


def test_the_columns_against_their_definition():
    ranks = {"a": [1, 40, 7], "b": [4, 10, (7, 8)], "c": [16, 10, 7]}
    found = audited(table(ranks))
    assert [found.index.name, *found.columns] == AUDIT
    assert found["n_models"].tolist() == [3, 3, 3]
    assert found["best_model"].tolist() == ["a", "b", "a"]
    assert found["best_rank"].tolist() == [1, 10, 7]
    assert found["worst_model"].tolist() == ["c", "a", "b"]
    assert found["worst_rank"].tolist() == [16, 40, 7.5]
    assert found["median_rank"].tolist() == [4, 10, 7]
    expected = [np.std(np.log2(r), ddof=1) for r in ([1, 4, 16], [40, 10, 10], [7, 7.5, 7])]
    assert found["disagreement"].to_numpy() == pytest.approx(expected)
    assert list(sort_by_disagreement(found.reset_index())["query_id"]) == ["q0", "q1", "q2"]


def test_nothing_to_say():
    found = audited(table({"a": [1, 1], "b": [1, 1]}))
    assert found["flags"].tolist() == [(), ()]
    assert found["why"].tolist() == ["", ""]
    assert found["disagreement"].tolist() == [0, 0]
    assert count_flags(found) == dict.fromkeys(FLAGS, 0)


def test_one_model_and_one_query():
    found = audited(table({"a": [1]}))
    assert found["disagreement"].isna().all()
    assert found.loc["q0", ["best_model", "worst_model", "flags"]].tolist() == ["a", "a", ()]


def test_ties_are_ambiguous():
    found = audited(table({"a": [1, (2, 3), 1], "b": [1, 2, (2, 9)], "c": [1, (4, 9), (1, 2)]}))
    assert ["ambiguous" in each for each in found["flags"]] == [False, True, True]
    # Models stand by MRR: b finds q1 best, and a q2.
    assert found.loc["q1", "why"] == "The target ties with up to 5 others under a and c."
    assert found.loc["q2", "why"].startswith("The target ties with up to 7 others under ")
    assert "another item under a." in audited(table({"a": [(1, 2)]})).loc["q0", "why"]
    assert "7 others under a." in audited(table({"a": [(1, 8)]})).loc["q0", "why"]


def test_a_model_that_ties_on_most_queries_makes_none_ambiguous():
    """20 queries; only one target, of q0, has a twin, which a fine model ties with as well."""
    fine = [(3, 4), *range(2, 21)]
    constant, coarse = [(1, 5000)] * 20, [(3, 9)] * 11 + [5] * 9
    for ranks in (
        {"fine": fine, "constant": constant, "coarse": coarse},
        {"coarse": coarse, "fine": fine},
    ):
        found = audited(table(ranks))
        assert [query for query, each in found["flags"].items() if "ambiguous" in each] == ["q0"]
        assert found.loc["q0", "why"].startswith("The target ties with another item under fine.")
    assert count_flags(audited(table({"coarse": coarse})))["ambiguous"] == 0
    half = [(3, 9)] * 10 + [5] * 10  # not more than half
    assert count_flags(audited(table({"half": half})))["ambiguous"] == 10


def test_a_tie_with_the_whole_collection_says_nothing_of_a_target():
    """As of a constant model, also with one query and a collection of a few pictures."""
    for n_items in (2, 5, 11):
        assert flags({"constant": [(1, n_items)]}, n_items=n_items) == [()]
        assert "ambiguous" not in flags({"a": [1], "constant": [(1, n_items)]}, n_items=n_items)[0]
    assert "ambiguous" in flags({"a": [(1, 4)]}, n_items=5)[0]


@pytest.mark.parametrize(
    ("strict", "near", "flagged"),
    [
        (1, 1, False),
        (11, 10, True),
        (10, 5, True),
        (10, 6, False),
        (4, 2, True),
        (3, 2, False),
        (50, 11, False),
        (11, 1.5, True),
        (50, None, False),
        (2, 1, True),
    ],
)
def test_near_duplicates_that_stand_better_are_ambiguous(strict, near, flagged):
    rows = table({"a": [strict], "b": [strict + 1]}, near_duplicate_rank=[near])
    rows.loc[rows["model"] == "b", "near_duplicate_rank"] = (
        1.0  # what is not the best model does not count
    )
    found = audited(rows.astype({"near_duplicate_rank": "Float64"}))
    assert ("ambiguous" in found.loc["q0", "flags"]) == flagged
    assert ("near-duplicate stands at" in found.loc["q0", "why"]) == flagged


def test_texts_that_several_queries_have():
    same = ["A  Dog", "a dog", "Straße\u0301", "STRASS\u00c9", "狗"]
    found = audited(table({"a": [1] * 5}, text=same, item_id=["x", "x", "y", "z", "w"]))
    assert found["flags"].tolist() == [
        ("same text",),
        ("same text",),
        *[("ambiguous", "same text")] * 2,
        (),
    ]
    assert found.loc["q0", "why"] == "It has the same text as q1."
    assert (
        found.loc["q2", "why"]
        == "The same text is used for 2 different targets. It has the same text as q3."
    )


def test_the_same_targets_in_another_order_are_the_same():
    assert flags({"a": [1, 1]}, text=["t", "t"], item_id=["x|y", "y|x"]) == [("same text",)] * 2


@pytest.mark.parametrize("text", ["", "  ", None])
def test_texts_that_privacy_left_out_are_not_the_same(text):
    found = audited(table({"a": [1] * 3, "b": [1] * 3}, text=[text] * 3))
    assert found["flags"].tolist() == [()] * 3
    assert found["text"].str.strip().tolist() == [""] * 3


def test_hopeless_depends_on_the_collection():
    ranks = {"a": [100, 101, 5000], "b": [400, 102, 150]}
    hopeless = ["hopeless" in each for each in flags(ranks)]
    assert hopeless == [False, True, True]
    assert ["hopeless" in each for each in flags(ranks, n_items=15_000)] == [False, False, False]
    assert "the best place is 101 of 5,000" in audited(table(ranks)).loc["q1", "why"]
    assert not any("hopeless" in each for each in flags({"a": [80]}, n_items=90))


@pytest.mark.parametrize(
    ("ranks", "solved"),
    [
        ((10, 20, 21), True),
        ((10, 19, 50), False),
        ((3, 4, 500), False),
        ((11, 50, 60), False),
        ((1, 20, 20), True),
    ],
)
def test_solved_by_one_only(ranks, solved):
    found = audited(table(dict(zip("abc", ([r] for r in ranks), strict=True))))
    assert ("solved by one only" in found.loc["q0", "flags"]) == solved
    assert ("Only a has the target among the first 10" in found.loc["q0", "why"]) == solved
    assert not any(
        "solved by one only" in each
        for each in [*flags({"a": [1]}), *flags({"a": [1], "b": [900]})]
    )


def test_the_ten_greatest_disagreements_or_a_tenth_of_all():
    few = {
        "a": [1] * 15,
        "b": [2 ** (i + 1) for i in range(15)],
    }  # standard deviations of (i + 1) / sqrt(2) octaves
    found = flags(few, n_items=100_000)
    assert ["disagreement" in each for each in found] == [False] * 5 + [True] * 10
    many = {"a": [1] * 200, "b": [2 ** (i % 8) for i in range(200)]}
    assert sum("disagreement" in each for each in flags(many, n_items=100_000)) == 20
    assert ["disagreement" in each for each in flags({"a": [1, 1], "b": [2, 1]})] == [
        False,
        False,
    ]  # half an octave
    assert ["disagreement" in each for each in flags({"a": [1, 1], "b": [4, 1]})] == [True, False]


@pytest.mark.parametrize("kind", ["bool", "boolean", "object"])
def test_truncated_names_the_models(kind):
    rows = table({"a": [1, 1], "b": [1, 1]})
    rows["truncated"] = rows["truncated"].astype(kind)
    rows.loc[(rows["query_id"] == "q1"), "truncated"] = True
    if kind == "boolean":
        rows.loc[(rows["query_id"] == "q0"), "truncated"] = pd.NA
    found = audited(rows)
    assert found["flags"].tolist() == [(), ("truncated",)]
    assert found.loc["q1", "why"] == "The text is longer than a and b can read."


def test_long_lists_are_cut():
    found = audited(table({f"m{i}": [1] for i in range(9)}, truncated=[True]))
    assert found.loc["q0", "why"] == "The text is longer than m0, m1, m2, m3 and 5 more can read."


def test_what_some_model_was_not_asked_is_not_audited():
    rows = table({"a": [1, 500], "b": [1, 500]})
    rows = rows[~((rows["model"] == "b") & (rows["query_id"] == "q1"))]
    assert audited(rows).index.tolist() == ["q0"]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_flag_has_its_reason(data):
    models, queries = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    rank = st.integers(1, 300).flatmap(
        lambda best: st.sampled_from([(best, best), (best, best + 1)])
    )
    one = st.lists(rank, min_size=queries, max_size=queries)
    ranks = {f"m{i}": data.draw(one) for i in range(models)}
    texts = data.draw(
        st.lists(st.sampled_from(["", "a", "b", "ü"]), min_size=queries, max_size=queries)
    )
    rows = table(ranks, 400, text=texts)
    found = audit(rows, conditions(rows)["d", "s"])
    ties = rows.assign(tied=rows["rank_best"] < rows["rank_worst"]).groupby("model")["tied"].mean()
    fine = {*ties.index[(ties <= 0.5) | (queries < 10)]}
    assert sum(count_flags(found).values()) == sum(map(len, found["flags"]))
    for _, row in found.iterrows():
        own = rows[rows["query_id"] == row["query_id"]]
        assert (row["why"] == "") == (row["flags"] == ())
        assert len(set(row["flags"])) == len(row["flags"])
        assert ("hopeless" in row["flags"]) == bool((own["rank"] > 100).all())
        assert ("same text" in row["flags"]) == (row["text"] != "" and texts.count(row["text"]) > 1)
        tied = bool((own["rank_best"] < own["rank_worst"])[own["model"].isin(fine)].any())
        assert ("ambiguous" in row["flags"]) == (tied or "same text" in row["flags"])
