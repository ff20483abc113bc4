"""The embedded default dataset: drawings of OpenMoji, named by Unicode."""

from __future__ import annotations

from pathlib import Path

TABLE = Path(__file__).with_name("emoji.csv")  #: hexcode, group, subgroup, keywords


def english_names() -> dict[str, str]:
    """Hexcode -> CLDR short name in English, from the package ``emoji``."""
    import emoji

    from kis_bench.datasets.openmoji.drawings import hexcode

    return {
        hexcode(character): entry["en"].strip(":").replace("_", " ")
        for character, entry in reversed(list(emoji.EMOJI_DATA.items()))
    }
