"""Names, tables, and what stands in for a row."""

import pytest

from kis_bench.encoders import catalogue, read_models
from kis_bench.encoders.catalogue import find, spoken
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.plugin.lineup import LineUp

THESIS = {
    "CLIP",
    "ALIGN",
    "BLIP2",
    "ViT_SO400M_14_webli",
    "ViT_L_16_webli",
    "ViT_B_16_webli",
    "ViT_H_14_dfn5b",
    "ViT_G_14_laion2b",
    "ViT_H_14_laion2b",
}


def test_the_nine_models_of_the_thesis_are_there():
    assert {row.thesis_name for row in catalogue().values()} - {""} == THESIS


@pytest.mark.parametrize(
    ("source", "name", "image_only"),
    [
        ("hf-hub:apple/DFN5B-CLIP-ViT-H-14-378", "hf-hub.apple.DFN5B-CLIP-ViT-H-14-378", False),
        ("hf-hub:a/b@v2", "hf-hub.a.b.v2", False),
        ("openclip:ViT-B-32/openai", "openclip.ViT-B-32.openai", False),
        ("openclip:local-dir:/home/somebody/secret/mine", "openclip.mine", False),
        ("timm:vit_small_patch14_dinov2.lvd142m", "timm.vit_small_patch14_dinov2.lvd142m", True),
        ("extractor:vlad-sift=/home/somebody/words.npy", "extractor.vlad-sift.words.npy", True),
        ("package.module:load", "package.module.load", False),
    ],
)
def test_a_source_is_a_model_without_a_row(source, name, image_only):
    found = find(source)
    assert (found.name, found.image_only) == (name, image_only)
    assert found.source in (source, f"python:{source}")


def test_what_to_type():
    assert spoken(find("blip2")) == "blip2"
    assert spoken(find("hf-hub:a/b")) == "hf-hub:a/b"
    assert spoken(find("hf-hub:a/b").__class__("mine", "hf-hub:a/b", "v2")) == "hf-hub:a/b@v2"


def test_a_table_of_models(tmp_path):
    table = tmp_path / "models.toml"
    table.write_text(
        '[[model]]\nname = "demo"\n[[model]]\nname = "align"\nrevision = "v1"\n'
        '[[model]]\nname = "ours"\nsource = "openclip:local-dir:weights"\n'
        '[[model]]\nname = "theirs"\nsource = "openclip:local-dir:/srv/weights"\n'
    )
    demo, align, ours, theirs = read_models(table)
    assert demo == catalogue()["demo"]
    assert (align.source, align.revision) == ("transformers:kakaobrain/align-base", "v1")
    assert ours.source == f"openclip:local-dir:{tmp_path / 'weights'}"
    assert theirs.source == "openclip:local-dir:/srv/weights"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[[model]]\nsource = "demo:"', "1: name is missing"),
        ('[[model]]\nname = "x"\nsuorce = "y"', r"1 \(x\): unknown key suorce"),
        (
            '[[model]]\nname = "x"\nsource = "demo:"\ndim = "64"',
            r"1 \(x\): dim = '64' is of the wrong kind",
        ),
        ('[[model]]\nname = "demo"\n[[model]]\nname = "demo"', "2: demo is there twice"),
        ('[[model]]\nname = "nothing"', "nothing is not in the catalogue; give its source"),
        ("[[model]", "models.toml"),
    ],
)
def test_a_table_that_is_wrong_says_where(content, said, tmp_path):
    (tmp_path / "models.toml").write_text(content)
    with pytest.raises(BadFile, match=said):
        read_models(tmp_path / "models.toml")


def test_two_models_of_one_name_are_refused():
    with pytest.raises(KisBenchError, match=r"two models are called openclip\.mine"):
        LineUp.choose(
            models=[],
            datasets=[],
            model_names=["openclip:local-dir:a/mine", "openclip:local-dir:b/mine"],
        )
