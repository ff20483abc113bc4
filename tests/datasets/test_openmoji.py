"""The embedded dataset."""

import hashlib

import pytest

from kis_bench import datasets
from kis_bench.records import Judgment, Participant


@pytest.fixture(scope="module")
def openmoji():
    return datasets.load("openmoji")


def test_every_drawing_has_a_short_and_a_long_text(openmoji):
    assert openmoji.label_sets == ("short", "long")
    items = set(openmoji.collection.ids)
    assert 1500 < len(items) < 1700
    for label_set in openmoji.label_sets:
        assert {q.item_ids[0] for q in openmoji.queries(label_set)} == items
    assert all(
        long.text.startswith(short.text)
        for short, long in zip(openmoji.queries("short"), openmoji.queries("long"), strict=True)
    )


def test_no_two_drawings_are_equal(openmoji):
    assert len(set(openmoji.collection.content)) == len(openmoji.collection)


def test_groups_are_subgroups(openmoji):
    groups = dict(zip(openmoji.collection.ids, openmoji.collection.groups, strict=True))
    assert groups["1F43A"] == "animal-mammal"


def test_taxonomy_triplets_put_the_neighbour_on_either_side():
    dataset = datasets.load("openmoji-triplets")
    assert "not human judgments" in dataset.note
    group = dict(zip(dataset.collection.ids, dataset.collection.groups, strict=True))
    first = [group[t.candidate1] == group[t.target] for t in dataset.triplets]
    second = [group[t.candidate2] == group[t.target] for t in dataset.triplets]
    assert all(a != b for a, b in zip(first, second, strict=True))
    assert 0.45 < sum(first) / len(first) < 0.55
    assert all(len({t.target, t.candidate1, t.candidate2}) == 3 for t in dataset.triplets)


def test_the_taxonomy_judges_each_triplet_once():
    dataset = datasets.load("openmoji-triplets")
    group = dict(zip(dataset.collection.ids, dataset.collection.groups, strict=True))
    assert dataset.participants == (Participant("taxonomy"),)
    assert len(dataset.judgments) == len(dataset.triplets) > 1500
    for triplet, judgment in zip(dataset.triplets, dataset.judgments, strict=True):
        nearer = -1 if group[triplet.candidate1] == group[triplet.target] else 1
        assert judgment == Judgment(
            f"j{triplet.triplet_id[1:]}", triplet.triplet_id, "taxonomy", nearer, None, 1
        )
    assert {triplet.category for triplet in dataset.triplets} >= {"animals-nature", "food-drink"}


def test_rendering_is_the_same_twice(openmoji):
    from kis_bench.datasets.openmoji.drawings import find_svg_files, render

    svg = find_svg_files()["1F43A"].read_text(encoding="utf-8")
    first, second = (hashlib.sha256(render(svg).tobytes()).hexdigest() for _ in range(2))
    assert first == second
