#!/usr/bin/env bash
# safetensors 0.8.0 (safetensors.numpy), numpy 2.4.6
#
# One would expect: save_file() of an array and load_file() give that array back, or an error, as the same library's
#   torch half does for tensors that don't lie in one piece. safetensors 0.7.0 gave every array back.
# Seen: an array that is not C-contiguous (columns cut off, a transposed or a Fortran array, every second row) comes
#   back with the right shape and dtype and with other numbers: the memory behind its first element, read straight on.
#   No error, no warning. Reported to the project as issue 825, open at the time of writing.
# Whom it hurts: who keeps embeddings in this format. vectors[:, :64], the usual way to shorten Matryoshka vectors, is
#   such an array, and so is what scikit-learn's PCA gives. The file looks sound and known-item search in it is at
#   chance.
# Remedy: numpy.ascontiguousarray() before saving, and one comparison with what was saved; or numpy's own .npy.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq safetensors==0.8.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import sys

import numpy as np
from safetensors.numpy import load_file, save_file


def recall_at_1(texts, images):
    """Share of texts whose own image, the one in the same row, scores highest."""
    return float(np.mean((texts @ images.T).argmax(axis=1) == np.arange(len(images))))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


random = np.random.default_rng(0)
images = unit(random.normal(size=(1_000, 256)).astype(np.float32))
texts = unit(images + 0.02 * random.normal(size=images.shape).astype(np.float32))

forms = {
    "as it was made": images,
    "first 64 columns": images[:, :64],
    "every second row": images[::2],
    "Fortran order": np.asfortranarray(images),
    "first 64 columns, made contiguous": np.ascontiguousarray(images[:, :64]),
}
same = {}
for name, array in forms.items():
    save_file({"vectors": array}, "vectors.safetensors")
    back = load_file("vectors.safetensors")["vectors"]
    if back.shape != array.shape or back.dtype != array.dtype:
        sys.exit(f"changed: {name} came back as {back.dtype} {back.shape}")
    same[name] = bool(np.array_equal(back, array))
    print(f"{name:34} shape {back.shape!s:12} the same numbers: {same[name]}")

short = np.ascontiguousarray(images[:, :64])
save_file({"vectors": images[:, :64]}, "vectors.safetensors")
stored = load_file("vectors.safetensors")["vectors"]
before, after = recall_at_1(texts[:, :64], short), recall_at_1(texts[:, :64], stored)
print(f"recall@1 with the first 64 columns: {before:.3f}; with the same after a trip through the file: {after:.3f}")

wrong = [name for name, right in same.items() if not right]
if wrong != ["first 64 columns", "every second row", "Fortran order"]:
    sys.exit(f"changed: wrong after loading were {wrong}")
if not (before > 0.95 and after < 0.02):
    sys.exit("changed: recall@1 is not lost on the way through the file")
EOF
