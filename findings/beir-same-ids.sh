#!/usr/bin/env bash
# beir 2.2.0 (with pytrec_eval-terrier 0.5.11)
#
# One would expect: EvaluateRetrieval.evaluate() of rankings in which every target is first gives recall@1 = 1,
#   whatever the ids are called, and leaves the rankings alone.
# Seen: a document whose id equals the query's is taken out before counting, by default, and out of the caller's own
#   dictionary. Where captions bear the id of their picture, as they do when each picture has one, recall@1 and
#   recall@10 of perfect rankings are 0. evaluate_custom(..., "mrr") gives 1 before that call and 0 after it, on the
#   same variable. Further, queries that found nothing and are absent from the rankings aren't counted by evaluate()
#   and are by evaluate_custom(): half of the queries answered gives recall@1 1.0 and MRR@1 0.5 in one report. The
#   default is named in the log at level INFO and made for duplicate questions, where a query is a document; the
#   change of the caller's data is not.
# Whom it hurts: who measures text-to-image retrieval with one caption a picture and the same id on both sides, or
#   saves the rankings afterwards: the known items are gone from them.
# Remedy: ignore_identical_ids=False, a prefix for query ids, and an empty dictionary for each query without results.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq pytrec_eval-terrier==0.5.11 numpy==2.4.6 tqdm
# without its dependencies: the evaluation needs none of the models that beir installs
"$work/venv/bin/python" -m pip install -qq --no-deps beir==2.2.0
cd "$work"
venv/bin/python - <<'EOF'
import copy
import sys

from beir.retrieval.evaluation import EvaluateRetrieval

pictures = ["000000000139", "000000000285", "000000000632", "000000000724"]
truth = {picture: {picture: 1} for picture in pictures}
perfect = {query: {item: 1.0 if item == query else 0.1 for item in pictures} for query in pictures}


def recall(truth, rankings, **options):
    return EvaluateRetrieval.evaluate(truth, rankings, [1, 10], **options)[2]


def mrr(truth, rankings):
    return EvaluateRetrieval.evaluate_custom(truth, rankings, [1], metric="mrr")["MRR@1"]


def check(name, seen, expected):
    print(f"{name:62} {seen}")
    if seen != expected:
        sys.exit(f"changed: {name}: expected {expected}")


rankings = copy.deepcopy(perfect)
check("MRR@1 before evaluate()", mrr(truth, rankings), 1.0)
check("evaluate() of perfect rankings", recall(truth, rankings), {"Recall@1": 0.0, "Recall@10": 0.0})
check("MRR@1 after evaluate(), same variable", mrr(truth, rankings), 0.0)
check("items left for the first query", len(rankings[pictures[0]]), 3)
kept = copy.deepcopy(perfect)
check(
    "with ignore_identical_ids=False",
    recall(truth, kept, ignore_identical_ids=False),
    {"Recall@1": 1.0, "Recall@10": 1.0},
)
named = {f"q{query}": target for query, target in truth.items()}
prefixed = {f"q{query}": dict(found) for query, found in perfect.items()}
check("with a prefix before query ids", recall(named, prefixed), {"Recall@1": 1.0, "Recall@10": 1.0})
half = {query: prefixed[query] for query in list(prefixed)[:2]}
check(
    "two of four queries absent from the rankings: evaluate()", recall(named, half), {"Recall@1": 1.0, "Recall@10": 1.0}
)
check("two of four queries absent: evaluate_custom(), MRR@1", mrr(named, half), 0.5)
EOF
