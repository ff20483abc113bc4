#!/usr/bin/env bash
# ir_measures 0.4.3 (with pytrec_eval-terrier 0.5.11)
#
# One would expect: a run that names an item twice for one query, as it happens when several vectors or key frames
#   share an item, is refused (trec_eval does, and trectools), or counts the item's best line.
# Seen: it is taken without a word, and the line that comes *last* in the file counts, which in a file sorted by rank
#   is the item's worst. The same lines in the opposite order give the right figures. Of videos with six key frames,
#   ranked by frame and written under the video's id, recall@1 is 0.03 instead of 0.77 and MRR 0.12 instead of 0.87:
#   the more frames of an item are among the first, the worse it is placed. ranx 0.3.21 was seen to give the same
#   wrong figures on the same file (left out here, for it brings a compiler).
# Whom it hurts: who writes frames, crops or several vectors of an item under one id: the published figure is that of
#   the worst frame.
# Remedy: keep the best line of each query and item before writing the run, and assert that no pair occurs twice.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq ir_measures==0.4.3 pytrec_eval-terrier==0.5.11 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'EOF'
import sys
from pathlib import Path

import ir_measures
import numpy as np
from ir_measures import RR, Success

VIDEOS, FRAMES, DEPTH = 100, 6, 100
random = np.random.default_rng(0)
owner = np.repeat(np.arange(VIDEOS), FRAMES)
lines, best = [], []
for query in range(VIDEOS):
    # all frames of the video fit, more or less
    scores = random.normal(size=owner.size) + np.where(owner == query, 2.5, 0)
    found = np.argsort(-scores)[:DEPTH]
    lines += [f"q{query} Q0 v{owner[frame]} {place} {scores[frame]:.6f} run" for place, frame in enumerate(found, 1)]
    order = list(dict.fromkeys(owner[found].tolist()))  # videos by their best frame
    best.append(1 + order.index(query) if query in order else np.inf)
Path("by-rank.run").write_text("\n".join(lines) + "\n")
Path("reversed.run").write_text("\n".join(lines[::-1]) + "\n")
Path("truth.qrels").write_text("".join(f"q{query} 0 v{query} 1\n" for query in range(VIDEOS)))

right = float(np.mean(np.array(best) == 1)), float(np.mean(1 / np.array(best)))
print(f"best frame counts, by hand:       recall@1 {right[0]:.3f}  MRR {right[1]:.3f}")
truth = list(ir_measures.read_trec_qrels("truth.qrels"))
for name in ("by-rank", "reversed"):
    figures = ir_measures.calc_aggregate([Success @ 1, RR], truth, ir_measures.read_trec_run(f"{name}.run"))
    seen = float(figures[Success @ 1]), float(figures[RR])
    print(f"ir_measures, lines {name:14} recall@1 {seen[0]:.3f}  MRR {seen[1]:.3f}")
    if name == "reversed" and not np.allclose(seen, right):
        sys.exit("changed: the best line's figures no longer come out when that line is the last one")
    if name == "by-rank" and not (seen[0] < right[0] - 0.5 and seen[1] < right[1] - 0.5):
        sys.exit("changed: the last line of an item no longer counts")
EOF
