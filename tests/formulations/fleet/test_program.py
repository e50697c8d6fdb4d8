"""fleet: its docstring is the program, every row binds, and its optimum is that of enumeration."""

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings

from formulations import fleet
from formulations.fleet import Instance, arrays, bounds, check
from formulations.fleet import terms as fleet_terms
from formulations.fleet.instance import PREFILL
from formulations.solvers import highs
from formulations.solvers.outcome import Outcome, Status
from tests.cases.docstrings import names
from tests.cases.fleet_cases import PAIRS, Reference, instance, instances

DOC = fleet.__doc__ or ""
REPEATED = settings(derandomize=True, deadline=None)
METHODS = ("full", "columns")
LIMITS = {
    "capital": 900.0, "spending": 900.0, "power": 90.0, "racks": 9.0, "most_servers": np.array([9.0, 9.0]),
    "most_kinds": 2, "one_kind": True, "second_source": 0.2, "least_bought": np.array([1.0, 1.0]),
}  # fmt: skip
ROWS = {
    "capital": ["stay_in_capital"], "spending": ["stay_in_spending"], "power": ["stay_in_power"],
    "racks": ["stay_in_racks"], "most_servers": ["stay_in_servers"], "most_kinds": ["use_kind", "stay_in_kinds"],
    "one_kind": ["host_once", "serve_host"], "second_source": ["mix_vendors"],
    "least_bought": ["buy_least"],
}  # fmt: skip


def every_limit(objective: str = "cost") -> Instance:
    columns = [{}, {"kind": 1, "size": 8}, {"phase": PREFILL, "meets": False}, {"demand": 1, "kind": 1}]
    kinds = [{"supply": 5.0, "installed": 1}, {"vendor": 1}]
    return instance(columns, kinds, [{"strict": 0.5}, {}], periods=2, objective=objective, **LIMITS)


@pytest.mark.parametrize("limit", ROWS)
def test_absent_limit_builds_no_row(limit):
    model = fleet.build(replace(every_limit(), **{limit: False if limit == "one_kind" else None}))
    built = [part.local_name for part in model.component_objects(pyo.Constraint)]
    assert built == [name for name in names(DOC, "Constraints") if name not in ROWS[limit]]


def test_no_row_without_its_pair():
    assert list(PAIRS) == names(DOC, "Constraints")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("row", PAIRS)
def test_row_binds(row, method):
    fits, fails = (instance(*case[:3], **case[3]) for case in PAIRS[row])
    outcome, _ = fleet.solve(fits, method=method)
    assert outcome.status is Status.OPTIMAL
    assert check.broken(fits, outcome.solution) == []
    assert fleet.solve(fails, method=method)[0].status is Status.INFEASIBLE


@pytest.mark.parametrize("row", PAIRS)
def test_nothing_but_its_row_breaks_the_failing_case(row):
    case = PAIRS[row][1]
    data = instance(*case[:3], **case[3])
    assert highs.solve(highs.load(fleet.build(data)), highs.Limits()).status is Status.INFEASIBLE
    model = fleet.build(data, most_owned=np.full(data.running.shape, 100.0))  # N itself knows the limits
    model.component(row).deactivate()
    assert highs.solve(highs.load(model), highs.Limits()).status is Status.OPTIMAL


def agrees(data: Instance, outcome: Outcome, best: float | None) -> None:
    """The outcome is that of enumeration, its solution keeps every row, its bound is on the right side."""
    if best is None:
        assert outcome.status is Status.INFEASIBLE
        return
    assert outcome.status is Status.OPTIMAL
    assert outcome.value == pytest.approx(best, rel=1e-6)
    assert check.broken(data, outcome.solution) == []
    assert check.value(data, outcome.solution) == outcome.value
    slack = outcome.value - outcome.bound if data.objective in ("cost", "power") else outcome.bound - outcome.value
    assert 0 <= slack <= 1.01e-6 * outcome.value + 1e-9


def enumerated(data: Instance, methods: tuple[str, ...] = METHODS) -> None:
    best = Reference(data, most=2).best()
    for method in methods:
        for removal in (True, False):
            agrees(data, fleet.solve(data, method=method, removal=removal)[0], best)


