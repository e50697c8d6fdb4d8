"""fleet_slices: its docstring is the program, every row binds, its optimum is that of enumeration, exactly."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formulations import fleet_slices
from formulations.fleet_slices import Instance, walk
from formulations.fleet_slices import search as fleet_slices_search
from formulations.fleet_slices import start as fleet_slices_start
from formulations.fleet_slices.exact import price_unit
from formulations.fleet_slices.pack import roomy
from formulations.fleet_slices.rows import load
from formulations.solvers import highs
from formulations.solvers.outcome import Status
from tests.cases.docstrings import names
from tests.cases.fleet_slices_cases import (
    INF,
    PAIRS,
    best_by_enumeration,
    check,
    divided_by_enumeration,
    instance,
    instances,
)

DOC = fleet_slices.__doc__ or ""
REPEATED = settings(derandomize=True, deadline=None)


def solved(data: Instance) -> float | None:
    """Optimal value, checked in whole numbers; None: infeasible."""
    outcome, _ = fleet_slices.solve(data)
    if outcome.status is Status.INFEASIBLE:
        return None
    assert outcome.status is Status.OPTIMAL
    check(data, outcome.solution, outcome.value)
    assert outcome.bound == pytest.approx(outcome.value, rel=3e-9)
    assert outcome.bound <= outcome.value
    return outcome.value


def rows_alone(data: Instance) -> float | None:
    """The optimum by Pyomo's model and HiGHS, without rounding, floors, ceilings and exact numbers."""
    result = highs.solve(highs.load(fleet_slices.build(data)), highs.Limits())
    return None if result.status is Status.INFEASIBLE else result.value


def test_no_row_without_its_pair():
    assert list(PAIRS) == names(DOC, "Constraints")


@pytest.mark.parametrize("row", PAIRS)
def test_row_binds(row):
    fits, value, fails, dearer = PAIRS[row]
    assert solved(fits) == value
    assert solved(fails) == dearer


@pytest.mark.parametrize("row", PAIRS)
def test_nothing_but_its_row_breaks_the_failing_case(row):
    _, _, fails, dearer = PAIRS[row]
    if row == "serve_slices":
        fails = replace(fails, load=np.array([[1.0]]), most=np.array([2.0]))  # a row without a kind is no row to lift
        dearer = None
    assert rows_alone(fails) == dearer
    model = fleet_slices.build(fails)
    model.component(row).deactivate()
    freed = highs.solve(highs.load(model), highs.Limits())
    assert freed.status is Status.OPTIMAL
    assert freed.value < (math.inf if dearer is None else dearer)


def test_absent_supply_builds_no_row():
    assert len(fleet_slices.build(instance([[1.0, 1.0]], most=[2.0, INF])).stay_in_supply) == 1


@settings(REPEATED, max_examples=60)
@given(instances())
def test_rows_for_the_solver_are_those_of_the_model(data):
    """The arrays, without what is known beforehand, have the names and the optimum of the Pyomo model."""
    if not np.isfinite(data.load).any(axis=1).all():
        return
    unit = price_unit(data.price.tolist())
    ours, twin = load(data, unit), highs.load(fleet_slices.build(data))
    assert sorted(ours.names) == sorted(twin.names)
    found, expected = (highs.solve(program, highs.Limits()) for program in (ours, twin))
    assert found.status is expected.status
    if expected.value is not None:
        assert found.value * float(unit or 1) == pytest.approx(expected.value, abs=1e-6)


def enumerated(data: Instance) -> None:
    best = best_by_enumeration(data)
    assert solved(data) == (None if best is None else float(best))


@settings(REPEATED, max_examples=80)
@given(instances())
def test_optimum_is_that_of_enumeration(data):
    enumerated(data)


@pytest.mark.slow
@settings(REPEATED, max_examples=200)
@given(instances())
def test_optimum_is_that_of_enumeration_long(data):
    enumerated(data)


@settings(REPEATED, max_examples=60)
@given(instances())
def test_program_alone_finds_the_optimum_too(data):
    """Without a fleet by rounding, without a floor and without fleets tried: the rows and the solver."""
    best = best_by_enumeration(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet_slices_start, "cheapest", lambda data: None)
        patch.setattr(fleet_slices_search.Search, "fleets", lambda self: None)
        assert solved(data) == (None if best is None else float(best))


@settings(REPEATED, max_examples=60)
@given(instances(limited=False))
def test_fleets_alone_find_the_optimum_too(data):
    """Without the last program: fleets in the order of their cost, each filled with whole slices or not."""
    best = best_by_enumeration(data)
    outcome, proof = fleet_slices.solve(data, limits=highs.Limits())
    if best is not None and price_unit(data.price.tolist()) is not None and (data.price > 0).all():
        assert outcome.value == float(best)
        assert proof.solves <= 1


