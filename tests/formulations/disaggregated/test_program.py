"""disaggregated: its docstring is the program, every row binds, and its optimum is that of enumeration."""

import math
from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings

from formulations import disaggregated
from formulations.disaggregated import Instance
from formulations.disaggregated import bounds as disaggregated_bounds
from formulations.solvers import highs
from formulations.solvers.outcome import Outcome, Status
from tests.cases.disaggregated_cases import (
    COLUMN,
    LIMITS,
    PAIRS,
    SHARED,
    best_by_enumeration,
    check_solution,
    instance,
    instances,
    large,
)
from tests.cases.docstrings import names

DOC = disaggregated.__doc__ or ""
REPEATED = settings(derandomize=True, deadline=None)
OBJECTIVES = ("ratio", "throughput", "cost")


def every_limit(objective: str) -> Instance:
    return instance([{}, {"speed": 3.0}], [{}, {"pace": 0.1}], objective, **dict.fromkeys(LIMITS, 50.0))


def test_no_row_without_its_pair():
    assert list(PAIRS) == names(DOC, "Constraints")


@pytest.mark.parametrize("removal", [True, False])
@pytest.mark.parametrize("row", PAIRS)
def test_row_binds(row, removal):
    fits, fails = (instance(*pools, objective, **limits) for *pools, objective, limits in PAIRS[row])
    outcome, _ = disaggregated.solve(fits, removal=removal)
    assert outcome.status is Status.OPTIMAL
    check_solution(fits, outcome.solution, outcome.value)
    assert disaggregated.solve(fails, removal=removal)[0].status is Status.INFEASIBLE


@pytest.mark.parametrize("row", PAIRS)
def test_nothing_but_its_row_breaks_the_failing_case(row, monkeypatch):
    """With R = r1, which is enough too: the closed form of R knows the limits."""
    monkeypatch.setattr(disaggregated_bounds, "most_replicas", lambda data: data.most_replicas)
    *pools, objective, limits = PAIRS[row][1]
    model = disaggregated.build(instance(*pools, objective, **limits))
    assert highs.solve(highs.load(model), highs.Limits()).status is Status.INFEASIBLE
    model.component(row).deactivate()
    assert highs.solve(highs.load(model), highs.Limits()).status is Status.OPTIMAL


@pytest.mark.parametrize("limit", LIMITS)
def test_absent_limit_builds_no_row(limit):
    model = disaggregated.build(replace(every_limit("ratio"), **{limit: None}))
    built = [part.local_name for part in model.component_objects(pyo.Constraint)]
    assert built == [name for name in names(DOC, "Constraints") if name not in LIMITS[limit]]


def agrees(data: Instance, outcome: Outcome, best: float | None) -> None:
    """The outcome is that of enumeration, its solution keeps every row, its bound is on the right side."""
    if best is None:
        assert outcome.status is Status.INFEASIBLE
        return
    assert outcome.status is Status.OPTIMAL
    assert outcome.value == pytest.approx(best, rel=1e-6)
    check_solution(data, outcome.solution, outcome.value)
    slack = outcome.value - outcome.bound if data.objective == "cost" else outcome.bound - outcome.value
    assert 0 <= slack <= 1e-6 * outcome.value


def enumerated(data):
    best, _ = best_by_enumeration(data)
    for removal in (True, False):
        agrees(data, disaggregated.solve(data, removal=removal)[0], best)


@settings(REPEATED, max_examples=60)
@given(instances())
def test_optimum_is_that_of_enumeration(data):
    enumerated(data)


@pytest.mark.slow
@settings(REPEATED, max_examples=220)
@given(instances())
def test_optimum_is_that_of_enumeration_long(data):
    enumerated(data)


@pytest.mark.slow
@settings(REPEATED, max_examples=80)
@given(instances())
def test_optimum_without_the_closed_form_of_most_replicas(data):
    """R = r1, no sweep to start from: rows and solver alone."""
    best, _ = best_by_enumeration(data)
    blind = replace(disaggregated_bounds.sweep(data), best=None, value=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disaggregated_bounds, "most_replicas", lambda data: data.most_replicas)
        patch.setattr(disaggregated_bounds, "sweep", lambda data: blind)
        agrees(data, disaggregated.solve(data, removal=False)[0], best)


@pytest.mark.slow
@settings(REPEATED, max_examples=200)
@given(instances())
def test_sweep_bounds_every_column(data):
    """The start is a system, exact where counts are few; a bound is never worse; what wins stays."""
    sweep, (best, own) = disaggregated_bounds.sweep(data), best_by_enumeration(data)
    assert (sweep.best is None) == (best is None)
    up = 1 if data.objective != "cost" else -1
    for c, label in enumerate(data.columns.tolist()):
        if label not in own:
            assert math.isnan(sweep.bound[c])
            assert c not in sweep.kept
            continue
        assert up * sweep.bound[c] >= up * own[label] - 1e-12 * own[label]
        if c not in sweep.kept:
            assert up * sweep.bound[c] < up * sweep.value
            assert up * sweep.bound[c] <= up * sweep.removed_bound
    if best is not None:
        assert sweep.value == pytest.approx(best, rel=1e-9)


