"""Two runs with changes planted between them: each is found, said in the right words, and nothing else is."""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from builders import make_ranks, make_run

from kis_bench.analysis.runs import FIGURE_NAMES, compare_runs, parse_pair
from kis_bench.errors import KisBenchError
from kis_bench.metrics import hits_at_k
from kis_bench.report.compared import markdown, write_comparison
from kis_bench.report.terminal import in_short
from kis_bench.statistics import holm
from kis_bench.statistics.crossed import Crossed, paired_test

N = 200
HOSTILE = ["<script>alert(1)</script>", "a | b", "two\nlines", "=cmd()", "\x1b[31mred\u202e", "'=1"]


def queries(model="a", label_set="short", ranks=None, ties=0, **columns):
    """Rows of ranks; as drawn, or as given."""
    ranks = np.random.default_rng(3).integers(1, 400, N) if ranks is None else np.asarray(ranks)
    return make_ranks(ranks, ranks + ties, model=model, label_set=label_set, **columns)


def judged(model, agreement, dataset="study"):
    n = len(agreement)
    return pd.DataFrame(
        {
            "model": model,
            "dataset": dataset,
            "judgement_id": [f"j{i}" for i in range(n)],
            "triplet_id": [f"t{i // 2}" for i in range(n)],
            "user_id": [f"u{i % 5}" for i in range(n)],
            "agreement": agreement,
            "margin": 0.1,
        }
    )


def made(folder, *ranks, **about):
    return make_run(folder, *ranks, **{"time": "2026-01-01", **about})


@pytest.fixture
def runs(tmp_path):
    def pair(*old_and_new, **head):
        return [
            made(tmp_path / name, *ranks, **head)
            for name, ranks in zip(("old", "new"), old_and_new, strict=True)
        ]

    return pair


def figure(found, metric, k=None, **where):
    rows = found.figures[
        (found.figures["metric"] == metric)
        & (found.figures["k"].isna() if k is None else found.figures["k"].eq(k))
    ]
    for column, value in where.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_a_run_and_itself_are_identical(tmp_path):
    run = made(
        tmp_path / "r",
        queries("a"),
        queries("b", ranks=[1, 2, 9], ties=np.array([0, 1, 0])),
        judgments=[judged("a", [1, 0, np.nan, 0.5, 1.0, np.nan])],
    )
    found = compare_runs(run, run)
    assert set(found.figures["verdict"]) == {"identical"}
    assert (found.figures["difference"] == 0).all()
    tested = found.figures[found.figures["metric"] != "median_rank"]
    assert (tested["p_holm"] == 1).all()
    assert set(found.queries["octaves"]) == {0.0}
    assert len(found.queries) == N + 3
    assert found.changes.empty
    assert found.remarks == []
    assert "Worse" not in in_short(found)
    assert "Nothing that is recorded." in markdown(found, 20)


def test_the_tables_of_a_comparison_fit_a_terminal(runs):
    name = "a-model-of-a-long-name-such-as-vit-so400m-14-siglip-384"
    old, new = runs([queries(name)], [queries(name, ranks=np.arange(N) + 2)])
    lines = in_short(compare_runs(old, new)).partition("Worse")[0].splitlines()
    assert max(map(len, lines)) <= 80
    head = lines[0].split()
    assert head == ["measure", "better", "worse", "no", "change", "identical", "too", "few"]
    assert f"mine, short, {name}" in lines
    (row,) = [line for line in lines if line.startswith("  recall@100")]
    assert row.split()[-1] in ("better", "worse", "change", "identical", "few")
    assert "queries" not in "".join(lines)  # the column that gives way first
    assert "queries" in in_short(compare_runs(old, new), width=120)