def test_window_of_cost_ends_where_the_next_fleet_begins(monkeypatch):
    """$1 to $4.5 holds one fleet, too small; no fleet costs $4.5 to $5, and the one for $5 is the best."""
    data = instance([[2.0, 1.0]], price=[3.0, 5.0])
    search = fleet_slices_search.Search(data, highs.Limits())
    assert search.unit == 1
    search.bound = Fraction(1)
    search.known = replace(search.known, counts={0: 10, 1: 0}, cost=Fraction(30))
    monkeypatch.setattr(fleet_slices_search, "WINDOWS", 8)
    assert search._window(search.unit)
    assert (search.tried, search.bound) == (1, 5)
    assert not search._window(search.unit)
    assert search.known.cost == search.bound == 5


@settings(REPEATED, max_examples=30)
@given(instances(kinds=2))
def test_divided_slices_are_those_of_enumeration(data):
    best = divided_by_enumeration(data)
    value = solved(replace(data, fractional=True))
    assert (value is None) == (best is None)
    if best is not None:
        assert value == pytest.approx(best)


@settings(REPEATED, max_examples=60)
@given(instances())
def test_finer_slices_never_cost_more(data):
    """Divided at will <= twice as many slices <= slices <= one slice a bucket."""
    once = replace(data, slices=np.ones_like(data.slices), load=data.load * data.slices[:, None])
    twice = replace(data, slices=data.slices * 2, load=data.load / 2)
    values = [solved(d) for d in (replace(data, fractional=True), twice, data, once)]
    ordered = [math.inf if v is None else v for v in values]
    assert all(a <= b * (1 + 1e-9) for a, b in itertools.pairwise(ordered))


@settings(REPEATED, max_examples=60)
@given(instances())
def test_more_supply_more_kinds_less_demand_never_cost_more(data):
    def worth(d: Instance) -> float:
        value = solved(d)
        return math.inf if value is None else value

    now = worth(data)
    assert worth(replace(data, most=data.most + 1)) <= now
    assert worth(replace(data, load=data.load / 2)) <= now
    assert worth(replace(data, price=data.price / 2)) <= now
    fewer = replace(data, kinds=data.kinds[:-1], price=data.price[:-1], load=data.load[:, :-1], most=data.most[:-1])
    if len(fewer.kinds):
        assert worth(fewer) >= now


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("load", "slices", "counts"),
    [
        ([[2 / 3]], 3, 2), ([[1 / 3]], 3, 1), ([[5 / 6 * 6 / 5]], 4, 4),
        ([[0.1], [0.2], [0.7]], 1, 1),       # 1.0000000000000002 in floats
        ([[0.1], [0.7]], [3, 1], 1),         # exactly full
        ([[0.5 + 5e-9]], 2, 2),              # 1e-8 replicas too much
        ([[0.5 + 4e-10]], 2, 1),             # within 1e-9
        ([[1e-11], [0.5]], [1, 2], 1),       # next to nothing beside a full replica
        ([[1e-11]], 1, 1),                   # next to nothing takes a replica too
        ([[1e-12], [0.25]], [1, 1], 1),
    ],
)  # fmt: skip
def test_full_is_decided_exactly(load, slices, counts, whole):
    """Beside a kind that is never worth it; by fleets tried or by the program alone."""
    beside = np.column_stack([load, np.full(len(load), 0.7)])
    with pytest.MonkeyPatch.context() as patch:
        if whole:
            patch.setattr(fleet_slices_start, "cheapest", lambda data: None)
            patch.setattr(fleet_slices_search.Search, "fleets", lambda self: None)
        assert solved(instance(beside, price=[1.0, 50.0], slices=slices)) == counts


def test_small_loads_take_a_replica():
    """Nobody serves for nothing: two buckets on a kind each cost two replicas, on one kind one."""
    assert solved(instance([[1e-10, INF], [INF, 1e-10]], price=[1.0, 2.0])) == 3.0
    assert solved(instance([[1e-10, 1e-10], [1e-10, 1e-10]], price=[1.0, 2.0])) == 1.0
    assert solved(instance([[1e-10, INF], [INF, 1e-10]], most=[1.0, 0.0])) is None


def test_least_fleet_is_not_the_one_of_the_least_price_for_each_bucket():
    """One kind alone leaves a replica almost idle; the mix does not."""
    outcome, _ = fleet_slices.solve(instance([[1.1, 0.4], [0.9, 0.9]], price=[1.0, 2.0]))
    assert (outcome.value, dict(outcome.solution.counts)) == (2.0, {0: 2, 1: 0})


