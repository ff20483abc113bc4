"""M3RT's folder -> a run and embeddings, with everything said that could not be taken over."""

import csv
import pickle
import shutil
from itertools import permutations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from kis_bench import datasets
from kis_bench.encoders import catalogue
from kis_bench.encoders.m3rt import list_thesis_names
from kis_bench.errors import BadFile, KisBenchError, UnknownName
from kis_bench.exchange.m3rt.importing import import_saves
from kis_bench.exchange.m3rt.ranks import make_rank_rows, merge_remarks, pair
from kis_bench.exchange.m3rt.saves import find_saves
from kis_bench.records import Query, digest
from kis_bench.report import write_report
from kis_bench.results import read_run
from kis_bench.results.columns import RANKS
from kis_bench.store import Store

LABELS = [
    ("00001", "red, and round", "one long"),
    ("00002", "kite", "two long"),
    ("00003", "kite", "three long"),  # another rank than 00002: nobody can tell which is whose
    ("00004", "cat", "four long"),
    ("00005", "cat", "five long"),  # the same rank as 00004: no matter which is whose
    ("00006", " dog ", "six long"),
]
RANKS_SHORT = [
    ("red, and round", 0),
    ("kite", 3),
    ("kite", 7),
    ("cat", 2),
    ("cat", 2),
    (" dog ", -1),
]
VIT_L = "openclip-ViT_L_16_webli"


class M3RT:
    """The folder of the thesis' code, with ten images of the dataset ``photos``."""

    def __init__(self, root, n=10):
        self.root, self.n = root, n

    def images(self, dataset="photos"):
        data = self.root / "datasets" / dataset / "data"
        data.mkdir(parents=True)
        for i in range(1, self.n + 1):
            Image.new("RGB", (8, 8), (20 * i, 0, 0)).save(data / f"{i:05d}.jpg")

    def labels(self, rows=LABELS, dataset="photos"):
        file = self.root / "datasets" / dataset / "labels" / "labels.csv"
        file.parent.mkdir(parents=True)
        with file.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("ID", "short_label", "long_label"), *rows])

    def save(self, folder, name, value):
        file = self.root / "saves" / folder / f"{name}.pkl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(value))
        return file

    def ranks(self, name="clip-photos-short", ranks=RANKS_SHORT):
        return self.save("ranks", name, sorted(ranks))

    def cumulation(self, name="clip-photos-short", ranks=RANKS_SHORT):
        """As M3RT counted: a slice from -1 is the last entry."""
        counts = [0] * self.n
        for _, rank in ranks:
            counts[rank:] = [count + 1 for count in counts[rank:]]
        return self.save("cumulations", name, counts)

    def features(self, name="clip-photos", ids=None, dtype=torch.float32):
        ids = (
            [f"{i:05d}" for i in range(self.n, 0, -1)] if ids is None else ids
        )  # in no certain order
        vectors = normalize(
            torch.randn(len(ids), 8, generator=torch.Generator().manual_seed(3)).to(dtype), dim=-1
        )
        self.save("image_features", name, (ids, vectors))
        return vectors


