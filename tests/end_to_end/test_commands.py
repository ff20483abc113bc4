"""The commands about datasets and runs, as users type them."""

import json
import pickle
from pathlib import Path

import pandas as pd
import pytest
from builders import call_cli, run_cli, run_pytest
from PIL import Image

from kis_bench.results import read_run

ROOT = Path(__file__).parents[2]
SUITE = (ROOT / "benchmarks", "-c", ROOT / "pyproject.toml", "--kis-model", "demo")
HEADER = "query_id,item_id,label_set,text\n"


@pytest.fixture
def here(tmp_path):
    return {"cwd": tmp_path, "KIS_STORE": str(tmp_path / "store"), "KIS_DATA": ""}


@pytest.fixture
def measure(here, tmp_path):
    """Measures the demo on a folder; the run's report is not drawn."""

    def run(folder):
        reports = ("--kis-report", tmp_path / "reports")
        done = run_pytest(*SUITE, f"--kis-dataset=mine={folder}", *reports, drawn=False, **here)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.fixture
def cli(here):
    def run(*arguments, code=0, start=call_cli):
        done = start(*arguments, **here)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def folder(tmp_path):
    """Twelve frames of two videos, five seconds apart."""
    images = tmp_path / "data" / "mine" / "images"
    images.mkdir(parents=True)
    rows = ["item_id,path,group,time_s"]
    for i in range(12):
        Image.new("RGB", (32, 32), (20 * i, 255 - 20 * i, 90)).save(images / f"{i}.png")
        rows.append(f"{i},images/{i}.png,{'00007' if i < 6 else '00012'},{5 * (i % 6)}")
    (images.parent / "images.csv").write_text("\n".join(rows) + "\n")
    (images.parent / "labels.csv").write_text(
        HEADER + "q1,1,short,dark green\nq2,8,short,nearly red\n"
    )
    return images.parent


def test_datasets_are_listed_with_how_to_get_them(cli, folder):
    (folder.parent / "broken").mkdir()
    (folder.parent / "broken" / "labels.csv").write_text("nonsense\n")
    said = cli("datasets", "--data", folder.parent, start=run_cli)
    lines = {line.split()[0]: line for line in said.splitlines() if line.strip()}
    assert "ready" in lines["mine"]
    assert "short" in lines["mine"]
    assert "unreadable" in lines["broken"]
    assert "docs/datasets/mvk.md" in lines["mvk"]
    assert (ROOT / "docs" / "datasets" / "mvk.md").is_file()


@pytest.mark.slow
def test_the_check_passes_or_fails(cli, folder):
    said = cli("datasets", "check", folder)
    assert "pass  images: 12 images, 2 groups, 12 images with a time" in said
    assert "note  " in said
    (folder / "labels.csv").write_text(HEADER + "q1,nowhere,short,red\nq2,8,short,\n")
    (folder / "images" / "3.png").write_bytes(b"")
    said = cli("datasets", "check", f"mine={folder}", code=1)
    assert "line 2: item 'nowhere' is not in the collection" in said
    assert "line 3: text is empty" in said
    assert "3.png" in said
    cli("datasets", "check", folder, "--layout", "nonsense", code=2)
    cli("datasets", "check", folder, "--near", "99", code=2)
    cli("datasets", "check", folder, "--near-duplicates", "phash:99", code=2)
    cli("datasets", "check", folder, "--near-duplicates", "cosine:0.9", code=2)


@pytest.mark.slow
def test_names_that_cannot_be_used_are_told_all_at_once_and_nothing_is_done(cli, folder):
    """In the words of a test session, with exit code 2."""
    gone = folder.parent / "nowhere"
    said = cli("embed", f"gone={gone}", "--model", "no_module:load", code=2)
    assert "2 problems; nothing was done" in said
    assert f"dataset gone: no data. there is no folder {gone}" in said
    assert "model no_module.load: no module. there is no Python module no_module" in said
    said = cli(
        "datasets", "check", f"gone={gone}", "--model", "no_module:load", "--model", "dmeo", code=2
    )
    assert "3 problems; nothing was done" in said
    assert f"dataset gone: no data. there is no folder {gone}" in said
    assert "unknown model 'dmeo': did you mean demo?" in said
    assert "dataset nowhere: no data" in cli("datasets", "check", gone, code=2)