def test_many_slices_of_many_buckets_are_proven_at_once():
    data = large()
    outcome, proof = fleet_slices.solve(data)
    assert outcome.status is Status.OPTIMAL
    check(data, outcome.solution, outcome.value)
    floor = fleet_slices.solve(replace(data, fractional=True))[0].value
    assert floor <= outcome.value <= floor * 1.05
    assert proof.rounded >= outcome.value


def large(buckets: int = 64, kinds: int = 5, slices: int = 8, seed: int = 0) -> Instance:
    draw = np.random.default_rng(seed)
    size = draw.uniform(0.5, 2.0, kinds) * np.geomspace(1, 8, kinds)
    rate = draw.lognormal(0, 1, buckets)[:, None] * 24 / buckets / slices
    load = rate / size * draw.uniform(0.7, 1.4, (buckets, kinds))
    return instance(load, np.round(size * draw.uniform(0.8, 1.2, kinds), 2), slices)


@pytest.mark.slow
@settings(REPEATED, max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([9, 16, 25]), st.integers(2, 5), st.sampled_from([1, 2, 6]))
def test_steps_agree_with_the_program_alone(seed, buckets, kinds, slices):
    """Of published sizes, where enumeration ends: the three steps, and Pyomo's model solved by HiGHS to its end."""
    data = large(buckets, kinds, slices, seed)
    found = highs.solve(highs.load(fleet_slices.build(data)), highs.Limits(node_limit=20_000))
    if found.status is Status.OPTIMAL:
        assert solved(data) == pytest.approx(found.value)
    else:
        assert found.bound - 1e-6 <= solved(data)


def test_list_of_fleets_is_complete_and_in_order():
    data = instance([[0.5, 0.25, INF], [0.5, INF, 0.2]], price=[0.7, 1.1, 0.4], most=[INF, 2.0, 3.0])
    low, high = Fraction(7, 10), Fraction(3)
    found = walk.fleets(data, Fraction(1, 10), low, high, walk.Struck())
    every = {
        (a, b, c) for a in range(5) for b in range(3) for c in range(4)
        if low <= Fraction(7 * a + 11 * b + 4 * c, 10) <= high and a + b > 0 and a + c > 0
    }  # fmt: skip
    assert {tuple(int(n) for n in row) for row in found} == every
    assert len(found) == len(every)
    costs = [walk.cost(data, row) for row in found]
    assert costs == sorted(costs)


@settings(REPEATED, max_examples=60)
@given(instances(limited=False))
def test_fleets_struck_off_cannot_serve(data):
    """After one fleet failed, all that are struck off with it are infeasible as a supply."""
    unit = price_unit(data.price.tolist())
    if unit is None or not np.isfinite(data.load).any(axis=1).all():
        return
    struck = walk.Struck()
    found = walk.fleets(data, unit, Fraction(0), Fraction(3), struck)
    if found is None or len(found) == 0:
        return
    counts = found[0]
    divided = roomy(data, counts)
    if divided is not None and divided.room >= -1e-7:
        return
    struck.add(data, counts, divided)
    left = {tuple(row) for row in struck.left(found)}
    again = walk.fleets(data, unit, Fraction(0), Fraction(3), struck)
    assert {tuple(row) for row in again} == left
    gone = [row for row in found if tuple(row) not in left]
    assert any((row == counts).all() for row in gone)
    for row in gone[:6]:
        assert best_by_enumeration(replace(data, most=row)) is None


def test_no_time_is_no_invented_proof():
    outcome, _ = fleet_slices.solve(large(), limits=highs.Limits(limit_s=0.0))
    assert outcome.status in (Status.FEASIBLE, Status.OPTIMAL)
    check(large(), outcome.solution, outcome.value)
    assert outcome.bound <= outcome.value
    scarce = replace(large(), most=np.full(5, 3.0))
    assert fleet_slices.solve(scarce, limits=highs.Limits(limit_s=0.0))[0].status in (Status.UNKNOWN, Status.FEASIBLE)


def test_nothing_to_serve_costs_nothing():
    data = instance(np.zeros((0, 2)))
    assert solved(data) == 0.0
    assert solved(replace(data, fractional=True)) == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"price": np.array([-1.0])}, "price = -1.0 must not be negative"),
        ({"price": np.array([math.inf])}, "price must be finite"),
        ({"load": np.array([[math.nan]])}, "load = nan must be positive"),
        ({"load": np.array([[0.0]])}, "load = 0.0 must be positive"),
        ({"load": np.array([[1.0, 1.0]])}, "load has shape"),
        ({"most": np.array([1.5])}, "most must be whole or infinite"),
        ({"slices": np.array([0])}, "slices must be whole and at least 1"),
        ({"slices": np.array([1.0])}, "slices must be whole and at least 1"),
    ],
)
def test_bad_call(change, message):
    with pytest.raises(ValueError, match=message):
        replace(instance([[1.0]]), **change)
