import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from kis_bench.records import Collection, Dataset, Judgment, Participant, Triplet
from kis_bench.results.columns import AGREEMENT, DISTANCES, JUDGMENTS, METRICS, PAIRS
from kis_bench.statistics.crossed import (
    Crossed,
    correlation_interval,
    crossed_intervals,
    paired_test,
)
from kis_bench.triplets import agreement, majority
from kis_bench.triplets.people import PEOPLE_RULES, interval_of_people
from kis_bench.triplets.tables import (
    Judged,
    compute_agreement,
    group_sort_key,
    list_common_figures,
    similarity_tables,
)

EMPTY = Collection("study", (), (), ())


def measured(*margins):
    """Distances with these margins: candidate 2 is as much farther than candidate 1."""
    margin = np.array(margins, float)
    return np.stack(
        [np.full(len(margin), 0.5), 0.5 + margin, np.full(len(margin), 0.4)], axis=1
    ), margin


@pytest.fixture(scope="module")
def study():
    """Three triplets; u1 and u2 contradict each other on t2, u1 judges t1 twice, nobody prefers anything on t3."""
    triplets = (
        Triplet("t1", "a", "b", "c", "scuba", (1, 4)),
        Triplet("t2", "a", "c", "d", "wedding", (5, 2)),
        Triplet("t3", "b", "c", "d", "wedding", (4, 1)),
    )
    judgments = (
        Judgment("j1", "t1", "u1", -1, -2, 1),
        Judgment("j2", "t1", "u1", -1, -1, 2),
        Judgment("j3", "t1", "u2", -1, -1, 1),
        Judgment("j4", "t2", "u1", 1, 2, 1),
        Judgment("j5", "t2", "u2", -1, -1, 2),
        Judgment("j6", "t2", "u3", 1, 1, 1),
        Judgment("j7", "t3", "u3", 0, 0, 1),
    )
    people = (
        Participant("u1", "20-29", "MSc", "yes"),
        Participant("u2", "", "MSc", "no"),
        Participant("u3", "20-29"),
    )
    return Dataset("study", EMPTY, triplets=triplets, judgments=judgments, participants=people)


#: agrees on t1, with two of three on t2; ties on t2; lacks an image of t1
MODELS = {
    "good": measured(0.2, -0.1, 0.3),
    "tie": measured(0.2, 0.0, -0.3),
    "part": measured(np.nan, -0.1, 0.1),
}


@pytest.fixture(scope="module")
def tables(study):
    return similarity_tables(study, MODELS)


def row(table, **cells):
    found = table
    for column, value in cells.items():
        found = found[found[column] == value]
    assert len(found) == 1, found
    return found.iloc[0]


def whole(tables, model, protocol="default", counts="judgments", part="all", group=""):
    return row(
        tables["agreement"], model=model, protocol=protocol, counts=counts, part=part, group=group
    )


def test_columns(tables):
    for name, columns in (
        ("judgments", JUDGMENTS),
        ("distances", DISTANCES),
        ("agreement", AGREEMENT),
        ("pairs", PAIRS),
    ):
        assert list(tables[name].columns) == columns


def test_each_judgment_counts(tables):
    good = whole(tables, "good")
    assert (good.value, good.n, good.n_triplets, good.n_participants) == (
        pytest.approx(5 / 6),
        6,
        2,
        3,
    )
    assert good.ci_low < 5 / 6 < good.ci_high
    tie = whole(tables, "tie")
    assert (tie.value, tie.n, tie.ties) == (pytest.approx((3 + 1.5) / 6), 6, 3)
    part = whole(tables, "part")
    assert (part.value, part.n, part.missing, part.ties) == (pytest.approx(2 / 3), 3, 3, 0)


def test_what_all_models_know_is_counted_for_each(tables):
    """That is t2, of which one lacks no image: three judgments, and one majority."""
    expected = {"good": (2 / 3, 2 / 3, 1.0), "tie": (0.5, 0.0, 0.5), "part": (2 / 3, 2 / 3, 1.0)}
    for model, (each, published, of_triplets) in expected.items():
        own = whole(tables, model, part="common")
        assert (own.value, own.n, own.missing) == (pytest.approx(each), 3, 0)
        own = whole(tables, model, "published", part="common")
        assert (own.value, own.n) == (pytest.approx(published), 3)
        own = whole(tables, model, counts="triplets", part="common")
        assert (own.value, own.n) == (of_triplets, 1)
    person = row(tables["agreement"], kind="people", model="another person", part="common")
    assert (person.value, person.n) == (pytest.approx(1 / 3), 3)
    figures = list_common_figures(tables["agreement"])
    assert list(figures.columns) == METRICS
    assert row(figures, model="tie", metric="consistency_published").value == 0
    assert len(figures) == 3 * 4


