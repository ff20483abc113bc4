"""``kis-bench compare`` and ``kis-bench report`` of several runs, as users type them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import call_cli, make_ranks, run_cli, run_pytest
from PIL import Image

from kis_bench.results import read_run, write_run
from kis_bench.results.columns import JUDGMENTS, TIMINGS, VERDICTS

ROOT = Path(__file__).parents[2]
SUITE = (ROOT / "benchmarks", "-c", ROOT / "pyproject.toml", "-k", "known_item_search")


def called(folder, *arguments, code=0, start=call_cli):
    here = {"KIS_STORE": str(folder / "store"), "KIS_DATA": "", "PYTHONIOENCODING": "utf-8"}
    done = start(*arguments, cwd=folder, **here)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def cli(tmp_path):
    return lambda *arguments, **options: called(tmp_path, *arguments, **options)


def write(parent, models=("a",), *, start=0, fingerprint="f", **head):
    """A run of 60 queries under these models; query i has rank 1 + i, or ``start`` more."""
    same = {"n_items": 5000, "truncated": False, "target_score": 0.5, "top_item_ids": [["i1"]] * 60}
    texts = [f"text <b>{i}</b>" for i in range(60)]
    ranks = pd.concat(
        [make_ranks(np.arange(60) + 1 + start, model=m, text=texts, **same) for m in models],
        ignore_index=True,
    )
    about = {
        "models": {model: {"key": model} for model in models},
        "datasets": {"mine": {"fingerprint": fingerprint, "n_items": 5000, "segment_s": 10.0}},
    }
    empty = {"judgments": JUDGMENTS, "timings": TIMINGS, "verdicts": VERDICTS}
    tables = {name: pd.DataFrame(columns=columns) for name, columns in empty.items()}
    return write_run(
        parent, ranks=ranks, provenance={"time": "2026-01-01", **about, **head}, **tables
    )


def plant(run, **changed):
    """Gives queries of a run other ranks."""
    file = run / "ranks.parquet"
    table = pd.read_parquet(file)
    for query, rank in changed.items():
        table.loc[table["query_id"] == query, ["rank", "rank_best", "rank_worst"]] = rank
    table.to_parquet(file)
    return run


@pytest.mark.slow
def test_a_query_that_fell(cli, tmp_path):
    old, new = plant(write(tmp_path), q017=3), plant(write(tmp_path), q017=212)
    said = cli("compare", old, new, start=run_cli)
    assert "q017: 3 → 212  (mine, short, a)" in said
    assert "no change: within it" in said
    table = said.partition("Worse")[0].splitlines()
    assert max(map(len, table)) <= 80
    out = new / f"compare-{old.name}"
    assert f"comparison: {(out / 'compare.html').as_uri()}" in said
    assert (out / "compare.md").as_uri() in said
    assert {file.name for file in out.iterdir()} == {
        "compare.md",
        "compare.html",
        "compared_metrics.csv",
        "compared_queries.csv",
    }
    assert "text &lt;b&gt;17" in (out / "compare.html").read_text(encoding="utf-8")
    assert len(pd.read_csv(out / "compared_queries.csv")) == 60
    assert "identical" in cli("compare", old, old, "--out", tmp_path / "same")
    assert (tmp_path / "same" / "compare.html").is_file()
    through_latest = cli("compare", old, tmp_path / "latest")
    assert f"compare-{old.name}" in through_latest


@pytest.mark.slow
def test_a_new_model_against_the_incumbent(cli, tmp_path):
    old, new = write(tmp_path, ["a"], start=40), write(tmp_path, ["b"])
    assert "there is nothing that both runs measured" in cli("compare", old, new, code=2)
    said = cli(
        "compare",
        old,
        new,
        "--model",
        "a=b",
        "--metric",
        "recall@10",
        "--metric",
        "mrr",
        "--queries",
        "2",
    )
    assert "a → b" in said
    assert said.count(" → ") - said.count("a → b") == 2
    table = pd.read_csv(new / f"compare-{old.name}" / "compared_metrics.csv")
    assert table["metric"].tolist() == ["recall", "mrr"]
    assert table["verdict"].tolist() == ["better", "better"]
    for wrong, remedy in (
        ("a", "write OLD=NEW"),
        ("x=b", "unknown model 'x'"),
        ("a=x", "unknown model 'x'"),
    ):
        assert remedy in cli("compare", old, new, "--model", wrong, code=2)
    assert "unknown metric 'recall@7'" in cli(
        "compare", old, new, "--model", "a=b", "--metric", "recall@7", code=2
    )


@pytest.mark.slow
def test_what_is_no_run_is_refused(cli, tmp_path):
    run, newer, other = write(tmp_path), write(tmp_path), write(tmp_path, fingerprint="g")
    (newer / "run.json").write_text(json.dumps({"schema_version": 99}))
    assert "there is no run folder" in cli("compare", run, tmp_path / "nowhere", code=2)
    assert "is not a whole run" in cli("compare", tmp_path, run, code=2)
    assert "install a newer kis-bench" in cli("compare", run, newer, code=2)
    assert "equally large, but other pictures, ids or texts" in cli("compare", run, other, code=2)
    (tmp_path / "taken").write_text("x")
    assert "name another with --out" in cli(
        "compare", run, run, "--out", tmp_path / "taken", code=2
    )
    cli("compare", run, code=2)
    cli("compare", run, run, "--queries", "0", code=2)


def test_a_terminal_that_knows_few_letters(cli, tmp_path):
    old, new = write(tmp_path), plant(write(tmp_path), q017=212)

    def start(*arguments, **settings):
        return run_cli(*arguments, **{**settings, "PYTHONIOENCODING": "ascii"})

    assert "q017: 18 ? 212" in cli("compare", old, new, start=start)


@pytest.mark.slow
def test_runs_that_do_not_belong_together(cli, tmp_path):
    reports = tmp_path / "reports"
    run = write(reports)
    moved = plant(write(reports), q003=7, q005=9)
    before = {path.name for path in reports.iterdir()}
    said = cli("report", run, moved, code=2)
    assert "a, mine, short: 2 of 60 queries differ" in said
    assert "first q003: 4 and 7" in said or "first q003: 7 and 4" in said
    assert "kis-bench compare" in said
    other = write(tmp_path / "other", ["b"], fingerprint="g")
    assert "dataset mine in" in cli("report", run, other, code=2)
    assert "--out is for several runs" in cli("report", run, "--out", tmp_path / "x", code=2)
    assert {path.name for path in reports.iterdir()} == before
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_several_runs_become_one(cli, tmp_path):
    first, second = (
        write(tmp_path / "x", ["a", "b"]),
        write(tmp_path / "y", ["b", "c"], start=5, privacy=True),
    )
    plant(second, **{f"q{i:03d}": 1 + i for i in range(60)})
    said = cli("report", second, first, "--out", tmp_path / "all")
    assert "note: ranks: 1 times a model, dataset and label set measured in two runs, alike" in said
    merged = read_run(tmp_path / "all" / "latest")
    assert sorted(merged.ranks["model"].unique()) == ["a", "b", "c"]
    assert len(merged.ranks) == 180
    assert set(merged.ranks["text"]) == {""}  # one of them was measured under privacy
    assert {one["run"] for one in merged.provenance["merged_from"]} == {first.name, second.name}
    assert (merged.folder / "report.html").is_file()
    assert "text &lt;b&gt;" not in (merged.folder / "report.md").read_text(encoding="utf-8")
    cli("report", first, first.parent / "latest", write(tmp_path / "z", ["d"]))
    assert sorted(read_run(tmp_path / "x" / "latest").ranks["model"].unique()) == [
        "a",
        "b",
        "d",
    ]  # beside the first
    assert "identical" in cli("compare", first, tmp_path / "all" / "latest")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """One dataset measured as a whole, and one label set after the other."""
    base = tmp_path_factory.mktemp("halves")
    images = base / "mine" / "images"
    images.mkdir(parents=True)
    for i in range(12):
        Image.new("RGB", (32, 32), (20 * i, 255 - 20 * i, 90)).save(images / f"{i}.png")
    rows = ["query_id,item_id,label_set,text"]
    for i in range(6):
        rows += [
            f"q{i},{i},short,green {i}",
            f"q{i},{i},long,a field that is green and has the number {i}",
        ]
    (images.parent / "labels.csv").write_text("\n".join(rows) + "\n")
    mine = ("--kis-model", "demo", "--kis-dataset", f"mine={images.parent}")
    for name, labels in {"whole": (), "short": ("short",), "long": ("long",)}.items():
        chosen = [f"--kis-labels={one}" for one in labels]
        arguments = (*SUITE, *mine, *chosen, "--kis-report", base / name)
        done = run_pytest(*arguments, cwd=base, drawn=False, KIS_STORE=str(base / "store"))
        assert done.returncode == 0, done.stdout + done.stderr
    return base


@pytest.mark.slow
def test_measured_halves_are_the_whole(measured):
    halves = [measured / name / "latest" for name in ("long", "short")]
    called(measured, "report", *halves, "--out", measured / "merged")
    whole, merged = (read_run(measured / name / "latest") for name in ("whole", "merged"))
    for name, key in (
        ("ranks", ["label_set", "query_id"]),
        ("metrics", ["label_set", "metric", "k"]),
    ):
        a, b = (
            getattr(run, name).sort_values(key).reset_index(drop=True) for run in (whole, merged)
        )
        pd.testing.assert_frame_equal(a, b)
    assert whole.provenance["datasets"] == merged.provenance["datasets"]
    assert whole.provenance["models"] == merged.provenance["models"]
    said = called(
        measured, "compare", measured / "whole" / "latest", measured / "merged" / "latest"
    )
    counts = [line.split() for line in said.splitlines() if line.startswith(("recall", "MRR"))]
    assert counts == [[line[0], "0", "0", "0", "2", "0"] for line in counts]
    assert "note:" not in said


@pytest.mark.slow
def test_the_page_names_what_is_written(cli, tmp_path):
    page = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
    old, new = write(tmp_path), plant(write(tmp_path), q017=212)
    cli("compare", old, new, "--out", tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        assert f"`{file.name}`" in page
        if file.suffix == ".csv":
            for column in pd.read_csv(file).columns:
                assert f"`{column}`" in page, column
    merged = cli("report", old, write(tmp_path, ["b"]), "--out", tmp_path / "all")
    for name in ("report.html", "report.md"):
        assert (tmp_path / "all" / "latest").resolve().joinpath(name).as_uri() in merged
    for key in read_run(tmp_path / "all" / "latest").provenance["merged_from"][0]:
        assert f"`{key}`" in page
