"""Vectors that lie on disk as a model: forms of files, ids, types and lengths, and what is refused."""

import gc
import json
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import run_pytest
from reset_files import judgment, person, triplet, write_study

from kis_bench import datasets, embed, encoders
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.catalogue import complete_row
from kis_bench.encoders.vectors.unit_rows import UnitRows, measure_lengths
from kis_bench.errors import BadFile, BadVector, KisBenchError, NotReady
from kis_bench.exchange.trec import export_run
from kis_bench.measuring import measure_image_similarity, measure_known_items, rank
from kis_bench.measuring.provenance import describe_model
from kis_bench.records import Checkpoint
from kis_bench.results import read_run, write_run
from kis_bench.results.columns import JUDGMENTS, TIMINGS, VERDICTS
from kis_bench.store import Store

NAMES = ["red", "green", "blue", "sea/white", "sea/black"]
DIM = 16


def make_vectors(n=5, seed=0):
    return np.random.default_rng(seed).standard_normal((n, DIM))


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A dataset whose pictures can't be decoded: nobody opens them."""
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    images = tmp_path / "mine" / "images"
    (images / "sea").mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text"]
    for name in NAMES:
        (images / f"{name}.png").write_text(f"no picture of {name}")
        rows += [f"q-{name},{name},{kind},{kind} {name}" for kind in ("short", "long")]
    (tmp_path / "mine" / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return datasets.load("mine", tmp_path / "mine")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "vectors").mkdir()
    return tmp_path / "vectors"


def save_side(folder, side, vectors, ids):
    np.save(folder / f"{side}.npy", vectors)
    (folder / f"{side}_ids.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")


def unit(vectors):
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def load(folder, kind="vectors"):
    return LazyEncoder(encoders.find(f"{kind}:{folder}"))


def find_images(folder, dataset, kind="vectors"):
    return embed.embed_collection(dataset.collection, load(folder, kind), Store(folder / "no"))


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_ranks_are_those_of_the_same_vectors_in_python(mine, folder, kind):
    """Rows in another order than the items, neither of length 1, ids as paths; texts of one label set by query id."""
    images, texts = make_vectors().astype(kind) * 3, make_vectors(seed=1).astype(kind)
    order = [3, 0, 4, 2, 1]
    save_side(folder, "images", images[order], [f"/data/{NAMES[i]}.PNG" for i in order])
    save_side(folder, "texts", texts, [f"q-{name}" for name in NAMES])
    found = measure_known_items(load(folder), mine, "short", Store(folder / "store"))
    place = {name: i for i, name in enumerate(NAMES)}
    ids = mine.collection.ids
    expected = rank(
        unit(images[[place[item] for item in ids]]),
        unit(texts),
        [query.item_ids[0] for query in found.queries],
        item_ids=ids,
    )
    np.testing.assert_array_equal(found.ranks.rank, expected.ranks.rank)
    np.testing.assert_allclose(found.ranks.target_score, expected.ranks.target_score, atol=1e-6)
    assert not (folder / "store").exists()  # nothing is copied
    about = found.provenance["models"][found.model]
    assert about["weights"].keys() == {
        "images.npy",
        "images_ids.txt",
        "texts.npy",
        "texts_ids.txt",
    }
    longest = np.abs(np.linalg.norm(images.astype(np.float32), axis=1) - 1).max()
    assert (
        about["read"][0] == f"images.npy: 5 vectors of 16 numbers, {kind}, all made length 1, from "
        f"which they differed by at most {longest:.2g}"
    )
    assert (about["dim"], about["vectors_per_item"]) == (DIM, 1)
    assert found.to_frame()["truncated"].isna().all()  # nobody knows


def write_parquet(folder, images, ids):
    pq.write_table(
        pa.table({"image_id": ids, "embedding": list(images)}), folder / "images.parquet"
    )


def write_half_parquet(folder, images, ids):
    rows = pa.FixedSizeListArray.from_arrays(pa.array(images.ravel()), DIM)
    table = pa.table({"id": ids, "vector": rows, "other": list(images)})
    pq.write_table(table, folder / "images.parquet", row_group_size=2)


