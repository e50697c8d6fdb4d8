"""The solvers as pinned: both in one process, statuses read, programs written and read back, repeatable."""

import itertools
import math
import subprocess
import sys
from pathlib import Path

import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ortools.sat.python import cp_model

from formulations import best_system
from formulations.solvers import cpsat, highs
from formulations.solvers.outcome import Outcome, Status
from tests.cases.best_system_cases import large

BOTH = {
    "highspy": """
import highspy
h = highspy.Highs()
h.setOptionValue("output_flag", False)
x = h.addIntegral(lb=0, ub=10)
h.maximize(3 * x)
assert h.getInfo().objective_function_value == 30.0
""",
    "ortools": """
from ortools.sat.python import cp_model
m = cp_model.CpModel()
y = m.new_int_var(0, 10, "y")
m.maximize(3 * y)
s = cp_model.CpSolver()
assert s.solve(m) == cp_model.OPTIMAL and s.objective_value == 30.0
""",
}


@pytest.mark.parametrize("order", list(itertools.permutations(BOTH)))
def test_both_solvers_in_one_process_in_either_order(order):
    """highspy 1.15 and ortools 9.15 fail here: both bring a libhighs.so.1 (google/or-tools issue 5246)."""
    imports = "".join(BOTH[name].strip().splitlines()[0] + "\n" for name in order)
    code = imports + "".join(BOTH[name] for name in order)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def small(*, least: float = 4.5, most: float | None = 10.0) -> pyo.ConcreteModel:
    """min 2x + 3z, x + z >= least, z integer."""
    m = pyo.ConcreteModel("small")
    m.x = pyo.Var(bounds=(0, most))
    m.z = pyo.Var(bounds=(0, most), domain=pyo.Integers)
    m.cost = pyo.Objective(expr=2 * m.x + 3 * m.z)
    m.enough = pyo.Constraint(expr=m.x + m.z >= least)
    return m


def test_small_program_is_nine():
    """highspy 1.14.0 answers 15 (ERGO-Code/HiGHS issue 2975)."""
    result = highs.solve(highs.load(small()), highs.Limits())
    assert result.status is Status.OPTIMAL
    assert result.value == pytest.approx(9.0) == result.bound
    assert result.values == pytest.approx({"x": 4.5, "z": 0.0})


def plain(*, least: float = 4.5, most: float | None = 10.0, sign: int = 1, whole: bool = False) -> pyo.ConcreteModel:
    """`small` without integers (or of integers alone), minimised, or its negative maximised."""
    m = small(least=least, most=most)
    for var in (m.x, m.z):
        var.domain = pyo.Integers if whole else pyo.Reals
    m.cost.set_value(sign * m.cost.expr)
    m.cost.set_sense(pyo.minimize if sign == 1 else pyo.maximize)
    return m


@pytest.mark.parametrize("sign", [1, -1])
def test_bound_of_a_linear_program_is_its_optimum(sign):
    """A bound of branches is zero where nothing branches: below any cost, and above what -9 is the most of."""
    result = highs.solve(highs.load(plain(sign=sign)), highs.Limits())
    assert (result.status, result.nodes <= 1) == (Status.OPTIMAL, True)
    assert (result.value, result.bound) == pytest.approx((9.0 * sign, 9.0 * sign))


def test_a_linear_program_cut_short_has_no_bound():
    result = highs.solve(highs.load(plain()), highs.Limits(limit_s=0.0))
    assert result.status in (Status.UNKNOWN, Status.OPTIMAL)
    assert result.status is Status.OPTIMAL or result.bound is None


SIZES = st.sampled_from([0.0, 1e-9, 1e-3, 1.0, 7.0, 1e3, 1e9])


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.tuples(SIZES, SIZES), min_size=1, max_size=4), st.sampled_from([0.0, 1.0, 2.5, 7.0]),
       st.sampled_from([0, 1, 2]), st.booleans())  # fmt: skip
