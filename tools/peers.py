"""Sees what other tools make of exported rankings, and prints the table of docs/report.md: ``python tools/peers.py``.

The tools have to be installed, best in an environment of their own:

    python -m pip install ranx==0.3.21 ir_measures==0.4.3 pytrec_eval-terrier==0.5.11 trectools==0.0.50 \
        torchmetrics==1.9.0 sentence-transformers==6.2.0

Those that aren't are left out. With ``--check`` nothing is printed but rows that differ from the documented ones, and
the exit code is 1 if there are any. kis-bench is not needed for it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "report.md"
HEAD = ("tool", "version", "equal scores", "precision", "scores of 0 or less", "ids")
#: Reciprocal rank of the target, from the score of each document, through files where a tool reads them.
Measure = Callable[[Mapping[str, float], str], float]


def write_files(scores: Mapping[str, float], target: str) -> tuple[str, str]:
    """A run and the qrels of one query as TREC files."""
    folder = Path(tempfile.mkdtemp(dir=SCRATCH.name))
    lines = [f"q1 Q0 {doc} {i} {score!r} m\n" for i, (doc, score) in enumerate(scores.items(), 1)]
    (folder / "run.trec").write_text("".join(lines))
    (folder / "qrels.trec").write_text(f"q1 0 {target} 1\n")
    return str(folder / "run.trec"), str(folder / "qrels.trec")


def measure_ranx(scores: Mapping[str, float], target: str) -> float:
    import ranx

    run, qrels = write_files(scores, target)
    judged, ranked = (
        ranx.Qrels.from_file(qrels, kind="trec"),
        ranx.Run.from_file(run, kind="trec"),
    )
    return float(ranx.evaluate(judged, ranked, "mrr"))


def measure_ir_measures(name: str) -> Measure:
    def measure(scores: Mapping[str, float], target: str) -> float:
        import ir_measures

        run, qrels = write_files(scores, target)
        one = ir_measures.parse_measure(name)
        judged, ranked = ir_measures.read_trec_qrels(qrels), ir_measures.read_trec_run(run)
        return float(ir_measures.calc_aggregate([one], judged, ranked)[one])

    return measure


def measure_pytrec_eval(scores: Mapping[str, float], target: str) -> float:
    import pytrec_eval

    run, qrels = write_files(scores, target)
    with open(run) as ranked, open(qrels) as judged:
        evaluator = pytrec_eval.RelevanceEvaluator(pytrec_eval.parse_qrel(judged), {"recip_rank"})
        return float(evaluator.evaluate(pytrec_eval.parse_run(ranked))["q1"]["recip_rank"])


def measure_trectools(scores: Mapping[str, float], target: str) -> float:
    from trectools import TrecEval, TrecQrel, TrecRun

    run, qrels = write_files(scores, target)
    return float(TrecEval(TrecRun(run), TrecQrel(qrels)).get_reciprocal_rank())


def measure_torchmetrics(scores: Mapping[str, float], target: str) -> float:
    import torch
    from torchmetrics.retrieval import RetrievalMRR

    values = torch.tensor([*scores.values()], dtype=torch.float64)
    relevant = torch.tensor([doc == target for doc in scores])
    return float(RetrievalMRR()(values, relevant, torch.zeros(len(scores), dtype=torch.long)))


def measure_sentence_transformers(scores: Mapping[str, float], target: str) -> float:
    from sentence_transformers.sentence_transformer.evaluation import (
        InformationRetrievalEvaluator,
    )

    depth = len(scores)
    evaluator = InformationRetrievalEvaluator(
        {"q1": ""}, dict.fromkeys(scores, ""), {"q1": {target}}, mrr_at_k=[depth]
    )
    hits = [{"corpus_id": doc, "score": score} for doc, score in scores.items()]
    return float(evaluator.compute_metrics([hits])["mrr@k"][depth])


#: What stands in the table -> the package, how to measure, and whether documents have ids there.
TOOLS: dict[str, tuple[str, Measure, bool]] = {
    "ranx": ("ranx", measure_ranx, True),
    "ir_measures, `RR`": ("ir_measures", measure_ir_measures("RR"), True),
    "ir_measures, `RR@k`": ("ir_measures", measure_ir_measures("RR@1000"), True),
    "pytrec_eval": ("pytrec_eval-terrier", measure_pytrec_eval, True),
    "trectools": ("trectools", measure_trectools, True),
    "torchmetrics": ("torchmetrics", measure_torchmetrics, False),
    "sentence-transformers": ("sentence-transformers", measure_sentence_transformers, True),
}
IDS_OF_POSITIONS = "none: a position in the list"


def find_rank(measure: Measure, scores: Mapping[str, float], target: str) -> int:
    """The rank of a target; 0: not found."""
    found = measure(scores, target)
    return round(1 / found) if found else 0


def see_order(measure: Measure, n: int) -> list[str]:
    """Which orders of n documents of one score agree with where each of them is found."""
    docs = [f"d{i:03d}" for i in range(n)]
    random.Random(n).shuffle(docs)
    equal = dict.fromkeys(docs, 0.5)
    probed = docs if n <= 20 else docs[:: n // 10]
    ranks = {doc: find_rank(measure, equal, doc) for doc in probed}
    orders = {
        "larger id first": sorted(docs, reverse=True),
        "smaller id first": sorted(docs),
        "as in the list": docs,
    }
    return [
        name
        for name, order in orders.items()
        if all(order.index(doc) + 1 == rank for doc, rank in ranks.items())
    ]


def see_ties(measure: Measure) -> str:
    most, orders = 100, {n: see_order(measure, n) for n in (3, 5, 10, 15, 16, 100)}
    if orders[most]:
        return orders[most][0]
    kept = [n for n, found in orders.items() if found]
    if max(kept, default=0) < 10:  # three are in order by chance
        return "no rule"
    return f"{orders[kept[-1]][0]} up to {kept[-1]} documents, then no rule"


def see_precision(measure: Measure) -> str:
    """Whether two scores that are equal in single precision only are told apart, whichever stands first."""
    near = (0.5, 0.5 + 1e-9)
    ranks = [
        find_rank(measure, dict(zip(docs, scores, strict=True)), better)
        for docs, scores, better in (
            (("a", "b"), near, "b"),
            (("b", "a"), near, "a"),
            (("a", "b"), near[::-1], "a"),
            (("b", "a"), near[::-1], "b"),
        )
    ]
    return "double" if set(ranks) == {1} else "single"


def see_negative(measure: Measure) -> str:
    ranks = {
        find_rank(measure, {"a": first, "b": first - 1, "c": first - 2}, "a") for first in (0.0, -1)
    }
    return {1: "count like others", 0: "are taken for not found"}.get(
        ranks.pop() if len(ranks) == 1 else -1, "differ"
    )


def see_ids(measure: Measure) -> str:
    """Whether a target with leading zeros is found among ids of digits, and beside another id."""
    digits = find_rank(measure, {"000007": 2.0, "000009": 1.0}, "000007")
    mixed = find_rank(measure, {"000007": 2.0, "x9": 1.0}, "000007")
    if (digits, mixed) == (1, 1):
        return "texts"
    lost = "not found beside other ids" if digits else "not found"
    return f"leading zeros are dropped where all are digits: `000007` is {lost}"


def see_tool(name: str) -> tuple[str, ...] | None:
    """The row of a tool as it behaves here; None if it isn't installed."""
    package, measure, has_ids = TOOLS[name]
    try:
        released = version(package)
    except PackageNotFoundError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ids = see_ids(measure) if has_ids else IDS_OF_POSITIONS
        seen = see_ties(measure), see_precision(measure), see_negative(measure), ids
    return name, released, *seen


def read_documented(text: str) -> dict[str, tuple[str, ...]]:
    """The rows of the table in a page by the tool."""
    lines = text.partition(f"| {' | '.join(HEAD)} |\n")[2].splitlines()[1:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    return {row[0]: row for row in rows}


SCRATCH = tempfile.TemporaryDirectory()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the documented rows")
    check = parser.parse_args().check
    seen = {name: row for name in TOOLS if (row := see_tool(name))}
    if not check:
        for row in (HEAD, ("---",) * len(HEAD), *seen.values()):
            print(f"| {' | '.join(row)} |")
        return 0
    documented = read_documented(PAGE.read_text("utf-8"))
    wrong = [name for name, row in seen.items() if documented.get(name) != row]
    for name in wrong:
        print(f"{name}: documented {documented.get(name)}, seen {seen[name]}", file=sys.stderr)
    print(
        f"{len(seen)} of {len(TOOLS)} tools were there, {len(wrong)} are otherwise than documented"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
