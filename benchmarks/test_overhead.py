"""What sessions, reports, agreement and comparisons cost, as multiples of plain ways. Asked for: -m throughput."""

import itertools
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from kis_bench.analysis.conditions import Condition
from kis_bench.analysis.models import compare
from kis_bench.metrics import MEASURES, MRR, compute_values
from kis_bench.results import write_run
from kis_bench.results.columns import JUDGMENTS, TIMINGS, VERDICTS
from kis_bench.statistics.crossed import Crossed, crossed_intervals
from kis_bench.triplets import agreement

pytestmark = pytest.mark.throughput


def measure_cpu_seconds(*command, cwd, **environment):
    """CPU seconds of a process and of those that it started and waited for; they don't grow with what else runs."""
    resource = pytest.importorskip("resource", reason="CPU time of other processes, on Unix")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    base = {**os.environ, **environment}
    subprocess.run([sys.executable, *command], cwd=cwd, env=base, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_warm_run(benchmark, tmp_path, request):
    """The suite with everything in the store against an empty pytest that imports pandas and pyplot: at most 5 times.

    CPU seconds, medians of five pairs that follow each other.
    """
    plain = tmp_path / "test_empty.py"
    plain.write_text("import matplotlib.pyplot\nimport pandas\n\n\ndef test_nothing():\n    pass\n")
    quiet = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]

    def suite():
        reports = ["--kis-report", str(tmp_path / "reports")]
        folder = str(request.path.parent)
        return measure_cpu_seconds(*quiet, *reports, folder, cwd=request.config.rootpath)

    suite()  # fills the store
    pairs = [(suite(), measure_cpu_seconds(*quiet, plain.name, cwd=tmp_path)) for _ in range(5)]
    benchmark.pedantic(suite)
    ratio = statistics.median(warm / empty for warm, empty in pairs)
    benchmark.extra_info["CPU, times an empty run"] = ratio
    print(f"\nwarm run / empty run, CPU: {ratio:.2f}")


def test_plugin_that_is_not_used(benchmark, tmp_path):
    """What a session of a project pays that has the plugin installed and doesn't use it: at most 50 ms of CPU time.

    Medians of pairs with and without it that follow each other; as a multiple of an ``import numpy``, too, for CPUs
    differ.
    """
    (tmp_path / "test_empty.py").write_text("def test_nothing():\n    pass\n")
    plain = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]

    def session(*without):
        return measure_cpu_seconds(*plain, *without, cwd=tmp_path)

    def cost():
        return session() - session("-p", "no:kis_bench.plugin")

    def numpy_cost():
        imports = measure_cpu_seconds("-c", "import numpy", cwd=tmp_path)
        return imports - measure_cpu_seconds("-c", "pass", cwd=tmp_path)

    session()  # writes what Python compiles
    pairs = [(cost(), numpy_cost()) for _ in range(15)]
    benchmark.pedantic(session)
    found, unit = (statistics.median(each) for each in zip(*pairs, strict=True))
    benchmark.extra_info |= {"CPU ms": 1000 * found, "imports of numpy": found / unit}
    print(f"\nplugin that isn't used: {1000 * found:.0f} ms, {found / unit:.2f} imports of numpy")


