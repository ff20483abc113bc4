"""Label files of several annotators from the folder to the report; under privacy nobody's name is in any file."""

import csv
import shutil
from pathlib import Path

import pandas as pd
import pytest
from builders import run_python

from kis_bench import datasets
from kis_bench.results import read_run
from kis_bench.results.pseudonyms import as_private

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NAMES = ("Wilhelmina", "Oriane")
EMOJI = 40


def run(*arguments, **environment):
    done = run_python(*arguments, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """40 emoji in four groups; both annotators wrote a text for each, the second with a dot added."""
    root = tmp_path_factory.mktemp("described")
    emoji = datasets.load("openmoji")
    (root / "images").mkdir()
    texts = {query.item_ids[0]: query.text for query in emoji.queries("short")}
    images, labels = [], []
    for i, item in enumerate(emoji.collection.ids[: 20 * EMOJI : 20]):
        shutil.copy(
            emoji.collection.paths[emoji.collection.position[item]], root / "images" / f"{i:02}.png"
        )
        images.append((f"{i:02}", f"images/{i:02}.png", f"{NAMES[0]}'s day {i // 10}"))
        labels += [(f"q{i}", f"{i:02}", "short", texts[item], NAMES[0])]
        labels += [(f"q{i}", f"{i:02}", "short", f"{texts[item]}.", NAMES[1])]
    for file, header, rows in (
        ("images.csv", "item_id,path,group", images),
        ("labels.csv", "query_id,item_id,label_set,text,annotator", labels),
    ):
        with (root / file).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([header.split(","), *rows])
    return root


def measured(described, place, *options):
    out = run(
        "-m",
        "pytest",
        "benchmarks",
        "-p",
        "no:cacheprovider",
        f"--kis-dataset=faces={described}",
        f"--kis-report={place}",
        *options,
        KIS_STORE=str(described.parent / "described-store"),
    )
    return read_run(place / "latest"), out


def everything(folder):
    """Bytes of all files, and what stands in the tables, which are packed."""
    found = read_run(folder)
    tables = [found.ranks, found.fused, found.metrics, found.verdicts, found.timings]
    return b"\n".join(
        [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    ) + b"".join(table.to_csv().encode() for table in tables)


def test_from_the_folder_to_the_report(described, tmp_path):
    found, out = measured(described, tmp_path)
    ranks, folder = found.ranks, (tmp_path / "latest").resolve()
    assert set(ranks["annotator"]) == {*NAMES}
    assert (
        ranks["target_group"]
        .eq(ranks["item_id"].map(lambda item: f"{NAMES[0]}'s day {int(item) // 10}"))
        .all()
    )
    assert ranks["query_id"].str.startswith("q0/").sum() == 4
    assert found.metrics["n"].eq(2 * EMOJI).all()
    assert found.metrics["n_targets"].eq(EMOJI).all()
    assert "targets" in out
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert f"Several queries have one target: {2 * EMOJI} queries of {EMOJI} targets." in text
    assert "#### By annotator: faces, short" in text
    assert "Krippendorff" in (folder / "report.html").read_text(encoding="utf-8")
    figures = pd.read_csv(folder / "tables" / "annotators.csv")
    assert {*figures["annotator"]} == {*NAMES}
    assert figures["n"].eq(EMOJI).all()
    between = pd.read_csv(folder / "tables" / "annotator_agreement.csv")
    assert between["n_targets"].eq(EMOJI).all()
    # A dot is nothing to the baseline, which knows colours only: whoever writes, it finds the same.
    own = between.set_index("model").loc["colour-words"]
    assert (own["alpha_rank"], own["found_alike"], own["octaves_apart"]) == pytest.approx((1, 1, 0))
    # What was measured before there were such columns can be read, merged and drawn as ever.
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "ranks.parquet")
    pq.write_table(table.drop_columns(["annotator", "target_group"]), folder / "ranks.parquet")
    older = read_run(folder)
    assert older.ranks["annotator"].isna().all()
    run("-m", "kis_bench.cli", "report", folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "By annotator" not in text
    assert f"{2 * EMOJI} queries of {EMOJI} targets" in text


def test_nobody_is_named_under_privacy(described, tmp_path):
    found, _ = measured(described, tmp_path / "private", "--kis-privacy")
    assert {*found.ranks["annotator"]} == {"annotator-1", "annotator-2"}
    assert found.ranks["target_group"].isna().all()
    assert "q0/annotator-2" in {*found.ranks["query_id"]} & {*found.fused["query_id"]}
    folder = (tmp_path / "private" / "latest").resolve()
    assert "By annotator" in (folder / "report.md").read_text(encoding="utf-8")
    open_run, _ = measured(described, tmp_path / "open")
    open_folder = (tmp_path / "open" / "latest").resolve()
    content = everything(folder)
    for name in NAMES:
        assert name.encode() in everything(open_folder)
        assert name.encode() not in content
    # The same pseudonyms where an open run joins a private one, or its report is drawn for others.
    assert as_private(open_run).ranks["query_id"].tolist() == found.ranks["query_id"].tolist()
    run("-m", "kis_bench.cli", "report", folder, open_folder, "--out", tmp_path / "both")
    assert not any(
        name.encode() in everything((tmp_path / "both" / "latest").resolve()) for name in NAMES
    )
    run("-m", "kis_bench.cli", "report", open_folder, "--privacy")
    drawn = [
        open_folder / "report.md",
        open_folder / "report.html",
        *(open_folder / "tables").iterdir(),
    ]
    assert not any(name.encode() in file.read_bytes() for file in drawn for name in NAMES)