def test_published_ties_are_left(tables):
    """On t2 the left option is candidate 1 for j4 (chose 2: no), candidate 2 for j5 (chose 1: no), 1 for j6 (no)."""
    tie = whole(tables, "tie", "published")
    assert (tie.value, tie.n, tie.ties) == (0.5, 6, 3)
    assert whole(tables, "good", "published").value == whole(tables, "good").value


def test_majorities_of_triplets(tables):
    """t1 and t2 have a majority; on t3 a single person judged. A tie counts as candidate 1 in the study's rule."""
    assert (
        whole(tables, "good", counts="triplets").value,
        whole(tables, "good", counts="triplets").n,
    ) == (1.0, 2)
    assert whole(tables, "tie", counts="triplets").value == 0.75
    assert whole(tables, "tie", "published", "triplets").value == 0.5
    part = whole(tables, "part", counts="triplets")
    assert (part.value, part.n, part.missing) == (1.0, 1, 1)
    assert whole(tables, "good", counts="triplets", part="class", group="wedding").n == 1


def test_people_agree_with_people(tables):
    """t1: u1 twice and u2 agree: 3 x 1. t2: j4 and j6 agree with one of two others, j5 with none."""
    another = row(tables["agreement"], kind="people", model="another person", part="all")
    assert (another.value, another.n) == (pytest.approx((3 + 0.5 + 0 + 0.5) / 6), 6)
    most = row(tables["agreement"], kind="people", model="majority of the others", part="all")
    assert most.value == pytest.approx(
        (3 + 0.5 + 0 + 0.5) / 6
    )  # the others on t2 are split for j4 and j6
    assert row(tables["agreement"], kind="people", model="another person", group="scuba").value == 1


def test_parts(tables):
    assert whole(tables, "good", part="class", group="scuba").value == 1
    assert whole(tables, "good", part="class", group="wedding").value == pytest.approx(2 / 3)
    assert (
        whole(tables, "good", part="bins", group="1-4").n == 3
    )  # whichever candidate was drawn from which
    assert whole(tables, "good", part="bins", group="2-5").n == 3
    assert whole(tables, "good", part="age_group", group="not stated").n == 2
    assert whole(tables, "good", part="education", group="MSc").n == 5
    assert whole(tables, "good", part="ml_expert", group="no").value == 0.5


def test_leaving_a_participant_out(tables):
    """Without u2, whose j5 is the only one that 'good' does not share."""
    assert whole(tables, "good", part="without participant", group="u2").value == 1
    without = whole(tables, "good", part="without participant", group="u1")
    assert (without.value, without.n, without.n_triplets, without.n_participants) == (
        pytest.approx(2 / 3),
        3,
        2,
        2,
    )
    assert math.isnan(without.ci_low)


def test_judgments_have_the_margin_of_what_was_chosen(tables):
    own = tables["judgments"][tables["judgments"].model == "good"].set_index("judgement_id")
    assert list(own.index) == ["j1", "j2", "j3", "j4", "j5", "j6"]
    assert own.margin.tolist() == pytest.approx([0.2, 0.2, 0.2, 0.1, -0.1, 0.1])
    assert own.agreement.tolist() == [1, 1, 1, 1, 0, 1]
    assert tables["judgments"].groupby("model").size().to_dict() == {"good": 6, "tie": 6, "part": 3}
    assert (
        tables["judgments"].groupby("model").agreement.mean()["tie"] == whole(tables, "tie").value
    )


def test_pairs_use_judgments_that_both_know(tables):
    pair = row(tables["pairs"], model_a="good", model_b="tie")
    assert (pair.difference, pair.n) == (pytest.approx(5 / 6 - 4.5 / 6), 6)
    other = row(tables["pairs"], model_a="good", model_b="part")
    assert (other.difference, other.n, other.p) == (0, 3, 1)
    assert (tables["pairs"].p_holm >= tables["pairs"].p).all()


