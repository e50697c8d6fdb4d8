"""Pyomo models through HiGHS: one thread, fixed seed, statuses read, nothing rounded by accident.

Pyomo states the model; this file hands its rows to HiGHS as sparse arrays and reads back the
status, the solution and the proven bound. HiGHS has no deterministic time limit, so tests use
`node_limit`; `limit_s` is for people.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import highspy
import numpy as np
import pyomo.environ as pyo
from pyomo.repn import generate_standard_repn

from formulations.solvers.arrays import Array
from formulations.solvers.deadline import NEVER, Deadline
from formulations.solvers.interruptible import interruptible
from formulations.solvers.outcome import Status
from formulations.solvers.rows import INFINITY, Rows

FEASIBILITY = 1e-9  # rows of a relaxation: ratio proofs divide by small denominators
# Integrality and rows of an integer program, and the margin that HiGHS leaves in its cuts: with 1e-9 their rounding
# has cut optima off (1.13.1: a fleet 1.1 % dearer than the cheapest, "proven" with one random seed of three).
MARGIN = 1e-7

EXACT = 1e-9        # absolute gap that HiGHS itself works to
INTEGRAL = 1e-6     # HiGHS's integers are whole to MARGIN, less exact once presolve is undone


class SolverFailure(RuntimeError):
    """HiGHS ended in a state that is neither a solution nor a proof."""


@dataclass(frozen=True)
class Limits:
    """When to stop: `absolute_gap` in the objective's own unit, seconds of one solve, nodes, and the end of all."""

    absolute_gap: float = 1e-9
    relative_gap: float = 0.0
    limit_s: float = INFINITY
    node_limit: int = 2**31 - 1
    seed: int = 0
    deadline: Deadline = NEVER

    @property
    def left_s(self) -> float:
        """Seconds that a solve may take if it starts now."""
        return min(self.limit_s, self.deadline.left_s)


@dataclass(frozen=True)
class Result:
    """Status, the variables' values by name, objective value and proven bound where there are any."""

    status: Status
    values: Mapping[str, float]
    value: float | None
    bound: float | None
    nodes: int

    def scaled(self, unit: float) -> "Result":
        """The result of an objective that was divided by `unit`."""
        value = None if self.value is None else self.value * unit
        return replace(self, value=value, bound=None if self.bound is None else self.bound * unit)


def whole(name: str, value: float) -> int:
    """The whole number that an integer variable stands for; SolverFailure where it is none."""
    count = round(value)
    if abs(value - count) > INTEGRAL:
        raise SolverFailure(f"{name} = {value!r} is not a whole number")
    return count


@dataclass
class Program:
    """A Pyomo model as HiGHS sees it; `names` are the columns in order."""

    highs: highspy.Highs
    names: list[str]
    index: dict[int, int] = field(repr=False)  # id of a Pyomo variable -> column


def _columns(model: pyo.ConcreteModel) -> tuple[list[str], dict[int, int], dict[str, np.ndarray]]:
    names: list[str] = []
    index: dict[int, int] = {}
    lower: list[float] = []
    upper: list[float] = []
    whole: list[bool] = []
    for var in model.component_data_objects(pyo.Var, active=True):
        index[id(var)] = len(names)
        names.append(var.name)
        lower.append(-INFINITY if var.lb is None else var.lb)
        upper.append(INFINITY if var.ub is None else var.ub)
        whole.append(not var.is_continuous())
    return names, index, {"low": np.array(lower), "high": np.array(upper), "whole": np.array(whole)}


def _rows(model: pyo.ConcreteModel, index: dict[int, int]) -> tuple[list[str], dict[str, np.ndarray]]:
    names, lower, upper = [], [], []
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for row in model.component_data_objects(pyo.Constraint, active=True):
        repn = generate_standard_repn(row.body, quadratic=False)
        if repn.nonlinear_expr is not None:
            raise SolverFailure(f"row {row.name} is not linear")
        names.append(row.name)
        lower.append(-INFINITY if row.lower is None else pyo.value(row.lower) - repn.constant)
        upper.append(INFINITY if row.upper is None else pyo.value(row.upper) - repn.constant)
        rows += [len(names) - 1] * len(repn.linear_vars)
        columns += [index[id(var)] for var in repn.linear_vars]
        values += [float(c) for c in repn.linear_coefs]
    return names, {
        "least": np.array(lower), "most": np.array(upper), "row": np.array(rows, dtype=np.int64),
        "column": np.array(columns, dtype=np.int64), "value": np.array(values),
    }  # fmt: skip