@settings(REPEATED, max_examples=25)
@given(instances())
def test_optimum_is_that_of_enumeration(data):
    enumerated(data)


@pytest.mark.slow
@settings(REPEATED, max_examples=200)
@given(instances())
def test_optimum_is_that_of_enumeration_on_200_plans(data):
    enumerated(data)


@settings(REPEATED, max_examples=25)
@given(instances())
def test_arrays_are_the_pyomo_program(data):
    """Row by row and variable by variable: names, bounds, coefficients, objective."""
    sign = 1.0 if data.objective in ("cost", "power") else -1.0
    first = highs.load(fleet.build(data, lam=0.5))
    program = arrays.Program(data, 0.5)
    j, p = (each.ravel() for each in np.indices((len(data.columns), len(data.periods))))
    asked = program.rate[j, p] > 0
    solver = program.load()
    program.add(solver, j[asked], p[asked])
    second = dict(zip(program.names(j[asked], p[asked]), solver.getLp().col_cost_, strict=True))
    costs = dict(zip(first.names, first.highs.getLp().col_cost_, strict=True))
    assert set(costs) - set(second) == {f"replicas[{a},{b}]" for a, b in zip(j[~asked], p[~asked], strict=True)}
    assert {name: sign * cost for name, cost in second.items()} == pytest.approx({n: costs[n] for n in second})
    ours = rows_of(solver, program.names(j[asked], p[asked]), program.frame.rows)
    theirs = rows_of(first.highs, first.names, list(first.highs.getLp().row_names_))
    assert ours.keys() == theirs.keys()
    for name, (low, high, terms) in ours.items():
        assert (low, high) == pytest.approx(theirs[name][:2])
        assert terms == pytest.approx(theirs[name][2])


def rows_of(solver, variables: list[str], rows: list[str]) -> dict:
    """Row -> bounds and coefficients by variable, moved so that its first variable's coefficient is positive."""
    lp = solver.getLp()
    matrix = lp.a_matrix_
    found: dict = {name: {} for name in rows}
    starts, columnwise = list(matrix.start_), "kColwise" in str(matrix.format_)
    for outer in range(len(starts) - 1):
        for at in range(starts[outer], starts[outer + 1]):
            i, r = (outer, matrix.index_[at]) if columnwise else (matrix.index_[at], outer)
            if matrix.value_[at]:
                found[rows[r]][variables[i]] = matrix.value_[at]
    result = {}
    for r, name in enumerate(rows):
        low, high, terms = lp.row_lower_[r], lp.row_upper_[r], found[name]
        if terms and terms[min(terms)] < 0:
            low, high, terms = -high, -low, {i: -a for i, a in terms.items()}
        result[name] = (low, high, terms)
    return {name: row for name, row in result.items() if row[2]}


@settings(REPEATED, max_examples=25)
@given(instances())
def test_big_m_is_large_enough(data):
    """With the servers of every kind bounded by N and no rule of kinds the optimum is the same."""
    free = replace(data, most_kinds=None, second_source=None)
    most = bounds.most_owned(free)
    model = fleet.build(free)
    model.bounded = pyo.Constraint(model.kinds, model.periods, rule=lambda m, h, p: m.own[h, p] <= float(most[h, p]))
    bounded = highs.solve(highs.load(model), highs.Limits())
    unbounded = highs.solve(highs.load(fleet.build(free)), highs.Limits())
    assert bounded.status is unbounded.status
    if unbounded.value is not None:
        assert bounded.value == pytest.approx(unbounded.value, rel=1e-6, abs=1e-6)


def test_need_is_met_exactly_for_one_demand():
    data = instance([{}, {"rate": 3.0, "size": 8}], demands=[{"demand": 10.0}], most_kinds=1)
    assert bounds.most_owned(data).tolist() == [[3.0]]  # five halves of a server, not four servers
    assert bounds.most_owned(replace(data, power=np.array([29.0]))).tolist() == [[2.0]]