def test_correlations_by_scipy(study, tables):
    """Over all judgments, those without preference too, as the study does it."""
    degree = [2, 1, 1, -2, 1, -1, 0]
    margin = np.array([0.2, 0.2, 0.2, -0.1, -0.1, -0.1, 0.3])
    larger = np.array([0.7, 0.7, 0.7, 0.5, 0.5, 0.5, 0.8])
    for name, x in (
        ("difference", margin),
        ("max_normalised", margin / larger),
        ("candidates_normalised", margin / 0.4),
    ):
        pearson = row(tables["metrics"], model="good", metric=f"pearson_{name}")
        assert (pearson.value, pearson.n) == (
            pytest.approx(scipy.stats.pearsonr(x, degree).statistic),
            7,
        )
        spearman = row(tables["metrics"], model="good", metric=f"spearman_{name}")
        assert spearman.value == pytest.approx(scipy.stats.spearmanr(x, degree).statistic)
    assert row(tables["metrics"], model="part", metric="pearson_difference").n == 4


def test_metrics_are_those_of_the_agreement_table(tables):
    for metric, protocol, counts in (
        ("consistency", "default", "judgments"),
        ("consistency_published", "published", "judgments"),
        ("consistency_per_triplet", "default", "triplets"),
        ("consistency_per_triplet_published", "published", "triplets"),
    ):
        for model in MODELS:
            assert (
                row(tables["metrics"], model=model, metric=metric).value
                == whole(tables, model, protocol, counts).value
            )
    assert set(tables["metrics"].label_set) == {""}


def test_one_judge_and_no_degrees():
    """As in the embedded triplets: nobody else to agree with, no five points, no classes."""
    triplets = tuple(Triplet(f"t{i}", "a", "b", "c", "") for i in range(8))
    judgments = tuple(Judgment(f"j{i}", f"t{i}", "taxonomy", -1) for i in range(8))
    dataset = Dataset(
        "d", EMPTY, triplets=triplets, judgments=judgments, participants=(Participant("taxonomy"),)
    )
    tables = similarity_tables(dataset, {"m": measured(*[0.1] * 6, *[-0.1] * 2)})
    assert set(tables["agreement"].kind) == {"model"}
    assert set(tables["agreement"].part) == {"all"}
    assert set(tables["metrics"].metric) == {"consistency", "consistency_published"}
    only = whole(tables, "m")
    assert only.value == 0.75
    assert only.ci_low < 0.75 < only.ci_high
    assert set(tables["agreement"].counts) == {"judgments"}  # nobody judged a second time
    assert len(tables["pairs"]) == 0


def shared(rng, targets=10, per_target=4, people=6, judgments=160):
    """A study whose triplets share target pictures, with two models of equal quality."""
    triplets = tuple(
        Triplet(f"t{i}", f"a{i // per_target}", "b", "c", "") for i in range(targets * per_target)
    )
    made = tuple(
        Judgment(
            f"j{k}",
            f"t{k % len(triplets)}",
            f"u{rng.integers(people)}",
            int(rng.choice([-1, -1, 1])),
        )
        for k in range(judgments)
    )
    who = tuple(Participant(f"u{i}") for i in range(people))
    return Dataset("shared", EMPTY, triplets=triplets, judgments=made, participants=who)