def test_one_query_that_fell_is_found(runs):
    ranks = queries()["rank_best"].to_numpy().copy()
    ranks[17] = 3
    fell = ranks.copy()
    fell[17] = 212
    found = compare_runs(*runs([queries(ranks=ranks)], [queries(ranks=fell)]))
    first = found.queries.iloc[0]
    assert (first["query_id"], first["old_rank"], first["new_rank"]) == ("q017", 3, 212)
    assert first["octaves"] == pytest.approx(np.log2(212 / 3))
    assert (found.queries["octaves"] != 0).sum() == 1
    assert set(found.figures["verdict"]) == {"no change beyond noise", ""}
    assert figure(found, "recall", 10)["difference"] == pytest.approx(-1 / N)
    said = in_short(found)
    assert "q017: 3 → 212  (mine, short, a)" in said
    assert "Worse (1):" in said
    assert "Better" not in said
    page = "\n".join(markdown(found, 20))
    assert "| q017: 3 → 212" in page
    assert "text 17" in page
    assert "i17" in page


def test_a_degraded_model_is_worse_and_only_it(runs):
    good, other = queries("a"), queries("b")
    bad = queries("a", ranks=good["rank_best"] * 4)
    found = compare_runs(*runs([good, other], [bad, other]))
    mine, same = (found.figures[found.figures["model"] == name] for name in "ab")
    assert set(same["verdict"]) == {"identical"}
    assert figure(found, "recall", 100, model="a")["verdict"] == "worse"
    assert figure(found, "mrr", model="a")["verdict"] == "worse"
    assert (mine[mine["metric"] != "median_rank"]["difference"] <= 0).all()
    median = figure(found, "median_rank", model="a")
    assert median["new"] == 4 * median["old"]
    assert np.isnan(median["p"])
    back = compare_runs(*runs([bad, other], [good, other]))
    assert figure(back, "mrr", model="a")["verdict"] == "better"
    assert (
        figure(back, "mrr", model="a")["difference"]
        == -figure(found, "mrr", model="a")["difference"]
    )


def test_figures_are_those_of_the_tests_that_they_name(runs):
    """McNemar's against scipy's binomial test; ties make hits shares, which take the randomization test."""
    rng = np.random.default_rng(0)
    old, new = rng.integers(1, 200, N), rng.integers(1, 200, N)
    ties = np.where(np.arange(N) % 5 == 0, 4, 0)
    found = compare_runs(*runs([queries(ranks=old)], [queries(ranks=new)]))
    for k in (1, 5, 10, 50, 100):
        gained, lost = int(((new <= k) & (old > k)).sum()), int(((new > k) & (old <= k)).sum())
        row = figure(found, "recall", k)
        assert row["test"] == "mcnemar"
        expected = scipy.stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1
        assert row["p"] == pytest.approx(expected)
        assert (row["old"], row["new"]) == (np.mean(old <= k), np.mean(new <= k))
        assert row["ci_low"] <= row["difference"] <= row["ci_high"]
    assert figure(found, "mrr")["test"] == "randomization"
    tied = compare_runs(*runs([queries(ranks=old, ties=ties)], [queries(ranks=new, ties=ties)]))
    row = figure(tied, "recall", 10)
    assert row["test"] == "randomization"
    assert row["old"] == pytest.approx(hits_at_k(old, old + ties, 10).mean())
    drawn = scipy.stats.permutation_test(
        [hits_at_k(new, new + ties, 10), hits_at_k(old, old + ties, 10)],
        lambda x, y: np.mean(x) - np.mean(y),
        permutation_type="samples",
        n_resamples=20_000,
        random_state=np.random.default_rng(1),
    )
    assert row["p"] == pytest.approx(drawn.pvalue, abs=0.02)