@pytest.mark.slow
def test_tasks_of_the_showdown_are_imported_and_measured(cli, measure, folder, tmp_path):
    hints = ["red", "red, and no green", "red, and no green at all"]
    tasks = [
        {
            "query_name": name,
            "hints": hints,
            "answer": video,
            "videorange": {"start": 9000, "end": 21000},
            "fps": 25,
        }
        for name, video, hints in (
            ("t1", "00012", hints),
            ("t2", "99999", ["another", "another one"]),
        )
    ]
    (tmp_path / "vbs.json").write_text(json.dumps(tasks))
    said = cli("import", "vbs", tmp_path / "vbs.json", f"mine={folder}")
    assert str(folder / "labels-vbs.csv") in said
    assert "99999" in said
    again = cli(
        "import",
        "vbs",
        tmp_path / "vbs.json",
        f"mine={folder}",
        "--out",
        tmp_path / "other.csv",
        code=2,
    )
    assert "has 1 of these tasks already, first 't1'" in again
    cli("import", "vbs", tmp_path / "vbs.json", "mvk", code=2)
    measure(folder)
    ranks = read_run(tmp_path / "reports" / "latest").ranks
    assert list(ranks.label_set.unique()) == ["short", "stage-1", "stage-2", "stage-3"]
    task = ranks[ranks.query_id == "t1"]
    assert task.item_id.tolist() == ["9"] * 3  # 10, 15 and 20 s lie in the range
    assert (task.segment_rank <= task["rank"]).all()
    assert task.group_rank.between(1, 2).all()


@pytest.mark.slow
def test_a_run_is_exported_and_drawn_anew(cli, measure, folder, tmp_path):
    measure(folder)
    run = tmp_path / "reports" / "latest"
    assert "written to" in cli("export", "trec", run, "--dataset", f"mine={folder}")
    written = {
        file.name.split("-")[-1].partition(".")[2] for file in (run / "export-trec").iterdir()
    }
    assert written == {"run.trec", "qrels.trec"}
    cli(
        "export",
        "csv",
        run,
        "--dataset",
        f"mine={folder}",
        "--out",
        tmp_path / "tables",
        "--depth",
        "5",
    )
    table = pd.read_csv(
        next((tmp_path / "tables").glob("*.run.csv")), dtype={"query_id": str, "doc_id": str}
    )
    assert table.groupby("query_id").size().to_dict() == {"q1": 5, "q2": 5}
    assert "cutoff 10 only" in cli("export", "parquet", run)  # the dataset is not below KIS_DATA
    assert "kis-bench: " in cli("export", "trec", run, "--depth", "500", code=2)
    cli("export", "nonsense", run, code=2)
    assert "no pictures of mine" in cli("report", run)
    assert "no pictures" not in cli("report", run, "--dataset", f"mine={folder}")
    assert list((run / "plots").glob("worst*"))
    assert "mine=FOLDER" in cli("report", run, "--dataset", "mine", code=2)


@pytest.mark.slow
def test_saves_of_the_thesis_are_imported(cli, tmp_path):
    import torch

    saves = tmp_path / "M3RT" / "saves"
    for kind in ("image_features", "ranks", "cumulations"):
        (saves / kind).mkdir(parents=True)
    labels = tmp_path / "M3RT" / "datasets" / "photos" / "labels" / "labels.csv"
    labels.parent.mkdir(parents=True)
    labels.write_text(
        'ID,short_label,long_label\n00001,"red","a red one"\n00002,"same","a blue one"\n00003,"same","x"\n'
    )
    vectors = torch.nn.functional.normalize(torch.arange(12.0).reshape(4, 3) + 1, dim=1)
    ids = [f"{i:05}" for i in range(4)]
    (saves / "image_features" / "clip-photos.pkl").write_bytes(pickle.dumps((ids, vectors)))
    (saves / "ranks" / "clip-photos-short.pkl").write_bytes(
        pickle.dumps([("red", 0), ("same", 1), ("same", 3)])
    )
    (saves / "cumulations" / "clip-photos-short.pkl").write_bytes(pickle.dumps([1, 2, 2, 3]))
    said = cli("import", "m3rt", tmp_path / "M3RT", "--report", tmp_path / "reports")
    assert "2 of 3" in said  # not paired: two queries have the text
    run = read_run(tmp_path / "reports" / "latest")
    assert run.ranks.set_index("query_id")["rank"].to_dict() == {
        "00001-short": 1.0,
        "unpaired-clip-vit-b-32-short-1": 2.0,
        "unpaired-clip-vit-b-32-short-2": 4.0,
    }
    assert list((tmp_path / "store").rglob("*.arrow"))
    (saves / "ranks" / "clip-photos-long.pkl").write_bytes(b"cposix\nsystem\n(S'touch ran'\ntR.")
    said = cli("import", "m3rt", tmp_path / "M3RT", "--report", tmp_path / "reports", code=2)
    assert "posix.system" in said
    assert not (tmp_path / "ran").exists()
