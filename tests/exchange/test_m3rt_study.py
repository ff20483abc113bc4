"""RESET's tables as M3RT extended them -> figures of its models beside those of the study's extractors."""

import numpy as np
import pandas as pd
import pytest
from reset_files import judgment, person, triplet, write_study

from kis_bench.errors import BadFile
from kis_bench.exchange.m3rt.importing import import_saves
from kis_bench.report import write_report
from kis_bench.results import read_run
from kis_bench.store import Store

N = 12
EXTRACTORS = ("W2VVExtractor", "clip", "ViT_H_14_dfn5b")
ADDED = {"clip": "clip-vit-b-32", "ViT_H_14_dfn5b": "dfn5b-vit-h-14-378"}


def make_distances():
    """Of the study's extractor all; under the others the last two triplets lack an image."""
    rng = np.random.default_rng(11)
    found = {name: rng.uniform(0, 1, (N, 3)).tolist() for name in EXTRACTORS}
    for name in ADDED:
        found[name][-2:] = [[1.11] * 3] * 2
    return found


@pytest.fixture
def saves(tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    rows = [triplet(str(i), i, i + 1, i + 2) for i in range(N)]
    choices = (-2, 1, 2, 0, -1)
    judged = [
        judgment(f"{user}{i}", row, user, choices[(i + k) % 5], swapped=(i + k) % 2 == 0)
        for i, row in enumerate(rows)
        for k, user in enumerate(("ann", "ben"))
    ]
    folder = tmp_path / "M3RT" / "saves" / "reset_csvs"
    people = [person("ann"), person("ben")]
    return write_study(folder, rows, judged, people, make_distances())


@pytest.fixture
def take(saves, tmp_path):
    def take(**more):
        folder, reports = tmp_path / "M3RT", tmp_path / "reports"
        return import_saves(folder, reports=reports, store=Store(tmp_path / "store"), **more)

    return take


def count_by_hand(saves, name):
    """(agreeing, counted) on triplets of which no extractor lacks an image; a tie would be the left."""
    triplets = pd.read_csv(saves / "triplets_extended.csv", index_col=0)
    agreeing = n = 0
    for row in pd.read_csv(saves / "triplet_judgements.csv").itertuples():
        own = triplets.loc[row.triplet_id]
        first, second = (own[f"{name}_cosdist_query_candidate{i}"] for i in (1, 2))
        if row.simplified_choice == 0 or own["clip_cosdist_candidates"] == 1.11:
            continue
        left, right = (first, second)
        if row.option_one_path != own["candidate1_path"]:
            left, right = (second, first)
        n += 1
        agreeing += (1 if left > right else -1) == row.simplified_choice
    return agreeing, n


def extend(saves, index="triplet_id"):
    """The table as M3RT writes it, beside the one that it was made of."""
    table = pd.read_csv(saves / "triplets.csv").rename(columns={"triplet_id": index})
    table.to_csv(saves / "triplets_extended.csv", index=False)


@pytest.mark.parametrize("index", ["triplet_id", "Unnamed: 0"])
def test_models_stand_beside_extractors_over_the_same_judgments(saves, take, tmp_path, index):
    """Published figures stand beside them: they are over the judgments that all know."""
    extend(saves, index)
    agreeing, n = count_by_hand(saves, "ViT_H_14_dfn5b")
    file = tmp_path / "published.csv"
    file.write_text(
        "dataset,label_set,model,metric,k,value,n,tolerance,published_as,source\n"
        f"reset,,dfn5b-vit-h-14-378,consistency_published,,0.76,{n},0,ViT_H_14_dfn5b,a notebook\n"
        f"reset,,W2VVExtractor,consistency_published,,0.77,{n},0,W2VVExtractor,a notebook\n"
    )
    imported = take(published=[file])
    run = read_run(imported.run)
    names = {name: ADDED.get(name, name) for name in EXTRACTORS}
    own = run.agreement.query("part == 'common' and protocol == 'published' and kind == 'model'")
    own = own[own["counts"] == "judgments"].set_index("model")
    for theirs, ours in names.items():
        agreeing, n = count_by_hand(saves, theirs)
        assert (own["value"][ours], own["n"][ours]) == (agreeing / n, n)
    whole = run.metrics[run.metrics["metric"] == "consistency"].set_index("model")["n"]
    assert whole["W2VVExtractor"] > whole["clip-vit-b-32"] == n
    assert run.provenance["models"]["clip-vit-b-32"]["source"] == "m3rt:clip"
    assert run.provenance["models"]["W2VVExtractor"]["source"] == "study:distances"
    assert run.ranks.empty
    assert [said for said in imported.remarks if "triplets.csv: left out" in said]
    assert run.published["model"].tolist() == ["dfn5b-vit-h-14-378", "W2VVExtractor"]
    write_report(run.folder, run, imported.pictures)
    text = (run.folder / "report.md").read_text(encoding="utf-8")
    assert f"over the {n} judgments that all models know" in text
    assert " / 76.00% / " in text
    assert " / 77.00% / " in text


def test_tables_without_distances_say_so(saves, take):
    table = pd.read_csv(saves / "triplets.csv", dtype=str)
    table.drop(columns=[c for c in table if "_cosdist_" in c]).to_csv(
        saves / "triplets.csv", index=False
    )
    imported = take()
    assert imported.run is None
    assert imported.remarks == (f"{saves / 'triplets.csv'}: left out, it has no distances",)


def test_a_damaged_table_is_named(saves, take):
    (saves / "participants.csv").unlink()
    with pytest.raises(BadFile, match=r"participants\.csv:\s+the file is missing"):
        take()