def test_p_is_adjusted_over_all_rows_of_a_measure(runs):
    rng = np.random.default_rng(4)
    names = list(itertools.product("abc", ("short", "long")))
    old = [queries(m, s, rng.integers(1, 300, 60)) for m, s in names]
    new = [
        queries(m, s, np.maximum(1, rows["rank_best"] - rng.integers(0, 60, 60)))
        for (m, s), rows in zip(names, old, strict=True)
    ]
    found = compare_runs(*runs(old, new)).figures
    for _, rows in found[found["p"].notna()].groupby(["metric", "k"], dropna=False):
        assert len(rows) == 6
        assert rows["p_holm"].tolist() == pytest.approx(holm(rows["p"]).tolist())
    decided = found[found["verdict"].isin(["better", "worse"])]
    assert len(decided)
    assert (decided["p_holm"] < 0.05).all()
    assert (found[found["verdict"] == "no change beyond noise"]["p_holm"] >= 0.05).all()


def test_other_data_is_shown_and_left_out(runs):
    old, new = runs([queries(), queries(dataset="other")], [queries(), queries(dataset="other")])
    new.provenance["datasets"]["other"] |= {"fingerprint": "x", "n_items": 9000, "segment_s": 5.0}
    old.provenance["datasets"]["other"] |= {"segment_s": 10.0}
    found = compare_runs(old, new)
    assert set(found.figures["dataset"]) == set(found.queries["dataset"]) == {"mine"}
    assert found.remarks == [
        "dataset other is not compared: not the same (n_items 10000 and 9000, segment_s 10.0 and 5.0)"
    ]
    assert found.remarks[0] in in_short(found)
    assert "> dataset other is not compared" in "\n".join(markdown(found, 20))


def test_unmatched_queries_are_counted_and_named(runs):
    old, new = queries(), queries()
    new.loc[3, "item_id"] = "elsewhere"
    new.loc[5, "text"] = "other words"
    new.loc[7, "text"] = ""  # measured under privacy
    new.loc[8:, "query_id"] = [f"q{i:03d}" if i < 190 else f"new{i}" for i in range(8, N)]
    found = compare_runs(*runs([old, old.assign(model="b")], [new, new.assign(model="b")]))
    assert found.remarks == [
        "mine, short: left out are queries, 10 only in the old run: q190, q191, q192, q193, q194, …; "
        "10 only in the new run: new190, new191, new192, new193, new194, …; 1 with another target: q003; "
        "1 with another text: q005 (a, b)"
    ]
    assert set(found.figures["n"]) == {188}
    assert "q007" in set(found.queries["query_id"])
    assert found.queries.set_index("query_id")["text"]["q007"].tolist() == ["text 7"] * 2
    assert not {"q003", "q005", "q190", "new190"} & set(found.queries["query_id"])


def test_the_order_of_the_queries_does_not_matter(runs):
    old, new = queries(), queries(ranks=queries()["rank_best"] + 3)
    found = compare_runs(*runs([old], [new]))
    shuffled = compare_runs(*runs([old], [new.sample(frac=1, random_state=0)]))
    pd.testing.assert_frame_equal(found.figures, shuffled.figures)
    pd.testing.assert_frame_equal(found.queries, shuffled.queries)


def test_what_only_one_run_measured_is_said(runs):
    old, new = runs(
        [queries("a"), queries("a", "long"), queries("b")], [queries("a"), queries("c")]
    )
    found = compare_runs(old, new)
    assert found.remarks == ["mine, long: only the old run measured a"]
    changed = found.changes[found.changes["fact"] == "measured"]
    assert changed[["name", "old", "new"]].to_numpy().tolist() == [
        ["b", "yes", "no"],
        ["c", "no", "yes"],
    ]


def test_changes_of_provenance(runs):
    old, new = runs([queries("a")], [queries("a")])
    old.provenance.update(versions={"numpy": "1", "torch": "2"}, device="cpu", git={"commit": "x"})
    new.provenance.update(versions={"numpy": "1", "torch": "3"}, device="cuda", git={"commit": "y"})
    new.provenance["models"]["a"] |= {"revision": "r2"}
    old.provenance["models"]["a"] |= {"revision": "r1"}
    rows = (
        compare_runs(old, new).changes[["what", "name", "fact", "old", "new"]].to_numpy().tolist()
    )
    assert rows == [
        ["model", "a", "revision", "r1", "r2"],
        ["version", "", "torch", "2", "3"],
        ["run", "", "git", {"commit": "x"}, {"commit": "y"}],
        ["run", "", "device", "cpu", "cuda"],
    ]