@pytest.fixture
def m3rt(tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    return M3RT(tmp_path / "M3RT")


@pytest.fixture
def take(m3rt, tmp_path):
    def take(folder=m3rt.root, **more):
        store = Store(tmp_path / "store")
        return import_saves(folder, reports=tmp_path / "reports", store=store, **more)

    return take


def said(imported, *parts):
    """The remarks in which all the parts stand."""
    return [remark for remark in imported.remarks if all(part in remark for part in parts)]


def test_a_whole_folder(m3rt, take):
    m3rt.images()
    m3rt.labels()
    m3rt.ranks()
    m3rt.cumulation()
    m3rt.features()
    imported = take()
    run = read_run(imported.run)
    write_report(run.folder, run, imported.pictures)
    assert (imported.run / "report.md").is_file()
    dataset = datasets.load("photos", m3rt.root / "datasets" / "photos")
    rows = run.ranks.set_index("query_id")
    assert rows.index.tolist() == [
        "00001-short",
        "00004-short",
        "00005-short",
        "unpaired-clip-vit-b-32-short-1",
        "unpaired-clip-vit-b-32-short-2",
    ]
    assert rows["rank"].tolist() == [1, 3, 3, 4, 8]
    assert rows["rank_best"].tolist() == rows["rank_worst"].tolist() == [1, 3, 3, 4, 8]
    assert rows["item_id"].tolist() == ["00001", "00004", "00005", "", ""]
    assert rows["text"].tolist() == ["red, and round", "cat", "cat", "kite", "kite"]
    assert set(run.ranks["dataset"]) == {"photos"}
    assert set(run.ranks["n_items"]) == {10}
    assert (
        run.ranks[["group_rank", "truncated", "target_score", "top_item_ids"]].isna().all(axis=None)
    )
    known = {query.query_id: query for query in dataset.all_queries}
    assert all(known[name].text == text for name, text in rows["text"].items() if name in known)
    recall = run.metrics[(run.metrics["metric"] == "recall") & (run.metrics["k"] == 5)].iloc[0]
    assert (recall["value"], recall["n"]) == (0.8, 5)
    about = run.provenance["models"]["clip-vit-b-32"]
    assert about["source"] == "m3rt:clip"
    assert "Imported from M3RT" in about["note"]
    assert "Ranks left out, because the target was not found: 1." in about["note"]
    assert "Ranks not paired with their query: 2." in about["note"]
    assert set(about["files"]) == {
        "ranks/clip-photos-short.pkl",
        "cumulations/clip-photos-short.pkl",
        "image_features/clip-photos.pkl",
    }
    facts = run.provenance["datasets"]["photos"]
    assert (facts["fingerprint"], facts["n_items"]) == (dataset.fingerprint, 10)
    assert facts["n_queries"] == {"short": 6}
    assert len(imported.remarks) == 2
    assert said(
        imported,
        "left out, because the target was not among the images (M3RT's rank -1): 1 of 6 ('dog')",
    )
    assert said(
        imported,
        "clip-vit-b-32 on photos, short: not paired, because several queries have the text, and M3RT sorted those by "
        "their ranks: 2 of 6 ('kite')",
    )


def test_features_are_stored_for_the_images_they_are_of(m3rt, take, tmp_path):
    m3rt.images()
    m3rt.labels()
    vectors = m3rt.features()
    imported = take()
    assert imported.run is None
    collection = datasets.load("photos", m3rt.root / "datasets" / "photos").collection
    (folder,) = imported.store_folders
    entry = Store(tmp_path / "store").entry(
        "photos", collection.fingerprint, folder.parent.name, "images", collection.ids
    )
    assert entry.folder == folder
    assert entry.key == "m3rt-clip-vit-b-32"
    np.testing.assert_array_equal(entry.read().vectors[:, 0], vectors.numpy()[::-1])
    assert not imported.remarks


def test_half_precision_becomes_unit_length(m3rt, take, tmp_path):
    coarse = m3rt.features(dtype=torch.float16, ids=["a", "b", "c"]).float().numpy()
    imported = take()
    ids = ("a", "b", "c")
    (folder,) = imported.store_folders
    read = (
        Store(tmp_path / "store")
        .entry("photos", digest(["m3rt", *ids]), folder.parent.name, "images", ids)
        .read()
    )
    np.testing.assert_allclose(
        np.linalg.norm(read.vectors.astype(np.float64), axis=2), 1, atol=2e-7
    )
    np.testing.assert_allclose(read.vectors[:, 0], coarse, atol=1e-3)
    assert said(imported, "half precision")


@pytest.mark.parametrize(
    ("ids", "strange", "lacking"),
    [
        ([*range(1, 10), 12], 1, 1),
        (range(1, 10), 0, 1),
        ([*range(1, 11), 12], 1, 0),
        ([*range(1, 10), "1"], 1, 1),
    ],
)
def test_features_of_other_images_keep_their_own_ids(ids, strange, lacking, m3rt, take):
    m3rt.images()
    m3rt.labels()
    ids = [f"{i:05d}" if isinstance(i, int) else i for i in ids]
    m3rt.features(ids=ids)
    m3rt.ranks()
    imported = take()
    assert said(imported, f"since {strange} of these are not", f"not in the file: {lacking} of 10")
    assert imported.store_folders[0].parent.parent.name == f"photos-{digest(['m3rt', *ids])[:16]}"
    assert read_run(imported.run).provenance["datasets"]["photos"]["n_items"] == len(ids)


def test_images_are_known_by_number_or_name(m3rt, take, tmp_path):
    folder = tmp_path / "mine"
    (folder / "images" / "sub").mkdir(parents=True)
    names = ["7.jpg", "sub/012.png", "sub/IMG_3.a.jpg"]
    for i, name in enumerate(names):
        Image.new("RGB", (8, 8), (60 * i, 0, 0)).save(folder / "images" / name)
    vectors = m3rt.features(ids=["IMG_3", "00012", "00007"])
    imported = take(datasets={"photos": folder})
    collection = datasets.load("photos", folder).collection
    (place,) = imported.store_folders
    entry = Store(tmp_path / "store").entry(
        "photos", collection.fingerprint, place.parent.name, "images", collection.ids
    )
    assert collection.ids == ("7", "sub/012", "sub/IMG_3.a")
    np.testing.assert_array_equal(entry.read().vectors[:, 0], vectors.numpy()[::-1])


def test_a_name_that_two_images_have_tells_neither(m3rt, take, tmp_path):
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / "mine" / "images" / name).parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "mine" / "images" / name)
    m3rt.features(ids=["00001", "00002"])
    assert said(
        take(datasets={"photos": tmp_path / "mine"}), "since 2 of these are not, or not for certain"
    )