def write_safetensors(folder, images, ids):
    from safetensors.numpy import save_file

    save_file({"x": images}, folder / "images.safetensors", {"ids": json.dumps(ids)})


def write_named_safetensors(folder, images, ids):
    from safetensors.numpy import save_file

    save_file(dict(zip(ids, images, strict=True)), folder / "images.safetensors")


def write_json_ids(folder, images, ids):
    np.save(folder / "images.npy", images[:, None])
    (folder / "ids.json").write_text(json.dumps(ids), encoding="utf-8")


def write_csv_ids(folder, images, ids):
    np.save(folder / "images.npy", images)
    rows = [f"{number},{item}" for number, item in enumerate(ids)]
    (folder / "images.csv").write_text("\n".join(["row,id", *rows]), encoding="utf-8")


def write_array_ids(folder, images, ids):
    np.save(folder / "images.npy", np.asfortranarray(images))
    np.save(folder / "image_ids.npy", np.array(ids))


def write_encoded_ids(folder, images, ids):
    np.save(folder / "images.npy", images)
    np.save(folder / "image_ids.npy", np.array([one.encode() for one in ids]))


def write_marked_json_ids(folder, images, ids):
    np.save(folder / "images.npy", images)
    (folder / "ids.json").write_text(json.dumps(ids), encoding="utf-8-sig")


def write_padded_ids(folder, images, ids):
    np.save(folder / "images.npy", images)
    (folder / "ids.txt").write_bytes("".join(f" {one} \r\n" for one in ids).encode() + b"\n")


def write_empty_groups(folder, images, ids):
    """The first and the last group of rows are empty; the ids beside say the same."""
    table = pa.table({"item_id": [one.encode() for one in ids], "vector": list(images)})
    with pq.ParquetWriter(folder / "images.parquet", table.schema) as writer:
        for some in (table[:0], table[:2], table[2:], table[:0]):
            writer.write_table(some)
    (folder / "ids.txt").write_text("\n".join(ids), encoding="utf-8")


def write_picture_table(folder, images, ids):
    """A query's id and a label set say nothing of pictures."""
    columns = {"query_id": ["q"] * len(ids), "label_set": ["short"] * len(ids), "path": ids}
    pq.write_table(pa.table(columns | {"vector": list(images)}), folder / "images.parquet")


def write_clip_retrieval(folder, images, ids):
    """As clip-retrieval writes it: ten partitions and more have numbers of two digits."""
    for side in ("img_emb", "text_emb", "metadata"):
        (folder / side).mkdir()
    for number, some in enumerate(np.array_split(np.arange(len(ids)), 3)):
        n = 9 + number
        np.save(folder / "img_emb" / f"img_emb_{n}.npy", images[some])
        np.save(folder / "text_emb" / f"text_emb_{n}.npy", images[some])
        rows = {
            "image_path": [f"/data/{ids[i]}.png" for i in some],
            "caption": [f"short {ids[i]}" for i in some],
        }
        pq.write_table(pa.table(rows), folder / "metadata" / f"metadata_{n}.parquet")


def write_faiss(folder, images, ids):
    faiss = pytest.importorskip("faiss")
    index = faiss.IndexFlatIP(DIM)
    index.add(images.astype(np.float32))
    faiss.write_index(index, str(folder / "images.faiss"))
    (folder / "images_ids.txt").write_text("\n".join(ids), encoding="utf-8")


@pytest.mark.parametrize(
    "write",
    [
        write_parquet,
        write_half_parquet,
        write_safetensors,
        write_named_safetensors,
        write_json_ids,
        write_csv_ids,
        write_array_ids,
        write_encoded_ids,
        write_marked_json_ids,
        write_padded_ids,
        write_empty_groups,
        write_picture_table,
        write_clip_retrieval,
        write_faiss,
    ],
)
def test_each_form_gives_the_same_vectors(mine, folder, write):
    images = make_vectors().astype(np.float16)
    write(folder, images, NAMES)
    found = find_images(folder, mine)
    expected = unit(images[[NAMES.index(item) for item in mine.collection.ids]])
    np.testing.assert_allclose(found.vectors[:, 0], expected, rtol=1e-6, atol=1e-7)
    assert found.vectors.dtype == np.float32


