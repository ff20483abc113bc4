"""A run kept in one file: whole, small, without texts, the same bytes each time; and files that can't be taken."""

import dataclasses
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kis_bench.errors import KisBenchError
from kis_bench.gate.baselines import (
    MEMBERS,
    name_of_baseline,
    read_baseline,
    save_baseline,
    select_part,
)
from kis_bench.gate.rules import Rules, compare_cells
from kis_bench.gate.verdicts import Cell
from kis_bench.results import read_run, write_run
from kis_bench.results.columns import ALL_RANKS, TABLES, TIMINGS, VERDICTS

KEPT = TABLES["ranks"].in_baselines


def ranks(model, label_set="short", n=50):
    best = np.random.default_rng(len(model)).integers(1, 99, n)
    return pd.DataFrame(
        {
            "model": model,
            "dataset": "mine",
            "label_set": label_set,
            "query_id": [f"q{i}" for i in range(n)],
            "text": [f"secret text {i}" for i in range(n)],
            "item_id": [f"i{i}" for i in range(n)],
            "rank": best,
            "rank_best": best,
            "rank_worst": best,
            "group_rank": None,
            "n_items": 100,
            "truncated": False,
            "target_score": 0.5,
            "top_item_ids": [["a", "b"]] * n,
        }
    ).reindex(columns=ALL_RANKS)


@pytest.fixture
def run(tmp_path):
    judged = pd.DataFrame(
        {
            "model": ["a"] * 3,
            "dataset": "study",
            "judgement_id": ["j1", "j2", "j3"],
            "triplet_id": ["t"] * 3,
            "user_id": ["u"] * 3,
            "agreement": [1.0, 0.0, 0.5],
            "margin": 0.1,
        }
    )
    folder = write_run(
        tmp_path / "reports",
        ranks=pd.concat([ranks("a"), ranks("bb"), ranks("a", "long")], ignore_index=True),
        judgments=judged,
        timings=pd.DataFrame(columns=TIMINGS),
        verdicts=pd.DataFrame(columns=VERDICTS),
        provenance={
            "models": {"a": {"key": "k"}, "bb": {"key": "l"}},
            "versions": {"torch": "2"},
            "interrupted": False,
            "datasets": {"mine": {"fingerprint": "f"}, "study": {"fingerprint": "g"}},
            "command": ["pytest", "/home/me"],
        },
    )
    return read_run(folder)


def test_what_is_saved_is_read_back_and_compares_as_the_run_does(run, tmp_path):
    file = tmp_path / "baseline.kis.zip"
    said = save_baseline(run, file)
    assert said == ["mine, short: a, bb", "mine, long: a", "study, judgments: a"]
    kept = read_baseline(file)
    for name in ("ranks", "judgments"):
        own = [getattr(one, name)[TABLES[name].in_baselines] for one in (kept, run)]
        pd.testing.assert_frame_equal(*own)
    assert name_of_baseline(kept) == name_of_baseline(run) == run.folder.name
    for cell in (Cell("a", "mine", "short"), Cell("bb", "mine", "short"), Cell("a", "study", "")):
        for rules in (Rules(), Rules(exact=True)):
            alone = select_part(run, [cell.model], [cell.dataset], cell.label_set or None)
            rows = compare_cells(kept, alone, cell, rules, 1)
            assert rows == compare_cells(run, alone, cell, rules, 1)
            assert {row["verdict"] for row in rows} == {"pass"}


