#!/usr/bin/env bash
# pynndescent 0.7.0 (numba 0.68.1, numpy 2.4.6)
#
# One would expect: of pictures whose cosine to a text is negative, those with the larger cosine are nearer. In a
#   joint space texts and pictures lie in two cones, and nothing keeps the cosines between them above 0.
# Seen: metric "cosine" (and "dot", seen likewise, not run here) gives every picture with a cosine of 0 or less the
#   same distance 1, and their order within a list is arbitrary; no warning. Where the right picture has 0.11 and most others are negative, it still is
#   first, but nine of ten places behind it are filled at random. Where its own cosine is slightly negative it is first
#   for 5% of the texts instead of 100%. The same index under "euclidean", which orders unit vectors as their cosine
#   does, finds all of them, and the lists agree with the exact ones.
# Whom it hurts: who searches texts among pictures with this library, or with what builds on it: lists of the best k,
#   and fusion of such lists, are noise from the first negative cosine on, though a test with pictures as queries is
#   perfect.
# Remedy: metric="euclidean" on unit vectors; or count how many returned distances are exactly 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq pynndescent==0.7.0 numba==0.68.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import sys

import numpy as np
from pynndescent import NNDescent

random = np.random.default_rng(0)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


scenes = unit(random.normal(size=(1000, 64)))
axis = unit(random.normal(size=(1, 64)))
images = unit(scenes + axis)  # one cone; texts lie in another, on the other side of the axis
targets = np.arange(200)

print("metric     cosine of target  negative in exact top 10  recall@1  shared with exact top 10  distance is 1")
for metric in ("cosine", "euclidean"):
    index = NNDescent(images, metric=metric, n_neighbors=30, random_state=0)
    for gap in (0.0, 0.8, 1.2):
        texts = unit(scenes[:200] - gap * axis)
        cosines = texts @ images.T
        exact = np.argsort(-cosines, axis=1)[:, :10]
        found, distance = index.query(texts, k=10)
        negative = float((np.take_along_axis(cosines, exact, axis=1) <= 0).mean())
        recall = float((found[:, 0] == targets).mean())
        shared = float(np.mean([len({*a} & {*b}) / 10 for a, b in zip(found.tolist(), exact.tolist())]))
        ones = float((distance == 1).mean())
        own = float(cosines[targets, targets].mean())
        print(f"{metric:10} {own:16.2f} {negative:25.2f} {recall:9.2f} {shared:25.2f} {ones:14.2f}", flush=True)
        if (exact[:, 0] != targets).any():
            sys.exit("changed: the exact search doesn't find every target")
        usual = metric == "euclidean" or gap == 0
        if usual and (recall < 0.99 or shared < 0.85):
            sys.exit(f"changed: {metric} at gap {gap} has recall@1 {recall}, shares {shared}")
        if not usual and (shared > 0.3 or abs(ones - negative) > 0.02 or (gap > 1 and recall > 0.2)):
            sys.exit(f"changed: {metric} at gap {gap} has recall@1 {recall}, shares {shared}, distance 1 {ones}")
EOF