def test_clip_retrieval_captions_are_the_texts(mine, folder):
    write_clip_retrieval(folder, make_vectors().astype(np.float16), NAMES)
    found = measure_known_items(load(folder), mine, "short", Store(folder / "store"))
    assert found.ranks.rank.tolist() == [1] * len(NAMES)
    with pytest.raises(KisBenchError, match=r"text_emb_9.npy has no vector for 5 of 5 queries"):
        measure_known_items(load(folder), mine, "long", Store(folder / "store"))


def test_texts_by_label_set_and_in_a_column(mine, folder):
    save_side(folder, "images", make_vectors(), NAMES)
    texts = make_vectors(2 * len(NAMES), seed=1)
    kinds = [*["short"] * len(NAMES), *["long"] * len(NAMES)]
    names = [f"q-{name}" for name in NAMES * 2]
    save_side(folder, "texts", texts, [f"{kind}/{q}" for kind, q in zip(kinds, names, strict=True)])
    first = load(folder).saved
    (folder / "texts.npy").unlink()
    (folder / "texts_ids.txt").unlink()
    table = pa.table({"query_id": names, "label_set": kinds, "vector": list(texts)})
    pq.write_table(table, folder / "texts.parquet")
    for kind, rows in (("short", texts[:5]), ("long", texts[5:])):
        for saved in (first, load(folder).saved):
            found = saved.find_texts(mine.queries(kind))
            np.testing.assert_allclose(found.vectors[:, 0], unit(rows), rtol=1e-6)
            assert found.ids == tuple(query.query_id for query in mine.queries(kind))


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_texts_are_not_named_by_the_picture_that_they_are_about(mine, folder, form):
    """A table like labels.csv, in which query ids look like other items' ids."""
    save_side(folder, "images", make_vectors(), NAMES)
    texts = make_vectors(2 * len(NAMES), seed=1)
    queries = [*mine.queries("short"), *mine.queries("long")]
    table = pa.table(
        {
            "item_id": [query.query_id for query in reversed(queries)],
            "query_id": [query.query_id for query in queries],
            "label_set": [query.label_set for query in queries],
            "text": [query.text for query in queries],
        }
    )
    if form == "parquet":
        pq.write_table(table.append_column("vector", [list(texts)]), folder / "texts.parquet")
    else:
        np.save(folder / "texts.npy", texts)
        table.to_pandas().to_csv(folder / "texts.csv", index=False)
    for kind, rows in (("short", texts[:5]), ("long", texts[5:])):
        found = load(folder).saved.find_texts(mine.queries(kind))
        np.testing.assert_allclose(found.vectors[:, 0], unit(rows), rtol=1e-6)
    table = table.select(["item_id", "text"])
    if form == "parquet":
        pq.write_table(table.append_column("vector", [list(texts)]), folder / "texts.parquet")
    else:
        table.to_pandas().to_csv(folder / "texts.csv", index=False)
    found = load(folder).saved.find_texts(mine.queries("long"))  # by what they say
    np.testing.assert_allclose(found.vectors[:, 0], unit(texts[5:]), rtol=1e-6)


def test_a_table_of_texts_needs_ids_or_texts(mine, folder):
    save_side(folder, "images", make_vectors(), NAMES)
    np.save(folder / "texts.npy", make_vectors())
    (folder / "texts.csv").write_text("\n".join(["item_id", *NAMES]), encoding="utf-8")
    with pytest.raises(BadFile, match="texts are named by a column query_id, id, key; there are"):
        load(folder).encoder  # noqa: B018
    (folder / "texts.csv").unlink()
    (folder / "texts.npy").unlink()
    table = pa.table({"item_id": NAMES, "vector": list(make_vectors())})
    pq.write_table(table, folder / "texts.parquet")
    with pytest.raises(BadFile, match="a column query_id, id, key is needed, or text or caption"):
        load(folder).encoder  # noqa: B018


def test_one_vector_is_not_taken_for_two_texts(mine, folder):
    save_side(folder, "images", make_vectors(), NAMES)
    save_side(folder, "texts", make_vectors(), [f"q-{name}" for name in NAMES])
    saved = load(folder).saved
    saved.find_texts(mine.queries("short"))
    said = "'q-red' would serve two texts, those of short/q-red and long/q-red; call its rows"
    with pytest.raises(KisBenchError, match=said) as error:
        saved.find_texts(mine.queries("long"))
    assert "long red" not in str(error.value)  # texts may be private