def test_importing_twice(m3rt, take, tmp_path):
    m3rt.images()
    m3rt.labels()
    m3rt.ranks()
    m3rt.features()

    def stored():
        return {
            f: (f.stat().st_mtime_ns, f.read_bytes())
            for f in (tmp_path / "store").rglob("*")
            if f.is_file()
        }

    first, before = take(), stored()
    second = take()
    assert stored() == before
    assert (second.store_folders, second.remarks) == (first.store_folders, first.remarks)
    assert first.run != second.run
    one, two = read_run(first.run), read_run(second.run)
    assert one.ranks.equals(two.ranks)
    assert one.provenance["models"] == two.provenance["models"]
    assert one.provenance["datasets"] == two.provenance["datasets"]


def test_ranks_of_two_models_never_meet_by_mistake(m3rt, take):
    m3rt.labels()
    m3rt.ranks()
    m3rt.ranks(f"{VIT_L}-photos-short", [(text, 9 - max(rank, 0)) for text, rank in RANKS_SHORT])
    m3rt.cumulation()
    ranks = read_run(take().run).ranks
    both = ranks.pivot(index="query_id", columns="model", values="rank").dropna()
    assert both.to_dict("index") == {
        "00001-short": {"clip-vit-b-32": 1, "vit-l-16-siglip-384": 10},
        "00004-short": {"clip-vit-b-32": 3, "vit-l-16-siglip-384": 8},
        "00005-short": {"clip-vit-b-32": 3, "vit-l-16-siglip-384": 8},
    }
    assert ranks.groupby("model").size().to_dict() == {"clip-vit-b-32": 5, "vit-l-16-siglip-384": 6}


def test_pairing_equals_trying_all_assignments():
    """A query has its rank if, and only if, it is the same in all ways to deal the ranks out to the queries."""
    rng = np.random.default_rng(2)
    for _ in range(300):
        texts = [f"t{i}" for i in rng.integers(0, 4, 6)]
        queries = [Query(f"q{i}", (f"i{i}",), "short", text) for i, text in enumerate(texts)]
        ranks = sorted(
            (text, int(rank)) for text, rank in zip(texts, rng.integers(-1, 2, 6), strict=True)
        )
        pairs, loose = pair(ranks, queries)
        for query in queries:
            places = [rank for text, rank in ranks if text == query.text]
            same = [q for q in queries if q.text == query.text]
            possible = {deal[same.index(query)] for deal in permutations(places)}
            assert [place for other, place in pairs if other == query] == (
                list(possible) if len(possible) == 1 else []
            )
        assert len(pairs) + len(loose) == 6


def test_a_cumulation_that_disagrees_is_named(m3rt, take):
    m3rt.labels()
    ranks = m3rt.ranks()
    other = m3rt.cumulation(ranks=[*RANKS_SHORT[:-1], ("dog", 8)])
    imported = take()
    assert said(
        imported,
        str(ranks),
        str(other),
        "disagree at 1 of 10 ranks; up to rank 9 they count 5 and 6 targets",
    )
    m3rt.cumulation()
    assert not said(take(), "disagree")


