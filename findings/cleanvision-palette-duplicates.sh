#!/usr/bin/env bash
# cleanvision 0.3.7, Pillow 13.0.0, numpy 2.4.6
#
# One would expect: pictures that cleanvision calls exact duplicates look the same, pixel for pixel; colour above all.
# Seen: what it compares are the bytes that Pillow holds of each file, without mode, palette or size. In a picture
#   with a palette (most small PNGs, every GIF) those bytes are the numbers of the colours, not the colours: a red, a
#   blue and a green heart drawn once and saved with three palettes are "exact duplicates", and so are two-colour
#   drawings that were reduced by Pillow one by one. The same hearts saved as RGB are not. A plain wall of 40 x 30
#   equals one of 30 x 40. Its README calls them images that are identical to each other.
# Whom it hurts: who cleans a gallery of drawings, icons, maps or charts by this list. The targets of "a blue heart"
#   and "a green heart" are deleted, or counted as the same picture as the red one.
# Remedy: convert pictures to one mode (RGB or RGBA) before the check, or compare a digest of mode, size and converted
#   pixels oneself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq cleanvision==0.3.7 Pillow==13.0.0 numpy==2.4.6
cd "$work"
TQDM_DISABLE=1 venv/bin/python - <<'EOF'
import itertools
import sys
from pathlib import Path

import numpy as np
from cleanvision import Imagelab
from PIL import Image, ImageDraw

COLOURS = {"red": (200, 30, 30), "blue": (30, 60, 200), "green": (20, 150, 60)}


def heart(mode, background, ink):
    picture = Image.new(mode, (96, 96), background)
    pen = ImageDraw.Draw(picture)
    pen.ellipse((14, 14, 50, 50), fill=ink)
    pen.ellipse((46, 14, 82, 50), fill=ink)
    pen.polygon([(16, 40), (80, 40), (48, 84)], fill=ink)
    return picture


folder = Path("pictures")
folder.mkdir()
for name, colour in COLOURS.items():
    drawn = heart("P", 0, 1)
    drawn.putpalette([255, 255, 255, *colour])
    drawn.save(folder / f"heart-{name}.png")
    heart("RGB", "white", colour).save(folder / f"heart-rgb-{name}.png")
    arrow = Image.new("RGB", (80, 60), "white")
    ImageDraw.Draw(arrow).polygon([(10, 10), (70, 30), (10, 50)], fill=colour)
    arrow.quantize(2).save(folder / f"arrow-{name}.png")
Image.new("RGB", (40, 30), (10, 200, 30)).save(folder / "wall-wide.png")
Image.new("RGB", (30, 40), (10, 200, 30)).save(folder / "wall-tall.png")

expected = [
    ["arrow-blue", "arrow-green", "arrow-red"],
    ["heart-blue", "heart-green", "heart-red"],
    ["wall-tall", "wall-wide"],
]
seen = {path.stem: np.asarray(Image.open(path).convert("RGB")) for path in folder.iterdir()}
for group in expected:
    if any(np.array_equal(seen[one], seen[other]) for one, other in itertools.combinations(group, 2)):
        sys.exit(f"changed: the pictures {group} look the same")

lab = Imagelab(data_path=str(folder), verbose=False)
lab.find_issues({"exact_duplicates": {}}, verbose=False)
groups = sorted(sorted(Path(file).stem for file in group) for group in lab.info["exact_duplicates"]["sets"])
print("exact duplicates, says cleanvision:")
for group in groups:
    print("  ", ", ".join(group))
if groups != expected:
    sys.exit(f"changed: expected {expected}")
EOF