def test_the_gate_counts_targets_that_triplets_share_also_by_a_file(run, tmp_path):
    """A loss on the triplets of one target is no loss on others; files of older versions lack targets."""
    n = 120
    old = pd.DataFrame(
        {
            "model": "a",
            "dataset": "study",
            "judgement_id": [f"j{i}" for i in range(n)],
            "triplet_id": [f"t{i}" for i in range(n)],
            "user_id": [f"u{i % 11}" for i in range(n)],
            "agreement": 1.0,
            "margin": 0.1,
            "target_item": [f"p{i // 20}" for i in range(n)],
        }
    )
    new = old.assign(agreement=np.where(np.arange(n) < 20, 0.0, 1.0))
    cell, file, told = Cell("a", "study", ""), tmp_path / "baseline.kis.zip", {}
    for name, columns in (("with", list(old)), ("without", [c for c in old if c != "target_item"])):
        before, after = (
            dataclasses.replace(select_part(run, ["a"], ["study"], ""), judgments=t[columns])
            for t in (old, new)
        )
        save_baseline(before, file)
        if name == "without":
            drop_targets(file)
        kept = read_baseline(file)
        assert kept.judgments["target_item"].notna().all() == (name == "with")
        (row,) = told[name] = compare_cells(kept, after, cell, Rules(), 1)
        assert compare_cells(before, after, cell, Rules(), 1) == [row]
    assert [told[name][0]["verdict"] for name in ("with", "without")] == ["pass", "fail"]


def drop_targets(file):
    """As a version wrote it that did not know them."""
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    table = pd.read_parquet(io.BytesIO(content["judgments.parquet"])).drop(columns="target_item")
    content["judgments.parquet"] = table.to_parquet(index=False)
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in content.items():
            archive.writestr(name, part)


def test_it_has_neither_texts_nor_commands_and_always_the_same_bytes(run, tmp_path):
    file, again = tmp_path / "one.kis.zip", tmp_path / "two.kis.zip"
    save_baseline(run, file)
    save_baseline(read_run(run.folder), again)
    assert file.read_bytes() == again.read_bytes()
    with zipfile.ZipFile(file) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert b"secret" not in whole
    assert b"/home/me" not in whole
    assert file.stat().st_size < 20_000


def test_a_baseline_can_be_saved_of_a_baseline_of_the_run_folder(run, tmp_path):
    first, second = tmp_path / "first.kis.zip", tmp_path / "second.kis.zip"
    save_baseline(run, first)
    save_baseline(read_baseline(first), second, models=["a"], datasets=["mine"])
    kept = read_baseline(second)
    assert name_of_baseline(kept) == run.folder.name
    assert set(kept.ranks["model"]) == {"a"}
    assert len(kept.judgments) == 0
    assert set(kept.provenance["models"]) == {"a"}


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"models": ["aa"]}, "unknown model 'aa'"),
        ({"datasets": ["mnie"]}, "did you mean mine?"),
        (
            {"models": ["bb"], "datasets": ["study"]},
            "measured nothing of these models on these datasets",
        ),
    ],
)
def test_what_the_run_does_not_have_is_refused(run, tmp_path, chosen, said):
    with pytest.raises(KisBenchError, match=said.replace("?", r"\?")):
        save_baseline(run, tmp_path / "b.kis.zip", **chosen)
    assert not (tmp_path / "b.kis.zip").exists()


def test_a_run_that_was_stopped_is_no_baseline(run, tmp_path):
    head = json.loads((run.folder / "run.json").read_text())
    (run.folder / "run.json").write_text(json.dumps(head | {"interrupted": True}))
    with pytest.raises(KisBenchError, match="stopped before its end"):
        save_baseline(read_run(run.folder), tmp_path / "b.kis.zip")
    with pytest.raises(KisBenchError, match="stopped before its end"):
        read_baseline(run.folder)


def test_a_folder_that_lacks_something_or_is_not_there(run, tmp_path):
    with pytest.raises(KisBenchError, match="there is no baseline"):
        read_baseline(tmp_path / "absent")
    (run.folder / "ranks.parquet").unlink()
    with pytest.raises(KisBenchError, match="not a whole run: missing ranks.parquet"):
        read_baseline(run.folder)


