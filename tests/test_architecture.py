"""Arrows point one way: tests -> codesign -> formulations, codesign -> instances, and never back.

Each rule reads sources, given as module name -> text, and returns its faults; each must find the
fault in a sample that breaks it and none in this repository.
"""

import ast
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("codesign", "formulations", "instances")
ARROWS = {"codesign": {"codesign", "formulations", "instances"}, "formulations": {"formulations"}}
SOLVERS = {"pyomo", "highspy", "ortools"}
CATALOG, REPORT = "codesign.catalog", "codesign.report"
CLI = "codesign.cli"  # and cli_kitsune, cli_parts, ...
MOST_LINES, AIM_LINES = 400, 250

Sources = Mapping[str, str]


@dataclass(frozen=True)
class Import:
    """One imported name, "a.b" for `from a import b`; `where` is "module:line"."""

    module: str
    name: str
    where: str
    deferred: bool     # inside a function
    typing_only: bool  # under `if TYPE_CHECKING`

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def within(name: str, parent: str) -> bool:
    return name == parent or name.startswith(parent + ".")


@cache
def tree_of(text: str) -> ast.Module:
    return ast.parse(text)


def imports(sources: Sources) -> Iterator[Import]:
    for module, text in sources.items():
        yield from imports_of(module, text)


@cache
def imports_of(module: str, text: str) -> tuple[Import, ...]:
    return tuple(_imports(tree_of(text), module, False, False))


def _imports(node: ast.AST, module: str, deferred: bool, typing_only: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            names = [f"{start}.{name}" for name in names]
        for name in names:
            yield Import(module, name, f"{module}:{node.lineno}", deferred, typing_only)
    deferred = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    guard = node.test if isinstance(node, ast.If) else None
    typing_only = typing_only or (guard is not None and ast.unparse(guard).endswith("TYPE_CHECKING"))
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, module, deferred, typing_only)


def arrows_point_one_way(sources: Sources) -> list[str]:
    known = {*PACKAGES, "tests", "conftest"}
    return [
        f"{i.where} imports {i.name}"
        for i in imports(sources)
        if i.name.startswith(".")
        or (i.top in known and i.top not in ARROWS.get(i.module.partition(".")[0], set()))
    ]


def only_formulations_import_solvers(sources: Sources) -> list[str]:
    return [
        f"{i.where} imports {i.name}"
        for i in imports(sources)
        if i.top in SOLVERS and not within(i.module, "formulations")
    ]


def only_catalog_opens_instances(sources: Sources) -> list[str]:
    faults = [
        f"{i.where} imports {i.name}"
        for i in imports(sources)
        if i.module != CATALOG
        and (within(i.name, "importlib.resources") or i.top in ("instances", "pkgutil"))
    ]
    for module, text in sources.items():
        for node in ast.walk(tree_of(text)) if module != CATALOG else ():
            written = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if written and (node.value == "instances" or node.value.startswith("instances/")):
                faults.append(f"{module}:{node.lineno} names {node.value!r}")
            if isinstance(node, ast.Name) and node.id == "__file__":
                faults.append(f"{module}:{node.lineno} uses __file__")
    return faults


def only_cli_prints(sources: Sources) -> list[str]:
    quiet = {m: text for m, text in sources.items() if not m.startswith(CLI) and not within(m, REPORT)}
    faults = [f"{i.where} imports {i.name}" for i in imports(quiet) if i.top in ("rich", "typer")]
    for module, text in quiet.items():
        for node in ast.walk(tree_of(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "pprint", "pprint.pprint"):
                faults.append(f"{module}:{node.lineno} prints")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"):
                faults.append(f"{module}:{node.lineno} uses {ast.unparse(node)}")
    return faults


def no_cycles(sources: Sources) -> list[str]:
    graph: dict[str, set[str]] = {module: set() for module in sources}
    for i in imports(sources):
        parts = i.name.split(".")
        prefixes = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
        target = next((p for p in prefixes if p in sources), None)  # the module that the name is in
        if target is not None and not i.typing_only:
            graph[i.module].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" <- ".join(error.args[1])]
    return []


