"""Sources of models: what is a path of the user's in them, and what others may see."""

from pathlib import Path

import pytest

from kis_bench.records import Checkpoint, Source


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("openclip:local-dir:/home/anna/ours", "openclip:local-dir:ours"),
        ("openclip:ViT-B-32/laion2b", "openclip:ViT-B-32/laion2b"),
        ("hf-hub:org/name", "hf-hub:org/name"),
        ("hf-hub:/home/anna/m", "hf-hub:m"),
        ("transformers:~/anna/m/", "transformers:m"),
        ("timm:./anna/m", "timm:m"),
        ("extractor:vlad=/home/anna/codes.npz", "extractor:vlad=codes.npz"),
        ("timm:C:\\anna\\m", "timm:m"),
        ("sentence-transformers:../anna/m", "sentence-transformers:m"),
        ("openclip:local-dir:anna/m", "openclip:local-dir:m"),
        ("python:module:function", "python:module:function"),
        ("demo:", "demo:"),
        ("study:distances", "study:distances"),
    ],
)
def test_what_others_may_see_of_a_source(source, shown):
    assert Source.read(source).public == shown


@pytest.mark.parametrize(
    ("source", "kind", "folder"),
    [
        ("demo:", "demo", None),
        ("hf-hub:org/name@v1", "hf-hub", None),
        ("openclip:local-dir:", "openclip", None),
        ("openclip:local-dir:a/b", "openclip", Path("a/b")),
        ("openclip:local-dir:~/b", "openclip", Path.home() / "b"),
        ("extractor:vlad-sift=words.npy", "extractor", Path("words.npy")),
        ("sentence-transformers:org/name", "sentence-transformers", None),
        ("sentence-transformers:.", "sentence-transformers", Path(".")),
        ("sentence-transformers:./org/name", "sentence-transformers", Path("org/name")),
        ("sentence-transformers:/srv/m", "sentence-transformers", Path("/srv/m")),
        ("sentence-transformers:.hidden", "sentence-transformers", None),
    ],
)
def test_kind_and_folder(source, kind, folder):
    found = Checkpoint("m", source).origin
    assert (found.kind, found.folder) == (kind, folder)
    assert f"{found.kind}:{found.rest}" == source


@pytest.mark.parametrize(
    ("source", "absolute"),
    [
        ("openclip:local-dir:weights", "openclip:local-dir:/srv/weights"),
        ("openclip:local-dir:/x/weights", "openclip:local-dir:/x/weights"),
        ("extractor:vlad-sift=words.npy", "extractor:vlad-sift=/srv/words.npy"),
        ("sentence-transformers:./m", "sentence-transformers:/srv/m"),
        ("sentence-transformers:org/m", "sentence-transformers:org/m"),
    ],
)
def test_a_relative_path_starts_where_it_is_written(source, absolute):
    assert Source.read(source).starting_at(Path("/srv")).text == absolute


def test_a_source_as_part_of_a_test_id():
    assert Source.read("openclip:local-dir:/home/anna/ours").short_name == "openclip.ours"
    assert Source.read("hf-hub:org/name@v1").short_name == "hf-hub.org.name.v1"
