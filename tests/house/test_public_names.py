"""The names that other people's code imports stay where they are, and importing them costs no more than it has to."""

import ast
import importlib
import importlib.metadata
import subprocess
import sys

import pytest

PUBLIC = {
    "kis_bench": ["__version__"],
    "kis_bench.datasets": ["DatasetRow", "load"],
    "kis_bench.encoders": ["Encoder", "catalogue", "find", "load", "read_models", "upright"],
    "kis_bench.embed": ["embed_collection", "embed_texts"],
    "kis_bench.errors": ["BadFile", "KisBenchError", "NotReady", "UnknownName"],
    "kis_bench.fusion": [
        "comb_mnz",
        "comb_sum",
        "complement",
        "interleaving_cost",
        "reciprocal_rank_fusion",
        "switching_cost",
    ],
    "kis_bench.lineup": ["read_datasets"],
    "kis_bench.metrics": ["cumulative_curve", "mean_reciprocal_rank", "recall_at_k"],
    "kis_bench.ranking": ["target_ranks"],
    "kis_bench.records": [
        "Checkpoint",
        "Collection",
        "Dataset",
        "Embeddings",
        "Query",
        "Ranks",
        "Triplet",
    ],
    "kis_bench.results": ["Run", "read_run", "write_run"],
    "kis_bench.statistics": [
        "bootstrap_interval",
        "holm",
        "mcnemar_exact",
        "paired_randomization_test",
        "quantile_interval",
        "wilson_interval",
    ],
    "kis_bench.store": ["Store", "default_store"],
    "kis_bench.triplets": ["agreement", "consistency", "cosine_distances", "majority", "positions"],
}
ARRAYS_ONLY = ["errors", "records", "metrics", "fusion", "statistics", "ranking", "triplets"]


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in PUBLIC.items() for name in names]
)
def test_a_public_name_can_be_imported(module, name):
    found = importlib.import_module(module)
    assert getattr(found, name) is not None
    scope = {}
    exec(f"from {module} import {name}", scope)
    assert scope[name] is getattr(found, name)


def test_the_plugin_is_found_by_its_name_and_has_its_hooks_and_fixtures():
    (entry,) = [
        e for e in importlib.metadata.entry_points(group="pytest11") if e.name == "kis_bench.plugin"
    ]
    plugin = entry.load()
    hooks = [
        "pytest_addoption",
        "pytest_configure",
        "pytest_generate_tests",
        "pytest_plugin_registered",
    ]
    fixtures = [
        "dataset",
        "model",
        "query_set",
        "known_item_search",
        "image_similarity",
        "image_to_text",
        "complementarity",
    ]
    assert [name for name in [*hooks, *fixtures] if not hasattr(plugin, name)] == []


@pytest.mark.parametrize("module", ["kis_bench", *(f"kis_bench.{name}" for name in ARRAYS_ONLY)])
def test_the_numerical_core_needs_numpy_at_most(module):
    heavy = "{'pandas', 'pyarrow', 'scipy', 'matplotlib', 'torch', 'PIL', 'pytest'}"
    code = f"import sys, {module}; print(sorted({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_entry_of_the_plugin_imports_nothing_that_other_projects_wait_for():
    """What pytest itself doesn't bring and is no part of Python costs every project that has the plugin installed."""
    code = (
        "import sys, pytest; before = {*sys.modules}; import kis_bench.plugin; "
        "print(sorted(name for name in {*sys.modules} - before"
        " if name.partition('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == [
        "kis_bench",
        "kis_bench.choices",
        "kis_bench.errors",
        "kis_bench.options",
        "kis_bench.plugin",
        "kis_bench.plugin.entry",
        "kis_bench.plugin.options",
        "kis_bench.plugin.stopping",
    ]


def test_what_a_session_imports_before_anything_is_measured_is_light():
    heavy = "{'pandas', 'pyarrow', 'torch'}"
    code = (
        f"import sys, kis_bench.plugin, kis_bench.lineup; print(sorted({heavy} & {{*sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