def test_a_corrected_query_is_measured_again(mine, folder):
    save_side(folder, "images", make_vectors(), NAMES)
    save_side(folder, "texts", make_vectors(), [f"q-{name}" for name in NAMES])
    store, queries = Store(folder / "no"), mine.queries("short")
    first = embed.embed_texts(queries, load(folder), store, name="mine-short")
    corrected = [replace(query, text=f"{query.text}!") for query in queries]
    again = embed.embed_texts(corrected, load(folder), store, name="mine-short")
    np.testing.assert_array_equal(first.vectors, again.vectors)
    twice = [corrected[0], replace(corrected[0], text="another")]
    with pytest.raises(KisBenchError, match="those of short/q-red and short/q-red"):
        embed.embed_texts(twice, load(folder), store, name="mine-short")


def test_a_row_whose_text_is_another_is_not_taken(mine, folder):
    save_side(folder, "images", make_vectors(), NAMES)
    queries = mine.queries("short")
    texts = [f" {query.text}\n" for query in queries]
    columns = {"query_id": [query.query_id for query in queries], "text": texts}
    columns["vector"] = list(make_vectors(seed=1))
    pq.write_table(pa.table(columns), folder / "texts.parquet")
    assert len(load(folder).saved.find_texts(queries).vectors) == len(NAMES)
    texts[2], texts[3] = "written anew", None  # the latter: nobody knows
    pq.write_table(pa.table(columns), folder / "texts.parquet")
    with pytest.raises(KisBenchError) as error:
        load(folder).saved.find_texts(queries)
    assert (
        "1 of 5 queries have another text than their vectors: short/q-blue in texts.parquet, row"
        in (str(error.value))
    )
    assert "written anew" not in str(error.value)


def test_plain_texts_are_found_by_what_they_say(mine, folder):
    """Ids that are numbers from 0 are no places in a list."""
    save_side(folder, "images", make_vectors(), NAMES)
    texts = make_vectors(seed=1)
    columns = {"query_id": ["4", "3", "2", "1", "0"], "text": NAMES, "vector": list(texts)}
    pq.write_table(pa.table(columns), folder / "texts.parquet")
    found = embed.embed_texts(["blue", "red"], load(folder), Store(folder / "no"))
    np.testing.assert_allclose(found.vectors[:, 0], unit(texts[[2, 0]]), rtol=1e-6)
    said = "no vector for 1 of 2 texts, by their places in the list: '1'; its rows need the text"
    with pytest.raises(KisBenchError, match=said):
        embed.embed_texts(["blue", "grey"], load(folder), Store(folder / "no"))
    (folder / "texts.parquet").unlink()
    save_side(folder, "texts", texts, ["0", "1", "2", "3", "4"])
    with pytest.raises(KisBenchError, match="no vector for 2 of 2 texts"):
        embed.embed_texts(["blue", "red"], load(folder), Store(folder / "no"))


def test_unit_vectors_are_taken_as_they_are(mine, folder):
    images = unit(make_vectors())
    save_side(folder, "images", images, NAMES)
    found = find_images(folder, mine)
    order = [NAMES.index(item) for item in mine.collection.ids]
    np.testing.assert_array_equal(found.vectors[:, 0], images[order])
    (said,) = load(folder).saved.describe_vectors()
    assert "float32, taken as they are, lengths differ from 1 by at most" in said


def test_several_vectors_of_a_picture(mine, folder):
    images = np.random.default_rng(0).standard_normal((len(NAMES), 3, DIM)).astype(np.float16)
    save_side(folder, "images", images, mine.collection.ids)
    np.testing.assert_allclose(find_images(folder, mine).vectors, unit(images), rtol=1e-6)


