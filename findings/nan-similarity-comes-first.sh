#!/usr/bin/env bash
# duckdb 2.0.1, polars 2.1.0, numpy 2.4.6
#
# One would expect: a picture whose vector is all zeros (a black frame's features, a placeholder for a file that
#   failed) has similarity 0 or none to every text, and comes last or nowhere, in whichever way one asks.
# Seen: its cosine is NaN, and whether NaN is first or last depends on the function. duckdb: ORDER BY
#   array_cosine_similarity DESC and rank() put it first for every query, ORDER BY array_cosine_distance puts it last.
#   polars: sort(descending), top_k and rank put it first, arg_max doesn't see it. numpy: argmax names it,
#   argsort(-scores) puts it last. One such picture among 300 turns recall@1 from 1.0 to 0.0 in five of the eight
#   ways. duckdb and polars document that NaN counts as the largest number; what follows, that similarity and distance
#   disagree, one has to find out.
# Whom it hurts: who ranks in a database or a data frame, or takes argmax where another script sorts: one broken file
#   costs each query a place, and recall@1 is gone.
# Remedy: refuse or drop vectors of length 0 and NaN before storing; test `count(*) WHERE isnan(...)`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq duckdb==2.0.1 polars==2.1.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import sys

import duckdb
import numpy as np
import polars

random = np.random.default_rng(0)
images = random.normal(size=(300, 8)).astype(np.float32)
images[-1] = 0  # the picture that failed
queries = images[:20] + 0.01 * random.normal(size=(20, 8)).astype(np.float32)
with np.errstate(invalid="ignore"):
    cosines = (queries @ images.T) / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(images, axis=1)

database = duckdb.connect()
database.execute("CREATE TABLE images (item INTEGER, vector FLOAT[8])")
database.executemany("INSERT INTO images VALUES (?, ?)", [(item, row.tolist()) for item, row in enumerate(images)])


def ask(ending):
    """The first item of each query, by a statement that ends so; ? is the query's vector."""
    statement = f"SELECT item FROM images {ending} LIMIT 1"
    return [database.execute(statement, [row.tolist()]).fetchone()[0] for row in queries]


def frames(first):
    return [int(first(polars.DataFrame({"item": range(300), "cosine": row}))) for row in cosines]


firsts = {
    "duckdb  ORDER BY similarity DESC": ask("ORDER BY array_cosine_similarity(vector, ?::FLOAT[8]) DESC"),
    "duckdb  rank() by similarity": ask(
        "QUALIFY rank() OVER (ORDER BY array_cosine_similarity(vector, ?::FLOAT[8]) DESC) = 1"
    ),
    "duckdb  ORDER BY distance": ask("ORDER BY array_cosine_distance(vector, ?::FLOAT[8])"),
    "polars  sort(descending=True)": frames(lambda frame: frame.sort("cosine", descending=True)["item"][0]),
    "polars  top_k(1)": frames(lambda frame: frame.top_k(1, by="cosine")["item"][0]),
    "polars  arg_max()": frames(lambda frame: frame["cosine"].arg_max()),
    "numpy   argmax()": cosines.argmax(axis=1).tolist(),
    "numpy   argsort(-cosines)[0]": np.argsort(-cosines, axis=1)[:, 0].tolist(),
}
expected = dict(zip(firsts, (0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0), strict=True))
print("recall@1 of 20 queries among 300 pictures, one of which has a zero vector:")
recall = {}
for name, first in firsts.items():
    recall[name] = float(np.mean(np.array(first) == np.arange(20)))
    print(f"  {name:34} {recall[name]:.2f}   first for query 0: picture {first[0]}")
for name, value in recall.items():
    if value != expected[name]:
        sys.exit(f"changed: {name} has recall@1 {value}, expected {expected[name]}")
    if value == 0 and set(firsts[name]) != {299}:
        sys.exit(f"changed: {name} names others than the zero vector: {firsts[name]}")
EOF
