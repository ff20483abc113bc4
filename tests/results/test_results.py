"""A run folder is there whole or not at all."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from builders import make_ranks

from kis_bench.errors import BadFile, KisBenchError
from kis_bench.gate.verdicts import Cell, listing, row
from kis_bench.results import read_run, write_run
from kis_bench.results.columns import ALL_VERDICTS, JUDGMENTS, TIMINGS, VERDICTS

TEXTS = ["<script>", "a | b", "two\nlines", "مرحبا", "x" * 10_000]


def tables() -> dict[str, Any]:
    n = len(TEXTS)
    best = np.arange(1, n + 1)
    ranks = make_ranks(
        best,
        best + 1,
        model="NA",
        dataset="toy",
        query_id=[f"00{i}" for i in range(n)],
        text=TEXTS,
        group_rank=[2.0, *[None] * (n - 1)],
        n_items=9,
        truncated=[i == 2 for i in range(n)],
        target_score=0.5,
        top_item_ids=[["i1", "i2"]] * n,
    )
    return {
        "ranks": ranks,
        "judgments": pd.DataFrame(columns=JUDGMENTS),
        "timings": pd.DataFrame(
            [("NA", "toy", "short", "rank", 0.1, 5, 50.0, True, None)], columns=TIMINGS
        ),
        "verdicts": pd.DataFrame(columns=VERDICTS),
        "provenance": {"device": "cpu", "models": {"NA": {"note": "n"}}},
    }


def test_round_trip(tmp_path: Path) -> None:
    given = tables()
    folder = write_run(tmp_path, **given)
    run = read_run(tmp_path / "latest")
    assert run.provenance["device"] == "cpu"
    assert run.ranks["text"].tolist() == TEXTS
    assert run.ranks["query_id"].tolist() == given["ranks"]["query_id"].tolist()
    assert run.ranks["group_rank"].isna().tolist() == [False, True, True, True, True]
    assert [list(x) for x in run.ranks["top_item_ids"]] == [["i1", "i2"]] * 5
    assert run.metrics["model"].unique().tolist() == ["NA"]
    recalls = run.metrics[run.metrics["metric"] == "recall"]
    assert recalls["k"].tolist() == [1, 5, 10, 50, 100]
    assert recalls["value"].tolist() == pytest.approx([0.1, 0.9, 1, 1, 1])
    assert str(pq.read_schema(folder / "judgments.parquet").field("margin").type) == "double"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([folder.name, "latest"])


def test_lists_of_queries_survive_whatever_their_ids_are(tmp_path: Path) -> None:
    names = [
        (),
        ("q1: 3 → 9",),
        ('a; and 7 more: 1 → 2"', "b, c\n: 1 → 2", "=d: 1 → 2"),
        ("[]: 1 → 2",),
    ]
    rows = [
        row(Cell("m", "d", "s"), "exact", "run", "rank", "", 1.0, not own, queries=own)
        for own in names
    ]
    folder = write_run(
        tmp_path, **tables() | {"verdicts": pd.DataFrame(rows, columns=ALL_VERDICTS)}
    )
    back = read_run(folder).verdicts
    assert back["queries"].tolist() == names
    assert back["n_queries"].tolist() == [0, 1, 3, 1]
    assert [listing(one) for one in back.to_dict("records")] == [listing(one) for one in rows]


def test_what_an_older_version_wrote_of_queries_is_still_read(tmp_path: Path) -> None:
    one = row(Cell("m", "d", "s"), "exact", "run", "rank", "", 1.0, False, queries=["q1: 3 → 9"])
    folder = write_run(
        tmp_path, **tables() | {"verdicts": pd.DataFrame([one], columns=ALL_VERDICTS)}
    )
    text = (folder / "verdicts.csv").read_text(encoding="utf-8")
    old = text.replace(",n_queries", "").replace('"[""q1: 3 → 9""]",1', "q1: 3 → 9; q2: 1 → 2")
    assert old.count("[") == 0
    (folder / "verdicts.csv").write_text(old, encoding="utf-8")
    assert read_run(folder).verdicts["queries"].tolist() == [("q1: 3 → 9; q2: 1 → 2",)]


def test_latest_leads_to_the_last(tmp_path: Path) -> None:
    write_run(tmp_path, **tables())
    second = write_run(tmp_path, **tables())
    assert (tmp_path / "latest").resolve() == second.resolve()


def test_latest_without_symlinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no symlinks")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    folder = write_run(tmp_path, **tables())
    assert read_run(tmp_path / "latest").folder == folder


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(KisBenchError, match="No space left"):
        write_run(tmp_path, **tables())
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", stop)
    with pytest.raises(KeyboardInterrupt):
        write_run(tmp_path, **tables())
    assert not list(tmp_path.iterdir())


def test_what_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KisBenchError, match="no run folder"):
        read_run(tmp_path / "none")
    folder = write_run(tmp_path, **tables())
    (folder / "timings.csv").write_text("model\nx\n")
    with pytest.raises(BadFile, match="'seconds' is missing"):
        read_run(folder)
    (folder / "timings.csv").unlink()
    with pytest.raises(KisBenchError, match="missing timings.csv"):
        read_run(folder)
    (folder / "timings.csv").write_text("")
    head = folder / "run.json"
    head.write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(BadFile, match="newer kis-bench"):
        read_run(folder)
