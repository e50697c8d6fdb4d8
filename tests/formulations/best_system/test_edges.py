"""best_system and disaggregated at the edges of their numbers, and what their callers rely on.

With removal, the closed form decides which columns are possible, exact to 1e-12 of a limit: a limit that a system
meets is met, one that it misses by 1e-7 is missed, whatever the solver's random seed, and INFEASIBLE, OPTIMAL, value
and bound (to 1e-6, the `gap` asked for) are those of enumeration. Without removal HiGHS alone decides, and holds rows
to 1e-7 of numbers near 1: a limit that is missed by no more may count as met, and numbers of 1e9 beside 1e-9 may end
as FEASIBLE with a bound that is true and wide. A solve that ends early has HiGHS's bound, or none: never the value.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formulations import best_system, disaggregated
from formulations.best_system import cpsat as best_system_cpsat
from formulations.solvers import cpsat, highs
from formulations.solvers.outcome import Outcome, Status
from tests.cases import best_system_cases as one
from tests.cases import disaggregated_cases as two

REPEATED = settings(derandomize=True, deadline=None)
HAIR = st.sampled_from([0.0, 0.0, 1e-7, -1e-7])  # of a limit that some system takes exactly
PRICES = st.sampled_from([1e-9, 1.0, 100.0, 431.0, 1e5, 1e9])
SEEDS = st.sampled_from([0, 1, 2])


@st.composite
def systems(draw):
    """One to four columns, the first sometimes twice; prices and needs of zero, limits at a value and beside it."""
    objective = draw(st.sampled_from(["ratio", "speed", "cost"]))
    columns = []
    for _ in range(draw(st.integers(1, 3))):
        price, replicas = draw(PRICES), draw(st.integers(1, 4))
        if objective != "ratio" and draw(st.booleans()):
            price = 0.0
        columns.append({
            "read_fixed": draw(st.sampled_from([0.0, 0.1, 4.0, 30.0])), "read_slope": draw(st.sampled_from([0.0, 0.5])),
            "compute_fixed": draw(st.sampled_from([0.1, 1.0])), "compute_slope": draw(st.sampled_from([0.0, 0.2])),
            "most_batch": draw(st.sampled_from([0, 1, 8, 12])), "most_replicas": replicas,
            "least_replicas": 1 if objective == "cost" else replicas, "per_server": draw(st.sampled_from([1, 2, 4])),
            "dollars": price, "price": price, "rate": price or 1.0,
            "served": replicas if objective == "ratio" else draw(st.sampled_from([0.0, 1.0, 0.1, 8.0])),
        })  # fmt: skip
    columns += columns[:1] * draw(st.integers(0, 1))
    c = one.COLUMN | columns[0]
    servers = -(-c["parcels"] * c["most_replicas"] // c["per_server"])
    batch = draw(st.integers(1, max(1, int(c["most_batch"]))))
    exactly = {"budget": c["dollars"] * servers, "slowest_step": one.step_of(c, batch),
               "users": c["served"] * (c["most_replicas"] if objective == "cost" else batch)}  # fmt: skip
    limits = {name: draw(st.sampled_from([None, value, value])) for name, value in exactly.items()}
    hair = draw(HAIR)
    limits = {name: value if value is None else value * (1 + hair) for name, value in limits.items()}
    return one.instance(columns, objective, **limits)


@settings(REPEATED, max_examples=120)
@given(systems(), SEEDS)
def test_system_at_the_edges(data, seed):
    best = one.best_by_enumeration(data)
    outcome, _ = best_system.solve(data, limits=highs.Limits(seed=seed))
    assert (outcome.status is Status.INFEASIBLE) == (best is None)
    if best is None:
        return
    assert outcome.status is Status.OPTIMAL and outcome.value == pytest.approx(best, rel=2e-6)
    one.check_solution(data, outcome.solution, outcome.value)
    assert (outcome.bound - outcome.value) * (1 if data.objective == "ratio" else -1) >= 0
    assert outcome.bound == pytest.approx(outcome.value, rel=1e-6)


@settings(REPEATED, max_examples=40)
@given(systems(), SEEDS)
def test_system_at_the_edges_without_removal(data, seed):
    """What the solver alone says is true of the limits to 1e-6, and its bound is a bound."""
    outcome, _ = best_system.solve(data, removal=False, limits=highs.Limits(seed=seed))
    names = [name for name in one.LIMITS if getattr(data, name) is not None]
    wide = {name: getattr(data, name) * (1 - 1e-6 if name == "users" else 1 + 1e-6) for name in names}
    tight, loose = one.best_by_enumeration(data), one.best_by_enumeration(replace(data, **wide))
    assert outcome.status in (Status.OPTIMAL, Status.FEASIBLE, Status.INFEASIBLE)
    if outcome.status is Status.INFEASIBLE:
        assert tight is None
        return
    up = data.objective == "ratio"
    assert loose is not None and (outcome.value <= loose * (1 + 1e-6) if up else outcome.value >= loose * (1 - 1e-6))
    if tight is not None and outcome.bound is not None:
        assert outcome.bound >= tight * (1 - 2e-6) if up else outcome.bound <= tight * (1 + 2e-6)


@st.composite
def pools(draw):
    """Two pools of one or two columns, sometimes equal; speeds and prices far apart; limits at a value or beside it."""
    objective = draw(st.sampled_from(["ratio", "throughput", "cost"]))
    both = []
    for _ in range(2):
        columns = [
            {"speed": draw(st.sampled_from([1e-3, 0.3, 2.0, 1e3])), "price": draw(PRICES),
             "dollars": draw(st.sampled_from([1.0, 431.0, 1e5])), "pace": draw(st.sampled_from([0.0, 0.1])),
             "most_replicas": draw(st.integers(1, 4)), "per_server": draw(st.sampled_from([1, 2]))}
            for _ in range(draw(st.integers(1, 2)))
        ]  # fmt: skip
        both.append(columns + columns[:1] * draw(st.integers(0, 1)))
    i, j = (two.COLUMN | columns[0] for columns in both)
    hair, rate = draw(HAIR), two.rate_of(two.instance(*both, objective, rate_demanded=0.0), i, j, (1, 1))
    demand = draw(st.sampled_from([0.0, rate, rate * (1 + hair)]))
    budget = draw(st.sampled_from([None, (i["dollars"] + j["dollars"]) * (1 + hair)]))
    users = draw(st.sampled_from([None, 0.0, 1.0]))
    return two.instance(*both, objective, rate_demanded=demand, budget=budget, users=users)


@settings(REPEATED, max_examples=80)
@given(pools(), SEEDS)
def test_pools_at_the_edges(data, seed):
    best, _ = two.best_by_enumeration(data)
    outcome, _ = disaggregated.solve(data, limits=highs.Limits(seed=seed))
    near, _ = two.best_by_enumeration(replace(data, rate_demanded=(data.rate_demanded or 0.0) * (1 + 1e-5)))
    if best is None:
        assert outcome.status is Status.INFEASIBLE
    elif near is not None:  # else the enumeration's own tolerance decides
        assert outcome.status in (Status.OPTIMAL, Status.FEASIBLE)
        assert outcome.status is Status.FEASIBLE or outcome.value == pytest.approx(best, rel=2e-6)
        two.check_solution(data, outcome.solution, outcome.value)
        sign = -1 if data.objective == "cost" else 1
        assert outcome.bound is None or sign * (outcome.bound - best) >= -1e-6 * best


@pytest.mark.parametrize("objective", ["speed", "cost", "ratio"])
def test_a_solve_that_proves_no_bound_has_none(objective, monkeypatch):
    """The value is not its own bound: a search that found a system and proved nothing says so."""
    data, real = one.instance([{}, {"read_fixed": 5.0}], objective), highs.solve

    def ended(program, limits, start=None):
        return replace(real(program, limits, start), status=Status.FEASIBLE, bound=None)

    monkeypatch.setattr(highs, "solve", ended)
    outcome, _ = best_system.solve(data, removal=False)
    assert (outcome.status, outcome.bound) == (Status.FEASIBLE, None) and outcome.value is not None


@settings(REPEATED, max_examples=40)
@given(one.instances(most=4), st.sampled_from([0, 1, 3]), st.booleans())
def test_an_ended_search_of_systems_bounds_the_best(data, nodes, removal):
    ended(one.best_by_enumeration(data), data.objective == "ratio",
          best_system.solve(data, removal=removal, limits=highs.Limits(node_limit=nodes))[0])  # fmt: skip


@settings(REPEATED, max_examples=40)
@given(two.instances(), st.sampled_from([0, 1, 3]), st.booleans())
def test_an_ended_search_of_pools_bounds_the_best(data, nodes, removal):
    ended(two.best_by_enumeration(data)[0], data.objective != "cost",
          disaggregated.solve(data, removal=removal, limits=highs.Limits(node_limit=nodes))[0])  # fmt: skip


@settings(REPEATED, max_examples=30)
@given(one.instances(most=3), st.sampled_from([0.0, 1e-4, 1e-3]), SEEDS)
def test_an_ended_search_of_the_twin_bounds_the_best(data, work, seed):
    outcome, error = best_system_cpsat.solve(data, limits=cpsat.Limits(deterministic_s=work, seed=seed))
    if error < 1e-6:
        ended(one.best_by_enumeration(data), data.objective == "ratio", outcome)


def ended(best: float | None, up: bool, outcome: Outcome) -> None:
    """Whatever a search had time for: nothing is found that is not there, and a bound that is told holds."""
    if best is None:
        assert outcome.solution is None
        return
    assert outcome.status is not Status.INFEASIBLE
    sign = 1 if up else -1
    assert outcome.value is None or sign * (outcome.value - best) <= 2e-6 * best
    assert outcome.bound is None or sign * (outcome.bound - best) >= -2e-6 * best
    if outcome.status is Status.OPTIMAL:
        assert outcome.value == pytest.approx(best, rel=2e-6)
