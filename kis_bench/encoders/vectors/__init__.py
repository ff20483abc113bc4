"""Back end ``vectors:FOLDER``: vectors that lie on disk already, of pictures by item id and of texts by query id.

No picture is opened and no text encoded. A folder holds `images` and, for known-item search, `texts`, each as one
.npy, .parquet, .safetensors or .faiss file, or what clip-retrieval writes (``img_emb/``, ``text_emb/``,
``metadata/``). In ``vectors-of-more:FOLDER`` there may be vectors of pictures that the dataset doesn't have.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from dataclasses import replace
from pathlib import Path

from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.encoders.vectors.files import list_sides
from kis_bench.errors import BadFile, KisBenchError, in_one_line
from kis_bench.files.cache import digest_file
from kis_bench.records import Checkpoint, Readiness, digest

#: Suffix of a file -> what reads it, and what installs that.
PACKAGES_BY_SUFFIX = {
    ".faiss": ("faiss", "python -m pip install faiss-cpu"),
    ".index": ("faiss", "python -m pip install faiss-cpu"),
    ".safetensors": ("safetensors", "python -m pip install safetensors"),
}
OF_MORE = (
    "vectors-of-more"  #: the kind of source whose folders may hold more pictures than a dataset
)
SAVES_OF_M3RT = ("saves", "image_features")


def find_vector_folder(checkpoint: Checkpoint) -> Path:
    folder = checkpoint.origin.folder
    if folder is None:
        raise KisBenchError(f"model {checkpoint.name}: write {checkpoint.origin.kind}:FOLDER")
    return folder


def readiness(checkpoint: Checkpoint) -> Readiness:
    folder = find_vector_folder(checkpoint)
    if not folder.is_dir():
        return Readiness(False, "no such folder", f"looked in {folder}")
    try:
        sides = dict(list_sides(folder))
    except BadFile as error:
        return Readiness(False, "no vectors that can be read", in_one_line(error))
    if "images" not in sides:
        remedy = (
            f"looked in {folder} for images.npy, .parquet, .safetensors or .faiss, and img_emb/"
        )
        if any((folder / name).is_dir() for name in SAVES_OF_M3RT) or [*folder.glob("*.pkl")]:
            remedy = (
                "features that M3RT saved: kis-bench import m3rt FOLDER, then --kis-model m3rt:NAME"
            )
        return Readiness(False, "no vectors of pictures", remedy)
    for files in sides.values():
        needed = PACKAGES_BY_SUFFIX.get(files.vectors[0].suffix)
        if needed and importlib.util.find_spec(needed[0]) is None:
            return Readiness(False, f"needs {needed[0]}", needed[1])
    return Readiness(True, "ready")


def note_text_side(checkpoint: Checkpoint, start: Path) -> Checkpoint:
    """The row, which says that there are no texts where there are none."""
    folder = checkpoint.origin.folder
    if folder is None or not folder.is_dir():
        return checkpoint
    with contextlib.suppress(BadFile):  # `readiness` tells it, where this model is asked for
        sides = dict(list_sides(folder))
        lacking = "images" in sides and "texts" not in sides
        return replace(checkpoint, image_only=checkpoint.image_only or lacking)
    return checkpoint


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    """A digest of each file that is read."""
    folder = find_vector_folder(checkpoint)
    files = [file for _, side in list_sides(folder) for file in side.all]
    return {
        file.relative_to(folder).as_posix().replace("/", ":"): digest_file(file) for file in files
    }


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    contents: dict[str, str] = {}
    if find_vector_folder(checkpoint).is_dir():
        with contextlib.suppress(BadFile):
            contents = weights(checkpoint)
    return f"vectors-{digest(contents.items())[:16]}" if contents else None


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    made_under = key(checkpoint, precision)
    assert made_under is not None  # it is ready
    surplus = checkpoint.origin.kind == OF_MORE
    return open_folder(checkpoint.name, made_under, find_vector_folder(checkpoint), surplus)


@functools.lru_cache(maxsize=1)  # a session asks before its first test, and then measures
def open_folder(name: str, made_under: str, folder: Path, surplus: bool) -> Encoder:
    from kis_bench.encoders.vectors.saved import SavedVectors
    from kis_bench.encoders.vectors.tables import read_vector_table

    sides = dict(list_sides(folder))
    texts = read_vector_table(sides["texts"]) if "texts" in sides else None
    return SavedVectors(
        name, made_under, read_vector_table(sides["images"]), texts, surplus=surplus
    )


BACK_END = BackEnd(
    kinds=("vectors", OF_MORE),
    forms=("vectors:FOLDER", f"{OF_MORE}:FOLDER"),
    packages=("safetensors", "faiss-cpu"),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    fill_in=note_text_side,
    saved=True,
    cpu_only=True,
    fp32_only=True,
)