def test_a_cumulation_alone_gives_ranks_without_texts(m3rt, take):
    m3rt.labels()
    m3rt.cumulation()
    imported = take()
    ranks = read_run(imported.run).ranks
    assert ranks["rank"].tolist() == [1, 3, 3, 4, 8, 10]
    assert set(ranks["text"]) == set(ranks["item_id"]) == {""}
    assert ranks["query_id"].tolist() == [f"unpaired-clip-vit-b-32-short-{n}" for n in range(1, 7)]
    assert said(
        imported, "the cumulation alone", "none of 6 ranks is paired", "what was not found: 1"
    )


def test_without_labels_nothing_is_paired(m3rt, take):
    m3rt.ranks()
    m3rt.cumulation()
    imported = take()
    assert read_run(imported.run).ranks["query_id"].str.startswith("unpaired-").all()
    assert said(imported, "not paired, because no labels of this set are here: 6 of 6")


def test_labels_that_are_not_those_of_the_ranks(m3rt, take):
    m3rt.labels(
        [*LABELS[:1], ("00002", "the kite", "x"), ("00003", "dogs", "y"), ("00009", "new", "z")]
    )
    m3rt.ranks(ranks=[("red, and round", 4), ("the  kite", 1), ("dog", 2)])
    m3rt.cumulation(ranks=[("", 4), ("", 1), ("", 2)])
    imported = take()
    rows = read_run(imported.run).ranks
    assert rows["query_id"].tolist() == [
        "00001-short",
        *(f"unpaired-clip-vit-b-32-short-{n}" for n in (1, 2)),
    ]
    assert said(imported, "not paired, because no label has the text: 2 of 3", "'dog'")
    assert said(imported, "other than a label in white space only: 1 of 3 ('the  kite')")
    assert said(imported, "labels without a rank: 3 of 3", "'new'")


def test_a_folder_of_ones_own(m3rt, take, tmp_path):
    """Marine is our mvk, by either name; its labels may be in the long form."""
    m3rt.images("marine")
    mine = tmp_path / "mine"
    shutil.move(m3rt.root / "datasets" / "marine" / "data", mine / "images")
    (mine / "labels.csv").write_text(
        "query_id,item_id,label_set,text\nq1,00003,long,a reef\nq1,00004,long,a reef\n"
    )
    m3rt.ranks("align-marine-long", [("a reef", 6)])
    for name in ("marine", "mvk"):
        run = read_run(take(datasets={name: mine}).run)
        row = run.ranks.iloc[0]
        assert (row["dataset"], row["query_id"], row["item_id"], row["rank"], row["n_items"]) == (
            "mvk",
            "q1",
            "00003|00004",
            7,
            10,
        )
        assert (
            run.provenance["datasets"]["mvk"]["fingerprint"]
            == datasets.load("mvk", mine).fingerprint
        )
    with pytest.raises(UnknownName, match="unknown dataset 'marin': did you mean"):
        take(datasets={"marin": mine})
    with pytest.raises(KisBenchError, match="no folder"):
        take(datasets={"mvk": tmp_path / "nowhere"})


def test_targets_that_are_not_among_the_images_do_not_keep_the_labels_out(m3rt, take):
    m3rt.images()
    m3rt.labels([*LABELS, ("00099", "gone", "gone too")])
    m3rt.ranks(ranks=[*RANKS_SHORT, ("gone", -1)])
    m3rt.cumulation(ranks=[*RANKS_SHORT, ("gone", -1)])
    imported = take()
    assert said(
        imported, "photos", "taken without its images", "item '00099' is not in the collection"
    )
    assert read_run(imported.run).ranks["item_id"].tolist() == ["00001", "00004", "00005", "", ""]


def test_a_folder_with_another_number_of_images_is_not_theirs(m3rt, take):
    m3rt.images()
    m3rt.labels()
    m3rt.n = 12
    m3rt.ranks()
    m3rt.cumulation()
    imported = take()
    assert said(imported, "its folder has 10 images", "12 were searched")
    assert set(read_run(imported.run).ranks["n_items"]) == {12}


def test_sizes_that_contradict_one_another(m3rt, take):
    m3rt.cumulation()
    m3rt.n = 11
    m3rt.features("align-photos")
    with pytest.raises(BadFile, match="about 11 images, .*clip-photos-short.pkl about 10"):
        take()


