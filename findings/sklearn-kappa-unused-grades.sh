#!/usr/bin/env bash
# scikit-learn 1.9.1, numpy 2.4.6
#
# One would expect: cohen_kappa_score(weights="linear" or "quadratic") of choices from -2 to 2 weighs two answers by
#   how far apart they are: -1 and 2 are three steps.
# Seen: the steps are counted among the grades that occur in these two lists, not on the scale. Where nobody answered
#   0 (or those answers were set aside, as "no difference" usually is), -1 and 1 are neighbours, as -2 and -1 are. On
#   the same 42 answers the linear kappa is 0.515 instead of 0.475, the quadratic 0.580 instead of 0.496; on 30 others
#   the quadratic is 0.684 instead of 0.829. One answer more, 0 by both people, puts the scale right. The docstring
#   names `labels` as a selection only; that it sets the weights isn't said.
# Whom it hurts: studies of graded similarity (RESET has choices -2 to 2), who compare kappas of pairs of people: each
#   pair has its own scale.
# Remedy: always hand over labels=[-2, -1, 0, 1, 2].
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq scikit-learn==1.9.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import sys

import numpy as np
from sklearn.metrics import cohen_kappa_score


def kappa_by_value(first, second, power):
    """Weighted kappa whose weight is the distance of the grades themselves, to the given power."""
    disagreement = np.mean(np.abs(first - second) ** power)
    by_chance = np.mean(np.abs(first[:, None] - second[None, :]) ** power)
    return float(1 - disagreement / by_chance)


pairs = {
    "across the middle": ([-1] * 20 + [1] * 20 + [2] * 2, [-1] * 14 + [1] * 20 + [-1] * 6 + [2] * 2),
    "within one side": ([-2] * 10 + [-1] * 10 + [2] * 10, [-2] * 5 + [-1] * 10 + [-2] * 5 + [2] * 8 + [-1] * 2),
}
expected = {
    ("across the middle", "linear"): (0.5154, 0.4750),
    ("across the middle", "quadratic"): (0.5800, 0.4960),
    ("within one side", "linear"): (0.5385, 0.6883),
    ("within one side", "quadratic"): (0.6842, 0.8286),
}
print("answers            weights     kappa  with labels  by the grades' distance")
for (name, weights), (default, right) in expected.items():
    first, second = map(np.array, pairs[name])
    seen = float(cohen_kappa_score(first, second, weights=weights))
    labelled = float(cohen_kappa_score(first, second, weights=weights, labels=[-2, -1, 0, 1, 2]))
    by_value = kappa_by_value(first, second, {"linear": 1, "quadratic": 2}[weights])
    print(f"{name:18} {weights:10} {seen:6.3f} {labelled:12.3f} {by_value:12.3f}")
    if abs(labelled - by_value) > 1e-9 or abs(by_value - right) > 5e-4:
        sys.exit(f"changed: {name}, {weights}: with labels {labelled}, by distance {by_value}, expected {right}")
    if abs(seen - default) > 5e-4:
        sys.exit(f"changed: {name}, {weights}: without labels {seen}, expected {default}")

first, second = map(np.array, pairs["across the middle"])
with_zero = cohen_kappa_score(np.append(first, 0), np.append(second, 0), weights="quadratic")
print(f"the first pair with one answer more, 0 by both: quadratic {with_zero:.3f}")
if not with_zero < 0.51:
    sys.exit("changed: a single 0 does not restore the scale")
EOF
