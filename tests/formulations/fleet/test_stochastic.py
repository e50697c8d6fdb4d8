"""fleet_stochastic: its docstring is the program, losses are survived, and its optimum is that of enumeration."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formulations import fleet
from formulations.fleet import stochastic
from formulations.fleet.stochastic import KIND, NONE, RACK, Instance
from formulations.solvers.outcome import Status
from tests.cases.fleet_cases import PAIRS, Reference, instance, instances

DOC = stochastic.__doc__ or ""
REPEATED = settings(derandomize=True, deadline=None)


def scenarios(plan: fleet.Instance, *rows: tuple[float, float, int, int]) -> Instance:
    """One scenario for each (probability, factor of demand and least, loss, lost kind)."""
    factor = np.array([row[1] for row in rows])
    return Instance(
        plan=plan, probability=np.array([row[0] for row in rows]), demand=plan.demand[:, :, None] * factor,
        least=plan.least[:, :, None] * factor, loss=np.array([row[2] for row in rows]),
        lost=np.array([row[3] for row in rows]),
    )  # fmt: skip


@pytest.mark.parametrize("row", PAIRS)
def test_rows_of_fleet_bind_in_a_scenario_that_is_not_expected(row):
    fits, fails = (instance(*case[:3], **case[3]) for case in PAIRS[row])
    for plan, status in ((fits, Status.OPTIMAL), (fails, Status.INFEASIBLE)):
        easy = scenarios(plan, (1.0, 0.0, NONE, 0), (0.0, 1.0, NONE, 0))
        assert stochastic.solve(easy)[0].status is status


LOSSES = {  # four servers a rack, two replicas a server, 2 requests/s each: 16 requests/s a rack
    "lose_rack": (([{"supply": 6.0}], {"demand": 8.0}, RACK, 0), ([{"supply": 5.0}], {"demand": 8.0}, RACK, 0)),
    "lose_all": (([{"supply": 5.0}], {"demand": 4.0}, RACK, 0), ([{"supply": 4.0}], {"demand": 0.1}, RACK, 0)),
}


@pytest.mark.parametrize("row", LOSSES)
def test_losses_bind(row):
    for (kinds, demand, loss, lost), status in zip(LOSSES[row], (Status.OPTIMAL, Status.INFEASIBLE), strict=True):
        plan = instance([{}], kinds, [demand])
        assert stochastic.solve(scenarios(plan, (1.0, 1.0, loss, lost)))[0].status is status


def test_stay_left_of_a_lost_kind_is_nothing():
    plan = instance([{}, {"kind": 1}], [{}, {"price": 300.0}])
    lost = scenarios(plan, (1.0, 1.0, NONE, 0), (0.0, 1.0, KIND, 0))
    outcome, _ = stochastic.solve(lost)
    assert outcome.value == pytest.approx(305.0)  # the dear kind serves in both
    assert outcome.solution.situations[1].own.tolist() == [[0], [1]]
    assert stochastic.solve(scenarios(instance([{}]), (1.0, 1.0, KIND, 0)))[0].status is Status.INFEASIBLE


def test_survive_serves_the_share():
    plan = instance([{}, {"kind": 1}], [{}, {"price": 300.0}], [{"demand": 8.0}])
    values = [stochastic.solve(stochastic.survive(plan, KIND, share=x))[0].value for x in (1.0, 0.5, 0.0)]
    assert values == pytest.approx([820.0, 410.0, 210.0])
    racks = stochastic.solve(stochastic.survive(plan, RACK))[0]
    assert racks.value == pytest.approx(6 * 105.0)  # a rack of four is lost, two must be left


def test_demand_is_known_before_replicas_are_placed():
    """Two demands that take turns share their servers."""
    plan = instance([{}, {"demand": 1}], demands=[{"demand": 8.0}, {"demand": 8.0}])
    demand = np.array([[[8.0, 0.0]], [[0.0, 8.0]]])
    data = replace(scenarios(plan, (0.5, 1.0, NONE, 0), (0.5, 1.0, NONE, 0)), demand=demand, least=demand)
    assert stochastic.solve(data)[0].value == pytest.approx(210.0)


def test_expected_worth():
    plan = instance([{}], [{"supply": 1.0}], [{"demand": 4.0, "worth": 2.0}], objective="value")
    outcome, _ = stochastic.solve(scenarios(plan, (0.25, 0.5, NONE, 0), (0.75, 9.0, NONE, 0)))
    assert outcome.value == pytest.approx(0.25 * 2 * 2.0 + 0.75 * 2 * 4.0)


@settings(REPEATED, max_examples=15)
@given(instances())
def test_one_scenario_is_the_plan(plan):
    first, second = fleet.solve(plan)[0], stochastic.solve(scenarios(plan, (1.0, 1.0, NONE, 0)))[0]
    assert first.status is second.status
    if first.value is not None:
        assert second.value == pytest.approx(first.value, rel=2e-6)


def best_by_enumeration(data: Instance) -> float | None:
    """Every fleet; in every scenario the best replicas on what is left."""
    plan, values = data.plan, []
    each = [Reference(data.situation(s), most=2) for s in data.scenarios.tolist()]
    hosts = [None]
    if plan.one_kind:
        hosts = list(itertools.product(plan.kinds.tolist(), repeat=int(plan.workloads.max()) + 1))
    for buy, _, own in Reference(plan, most=2).fleets():
        gains = []
        for host in hosts:
            rows = [
                each[s].gain(tuple(remaining(data, own, s)[:, p].tolist()), p, host)
                for s in data.scenarios.tolist() for p in plan.periods.tolist()
            ]  # fmt: skip
            if None not in rows:
                gains.append(float(np.dot(np.repeat(data.probability, len(plan.periods)), rows)))
        if gains:
            values.append(value_of(plan, buy, own, max(gains)))
    values = [v for v in values if v is not None]
    if not values:
        return None
    return min(values) if plan.objective in ("cost", "power") else max(values)


def remaining(data: Instance, own: np.ndarray, s: int) -> np.ndarray:
    """Servers left, said again in other words than the program's."""
    after = own.copy()
    for p in data.plan.periods:
        taken = {NONE: 0, RACK: int(-(-data.plan.servers_per_rack[data.lost[s]] // 1)), KIND: 10**6}[int(data.loss[s])]
        after[data.lost[s], p] -= min(taken, own[data.lost[s], p])
    return after


def value_of(plan: fleet.Instance, buy: np.ndarray, own: np.ndarray, gain: float) -> float | None:
    paid = float((plan.charge.sum(axis=2) * buy).sum() + (plan.running * own).sum())
    if plan.objective == "ratio":
        return gain / paid if gain > 0 else None
    power = float((plan.watts[:, None] * own * plan.length).sum() / plan.length.sum())
    return {"cost": paid, "power": power, "value": gain}[plan.objective]


@st.composite
def cases(draw: st.DrawFn) -> Instance:
    plan = draw(instances())
    rows = [(0.5, draw(st.sampled_from([0.5, 1.0])), draw(st.sampled_from([NONE, RACK, KIND])),
             draw(st.sampled_from(plan.kinds.tolist()))) for _ in range(2)]  # fmt: skip
    return scenarios(plan, *rows)


def enumerated(data: Instance) -> None:
    best = best_by_enumeration(data)
    for removal in (True, False):
        outcome, _ = stochastic.solve(data, removal=removal)
        assert outcome.status is (Status.INFEASIBLE if best is None else Status.OPTIMAL)
        if best is not None:
            assert outcome.value == pytest.approx(best, rel=1e-6)
            assert stochastic.broken(data, outcome.solution) == []


@settings(REPEATED, max_examples=20)
@given(cases())
def test_optimum_is_that_of_enumeration(data):
    enumerated(data)


@pytest.mark.slow
@settings(REPEATED, max_examples=100)
@given(cases())
def test_optimum_is_that_of_enumeration_on_100_plans(data):
    enumerated(data)


@pytest.mark.parametrize(("change", "fault"), [
    ({"probability": np.array([0.5])}, "sum to 1"), ({"loss": np.array([7])}, "loss must be"),
    ({"lost": np.array([5])}, "lost must name kinds"), ({"least": np.ones((1, 1))}, "least has shape"),
])  # fmt: skip
def test_wrong_scenarios_are_refused(change, fault):
    with pytest.raises(ValueError, match=fault):
        replace(scenarios(instance([{}]), (1.0, 1.0, NONE, 0)), **change)