def test_a_mapped_array_reads_like_the_array_itself():
    """Blocks of any size, masks, lists and single rows over three parts: bit for bit the same."""
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal((n, 2, DIM)).astype(np.float16) for n in (7, 1, 12)]
    rows = rng.permutation(20)[:17]
    lengths = measure_lengths(parts).astype(np.float32)
    mapped = UnitRows(parts, lengths, rows)
    whole = np.concatenate(parts).astype(np.float32)[rows] / lengths[rows][:, :, None]
    for index in (
        slice(None),
        slice(3, 11),
        slice(2, 15, 4),
        slice(5, 5),
        4,
        -1,
        np.array([3, 3, 16, 0]),
        np.arange(17) % 3 == 0,
        (slice(2, 9), 1),
        (np.array([1, 2]), slice(None), slice(0, 4)),
    ):
        np.testing.assert_array_equal(mapped[index], whole[index])
        assert mapped[index].dtype == np.float32
    for step in (1, 5, 17):
        blocks = [mapped[i : i + step] for i in range(0, 17, step)]
        np.testing.assert_array_equal(np.concatenate(blocks), whole)
    np.testing.assert_array_equal(np.asarray(mapped), whole)
    np.testing.assert_array_equal(np.stack([*mapped]), whole)
    np.testing.assert_array_equal(mapped * 2, whole * 2)


def test_large_files_stay_on_disk(mine, folder, monkeypatch):
    monkeypatch.setattr("kis_bench.encoders.vectors.sides.MOST_BYTES_IN_MEMORY", 0)
    save_side(folder, "images", make_vectors().astype(np.float16), NAMES)
    save_side(folder, "texts", make_vectors(), [f"q-{name}" for name in NAMES])
    mapped = measure_known_items(load(folder), mine, "short", Store(folder / "store"))
    assert isinstance(find_images(folder, mine).vectors, UnitRows)
    monkeypatch.undo()
    held = measure_known_items(load(folder), mine, "short", Store(folder / "store"))
    np.testing.assert_array_equal(mapped.ranks.rank, held.ranks.rank)
    np.testing.assert_array_equal(mapped.ranks.target_score, held.ranks.target_score)
    np.testing.assert_array_equal(mapped.ranks.top_items, held.ranks.top_items)


def test_ids_that_do_not_fit_are_counted_and_named(mine, folder):
    save_side(folder, "images", make_vectors(), ["red", "blue", "sea/white", "gren", "sea/black"])
    with pytest.raises(KisBenchError) as error:
        find_images(folder, mine)
    assert "dataset mine: no vector for 1 of 5 items: 'green'; 1 of 5 vectors are of pictures" in (
        str(error.value)
    )
    assert "that it doesn't have: 'gren'" in str(error.value)
    save_side(folder, "images", make_vectors(6), [*NAMES, "yellow"])
    with pytest.raises(KisBenchError, match="1 of 6 .* 'yellow'; .*write vectors-of-more:FOLDER"):
        find_images(folder, mine)
    save_side(folder, "images", make_vectors(6), [*NAMES, "x/red.png"])
    with pytest.raises(KisBenchError, match="a second vector for 1 of its items: 'x/red.png'"):
        find_images(folder, mine)


def test_vectors_of_more_pictures_are_said(mine, folder):
    images = make_vectors(7)
    images[6] = 0  # nobody asks for it
    save_side(folder, "images", images, [*NAMES, "yellow", "grey"])
    encoder = load(folder, "vectors-of-more")
    found = embed.embed_collection(mine.collection, encoder, Store(folder / "store"))
    assert found.ids == mine.collection.ids
    assert encoder.saved.describe_vectors()[1] == (
        "2 of 7 vectors are of pictures that mine doesn't have: 'yellow', 'grey'"
    )
    assert describe_model(encoder, found, privacy=True)["read"][1] == (
        "2 of 7 vectors are of pictures that mine doesn't have"
    )


def test_whole_ids_go_before_ends_of_paths(mine, folder):
    """A copy in a folder of pictures that the dataset doesn't have is one of these."""
    ids = ["old/red", *NAMES, "other/sea/white.png"]
    images = make_vectors(7)
    save_side(folder, "images", images, ids)
    with pytest.raises(KisBenchError, match="a second vector for 2 .*; .*vectors-of-more:FOLDER"):
        find_images(folder, mine)
    found = find_images(folder, mine, "vectors-of-more")
    expected = unit(images[[ids.index(item) for item in mine.collection.ids]])
    np.testing.assert_allclose(found.vectors[:, 0], expected, rtol=1e-6)
    said = load(folder, "vectors-of-more").saved.describe_vectors()[1]
    assert said.endswith(
        "2 of 7 vectors are of pictures that mine doesn't have: 'old/red', 'other/sea/white.png'"
    )
    save_side(folder, "images", images, ["old/red", "new/red", *NAMES[1:], "x"])
    with pytest.raises(KisBenchError, match="a second vector for 1 of its items: 'new/red'$"):
        find_images(folder, mine, "vectors-of-more")


