"""A formulation's docstring against the program that it builds."""

import re

import pyomo.environ as pyo

SECTIONS = [
    ("Sets", pyo.Set),
    ("Variables", pyo.Var),
    ("Objective", pyo.Objective),
    ("Constraints", pyo.Constraint),
]


def names(docstring: str, section: str) -> list[str]:
    """First words of the rows of one section of a formulation's docstring."""
    (body,) = re.findall(rf"^{section}\n((?: +\S.*\n)+)", docstring, re.MULTILINE)
    return re.findall(r"^ {4}(\w+)", body, re.MULTILINE)
