"""Arrows point one way: tests -> codesign -> formulations, codesign -> instances, and never back.

Inside codesign a package imports only packages below it; a family of formulations only itself and
the solvers. Each rule reads sources, given as module name -> text, and returns its faults; each must
find the fault in a sample that breaks it and none in this repository.
"""

import ast
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
CATALOG, CLI, OUTPUT = "codesign.facts.catalog", "codesign.cli", "codesign.output"
FLOORS = ("facts", "physics", "system", "kitsune fleet", "mix", "study", "changes", "output", "cli")  # lowest first
FLOOR = {package: floor for floor, names in enumerate(FLOORS) for package in names.split()}
ROOF = {"codesign", "codesign.__main__"}  # what starts the rest
FAMILIES, SOLVER_PARTS = "formulations", "formulations.solvers"
SPANNING = {  # tests of what several modules of a room do together
    "codesign/test_interface.py",
    "codesign/changes/test_undecided.py",
    "codesign/cli/test_bad_input.py",
    "codesign/cli/test_wrong_values.py",
    "codesign/fleet/test_audit_rows.py",
    "codesign/fleet/test_bounded.py",
    "codesign/fleet/test_plan_builtin.py",
    "codesign/fleet/test_random_plans.py",
    "codesign/output/test_names.py",
    "codesign/physics/test_monotonicity.py",
    "codesign/study/test_envelope_synthetic.py",
    "codesign/system/test_best_achieved.py",
    "formulations/best_system/test_edges.py",
    "formulations/fleet/test_brute.py",
    "formulations/fleet_slices/test_divided.py",
    "formulations/test_docstrings.py",
}

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
    quiet = {m: text for m, text in sources.items() if not within(m, CLI) and not within(m, OUTPUT)}
    faults = [f"{i.where} imports {i.name}" for i in imports(quiet) if i.top in ("rich", "typer")]
    for module, text in quiet.items():
        for node in ast.walk(tree_of(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "pprint", "pprint.pprint"):
                faults.append(f"{module}:{node.lineno} prints")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"):
                faults.append(f"{module}:{node.lineno} uses {ast.unparse(node)}")
    return faults


def arrows(sources: Sources) -> Iterator[tuple[Import, str]]:
    """Every import of a module of ours, and that module."""
    for i in imports(sources):
        parts = i.name.split(".")
        prefixes = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
        target = next((p for p in prefixes if p in sources), None)  # the module that the name is in
        if target is not None and target != i.module:
            yield i, target


def packages_stand_on_lower_ones(sources: Sources) -> list[str]:
    faults = []
    for i, target in arrows(sources):
        own, other = room(i.module), room(target)
        ours = within(i.module, "codesign") and within(target, "codesign")
        if not ours or own == other or i.module in ROOF or (within(i.module, CLI) and target in ROOF):
            continue
        if FLOOR.get(other, len(FLOORS)) >= FLOOR.get(own, -1):
            faults.append(f"{i.where} imports {i.name}: {own} stands on {other}")
    return faults


def families_stand_alone(sources: Sources) -> list[str]:
    return [
        f"{i.where} imports {i.name}"
        for i, target in arrows(sources)
        if within(i.module, FAMILIES) and room(i.module) != room(target) and not within(target, SOLVER_PARTS)
    ]


def room(module: str) -> str:
    """The package or family right below the top: "system" of codesign.system.audit."""
    return module.split(".")[1] if "." in module else ""


def no_cycles(sources: Sources) -> list[str]:
    """Nor in what is imported for type checkers only."""
    graph: dict[str, set[str]] = {module: set() for module in sources}
    for i, target in arrows(sources):
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
        if i.deferred and i.top in PACKAGES and not within(i.module, CLI) and i.module not in ROOF
    ]


def no_module_named_utils(sources: Sources) -> list[str]:
    return [module for module in sources if module.rpartition(".")[2] in ("utils", "util")]


