"""Published figures made by planted causes are explained by these, and by nothing else."""

import numpy as np
import pytest
from builders import make_ranks

from kis_bench.analysis.diagnosis import (
    PublishedFigure,
    conclude,
    find_outside,
    judge_attempts,
    list_attempts,
    list_siblings,
    measure_places,
)

PICTURES, TEXTS = 400, 6
N = PICTURES * TEXTS
NUMBER = np.arange(N) % TEXTS
FIRST, FIVE = "the first text of each picture alone", "the first 5 texts of each picture"
CUT, EQUAL = "without the texts that the model cut", "any picture of the same text counts"


def draw(chance, seed=0):
    """Ranks that are 1 with this chance each, else between 2 and 60."""
    draws = np.random.default_rng(seed)
    return np.where(draws.random(N) < chance, 1, draws.integers(2, 60, N))


def make_rows(best, **more):
    items = [f"i{i // TEXTS}" for i in range(N)]
    return make_ranks(best, item_id=items, label_set="captions", **more)


def publish(rows, shift=0.0):
    """The figures of other rows as somebody may have published them."""
    measures = [PublishedFigure("recall", k, 0.0) for k in (1, 5, 10)]
    return [
        PublishedFigure(one.metric, one.k, round(figure.value + shift, 4), 0.00005)
        for one, figure in zip(measures, measure_places(rows, measures), strict=True)
    ]


def explain(rows, published, attempts=None):
    tried = judge_attempts(rows, published, attempts or list_attempts(rows))
    return {one.cause for one in tried if one.explains}, tried


PLANTED = {
    FIRST: lambda rows: rows[NUMBER == 0],
    FIVE: lambda rows: rows[NUMBER < 5],
    CUT: lambda rows: rows[~rows["truncated"]],
}


@pytest.fixture
def rows():
    """First texts are easier, sixth ones are hopeless, and so are texts that were cut."""
    chance = np.choose(NUMBER, [0.9, 0.6, 0.6, 0.6, 0.6, 0.02])
    cut = (np.arange(N) % 7) == 3
    return make_rows(draw(np.where(cut, 0.1, chance)), truncated=cut)


@pytest.mark.parametrize("cause", PLANTED)
def test_a_planted_cause_is_named_alone(rows, cause):
    published = publish(PLANTED[cause](rows))
    assert find_outside(rows, published)
    causes, tried = explain(rows, published)
    assert causes == {cause}
    assert conclude(tried) == f"What was published agrees with: {cause}."
    assert {one.cause for one in tried} == {FIRST, FIVE, CUT}


@pytest.mark.parametrize("shift", [-0.2, 0.3])
def test_another_figure_is_explained_by_none(rows, shift):
    causes, tried = explain(rows, publish(rows, shift))
    assert causes == set()
    assert conclude(tried) == "None of this explains what was published."


def test_a_wider_interval_around_the_same_figure_explains_nothing():
    """All texts are alike, so that one of each picture gives the same with an interval twice as wide."""
    rows = make_rows(draw(0.5))
    own = measure_places(rows, [PublishedFigure("recall", 1, 0.0)])[0]
    published = [PublishedFigure("recall", 1, own.high + 0.005)]
    assert find_outside(rows, published)
    causes, tried = explain(rows, published)
    assert any(one.figures[0].agrees_with(published[0]) for one in tried)
    assert causes == set()


def test_texts_of_several_pictures_may_find_any_of_them():
    """Pairs of pictures have equal texts: of each pair one stands first and the other second, by definition."""
    order = np.arange(N) // TEXTS % 2
    text = [f"text {i // (2 * TEXTS)} {i % TEXTS}" for i in range(N)]
    rows = make_rows(1 + order, text=text)
    published = [PublishedFigure("recall", 1, 1.0)]
    assert explain(rows, published)[0] == {EQUAL}
    hidden = rows.assign(text=None)
    assert EQUAL not in {one.cause for one in explain(hidden, published)[1]}


def test_what_would_change_nothing_is_not_tried():
    rows = make_ranks([1, 2, 3], truncated=False)
    assert [*list_attempts(rows)] == []
    assert conclude([]) == "Nothing could be tried."


def test_rows_of_the_same_weights_are_tried(rows):
    from pandas import concat

    better = {
        "clip+photo": "",
        "ours": "openclip:ViT-B-32-quickgelu/openai",
        "theirs": "transformers:openai/clip-vit-base-patch32",
        "far": "x:y",
    }
    every = concat(
        [
            rows.assign(model="clip"),
            *(make_rows(draw(0.95, seed), model=name) for seed, name in enumerate(better, 1)),
        ]
    )
    sources = {**better, "clip": "openclip:ViT-B-32/openai"}
    about = {"models": {name: {"source": source} for name, source in sources.items()}}
    siblings = [*list_siblings("clip", every, about)]
    assert [one.cause for one in siblings] == [
        "the row clip+photo of this run",
        "the row ours of this run",
        "the row theirs of this run",
    ]
    published = publish(make_rows(draw(0.95, 1)))
    assert explain(rows, published, siblings)[0] == {one.cause for one in siblings}
