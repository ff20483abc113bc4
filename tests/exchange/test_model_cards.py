"""Heads of model cards, read again by the hub's own library."""

import sys
from dataclasses import replace

import pytest
from builders import call_cli, make_ranks, make_run, make_text_figures

from kis_bench.errors import KisBenchError
from kis_bench.exchange.model_cards import export_model_cards
from kis_bench.results import write_run
from kis_bench.results.figures import metrics_table

hub = pytest.importorskip("huggingface_hub")

HOSTILE = 'a: "b" #c\n--- - {d} é'


@pytest.fixture
def run(tmp_path):
    ranks = [
        make_ranks([1, 3, 12], model=HOSTILE, dataset="yes", label_set="null"),
        make_ranks([2, 2, 400], [4, 2, 400], model="b", dataset="yes", label_set="null"),
    ]
    found = make_run(tmp_path / "run", *ranks)
    return replace(found, metrics=metrics_table(found.ranks))


def test_the_hub_reads_what_the_run_has(run, tmp_path):
    said = export_model_cards(run, tmp_path / "out")
    cards = {}
    for file in (tmp_path / "out").iterdir():
        card = hub.ModelCard.load(file)
        cards[card.data.model_name] = {one.metric_type: one for one in card.data.eval_results}
    assert {*cards} == {HOSTILE, "b"}
    assert len(said) == 2
    for model, results in cards.items():
        own = run.metrics[run.metrics["model"] == model].set_index(["metric", "k"])["value"]
        assert {*results} >= {"recall@1", "recall@10", "recall@100", "mrr", "median_rank"}
        assert results["recall@10"].metric_value == own["recall", 10]
        assert results["recall@10"].metric_args["n"] == 3
        assert results["mrr"].dataset_config == "null"
        assert results["mrr"].dataset_type == "yes"
        assert results["mrr"].task_type == "text-to-image-retrieval"
        assert results["mrr"].dataset_args == {"n_items": 10_000, "fingerprint": "yes"}


def test_the_other_direction_is_another_task(run, tmp_path):
    turned = make_text_figures([1, 1, 8], model="b", dataset="yes", label_set="null")
    export_model_cards(replace(run, text_figures=turned), tmp_path / "out")
    results = hub.ModelCard.load(tmp_path / "out" / "b.md").data.eval_results
    found = {one.task_type: one for one in results if one.metric_type == "recall@1"}
    assert {*found} == {"text-to-image-retrieval", "image-to-text-retrieval"}
    assert found["image-to-text-retrieval"].metric_value == 2 / 3
    assert found["text-to-image-retrieval"].metric_value == 0
    alone = replace(run, metrics=run.metrics[:0], text_figures=turned)
    assert export_model_cards(alone, tmp_path / "alone") == ["b: b.md"]


def test_the_command_writes_beside_the_run(run, tmp_path):
    tables = {name: getattr(run, name) for name in ("ranks", "judgments", "timings", "verdicts")}
    folder = write_run(tmp_path / "reports", **tables, provenance=run.provenance)
    done = call_cli("export", "model-card", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (folder / "export-model-card" / "b.md").is_file()


def test_without_the_library_or_figures_it_says_so(run, tmp_path, monkeypatch):
    with pytest.raises(KisBenchError, match="has no figures for a model card"):
        export_model_cards(replace(run, metrics=run.metrics[:0]), tmp_path / "out")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(KisBenchError, match=r"need huggingface_hub; .*\[transformers\]"):
        export_model_cards(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
