"""Prompts around texts: what is encoded, what is averaged, and which vectors are shared."""

import json
from dataclasses import replace

import numpy as np
import pytest
from builders import run_pytest
from PIL import Image

from kis_bench import datasets, encoders
from kis_bench.embed import embed_collection, embed_texts
from kis_bench.encoders import LazyEncoder, find, read_models
from kis_bench.encoders.prompts import add_prompts, encode_prompted, parse_prompts, prompt_model
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.measuring import measure_known_items
from kis_bench.plugin.lineup import LineUp
from kis_bench.store import Store

PROMPTS = ("a red photo of {}", "{}, green", "a blue {}")


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    images = tmp_path / "mine" / "images"
    images.mkdir(parents=True)
    names = ["red", "green", "blue", "yellow"]
    for name in names:
        Image.new("RGB", (40, 30), name).save(images / f"{name}.png")
    rows = [f"q-{name},{name},short,something {name}" for name in names]
    table = "\n".join(["query_id,item_id,label_set,text", *rows])
    (tmp_path / "mine" / "labels.csv").write_text(table, encoding="utf-8")
    return datasets.load("mine", tmp_path / "mine")


def test_a_text_is_put_into_its_prompt():
    plain, prompted = (encoders.load(find("colour-words")) for _ in range(2))
    prompted = encoders.load(prompt_model(find("colour-words"), "red", PROMPTS[:1]))
    texts = ["boat", "a green tree {}"]
    expected = plain.encode_texts(["a red photo of boat", "a red photo of a green tree {}"])
    found = prompted.encode_texts(texts)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(found[0] - plain.encode_texts(texts)[0]).max() > 0.1
    assert prompted.name == "colour-words+red"


def test_several_prompts_are_averaged_and_a_cut_under_one_counts():
    rng = np.random.default_rng(0)
    given = rng.standard_normal((3, 5, 1, 8)).astype(np.float32)
    given /= np.linalg.norm(given, axis=-1, keepdims=True)
    cut = np.zeros((3, 5), bool)
    cut[1, 2] = True
    asked = []

    def encode(texts):
        asked.append(texts)
        return given[len(asked) - 1], cut[len(asked) - 1]

    vectors, flags = encode_prompted(encode, PROMPTS, list("abcde"))
    assert asked[1] == ["a, green", "b, green", "c, green", "d, green", "e, green"]
    expected = sum(given[i].astype(np.float64) for i in range(3)) / 3
    expected /= np.sqrt((expected**2).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(vectors, expected, rtol=1e-6)
    assert vectors.dtype == np.float32
    assert flags.tolist() == [False, False, True, False, False]


def test_pictures_are_embedded_once_and_texts_apart(mine, tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    rows = add_prompts([find("colour-words")], {"one": PROMPTS[:1], "all": PROMPTS})
    assert [row.name for row in rows] == ["colour-words", "colour-words+one", "colour-words+all"]
    models = [LazyEncoder(row) for row in rows]
    assert len({model.key for model in models}) == 3
    items = embed_collection(mine.collection, models[0], store)
    queries = mine.queries("short")
    texts = [embed_texts(queries, model, store).vectors for model in models]
    assert len({np.asarray(each).tobytes() for each in texts}) == 3
    monkeypatch.setattr("kis_bench.encoders.passes.ImagePass.open", None)  # would raise
    for model in models[1:]:
        found = embed_collection(mine.collection, model, store)
        assert found.limit is None
        np.testing.assert_array_equal(found.vectors, items.vectors)
        assert model.encoder.key == model.key  # known before, and once it is loaded
    other = LazyEncoder(prompt_model(find("colour-words"), "one", PROMPTS[1:2]))
    assert other.key != models[1].key  # the prompt counts, not its name


def test_a_run_says_which_prompts(mine, tmp_path):
    model = LazyEncoder(prompt_model(find("colour-words"), "all", PROMPTS))
    for privacy in (False, True):
        found = measure_known_items(model, mine, "short", Store(tmp_path / "s"), privacy=privacy)
        about = found.provenance["models"]["colour-words+all"]
        assert about["prompts"] == ([] if privacy else [*PROMPTS])
        assert about["key"] == model.key


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("photo", "write NAME=PROMPT"),
        ("a b=the {}", "write NAME=PROMPT"),
        ("photo=a photo", "{} has to stand in it once"),
        ("photo={} and {}", "{} has to stand in it once"),
    ],
)
def test_prompts_that_are_none(given, said):
    with pytest.raises(KisBenchError, match=said):
        parse_prompts([given])