def test_rows_of_a_dataset_are_found_once(mine, folder, monkeypatch):
    save_side(folder, "images", make_vectors(), [f"/data/{name}.png" for name in NAMES])
    saved = load(folder).saved
    first = saved.find_images(mine.collection)
    monkeypatch.setattr("kis_bench.encoders.vectors.saved.match_written_ids", None)
    np.testing.assert_array_equal(
        load(folder).saved.find_images(mine.collection).vectors, first.vectors
    )
    monkeypatch.undo()
    ids = mine.collection.ids[:-1]
    fewer = replace(mine.collection, ids=ids)
    with pytest.raises(KisBenchError, match="1 of 5 vectors are of pictures"):
        saved.find_images(fewer)


def test_a_model_that_is_not_used_any_more_is_given_back(mine, folder, tmp_path):
    save_side(folder, "images", make_vectors(), NAMES)
    other = tmp_path / "other"
    other.mkdir()
    save_side(other, "images", make_vectors(seed=1), NAMES)
    first = load(folder)
    kept = weakref.ref(first.saved)
    first.unload()
    load(other).saved  # noqa: B018
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(
    ("value", "what"),
    [(np.nan, "NaN"), (np.inf, "NaN"), (0, "length zero"), (1e-42, "length zero")],
)
def test_vectors_that_can_not_be_are_named_by_file_and_row(mine, folder, value, what):
    images = make_vectors().astype(np.float32)
    images[3] = value
    save_side(folder, "images", images, NAMES)
    with pytest.raises(BadVector, match=rf"1 of 5 .* {what}.*images.npy, row 3 \(counted from 0\)"):
        find_images(folder, mine)


def test_pictures_and_texts_of_two_models_are_told(mine, folder):
    save_side(folder, "images", make_vectors(), NAMES)
    save_side(folder, "texts", make_vectors()[:, :8], NAMES)
    with pytest.raises(KisBenchError, match="images.npy has .* 16 numbers, texts.npy of 8"):
        load(folder).encoder  # noqa: B018


def write_object_array(folder):
    np.save(folder / "images.npy", np.array([{}, {}]), allow_pickle=True)


def write_object_ids(folder):
    np.save(folder / "images.npy", make_vectors())
    np.save(folder / "images_ids.npy", np.array(NAMES, object), allow_pickle=True)


def write_empty_id(folder):
    save_side(folder, "images", make_vectors(), ["red", " ", *NAMES[2:]])


def write_null_id(folder):
    write_parquet(folder, make_vectors(), ["red", None, *NAMES[2:]])


def write_too_few_own_ids(folder):
    write_safetensors(folder, make_vectors(), NAMES[:4])


def write_too_many_own_ids(folder):
    write_safetensors(folder, make_vectors(), [*NAMES, "grey"])


def write_part_without_ids(folder):
    write_clip_retrieval(folder, make_vectors().astype(np.float16), NAMES)
    table = pa.table({"caption": NAMES[2:4]})
    pq.write_table(table, folder / "metadata" / "metadata_10.parquet")


def write_other_ids_beside(folder):
    write_parquet(folder, make_vectors(), NAMES)
    ids = [*NAMES[:2], "grey", *NAMES[3:]]
    (folder / "ids.txt").write_text("\n".join(ids), encoding="utf-8")


def write_no_rows(folder):
    schema = pa.schema({"id": pa.string(), "vector": pa.list_(pa.float32())})
    pq.write_table(schema.empty_table(), folder / "images.parquet")


def write_cut_array(folder):
    np.save(folder / "images.npy", make_vectors())
    content = (folder / "images.npy").read_bytes()
    (folder / "images.npy").write_bytes(content[:-40])