def test_least_cost_of_a_demand(columns, demand, seed, whole):
    """min c y, y <= supply, sum y >= demand: prices and supplies 0, equal, 1e9 beside 1e-9; whole or divided.

    Callers rely on: INFEASIBLE only where there is nothing (rows to 1e-7 of the demand), OPTIMAL with a finite bound
    on the right side of the value, and no status that depends on the seed.
    """
    m = pyo.ConcreteModel("demand")
    at = range(len(columns))
    m.y = pyo.Var(at, domain=pyo.NonNegativeIntegers if whole else pyo.NonNegativeReals)
    m.cost = pyo.Objective(expr=pyo.quicksum(c * m.y[i] for i, (c, _) in enumerate(columns)))
    m.enough = pyo.Constraint(expr=pyo.quicksum(m.y[i] for i in at) >= demand)
    m.supply = pyo.Constraint(at, rule=lambda m, i: m.y[i] <= columns[i][1])
    result = highs.solve(highs.load(m), highs.Limits(seed=seed))
    need, best = math.ceil(demand) if whole else demand, 0.0
    for cost, supply in sorted(columns):
        taken = min(math.floor(supply) if whole else supply, need)
        need, best = need - taken, best + cost * taken
    if 0 < need <= 1e-7:
        return  # nearer than the tolerance of rows: either answer is right
    assert (result.status is Status.INFEASIBLE) == (need > 0)
    if need == 0:
        near = 1e-6 * max(best, max(c for c, _ in columns) * 1e-3) + 1e-7
        assert result.status is Status.OPTIMAL
        assert result.value == pytest.approx(best, abs=near)
        assert result.bound == pytest.approx(best, abs=near) and result.bound <= result.value + near


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("whole", [True, False])
def test_a_limit_met_exactly_holds_and_one_that_is_missed_does_not(seed, size, whole):
    """A limit at a value, and a hair of 1e-5 beyond it: outside of the tolerance of 1e-7 for numbers of 1 and more."""
    def status(room: float) -> Status:
        m = pyo.ConcreteModel("room")
        m.take = pyo.Var(domain=pyo.NonNegativeIntegers if whole else pyo.NonNegativeReals)
        m.most = pyo.Objective(expr=m.take, sense=pyo.maximize)
        m.enough = pyo.Constraint(expr=m.take >= 3)
        m.limit = pyo.Constraint(expr=size * m.take <= room)
        return highs.solve(highs.load(m), highs.Limits(seed=seed)).status

    assert [status(3 * size * (1 + share)) for share in (0.0, 1e-7, 1e-4)] == [Status.OPTIMAL] * 3
    assert status(3 * size - max(size, 1.0) * 1e-5) is Status.INFEASIBLE


def market_split(size: int = 30) -> pyo.ConcreteModel:
    """Market split: equations in binaries with slack, where the root relaxation says nothing."""
    m = pyo.ConcreteModel("market_split")
    m.take = pyo.Var(range(size), domain=pyo.Binary)
    m.over = pyo.Var(range(4), domain=pyo.NonNegativeReals)
    m.under = pyo.Var(range(4), domain=pyo.NonNegativeReals)
    weight = {(i, j): (i + 3) * (j + 7) * 7919 % 100 for i in range(4) for j in range(size)}
    m.miss = pyo.Objective(expr=sum(m.over[i] + m.under[i] for i in range(4)))

    @m.Constraint(range(4))
    def halve(m, i):
        half = sum(weight[i, j] for j in range(size)) // 2
        return sum(weight[i, j] * m.take[j] for j in range(size)) + m.over[i] - m.under[i] == half

    return m


def test_infeasible_is_read():
    result = highs.solve(highs.load(small(least=20.5)), highs.Limits())
    assert (result.status, result.values, result.value, result.bound) == (Status.INFEASIBLE, {}, None, None)


@pytest.mark.parametrize("domain", [pyo.NonNegativeReals, pyo.NonNegativeIntegers])
def test_unbounded_is_read(domain):
    """Presolve says "infeasible or unbounded"; a second run says which."""
    m = pyo.ConcreteModel("unbounded")
    m.x, m.z = pyo.Var(domain=pyo.NonNegativeReals), pyo.Var(domain=domain)
    m.most = pyo.Objective(expr=m.x + 2 * m.z, sense=pyo.maximize)
    m.apart = pyo.Constraint(expr=m.x - m.z <= 3)
    result = highs.solve(highs.load(m), highs.Limits())
    assert (result.status, result.values, result.bound) == (Status.UNBOUNDED, {}, None)
    m.never = pyo.Constraint(expr=m.x - m.z >= 4)
    assert highs.solve(highs.load(m), highs.Limits()).status is Status.INFEASIBLE


def test_node_limit_leaves_no_false_proof():
    result = highs.solve(highs.load(market_split()), highs.Limits(node_limit=5))
    assert result.status in (Status.FEASIBLE, Status.UNKNOWN)
    if result.status is Status.FEASIBLE:
        assert result.bound is None or result.bound < result.value
    assert result.nodes <= 50