def repacked(file, **changes):
    """The file with some of its parts changed; None: left out."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts |= changes
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            if content is not None:
                archive.writestr(name, content)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ranks.parquet": None}, "it lacks ranks.parquet"),
        ({"ranks.parquet": b"PAR1 no table"}, "not a readable baseline"),
        ({"ranks.parquet": b""}, "not a readable baseline"),
        ({"baseline.json": b"{"}, "not a readable baseline"),
        ({"baseline.json": b"[]"}, "schema_version is missing"),
        ({"baseline.json": b'{"schema_version": 99}'}, "install a newer kis-bench"),
        ({"baseline.json": b"\xff"}, "not a readable baseline"),
    ],
)
def test_files_that_are_damaged_newer_or_something_else(run, tmp_path, changes, said):
    file = tmp_path / "b.kis.zip"
    save_baseline(run, file)
    repacked(file, **changes)
    with pytest.raises(KisBenchError) as caught:
        read_baseline(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 half"])
def test_no_archive(tmp_path, content):
    file = tmp_path / "b.kis.zip"
    file.write_bytes(content)
    with pytest.raises(KisBenchError, match="not a readable baseline"):
        read_baseline(file)


def test_every_cut_of_a_file_is_refused(run, tmp_path):
    file = tmp_path / "b.kis.zip"
    save_baseline(run, file)
    whole = file.read_bytes()
    for end in range(0, len(whole), max(1, len(whole) // 40)):
        file.write_bytes(whole[:end])
        with pytest.raises(KisBenchError):
            read_baseline(file)


def test_flipped_bytes_are_refused_or_change_nothing(run, tmp_path):
    file = tmp_path / "b.kis.zip"
    save_baseline(run, file)
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for place in rng.choice(len(whole), 60, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        file.write_bytes(bytes(damaged))
        try:
            kept = read_baseline(file)
        except KisBenchError:
            continue
        pd.testing.assert_frame_equal(kept.ranks[KEPT], run.ranks[KEPT])


def test_a_part_that_is_larger_than_it_may_be_is_not_unpacked(run, tmp_path, monkeypatch):
    file = tmp_path / "b.kis.zip"
    save_baseline(run, file)
    monkeypatch.setattr("kis_bench.gate.baselines.LARGEST", 100)
    with pytest.raises(KisBenchError, match="larger than 100 bytes"):
        read_baseline(file)


@pytest.mark.parametrize("wrong", [{"models": [1]}, {"datasets": "x"}, {"models": {"a": 3}}])
def test_provenance_that_is_no_table(run, tmp_path, wrong):
    file = tmp_path / "b.kis.zip"
    save_baseline(run, file)
    with zipfile.ZipFile(file) as archive:
        head = json.loads(archive.read("baseline.json"))
    repacked(file, **{"baseline.json": json.dumps(head | wrong).encode()})
    with pytest.raises(KisBenchError, match=f"{next(iter(wrong))} is not a table of tables"):
        read_baseline(file)


def test_a_name_that_no_file_can_have():
    with pytest.raises(KisBenchError, match="can't be read|there is no baseline"):
        read_baseline(Path("x" * 5000))


def test_folders_and_commands_of_the_machine_are_left_out(run, tmp_path):
    run.provenance["models"]["a"]["source"] = "extractor:vlad-sift=/home/alice/code.npz"
    run.provenance["models"]["bb"]["source"] = "openclip:local-dir:/home/alice/ours"
    run.provenance["merged_from"] = [
        {"run": "one", "command": ["pytest", "--kis-data=/home/alice"]}
    ]
    save_baseline(run, tmp_path / "b.kis.zip")
    with zipfile.ZipFile(tmp_path / "b.kis.zip") as archive:
        kept = archive.read("baseline.json")
    assert b"alice" not in kept
    assert b"openclip:local-dir:ours" in kept
    assert "alice" in str(run.provenance)  # the run itself is as it was


def test_a_column_that_is_missing(run, tmp_path):
    file, table = tmp_path / "b.kis.zip", run.ranks[KEPT].drop(columns=["rank_best"])
    save_baseline(run, file)
    repacked(file, **{"ranks.parquet": table.to_parquet(index=False)})
    with pytest.raises(KisBenchError, match=r"ranks.parquet: the column 'rank_best' is missing"):
        read_baseline(file)


def test_members_are_what_is_documented(run, tmp_path):
    save_baseline(run, tmp_path / "b.kis.zip")
    with zipfile.ZipFile(tmp_path / "b.kis.zip") as archive:
        assert archive.namelist() == [*MEMBERS]
    assert Path(name_of_baseline(read_baseline(tmp_path / "b.kis.zip"))).name
