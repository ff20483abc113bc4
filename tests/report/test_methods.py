"""What a report says of how its run was measured: all that it did, nothing that it didn't, and what to cite."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import ROOT, make_ranks, make_run

import kis_bench
from kis_bench.analysis import annotators, combinations, label_sets
from kis_bench.analysis.findings import Findings
from kis_bench.encoders import catalogue
from kis_bench.measuring.run import statistics
from kis_bench.report.sections.methods import show_methods
from kis_bench.report.sections.methods.citing import read_citations
from kis_bench.report.sections.methods.material import tell_computing
from kis_bench.report.view import make_view
from kis_bench.results.figures import metrics_table

PLACES = np.arange(1, 13) * 7 % 40 + 1


def tell(run):
    run = run.map_tables(
        lambda frame, table: metrics_table(run.ranks) if table.name == "metrics" else frame
    )
    return "\n".join(show_methods(make_view(run, Path("nowhere"))))


def test_one_model_was_compared_with_nothing():
    said = tell(make_run(Path("r"), make_ranks(PLACES), statistics=statistics()))
    assert "a collection of 10,000 images, with the label set **short** (12 queries)" in said
    assert "its best rank is 1 plus the number of images that score more than s" in said
    assert "for k = 1, 5, 10, 50 and 100" in said
    assert "no target tied with another image" in said
    assert "percentile bootstrap for MRR and nDCG (10,000 resamples, seed 0)" in said
    for absent in ("McNemar", "Holm", "ombin", "Label sets", "judg", "effective number", "segment"):
        assert absent not in said, absent


def test_ties_are_said_to_be_broken_at_random():
    said = tell(make_run(Path("r"), make_ranks(PLACES, PLACES + 3)))
    assert "its expectation under random tie-breaking" in said
    assert "no target tied" not in said


def test_models_that_were_compared():
    ranks = [make_ranks(PLACES), make_ranks(PLACES[::-1].copy(), model="b")]
    said = tell(make_run(Path("r"), *ranks))
    assert "McNemar's exact test for recall" in said
    assert "(100,000 sign patterns, seed 0; all patterns where these are fewer)" in said
    assert "Holm's method over all pairs of models under one measure" in said
    assert "Fused" not in said  # nothing was: there is no table of fused lists
    assert "ties make hits shares" not in said
    tied = [make_ranks(PLACES, PLACES + 3), make_ranks(PLACES[::-1].copy(), model="b")]
    assert "ties make hits shares" in tell(make_run(Path("r"), *tied))


def test_queries_of_one_target_are_no_independent_observations():
    shared = {"item_id": [f"i{i // 2}" for i in range(len(PLACES))]}
    run = make_run(Path("r"), make_ranks(PLACES, **shared))
    said = tell(run)
    assert "(12 queries of 6 targets)" in said
    assert "whole targets are resampled" in said


def test_scaled_decoding_is_told_where_it_was_asked_for():
    run = make_run(Path("r"), make_ranks(PLACES))
    run.provenance["models"]["a"] = {"source": "colour-words:"}
    assert "JPEG" not in tell(run)
    run.provenance["models"]["a"]["decode"] = "scaled to 448 pixels a side or more"
    assert "; JPEG files decoded scaled to 448 pixels a side or more; device" in tell(run)
    run.provenance["models"]["a"]["decode"] = "full"
    assert "; JPEG files decoded in full, for it doesn't tell what size it shrinks" in tell(run)


def test_engines_are_named_with_the_models_where_they_differ():
    run = make_run(Path("r"), make_ranks(PLACES), make_ranks(PLACES, model="b"))
    assert "products were computed" not in tell(run)
    run.provenance["models"] = {name: {"source": "colour-words:"} for name in "ab"}
    run.provenance["versions"] = {"numpy": "2.9.9", "torch": "9.8.7"}
    run.provenance["models"]["a"]["ranking"] = {"engine": "numpy", "device": "cpu"}
    assert "computed in float32 with numpy on cpu. Comparisons" in tell(run)
    assert "torch 9.8.7" not in tell(run)
    run.provenance["models"]["b"]["ranking"] = {"engine": "torch", "device": "cuda:1"}
    assert "with numpy on cpu (**a**) and torch on cuda:1 (**b**). Comparisons" in tell(run)
    assert "torch 9.8.7" in tell(run)


def test_what_a_run_does_not_say_was_not_recorded():
    said = tell(make_run(Path("r"), make_ranks(PLACES)))
    assert "the number of resamples and the seed were not recorded" in said
    assert "With which versions the run was made was not recorded" in said
    assert "its source was not recorded" in said
    assert "device, precision and threads of its vectors were not recorded" in said
    assert "Whether files of its folder were left out was not recorded" in said


def test_what_a_run_says_of_itself_is_said_whole():
    long = "2.14.1+cu130.with.a.very.long.local.version.that.nobody.may.cut.anywhere"
    run = make_run(
        Path("r"),
        make_ranks(PLACES),
        versions={"python": "3.11.9", "torch": long, "kis-bench": "0.0.1"},
        git={"commit": "c0ffee", "dirty": True},
        time="2026-11-24T02:15:00+00:00",
        datasets={
            "mine": {
                "left_out": {".heic": 12, ".csv": 1},
                "unread": ["labels2.csv: no header"],
                "remarks": ["pictures without a text, searched all the same: 3"],
                "unreadable": {f"i{n}": "cut off" for n in range(101)},
                "queries_left_out": ["short/q9"],
            }
        },
    )
    model = {
        "key": "k-fp32",
        "source": "hf-hub:org/name",
        "revision": "abc",
        "weights": {"w.safetensors": "d1"},
    }
    model |= {
        "dim": 512,
        "vectors_per_item": 32,
        "device": "cpu",
        "precision": "fp32",
        "threads": "2",
    }
    run.provenance["models"]["a"] = model
    times = {
        "model": "a",
        "dataset": "mine",
        "label_set": "",
        "seconds": 1.0,
        "n": 1,
        "per_second": 1.0,
    }
    rows = [{**times, "step": step, "cached": True} for step in ("embed images", "embed texts")]
    said = tell(replace(run, timings=pd.DataFrame(rows)))
    assert f"torch {long}" in said.replace("\\", "")
    assert "This report was drawn by kis-bench" in said
    assert "commit c0ffee, with changes that were not committed" in said
    assert "12 .heic (a format that is not read) and 1 .csv (no pictures)" in said
    assert "Not read: labels2.csv: no header." in said
    assert "Read: pictures without a text, searched all the same: 3." in said
    assert "Left out: 101 pictures can't be read: i0 (cut off), i1 (cut off)" in said
    assert "i99 (cut off), …; run.json names all." in said
    assert "Left out: 1 query of which no target can be read: short/q9." in said
    assert "source hf-hub:org/name; revision abc; weights w.safetensors d1" in said.replace(
        "\\", ""
    )
    assert "32 vectors of 512 dimensions" in said
    assert "Of an image with several vectors the largest product counts" in said
    stored = "computed before this run, which took them from the store, fp32 on cpu with 2 threads"
    assert stored in said
    rows[0]["cached"] = False
    said = tell(replace(run, timings=pd.DataFrame(rows)))
    assert "computed in part in this run, in part before, fp32 on cpu with 2 threads" in said


def test_a_private_run_names_no_folder(tmp_path):
    run = make_run(
        tmp_path,
        make_ranks(PLACES, text="a secret text"),
        privacy=True,
        datasets={"mine": {"unread": ["/home/anna/labels.csv"], "remarks": ["/home/anna"]}},
    )
    model = {"source": "openclip:local-dir:/home/anna/ours", "weights": {"/home/anna/w.bin": "d1"}}
    run.provenance["models"]["a"] = {"key": "k", **model}
    said = tell(run)
    assert "openclip:local-dir:ours" in said.replace("\\", "")
    assert not re.search("anna|secret", said)


def test_hostile_names_stay_names():
    hostile = "```\n# <script>|x"
    run = make_run(Path("r"), make_ranks(PLACES, model=hostile, dataset="*d*", label_set="`l`"))
    run.provenance["models"][hostile]["paper"] = "```\n<script>"
    said = tell(run)
    assert "<script>" not in said
    assert said.count("```") == 2  # the fence around BibTeX
    assert not re.search(r"^# ", said, re.MULTILINE)
    assert r"**\*d\***" in said


def test_resampling_is_what_the_run_says(monkeypatch):
    """The numbers in run.json are those with which the functions are called."""
    drawn = {}
    for module in (combinations, label_sets, annotators):

        def spy(
            values, *, resamples=10_000, seed=0, true=module.resampled_means, at=module, **rest
        ):
            drawn.setdefault(at.__name__.rpartition(".")[2], set()).add((resamples, seed))
            return true(values, resamples=resamples, seed=seed, **rest)

        monkeypatch.setattr(module, "resampled_means", spy)
    two = {"annotator": ["ada", "bo"] * 6, "item_id": [f"i{i // 2}" for i in range(12)]}
    places = np.arange(12) % 5 + 1
    ranks = pd.concat(
        make_ranks(order, model=model, label_set=name, **two)
        for name, order in (("short", places), ("long", places[::-1].copy()))
        for model, order in (("a", order), ("b", order * 3 % 7 + 1))
    )
    found = Findings(make_run(Path("r"), ranks))
    assert found.tables()
    said = statistics()
    assert drawn["combinations"] == {
        (said["combinations"]["resamples"], said["combinations"]["seed"])
    }
    assert drawn["label_sets"] == {(said["label sets"]["resamples"], said["label sets"]["seed"])}
    alpha = said["annotators"]["resamples_of_alpha"], said["annotators"]["seed"]
    assert drawn["annotators"] == {alpha}


# Citing


def test_a_run_cites_the_papers_of_its_models_and_datasets():
    run = make_run(Path("r"), make_ranks(PLACES, model="clip-vit-b-32", dataset="mvk"))
    run.provenance["models"]["clip-vit-b-32"]["paper"] = catalogue()["clip-vit-b-32"].paper
    run.provenance["datasets"]["openmoji"] = {}
    said = tell(run)
    assert "@inproceedings{radford2021clip," in said
    assert "@inproceedings{truong2023mvk," in said
    assert "OpenMoji 17, CC BY-SA 4.0" in said
    assert "zhai2023siglip" not in said
    assert "No paper was recorded" not in said


def test_a_paper_that_nobody_knows_more_of_is_shown_as_it_was_given():
    run = make_run(Path("r"), make_ranks(PLACES))
    run.provenance["models"]["a"]["paper"] = "https://example.test/paper"
    assert "**a**: https://example.test/paper" in tell(run)


def test_every_paper_of_the_catalogue_is_known_whole():
    papers = read_citations()["paper"]
    known = {paper["address"]: paper for paper in papers}
    assert {row.paper for row in catalogue().values()} - {""} <= {*known}
    assert len(known) == len(papers) == len({paper["key"] for paper in papers})
    for paper in papers:
        assert {"key", "author", "title", "venue", "year"} < {*paper}


def read_cff():
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_citation_file_is_valid():
    """By the schema of the Citation File Format 1.2.0: its required keys, and no other than it knows."""
    said = read_cff()
    assert {"cff-version", "message", "title", "authors"} <= {*said}
    known = "abstract authors cff-version commit contact date-released doi identifiers keywords license license-url "
    known += "message preferred-citation references repository repository-artifact repository-code "
    known += "title type url version"
    assert {*said} <= {*known.split()}
    assert said["cff-version"] == "1.2.0"
    assert said["type"] in ("software", "dataset")
    assert all({*author} <= {"name", "website", "email", "alias"} for author in said["authors"])
    assert len(said["keywords"]) == len({*said["keywords"]})


def test_citation_file_says_what_the_package_says():
    said, software = read_cff(), read_citations()["software"]
    assert said["version"] == kis_bench.__version__
    assert said["title"] == f"{software['title']}: {software['subtitle']}"
    assert [author["name"] for author in said["authors"]] == [software["author"]]
    assert said["license"] == software["licence"]
    assert (
        f'authors = [{{ name = "{software["author"]}" }}]' in (ROOT / "pyproject.toml").read_text()
    )
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert f"Copyright (c) {software['year']} {software['author']}" in licence


def test_what_a_first_test_computed_was_computed_in_this_run():
    """Images of a second label set are found in the store because the first one put them there."""
    rows = [
        ("d", "short", "embed images", False),
        ("d", "short", "embed texts", False),
        ("d", "long", "embed images", True),
        ("d", "long", "embed texts", False),
        ("d", "long", "rank", None),
    ]
    timings = pd.DataFrame(rows, columns=["dataset", "label_set", "step", "cached"])
    about = {"precision": "fp32", "device": "cpu", "threads": 2}
    assert tell_computing(timings, about) == "computed in this run, fp32 on cpu with 2 threads"
    before = timings.assign(cached=[False, True, True, True, None])
    assert "in part in this run, in part before" in tell_computing(before, about)
