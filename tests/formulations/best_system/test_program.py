"""best_system: its docstring is the program, every row binds, and its optimum is that of enumeration."""

import math
from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings

from formulations import best_system
from formulations.best_system import Instance, bounds
from formulations.solvers import highs
from formulations.solvers.outcome import Outcome, Status
from tests.cases.best_system_cases import (
    LIMITS,
    PAIRS,
    SHARED,
    best_by_enumeration,
    best_of_column,
    check_solution,
    instance,
    instances,
    large,
)
from tests.cases.docstrings import names

DOC = best_system.__doc__ or ""
REPEATED = settings(derandomize=True, deadline=None)
OBJECTIVES = ("ratio", "speed", "cost")


def every_limit(objective: str) -> Instance:
    return instance([{}, {}], objective, **dict.fromkeys(LIMITS, 50.0))


def test_no_row_without_its_pair():
    assert list(PAIRS) == names(DOC, "Constraints")


@pytest.mark.parametrize("removal", [True, False])
@pytest.mark.parametrize("row", PAIRS)
def test_row_binds(row, removal):
    fits, fails = (instance(columns, objective, **limits) for columns, objective, limits in PAIRS[row])
    outcome, _ = best_system.solve(fits, removal=removal)
    assert outcome.status is Status.OPTIMAL
    check_solution(fits, outcome.solution, outcome.value)
    assert best_system.solve(fails, removal=removal)[0].status is Status.INFEASIBLE


@pytest.mark.parametrize("row", PAIRS)
def test_nothing_but_its_row_breaks_the_failing_case(row):
    columns, objective, limits = PAIRS[row][1]
    model = best_system.build(instance(columns, objective, **limits))
    model.component(row).deactivate()
    assert highs.solve(highs.load(model), highs.Limits()).status is Status.OPTIMAL


@pytest.mark.parametrize("limit", LIMITS)
def test_absent_limit_builds_no_row(limit):
    model = best_system.build(replace(every_limit("ratio"), **{limit: None}))
    row = {"slowest_step": "keep_pace", "users": "serve_users", "budget": "stay_in_budget"}.get(limit)
    row = row or {"hourly_budget": "stay_in_hourly", "power": "stay_in_power", "chip_limit": "stay_in_chips",
                  "rack_limit": "stay_in_racks"}[limit]  # fmt: skip
    built = [part.local_name for part in model.component_objects(pyo.Constraint)]
    assert built == [name for name in names(DOC, "Constraints") if name != row]


def agrees(data: Instance, outcome: Outcome, best: float | None) -> None:
    """The outcome is that of enumeration, its solution keeps every row, its bound is on the right side."""
    if best is None:
        assert outcome.status is Status.INFEASIBLE
        return
    assert outcome.status is Status.OPTIMAL
    assert outcome.value == pytest.approx(best, rel=1e-6)
    check_solution(data, outcome.solution, outcome.value)
    slack = outcome.bound - outcome.value if data.objective == "ratio" else outcome.value - outcome.bound
    assert 0 <= slack <= 1e-6 * outcome.value


def enumerated(data):
    best = best_by_enumeration(data)
    for removal in (True, False):
        agrees(data, best_system.solve(data, removal=removal)[0], best)


@settings(REPEATED, max_examples=80)
@given(instances())
def test_optimum_is_that_of_enumeration(data):
    enumerated(data)


@pytest.mark.slow
@settings(REPEATED, max_examples=250)
@given(instances())
def test_optimum_is_that_of_enumeration_long(data):
    enumerated(data)


@settings(REPEATED, max_examples=60)
@given(instances(intercept=-40))
def test_optimum_where_lines_start_below_zero(data):
    """There a ratio may be best before the largest batch: the sweep misses it, the program does not."""
    best = best_by_enumeration(data)
    for removal in (True, False):
        agrees(data, best_system.solve(data, removal=removal)[0], best)
    sweep, sign = bounds.sweep(data), 1 if data.objective == "ratio" else -1
    for j in np.flatnonzero(~np.isnan(sweep.values)):
        own = best_of_column(data, j)
        assert sign * sweep.bound[j] >= sign * own - 1e-12 * own


