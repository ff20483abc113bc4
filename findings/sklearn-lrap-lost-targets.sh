#!/usr/bin/env bash
# scikit-learn 1.9.1, numpy 2.4.6
#
# One would expect: with one relevant item a query, label_ranking_average_precision_score is the mean reciprocal rank
#   and coverage_error the mean rank (both true). A query whose picture is not in the gallery, for it could not be
#   decoded or was left out, counts 0 in the one and as worse than last in the other, or is an error.
# Seen: its row of zeros counts 1.0 in label_ranking_average_precision_score, as if found in first place, and 0 in
#   coverage_error, better than first. Losing half of the pictures lifts "MRR" from 0.11 to 0.58 and lowers the "mean
#   rank" from 82 to 20. ndcg_score counts the same rows 0: measures of one module, two directions. The docstring of
#   the first says nothing of such rows.
# Whom it hurts: who scores retrieval with scikit-learn while pictures are missing: the more of them, the better.
# Remedy: drop rows without a relevant item before the call and report how many there were, or count them as 0
#   oneself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq scikit-learn==1.9.1 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import sys

import numpy as np
from sklearn.metrics import coverage_error, label_ranking_average_precision_score, ndcg_score

random = np.random.default_rng(0)
queries = 400
scores = random.normal(size=(queries, queries))
scores[np.arange(queries), np.arange(queries)] += 1.2  # each query's own picture is a little better than the rest
target = np.eye(queries, dtype=int)


def measures(kept):
    """The three figures of all queries over the pictures that are kept; row i belongs to picture i."""
    relevant, found = target[:, kept], scores[:, kept]
    return (
        float(label_ranking_average_precision_score(relevant, found)),
        float(coverage_error(relevant, found)),
        float(ndcg_score(relevant, found)),
    )


def mean_reciprocal_rank(kept, lost):
    """By hand: queries whose picture is gone count `lost`."""
    of_query = dict(enumerate(1 / (1 + (scores[:, kept] > scores.diagonal()[:, None]).sum(axis=1))))
    return float(np.mean([of_query[query] if query in kept else lost for query in range(queries)]))


everything, half = np.arange(queries), np.arange(0, queries, 2)
print("pictures   LRAP  coverage_error  ndcg   MRR by hand (lost = 0)")
rows = {}
for name, kept in (("all", everything), ("half", half)):
    rows[name] = measures(kept)
    lrap, coverage, ndcg = rows[name]
    print(f"{name:8} {lrap:6.3f} {coverage:15.1f} {ndcg:5.3f} {mean_reciprocal_rank(kept, 0):12.3f}")

if abs(rows["all"][0] - mean_reciprocal_rank(everything, 0)) > 1e-9:
    sys.exit("changed: LRAP of one relevant item is not the reciprocal rank")
if abs(rows["half"][0] - mean_reciprocal_rank(half, 1)) > 1e-9:
    sys.exit("changed: a query without a relevant item no longer counts 1.0 in LRAP")
alone = target[:1, 1:], scores[:1, 1:]  # the first query over a gallery without its picture
seen = label_ranking_average_precision_score(*alone), coverage_error(*alone), ndcg_score(*alone)
print("one query whose picture is missing: LRAP, coverage_error, ndcg =", tuple(map(float, seen)))
if seen != (1.0, 0.0, 0.0):
    sys.exit(f"changed: expected (1.0, 0.0, 0.0), saw {seen}")
if not (rows["half"][0] > 5 * rows["all"][0] and rows["half"][1] < 0.6 * rows["all"][1]):
    sys.exit("changed: losing pictures no longer makes the figures better")
EOF
