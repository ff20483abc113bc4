"""What counts as found: segments by range or seconds, near-duplicates by bytes, hash or vector."""

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from kis_bench.colours import PLANE, SAME_COLOURS, SAME_PLANES, planes, same_colours, to_cielab
from kis_bench.errors import KisBenchError
from kis_bench.files.hashes import (
    compute_colour_grid,
    compute_colour_grids,
    compute_perceptual_hashes,
)
from kis_bench.measuring.known_items import make_columns, rank_queries
from kis_bench.measuring.wider_sets import find_wider_sets
from kis_bench.ranking import relevance, target_ranks
from kis_bench.ranking.relevance import NearDuplicates
from kis_bench.records import Collection, Embeddings, Query

IDS = tuple("abcdefgh")
VIDEOS = tuple("11112222")
SECONDS = (0.0, 5.0, 10.0, 20.0, 0.0, 5.0, math.nan, 11.0)


def collection(groups=VIDEOS, times=SECONDS, content=IDS):
    return Collection("mine", IDS, IDS, content, groups, times)


def query(*items, range_s=None):
    return Query("q", items, "short", "text", range_s=range_s)


def named(sets):
    return ["".join(IDS[i] for i in some) for some in sets]


def test_a_segment_is_the_range_or_some_seconds_within_the_group():
    queries = [
        query("b"),
        query("b", range_s=(9.0, 30.0)),
        query("f"),
        query("a", "h"),
        query("a", range_s=(40, 50)),
    ]
    assert named(relevance.find_segments(collection(), queries, 5)) == [
        "abc",
        "bcd",
        "ef",
        "abh",
        "a",
    ]
    assert named(relevance.find_segments(collection(), queries[:1], 0)) == ["b"]


def test_without_a_time_nobody_knows_the_segment():
    assert named(
        relevance.find_segments(collection(), [query("g"), query("g", range_s=(0, 6))], 99)
    ) == ["", "efg"]
    assert relevance.find_segments(collection(times=None), [query("a")], 99) == [()]
    assert relevance.find_segments(collection(groups=None), [query("a")], 99) == [()]


def test_identical_files_count_as_one():
    wanted = relevance.find_target_positions(
        collection(), [query("a"), query("b"), query("c", "d")]
    )
    assert named(relevance.find_identical("xyxzyxwz", wanted)) == ["acf", "be", "acdfh"]


def test_hashes_and_vectors_within_a_threshold_are_near():
    hashes = np.array([0, 1, 3, 2**63, 0, 7, 2**64 - 1, 0], np.uint64)
    assert relevance.count_differing_bits(hashes, hashes[0]).tolist() == [0, 1, 2, 1, 0, 3, 64, 0]
    wanted = relevance.find_target_positions(collection(), [query("a"), query("g", "f")])
    assert named(relevance.find_close_hashes(hashes, wanted, 1)) == ["abdeh", "cfg"]
    angles = np.radians([0, 10, 25, 90, 180, 0, 26, 270])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert named(relevance.find_close_vectors(vectors, wanted, math.cos(math.radians(20)))) == [
        "abf",
        "abcfg",
    ]
    two = np.stack(
        [vectors, -vectors], axis=1
    )  # the mean of opposite vectors is none: alike with nothing else
    assert named(relevance.find_close_vectors(two, wanted[:1], 0.5)) == ["a"]


@pytest.mark.parametrize(
    "text", ["phash", "phash:", "phash:6.5", "phash:65", "cosine:1.1", "cosine:nan", "hash:3", ""]
)
def test_other_methods_are_refused(text):
    with pytest.raises(KisBenchError, match="choose identical, phash:BITS"):
        NearDuplicates.parse(text)


