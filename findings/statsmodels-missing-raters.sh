#!/usr/bin/env bash
# statsmodels 0.15.0, numpy 2.4.6
#
# One would expect: aggregate_raters() turns a table of items by people into counts per category for fleiss_kappa(),
#   and NaN, a person who did not judge this item, is left out or refused.
# Seen: NaN becomes a category of its own, so not having been asked is an answer, and one on which people agree or
#   disagree. 60 triplets that three of nine people judged each, unanimously: kappa 0.03 instead of 1. 30 triplets
#   that three people judged at random and 30 that none did: 0.43 instead of -0.14. The list of categories, the second
#   value returned, ends in nan; with the usual `counts, _ = aggregate_raters(table)` nothing shows it. The
#   documentation doesn't name missing values.
# Whom it hurts: studies in which everyone judges a part, as in RESET and in crowdsourcing, with the plain table of
#   items by people.
# Remedy: count the answers per category oneself; where all items have the same number of answers fleiss_kappa takes
#   these counts. Otherwise Krippendorff's alpha, which is made for missing answers (package krippendorff takes NaN as
#   such).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq statsmodels==0.15.0 numpy==2.4.6
cd "$work"
venv/bin/python - <<'EOF'
import sys

import numpy as np
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

CHOICES = (-1, 0, 1)
random = np.random.default_rng(0)


def by_hand(table):
    """Fleiss' kappa of the answers alone (each item that was judged at all has three)."""
    counts = np.stack([(table == choice).sum(axis=1) for choice in CHOICES], axis=1).astype(float)
    counts = counts[counts.sum(axis=1) > 0]
    answers = counts.sum(axis=1)
    agreeing = ((counts**2).sum(axis=1) - answers) / (answers * (answers - 1))
    by_chance = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    return float((agreeing.mean() - by_chance) / (1 - by_chance))


unanimous = np.full((60, 9), np.nan)
for triplet in unanimous:
    triplet[random.choice(9, size=3, replace=False)] = random.choice(CHOICES)
skipped = np.full((60, 3), np.nan)
skipped[:30] = random.choice(CHOICES, size=(30, 3))

right = {"unanimous, three of nine people each": (unanimous, 1.0), "at random, half never judged": (skipped, None)}
seen = {}
for name, (table, truth) in right.items():
    counts, categories = aggregate_raters(table)
    seen[name] = float(fleiss_kappa(counts)), by_hand(table)
    print(f"{name:38} kappa {seen[name][0]:6.3f}   of the answers alone {seen[name][1]:6.3f}   categories {categories}")
    if len(categories) != 4 or not np.isnan(categories[-1]):
        sys.exit("changed: NaN is no category any more")
    if truth is not None and abs(seen[name][1] - truth) > 1e-9:
        sys.exit("changed: unanimous answers no longer have kappa 1 by hand")
low, high = seen["unanimous, three of nine people each"], seen["at random, half never judged"]
if not low[0] < 0.1:
    sys.exit(f"changed: unanimous answers have kappa {low[0]}")
if not high[0] > high[1] + 0.3:
    sys.exit(f"changed: triplets that nobody judged no longer raise kappa: {high}")
EOF