@settings(REPEATED, max_examples=40)
@given(instances())
def test_looser_limits_never_hurt(data):
    looser = replace(data, **{name: limit * 1.5 for name in SHARED.values()
                              if (limit := getattr(data, name)) is not None})  # fmt: skip
    tight, loose = (disaggregated.solve(d)[0] for d in (data, looser))
    if tight.value is not None:
        sign = -1 if data.objective == "cost" else 1
        assert sign * loose.value >= sign * tight.value - 1e-6 * tight.value


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_removal_does_not_change_the_optimum_of_200_by_200_columns(objective):
    data = large(objective)
    with_removal, proof = disaggregated.solve(data)
    without, full = disaggregated.solve(data, removal=False)
    assert (with_removal.status, without.status) == (Status.OPTIMAL, Status.OPTIMAL)
    assert full.solved == 400 > proof.solved
    assert without.value == pytest.approx(with_removal.value, rel=1e-6)
    for outcome in (with_removal, without):
        agrees(data, outcome, outcome.value)


def test_program_finds_what_the_sweep_does_not_try():
    """300 and 301 replicas balance exactly; the sweep tries 200 to 263 and 337 to 400 of a pool."""
    prefill, decode = ({"speed": speed, "most_replicas": 400.0, "price": 1.0} for speed in (301.0, 300.0))
    data = instance([prefill], [decode], "ratio", rate_demanded=30_000.0)
    outcome, proof = disaggregated.solve(data)
    assert (outcome.solution.prefill.replicas, outcome.solution.decode.replicas) == (300, 301)
    assert outcome.status is Status.OPTIMAL
    assert outcome.value == pytest.approx(150.5 * 300 / 601)
    assert outcome.value > proof.sweep.value
    assert proof.trace.solves > 1


def test_rate_is_what_the_smaller_pool_serves():
    """Ten prompts/s at 80 % and two replicas of three requests/s: one prefill replica, 6 requests/s."""
    data = instance([{"speed": 10.0, "utilisation": 0.8}],
                    [{"speed": 3.0, "utilisation": 1.0, "most_replicas": 2.0}], "throughput")  # fmt: skip
    solution = disaggregated.solve(data)[0].solution
    assert (solution.prefill.replicas, solution.decode.replicas, solution.rate) == (1, 2, 6.0)


def test_users_ask_at_the_pace_of_the_column_that_decodes_them():
    """A faster decode column ends its users' requests sooner, so the same users need more prefill."""
    prefill = [{"price": 1.0, "most_replicas": 100.0}]
    slow, fast = ({"speed": 8.0, "pace": pace, "price": 1.0} for pace in (0.125, 0.5))
    paid = [disaggregated.solve(instance(prefill, [c], "cost", users=32.0))[0].value for c in (slow, fast)]
    assert paid == [4.0 + 1.0, 16.0 + 4.0]


@pytest.mark.parametrize("limit", [{}, {"chip_limit": 64.0}])
def test_nothing_bounds_the_pools(limit):
    """A limit on what neither column takes is none."""
    endless = {"most_replicas": math.inf, "chips": 0.0}
    outcome, _ = disaggregated.solve(instance([endless], [endless], "throughput", **limit))
    assert outcome.status is Status.UNBOUNDED
    with pytest.raises(ValueError, match="needs a limit or most_replicas"):
        disaggregated.solve(instance([endless], [endless], "ratio", **limit))
    cost = instance([endless], [endless], "cost", rate_demanded=20.0, **limit)
    assert disaggregated.solve(cost)[0].value == pytest.approx(20 * 100.0 + 20 * 100.0)


@pytest.mark.parametrize("objective", ["ratio", "throughput"])
def test_one_bounded_pool_bounds_the_other(objective):
    data = instance([{"most_replicas": math.inf}], [{}], objective)
    for removal in (True, False):
        agrees(data, *[disaggregated.solve(data, removal=removal)[0], {"ratio": 0.005, "throughput": 6.0}[objective]])


@pytest.mark.parametrize("pools", [([], [{}]), ([{}], [])])
def test_pool_without_columns_is_infeasible(pools):
    for removal in (True, False):
        assert disaggregated.solve(instance(*pools, "ratio"), removal=removal)[0].status is Status.INFEASIBLE


@pytest.mark.parametrize(
    ("objective", "column", "limits", "message"),
    [
        ("cost", {}, {}, "needs rate_demanded or users"),
        ("ratio", {"price": 0.0}, {}, "price = 0.0 must be positive"),
        ("throughput", {"speed": 0.0}, {}, "speed = 0.0 must be positive"),
        ("throughput", {"speed": math.nan}, {}, "speed = nan must be positive"),
        ("throughput", {"link": -1.0}, {"cache": 1.0}, "link = -1.0 must be positive"),
    ],
)
def test_bad_call(objective, column, limits, message):
    with pytest.raises(ValueError, match=message):
        instance([column], [{}], objective, **limits)


def test_labels_of_both_pools_differ():
    arrays = {name: np.full(2, value) for name, value in COLUMN.items()}
    with pytest.raises(ValueError, match="labels of both pools must differ"):
        Instance(prefill=np.array([1]), decode=np.array([1]), objective="throughput", **arrays)


def test_limits_end_without_an_invented_proof():
    data = large("ratio", 100)
    outcome, _ = disaggregated.solve(data, removal=False, limits=highs.Limits(limit_s=0.0))
    assert outcome.status in (Status.FEASIBLE, Status.UNKNOWN)
    assert outcome.bound is None or outcome.bound >= disaggregated_bounds.sweep(data).value