BROKEN: list[tuple[Callable[[Sources], list[str]], Sources]] = [
    (arrows_point_one_way, {"formulations.fleet": "from codesign.facts.units import si"}),
    (arrows_point_one_way, {"formulations.fleet": "def f():\n    import instances"}),
    (arrows_point_one_way, {"codesign.system.audit": "from tests import samples"}),
    (arrows_point_one_way, {"codesign.system.audit": "from . import units"}),
    (arrows_point_one_way, {"instances": "import codesign"}),
    (only_formulations_import_solvers, {"codesign.system.audit": "import pyomo.environ as pyo"}),
    (only_formulations_import_solvers, {"codesign.cli.main": "def main():\n    from ortools.sat import python"}),
    (only_catalog_opens_instances, {"codesign.system.offers": "from importlib.resources import files"}),
    (only_catalog_opens_instances, {"codesign.system.offers": "from importlib import resources"}),
    (only_catalog_opens_instances, {"codesign.system.offers": "p = Path('instances')"}),
    (only_catalog_opens_instances, {"codesign.system.offers": "p = Path(__file__)"}),
    (only_cli_prints, {"codesign.physics.cost": "print(1)"}),
    (only_cli_prints, {"formulations.fleet": "sys.stdout.write('1')"}),
    (only_cli_prints, {"codesign.system.best": "from rich.console import Console"}),
    (no_cycles, {"codesign.a": "from codesign import b", "codesign.b": "from codesign.a import x"}),
    (no_cycles, {"codesign.a": "import codesign.b", "codesign.b": "def f():\n    import codesign.a"}),
    (only_cli_defers_imports, {"codesign.physics.cost": "def f():\n    from codesign import units"}),
    (no_module_named_utils, {"codesign.facts.utils": ""}),
    (packages_stand_on_lower_ones, {"codesign.facts.a": "from codesign.physics import b", "codesign.physics.b": ""}),
    (packages_stand_on_lower_ones, {"codesign.kitsune.a": "import codesign.fleet.b", "codesign.fleet.b": ""}),
    (packages_stand_on_lower_ones, {"codesign.system.a": "from codesign.loose import x", "codesign.loose": ""}),
    (families_stand_alone, {"formulations.fleet.a": "from formulations.mix import b", "formulations.mix.b": ""}),
    (families_stand_alone, {"formulations.solvers.a": "from formulations import mix", "formulations.mix": ""}),
]
RULES = list(dict.fromkeys(rule for rule, _ in BROKEN))
ALLOWED: Sources = {
    "codesign.system.a": "from codesign.facts import b\nfrom formulations import fleet\nimport json",
    "codesign.facts.b": "from typing import Any",
    "codesign.mix.c": "from codesign.fleet import d",
    "codesign.fleet.d": "from codesign.system.a import x",
    "codesign.cli.main": "def main():\n    from codesign.system import a\n    print(a)",
    "codesign.facts.catalog": "from importlib.resources import files\nfiles('instances')",
    "codesign.output.page": "from rich.console import Console",
    "formulations.fleet": "from formulations.fleet.program import solve",
    "formulations.fleet.program": "from formulations.solvers import highs",
    "formulations.solvers.highs": "import highspy\nimport pyomo.environ as pyo",
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
    assert {"codesign.facts.catalog", "formulations.solvers.highs", "instances"} <= set(repository())
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


def test_codesign_has_few_rooms() -> None:
    rooms = {path.name for path in (ROOT / "codesign").iterdir() if path.name not in ("__pycache__", "py.typed")}
    assert rooms == {*FLOOR, "__init__.py", "__main__.py"}


def test_tests_mirror_the_tree() -> None:
    """The test of codesign/x/y.py is tests/codesign/x/test_y.py; what spans modules of a room says so here."""
    modules = {path.relative_to(ROOT).as_posix() for top in PACKAGES for path in (ROOT / top).rglob("*.py")}
    lost = []
    tests = [path for top in ("codesign", "formulations") for path in (ROOT / "tests" / top).rglob("test_*.py")]
    for path in sorted(tests):
        place = path.relative_to(ROOT / "tests")
        tested = place.with_name(place.name.removeprefix("test_")).as_posix()
        if tested not in modules and place.as_posix() not in SPANNING:
            lost.append(place.as_posix())
    assert lost == []
