"""A formulation's docstring against its instance and the program that it builds."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyomo.environ as pyo

KINDS = {"Sets": pyo.Set, "Variables": pyo.Var, "Objective": pyo.Objective, "Constraints": pyo.Constraint}
SYMBOL = r"[A-Za-z]\w*"


def body(docstring: str, section: str) -> str:
    """The rows of one section of a formulation's docstring; empty without such a section."""
    found = re.findall(rf"^{section}\n((?: +\S.*\n)+)", docstring, re.MULTILINE)
    return found[0] if found else ""


def names(docstring: str, section: str) -> list[str]:
    """First words of the rows of one section of a formulation's docstring."""
    return re.findall(r"^ {4}(\w+)", body(docstring, section), re.MULTILINE)


def symbols(docstring: str) -> list[str]:
    """What the rows declare: the symbol of each row, or its name where only indices are given ("[d,p]")."""
    found: list[str] = []
    for section in ("Sets", "Parameters", "Variables", "Shorthands"):
        for name, rest in re.findall(r"^ {4}(\w+) +(.+)", body(docstring, section), re.MULTILINE):
            if section == "Sets" and (members := re.match(r"([\w, ]+?) in (\w+)", rest)):
                found += [*re.findall(SYMBOL, members[1]), members[2]]
            elif entry := re.match(r"\(([\w,]+)\)", rest):  # a tuple declares what is no index
                found += [symbol for symbol in entry[1].split(",") if symbol not in found]
            elif not rest.startswith("-"):
                found.append(name if rest.startswith("[") else re.findall(SYMBOL, rest)[0])
    return found


def indexed(docstring: str) -> set[str]:
    """Symbols that stand with an index in objective, constraints and shorthands."""
    sections = ("Objective", "Constraints", "Shorthands", "Strengthening")
    return {symbol for section in sections for symbol in re.findall(rf"({SYMBOL})\[", body(docstring, section))}


def built(models: Iterable[Any], section: str) -> list[str]:
    """Names of a section that Pyomo models or CP-SAT models have, in their order; index sets of rows are no sets."""
    found: list[str] = []
    for model in models:
        if isinstance(model, pyo.ConcreteModel):
            found += [part.local_name for part in model.component_objects(KINDS[section])]
        else:
            parts = {"Variables": model.proto.variables, "Constraints": model.proto.constraints}[section]
            found += [part.name.partition("[")[0] for part in parts]
    return [name for name in dict.fromkeys(found) if not name.endswith("_index")]


def used(folder: Path) -> set[str]:
    """Attributes and texts in the modules of a family, apart from what its instance does to check itself."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in folder.glob("*.py") if path.name != "instance.py")
    return {word for tree in trees for word in _words(tree)}


def _words(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ClassDef) and node.name == "Instance":
        return
    if isinstance(node, ast.Attribute):
        yield node.attr
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from _words(child)