def test_limits_reach_the_solver():
    program = highs.load(small())
    highs.solve(
        program, highs.Limits(absolute_gap=0.5, relative_gap=0.25, limit_s=60.0, node_limit=7, seed=3)
    )
    options = ("mip_abs_gap", "mip_rel_gap", "time_limit", "mip_max_nodes", "random_seed", "threads")
    assert [program.highs.getOptionValue(name)[1] for name in options] == [1e-9, 0.0, 60.0, 7, 3, 1]


def test_limit_before_any_solution_is_unknown():
    result = highs.solve(highs.load(market_split()), highs.Limits(limit_s=0.0))
    assert (result.status, result.values, result.value) == (Status.UNKNOWN, {}, None)


def test_no_outcome_without_its_solution():
    for status, solution in (
        (Status.OPTIMAL, None),
        (Status.FEASIBLE, None),
        (Status.INFEASIBLE, "something"),
    ):
        with pytest.raises(ValueError, match="outcome with solution"):
            Outcome(status, solution, None if solution is None else 1.0, None)


def test_a_row_that_is_not_linear_is_refused():
    m = small()
    m.curve = pyo.Constraint(expr=m.x * m.z >= 1)
    with pytest.raises(highs.SolverFailure, match="not linear"):
        highs.load(m)


@pytest.mark.parametrize("suffix", ["lp", "mps"])
@pytest.mark.parametrize("objective", ["ratio", "speed", "cost"])
def test_written_program_has_the_same_optimum(tmp_path: Path, suffix: str, objective: str):
    program = highs.load(best_system.build(large(objective, 40), lam=0.05))
    path = tmp_path / f"program.{suffix}"
    highs.write(program, path, ["best_system: written by a test", "status: optimal"])
    text = path.read_text()
    assert text.splitlines()[1][1:] == " status: optimal"
    assert "[" not in text
    result = highs.solve(program, highs.Limits())
    assert highs.read_optimum(path) == pytest.approx(result.value, rel=1e-6, abs=1e-6)


def test_written_constant_of_the_objective_is_kept(tmp_path: Path):
    m = small()
    m.cost.set_value(m.cost.expr + 100.0)
    for suffix in ("lp", "mps"):
        highs.write(highs.load(m), tmp_path / f"small.{suffix}", [])
        assert highs.read_optimum(tmp_path / f"small.{suffix}") == pytest.approx(109.0)


def test_reading_back_without_an_optimum_is_a_failure(tmp_path: Path):
    path = tmp_path / "never.mps"
    highs.write(highs.load(small(least=20.5)), path, [])
    with pytest.raises(highs.SolverFailure, match="Infeasible"):
        highs.read_optimum(path)
    with pytest.raises(highs.SolverFailure, match="could not read"):
        highs.read_optimum(tmp_path / "missing.lp")


def test_two_solves_are_identical():
    runs = [highs.solve(highs.load(market_split(20)), highs.Limits(node_limit=50)) for _ in range(2)]
    assert runs[0] == runs[1]
    data = large("ratio", 100)
    systems = [best_system.solve(data, removal=False)[0] for _ in range(2)]
    assert systems[0] == systems[1]


def pair(*, most: int) -> cp_model.CpModel:
    m = cp_model.CpModel()
    x, y = m.new_int_var(0, 10, "x"), m.new_int_var(0, 10, "y")
    m.add(3 * x + 2 * y <= most).with_name("room")
    m.add(x + y >= 2).with_name("enough")
    m.maximize(2**55 * x + 2**54 * y + 7)
    return m


def test_cpsat_reads_an_optimum_above_the_integers_of_a_float():
    result = cpsat.solve(pair(most=17), cpsat.Limits())
    best = max(2 * x + y for x in range(11) for y in range(11) if 3 * x + 2 * y <= 17)
    assert result.status is Status.OPTIMAL
    assert result.bound == best * 2**54 + 7
    assert 3 * result.values["x"] + 2 * result.values["y"] <= 17


def test_cpsat_reads_infeasible_and_unknown():
    result = cpsat.solve(pair(most=3), cpsat.Limits())
    assert (result.status, result.values, result.bound) == (Status.INFEASIBLE, {}, None)
    assert cpsat.solve(pair(most=17), cpsat.Limits(deterministic_s=0.0)).status in (
        Status.UNKNOWN,
        Status.FEASIBLE,
    )


def test_cpsat_refuses_an_overflow():
    m = cp_model.CpModel()
    x = m.new_int_var(0, 2**40, "x")
    m.add(2**40 * x <= 5)
    with pytest.raises(cpsat.SolverFailure, match="overflow"):
        cpsat.solve(m, cpsat.Limits())
