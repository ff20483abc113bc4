"""One name has one meaning: what is counted here keeps the package readable."""

import ast
import re
from collections import defaultdict
from functools import cache
from itertools import combinations
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "kis_bench"
#: What back ends, engines of ranks, forms of labels and search engines have by contract; only there they may repeat.
CONTRACTS = {
    "cluster": {"make_engine"},
    "encoders": {"fetch", "key", "load", "make_engine", "readiness", "weights"},
    "label_formats": {"FORMAT"},
    "search_engines": {"make", "open_plainly"},
}
MOST_REPEATED = 30
#: Functions that are still named by a bare participle or end in _of; it may only fall.
MOST_MISNAMED = 14
PARTICIPLES = re.compile(
    "asked|audited|calibrated|chosen|compared|counted|cut|decoded|differing|embedded|encoded|escaped|"
    "extended|fetched|folded|found|given|grown|guarded|hidden|imported|joined|kept|left|linked|listed|"
    "loaded|lost|made|matched|measured|missing|moved|named|normalised|numbered|opened|paired|parsed|"
    "placed|quoted|rendered|repaired|replaced|resolved|said|searched|shortened|shown|spaced|stacked|"
    "stopped|stored|taken|tested|tied|told|truncated|typed|used|wanted|widened|without|written"
)


@cache
def modules():
    return {
        file.relative_to(PACKAGE): ast.parse(file.read_text()) for file in PACKAGE.rglob("*.py")
    }


def bound(statements):
    """Names that statements define at the level of a module; what they import is no definition."""
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from (x.id for x in ast.walk(target) if isinstance(x, ast.Name))
        elif isinstance(node, ast.If | ast.Try):
            yield from bound([*node.body, *node.orelse])


def list_contract(module):
    return {name for part in module.parts for name in CONTRACTS.get(part, ())}


def repeated(trees):
    """Name -> the modules that define it, of names that several do."""
    found = defaultdict(list)
    for module, tree in sorted(trees.items()):
        for name in {*bound(tree.body)} - {"__all__"}:
            if name not in list_contract(module):
                found[name].append(module.as_posix())
    return {name: places for name, places in sorted(found.items()) if len(places) > 1}


def functions(trees):
    """Module, and name of each function and method in it that is no property."""
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and not any(
                "property" in ast.unparse(decorator) for decorator in node.decorator_list
            ):
                yield module.as_posix(), node.name


def test_what_is_counted():
    trees = {
        Path("a.py"): ast.parse("X = 1\ndef f(): y = 1\nif X:\n    Z = 1"),
        Path("b/c.py"): ast.parse("from a import f\nX, (Z, W) = 1, (2, 3)\ny: int = 1"),
        Path("encoders/d.py"): ast.parse("def load(): ...\ndef f(): ..."),
        Path("encoders/e.py"): ast.parse("def load(): ..."),
    }
    assert repeated(trees) == {
        "X": ["a.py", "b/c.py"],
        "Z": ["a.py", "b/c.py"],
        "f": ["a.py", "encoders/d.py"],
    }


def test_few_names_are_defined_in_several_modules():
    found = repeated(modules())
    lines = [f"{name}: {', '.join(places)}" for name, places in found.items()]
    assert len(found) <= MOST_REPEATED, "\n".join([f"{len(found)} names", *lines])


def test_functions_are_verbs():
    found = [
        f"{module}: {name}"
        for module, name in functions(modules())
        if PARTICIPLES.fullmatch(name.lstrip("_")) or name.endswith("_of")
    ]
    assert len(found) <= MOST_MISNAMED, "\n".join([f"{len(found)} functions", *found])


def test_no_module_is_named_like_another_but_for_its_ending():
    files = [file.relative_to(PACKAGE) for file in PACKAGE.rglob("*.py")]
    for folder in {file.parent for file in files}:
        stems = sorted({file.stem for file in files if file.parent == folder})
        alike = [
            (one, other)
            for one, other in combinations(stems, 2)
            if re.fullmatch(f"{one.removesuffix('e')}e?(s|d|ed|ing)", other)
        ]
        assert alike == []


def test_no_line_is_kept_from_the_formatter():
    root = PACKAGE.parent
    mark = "# fmt: " + "skip"
    files = [
        f
        for name in ("kis_bench", "tests", "tools", "benchmarks")
        for f in (root / name).rglob("*.py")
    ]
    assert [file for file in files if mark in file.read_text()] == []
