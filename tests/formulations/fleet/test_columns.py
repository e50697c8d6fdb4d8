"""Column generation for fleet: equal to the full program, its bounds hold, more is never worse."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from formulations import fleet
from formulations.fleet import Instance, check, dominance
from formulations.fleet import columns as fleet_columns
from formulations.solvers import highs
from formulations.solvers.outcome import Status
from tests.cases.fleet_cases import Reference, instance, instances
from tests.cases.fleet_generator import plan

LOOSENED = ("capital", "spending", "power", "racks", "supply", "most_servers", "kinds", "host")
REPEATED = settings(derandomize=True, deadline=None)
LEAST = ("cost", "power")


def generated(seed: int, most: int) -> Instance:
    """Up to `most` columns: few demands of a few servers each, any objective and some limits."""
    draw = np.random.default_rng(seed)
    workloads = int(draw.integers(1, 4))
    each = int(np.exp(draw.uniform(np.log(20), np.log(most / workloads))))
    objective = ("cost", "cost", "power", "value")[seed % 4]
    data = plan(workloads, each, seed=seed, periods=1 + seed % 3 // 2, objective=objective)
    few = data.demand * 20.0 / data.demand.max()
    limits = {"most_kinds": 2} if seed % 5 == 1 else {"one_kind": True} if seed % 5 == 2 else {}
    if objective == "value":
        limits |= {"power": np.full(len(data.length), draw.uniform(30.0, 300.0))}
    return replace(data, demand=few, least=few if objective in LEAST else 0.0 * few, **limits)


def equal(data: Instance) -> None:
    """The full program with every column, dominated or not, against column generation."""
    full, _ = fleet.solve(data, method="full", removal=False, gap=1e-5)
    columns, proof = fleet.solve(data, method="columns", gap=1e-5)
    assert columns.status is full.status is Status.OPTIMAL
    assert columns.value == pytest.approx(full.value, rel=2.1e-5)
    if data.objective in LEAST:
        assert columns.bound <= full.value * (1 + 1e-9) and full.bound <= columns.value * (1 + 1e-9)
        assert proof.relaxation <= columns.value * (1 + 1e-9)
    else:
        assert columns.bound >= full.value * (1 - 1e-9) and full.bound >= columns.value * (1 - 1e-9)
    assert check.broken(data, columns.solution) == []
    asked = int((data.demand > 0)[data.demand_of].sum())
    assert proof.priced >= asked
    assert proof.entered <= proof.undominated * len(data.length)


@pytest.mark.parametrize("seed", range(4))
def test_columns_are_the_full_program(seed):
    equal(generated(seed, 300))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_columns_are_the_full_program_up_to_20_000(seed):
    equal(generated(seed, 20_000))


def test_cuts_and_patterns_change_no_optimum(monkeypatch):
    data = generated(0, 300)
    without, _ = fleet.solve(data, method="columns")
    monkeypatch.setattr(fleet_columns, "TIGHTEN", 0)
    assert fleet.solve(data, method="columns")[0].value == pytest.approx(without.value, rel=2e-6)


@settings(REPEATED, max_examples=20)
@given(instances(LEAST))
def test_cuts_hold_for_every_fleet(data):
    """The same optimum as enumeration with the cuts on, however small the program."""
    best = Reference(data, most=2).best()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet_columns, "TIGHTEN", 0)
        outcome, _ = fleet.solve(data, method="columns")
    assert outcome.value == (None if best is None else pytest.approx(best, rel=1e-6))


def test_relaxation_and_duals_are_those_of_hand():
    """One server of 100 + 5 k$ holds two replicas of 2 requests/s: 26.25 k$ for each request/s."""
    data = instance([{}], demands=[{"demand": 10.0}])
    outcome, proof = fleet.solve(data, method="columns")
    assert outcome.value == pytest.approx(315.0)
    assert proof.relaxation == pytest.approx(262.5)
    assert proof.duals["serve_least[0,0]"] == pytest.approx(26.25)
    assert proof.duals["serve_tokens[0,0,0]"] == pytest.approx(26.25)


def test_shortage_over_all_columns_is_infeasible():
    data = replace(generated(0, 300), power=np.array([0.5]))
    assert fleet.solve(data, method="columns")[0].status is Status.INFEASIBLE


def test_dominated_columns_are_told_by_hand():
    columns = [
        {"rate": 2.0, "size": 4}, {"rate": 2.0, "size": 8}, {"rate": 3.9, "size": 8}, {"rate": 4.1, "size": 8},
        {"rate": 2.0, "size": 4}, {"rate": 1.9, "size": 4, "meets": False}, {"rate": 2.5, "size": 4, "phase": 1},
        {"rate": 9.0, "size": 8, "parcels": 2},
    ]  # fmt: skip
    data = instance(columns, demands=[{"demand": 9.0}])
    assert dominance.undominated(data).tolist() == [0, 3, 6, 7]
    assert dominance.undominated(replace(data, demand=0.2 * data.demand, least=0.2 * data.least)).tolist() == [0]


@pytest.mark.parametrize("method", ["full", "columns"])
def test_time_limit_returns_the_incumbent_with_its_gap(method):
    data = plan(3, 100, seed=3)
    outcome, _ = fleet.solve(data, method=method, limits=highs.Limits(node_limit=1), gap=1e-9)
    assert outcome.status is Status.FEASIBLE
    assert outcome.bound < outcome.value
    assert check.broken(data, outcome.solution) == []


@pytest.mark.slow
def test_bound_within_a_gap_is_below_a_fleet_that_is_known():
    """HiGHS's own gap option reports 58,866 k$ as optimum and bound here; a fleet of 58,765 k$ exists."""
    data = plan(4, 300, seed=2, periods=3)
    outcome, _ = fleet.solve(data, method="full", gap=1e-3, limits=highs.Limits(node_limit=100))
    assert outcome.bound <= 58_765.0


def test_no_time_is_no_claim():
    outcome, _ = fleet.solve(plan(6, 400, seed=3), method="columns", limits=highs.Limits(limit_s=0.0))
    assert outcome.status is Status.UNKNOWN and outcome.value is None


def ordered(data: Instance, better: Instance) -> None:
    """The second one is no worse than the first."""
    first = fleet.solve(data)[0].value
    assume(first is not None)
    second = fleet.solve(better)[0].value
    assert second is not None
    assert (first - second if data.objective in LEAST else second - first) >= -2e-6 * abs(first) - 1e-9


@settings(REPEATED, max_examples=24)
@given(instances(), st.sampled_from(LOOSENED))
def test_more_of_a_limit_is_never_worse(data, limit):
    if limit == "kinds":
        better = replace(data, most_kinds=None if data.most_kinds is None else data.most_kinds + 1)
    elif limit == "host":
        better = replace(data, one_kind=False)
    else:
        given_limit = getattr(data, limit)
        assume(given_limit is not None)
        better = replace(data, **{limit: given_limit * 1.5 + 1.0})
    ordered(data, better)


@settings(REPEATED, max_examples=12)
@given(instances())
def test_more_choice_is_never_worse(data):
    assume(len(data.columns) > 1)
    ordered(data.only(data.columns[:-1]), data)


@settings(REPEATED, max_examples=12)
@given(instances(LEAST), st.sampled_from([0.25, 0.5, 0.75]))
def test_less_demand_never_costs_more(data, share):
    ordered(data, replace(data, demand=share * data.demand, least=share * data.least))