def test_methods_are_written_as_they_are_read():
    assert [str(NearDuplicates.parse(t)) for t in ("identical", "phash:6", "cosine:0.95")] == [
        "identical",
        "phash:6",
        "cosine:0.95",
    ]


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 12), st.integers(1, 3))
def test_wider_ranks_equal_counting(seed, n, q, v):
    """Small whole numbers make many exact ties; every set of items is counted by brute force."""
    rng = np.random.default_rng(seed)
    items = rng.integers(-2, 3, (n, v, 4)).astype(np.float32)
    queries = rng.integers(-2, 3, (q, 4)).astype(np.float32)
    wanted = [(int(t),) for t in rng.integers(0, n, q)]
    wide = [tuple({*some, *rng.integers(0, n, rng.integers(0, 4)).tolist()}) for some in wanted]
    wide[0] = ()
    blocks = {
        "block_items": int(rng.integers(1, n + 1)),
        "block_queries": int(rng.integers(1, q + 1)),
    }
    ranks = target_ranks(queries, items, wanted, relevant=[wide, wanted], **blocks)
    scores = np.einsum("qd,nvd->qnv", queries.astype(np.float64), items).max(axis=2)
    for i, some in enumerate(wide):
        if not some:
            assert ranks.relevant_best[i, 0] == ranks.relevant_worst[i, 0] == 0
            continue
        best = max(scores[i, j] for j in some)
        above = int((scores[i] > best).sum())
        rivals = sum(scores[i, j] == best for j in range(n) if j not in some)
        assert (ranks.relevant_best[i, 0], ranks.relevant_worst[i, 0]) == (
            above + 1,
            above + 1 + rivals,
        )
        assert ranks.relevant_best[i, 0] <= ranks.best[i]
        assert ranks.relevant_worst[i, 0] <= ranks.worst[i]
    np.testing.assert_array_equal(ranks.relevant_best[:, 1], ranks.best)
    np.testing.assert_array_equal(ranks.relevant_worst[:, 1], ranks.worst)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Eight drawings: b is a smaller copy of a, c a copy in other colours, h the same file as d."""
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(4)
    paths = []
    for item in IDS:
        picture = Image.new("RGB", (96, 96), "white")
        draw = ImageDraw.Draw(picture)
        for _ in range(6):
            x, y, *size = rng.integers(4, 60, 4).tolist()
            draw.rectangle(
                (x, y, x + size[0], y + size[1]), fill=tuple(rng.integers(0, 256, 3).tolist())
            )
        paths.append(tmp_path / f"{item}.png")
        picture.save(paths[-1])
    original = Image.open(paths[0]).convert("RGB")
    original.resize((80, 80)).save(paths[1])
    paths[7].write_bytes(paths[3].read_bytes())
    content = [path.read_bytes().hex() for path in paths]
    return Collection("drawings", IDS, tuple(paths), tuple(content), VIDEOS, SECONDS)


def test_a_resized_copy_has_nearly_the_same_hash(pictures):
    hashes = compute_perceptual_hashes(pictures)
    wanted = relevance.find_target_positions(pictures, [query("a"), query("d")])
    assert named(relevance.find_close_hashes(hashes, wanted, 6)) == ["ab", "dh"]
    for path in pictures.paths:
        path.unlink()
    np.testing.assert_array_equal(compute_perceptual_hashes(pictures), hashes)  # known by content


def square(colour, size=(96, 96), ground="white"):
    picture = Image.new("RGB", size, ground)
    w, h = size
    ImageDraw.Draw(picture).rectangle((w // 6, h // 6, w - w // 6, h - h // 6), fill=colour)
    return picture


def encoded(picture, quality, subsampling=2):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return Image.open(file).convert("RGB")


def of_pictures(folder, *images):
    paths = [folder / f"{i}.png" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        image.save(path)
    ids = tuple(map(str, range(len(images))))
    return Collection(
        "colours", ids, tuple(paths), tuple(path.read_bytes().hex() for path in paths), None, None
    )


def near_first(collection, bits=6):
    """What is near the first picture: by its hash alone, and by its colours too."""
    hashes, grids = compute_perceptual_hashes(collection), compute_colour_grids(collection)
    by_hash, both = (
        relevance.find_close_hashes(hashes, [(0,)], bits, some)[0] for some in (None, grids)
    )
    assert {*both} <= {*by_hash}
    return by_hash, both


@pytest.mark.parametrize(
    "draw", [square, lambda colour: Image.new("RGB", (64, 64), colour)], ids=["square", "plane"]
)
def test_other_colours_are_no_near_duplicates_though_their_hash_is(draw, tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    names = ["red", "darkgreen", "gray", "navy", "purple"]
    by_hash, both = near_first(of_pictures(tmp_path, *map(draw, names)))
    assert len(by_hash) == len(names)  # the fault: what a hash alone says
    assert both == (0,)


@pytest.mark.parametrize("quality", [10, 20, 35, 50, 75, 95])
def test_copies_of_all_qualities_and_sizes_stay_near(quality, tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(quality)
    noise = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(
        (640, 480), Image.Resampling.BICUBIC
    )
    drawing = Image.new("RGB", (400, 300), "khaki")
    draw = ImageDraw.Draw(drawing)
    for _ in range(6):
        x, y, w, h = rng.integers(10, 150, 4).tolist()
        draw.rectangle((x, y, x + 60 + w, y + 20 + h), fill=tuple(rng.integers(0, 256, 3).tolist()))
    for original in (noise, drawing, Image.new("RGB", (90, 60), (180, 40, 90))):
        copies = [encoded(original, quality), encoded(original, quality, 0)]
        copies += [
            original.resize((int(original.width * s), int(original.height * s)))
            for s in (0.25, 0.5, 2)
        ]
        by_hash, both = near_first(of_pictures(tmp_path, original, *copies))
        assert both == by_hash
        assert len(both) == 1 + len(copies)


def test_colours_are_the_same_up_to_a_limit_and_planes_up_to_a_smaller_one():
    plain, busy = np.zeros((16, 3), np.int8), np.zeros((16, 3), np.int8)
    busy[:, 0] = np.arange(16) * 4
    for grid, most in ((plain, SAME_PLANES), (busy, SAME_COLOURS)):
        assert planes(grid[None]).tolist() == [most == SAME_PLANES]
        for step, same in ((0, True), (most, True), (most + 1, False)):
            assert same_colours(
                (grid + np.array([0, 0, step])).astype(np.int8)[None], grid
            ).tolist() == [same]
    one = plain.copy()
    one[3, 1] = SAME_COLOURS + 1  # a single cell suffices
    assert same_colours(one[None], plain).tolist() == [False]
    assert PLANE < SAME_PLANES < SAME_COLOURS


@settings(deadline=None)  # the first one imports
@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=16))
def test_lab_against_scikit_image(colours):
    color = pytest.importorskip("skimage.color")
    rgb = np.array(colours, np.uint8)
    np.testing.assert_allclose(to_cielab(rgb), color.rgb2lab(rgb[None] / 255.0)[0], atol=0.1)


def test_the_grid_is_the_mean_colour_of_each_cell():
    picture = Image.new("RGB", (8, 8), "white")
    picture.paste((200, 30, 60), (2, 0, 4, 2))
    expected = np.tile(to_cielab(np.array([[255, 255, 255]], np.uint8)), (16, 1))
    expected[1] = to_cielab(np.array([[200, 30, 60]], np.uint8))
    np.testing.assert_array_equal(compute_colour_grid(picture), expected.round())


def test_hashes_of_pictures_differ_in_even_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    some = [Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)) for _ in range(20)]
    hashes = compute_perceptual_hashes(of_pictures(tmp_path, *some))
    distances = np.concatenate([relevance.count_differing_bits(hashes, own) for own in hashes])
    assert distances.max() > 0
    assert not (distances % 2).any()


def test_all_unreadable_pictures_are_named(pictures):
    for i in (2, 5):
        pictures.paths[i].write_bytes(b"damaged")
    with pytest.raises(KisBenchError, match=r"(?s)c\.png.*f\.png"):
        compute_perceptual_hashes(pictures)


def test_four_ranks_of_one_query_from_one_pass(pictures):
    """By score: b, a, g, e, f, d = h, c. Wanted is d, of video 1, in the second of a."""
    scores = np.array([0.8, 0.9, 0.1, 0.3, 0.6, 0.5, 0.7, 0.3], np.float32)
    items = Embeddings(IDS, np.stack([scores, np.sqrt(1 - scores**2)], axis=1)[:, None], "key")
    texts = Embeddings(("q",), np.array([[[1, 0]]], np.float32), "key")
    queries = [query("d", range_s=(0.0, 0.0)), query("c")]
    texts = Embeddings(("q", "r"), np.repeat(texts.vectors, 2, axis=0), "key")
    wider = find_wider_sets(pictures, queries, items, alike=NearDuplicates.parse("phash:6"))
    ranks = rank_queries(pictures, queries, items, texts, wider)
    columns = make_columns("m", "drawings", pictures, queries, texts, ranks)
    found = {name: values[0] for name, values in columns.items() if "rank" in name}
    assert found == {
        "rank": 6.5,
        "rank_best": 6,
        "rank_worst": 7,  # its twin may come first
        "segment_rank": 2.0,
        "segment_rank_best": 2,
        "segment_rank_worst": 2,  # a
        "group_rank": 1.0,
        "group_rank_best": 1,
        "group_rank_worst": 1,  # b
        "near_duplicate_rank": 6.0,
        "near_duplicate_rank_best": 6,
        "near_duplicate_rank_worst": 6,  # d or h
    }
    wider = find_wider_sets(pictures, queries, items, alike=NearDuplicates.parse("cosine:0.97"))
    close = rank_queries(pictures, queries, items, texts, wider)
    assert close.relevant_best[0, 1] == 5  # f is near in the model's own space


def test_what_is_not_known_is_null(pictures):
    bare = Collection("bare", IDS, pictures.paths, pictures.content)
    items = Embeddings(IDS, np.eye(8, dtype=np.float32)[:, None], "key")
    texts = Embeddings(("q",), np.eye(8, dtype=np.float32)[:1, None], "key")
    ranks = rank_queries(
        bare, [query("a")], items, texts, find_wider_sets(bare, [query("a")], items)
    )
    columns = make_columns("m", "bare", bare, [query("a")], texts, ranks)
    assert [columns[f"{name}_rank"] for name in ("segment", "group")] == [[None], [None]]
    assert columns["near_duplicate_rank"] == [1.0]