def test_prompts_of_one_name_are_kept_together():
    given = ["p=a {}", "q=x=y {}", "p=the {}", "p=a {}"]
    assert parse_prompts(given) == {"p": ("a {}", "the {}"), "q": ("x=y {}",)}


def test_a_name_that_is_declared_for_other_prompts_is_refused():
    demo = find("demo")
    declared = [demo, replace(demo, name="demo+photo", prompts=("a drawing of {}",))]
    prompts = {"photo": ("a photo of {}",)}
    for names in ([], ["demo"]):
        with pytest.raises(KisBenchError, match=r"demo\+photo is declared with other prompts"):
            LineUp.choose(models=declared, datasets=[], model_names=names, prompts=prompts)
    same = [demo, replace(demo, name="demo+photo", prompts=("a photo of {}",))]
    found = LineUp.choose(models=same, datasets=[], model_names=[], prompts=prompts)
    assert [one.name for one in found.models] == ["demo", "demo+photo"]


def test_line_up_has_each_model_plain_and_with_each_prompt(tmp_path):
    prompts = {"photo": ("a photo of {}",)}

    def names(*asked, models=()):
        chosen = LineUp.choose(models=models, datasets=[], model_names=asked, prompts=prompts)
        return [model.name for model in chosen.models]

    assert names("colour-words") == ["colour-words", "colour-words+photo"]
    assert names("colour-words+photo") == ["colour-words+photo"]
    assert names("vlad-sift", "colour-words+photo") == ["vlad-sift", "colour-words+photo"]
    np.save(tmp_path / "images.npy", np.eye(2))
    (tmp_path / "ids.txt").write_text("a\nb")
    np.save(tmp_path / "texts.npy", np.eye(2))
    (tmp_path / "texts.txt").write_text("a\nb")
    assert len(names(f"vectors:{tmp_path}")) == 1  # reads no text
    row = prompt_model(find(f"vectors:{tmp_path}"), "photo", prompts["photo"])
    with pytest.raises(KisBenchError, match="vectors on disk and takes no prompts"):
        encoders.load(row)


def test_rows_of_a_table(tmp_path):
    file = tmp_path / "models.toml"
    file.write_text(
        '[[model]]\nname = "clip-vit-b-32+photo"\nprompts = ["a photo of {}", "{}."]\n'
        '[[model]]\nname = "mine"\nsource = "colour-words:"\nprompts = ["the {}"]\n'
    )
    first, second = read_models(file)
    assert (first.source, first.prompts) == (
        find("clip-vit-b-32").source,
        ("a photo of {}", "{}."),
    )
    assert second.prompts == ("the {}",)
    assert encoders.load(second).key != encoders.load("colour-words").key
    file.write_text('[[model]]\nname = "demo+x"\nprompts = ["no place"]\n')
    with pytest.raises(BadFile, match="{} has to stand in it once"):
        read_models(file)
    file.write_text('[[model]]\nname = "demo+x"\nprompts = "a {}"\n')
    with pytest.raises(BadFile, match="prompts = 'a {}' is of the wrong kind"):
        read_models(file)


@pytest.mark.slow
def test_a_session_selects_them_by_k(mine, tmp_path):
    done = run_pytest(
        *("--pyargs", "kis_bench.suite", "--kis-dataset", f"mine={tmp_path / 'mine'}"),
        *("--kis-model", "colour-words", "--kis-prompt", "photo=a photo of {}", "-v"),
        *("-k", "known and +photo", "--kis-report", tmp_path / "reports"),
        drawn=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    about = json.loads((tmp_path / "reports" / "latest" / "run.json").read_text("utf-8"))
    assert [*about["models"]] == ["colour-words+photo"]