def simulate_run(folder, models=10, datasets=2, label_sets=3, queries=100, n_items=10_000):
    """Writes a run of simulated ranks, those of fused lists of all pairs and of triples of seven models among them."""
    rng, names = np.random.default_rng(0), [f"model-{i:02d}" for i in range(models)]
    methods = ("rrf", "comb_sum", "comb_mnz", "weighted")
    together = [
        *itertools.product(itertools.combinations(names, 2), methods),
        *itertools.product(itertools.combinations(names[:7], 3), methods[:3]),
    ]
    ranks, fused = [], []
    for dataset, labels in itertools.product(range(datasets), range(label_sets)):
        about = {"dataset": f"videos-{dataset}", "label_set": f"labels-{labels}"}
        difficulty, own = rng.normal(2.0, 1.8, queries), {}
        about["query_id"] = [f"{labels}-{i}" for i in range(queries)]
        for place, name in enumerate(names):
            level = difficulty + 0.2 * place + rng.normal(0, 1.1, queries)
            own[name] = np.clip(np.exp(level).astype(np.int64) + 1, 1, n_items)
            columns = {
                **about,
                "model": name,
                "text": [f"text {i} of video {dataset}" for i in range(queries)],
                "item_id": [f"video-{i}" for i in range(queries)],
                **dict.fromkeys(("rank", "rank_best", "rank_worst"), own[name]),
                "n_items": n_items,
                "truncated": False,
                "target_score": 0.3,
                "group_rank": np.nan,
                "top_item_ids": [[f"video-{i + j}" for j in range(10)] for i in range(queries)],
            }
            ranks.append(pd.DataFrame(columns))
        for members, method in together:
            mean = np.mean([np.log(own[name]) for name in members], axis=0)
            best = np.clip(np.exp(mean + rng.normal(-0.1, 0.3, queries)), 1, n_items)
            best = best.astype(np.int64)
            columns = {
                **about,
                "method": method,
                **{f"model_{i + 1}": (*members, None)[i] for i in range(3)},
                "parameter": 0.5 if method == "weighted" else np.nan,
                **dict.fromkeys(("rank", "rank_best", "rank_worst"), best),
            }
            fused.append(pd.DataFrame(columns).astype({"model_3": object}))
    empty = {"judgments": JUDGMENTS, "timings": TIMINGS, "verdicts": VERDICTS}
    kept = {name: {"n_items": n_items} for name in {frame["dataset"][0] for frame in ranks}}
    return write_run(
        folder,
        ranks=pd.concat(ranks, ignore_index=True),
        tables={"fused": pd.concat(fused, ignore_index=True)},
        provenance={"models": {name: {} for name in names}, "datasets": kept},
        **{name: pd.DataFrame(columns=columns) for name, columns in empty.items()},
    )


PLAIN_FIGURES = """
import sys
import matplotlib
matplotlib.use("agg")
import numpy as np, pandas, scipy.special
from matplotlib import pyplot
for number in range(int(sys.argv[1])):
    figure, grid = pyplot.subplots(1, 3, figsize=(6.7, 3), layout="constrained", sharey=True)
    for axes in grid:
        for line in range(10):
            axes.plot(np.geomspace(1, 10_000, 160), np.linspace(0, 100, 160) ** (1 + line / 10), label=str(line))
        axes.set(xscale="log", xlabel="rank")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=3)
    figure.savefig(f"{number}.png", dpi=160)
    pyplot.close(figure)
"""


def test_report(benchmark, tmp_path):
    """A report of 10 models and 6 times 100 queries, against as many plain figures of pyplot as it has plots.

    Once with no plot in the cache and once with all; CPU seconds, medians of three rounds.
    """
    run = simulate_run(tmp_path / "runs")

    def report(cache):
        command = ["-m", "kis_bench.cli", "report", str(run), "--no-pictures"]
        return measure_cpu_seconds(*command, cwd=tmp_path, KIS_CACHE=str(tmp_path / cache))

    report("first")  # writes what Python compiles
    plots = len(list((run / "plots").glob("*.png")))
    assert plots > 20
    rounds = [
        (
            report(f"cache-{i}"),
            report(f"cache-{i}"),
            measure_cpu_seconds("-c", PLAIN_FIGURES, str(plots), cwd=tmp_path),
        )
        for i in range(3)
    ]
    benchmark.pedantic(report, ("cache-0",))
    cold, warm = (statistics.median(one[i] / one[2] for one in rounds) for i in (0, 1))
    drawing = statistics.median((one[0] - one[1]) / one[2] for one in rounds)
    benchmark.extra_info |= {
        "plots": plots,
        "nothing drawn": cold,
        "all drawn": warm,
        "drawing": drawing,
    }
    print(
        f"\nreport / {plots} plain figures, CPU: {cold:.2f}; with all plots in the cache {warm:.2f}; "
        f"drawing alone {drawing:.2f}"
    )


