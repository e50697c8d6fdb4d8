"""HiGHS and CP-SAT, two programs from one instance, agree within the proven error of the integer grid."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings

from formulations import best_system
from formulations.best_system import cpsat as best_system_cpsat
from formulations.best_system import grid as grids
from formulations.solvers import cpsat
from formulations.solvers.outcome import Status
from tests.cases.best_system_cases import LIMITS, PAIRS, best_by_enumeration, check_solution, instance, instances, large
from tests.cases.docstrings import names

REPEATED = settings(derandomize=True, deadline=None)
OBJECTIVES = ("ratio", "speed", "cost")


def agree(data, highest_error=1e-6):
    """Same status; values within the grid's error and HiGHS's own gap; both bounds hold for both."""
    outcome, _ = best_system.solve(data, removal=False)
    twin, error = best_system_cpsat.solve(data)
    assert error <= highest_error
    assert twin.status is outcome.status
    if outcome.value is None:
        return
    gap = abs(outcome.bound - outcome.value)
    assert abs(twin.value - outcome.value) <= error * outcome.value + gap
    check_solution(data, twin.solution, twin.value)
    up, slip = data.objective == "ratio", 1e-9 * outcome.value
    for bound in (outcome.bound, twin.bound):
        worst = max(outcome.value, twin.value) if up else -min(outcome.value, twin.value)
        assert (bound if up else -bound) >= worst - slip


@settings(REPEATED, max_examples=60)
@given(instances())
def test_two_solvers_agree(data):
    agree(data)


@pytest.mark.slow
@settings(REPEATED, max_examples=150)
@given(instances())
def test_two_solvers_agree_long(data):
    agree(data)


@pytest.mark.slow
@settings(REPEATED, max_examples=60)
@given(instances(intercept=-40))
def test_two_solvers_agree_where_lines_start_below_zero(data):
    twin, error = best_system_cpsat.solve(data)
    best = best_by_enumeration(data)
    if best is None:
        assert twin.status is Status.INFEASIBLE
    elif error < 1e-6:  # a line that crosses zero inside the batches has no relative error
        assert abs(twin.value - best) <= error * best


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_two_solvers_agree_on_300_columns(objective):
    agree(large(objective, 300))


@pytest.mark.parametrize("row", PAIRS)
def test_row_binds(row):
    fits, fails = (instance(columns, objective, **limits) for columns, objective, limits in PAIRS[row])
    assert best_system_cpsat.solve(fits)[0].status is Status.OPTIMAL
    assert best_system_cpsat.solve(fails)[0].status is Status.INFEASIBLE


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_docstring_is_the_program(objective):
    data = instance([{}, {}], objective, **dict.fromkeys(LIMITS, 50.0))
    proto = best_system_cpsat.build(data, grids.grid(data, 1.0)).proto
    doc = best_system_cpsat.__doc__
    assert names(doc, "Constraints") == list(
        dict.fromkeys(row.name.partition("[")[0] for row in proto.constraints)
    )
    assert names(doc, "Variables") == list(dict.fromkeys(v.name.partition("[")[0] for v in proto.variables))
    for section in ("Variables", "Constraints"):
        assert names(doc, section) == names(best_system.__doc__, section)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_sums_stay_in_the_room_of_int64(objective):
    """The greatest activity of every row and of the objective, over the variables' domains."""
    data = large(objective, 1600)
    proto = best_system_cpsat.build(data, grids.grid(data, 1e-3)).proto
    top = [variable.domain[1] for variable in proto.variables]
    rows = [row.linear for row in proto.constraints if row.has_linear()] + [proto.objective]
    most = max(sum(abs(c) * top[v] for v, c in zip(row.vars, row.coeffs, strict=True)) for row in rows)
    assert most < cpsat.ROOM


@pytest.mark.slow
@settings(REPEATED, max_examples=100)
@given(instances())
def test_feasible_on_the_grid_is_feasible(data):
    """Needs are rounded up and capacities down, so the grid never holds what exact numbers do not."""
    on, off = grids.grid(data, 1.0), grids.unrounded(data)
    for tight, true in zip(on.lines, off.lines, strict=True):
        assert all(0 <= a - b < 1 for a, b in zip(tight, true, strict=True))
    for tight, true in zip(on.slowest or [], off.slowest or [], strict=True):
        assert 0 <= true - tight < 1
    for tight, true in zip(on.shared, off.shared, strict=True):
        assert true.limit >= tight.limit
        assert all(a >= b for a, b in zip(tight.each, true.each, strict=True))


def test_users_are_rounded_up_where_digits_run_out():
    data = instance([{"served": 1 / 3}, {"served": 1e7 / 3}], "ratio", users=1 / 7)
    on, off = grids.grid(data, 1.0), grids.unrounded(data)
    assert 0 < on.users - off.users < 1
    assert 0 < off.served[0] - on.served[0] < 1


def test_column_within_a_hair_of_a_limit_proves_nothing():
    """A step 1e-10 over the pace: HiGHS may take it, the grid does not; no proof either way."""
    data = instance([{"most_batch": 1.0}], "ratio", slowest_step=4.5 - 1e-10)
    outcome, error = best_system_cpsat.solve(data)
    assert (outcome.status, outcome.bound, error) == (Status.UNKNOWN, None, math.inf)
    other = instance([{"most_batch": 1.0}, {"read_fixed": 1.0}], "ratio", slowest_step=4.5 - 1e-10)
    outcome, error = best_system_cpsat.solve(other)
    assert (outcome.status, outcome.bound, error) == (Status.FEASIBLE, None, math.inf)


def test_decimal_numbers_meet_their_limit_exactly():
    """Ten servers of 37.9 k$ cost 379 k$, in decimals as on paper."""
    data = instance([{"dollars": 37.9, "parcels": 10.0}], "ratio", budget=379.0)
    assert grids.blurred(data, grids.grid(data, 1.0)) == []
    assert best_system_cpsat.solve(data)[0].status is Status.OPTIMAL


def test_the_work_limit_ends_at_the_same_place_twice():
    data = large("ratio", 100)
    runs = [best_system_cpsat.solve(data, limits=cpsat.Limits(deterministic_s=1e-4))[0] for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].status in (Status.FEASIBLE, Status.UNKNOWN)


def test_ratio_needs_positive_numbers():
    with pytest.raises(ValueError, match="above zero"):
        best_system_cpsat.solve(instance([{"rate": 0.0}], "ratio"))


def test_no_columns_is_infeasible():
    data = instance([{}], "cost")
    empty = data.only(data.columns < 0)
    assert best_system_cpsat.solve(replace(empty, users=5.0))[0].status is Status.INFEASIBLE
