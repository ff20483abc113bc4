"""Image features without weights, against plain loops."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from kis_bench import encoders
from kis_bench.encoders.catalogue import find
from kis_bench.encoders.features import extractors, vlad
from kis_bench.errors import BadFile, KisBenchError, NotReady, UnknownName

SMALL = [name for name in extractors.EXTRACTOR_NAMES if name != "vlad-sift"]


def noise(seed, size=(60, 80)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def scene(seed):
    """Shapes with corners, so that there are keypoints."""
    rng, image = np.random.default_rng(seed), Image.new("RGB", (200, 160), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, w, h = rng.integers(5, 60, 4)
        corner = (int(x * 2.5), int(y * 2))
        draw.rectangle(
            [*corner, corner[0] + int(w), corner[1] + int(h)],
            fill=tuple(rng.integers(0, 256, 3).tolist()),
        )
    return image


@pytest.fixture
def vlad_encoder(tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path))
    vlad.write_codebook(
        vlad.default_codebook(), vlad.learn_codebook(map(scene, range(10)), words=8)
    )
    return encoders.load("vlad-sift")


def loaded(name, request):
    return request.getfixturevalue("vlad_encoder") if name == "vlad-sift" else encoders.load(name)


@pytest.mark.parametrize("name", extractors.EXTRACTOR_NAMES)
def test_any_picture_gives_a_unit_vector_that_depends_on_nothing_else(name, request):
    encoder = loaded(name, request)
    images = [
        scene(0),
        Image.new("RGB", (30, 20)),
        Image.new("RGB", (1, 1), "white"),
        noise(1),
        noise(2, (3, 300)),
        scene(3),
        Image.new("RGB", (64, 64), "red"),
    ]
    together = encoder.encode_images(images)
    assert together.dtype == np.float32
    assert together.shape == (len(images), 1, encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(together, axis=2), 1, atol=1e-6)
    alone = np.concatenate([encoder.encode_images([image]) for image in images])
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(encoder.encode_images(images[::-1])[::-1], together)
    row = find(name)
    assert row.image_only
    assert row.dim in (0, encoder.dim)
    with pytest.raises(KisBenchError, match="no text side"):
        encoder.encode_texts(["red"])


@pytest.mark.parametrize(
    ("name", "bins"), [("rgb-histogram-64", (4, 4, 4)), ("rgb-histogram-256", (8, 8, 4))]
)
@settings(deadline=None, max_examples=30)
@given(pixels=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_histograms_are_counts(name, bins, pixels):
    counts = np.zeros(bins)
    for r, g, b in pixels.reshape(-1, 3).astype(int):
        counts[r // (256 // bins[0]), g // (256 // bins[1]), b // (256 // bins[2])] += 1
    feature = extractors.EXTRACTORS[name][0](Image.fromarray(pixels))
    np.testing.assert_allclose(feature, counts.reshape(-1) / counts.sum())


def test_the_colour_layout_is_where_it_is():
    image = Image.new("RGB", (40, 40), "black")
    image.paste(Image.new("RGB", (20, 20), "white"), (20, 0))
    image.paste(Image.new("RGB", (20, 20), "red"), (0, 20))
    found = extractors.lab_positional(image, 2).reshape(2, 2, 3)
    np.testing.assert_allclose(found[0, 0], 0, atol=1e-6)
    np.testing.assert_allclose(found[0, 1], [1, 0, 0], atol=1e-3)
    np.testing.assert_allclose(
        found[1, 0] * [100, 128, 128], [53.24, 80.09, 67.2], atol=0.05
    )  # sRGB red, D65


def test_dominant_colours_are_ordered_by_their_share():
    image = Image.new("RGB", (100, 100), "white")
    image.paste(Image.new("RGB", (100, 30), "red"), (0, 70))
    found = extractors.lab_kmeans(image, 4).reshape(4, 3)
    np.testing.assert_allclose(found[0], [0.7, 0, 0], atol=0.02)
    np.testing.assert_allclose(
        found[1] * [100, 128, 128], 0.3 * np.array([53.24, 80.09, 67.2]), atol=1
    )
    assert np.abs(found[2:]).sum() < 0.05  # the border that averaging made


def test_clusters_are_the_same_in_another_process():
    code = (
        "import sys, numpy as np; from PIL import Image\n"
        "from kis_bench.encoders.features.extractors import lab_kmeans\n"
        "pixels = np.random.default_rng(5).integers(0, 256, (60, 80, 3), dtype=np.uint8)\n"
        "print(lab_kmeans(Image.fromarray(pixels), 4).tobytes().hex())"
    )
    others = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in "ab"
    ]
    assert {other.stdout.strip() for other in others} == {
        extractors.lab_kmeans(noise(5), 4).tobytes().hex()
    }


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 40), k=st.integers(1, 6))
def test_vlad_sums_residuals_per_dimension(seed, n, k):
    rng = np.random.default_rng(seed)
    descriptors, words = rng.random((n, 5), np.float32), rng.random((k, 5), np.float32)
    expected = np.zeros((k, 5))
    for descriptor in descriptors.astype(np.float64):
        nearest = min(
            range(k), key=lambda i: ((descriptor - words[i].astype(np.float64)) ** 2).sum()
        )
        expected[nearest] += descriptor - words[nearest]
    for row in expected:
        row /= np.linalg.norm(row) or 1
    np.testing.assert_allclose(vlad.vlad(descriptors, words), expected.reshape(-1), atol=1e-9)


def test_vlad_without_keypoints_says_so(vlad_encoder):
    vectors = vlad_encoder.encode_images([Image.new("RGB", (50, 50), "grey"), scene(1)])[:, 0]
    assert vectors[0, -2] == pytest.approx(1, abs=1e-5)
    assert np.abs(vectors[0, :-2]).max() == 0
    assert vectors[1, -2] == 0


def test_features_make_sense(vlad_encoder):
    """A picture is nearer to a slightly changed copy than to another."""
    for encoder in (*map(encoders.load, SMALL), vlad_encoder):
        first, second = scene(11), scene(12)
        changed = first.resize((180, 144)).point(lambda value: min(255, value + 4))
        vectors = encoder.encode_images([first, changed, second])[:, 0].astype(np.float64)
        assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2], encoder.name


def test_codebooks(tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path))
    with pytest.raises(NotReady, match="no codebook. kis-bench codebook DATASET learns one"):
        encoders.load("vlad-sift")
    words = vlad.learn_codebook(map(scene, range(6)), words=4, seed=1)
    np.testing.assert_array_equal(words, vlad.learn_codebook(map(scene, range(6)), words=4, seed=1))
    assert (words.shape, words.dtype) == ((4, 128), np.float32)
    with pytest.raises(KisBenchError, match="have 0 keypoints"):
        vlad.learn_codebook([Image.new("RGB", (9, 9))])
    mine = tmp_path / "folder" / "mine.npy"
    vlad.write_codebook(mine, words)
    encoder = encoders.load(f"extractor:vlad-sift={mine}")
    assert encoder.name == "extractor.vlad-sift.mine.npy"
    before = encoder.key
    vlad.write_codebook(mine, words[::-1].copy())
    assert encoders.LazyEncoder(find(f"extractor:vlad-sift={mine}")).key != before
    for content in (b"", b"nothing", b"\x80\x04N."):
        mine.write_bytes(content)
        with pytest.raises(BadFile, match=r"mine.npy:\n.*not a codebook"):
            vlad.read_codebook(mine)
    for wrong in (
        np.zeros((3, 5), np.float32),
        np.zeros((3, 128)),
        np.full((3, 128), np.nan, np.float32),
    ):
        np.save(mine, wrong)
        with pytest.raises(BadFile, match="not a codebook"):
            vlad.read_codebook(mine)
    np.save(mine, np.array([object()]), allow_pickle=True)
    with pytest.raises(BadFile, match="not a codebook"):
        vlad.read_codebook(mine)


def test_unknown_extractors():
    with pytest.raises(UnknownName, match="did you mean rgb-histogram-64"):
        encoders.load("extractor:rgb-histogram-46")


def test_the_command_that_learns_a_codebook(tmp_path):
    import os

    images = tmp_path / "mine" / "images"
    images.mkdir(parents=True)
    for i in range(4):
        scene(i).save(images / f"{i}.png")
    (tmp_path / "mine" / "labels.csv").write_text(
        "query_id,item_id,label_set,text\nq,0,short,shapes\n"
    )
    command = [sys.executable, "-m", "kis_bench.cli"]
    environment = os.environ | {
        "KIS_CACHE": str(tmp_path / "cache"),
        "KIS_STORE": str(tmp_path / "store"),
    }

    def cli(*arguments):
        return subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    mine = f"mine={tmp_path / 'mine'}"
    assert "no codebook" in cli("embed", mine, "--model", "vlad-sift").stderr
    done = cli("codebook", mine, "--words", "5")
    assert "5 words from 4 images" in done.stdout, done.stderr
    done = cli("embed", mine, "--model", "vlad-sift")
    assert "[4, 1, 642] float32" in done.stdout, done.stderr
    assert "no text side" in done.stdout
    assert cli("codebook", mine, "--words", "0").returncode == 2