def test_agreement(benchmark):
    """17,026 judgments under 34 extractors as in the study: consistencies with 10,000 resamples, against a pandas loop.

    The loop looks up one judgment after the other, as notebooks do, and draws one resample after the other; both are
    measured on a part and scaled to the whole.
    """
    judgments, n_triplets, people, models, resamples = 17_026, 6_000, 84, 34, 10_000
    rng = np.random.default_rng(0)
    triplet, person = rng.integers(0, n_triplets, judgments), rng.integers(0, people, judgments)
    choice, margins = rng.choice([-1, 1], judgments), rng.standard_normal((models, n_triplets))
    crossed = Crossed.of(person, triplet)

    def vectorised():
        agreed = np.stack([agreement(own[triplet], choice) for own in margins], axis=1)
        return agreed.mean(axis=0), crossed_intervals(agreed, crossed, resamples=resamples)

    table = pd.DataFrame({"triplet": triplet, "person": person, "choice": choice})

    def loop(n_rows, n_resamples):
        started = time.perf_counter()
        agreed = []
        for _, row in table.iloc[:n_rows].iterrows():
            margin = margins[0][row["triplet"]]
            agreed.append(0.5 if margin == 0 else float((margin > 0) == (row["choice"] == -1)))
        rows = time.perf_counter() - started
        whole = table.assign(agreed=agreement(margins[0][triplet], choice))
        started = time.perf_counter()
        for _ in range(n_resamples):
            drawn_people = pd.Series(rng.integers(0, people, people)).value_counts()
            drawn_triplets = pd.Series(rng.integers(0, n_triplets, n_triplets)).value_counts()
            weight = whole.person.map(drawn_people).fillna(0) * whole.triplet.map(
                drawn_triplets
            ).fillna(0)
            (weight * whole.agreed).sum() / weight.sum()
        drawing = time.perf_counter() - started
        return models * (rows * judgments / n_rows + drawing * resamples / n_resamples)

    def ratio():
        slow = loop(500, 20)
        started = time.perf_counter()
        vectorised()
        return slow / (time.perf_counter() - started)

    found = [ratio() for _ in range(3)]
    benchmark.pedantic(vectorised)
    benchmark.extra_info |= {
        "judgments": judgments,
        "models": models,
        "times faster": statistics.median(found),
    }
    print(f"\nagreement: {statistics.median(found):.0f} times faster than a pandas loop")


@pytest.mark.parametrize("queries", [100, 1_000])
def test_comparison(queries, benchmark):
    """Ten models, all pairs under all measures, ties in the ranks so that no test is McNemar's: against scipy.

    scipy tests one pair at a time and bootstraps the MRR of one at a time, vectorised over its resamples; both are
    measured on a part and scaled to 100,000 sign flips and 10,000 resamples of all of them.
    """
    models, flips, resamples = 10, 100_000, 10_000
    rng = np.random.default_rng(0)
    levels = (
        rng.normal(2.5, 1.8, queries)
        + 0.2 * np.arange(models)[:, None]
        + rng.normal(0, 1.1, (models, queries))
    )
    best = np.clip(np.exp(levels).astype(np.int64) + 1, 1, 9_413)
    names, worst = tuple(map(str, range(models))), best + rng.integers(0, 4, best.shape)
    one = Condition(
        "simulated", "short", names, tuple(map(str, range(queries))), best, worst, 9_416
    )
    first, second = compute_values(one, MRR.name, None)[:2]
    pairs = models * (models - 1) // 2

    def mean_difference(a, b, axis):
        return np.mean(a - b, axis=axis)

    import scipy.stats  # here, for a warm run collects this file and doesn't need it

    def scipys(parts):
        started = time.perf_counter()
        scipy.stats.permutation_test(
            (first, second),
            mean_difference,
            permutation_type="samples",
            vectorized=True,
            n_resamples=flips // parts,
        )
        flipping = time.perf_counter() - started
        started = time.perf_counter()
        scipy.stats.bootstrap(
            (first, second),
            mean_difference,
            paired=True,
            method="percentile",
            n_resamples=resamples // parts,
        )
        return parts * pairs * (flipping * len(MEASURES) + time.perf_counter() - started)

    def ratio():
        slow = scipys(20)
        started = time.perf_counter()
        compare(one, resamples=resamples, permutations=flips)
        return slow / (time.perf_counter() - started)

    found = [ratio() for _ in range(3)]
    benchmark.pedantic(compare, (one,), rounds=3)
    benchmark.extra_info |= {
        "queries": queries,
        "models": models,
        "times faster": statistics.median(found),
    }
    print(
        f"\ncomparison of {queries} queries: {statistics.median(found):.0f} times faster than scipy"
    )
