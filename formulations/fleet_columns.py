"""Column generation for `fleet`: a small relaxation, every column priced in closed form, an exact integer program.

1. The linear relaxation over a few columns is solved; all columns are priced with its duals, those of
   negative reduced cost enter, until there is none: its optimum z bounds every fleet.
2. A fleet is found over the columns of least reduced cost: its value is U.
3. A fleet that uses a column of reduced cost c has at least one whole replica of it, and costs z + c or
   more. So every fleet better than U uses only columns with c <= U - z: all of them (but the dominated)
   enter, and the integer program over them is exact.

Where the relaxation itself is infeasible, the least shortage of demand is sought in the same way first:
above zero, once no column can reduce it, there is no fleet.

Measured on one core: Pyomo builds 20,000 columns in about 1 s for each period and HiGHS proves most such
programs in less once dominated columns are gone; here rows are arrays, and 10^6 columns are priced in 0.2 s.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np

from formulations import highs
from formulations.fleet_arrays import Program
from formulations.outcome import Status

if TYPE_CHECKING:
    from formulations.fleet import Instance

Array = np.ndarray[Any, np.dtype[np.float64]]
Labels = np.ndarray[Any, np.dtype[np.int64]]
MASK = np.ndarray[Any, np.dtype[np.bool_]]
ROUNDS = 200
NEGATIVE = 1e-7   # reduced costs above minus this are zero: HiGHS's duals are no more exact
SHORT = 1e-6      # requests/s: a shortage up to here is none
SMALL = 2_000     # pairs of the first integer program, if that many are undominated
ROUGH = 1e-4      # its relative gap


@dataclass(frozen=True)
class Solved:
    """A result in the sense of the objective, and how it was reached."""

    result: highs.Result
    priced: int
    entered: int
    relaxation: float | None
    duals: Mapping[str, float]


class _Master:
    """The relaxation over the pairs (j, p) that entered so far."""

    def __init__(self, program: Program, ends: float) -> None:
        self.program, self.ends, self.solver = program, ends, program.load()
        self.solver.setOptionValue("primal_feasibility_tolerance", highs.FEASIBILITY)
        self.solver.setOptionValue("dual_feasibility_tolerance", highs.FEASIBILITY)
        data = program.data
        self.inside = np.zeros((len(data.columns), len(data.periods)), dtype=bool)
        self.priced = 0

    def add(self, pairs: MASK) -> int:
        j, p = np.nonzero(pairs & ~self.inside)
        self.inside[j, p] = True
        if len(j):
            self.program.add(self.solver, j, p)
        return len(j)

    def run(self) -> highspy.HighsModelStatus:
        self.solver.setOptionValue("time_limit", self.solver.getRunTime() + max(self.ends - time.monotonic(), 0.0))
        self.solver.run()
        return self.solver.getModelStatus()

    def price(self) -> Array:
        """[j, p] reduced costs with the duals of the last run."""
        duals = np.array(self.solver.getSolution().row_dual)
        costs = [self.program.reduced_costs(duals, p) for p in self.program.data.periods]
        self.priced += sum(len(each) for each in costs)
        return np.stack(costs, axis=1)

    def generate(self, groups: Labels) -> tuple[Status, Array]:
        """Run and price until no column has a negative reduced cost; the reduced costs [j, p] at the end."""
        for _ in range(ROUNDS):
            status = self.run()
            if status == highspy.HighsModelStatus.kInfeasible:
                return Status.INFEASIBLE, np.zeros(0)
            if status != highspy.HighsModelStatus.kOptimal:
                return Status.UNKNOWN, np.zeros(0)
            costs = self.price()
            if self.add(_least_of_groups(groups, costs, (self.program.rate > 0) & (costs < -NEGATIVE))) == 0:
                return Status.OPTIMAL, costs
        return Status.UNKNOWN, np.zeros(0)

    def shortage(self, groups: Labels) -> tuple[Status, float]:
        """Least sum of requests/s that stay unserved, over all columns; the program is as before afterwards."""
        f, solver = self.program.frame, self.solver
        rows = np.array([i for i, name in enumerate(f.rows) if name.startswith("serve_least[")], dtype=np.int32)
        before, every = np.array(solver.getLp().col_cost_), solver.getNumCol()
        solver.changeColsCost(every, np.arange(every, dtype=np.int32), np.zeros(every))
        n, ones = len(rows), np.ones(len(rows))
        solver.addCols(n, ones, 0 * ones, np.full(n, highs.INFINITY), n, np.arange(n, dtype=np.int32), rows, ones)
        status, _ = self.generate(groups)
        short = float(solver.getInfo().objective_function_value)
        added = np.arange(every, every + n, dtype=np.int32)
        solver.changeColsBounds(n, added, 0 * ones, 0 * ones)
        cost = np.zeros(solver.getNumCol())
        cost[:every] = before
        solver.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)
        return status, short

    def optimum(self, groups: Labels) -> tuple[Status, Array]:
        """As `generate`, where few columns may be too few to serve all that must be served."""
        status, costs = self.generate(groups)
        if status is not Status.INFEASIBLE:
            return status, costs
        status, short = self.shortage(groups)
        if status is not Status.OPTIMAL or short > SHORT:
            return (Status.UNKNOWN if status is not Status.OPTIMAL else Status.INFEASIBLE), costs
        status, costs = self.generate(groups)
        return (Status.UNKNOWN if status is Status.INFEASIBLE else status), costs

    def duals(self, sign: float) -> dict[str, float]:
        """Row -> dual, where it is not zero, in units of the objective."""
        values = zip(self.program.frame.rows, self.solver.getSolution().row_dual, strict=True)
        return {name: sign * value for name, value in values if value}


def _least_of_groups(groups: Labels, costs: Array, among: MASK) -> MASK:
    """The pair of least cost in every group and period; `groups` [j]."""
    chosen = np.zeros(costs.shape, dtype=bool)
    for p in range(costs.shape[1]):
        rows = np.flatnonzero(among[:, p])
        order = rows[np.lexsort([rows, costs[rows, p], groups[rows]])]
        first = np.diff(groups[order], prepend=-1) != 0
        chosen[order[first], p] = True
    return chosen


def solve(data: "Instance", kept: Labels, *, lam: float, unit: float, limits: highs.Limits) -> Solved:
    """Optimum over all columns, of which only those in `kept` may enter the integer program."""
    ends = time.monotonic() + limits.limit_s
    program = Program(data, lam, 1.0 / unit)
    sign = unit if data.objective in ("cost", "power") else -unit
    master, groups = _Master(program, ends), _groups(data)
    master.add(_first(program, groups))
    status, costs = master.optimum(groups)
    if status is not Status.OPTIMAL:
        return Solved(highs.Result(status, {}, None, None, 0), master.priced, 0, None, {})
    z = float(master.solver.getInfo().objective_function_value)
    may = np.zeros(costs.shape, dtype=bool)
    may[kept] = True
    result, entered = _integer(program, costs, may & (program.rate > 0), z, replace(limits, limit_s=ends))
    return Solved(result.scaled(sign), master.priced, entered, sign * z, master.duals(sign))


def _integer(program: Program, costs: Array, may: MASK, z: float, limits: highs.Limits) -> tuple[highs.Result, int]:
    """The integer program over all pairs that may be in a better fleet than one found first; its pairs."""
    first, nodes = may, 0
    start: Mapping[str, float] | None = None
    if may.sum() > SMALL:
        first = may & (costs <= np.partition(costs[may], SMALL)[SMALL])
        result = _run(program, first, replace(limits, relative_gap=max(limits.relative_gap, ROUGH)), None)
        result = _bounded(result, z)
        if result.value is None:
            first = may
        else:
            if result.value - z <= limits.relative_gap * abs(result.value) + limits.absolute_gap:
                return replace(result, status=Status.OPTIMAL), int(first.sum())
            start, nodes = result.values, result.nodes
            first = may & (costs <= result.value - z + NEGATIVE)
    result = _run(program, first, limits, start)
    if start is not None and result.value is None:
        raise highs.SolverFailure("HiGHS lost the fleet that it was given as a start")
    result = _bounded(result, z)
    return replace(result, nodes=result.nodes + nodes), int(first.sum())


def _bounded(result: highs.Result, z: float) -> highs.Result:
    """Bounds of a program over some columns hold for all once they are no better than the relaxation's."""
    if result.status is Status.INFEASIBLE:
        return result
    bound = z if result.bound is None else max(result.bound, z)
    return replace(result, bound=bound if result.value is None else min(bound, result.value))