def test_one_model_against_another(runs):
    old = queries("a")
    new = [queries("c", ranks=np.maximum(1, old["rank_best"] // 8)), queries("x=y")]
    pair = runs([old, queries("u=v")], new)
    found = compare_runs(*pair, models=[("a", "c"), ("a", "x=y"), ("a", "c")])
    assert found.queries.groupby(["model", "new_model"]).size().to_dict() == {
        ("a", "c"): N,
        ("a", "x=y"): N,
    }
    assert figure(found, "mrr", new_model="c")["verdict"] == "better"
    assert figure(found, "mrr", new_model="x=y")["verdict"] == "identical"
    assert "(mine, short, a → c)" in in_short(found)
    assert parse_pair("u=v=x=y", *pair) == ("u=v", "x=y")
    assert parse_pair("a=c", *pair) == ("a", "c")
    for wrong in ("a", "=a", "a="):
        with pytest.raises(KisBenchError, match="write OLD=NEW"):
            parse_pair(wrong, *pair)
    with pytest.raises(
        KisBenchError, match="unknown model 'nobody'.*known are a, u=v. These are in old"
    ):
        compare_runs(*pair, models=[("nobody", "c")])
    with pytest.raises(KisBenchError, match="These are in new"):
        compare_runs(*pair, models=[("a", "nobody")])


def test_nothing_in_common_says_what_each_has(runs):
    old, new = runs([queries("a")], [queries("b"), queries("c", dataset="other")])
    with pytest.raises(KisBenchError) as caught:
        compare_runs(old, new)
    said = str(caught.value)
    assert "old has mine: a." in said
    assert "new has mine: b; other: c." in said
    assert "--model OLD=NEW" in said
    new = made(new.folder, queries("a"), datasets={"mine": {"fingerprint": "x", "n_items": 3}})
    with pytest.raises(KisBenchError, match="n_items 10000 and 3"):
        compare_runs(old, new)


def test_consistency_over_the_judgments_that_both_know(tmp_path):
    rng = np.random.default_rng(1)
    old, new = (rng.choice([0.0, 0.5, 1.0], 60) for _ in range(2))
    old[:4], new[2:6] = np.nan, np.nan
    sides = [
        made(tmp_path / name, judgments=[judged("a", each)])
        for name, each in (("old", old), ("new", new))
    ]
    found = compare_runs(*sides)
    row = figure(found, "consistency")
    assert row["n"] == 54
    assert (row["old"], row["new"]) == (old[6:].mean(), new[6:].mean())
    assert row["difference"] == pytest.approx(row["new"] - row["old"])
    whole = judged("a", old)[6:]
    expected = paired_test(new[6:], old[6:], Crossed.of(whole["user_id"], whole["triplet_id"]))
    assert row[["difference", "ci_low", "ci_high", "p"]].tolist() == pytest.approx(expected)
    assert found.queries.empty
    assert "consistency" in in_short(found)
    assert "Nothing of known-item search was measured in both." in markdown(found, 20)


@pytest.mark.parametrize("known", ["both", "only the new", "only the old", "neither"])
def test_triplets_that_share_a_target_are_compared_together(tmp_path, known):
    """A saved run says which target each triplet has; an older one doesn't, but of the same dataset the other does."""
    rng = np.random.default_rng(7)
    tables = [judged("a", rng.choice([0.0, 1.0], 120)) for _ in range(2)]
    target = (tables[0]["triplet_id"].str[1:].astype(int) // 6).astype(str)
    sides = [
        made(
            tmp_path / name,
            judgments=[
                table.assign(target_item=target) if known in ("both", f"only the {name}") else table
            ],
        )
        for name, table in zip(("old", "new"), tables, strict=True)
    ]
    row = figure(compare_runs(*sides), "consistency")
    people, triplets = tables[0]["user_id"], tables[0]["triplet_id"]
    crossed = Crossed.of(people, triplets, None if known == "neither" else target)
    assert crossed.n_clusters == (60 if known == "neither" else 10)
    assert pd.isna(row["n_targets"]) if known == "neither" else row["n_targets"] == 10
    expected = paired_test(*(table["agreement"].to_numpy() for table in tables[::-1]), crossed)
    assert row[["difference", "ci_low", "ci_high", "p"]].tolist() == pytest.approx(expected)


def test_a_model_that_judges_worse(tmp_path):
    old = np.ones(200)
    new = np.where(np.random.default_rng(0).random(200) < 0.4, 0.0, 1.0)
    sides = [
        made(tmp_path / name, judgments=[judged("a", each)])
        for name, each in (("old", old), ("new", new))
    ]
    assert figure(compare_runs(*sides), "consistency")["verdict"] == "worse"
    single = [
        made(side.folder, judgments=[side.judgments.iloc[-1:].assign(agreement=float(i))])
        for i, side in enumerate(sides)
    ]
    assert figure(compare_runs(*single), "consistency")["verdict"] in (
        "too few to tell",
        "no change beyond noise",
    )


def test_chosen_measures_change_nothing_about_the_others(runs):
    pair = runs([queries()], [queries(ranks=queries()["rank_best"] + 9)])
    whole = compare_runs(*pair)
    for name in FIGURE_NAMES[:-1]:
        part = compare_runs(*pair, measures=[name])
        assert len(part.figures) == 1
        row = part.figures.iloc[0]
        k = None if pd.isna(row["k"]) else row["k"]
        other = figure(whole, row["metric"], k)
        pd.testing.assert_series_equal(row, other, check_names=False)
        assert len(part.queries) == N
    with pytest.raises(KisBenchError, match="neither run has consistency"):
        compare_runs(*pair, measures=["consistency"])


def hostile(tmp_path, **head):
    n = len(HOSTILE)
    old = queries(
        ranks=np.full(n, 2),
        text=HOSTILE,
        item_id=HOSTILE,
        query_id=HOSTILE,
        model="=a",
        label_set="a|b",
    )
    new = old.assign(
        rank=50.0 + np.arange(n), rank_best=50 + np.arange(n), rank_worst=50 + np.arange(n)
    )
    return [made(tmp_path / name, table, **head) for name, table in (("old", old), ("new", new))]


def test_hostile_texts_stay_texts(tmp_path):
    found = compare_runs(*hostile(tmp_path))
    write_comparison(tmp_path / "out", found)
    html = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    assert "alert(1)" in html
    assert "<script>alert" not in html
    page = (tmp_path / "out" / "compare.md").read_text(encoding="utf-8")
    moved = [line for line in page.splitlines() if ": 2 → 5" in line]
    assert len(moved) == len(HOSTILE)
    assert {line.replace("\\|", "").count("|") for line in moved} == {7}
    assert "\u202e" not in page + html
    assert "\x1b" not in page + html + in_short(found)
    for name in ("compared_metrics.csv", "compared_queries.csv"):
        file = tmp_path / "out" / name
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        for column in {
            "dataset",
            "label_set",
            "model",
            "new_model",
            "query_id",
            "text",
            "item_id",
        } & {*table}:
            assert not table[column].str.match(r"[=+\-@\t\r]").any(), column
        assert set(table["model"]) == {"'=a"}
    table = pd.read_csv(tmp_path / "out" / "compared_metrics.csv")
    assert table["difference"].dtype == float  # numbers stay numbers
    assert table["difference"].min() == -1


@pytest.mark.parametrize("saved_is_old", [True, False])
def test_a_tie_rule_is_no_improvement(tmp_path, saved_is_old):
    """Saved ranks have equal scores in an order; what lies within a measured tie is the same search."""
    saved = make_ranks([1, 4, 40, 7, 3] * 12)
    measured = make_ranks([1, 1, 1, 7, 2] * 12, [1, 80, 80, 7, 2] * 12)
    facts = {"a": {"source": "m3rt:clip", "key": "m3rt-a"}}, {"a": {"source": "m3rt:a", "dim": 8}}
    runs = [
        made(tmp_path / "saved", saved, models=facts[0]),
        made(tmp_path / "measured", measured, models=facts[1]),
    ]
    found = compare_runs(*(runs if saved_is_old else runs[::-1]))
    moved = found.queries[found.queries["octaves"] != 0]
    assert len(moved) == 12  # from 3 to 2, which is no matter of ties
    assert {*moved["old_rank"], *moved["new_rank"]} == {2, 3}
    row = found.figures[found.figures["metric"].eq("recall") & found.figures["k"].eq(10)].iloc[0]
    assert (row["old"], row["new"], row["verdict"]) == (0.8, 0.8, "no change beyond noise")
    (remark,) = found.remarks
    word = "old" if saved_is_old else "new"
    assert f"ranks of the {word} run were imported" in remark
    assert "24 saved ranks within a tie" in remark
    assert "EXIF" in remark
    text = "\n".join(markdown(found, 5))
    assert "EXIF" in text
    assert not compare_runs(runs[0], runs[0]).remarks


def test_privacy_of_either_run_hides_texts(tmp_path):
    for who in (0, 1):
        sides = hostile(tmp_path, command=["pytest", "/home/somebody"])
        sides[1].provenance["command"] = ["pytest", "/home/somebody/else"]
        sides[who].provenance["privacy"] = True
        sides[0].provenance["models"]["=a"]["source"] = "openclip:B=/home/somebody"
        for side in sides:
            side.ranks["query_id"] = [f"q{i}" for i in range(len(side.ranks))]
        found = compare_runs(*sides)
        out = tmp_path / f"out{who}"
        write_comparison(out, found)
        for file in out.iterdir():
            content = file.read_text(encoding="utf-8")
            assert "alert(1)" not in content, file
            assert "somebody" not in content, file
        assert "q0: 2 → 50" in (out / "compare.md").read_text(encoding="utf-8")
        header = (
            (out / "compared_queries.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
        )
        assert "text" not in header
        assert "item_id" not in header


def test_only_so_many_queries_are_shown_and_all_are_in_the_table(runs, tmp_path):
    found = compare_runs(
        *runs([queries()], [queries(ranks=queries()["rank_best"][::-1].to_numpy())])
    )
    n = {sign: int((np.sign(found.queries["octaves"]) == sign).sum()) for sign in (-1, 0, 1)}
    page = "\n".join(markdown(found, 3))
    assert page.count("→ ") == 6 + 2  # and in both heads
    assert f"{n[1] - 3:,} more are in" in page
    rows = [[cell.strip() for cell in line.split("|")] for line in page.splitlines()]
    assert ["", "mine", "short", "a", *(str(n[sign]) for sign in (-1, 0, 1)), ""] in rows
    assert in_short(found, 3).count("→") == 6
    write_comparison(tmp_path / "out", found, most=3)
    assert len(pd.read_csv(tmp_path / "out" / "compared_queries.csv")) == N


def test_a_folder_that_cannot_be_written_is_named(runs, tmp_path):
    (tmp_path / "file").write_text("x")
    found = compare_runs(*runs([queries()], [queries()]))
    with pytest.raises(KisBenchError, match="could not be written to .*file.*--out"):
        write_comparison(tmp_path / "file", found)