def test_ranks_beyond_the_images(m3rt, take):
    file = m3rt.ranks(ranks=[("kite", 10)])
    m3rt.features()
    with pytest.raises(BadFile, match="'kite' has rank 11, but 10 images") as caught:
        take()
    assert str(file) in str(caught.value)


def test_how_many_were_searched_has_to_be_known(m3rt, take, tmp_path):
    m3rt.labels()
    m3rt.ranks()
    with pytest.raises(KisBenchError, match="photos: nobody knows how many images"):
        take()
    assert not (tmp_path / "reports").exists()


def test_a_damaged_file_is_found_before_anything_is_written(m3rt, take, tmp_path):
    m3rt.features()
    m3rt.ranks().write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(BadFile, match="the name os.system"):
        take()
    assert not (tmp_path / "store").exists()


def test_the_models_of_the_thesis():
    assert list_thesis_names() == {
        "clip": "clip-vit-b-32",
        "align": "align",
        "blip2": "blip2-thesis",
        "openclip-ViT_SO400M_14_webli": "vit-so400m-14-siglip-384",
        VIT_L: "vit-l-16-siglip-384",
        "openclip-ViT_B_16_webli": "vit-b-16-siglip-512",
        "openclip-ViT_H_14_dfn5b": "dfn5b-vit-h-14-378",
        "openclip-ViT_G_14_laion2b": "vit-g-14-laion2b",
        "openclip-ViT_H_14_laion2b": "vit-h-14-laion2b",
    }
    assert set(list_thesis_names().values()) <= set(catalogue())


def test_blip2_is_the_one_without_projection(m3rt, take):
    m3rt.ranks("blip2-photos-long")
    m3rt.cumulation("blip2-photos-long")
    about = read_run(take().run).provenance["models"]
    assert about["blip2-thesis"]["source"] == "m3rt:blip2"
    assert "from before the projection" in about["blip2-thesis"]["note"]


def test_names_of_files(m3rt):
    for folder, names in {
        "ranks": [
            "clip-photos-short.pkl",
            "openclip-ViT_L_16_webli-my-own-set-long.pkl",
            "clip-photos.pkl",
            "clip--short.pkl",
        ],
        "image_features": [
            "openclip-ViT_L_16_webli-marine",
            "openclip-ViT_L_16_webli-marine.pkl",
            "align-reset.pkl",
        ],
        "plots": ["whatever.pkl"],
    }.items():
        for name in names:
            m3rt.save(folder, "x", None).rename(m3rt.root / "saves" / folder / name)
    saves, remarks = find_saves(m3rt.root, list_thesis_names())
    assert {
        (s.kind, s.thesis_model, s.model, s.thesis_dataset, s.dataset, s.label_set) for s in saves
    } == {
        ("ranks", "clip", "clip-vit-b-32", "photos", "photos", "short"),
        ("ranks", VIT_L, "vit-l-16-siglip-384", "my-own-set", "my-own-set", "long"),
        ("features", VIT_L, "vit-l-16-siglip-384", "marine", "mvk", None),
        ("features", "align", "align", "reset", "reset", None),
    }
    assert len(remarks) == 3
    for name in ("clip-photos.pkl", "clip--short.pkl", "webli-marine:"):
        assert any(name in remark for remark in remarks)
    assert find_saves(m3rt.root / "saves", list_thesis_names()) == (saves, remarks)


def test_files_of_models_that_nobody_knows(m3rt, take):
    m3rt.ranks()
    m3rt.ranks("siglip2-photos-short")
    m3rt.ranks("openclip-ViT_B_32-photos-short")
    with pytest.raises(BadFile) as caught:
        take()
    for part in (
        "siglip2-photos-short.pkl",
        "openclip-ViT_B_32-photos-short.pkl",
        "align, blip2, clip, openclip-ViT_B_16",
    ):
        assert part in str(caught.value)


def test_two_files_of_one_cell(m3rt, take):
    m3rt.ranks("clip-mvk-short")
    m3rt.ranks("clip-marine-short")
    with pytest.raises(
        BadFile, match="clip-mvk-short.pkl: of the same model and dataset as clip-marine-short.pkl"
    ):
        take()


def test_a_folder_without_saves(tmp_path, take):
    with pytest.raises(KisBenchError, match="holds no saves of M3RT; name the folder with saves/"):
        take(tmp_path / "nowhere")


