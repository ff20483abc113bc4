"""What other tools make of exported runs, what is left where vectors are gone, and files that appear whole."""

from __future__ import annotations

import csv
import hashlib
import math
import re
import shutil
import warnings
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from builders import make_ranks
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kis_bench import datasets
from kis_bench.errors import KisBenchError
from kis_bench.exchange.foreign_ties import describe_differences, read_as_others
from kis_bench.exchange.rankings import Unavailable, collect_targets
from kis_bench.exchange.trec import encode_name, export_run
from kis_bench.measuring import measure_known_items
from kis_bench.metrics import hits_at_k, mean_reciprocal_rank, recall_at_k
from kis_bench.ranking.single_scores import rounded_sums, true_scores
from kis_bench.results import read_run, write_run
from kis_bench.results.columns import JUDGMENTS, TIMINGS, VERDICTS
from kis_bench.store import Store

N, COPIES, D = 130, 10, 24  # pictures, how many of them are there twice, length of vectors
CUTOFFS = (1, 5, 10, 50, 100)
MODELS = ("tiny", "ORG/Tïny 100%")


def vector(*seeds):
    """A unit vector, always the same for the same numbers."""
    made = np.random.default_rng(seeds).standard_normal(D)
    return made / np.linalg.norm(made)


class Tiny:
    """Pictures say in their red and green which vector they get; a text ``17 0.5 3`` is near that of picture 17."""

    dim, vectors_per_item, context_length = D, 2, None

    def __init__(self, name):
        self.name, self.seed = name, len(name)
        self.key = f"key-{hashlib.sha256(name.encode()).hexdigest()[:12]}"

    def encode_images(self, images):
        numbers = [
            int(pixel[0]) * 256 + int(pixel[1])
            for pixel in (np.asarray(image)[0, 0] for image in images)
        ]
        return np.array(
            [[vector(self.seed, n), vector(self.seed, n, 1)] for n in numbers], np.float32
        )

    def encode_texts(self, texts):
        rows = []
        for text in texts:
            number, noise, salt = text.split()
            row = vector(self.seed, int(number)) + float(noise) * vector(self.seed, 999, int(salt))
            rows.append([row / np.linalg.norm(row)])
        return np.array(rows, np.float32), np.zeros(len(rows), bool)


def item_id(i, copy=False):
    return f"bei ü {i % 3}/{'Kopie' if copy else 'image'} {i:03d}%20"


def write_dataset(root, ids=item_id):
    """130 pictures and copies of the first ten; only the targets of the label set ``tied`` have a copy."""
    for copy in (False, True):
        for i in range(COPIES if copy else N):
            file = root / "images" / f"{ids(i, copy)}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (2, 2), (i // 256, i % 256, 0)).save(file)
    rows = []
    for i in range(COPIES, N):
        text = f"{i} {0.5 + (i % 8) * 0.6} {i}"
        rows.append((f"q {i}", ids(i), "plain", text))
        rows += [
            (f"q {i}", ids(j), "several", text)
            for j in (i, *range(COPIES, N, 37))
            if j == i or j != i
        ]
    rows += [(f"q-{i}", ids(i), "tied", f"{i} 1.5 {i}") for i in range(COPIES)]
    rows = list(dict.fromkeys(rows))
    with (root / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("query_id", "item_id", "label_set", "text"), *rows])


def measured(base, root, models=MODELS):
    """A run over all label sets, with its vectors in ``base/store``; shards of 50, so that they are read in parts."""
    dataset, store = datasets.load("töy", root), Store(base / "store")
    ranks = []
    for name in models:
        encoder = Tiny(name)
        for label_set in dataset.label_sets:
            ranks.append(measure_known_items(encoder, dataset, label_set, store).to_frame())
    folder = write_run(
        base / "reports",
        ranks=pd.concat(ranks, ignore_index=True),
        judgments=pd.DataFrame(columns=JUDGMENTS),
        timings=pd.DataFrame(columns=TIMINGS),
        verdicts=pd.DataFrame(columns=VERDICTS),
        provenance={
            "models": {name: {"key": Tiny(name).key} for name in models},
            "datasets": {"töy": {"fingerprint": dataset.fingerprint}},
        },
    )
    return read_run(folder)


