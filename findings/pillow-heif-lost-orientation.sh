#!/usr/bin/env bash
# pillow-heif 1.8.1 as a plugin of Pillow 13.0.0, numpy 2.4.6
#
# One would expect: save("photo.heic", exif=image.getexif()) keeps a photo upright, as the same line does for JPEG, PNG,
#   WebP and AVIF, and as exif=image.getexif().tobytes() does here; pillow-heif says that it takes both. And a photo
#   that was turned by hand and saved without its EXIF data is upright, as it is in those formats.
# Seen: a HEIC is turned by its container (irot, imir), not by its EXIF data. pillow-heif makes that entry from the
#   orientation in bytes, but from an Exif object it makes none, for each of the seven orientations. The reader then
#   reports orientation 1, so that exif_transpose() has nothing to do, and the photo lies on its side for good. Without
#   exif=, the entry is made from what the photo was opened with: a photo turned by hand is turned a second time. No
#   error, no warning.
# Whom it hurts: who converts or shrinks a photo collection to HEIC, above all who takes a place or a name out of the
#   EXIF data first, which is done in such an object. All upright photos of a phone lie on their side for every model.
# Remedy: image = ImageOps.exif_transpose(image) before saving, which is right either way, or exif=exif.tobytes(); and
#   open one converted photo that was taken upright.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq pillow-heif==1.8.1 Pillow==13.0.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import io
import struct
import sys

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageOps

pillow_heif.register_heif_opener()
ORIENTATION = ExifTags.Base.Orientation
BLUE, RED, WHITE, GREEN = (30, 60, 200), (200, 30, 30), (250, 250, 250), (20, 150, 60)


def photo(orientation):
    """A JPEG of four coloured quarters, as a camera stores it: unturned, with its orientation."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32, :48], pixels[:32, 48:], pixels[32:, :48], pixels[32:, 48:] = BLUE, RED, WHITE, GREEN
    image, file = Image.fromarray(pixels), io.BytesIO()
    exif = image.getexif()
    exif[ORIENTATION] = orientation
    image.save(file, "JPEG", exif=exif, quality=100, subsampling=0)
    return Image.open(file)


def boxes(data, *path):
    """Types of the boxes in a box of an ISO base media file."""
    start, types = 0, []
    while start < len(data):
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        size = size or len(data) - start
        body = data[start + 8 : start + size]
        if path and kind.decode() == path[0]:
            return boxes(body[4:] if kind == b"meta" else body, *path[1:])
        types.append(kind.decode())
        start += size
    return types


def save(image, form, **how):
    file = io.BytesIO()
    image.save(file, form, quality=95, **how)
    return file


def looks_like(file, upright):
    """Whether a careful reader sees the photo upright."""
    seen = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    if seen.size != upright.size:
        return False
    return bool(np.abs(np.asarray(seen, int) - np.asarray(upright, int)).mean() < 4)


WAYS = {
    "exif=image.getexif()": lambda image: (image, {"exif": image.getexif()}),
    "exif=image.getexif().tobytes()": lambda image: (image, {"exif": image.getexif().tobytes()}),
    "turned by exif_transpose(), no exif=": lambda image: (ImageOps.exif_transpose(image), {}),
    "turned by rotate(270), no exif=": lambda image: (image.rotate(270, expand=True), {}),
}
FORMS = ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"]
print(f"a photo of orientation 6, seen upright after   {'  '.join(FORMS)}")
wrong = []
for name, way in WAYS.items():
    right = {}
    for form in FORMS:
        image = photo(6)
        upright = ImageOps.exif_transpose(image).convert("RGB")
        saved, how = way(image)
        right[form] = looks_like(save(saved, form, **how), upright)
        if not right[form]:
            wrong.append((name, form))
    print(f"  {name:43}  {'  '.join(f'{right[form]!s:>{len(form)}}' for form in FORMS)}")

print("HEIC boxes that turn the photo, by orientation:")
kept = {}
for orientation in range(2, 9):
    for name in list(WAYS)[:2]:
        image = photo(orientation)
        upright = ImageOps.exif_transpose(image).convert("RGB")
        file = save(image, "HEIF", exif=WAYS[name](image)[1]["exif"])
        turning = [kind for kind in boxes(file.getvalue(), "meta", "iprp", "ipco") if kind in ("irot", "imir")]
        seen = Image.open(file)
        kept[orientation, name] = looks_like(file, upright)
        print(f"  {orientation}  {name:31} {' '.join(turning) or '-':10} getexif() says {seen.getexif().get(ORIENTATION)}")
        if bool(turning) != kept[orientation, name] or seen.getexif().get(ORIENTATION) != 1:
            sys.exit(f"changed: boxes {turning} of orientation {orientation} and what is seen don't go together")

if wrong != [("exif=image.getexif()", "HEIF"), ("turned by rotate(270), no exif=", "HEIF")]:
    sys.exit(f"changed: not upright were {wrong}")
if any(right != name.endswith("tobytes()") for (_, name), right in kept.items()):
    sys.exit(f"changed: upright were {[key for key, right in kept.items() if right]}")
EOF
