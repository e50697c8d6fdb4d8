"""The docstring of every family is its instance and its program, and no symbol of it means two things."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from formulations import (
    best_system,
    dataflow_schedule,
    disaggregated,
    fleet,
    fleet_slices,
    sm_placement,
    spatial_pipeline,
)
from formulations.best_system import cpsat as best_system_cpsat
from formulations.dataflow_schedule import cpsat as dataflow_schedule_cpsat
from formulations.dataflow_schedule.groups import alone
from formulations.fleet import stochastic
from formulations.spatial_pipeline import cpsat as spatial_pipeline_cpsat
from tests.cases import dataflow_schedule_cases, fleet_slices_cases, sm_placement_cases
from tests.cases.docstrings import built, indexed, names, symbols, used
from tests.formulations.best_system import test_program as best_system_tests
from tests.formulations.disaggregated import test_program as disaggregated_tests
from tests.formulations.fleet import test_program as fleet_tests
from tests.formulations.fleet import test_stochastic as stochastic_tests
from tests.formulations.spatial_pipeline import test_program as pipeline_tests

SECTIONS = ("Sets", "Variables", "Objective", "Constraints")


@dataclass(frozen=True)
class Family:
    """A module with a docstring, the programs that together have every row, and sets that no field gives."""

    module: Any
    models: Callable[[], list[Any]]
    instance: type
    derived: tuple[str, ...] = ()
    sections: tuple[str, ...] = SECTIONS


def _dataflow_schedule() -> list[Any]:
    data = dataflow_schedule_cases.trap()
    later = {"cycles": [[0, 1]], "within": 1.0, "dram": [1.0] * 4}
    return [dataflow_schedule.build(data, alone(data), **more) for more in ({"most": [1.0] * 4}, later)]


def _sm_placement() -> list[Any]:
    data = sm_placement_cases.instance([{}, {"kind": "simt", "shared": 40}], [(0, 1, 10.0)])
    return [sm_placement.build(data), sm_placement.build(replace(data, half=(0, 0)))]


def _stochastic() -> list[Any]:
    plan = fleet_tests.every_limit()
    lost = stochastic_tests.scenarios(plan, (0.5, 1.0, stochastic.RACK, 0), (0.5, 1.0, stochastic.NONE, 0))
    return [stochastic.build(lost)]


def _of(module: Any, make: Callable[[str], Any], objective: str) -> Family:
    return Family(module, lambda: [module.build(make(objective))], module.Instance)


FAMILIES = {
    **{f"best_system-{kind}": _of(best_system, best_system_tests.every_limit, kind)
       for kind in ("ratio", "speed", "cost")},
    **{f"disaggregated-{kind}": _of(disaggregated, disaggregated_tests.every_limit, kind)
       for kind in ("ratio", "throughput", "cost")},
    **{f"fleet-{kind}": _of(fleet, fleet_tests.every_limit, kind) for kind in ("cost", "ratio", "value", "power")},
    "fleet-stochastic": Family(stochastic, _stochastic, stochastic.Instance, (), SECTIONS[1:]),
    "fleet_slices": Family(
        fleet_slices, lambda: [fleet_slices.build(fleet_slices_cases.instance([[1.0, 2.0]], most=5.0))],
        fleet_slices.Instance,
    ),
    "dataflow_schedule": Family(dataflow_schedule, _dataflow_schedule, dataflow_schedule.Instance, ("groups",)),
    "spatial_pipeline": Family(
        spatial_pipeline, lambda: [spatial_pipeline.build(pipeline_tests.tabled())], spatial_pipeline.Instance,
        ("counts",),
    ),
    "sm_placement": Family(
        sm_placement, _sm_placement, sm_placement.Instance, ("halves",), ("Variables", "Constraints")
    ),
}  # fmt: skip
ONCE = {family.module.__name__: family for family in FAMILIES.values()}.values()
each_family = pytest.mark.parametrize("family", ONCE, ids=lambda family: family.module.__name__)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_docstring_is_the_program(family: Family) -> None:
    doc, models = family.module.__doc__, family.models()
    for section in family.sections:
        more = names(doc, "Strengthening") if section == "Constraints" else []
        assert names(doc, section) + more == built(models, section), section


@each_family
def test_docstring_is_the_instance(family: Family) -> None:
    declared = names(family.module.__doc__, "Sets") + names(family.module.__doc__, "Parameters")
    assert [n for n in declared if n not in family.derived] == [f.name for f in fields(family.instance)]


@each_family
def test_no_symbol_has_two_meanings(family: Family) -> None:
    declared = Counter(symbols(family.module.__doc__))
    assert [symbol for symbol, times in declared.items() if times > 1] == []
    assert indexed(family.module.__doc__) <= set(declared)


@pytest.mark.parametrize(
    ("twin", "family"),
    [(best_system_cpsat, best_system), (dataflow_schedule_cpsat, dataflow_schedule),
     (spatial_pipeline_cpsat, spatial_pipeline)],
)  # fmt: skip
def test_no_symbol_of_a_twin_has_two_meanings(twin: Any, family: Any) -> None:
    """What it takes over from the family keeps its symbol."""
    declared = Counter(symbols(twin.__doc__))
    assert [symbol for symbol, times in declared.items() if times > 1] == []
    assert indexed(twin.__doc__) <= set(declared) | set(symbols(family.__doc__))


@each_family
def test_every_parameter_is_used(family: Family) -> None:
    parameters = names(family.module.__doc__, "Parameters")
    assert [name for name in parameters if name not in used(Path(family.module.__file__).parent)] == []


@pytest.mark.parametrize(
    ("row", "found"),
    [("    a  x[i]  -\n    b  x  -\n", ["x", "x"]), ("    a  [i]  -\n    b  (u,v)  -\n    c  -  -\n", ["a", "u", "v"])],
)
def test_symbols_of_a_docstring(row: str, found: list[str]) -> None:
    assert symbols(f"What.\n\nParameters\n{row}") == found