def load(model: pyo.ConcreteModel) -> Program:
    """Hand a Pyomo model with exactly one active objective to a quiet, single-threaded HiGHS."""
    names, index, cols = _columns(model)
    row_names, rows = _rows(model, index)
    cost, offset, sense = _objective(model, index)
    lp = Rows(cost=cost, offset=offset, **cols, **rows).lp()
    lp.col_names_, lp.row_names_ = names, row_names
    lp.model_name_, lp.sense_ = model.name, sense
    return Program(quiet(lp), names, index)


def quiet(lp: highspy.HighsLp) -> highspy.Highs:
    """A silent HiGHS of one thread with a program given as sparse arrays."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    if highs.passModel(lp) == highspy.HighsStatus.kError:
        raise SolverFailure(f"HiGHS refused the model {lp.model_name_}")
    return highs


def _objective(model: pyo.ConcreteModel, index: dict[int, int]) -> tuple[Array, float, highspy.ObjSense]:
    (objective,) = model.component_data_objects(pyo.Objective, active=True)
    repn = generate_standard_repn(objective.expr, quadratic=False)
    if repn.nonlinear_expr is not None:
        raise SolverFailure(f"objective {objective.name} is not linear")
    cost = np.zeros(len(index))
    for var, coefficient in zip(repn.linear_vars, repn.linear_coefs, strict=True):
        cost[index[id(var)]] += float(coefficient)
    sense = highspy.ObjSense.kMinimize if objective.is_minimizing() else highspy.ObjSense.kMaximize
    return cost, float(repn.constant), sense


def solve(program: Program, limits: Limits, start: Mapping[str, float] | None = None) -> Result:
    """Run HiGHS from an optional start (values by variable name) and read what it proved.

    OPTIMAL is a proof within the gap of `limits`. Raises SolverFailure on any status that is not one of `Status`.
    """
    highs = program.highs
    options = {
        "mip_abs_gap": min(limits.absolute_gap, EXACT), "mip_rel_gap": 0.0,
        "time_limit": limits.left_s, "mip_max_nodes": limits.node_limit, "random_seed": limits.seed,
        "mip_feasibility_tolerance": MARGIN, "primal_feasibility_tolerance": FEASIBILITY,
        "dual_feasibility_tolerance": FEASIBILITY,
    }  # fmt: skip
    for name, value in options.items():
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise SolverFailure(f"HiGHS does not take {name} = {value}")
    if start is not None:
        chosen = [(i, start[name]) for i, name in enumerate(program.names) if name in start]
        indices = np.array([i for i, _ in chosen], dtype=np.int32)
        highs.setSolution(len(chosen), indices, np.array([v for _, v in chosen]))
    if limits.relative_gap > 0 or limits.absolute_gap > EXACT:
        stop_within(highs, limits.relative_gap, limits.absolute_gap)
    _run(highs)
    if highs.getModelStatus() == highspy.HighsModelStatus.kUnboundedOrInfeasible:
        highs.setOptionValue("presolve", "off")  # presolve does not say which of the two it is
        _run(highs)
    result = _read(program)
    return replace(result, status=Status.OPTIMAL) if _within(result, limits) else result


def _run(highs: highspy.Highs) -> None:
    """Run so that Ctrl-C ends the search; without a callback Python would hear it when the search is over."""
    stopped = threading.Event()

    def heard(event: Any) -> None:
        if stopped.is_set():
            event.interrupt()

    highs.cbMipInterrupt.subscribe(heard)
    try:
        interruptible(highs.run, stopped.set)
    finally:
        highs.cbMipInterrupt.unsubscribe(heard)


def _within(result: Result, limits: Limits) -> bool:
    """Whether a search has proven what was asked of it: one that was interrupted within its gap has."""
    if result.value is None or result.bound is None:
        return False
    allowed = max(limits.relative_gap * abs(result.value), limits.absolute_gap)
    return abs(result.value - result.bound) <= allowed * (1 + 1e-6) + EXACT * abs(result.value)


def stop_within(highs: highspy.Highs, relative: float, absolute: float = 0.0) -> None:
    """Interrupt a search once value and proven bound are so near; its status is then kInterrupt.

    Not by HiGHS's own gap options: with them it drops every branch within the gap, and when none is left
    it reports its value as the bound (1.13.1: a fleet 0.17 % above the best one, "proven" with a gap of 0.1 %).
    """

    def near(event: Any) -> None:
        value, bound = event.data_out.mip_primal_bound, event.data_out.mip_dual_bound
        if np.isfinite(value) and abs(value - bound) <= max(relative * abs(value), absolute):
            event.interrupt()

    highs.cbMipInterrupt.subscribe(near)


_STATUS = {
    highspy.HighsModelStatus.kOptimal: Status.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Status.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: Status.UNBOUNDED,
    highspy.HighsModelStatus.kTimeLimit: Status.UNKNOWN,
    highspy.HighsModelStatus.kIterationLimit: Status.UNKNOWN,
    highspy.HighsModelStatus.kSolutionLimit: Status.UNKNOWN,
    highspy.HighsModelStatus.kInterrupt: Status.UNKNOWN,
}


def extend(program: Program, names: Sequence[str], costs: Sequence[float], rows: Sequence[Sequence[int]]) -> None:
    """Add columns, not negative, each with its cost and a one in each of its rows; the last basis stays the start."""
    starts = np.cumsum([0] + [len(own) for own in rows[:-1]]).astype(np.int32)
    flat = np.array([r for own in rows for r in own], dtype=np.int32)
    count, ones = len(names), np.ones(len(flat))
    lower, upper = np.zeros(count), np.full(count, INFINITY)
    status = program.highs.addCols(count, np.array(costs), lower, upper, len(flat), starts, flat, ones)
    if status == highspy.HighsStatus.kError:
        raise SolverFailure(f"HiGHS refused {count} more columns")
    program.names.extend(names)


def _read(program: Program) -> Result:
    highs = program.highs
    raw = highs.getModelStatus()
    if raw not in _STATUS:
        raise SolverFailure(f"HiGHS ended with {highs.modelStatusToString(raw)}")
    status, info = _STATUS[raw], highs.getInfo()
    found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    if status is Status.UNKNOWN and found:
        status = Status.FEASIBLE
    if status is Status.OPTIMAL and not found:
        raise SolverFailure("HiGHS says optimal without a feasible solution")
    values = dict(zip(program.names, highs.getSolution().col_value, strict=True)) if found else {}
    # kinds are compared, not tested: an enum is true whatever it says, and a linear program has no bound of branches
    integer = any(kind != highspy.HighsVarType.kContinuous for kind in highs.getLp().integrality_)
    bound = info.mip_dual_bound if integer else None
    if bound is None and status is Status.OPTIMAL:
        bound = info.objective_function_value
    if bound is not None and not np.isfinite(bound):
        bound = None
    if status in (Status.INFEASIBLE, Status.UNBOUNDED):
        values, bound, found = {}, None, False
    return Result(status, values, info.objective_function_value if found else None, bound, info.mip_node_count)


def write(program: Program, path: Path, comments: list[str]) -> None:
    """Write the program as `.lp` or `.mps` with comment lines on top; read back by any MIP solver.

    Names are written with parentheses, since the LP format keeps brackets for quadratic terms.
    """
    if program.highs.writeModel(str(path)) == highspy.HighsStatus.kError:
        raise SolverFailure(f"HiGHS could not write {path}")
    mark = "\\" if path.suffix == ".lp" else "*"
    text = path.read_text().replace("[", "(").replace("]", ")")
    path.write_text("".join(f"{mark} {line}\n" for line in comments) + text)


def read_optimum(path: Path) -> float:
    """Optimal value of a written program, read back by HiGHS; raises SolverFailure without one."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("mip_feasibility_tolerance", MARGIN)
    highs.setOptionValue("primal_feasibility_tolerance", FEASIBILITY)
    highs.setOptionValue("mip_rel_gap", 0.0)
    if highs.readModel(str(path)) == highspy.HighsStatus.kError:
        raise SolverFailure(f"HiGHS could not read {path}")
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise SolverFailure(f"{path}: {highs.modelStatusToString(highs.getModelStatus())}")
    return float(highs.getInfo().objective_function_value)
