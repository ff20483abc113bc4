"""The sources that a user's function is made of: found without importing anything, and part of its key."""

import subprocess
import sys
from textwrap import dedent

import pytest

from kis_bench import encoders
from kis_bench.encoders.user.own_code import own_modules
from kis_bench.errors import KisBenchError

PROJECT = {
    "ours/__init__.py": "",
    "ours/model.py": """
        import numpy as np
        from kis_bench.encoders import upright
        import json, ours.plain
        from ours import sibling
        from . import cousin
        from .deep import below
        from .deep.below2 import thing
        from colours import table        # a namespace package: no __init__.py
        from stars import *
        import circular

        def load():
            import lazy
            from importlib import import_module
            import_module("by_name")
            import_module(".by_relative_name", "ours")
            return lazy.Model()
    """,
    "ours/plain.py": "",
    "ours/sibling.py": "def never():\n    from ..beyond import nothing",  # leads out of the package
    "ours/cousin.py": "import behind_cousin",
    "ours/by_relative_name.py": "",
    "ours/unused.py": "",
    "ours/deep/__init__.py": "",
    "ours/deep/below.py": "from ..deep import below3",
    "ours/deep/below2.py": "thing = 1",
    "ours/deep/below3.py": "",
    "colours/table.py": "",
    "colours/other.py": "",
    "stars/__init__.py": "",
    "stars/one.py": "",
    "behind_cousin.py": "",
    "circular.py": "import circular2",
    "circular2.py": "import circular",
    "by_name.py": "",
    "never.py": "",
    "lazy.py": """
        import numpy as np

        class Model:
            name, dim, vectors_per_item, context_length = "lazy", 2, 1, None
            def encode_images(self, images):
                return np.tile(np.float32([[[0.6, 0.8]]]), (len(images), 1, 1))
            def encode_texts(self, texts):
                return self.encode_images(texts), np.zeros(len(texts), bool)
    """,
}
EXPECTED = {
    "ours",
    "ours.model",
    "ours.plain",
    "ours.sibling",
    "ours.cousin",
    "ours.by_relative_name",
    "ours.deep",
    "ours.deep.below",
    "ours.deep.below2",
    "ours.deep.below3",
    "colours.table",
    "stars",
    "stars.one",
    "behind_cousin",
    "circular",
    "circular2",
    "by_name",
    "lazy",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(dedent(text))
    installed = tmp_path / "lib" / "site-packages"
    (installed / "bought").mkdir(parents=True)
    (installed / "bought" / "__init__.py").write_text("from bought import part")
    (installed / "bought" / "part.py").write_text("")
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_all_that_a_module_imports_of_its_project_and_nothing_else(project):
    before = set(sys.modules)
    assert set(own_modules("ours.model")) == EXPECTED
    assert set(sys.modules) - before == set()


def test_installed_packages_count_only_for_a_function_of_theirs(project):
    (project / "circular.py").write_text("import bought")
    assert set(own_modules("circular")) == {"circular"}
    assert set(own_modules("bought.part")) == {"bought", "bought.part"}


def key_of(project, source="ours.model:load"):
    """In a process of its own, as a later run would find it."""
    code = f"from kis_bench import encoders; print(encoders.load({source!r}).key)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "changed", ["ours/model.py", "lazy.py", "ours/deep/below3.py", "colours/table.py"]
)
def test_a_key_changes_with_a_source_and_comes_back_with_it(project, changed):
    before = key_of(project)
    assert before.startswith("python-ours.model-load-")
    text = (project / changed).read_text()
    (project / changed).write_text(text + "\nmore = 1\n")
    assert key_of(project) != before
    (project / changed).write_text(text)
    (project / "never.py").write_text("other = 1")
    (project / "ours" / "unused.py").write_text("other = 1")
    assert key_of(project) == before


def test_a_key_changes_with_files_and_with_the_objects_own_key(project):
    def write(*lines):
        body = "\n".join(f"    {line}" for line in lines)
        (project / "lazy2.py").write_text(
            f"from lazy import Model as Base\nclass Model(Base):\n    pass\n{body}\n"
            "def load():\n    return Model()\n"
        )

    weights = project / "weights"
    weights.mkdir()
    (weights / "a.bin").write_bytes(b"1")
    write("files = ['weights']")
    first = key_of(project, "lazy2:load")
    (weights / "a.bin").write_bytes(b"2")
    second = key_of(project, "lazy2:load")
    (weights / "b.bin").write_bytes(b"2")
    third = key_of(project, "lazy2:load")
    write("files = ['weights']", "key = 'mine-1'")
    fourth = key_of(project, "lazy2:load")
    assert len({first, second, third, fourth}) == 4
    assert fourth.endswith("-mine-1")
    write("files = ['absent.bin']")
    with pytest.raises(
        AssertionError, match="there is no file absent.bin, which its object lists in files"
    ):
        key_of(project, "lazy2:load")


def test_files_are_looked_for_beside_the_module_too(project, tmp_path_factory, monkeypatch):
    (project / "beside.py").write_text(
        "from lazy import Model\ndef load():\n    made = Model()\n    made.files = 'beside.bin'\n    return made\n"
    )
    (project / "beside.bin").write_bytes(b"1")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert encoders.load("beside:load").key.startswith("python-beside-load-")
    (project / "beside.bin").unlink()
    with pytest.raises(KisBenchError, match="beside.bin"):
        encoders.load("beside:load")