def only_cli_defers_imports(sources: Sources) -> list[str]:
    return [
        f"{i.where} imports {i.name} inside a function"
        for i in imports(sources)
        if i.deferred and i.top in PACKAGES and not i.module.startswith(CLI)
    ]


def no_module_named_utils(sources: Sources) -> list[str]:
    return [module for module in sources if module.rpartition(".")[2] in ("utils", "util")]


def files_stay_short(sources: Sources) -> list[str]:
    lines = {module: text.count("\n") for module, text in sources.items()}
    return [f"{module}: {n} lines, most is {MOST_LINES}" for module, n in lines.items() if n > MOST_LINES]


BROKEN: list[tuple[Callable[[Sources], list[str]], Sources]] = [
    (arrows_point_one_way, {"formulations.fleet": "from codesign.units import si"}),
    (arrows_point_one_way, {"formulations.fleet": "def f():\n    import instances"}),
    (arrows_point_one_way, {"codesign.audit": "from tests import samples"}),
    (arrows_point_one_way, {"codesign.audit": "from . import units"}),
    (arrows_point_one_way, {"instances": "import codesign"}),
    (only_formulations_import_solvers, {"codesign.audit": "import pyomo.environ as pyo"}),
    (only_formulations_import_solvers, {"codesign.cli": "def main():\n    from ortools.sat import python"}),
    (only_catalog_opens_instances, {"codesign.supply": "from importlib.resources import files"}),
    (only_catalog_opens_instances, {"codesign.supply": "from importlib import resources"}),
    (only_catalog_opens_instances, {"codesign.supply": "p = Path('instances')"}),
    (only_catalog_opens_instances, {"codesign.supply": "p = Path(__file__)"}),
    (only_cli_prints, {"codesign.cost": "print(1)"}),
    (only_cli_prints, {"formulations.fleet": "sys.stdout.write('1')"}),
    (only_cli_prints, {"codesign.queries.best": "from rich.console import Console"}),
    (no_cycles, {"codesign.a": "from codesign import b", "codesign.b": "from codesign.a import x"}),
    (no_cycles, {"codesign.a": "import codesign.b", "codesign.b": "def f():\n    import codesign.a"}),
    (only_cli_defers_imports, {"codesign.cost": "def f():\n    from codesign import units"}),
    (no_module_named_utils, {"codesign.utils": ""}),
    (files_stay_short, {"codesign.cost": "\n" * (MOST_LINES + 1)}),
]
RULES = list(dict.fromkeys(rule for rule, _ in BROKEN))
ALLOWED: Sources = {
    "codesign.a": "from codesign import b\nfrom formulations import highs\nimport json",
    "codesign.b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from codesign import a",
    "codesign.cli": "def main():\n    from codesign import a\n    print(a)",
    "codesign.catalog": "from importlib.resources import files\nfiles('instances')",
    "codesign.report.page": "from rich.console import Console",
    "formulations.highs": "import highspy\nimport pyomo.environ as pyo",
}


@cache
def repository() -> Sources:
    found = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_repository_keeps(rule: Callable[[Sources], list[str]]) -> None:
    assert {"codesign.catalog", "formulations.highs", "instances"} <= set(repository())
    assert rule(repository()) == []


@pytest.mark.parametrize(("rule", "sources"), BROKEN)
def test_rule_finds_the_fault(rule: Callable[[Sources], list[str]], sources: Sources) -> None:
    assert len(rule(sources)) == 1


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_allows_what_is_meant(rule: Callable[[Sources], list[str]]) -> None:
    assert rule(ALLOWED) == []


def test_wheel_carries_every_instance_file() -> None:
    """pyproject.toml ships **/*.toml of instances; a file of another kind would be left behind."""
    files = [path for path in (ROOT / "instances").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert [path.name for path in files if path.suffix != ".toml" and path.name != "__init__.py"] == []


def test_long_files_are_named() -> None:
    lines = {module: text.count("\n") for module, text in repository().items()}
    if long := {module: n for module, n in lines.items() if n > AIM_LINES}:
        warnings.warn(f"files over {AIM_LINES} lines: {long}", stacklevel=1)