def _run(program: Program, pairs: MASK, limits: highs.Limits, start: Mapping[str, float] | None) -> highs.Result:
    """HiGHS over the pairs; `limits.limit_s` is when to stop, in the clock of `time.monotonic`."""
    j, p = np.nonzero(pairs)
    solver = program.load()
    program.add(solver, j, p)
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    whole = [kinds[int(w)] for w in program.frame.whole] + [kinds[1]] * len(j)
    solver.changeColsIntegrality(len(whole), np.arange(len(whole), dtype=np.int32), np.array(whole))
    named = highs.Program(solver, program.names(j, p), {})
    return highs.solve(named, replace(limits, limit_s=max(limits.limit_s - time.monotonic(), 0.0)), start)


def _groups(data: "Instance") -> Labels:
    """[j] one number for each demand, kind, phase and speed class."""
    group = (data.demand_of * len(data.kinds) + data.kind_of) * 6 + data.phase * 2 + data.meets
    return group.astype(np.int64)


def _first(program: Program, groups: Labels) -> MASK:
    """Most requests/s in the space of each packing row, in every group."""
    chosen = np.zeros(program.rate.shape, dtype=bool)
    for weight in program.packing.weight.T:
        rate = np.where(weight[:, None] > 0, program.rate / np.maximum(weight, 1e-9)[:, None], 0.0)
        chosen |= _least_of_groups(groups, -rate, rate > 0)
    return chosen