@pytest.fixture(autouse=True)
def no_folder_of_the_user(tmp_path, monkeypatch):
    for name in ("KIS_CACHE", "KIS_STORE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("KIS_DATA", raising=False)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("export")
    write_dataset(base / "data")
    return base


@pytest.fixture(scope="module")
def run(base):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIS_CACHE", str(base / "cache"))
        return measured(base, base / "data")


@pytest.fixture
def export(run, base, tmp_path):
    """Exports and returns (folder, remarks); everything that was measured is there unless said otherwise."""

    def call(form, out="out", run=run, **options):
        options = {"store": Store(base / "store"), "datasets": {"töy": base / "data"}} | options
        return tmp_path / out, export_run(run, form, tmp_path / out, **options)

    return call


@contextmanager
def quiet():
    """Without warnings of other people's packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def ranx(tmp_path_factory):
    with quiet(), pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "IR_DATASETS_HOME", str(tmp_path_factory.mktemp("ir_datasets"))
        )  # a folder made on import
        return pytest.importorskip("ranx")


def cell(run, model="tiny", label_set="plain"):
    return run.ranks[(run.ranks.model == model) & (run.ranks.label_set == label_set)].reset_index(
        drop=True
    )


def file_of(remarks, *parts):
    """The file that a remark tells of; its name starts with the simplified names of what is in it."""
    files = [remark.partition(":")[0] for remark in remarks]
    (name,) = [file for file in files if all(part in file for part in parts)]
    return name


def run_file(remarks, label_set="plain", model="tiny"):
    return file_of(remarks, f"t-y-{label_set}-{'org-' if model != 'tiny' else 'tiny'}", ".run.")


def qrels_file(remarks, label_set="plain"):
    return file_of(remarks, f"t-y-{label_set}-", ".qrels.")


def read_trec(file):
    return [line.split(" ") for line in file.read_text("ascii").splitlines()]


def figures(ranks, names):
    """Our own figures under the names that ranx has for them."""
    best, worst = ranks.rank_best.to_numpy(), ranks.rank_worst.to_numpy()
    ours = {
        f"{kind}@{k}": recall_at_k(best, worst, k)
        for k in CUTOFFS
        for kind in ("hit_rate", "recall")
    }
    return {
        name: (ours | {"mrr": mean_reciprocal_rank(ranks["rank"].to_numpy())})[name]
        for name in names
    }


RANX = [f"{kind}@{k}" for kind in ("hit_rate", "recall") for k in CUTOFFS] + ["mrr"]


def evaluate(ranx, qrels, ranked, names):
    with quiet():  # numba has something to say about the code of ranx
        return ranx.evaluate(qrels, ranked, list(names))


# Other tools ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_ranx_finds_the_same_figures_in_trec_files(run, export, ranx, model):
    folder, remarks = export("trec")
    ranked = ranx.Run.from_file(str(folder / run_file(remarks, model=model)), kind="trec")
    qrels = ranx.Qrels.from_file(str(folder / qrels_file(remarks)), kind="trec")
    assert ranked.name == encode_name(model)
    ours = cell(run, model)
    assert (ours.rank_best == ours.rank_worst).all()
    assert evaluate(ranx, qrels, ranked, RANX) == pytest.approx(figures(ours, RANX), abs=1e-12)
    assert 0 < figures(ours, RANX)["hit_rate@1"] < figures(ours, RANX)["hit_rate@50"] < 1


@pytest.mark.slow
def test_with_several_targets_our_recall_is_the_hit_rate_of_others(run, export, ranx):
    folder, remarks = export("trec")
    ranked = ranx.Run.from_file(str(folder / run_file(remarks, "several")), kind="trec")
    qrels = ranx.Qrels.from_file(str(folder / qrels_file(remarks, "several")), kind="trec")
    names = [name for name in RANX if not name.startswith("recall")]
    ours = figures(cell(run, label_set="several"), names)
    assert evaluate(ranx, qrels, ranked, names) == pytest.approx(ours, abs=1e-12)
    assert evaluate(ranx, qrels, ranked, ["recall@5", "mrr"])["recall@5"] < recall_at_k(
        *(cell(run, label_set="several")[c].to_numpy() for c in ("rank_best", "rank_worst")), 5
    )


@pytest.mark.slow
def test_ranx_finds_the_same_figures_in_parquet_files(run, export, ranx):
    folder, remarks = export("parquet")
    columns = {"q_id_col": "query_id", "doc_id_col": "doc_id"}
    with (
        quiet(),
        pd.option_context("future.infer_string", False),
    ):  # ranx refuses the texts of pandas 3
        ranked = ranx.Run.from_parquet(str(folder / run_file(remarks)), **columns)
        qrels = ranx.Qrels.from_parquet(
            str(folder / qrels_file(remarks)), score_col="relevance", **columns
        )
    assert evaluate(ranx, qrels, ranked, RANX) == pytest.approx(figures(cell(run), RANX), abs=1e-12)


@pytest.mark.slow
def test_ranx_finds_the_same_figures_in_data_frames_of_csv_files(run, export, ranx):
    folder, remarks = export("csv")
    frames = [
        pd.read_csv(folder / name, dtype={"query_id": str, "doc_id": str}, keep_default_na=False)
        for name in (run_file(remarks), qrels_file(remarks))
    ]
    ranked, judged = (frame.astype({"query_id": object, "doc_id": object}) for frame in frames)
    columns = {"q_id_col": "query_id", "doc_id_col": "doc_id"}
    qrels = ranx.Qrels.from_df(judged, score_col="relevance", **columns)
    theirs = evaluate(ranx, qrels, ranx.Run.from_df(ranked, **columns), RANX)
    assert theirs == pytest.approx(figures(cell(run), RANX), abs=1e-12)


@pytest.mark.parametrize("form", ["trec", "csv"])
def test_ir_measures_finds_the_same_success_for_each_query(run, export, form):
    with quiet():
        ir_measures = pytest.importorskip("ir_measures")
    folder, remarks = export(form)
    ranked, judged = folder / run_file(remarks), folder / qrels_file(remarks)
    if form == "trec":
        ranked, judged = (
            ir_measures.read_trec_run(str(ranked)),
            ir_measures.read_trec_qrels(str(judged)),
        )
    else:
        ids = {"query_id": str, "doc_id": str}
        ranked, judged = (
            pd.read_csv(file, dtype=ids, keep_default_na=False) for file in (ranked, judged)
        )
    asked = [ir_measures.RR, *(ir_measures.Success @ k for k in CUTOFFS)]
    theirs = {
        (m.query_id, str(m.measure)): m.value for m in ir_measures.iter_calc(asked, judged, ranked)
    }
    ours = {}
    for row in cell(run).itertuples():
        query = encode_name(row.query_id) if form == "trec" else row.query_id
        ours[query, "RR"] = 1 / row.rank
        ours |= {
            (query, f"Success@{k}"): float(hits_at_k([row.rank_best], [row.rank_worst], k)[0])
            for k in CUTOFFS
        }
    assert theirs == pytest.approx(ours, abs=1e-12)


# What is in the files ------------------------------------------------------------------------------------------------


def test_lines_of_trec_files(run, export, base):
    folder, remarks = export("trec")
    lines = read_trec(folder / run_file(remarks, model=MODELS[1]))
    ids = set(datasets.load("töy", base / "data").collection.ids)
    assert all(len(line) == 6 for line in lines)
    assert {line[1] for line in lines} == {"Q0"}
    assert {line[5] for line in lines} == {encode_name(MODELS[1])} == {"ORG/T%C3%AFny%20100%25"}
    by_query = {}
    for query, _, item, rank, score, _ in lines:
        by_query.setdefault(unquote(query), []).append((unquote(item), int(rank), float(score)))
    assert list(by_query) == cell(run).query_id.tolist()
    for some in by_query.values():
        assert {item for item, _, _ in some} == ids
        assert [rank for _, rank, _ in some] == list(range(1, len(ids) + 1))
        assert all(a >= b for (_, _, a), (_, _, b) in pairwise(some))
    tops = [[item for item, _, _ in some[:10]] for some in by_query.values()]
    assert tops == [list(top) for top in cell(run, MODELS[1]).top_item_ids]
    qrels = read_trec(folder / qrels_file(remarks, "several"))
    targets = {}
    for query, zero, item, relevance in qrels:
        assert (zero, relevance) == ("0", "1")
        targets.setdefault(unquote(query), []).append(unquote(item))
    asked = datasets.load("töy", base / "data").queries("several")
    assert targets == {query.query_id: list(query.item_ids) for query in asked}


def test_each_cell_has_its_file_and_a_remark(run, export):
    folder, remarks = export("csv")
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        remark.partition(":")[0] for remark in remarks
    )
    assert len(remarks) == 3 * (len(MODELS) + 1)
    assert f"{N - COPIES} queries, {(N - COPIES) * (N + COPIES)} items" in "\n".join(remarks)
    assert all(remark.isprintable() for remark in remarks)


def test_all_forms_hold_the_same(export):
    folder, remarks = export("trec")
    lines = read_trec(folder / run_file(remarks, "tied"))
    trec = [
        (unquote(query), unquote(item), float(score), int(rank))
        for query, _, item, rank, score, _ in lines
    ]
    folder, remarks = export("csv")
    with (folder / run_file(remarks, "tied")).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["query_id", "doc_id", "score", "rank"]
    assert [(query, item, float(score), int(rank)) for query, item, score, rank in rows] == trec
    folder, remarks = export("parquet")
    frame = pd.read_parquet(folder / run_file(remarks, "tied"))
    assert list(frame.itertuples(index=False, name=None)) == trec
    assert str(frame.score.dtype) == "float64"


def test_ties_keep_equal_scores(run, export):
    folder, remarks = export("trec")
    scores = {}
    for query, _, item, _, score, _ in read_trec(folder / run_file(remarks, "tied")):
        scores.setdefault(unquote(query), {})[unquote(item)] = float(score)
    tied = cell(run, label_set="tied")
    assert (tied.rank_worst == tied.rank_best + 1).all()
    for row in tied.itertuples():
        others = list(scores[row.query_id].values())
        target = scores[row.query_id][row.item_id]
        assert 1 + sum(score > target for score in others) == row.rank_best
        assert sum(score >= target for score in others) == row.rank_worst


@pytest.mark.parametrize("v", [1, 3])
@pytest.mark.parametrize("d", [1, 2, 7, 40])
def test_scores_are_the_true_ones_rounded(d, v):
    rng = np.random.default_rng(d)
    query = rng.standard_normal(d).astype(np.float32)
    items = rng.standard_normal((60, v, d)).astype(np.float32)
    items[1:30] = items[0]  # ties, and differences far below what float64 sums can tell
    items[1:30, :, 0] = np.nextafter(items[0, :, 0], rng.choice(np.float32([-9, 9]), (29, 1)))
    items[5:20:2] *= rng.choice(np.float32([1e-9, 1, 2.0**-70]), (8, 1, d))
    for i in range(40, 60, 2):  # sums that nearly cancel out
        items[i] = np.where(np.arange(d) % 2, 1, -1) / query * np.float32(1 + i * 2.0**-20)
    true = [
        max(
            sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(query, w, strict=True))
            for w in item
        )
        for item in items
    ]
    assert true_scores(query, items).tolist() == [float(score) for score in true]
    assert true_scores(query, items[7:8]).tolist() == [float(true[7])]


@given(st.lists(st.lists(st.floats(-1e30, 1e30), min_size=5, max_size=5), min_size=1, max_size=9))
def test_sums_are_rounded_correctly(rows):
    half_way = [[1.0, 2.0**-53, tiny, 0.0, -0.0] for tiny in (0.0, 2.0**-200, -(2.0**-200))]
    terms = np.array([*rows, *half_way])
    assert rounded_sums(terms).tolist() == [math.fsum(row) for row in terms.tolist()]


@given(st.text())
def test_any_name_is_one_word_of_ascii_and_comes_back(name):
    word = encode_name(name)
    assert unquote(word, errors="surrogatepass") == name
    assert word.isascii()
    assert word.split() == ([word] if name else [])
    assert not any(c in word for c in '"\0\x7f')


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters=' %"')))
def test_visible_ascii_stays_readable(name):
    assert encode_name(name) == name


# Depth, and what is left where something is gone ---------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 7, 30])
def test_depth_cuts_the_ranking_and_says_what_is_lost(run, export, depth):
    whole, remarks = export("trec", "whole")
    folder, cut_remarks = export("trec", "cut", depth=depth)
    lines = read_trec(whole / run_file(remarks))
    assert read_trec(folder / run_file(cut_remarks)) == [
        line for line in lines if int(line[3]) <= depth
    ]
    (remark,) = [r for r in cut_remarks if r.startswith(run_file(cut_remarks))]
    assert f"; {(cell(run).rank_best > depth).sum()} targets lie beyond depth {depth}" in remark


def gone(kind, base, tmp_path):
    """Options under which something of the run is missing."""
    if kind == "no store":
        return {"store": Store(tmp_path / "elsewhere")}
    if kind == "no dataset":
        return {"datasets": {}}
    shutil.copytree(base / "data", tmp_path / "data", dirs_exist_ok=True)
    labels = tmp_path / "data" / "labels.csv"
    labels.write_text(labels.read_text("utf-8").replace("0.5", "0.6"), "utf-8")
    return {"datasets": {"töy": tmp_path / "data"}}


GONE = {
    "no store": "elsewhere lacks vectors of tiny .*kis-bench embed töy --model tiny",
    "no dataset": "unknown dataset 'töy'.*Give its folder as töy=FOLDER, or set KIS_DATA",
    "another dataset": "dataset töy here is not the one that was measured; name the folder",
}


@pytest.mark.parametrize("kind", GONE)
def test_without_vectors_the_table_is_exported_and_the_limit_named(
    run, export, base, tmp_path, kind
):
    folder, remarks = export("trec", **gone(kind, base, tmp_path))
    (remark,) = [r for r in remarks if r.startswith(run_file(remarks))]
    assert "measures hold up to cutoff 10 only" in remark
    lines = read_trec(folder / run_file(remarks))
    assert [unquote(line[2]) for line in lines] == [
        item for top in cell(run).top_item_ids for item in top
    ]
    assert [float(line[4]) for line in lines] == [*range(10, 0, -1)] * len(cell(run))
    assert len(read_trec(folder / qrels_file(remarks, "several"))) > len(cell(run))
    folder, remarks = export("trec", "few", depth=3, **gone(kind, base, tmp_path))
    assert {line[3] for line in read_trec(folder / run_file(remarks))} == {"1", "2", "3"}


def test_without_vectors_targets_keep_their_ties_and_scores_are_positive(export):
    folder, remarks = export("trec", datasets={})
    (remark,) = [r for r in remarks if r.startswith(run_file(remarks, "tied"))]
    assert f"; {COPIES} of {COPIES} targets tie with other items" in remark
    assert "--scores" not in remark
    scores = [float(line[4]) for line in read_trec(folder / run_file(remarks, "tied"))]
    assert sorted({*scores}) == [*range(1, 10)]  # of ten items two are equal
    assert sorted(scores) == [np.float32(score) for score in sorted(scores)]


@pytest.mark.parametrize("form", ["trec", "csv"])
@pytest.mark.parametrize("scores", ["similarity", "places"])
def test_what_is_said_of_ties_is_what_ir_measures_gives(run, export, base, form, scores):
    """The larger id first in RR, the smaller in RR@k, while ours is the mean place; of 140 items all are there."""
    with quiet():
        ir_measures = pytest.importorskip("ir_measures")
    folder, remarks = export(form, scores=scores)
    file = folder / run_file(remarks, "tied")
    (remark,) = [r for r in remarks if r.startswith(file.name)]
    if form == "trec":
        ranked = ir_measures.read_trec_run(str(file))
        judged = ir_measures.read_trec_qrels(str(folder / qrels_file(remarks, "tied")))
    else:
        ids = {"query_id": str, "doc_id": str}
        ranked, judged = (
            pd.read_csv(one, dtype=ids) for one in (file, folder / qrels_file(remarks, "tied"))
        )
    asked = [ir_measures.RR, ir_measures.RR @ 1000]
    theirs = ir_measures.calc_aggregate(asked, list(judged) if form == "trec" else judged, ranked)
    own = mean_reciprocal_rank(cell(run, label_set="tied")["rank"].to_numpy())
    values = re.findall(r"(?<!\d)0\.\d{4}", remark)
    assert values == [f"{value:.4f}" for value in (own, *(theirs[one] for one in asked))]
    assert len({*values}) == 3


def test_places_are_the_order_of_the_similarities_and_nothing_else(export):
    """In positive whole numbers, so that no tool takes a target for not found or two scores for equal."""
    folder, remarks = export("csv")
    true = pd.read_csv(folder / run_file(remarks, "tied"), dtype={"query_id": str})
    assert (true["score"] <= 0).any()
    folder, remarks = export("csv", "places", scores="places")
    places = pd.read_csv(folder / run_file(remarks, "tied"), dtype={"query_id": str})
    assert places.drop(columns="score").equals(true.drop(columns="score"))
    for query, own in places.groupby("query_id"):
        similarity = true.loc[own.index, "score"].to_numpy()
        obtained = own["score"].to_numpy()
        assert (obtained.astype(np.float32) == obtained).all()
        assert obtained.min() == 1, query
        order = np.sign(np.subtract.outer(similarity, similarity))
        assert (order == np.sign(np.subtract.outer(obtained, obtained))).all()


def test_targets_without_a_positive_score_are_counted(run, export):
    """They are what torchmetrics takes for not found."""
    folder, remarks = export("csv")
    (remark,) = [r for r in remarks if r.startswith(run_file(remarks))]
    table = pd.read_csv(folder / run_file(remarks), dtype={"query_id": str})
    targets = dict(zip(cell(run).query_id, cell(run).item_id, strict=True))
    lost = (table["doc_id"] == table["query_id"].map(targets)) & (table["score"] <= 0)
    assert lost.any()
    assert f"; {lost.sum()} targets have scores of 0 or less" in remark
    _, remarks = export("csv", scores="places")
    assert not any("scores of 0 or less" in remark for remark in remarks)


def test_scores_that_single_precision_takes_for_equal_are_told():
    ranking = pd.DataFrame(
        {
            "query_id": ["q", "q", "q", "r", "r"],
            "doc_id": ["a", "c", "b", "a", "b"],
            "score": [0.5 + 2e-9, 0.5 + 1e-9, 0.25, 1.0, 0.5],
        }
    )
    read = read_as_others(ranking, {"q": ("a",), "r": ("b",), "lost": ("a",)}, str)
    assert read.count_rivals(single=False).tolist() == [1, 1]
    assert read.count_rivals(single=True).tolist() == [2, 1]
    assert read.reciprocal_ranks(larger_first=True, single=True).tolist() == [0.5, 0.5]
    assert read.reciprocal_ranks(larger_first=True, single=False).tolist() == [1.0, 0.5]
    ranks = pd.DataFrame({"rank_best": [1, 2], "rank_worst": [1, 2], "rank": [1.0, 2.0]})
    assert describe_differences(read, ranks).startswith(
        "; 0 of 2 targets tie with other items, 1 with more items in single precision: MRR 0.7500 here, 0.5000 where"
    )
    assert describe_differences(read_as_others(ranking[3:], {"r": ("b",)}, str), ranks) == ""


@pytest.mark.slow
def test_what_the_table_holds_gives_the_same_figures_up_to_its_depth(run, export, ranx):
    folder, remarks = export("trec", datasets={})
    ranked = ranx.Run.from_file(str(folder / run_file(remarks)), kind="trec")
    qrels = ranx.Qrels.from_file(str(folder / qrels_file(remarks)), kind="trec")
    names = [f"hit_rate@{k}" for k in (1, 5, 10)]
    assert evaluate(ranx, qrels, ranked, names) == pytest.approx(
        figures(cell(run), names), abs=1e-12
    )


@pytest.mark.parametrize("kind", GONE)
def test_a_depth_that_cannot_be_had_is_refused(export, base, tmp_path, kind):
    with pytest.raises(
        KisBenchError, match=f"depth 11: the run itself names 10 items.*{GONE[kind]}"
    ):
        export("trec", depth=11, **gone(kind, base, tmp_path))
    assert not (tmp_path / "out").exists()


def test_vectors_that_give_other_ranks_are_refused(run, export):
    ranks = run.ranks.copy()
    ranks.loc[3, ["rank_best", "rank_worst"]] += 1
    with pytest.raises(
        KisBenchError,
        match=f"1 queries of töy plain, the first {ranks.query_id[3]!r}, rank otherwise",
    ):
        export("trec", run=replace(run, ranks=ranks))


def test_a_table_that_contradicts_itself_is_refused(run, export):
    ranks = run.ranks.copy()
    row = int((ranks.rank_worst > 10).to_numpy().argmax())
    ranks.loc[row, ["rank_best", "rank_worst"]] = 2
    with pytest.raises(KisBenchError, match="has rank 2 to 2 in the run, but place 11"):
        export("trec", run=replace(run, ranks=ranks), datasets={})


def test_queries_without_target_or_items_are_left_out_and_counted(run, export):
    ranks = cell(run)
    ranks.loc[0, "item_id"] = ""
    ranks.loc[1, "item_id"] = None
    ranks["top_item_ids"] = [
        None if i in (2, 3) else top for i, top in enumerate(ranks.top_item_ids)
    ]
    folder, remarks = export("trec", run=replace(run, ranks=ranks), datasets={})
    assert "left out: 4 queries without a target or without ranked items" in remarks[0]
    left = {encode_name(query) for query in ranks.query_id[4:]}
    assert {line[0] for line in read_trec(folder / run_file(remarks))} == left
    assert {line[0] for line in read_trec(folder / qrels_file(remarks))} == left


def test_a_run_of_which_nothing_can_be_exported_says_why(run, export, tmp_path):
    ranks = cell(run).assign(top_item_ids=None)
    with pytest.raises(
        KisBenchError, match=r"(?s)nothing in .* can be exported.*tiny: not written.*left out: 120"
    ):
        export("csv", run=replace(run, ranks=ranks), datasets={})
    assert not (tmp_path / "out").exists()


def test_a_model_that_named_no_items_is_left_out_beside_others(run, export):
    ranks = pd.concat(
        [cell(run), cell(run, MODELS[1]).assign(top_item_ids=None)], ignore_index=True
    )
    folder, remarks = export("csv", run=replace(run, ranks=ranks), datasets={})
    assert len(list(folder.iterdir())) == 2
    assert any("ORG/Tïny 100%: not written" in remark for remark in remarks)


def test_what_was_measured_twice_is_exported_once(run, export):
    twice = replace(run, ranks=pd.concat([run.ranks, run.ranks], ignore_index=True))
    once, remarks = export("trec", "once")
    folder, again = export("trec", "twice", run=twice)
    assert remarks == again
    assert all((folder / file.name).read_bytes() == file.read_bytes() for file in once.iterdir())


def test_ids_with_a_bar_need_the_dataset(tmp_path, monkeypatch):
    write_dataset(tmp_path / "data", ids=lambda i, copy=False: f"a|{i}{'|b' if copy else ''}")
    run = measured(tmp_path, tmp_path / "data", models=["tiny"])
    options = {"store": Store(tmp_path / "store")}
    remarks = export_run(
        run, "trec", tmp_path / "out", datasets={"töy": tmp_path / "data"}, **options
    )
    assert len(read_trec(tmp_path / "out" / qrels_file(remarks))) == N - COPIES
    with pytest.raises(
        KisBenchError, match=r"only the dataset can tell what 'a\|10' means: unknown dataset 'töy'"
    ):
        export_run(run, "trec", tmp_path / "none", **options)
    monkeypatch.setenv("KIS_DATA", str(tmp_path / "folders"))
    (tmp_path / "folders").mkdir()
    (tmp_path / "data").rename(tmp_path / "folders" / "töy")
    assert export_run(run, "trec", tmp_path / "out", **options) == remarks


def test_an_id_with_a_bar_that_no_list_names_is_one_target():
    ranks = make_ranks([30, 40], item_id=["a|1", "b|c"], n_targets=[1, 2], top_item_ids=[["x"]] * 2)
    assert collect_targets(ranks, Unavailable("not here")) == {"q000": ("a|1",), "q001": ("b", "c")}
    with pytest.raises(KisBenchError, match=r"only the dataset can tell what 'a\|1' means"):
        collect_targets(ranks.assign(n_targets=3), Unavailable("not here"))


# Files and wrong use -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", range(4))
def test_a_full_disk_leaves_what_was_there(export, monkeypatch, fails):
    folder, _ = export("trec", depth=5)
    (folder / "notes.txt").write_text("mine")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    calls = []

    def sync(handle):
        calls.append(handle)
        if len(calls) > fails:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", sync)
    with pytest.raises(
        KisBenchError, match="can't be written: No space left on device; free space or choose"
    ):
        export("trec")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_folder_that_cannot_be_made(export, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        KisBenchError, match="can't be written: .*free space or choose another folder"
    ):
        export("csv", "file")


def test_names_that_differ_have_files_that_differ(run, export):
    ranks = pd.concat(
        [cell(run).assign(model=name) for name in ("A b", "a b", "a-b", "a/b")], ignore_index=True
    )
    folder, remarks = export("csv", run=replace(run, ranks=ranks), datasets={})
    names = [file.name for file in folder.iterdir()]
    assert len({name.lower() for name in names}) == len(names) == len(remarks) == 5
    assert all(name.isascii() and " " not in name for name in names)


def test_wrong_use_is_told(run, export):
    with pytest.raises(KisBenchError, match="unknown form 'xml': known are trec, csv, parquet"):
        export("xml")
    with pytest.raises(KisBenchError, match="unknown scores 'x': known are similarity, places"):
        export("csv", scores="x")
    with pytest.raises(KisBenchError, match="depth 0"):
        export("csv", depth=0)
    with pytest.raises(
        KisBenchError, match="has no ranks, because nothing of known-item search was measured"
    ):
        export("csv", run=replace(run, ranks=run.ranks[:0]))


def test_no_deep_learning_library_is_imported():
    import subprocess
    import sys

    heavy = "{'torch', 'transformers', 'open_clip', 'timm'}"
    code = f"import sys, kis_bench.exchange.trec; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