def write_integers(folder):
    save_side(folder, "images", np.ones((5, DIM), np.int8), NAMES)


def write_too_few_ids(folder):
    save_side(folder, "images", make_vectors(), NAMES[:4])


def write_no_ids(folder):
    np.save(folder / "images.npy", make_vectors())


def write_uneven_lists(folder):
    pq.write_table(
        pa.table({"id": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]}), folder / "images.parquet"
    )


def write_no_lists(folder):
    pq.write_table(pa.table({"id": ["a", "b"], "x": [1.0, 2.0]}), folder / "images.parquet")


def write_two_tensors(folder):
    from safetensors.numpy import save_file

    save_file({"a": make_vectors(), "b": make_vectors()}, folder / "images.safetensors")


def write_no_safetensors(folder):
    (folder / "images.safetensors").write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (write_object_array, "images.npy:\n  it holds Python objects, .*; save numbers as float32"),
        (write_object_ids, "images_ids.npy:\n  it holds Python objects, .*np.array"),
        (write_empty_id, r"images_ids.txt:\n  row 1 \(counted from 0\) has no id"),
        (write_null_id, r"images.parquet:\n  row 1 \(counted from 0\) has no id"),
        (write_cut_array, "images.npy:\n  can't be read"),
        (write_integers, r"int8 \[5, 16\]; float16, float32 or float64 \[n, d\]"),
        (write_too_few_ids, "images_ids.txt:\n  4 ids for 5 vectors of images.npy"),
        (write_too_few_own_ids, "images.safetensors:\n  4 ids for 5 vectors of images.safetensors"),
        (write_too_many_own_ids, "images.safetensors:\n  6 ids for 5 vectors"),
        (write_part_without_ids, "metadata_10.parquet:\n  0 ids for 2 vectors of img_emb_10.npy"),
        (write_other_ids_beside, "ids.txt:\n  it and images.parquet both have ids.*in row 2"),
        (write_no_rows, "images.parquet:\n  there are no vectors in it"),
        (write_no_ids, "images_ids.txt beside it, an id in each line"),
        (write_uneven_lists, "of several lengths"),
        (write_no_lists, "one column vector, .*; there are id, x"),
        (write_two_tensors, "there are 2 tensors"),
        (write_no_safetensors, "not a readable safetensors file"),
    ],
)
def test_files_that_can_not_be_read_say_why(mine, folder, write, said):
    write(folder)
    with pytest.raises(BadFile, match=said):
        find_images(folder, mine)


def test_a_lone_part_and_two_forms_are_refused(mine, folder):
    write_clip_retrieval(folder, make_vectors().astype(np.float16), NAMES)
    (folder / "metadata" / "metadata_10.parquet").unlink()
    with pytest.raises(NotReady, match="no vectors that can be read.*part 10 has one of them"):
        load(folder).saved  # noqa: B018
    other = folder.with_name("other")
    other.mkdir()
    save_side(other, "images", make_vectors(), NAMES)
    write_parquet(other, make_vectors(), NAMES)
    with pytest.raises(NotReady, match=r"images.npy and images.parquet are both there"):
        load(other).saved  # noqa: B018


def test_a_row_of_a_table_keeps_what_it_says(mine, folder):
    """A folder that can't be read stops no other model; that a model has no text side is the user's choice."""
    save_side(folder, "images", make_vectors(), NAMES)
    save_side(folder, "texts", make_vectors(), NAMES)
    row = Checkpoint("ours", f"vectors:{folder}")
    assert not complete_row(row, folder).image_only
    assert complete_row(replace(row, image_only=True), folder).image_only
    write_parquet(folder, make_vectors(), NAMES)
    assert complete_row(row, folder) == row
    state = encoders.readiness(row)
    assert not state.ready
    assert "images.npy and images.parquet are both there" in state.remedy


def test_what_is_not_there_is_said(folder, tmp_path):
    with pytest.raises(NotReady, match="no such folder. looked in"):
        encoders.load(f"vectors:{tmp_path / 'nowhere'}")
    with pytest.raises(NotReady, match=r"no vectors of pictures. looked in .* for images.npy"):
        encoders.load(f"vectors:{folder}")
    (folder / "openclip-mine-photos.pkl").write_bytes(b"")
    with pytest.raises(NotReady, match="kis-bench import m3rt FOLDER"):
        encoders.load(f"vectors:{folder}")