@pytest.mark.slow
@settings(REPEATED, max_examples=500)
@given(instances(most=4))
def test_sweep_is_enumeration_of_every_column(data):
    """Column by column: value, and a bound that is never worse; a removed column cannot win."""
    sweep, up = bounds.sweep(data), data.objective == "ratio"
    assert (sweep.value is None) == (best_by_enumeration(data) is None)
    for j in range(len(data.columns)):
        best = best_of_column(data, j)
        if best is None:
            assert math.isnan(sweep.values[j])
            assert j not in sweep.kept
            continue
        assert sweep.values[j] == pytest.approx(best, rel=1e-9)
        assert (sweep.bound[j] >= best * (1 - 1e-12)) if up else (sweep.bound[j] <= best * (1 + 1e-12))
        if j not in sweep.kept:
            assert (sweep.bound[j] < sweep.value) if up else (sweep.bound[j] > sweep.value)
            assert (sweep.bound[j] <= sweep.removed_bound) if up else (sweep.bound[j] >= sweep.removed_bound)


def test_column_with_a_line_below_zero_is_not_removed():
    """Its best is 11 users in 1 ms, at neither end of its batches."""
    dip = {"read_fixed": -10.0, "read_slope": 1.0, "compute_slope": 0.0, "most_batch": 20.0, "rate": 1.0}
    flat = {"read_fixed": 1.0, "read_slope": 0.0, "compute_slope": 0.0, "most_batch": 5.0, "rate": 1.0}
    data = instance([dip, flat], "ratio")
    assert best_system.solve(data)[0].value == pytest.approx(11.0) == best_by_enumeration(data)


def test_column_best_at_its_least_batch_is_not_removed():
    """The rising line starts at -2 ms: one user in 1 ms beats ten in 28 ms, and a rival's 0.95."""
    steep = {"read_fixed": -2.0, "read_slope": 3.0, "compute_slope": 0.0, "most_batch": 10.0, "rate": 1.0}
    rival = {"read_fixed": 1.0, "read_slope": 0.0, "compute_slope": 0.0, "most_batch": 1.0, "rate": 1 / 0.95}
    data = instance([steep, rival], "ratio")
    assert bounds.sweep(data).bound[0] == pytest.approx(1.0)
    assert best_system.solve(data)[0].value == pytest.approx(1.0) == best_by_enumeration(data)


def test_pace_met_up_to_rounding_is_met_by_the_sweep_too():
    """0.1 + 2 * 0.1 is 0.30000000000000004 in floats, and two users fit 0.3 ms."""
    data = instance([{"read_fixed": 0.1, "read_slope": 0.1, "compute_fixed": 0.0, "compute_slope": 0.0,
                      "least_batch": 2.0, "most_batch": 2.0}], "ratio", slowest_step=0.3)  # fmt: skip
    assert bounds.sweep(data).value is not None
    assert [best_system.solve(data, removal=r)[0].status for r in (True, False)] == [Status.OPTIMAL] * 2


@settings(REPEATED, max_examples=60)
@given(instances())
def test_looser_limits_never_hurt(data):
    looser = replace(data, **{name: limit * 1.5 for name in [*SHARED.values(), "slowest_step"]
                              if (limit := getattr(data, name)) is not None})  # fmt: skip
    tight, loose = (best_system.solve(d)[0] for d in (data, looser))
    if tight.value is not None:
        sign = 1 if data.objective == "ratio" else -1
        assert sign * loose.value >= sign * tight.value - 1e-6 * tight.value


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_removal_does_not_change_the_optimum_of_1600_columns(objective):
    data = large(objective)
    with_removal, proof = best_system.solve(data)
    without, full = best_system.solve(data, removal=False)
    assert (with_removal.status, without.status) == (Status.OPTIMAL, Status.OPTIMAL)
    assert full.solved == 1600 > proof.solved
    assert without.value == pytest.approx(with_removal.value, rel=1e-6)
    assert without.value == pytest.approx(proof.sweep.value, rel=1e-6)


def test_limits_end_without_an_invented_proof():
    outcome, _ = best_system.solve(large("ratio", 200), removal=False, limits=highs.Limits(limit_s=0.0))
    assert outcome.status in (Status.FEASIBLE, Status.UNKNOWN)
    assert outcome.bound is None or outcome.bound >= bounds.sweep(large("ratio", 200)).value
