"""datasets.toml: every mistake in it is named with the file."""

import pytest

from kis_bench.errors import BadFile
from kis_bench.lineup import read_datasets


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            '[[datasets]]\nname = "a"',
            "unknown key 'datasets'; datasets are declared as [[dataset]]",
        ),
        ('[dataset]\nname = "a"', "declare each as [[dataset]]"),
        ('dataset = ["a"]', "declare each as [[dataset]]"),
        ("[[dataset]]\nfolder = 'x'", "name is missing"),
        ('[[dataset]]\nname = "a"\nfolder = 3', "folder is not a text"),
        ('[[dataset]]\nname = "a"\nlabel_sets = "long"', "label_sets is not a list of names"),
        ('[[dataset]]\nname = "a"\nlabel_sets = [3]', "label_sets is not a list of names"),
        (
            '[[dataset]]\nname = "a"\nlayout = "lcs"',
            "layout 'lcs' is none of folder, folders, photos",
        ),
        ('[[dataset]]\nname = "a"\nlayout = ["lsc"]', "layout ['lsc'] is none of"),
        ('[[dataset]]\nname = "a"\n[[dataset]]\nname = "a"', "a is there twice"),
    ],
)
def test_mistakes_are_named(tmp_path, content, said):
    file = tmp_path / "datasets.toml"
    file.write_text(f"{content}\nnonsense = 1\n" if content.startswith("[[dataset]]") else content)
    with pytest.raises(BadFile, match=r"datasets\.toml") as caught:
        read_datasets(file)
    assert said in str(caught.value)
    assert ("unknown key nonsense" in str(caught.value)) == content.startswith("[[dataset]]")
