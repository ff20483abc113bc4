"""What a run under privacy says of itself, and how often it says that figures were drawn anew."""

import inspect
import json
import socket
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "end_to_end"))
import gated_project

from kis_bench.analysis import combinations, label_sets
from kis_bench.analysis.models import compare
from kis_bench.measuring import run as runs
from kis_bench.report.sections.provenance import show_provenance
from kis_bench.results.privacy import hide_command, without_private
from kis_bench.statistics import crossed

HOME = "/home/anna-secret"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["/home/anna/pytest", "benchmarks"], ["pytest"]),
        (["pytest", "--kis-dataset=photos=/home/anna/holiday"], ["pytest", "--kis-dataset"]),
        (
            ["pytest", "--kis-dataset", "photos=/home/anna/holiday", "--kis-model", "anna:build"],
            ["pytest", "--kis-dataset", "--kis-model"],
        ),
        (
            [
                "pytest",
                "--kis-near-duplicates",
                "phash:6",
                "--kis-exact",
                "anna/test.py",
                "--kis-drift=1%",
            ],
            ["pytest", "--kis-near-duplicates", "phash:6", "--kis-exact", "--kis-drift=1%"],
        ),
        (["pytest", "-k", "anna", "-p", "anna", "--rootdir=/anna"], ["pytest"]),
        (
            ["pytest", "--kis-engine=ray:10.0.0.1:6379", "--kis-engine", "ray:anna:6379"],
            ["pytest", "--kis-engine=ray", "--kis-engine", "ray"],
        ),
        ([], []),
    ],
)
def test_of_a_command_only_what_is_allowed_stays(arguments, shown):
    assert hide_command(arguments) == shown


def test_what_the_list_does_not_name_is_left_out():
    about = {
        "time": "2026",
        "host": "anna-pc",
        "user": "anna",
        "store": HOME,
        "versions": {"torch": "2"},
        "command": ["pytest"],
        "models": {
            "m": {
                "key": "k",
                "path": HOME,
                "source": f"openclip:local-dir:{HOME}/ours",
                "weights": {f"{HOME}/w.bin": "abc"},
            }
        },
        "datasets": {"d": {"fingerprint": "f", "root": HOME, "remarks": [HOME]}},
        "merged_from": [{"run": "one", "command": ["pytest", HOME]}],
    }
    found = without_private(about)
    assert HOME not in json.dumps(found)
    assert "anna" not in json.dumps(found)
    assert found["versions"] == {"torch": "2"}
    assert found["models"]["m"] == {
        "key": "k",
        "source": "openclip:local-dir:ours",
        "weights": {"w.bin": "abc"},
    }
    assert found["datasets"] == {"d": {"fingerprint": "f", "remarks": []}}


def texts_in(file: Path) -> str:
    """Everything that a file of a run says, with the metadata of tables."""
    if file.suffix != ".parquet":
        return file.read_bytes().decode("latin-1")
    table = pq.read_table(file)
    return f"{table.schema} {table.schema.metadata} {table.to_pylist()}"


def test_a_private_run_names_no_folder_machine_or_person(tmp_path):
    marks = {
        "project": "anna-projects",
        "store": "anna-store",
        "numbers": "holiday-with-anna",
        "file": "anna-files",
    }
    folder = gated_project.make(tmp_path / marks["project"])
    (folder / "numbers").rename(tmp_path / marks["numbers"])
    (tmp_path / marks["file"]).mkdir()
    limits = tmp_path / marks["file"] / "limits.toml"
    limits.write_text('[[threshold]]\nmetric = "mrr"\nmin = 1.0\n')
    done = gated_project.run(
        folder,
        "--kis-privacy",
        f"--kis-dataset=numbers={tmp_path / marks['numbers']}",
        f"--kis-thresholds={limits}",
        "--kis-near-duplicates",
        "phash:6",
        KIS_STORE=str(tmp_path / marks["store"]),
        WORSE="5:0.4",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    run = folder / "reports" / "latest"
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert about["command"] == [
        "pytest",
        "--kis-privacy",
        "--kis-dataset",
        "--kis-thresholds",
        "--kis-near-duplicates",
        "phash:6",
    ]
    assert about["datasets"]["numbers"]["n_items"] == gated_project.N
    secrets = [*marks.values(), str(tmp_path), str(Path.home()), socket.gethostname()]
    files = [file for file in run.resolve().rglob("*") if file.is_file()]
    assert len(files) > 10
    leaks = [
        (file.name, secret)
        for file in files
        for secret in secrets
        if len(secret) > 4 and secret in texts_in(file)
    ]
    assert leaks == []
    report = (run / "report.md").read_text(encoding="utf-8")
    assert about["versions"]["platform"].split("-")[0] in report
    assert "statistics: combinations: permutations" in report


def test_provenance_is_not_cut():
    versions = {f"package-{i}": "1.2.3+" + "x" * 300 for i in range(30)}
    text = "\n".join(show_provenance({"versions": versions, "command": ["pytest", "x" * 900]}))
    assert "…" not in text
    assert text.count("x" * 300) == 30 + 3


def test_statistics_say_what_is_done(monkeypatch):
    """Of a module whose number is changed another number is said; of a function that which it takes by default."""
    said = runs.statistics()
    assert (
        said["comparisons"]["permutations"]
        == inspect.signature(compare).parameters["permutations"].default
    )
    assert said["image similarity"] == {
        "resamples": crossed.CROSSED_RESAMPLES,
        "seed": crossed.RESAMPLING_SEED,
    }
    monkeypatch.setattr(combinations, "PERMUTATIONS", 7)
    monkeypatch.setattr(label_sets, "RESAMPLES_OF_MEDIANS", 8)
    assert runs.statistics()["combinations"]["permutations"] == 7
    assert runs.statistics()["label sets"]["resamples_of_medians"] == 8
    assert "seed" in said["figures"]
    assert "resamples" not in said  # no number for all