def test_sizes_outside_a_chain_are_charged_more_and_told():
    data = instance([{"size": 2}, {"size": 3}], [{"supply": 9.0}])
    packing = fleet_terms.packing(data)
    assert packing.rounded.tolist() == [False, True]
    assert packing.weight[:, 0].tolist() == [2.0, 8.0]
    outcome, _ = fleet.solve(data)
    assert outcome.value == pytest.approx(105.0)


@pytest.mark.parametrize(("chips", "sizes"), [(72, (1, 2, 8, 16, 72)), (8, (6, 4, 8)), (8, (1, 2, 4, 8))])
def test_a_parcel_that_fills_a_server_joins_any_chain(chips, sizes):
    data = instance([{"size": size} for size in sizes], [{"chips": chips}])
    assert not fleet_terms.packing(data).rounded.any()


@pytest.mark.parametrize(("change", "fault"), [
    ({"rate": np.array([0.0])}, "rate must be positive"), ({"demand": np.array([[-1.0]])}, "demand must not be"),
    ({"demand": np.ones((1, 2))}, "demand has shape"), ({"size": np.array([9])}, "size must be at most the chips"),
    ({"strict": np.array([1.5])}, "strict must be at most 1"), ({"least": np.array([[9.0]])}, "least must be at most"),
    ({"kind_of": np.array([4])}, "kind_of must name kinds"), ({"second_source": 2.0}, "second_source must be in"),
])  # fmt: skip
def test_wrong_instances_are_refused(change, fault):
    with pytest.raises(ValueError, match=fault):
        replace(instance([{}]), **change)


def test_recount_finds_what_is_broken():
    data = instance([{}], periods=2, power=10.0)
    solution = fleet.solve(data)[0].solution
    more = replace(solution, buy=solution.buy + 1)
    assert check.broken(data, more) == ["count_servers[0,0]", "count_servers[0,1]"]
    assert "stay_in_power[1]" in check.broken(replace(data, power=np.array([10.0, 9.0])), solution)
    assert "serve_tokens[0,0]" in check.broken(data, replace(solution, placed=solution.placed[1:]))
    assert "pack_servers[0,0]" in check.broken(replace(data, size=np.array([8])), solution)


def test_an_integer_is_never_cut_off():
    with pytest.raises(highs.SolverFailure, match="not a whole number"):
        highs.whole("buy[0,0]", 1.9999)
    assert highs.whole("buy[0,0]", 1.9999999) == 2


def test_replicas_that_nothing_needs_are_left_out():
    data = instance([{"rate": 1.0, "size": 1}], demands=[{"demand": 3.0}])
    values = {"buy[0,0]": 1.0, "keep[0,0]": 0.0, "own[0,0]": 1.0, "replicas[0,0]": 8.0}
    assert [each.replicas for each in fleet.read(data, values).placed] == [3]


@settings(REPEATED, max_examples=10)
@given(instances(("value",)))
def test_the_same_service_at_least_cost(data):
    first = fleet.solve(data)[0].solution
    if first is not None:
        second = fleet.solve(fleet.as_cheap_as_possible(data, first))[0].solution
        assert check.paid(data, second) <= check.paid(data, first) * (1 + 1e-6)
        assert check.gained(data, second) >= check.gained(data, first) * (1 - 1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_ratio_goes_on_after_a_search_that_ended_within_its_gap(method):
    columns = [{"rate": 0.5, "size": 1}, {"rate": 0.5, "size": 1}, {"rate": 0.5, "size": 1, "parcels": 2, "kind": 1}]
    kinds = [{"chips": 2, "price": 10.0, "running": running, "supply": 1.0, "vendor": h, "life": 1}
             for h, running in enumerate((0.25, 0.125))]  # fmt: skip
    demands = [{"demand": 0.625, "tokens": 0.125}, {"demand": 0.25, "tokens": 0.125}]
    data = instance(columns, kinds, demands, objective="ratio")
    outcome, _ = fleet.solve(data, method=method)
    assert outcome.status is Status.OPTIMAL
    assert outcome.value == pytest.approx(0.625 * 0.125 / 10.25)