def test_rows_have_the_columns_of_a_run():
    rows = make_rank_rows(("m", "d", "short"), [], [("t", 0)], 5)
    assert set(rows[0]) == set(RANKS)


def test_texts_in_the_order_of_the_labels_are_paired_by_it(m3rt, take):
    """M3RT sorted by text and rank, which tells nothing of equal texts; what isn't sorted so is as the labels are."""
    m3rt.images()
    m3rt.labels()
    ranks = [("red, and round", 0), ("kite", 7), ("kite", 3), ("cat", 2), ("cat", 2), (" dog ", 1)]
    m3rt.save("ranks", "clip-photos-short", ranks)
    imported = take()
    rows = read_run(imported.run).ranks.set_index("query_id")["rank"]
    assert rows.to_dict() == {
        f"{number:05d}-short": rank + 1 for number, (_, rank) in enumerate(ranks, start=1)
    }
    assert not imported.remarks
    m3rt.ranks(ranks=ranks)
    assert said(take(), "M3RT sorted those by their ranks: 2 of 6 ('kite')")


def test_all_images_of_the_competition(m3rt, take):
    """They are more than those of the labels, of the same kind, and are a dataset of their own."""
    m3rt.features("clip-marine")
    m3rt.n = 25
    m3rt.features("clip-marine_compet")
    m3rt.images("marine_compet")
    folders = {folder.parent.parent.name.rpartition("-")[0] for folder in take().store_folders}
    assert folders == {"mvk", "mvk-competition"}
    place = m3rt.root / "datasets" / "marine_compet"
    (place / "data").rename(place / "images")
    for file in (place / "images").iterdir():  # as the collection was published
        moved = place / "images" / "Ambon_Apr2012" / f"0003_{file.name}"
        moved.parent.mkdir(exist_ok=True)
        file.rename(moved)
    m3rt.features("clip-marine_compet", ids=[f"0003_{i:05d}" for i in range(1, 26)])
    pictures = take(datasets={"marine_compet": place}).pictures
    assert set(pictures["mvk-competition"].groups) == {"Ambon_Apr2012_0003"}


def test_the_same_remark_on_several_models_is_one(m3rt, take):
    m3rt.images()
    m3rt.labels()
    for model in ("clip", "align", VIT_L):
        m3rt.ranks(f"{model}-photos-short")
        m3rt.features(f"{model}-photos", dtype=torch.float16)
    imported = take()
    assert len(imported.remarks) == 3
    assert said(imported, "3 models on photos: not paired, because several queries", "short 2 of 6")
    assert said(
        imported, "3 models on photos: left out, because the target", ": short 1 of 6 ('dog')"
    )
    assert said(imported, "3 models on photos: lengths were off 1", "features 10 of 10")
    assert len(read_run(imported.run).provenance["remarks"]) == 9  # with the names


def test_a_remark_has_the_range_of_what_models_and_label_sets_count():
    fact = "not paired, because: several"
    remarks = [f"clip on photos, short: {fact}: 2 of 6 ('a')", "align: something else"]
    remarks += [
        f"align on photos, {name}: {fact}: {n} of 6" for name, n in (("short", 4), ("long", 1))
    ]
    remarks += [f"clip on mvk, short: {fact}: 3 of 9 ('b')"]
    assert merge_remarks(remarks) == [
        f"2 models on photos: {fact}: short 2 to 4 of 6; long 1 of 6",
        "align: something else",
        f"clip on mvk, short: {fact}: 3 of 9 ('b')",
    ]
    assert merge_remarks([]) == []


def test_published_figures_stand_beside_the_ranks(m3rt, take, tmp_path):
    m3rt.images()
    m3rt.labels()
    m3rt.ranks(ranks=[*RANKS_SHORT[:5], ("dog", 9)])
    head = "dataset,label_set,model,metric,k,value,n,tolerance,published_as,source,items"
    row = "photos,short,clip-vit-b-32,recall,5,0.7,{n},0,CLIP,a notebook,10"
    file = tmp_path / "published.csv"
    file.write_text("\n".join([head, row.format(n=6), row.format(n=7), ""]))
    imported = take(published=[file])
    run = read_run(imported.run)
    assert run.published["value"].tolist() == [0.7]  # the other is of other queries
    write_report(run.folder, run, imported.pictures)
    assert "Published figures, from a notebook" in (run.folder / "report.md").read_text()
