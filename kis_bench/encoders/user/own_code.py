"""What a user's function is made of: its module and the modules of the same project that this one imports.

Read off the sources, not off ``sys.modules``, so that it is the same whatever a session has loaded already, and
nothing is imported to find out.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from kis_bench.files.whole import digest_content
from kis_bench.records import digest

INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
MODULE_SUFFIXES = (".py", *EXTENSION_SUFFIXES)


def code_digest(module: str) -> str:
    """SHA-256 over the names and contents of `own_modules`, 64 hexadecimal digits."""
    return digest(
        f"{name} {digest_content(file)}" for name, file in sorted(own_modules(module).items())
    )


def own_modules(module: str) -> dict[str, Path]:
    """Name -> file of a module and of all that it imports, directly or not, and that isn't installed.

    Imports count wherever they stand, also inside of functions, with ``import_module`` if the name is written out.
    Installed packages and kis-bench are left out, unless the module itself is part of one.
    """
    found: dict[str, Path] = {}
    seen, foreign = set[str](), set[str]()
    home = module.partition(".")[0]
    waiting = [*with_parents(module)]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in seen or top in foreign:
            continue
        seen.add(name)
        if (file := find_file(name)) is None:
            continue
        if top != home and not is_of_project(file):
            foreign |= {top} if name == top else set()
            continue
        found[name] = file
        if file.suffix == ".py":
            waiting += [
                parent for each in list_imports(name, file) for parent in with_parents(each)
            ]
    return found


def with_parents(module: str) -> Iterator[str]:
    """``a.b.c`` -> ``a``, ``a.b``, ``a.b.c``: all of these are run when the last is imported."""
    parts = module.split(".")
    yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def is_of_project(file: Path) -> bool:
    """Whether a file belongs to a project, and neither to Python nor to installed packages nor to kis-bench."""
    elsewhere = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    elsewhere.add(Path(__file__).resolve().parents[2])
    return not (INSTALLED.search(str(file)) or elsewhere.intersection(file.parents))


def find_file(module: str) -> Path | None:
    """The file that a module would be loaded from; None: none, as of namespace packages, or there is no such module."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # also of a module that was put together by hand and has none
        return None
    if spec is None:
        return None
    file, places = spec.origin, [Path(place) for place in spec.submodule_search_locations or ()]
    for part in rest:
        file, places = submodule(part, places)
    return Path(file).resolve() if file is not None and Path(file).is_file() else None


def submodule(name: str, places: Iterable[Path]) -> tuple[str | None, list[Path]]:
    """File of a part of a package, and where its own parts lie; looked up as Python does, but without an import."""
    portions = []
    for place in places:
        if (package := place / name / "__init__.py").is_file():
            return str(package), [place / name]
        for suffix in MODULE_SUFFIXES:
            if (single := place / f"{name}{suffix}").is_file():
                return str(single), []
        if (place / name).is_dir():
            portions.append(place / name)
    return None, portions


def list_imports(module: str, file: Path) -> set[str]:
    """Names that a source file may import as modules, absolute; also of what turns out to be no module."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # its digest counts all the same; importing it will tell
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = from_here(package, "." * node.level + (node.module or ""))
            names |= {
                start,
                *(f"{start}.{alias.name}" for alias in node.names if alias.name != "*"),
            }
            if any(alias.name == "*" for alias in node.names):
                names |= list_parts(start)
        elif (
            isinstance(node, ast.Call)
            and name_callee(node.func) in ("import_module", "__import__")
            and node.args
        ):
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                names.add(from_here(package, first.value))
    return {name for name in names if all(part.isidentifier() for part in name.split("."))}


def from_here(package: str, name: str) -> str:
    """A relative name as an absolute one; empty if it leads out of all packages."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    try:
        return importlib.util.resolve_name(name, package)
    except ImportError:
        return ""


def name_callee(function: ast.expr) -> str:
    """The last name of what is called."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def list_parts(package: str) -> set[str]:
    """What ``from package import *`` may import: the modules that lie directly in it."""
    file = find_file(package)
    if file is None or file.name != "__init__.py":
        return set()
    return {
        f"{package}.{part.stem}" for part in file.parent.glob("*.py") if part.stem != "__init__"
    }