def test_the_key_changes_with_each_file_and_not_with_the_folder(folder, tmp_path):
    save_side(folder, "images", make_vectors(), NAMES)
    before = load(folder).key
    moved = folder.rename(tmp_path / "elsewhere")
    assert load(moved).key == before
    (moved / "images_ids.txt").write_text("\n".join(reversed(NAMES)))
    assert load(moved).key != before


def test_pictures_alone_serve_image_similarity(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    triplets = [triplet("t1", 0, 1, 4), triplet("t2", 3, 2, 0)]
    judgments = [judgment(f"j{i}", about, "u1", -1) for i, about in enumerate(triplets)]
    write_study(tmp_path / "judged", triplets, judgments, [person("u1")], pictures=range(5))
    judged = datasets.load("judged", tmp_path / "judged")
    save_side(folder, "images", make_vectors(), judged.collection.ids)
    encoder = load(folder)
    assert encoder.image_only
    found = measure_image_similarity(encoder, judged, Store(folder / "store"))
    vectors = unit(make_vectors())
    place = judged.collection.position
    one = judged.triplets[0]
    a, b, c = (vectors[place[item]] for item in (one.target, one.candidate1, one.candidate2))
    np.testing.assert_allclose(found.distances[0], [1 - a @ b, 1 - a @ c, 1 - b @ c], atol=1e-6)


def test_a_run_is_exported_from_the_folder(mine, folder, tmp_path):
    """By its vectors to any depth, while the files are those that were measured; else as far as its table goes."""
    save_side(folder, "images", make_vectors(), NAMES)
    save_side(folder, "texts", make_vectors(seed=1), [f"q-{name}" for name in NAMES])
    found = measure_known_items(load(folder), mine, "short", Store(folder / "no"))
    kinds = {"judgments": JUDGMENTS, "timings": TIMINGS, "verdicts": VERDICTS}
    written = write_run(
        tmp_path / "reports",
        ranks=found.to_frame(),
        provenance=found.provenance,
        **{name: pd.DataFrame(columns=columns) for name, columns in kinds.items()},
    )
    options = {"datasets": {"mine": tmp_path / "mine"}, "store": Store(folder / "no"), "depth": 4}
    run, out = read_run(written), tmp_path / "out"
    export_run(run, "csv", out, **options)
    (table,) = out.glob("*.run.csv")
    scores = pd.read_csv(table).groupby("query_id")["score"].max()
    best = (unit(make_vectors(seed=1)) @ unit(make_vectors()).T).max(axis=1)
    np.testing.assert_allclose(scores[[f"q-{name}" for name in NAMES]], best, atol=1e-6)
    save_side(folder, "images", make_vectors(seed=2), NAMES)
    remarks = export_run(run, "csv", tmp_path / "again", **options)
    assert "doesn't hold the files of vectors.vectors that were measured; bring them" in remarks[0]
    assert "kis-bench embed" not in remarks[0]


@pytest.mark.slow
def test_a_session_measures_them_and_says_what_was_done(mine, folder, tmp_path):
    save_side(folder, "images", make_vectors().astype(np.float16), NAMES)
    save_side(folder, "texts", make_vectors(), [f"q-{name}" for name in NAMES])
    command = ("--pyargs", "kis_bench.suite", "--kis-dataset", f"mine={tmp_path / 'mine'}")
    command += ("--kis-labels", "short", "--kis-report", tmp_path / "reports")
    done = run_pytest(*command, "--kis-model", f"vectors:{folder}", drawn=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "read for vectors.vectors: images.npy: 5 vectors of 16 numbers, float16, all" in (
        done.stdout
    )
    about = json.loads((tmp_path / "reports" / "latest" / "run.json").read_text("utf-8"))
    assert len(about["models"]["vectors.vectors"]["read"]) == 2
    save_side(folder, "images", make_vectors(), [*NAMES[:4], "yellow"])
    done = run_pytest(*command, "--kis-model", f"vectors:{folder}", drawn=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "no vector for 1 of 5 items: 'sea/black'" in done.stdout + done.stderr