def test_targets_that_triplets_share_are_counted_everywhere():
    """Each figure with an interval has that of the same judgments crossed with targets, and says how many these are."""
    rng = np.random.default_rng(5)
    dataset = shared(rng)
    models = {name: measured(*rng.choice([-0.1, 0.1], 40, p=[0.3, 0.7])) for name in ("m", "n")}
    judged, tables = Judged(dataset), similarity_tables(dataset, models)
    c = judged.crossed
    assert (c.n_triplets, c.n_targets, c.n_people) == (40, 10, 6)
    values = compute_agreement(judged, models)
    own = whole(tables, "m")
    assert (own.n_triplets, own.n_targets, own.n_participants) == (40, 10, 6)
    assert [own.ci_low, own.ci_high] == pytest.approx(crossed_intervals(values, c)[0])
    pair = row(tables["pairs"], model_a="m", model_b="n")
    assert pair[["difference", "ci_low", "ci_high", "p"]].tolist() == pytest.approx(
        paired_test(*values.T, c)
    )
    another = row(tables["agreement"], model="another person")
    expected = interval_of_people(PEOPLE_RULES["another person"], judged.choice, c, judged.decided)
    assert [another.ci_low, another.ci_high] == pytest.approx(expected)
    per_triplet = whole(tables, "m", counts="triplets")
    assert per_triplet.n_targets == 10
    each = agreement(models["m"][1], majority(judged.choice, judged.triplet, 40))
    known = ~np.isnan(each)
    over = Crossed.of(np.zeros(known.sum()), np.flatnonzero(known), judged.targets[known])
    assert [per_triplet.ci_low, per_triplet.ci_high] == pytest.approx(
        crossed_intervals(each[known][:, None], over)[0]
    )
    assert (
        tables["judgments"].target_item.tolist()
        == [dataset.triplets[i].target for i in judged.triplet] * 2
    )
    left = whole(tables, "m", part="without participant", group="u0")
    others = [int(t) for t, p in zip(judged.triplet, judged.person, strict=True) if p != 0]
    assert (left.n_triplets, left.n_targets) == (len(set(others)), len({t // 4 for t in others}))


def test_correlations_count_shared_targets():
    rng = np.random.default_rng(6)
    dataset = shared(rng)
    degrees = rng.integers(-2, 3, len(dataset.judgments)).tolist()
    made = tuple(
        replace(j, choice=int(np.sign(d)), degree=d)
        for j, d in zip(dataset.judgments, degrees, strict=True)
    )
    dataset = replace(dataset, judgments=made)
    models = {"m": measured(*rng.normal(0, 0.1, 40))}
    judged = Judged(dataset)
    found = row(similarity_tables(dataset, models)["metrics"], metric="pearson_difference")
    x = models["m"][1][judged.triplet]
    every = Crossed.of(judged.person, judged.triplet, judged.triplet // 4)
    assert [found.ci_low, found.ci_high] == pytest.approx(
        correlation_interval(x, judged.degree, every)
    )
    assert found.ci_low != pytest.approx(
        correlation_interval(x, judged.degree, Crossed.of(judged.person, judged.triplet))[0]
    )


def test_no_model_exceeds_the_ceiling_and_the_best_reaches_it(study, tables):
    """t1 agrees, t2 has two against one: 5 of 6. 'part' lacks t1: 2 of 3."""
    assert whole(tables, "good").ceiling == whole(tables, "good").value == pytest.approx(5 / 6)
    assert whole(tables, "part").ceiling == pytest.approx(2 / 3)
    assert whole(tables, "good", part="ml_expert", group="yes").ceiling == 1  # u1 alone
    assert math.isnan(
        whole(tables, "good", "published").ceiling
    )  # there a tie is the left one, whichever that is
    assert whole(tables, "good", counts="triplets").ceiling == 1


def test_swapping_the_candidates_changes_nothing(study, tables):
    swapped = Dataset(
        "study",
        EMPTY,
        triplets=tuple(
            Triplet(
                t.triplet_id,
                t.target,
                t.candidate2,
                t.candidate1,
                t.category,
                t.bins and t.bins[::-1],
            )
            for t in study.triplets
        ),
        judgments=tuple(
            Judgment(j.judgement_id, j.triplet_id, j.user_id, -j.choice, -j.degree, 3 - j.left)
            for j in study.judgments
        ),
        participants=study.participants,
    )
    models = {
        name: (distances[:, [1, 0, 2]], -margins) for name, (distances, margins) in MODELS.items()
    }
    other = similarity_tables(swapped, models)
    mine = tables["agreement"].query(
        "not (protocol == 'published' and counts == 'triplets')"
    )  # ties: candidate 1
    theirs = other["agreement"].query("not (protocol == 'published' and counts == 'triplets')")
    pd.testing.assert_frame_equal(mine, theirs)
    pd.testing.assert_frame_equal(tables["pairs"], other["pairs"])


def test_order_of_groups():
    groups = ["not stated", "10-12", "2-9", "2-10", "scuba", "general"]
    assert sorted(groups, key=group_sort_key) == [
        "2-9",
        "2-10",
        "10-12",
        "general",
        "scuba",
        "not stated",
    ]


def test_judged_arrays(study):
    judged = Judged(study)
    assert judged.triplet.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert judged.degree.tolist() == [2, 1, 1, -2, 1, -1, 0]
    assert judged.crossed.n_people == 3
