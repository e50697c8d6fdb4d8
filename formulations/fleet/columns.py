"""Column generation for `fleet`: a small relaxation, every column priced in closed form, an exact integer program.

1. The linear relaxation over a few columns is solved; all columns are priced with its duals, those of
   negative reduced cost enter, until there is none: its optimum z bounds every fleet.
2. A fleet is found over the columns of least reduced cost: its value is U.
3. A fleet that uses a column of reduced cost c has at least one whole replica of it, and costs z + c or
   more. So every fleet better than U uses only columns with c <= U - z: all of them (but the dominated)
   enter, and the integer program over them is exact. A large one is searched twice at once (`highs_race`).

Where the relaxation itself is infeasible, the least shortage of demand is sought in the same way first:
above zero, once no column can reduce it, there is no fleet.

Measured on one core, 5 demands: for 5,000 columns Pyomo builds and loads in 0.09 s and the full program
takes 0.85 s to 0.1 %, for 20,000 columns 0.44 s and 5.7 s (here 1.2 s in all); arrays are built in 0.01 s. At
22 us a column Pyomo would build 10^6 columns in 22 s, which is as long as the whole search takes here, where
they are priced in 0.6 s and cut to the undominated ones in 0.7 s.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import highspy
import numpy as np

from formulations.fleet import patterns
from formulations.fleet.arrays import Program, append
from formulations.fleet.instance import Instance
from formulations.fleet.search import Solved
from formulations.solvers import highs, race
from formulations.solvers.arrays import Array, Labels, Mask
from formulations.solvers.outcome import Status
from formulations.solvers.rows import INFINITY

ROUNDS = 200
NEGATIVE = 1e-7   # reduced costs above minus this are zero: HiGHS's duals are no more exact
SHORT = 1e-8      # of the most that must be served: a shortage up to here is none
TIGHTEN = 500     # pairs above which cuts, patterns and a second search are worth their time
FIRST = 0.25      # share of the time left for a first fleet, and for a bound by whole servers


class _Master:
    """The relaxation over the pairs (j, p) that entered so far."""

    def __init__(self, program: Program, ends: float) -> None:
        self.program, self.ends, self.solver = program, ends, program.load()
        self.solver.setOptionValue("primal_feasibility_tolerance", highs.FEASIBILITY)
        self.solver.setOptionValue("dual_feasibility_tolerance", highs.FEASIBILITY)
        data = program.data
        self.inside = np.zeros((len(data.columns), len(data.periods)), dtype=bool)
        self.priced = 0

    def add(self, pairs: Mask) -> int:
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

    def generate(self, groups: Labels, negative: float = NEGATIVE) -> tuple[Status, Array]:
        """Run and price until no column has a negative reduced cost; the reduced costs [j, p] at the end."""
        for _ in range(ROUNDS):
            status = self.run()
            if status == highspy.HighsModelStatus.kInfeasible:
                return Status.INFEASIBLE, np.zeros(0)
            if status != highspy.HighsModelStatus.kOptimal:
                return Status.UNKNOWN, np.zeros(0)
            costs = self.price()
            if self.add(_least_of_groups(groups, costs, (self.program.rate > 0) & (costs < -negative))) == 0:
                return Status.OPTIMAL, costs
        return Status.UNKNOWN, np.zeros(0)

    def shortage(self, groups: Labels) -> tuple[Status, float]:
        """Least sum of requests/s that stay unserved, over all columns; the program is as before afterwards."""
        f, solver = self.program.frame, self.solver
        rows = np.array([i for i, name in enumerate(f.rows) if name.startswith("serve_least[")], dtype=np.int32)
        before, every = np.array(solver.getLp().col_cost_), solver.getNumCol()
        solver.changeColsCost(every, np.arange(every, dtype=np.int32), np.zeros(every))
        n, ones = len(rows), np.ones(len(rows))
        solver.addCols(n, ones, 0 * ones, np.full(n, INFINITY), n, np.arange(n, dtype=np.int32), rows, ones)
        status, _ = self.generate(groups, highs.FEASIBILITY)  # what is left out adds up over all replicas
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
        if status is Status.INFEASIBLE:  # though nothing need be served: the rows of servers have no solution
            return status, costs
        if status is not Status.OPTIMAL or short > SHORT * float(self.program.data.least.max(initial=0.0)):
            return (Status.UNKNOWN if status is not Status.OPTIMAL else Status.INFEASIBLE), costs
        status, costs = self.generate(groups)
        return (Status.UNKNOWN if status is Status.INFEASIBLE else status), costs

    def value(self) -> float:
        return float(self.solver.getInfo().objective_function_value)

    def duals(self, sign: float) -> dict[str, float]:
        """Row -> dual, where it is not zero, in units of the objective."""
        values = zip(self.program.frame.rows, self.solver.getSolution().row_dual, strict=True)
        return {name: sign * value for name, value in values if value}


def _least_of_groups(groups: Labels, costs: Array, among: Mask) -> Mask:
    """The pair of least cost in every group and period; `groups` [j]."""
    chosen = np.zeros(costs.shape, dtype=bool)
    for p in range(costs.shape[1]):
        rows = np.flatnonzero(among[:, p])
        order = rows[np.lexsort([rows, costs[rows, p], groups[rows]])]
        first = np.diff(groups[order], prepend=-1) != 0
        chosen[order[first], p] = True
    return chosen


def solve(data: Instance, kept: Labels, *, lam: float, unit: float, limits: highs.Limits) -> Solved:
    """Optimum over all columns, of which only those in `kept` may enter the integer program."""
    ends = time.monotonic() + limits.limit_s
    program = Program(data, lam, 1.0 / unit)
    sign = unit if data.objective in ("cost", "power") else -unit
    master, groups = _Master(program, ends), _groups(data)
    master.add(_first(program, groups))
    status, costs = master.optimum(groups)
    if status is not Status.OPTIMAL:
        return Solved(highs.Result(status, {}, None, None, 0), master.priced, 0, None, {})
    z, duals, priced = master.value(), master.duals(sign), master.priced
    may = np.zeros(costs.shape, dtype=bool)
    may[kept] = True
    may &= program.rate > 0
    search = _Search(program, may, replace(limits, limit_s=ends), z, costs)
    if search.largest() > TIGHTEN and search.tighten(master, kept):
        tighter = _Master(program, ends)
        tighter.add(master.inside)
        status, costs = tighter.optimum(groups)
        priced += tighter.priced
        if status is Status.OPTIMAL:
            search.raise_bound(tighter.value(), costs)
            search.choose_patterns()
    result = search.finish()
    return Solved(result.scaled(sign), priced, search.entered, sign * z, duals)


class _Search:
    """The best fleet so far, the bound so far, and the pairs that a better fleet may use; `limit_s` is a clock time."""

    def __init__(self, program: Program, may: Mask, limits: highs.Limits, z: float, costs: Array) -> None:
        self.program, self.may, self.limits = program, may, limits
        self.bound, self.z, self.costs = z, z, costs
        self.best: highs.Result | None = None
        self.nodes = self.entered = 0
        self.covers: list[patterns.Cover] = []

    def largest(self) -> int:
        return int(self.may.sum())

    def tighten(self, master: _Master, kept: Labels) -> bool:
        """Add the cuts of the relaxation's duals; False where there is none."""
        data, program = self.program.data, self.program
        price = patterns.prices(program, np.array(master.solver.getSolution().row_dual))
        bounds = np.full(data.demand.shape, -np.inf)
        for d in data.demands:
            columns = kept[data.demand_of[kept] == d]
            for p in data.periods:
                if data.least[d, p] > 0 and len(columns):
                    one = patterns.cover(program, price, d, p, columns, self.limits.limit_s)
                    if one is not None:
                        bounds[d, p] = one.bound - patterns.SAFE * abs(one.bound)
                        self.covers.append(one)
        if self.covers:
            program.cut(price, bounds)
        return bool(self.covers)

    def raise_bound(self, z: float, costs: Array) -> None:
        self.bound, self.z, self.costs = max(self.bound, z), z, costs

    def choose_patterns(self) -> None:
        """A first fleet: one pattern for each demand and period, servers as whole numbers."""
        useful = [one for one in self.covers if one.replicas is not None]
        if self.program.data.one_kind or len(useful) < (self.program.rate.max(axis=0) > 0).sum():
            return
        chosen = _of_patterns(self.program, useful, self._limits(FIRST))
        if chosen is not None:
            pairs, start = chosen
            self.consider(_run(self.program, pairs, self._limits(1.0), start))

    def _limits(self, share: float) -> highs.Limits:
        left = max(self.limits.limit_s - time.monotonic(), 0.0)
        return replace(self.limits, limit_s=time.monotonic() + share * left if np.isfinite(left) else left)

    def consider(self, result: highs.Result) -> None:
        """Keep the fleet of a program over some pairs, where it is better; its bound says nothing about others."""
        self.nodes += result.nodes
        if result.value is not None and (self.best is None or result.value < _value(self.best)):
            self.best = result

    def done(self) -> bool:
        if self.best is None:
            return False
        value = _value(self.best)
        return value - self.bound <= self.limits.relative_gap * abs(value) + self.limits.absolute_gap

    def pairs(self) -> Mask:
        """All pairs that a fleet better than the best one may use."""
        if self.best is None:
            return self.may
        return self.may & (self.costs <= _value(self.best) - self.z + NEGATIVE)

    def finish(self) -> highs.Result:
        """Bound by whole servers with parts of replicas, then the exact program, until the gap is closed."""
        if self.best is not None and not self.done():
            finer = replace(self._limits(FIRST), relative_gap=0.1 * self.limits.relative_gap)
            part = _run(self.program, self.pairs(), finer, None, part=True)
            self.nodes += part.nodes
            if part.bound is not None:
                self.bound = max(self.bound, min(part.bound, _value(self.best)))
        if self.done():
            return self._answer(Status.OPTIMAL)
        exact, start = self.pairs(), None if self.best is None else self.best.values
        self.entered = int(exact.sum())
        result = _run(self.program, exact, self.limits, start, twice=self.entered > TIGHTEN)
        self.consider(result)
        if self.best is None:
            bound = None if result.status is Status.INFEASIBLE else self.bound
            return replace(result, nodes=self.nodes, bound=bound)
        if result.bound is not None:
            self.bound = max(self.bound, min(result.bound, _value(self.best)))
        return self._answer(Status.OPTIMAL if self.done() else Status.FEASIBLE)

    def _answer(self, status: Status) -> highs.Result:
        assert self.best is not None
        self.entered = self.entered or int(self.pairs().sum())
        return replace(self.best, status=status, bound=min(self.bound, _value(self.best)), nodes=self.nodes)


def _value(result: highs.Result) -> float:
    assert result.value is not None
    return result.value


def _of_patterns(
    program: Program, covers: list[patterns.Cover], limits: highs.Limits
) -> tuple[Mask, dict[str, float]] | None:
    """One pattern for each demand and period, chosen by HiGHS: the pairs in use and the replicas by name."""
    solver, pools = program.load(), [patterns.patterns(program, one) for one in covers]
    first = solver.getNumCol()
    for one, pool in zip(covers, pools, strict=True):
        rows, values = program.coefficients(one.columns, np.full(len(one.columns), one.period))
        dense = np.zeros((solver.getNumRow() + 1, len(one.columns)))
        np.add.at(dense, (rows, np.arange(len(one.columns))[:, None]), values)  # row -1 is the last, dropped
        used = np.flatnonzero(dense[:-1].any(axis=1))
        sums = pool @ dense[used].T
        append(solver, np.full(len(pool), len(used)), np.tile(used, len(pool)), sums.ravel())
    starts = np.concatenate([[first], first + np.cumsum([len(pool) for pool in pools])])
    for a, b in pairwise(starts.tolist()):
        solver.addRow(1.0, 1.0, b - a, np.arange(a, b, dtype=np.int32), np.ones(b - a))
    names = [*program.frame.names, *(f"chosen[{i}]" for i in range(int(starts[-1] - first)))]
    result = _integers(program, solver, names, limits, None)
    if not result.values:
        return None
    pairs, start = np.zeros(program.rate.shape, dtype=bool), {n: result.values[n] for n in program.frame.names}
    for one, pool, a in zip(covers, pools, starts - first, strict=False):
        marks = np.array([result.values[f"chosen[{a + i}]"] for i in range(len(pool))])
        replicas = pool[int(np.argmax(marks))]
        pairs[one.columns[replicas > 0], one.period] = True
        start |= {f"replicas[{one.columns[i]},{one.period}]": float(replicas[i]) for i in np.flatnonzero(replicas)}
    return pairs, start


def _run(
    program: Program, pairs: Mask, limits: highs.Limits, start: Mapping[str, float] | None, *, part: bool = False,
    twice: bool = False,
) -> highs.Result:  # fmt: skip
    """HiGHS over the pairs, in two searches at once if `twice`; `part`: replicas need not be whole.

    `limits.limit_s` is a clock time.
    """
    j, p = np.nonzero(pairs)
    solver = program.load()
    program.add(solver, j, p)
    return _integers(program, solver, program.names(j, p), limits, start, part=part, twice=twice)


def _integers(
    program: Program, solver: highspy.Highs, names: list[str], limits: highs.Limits,
    start: Mapping[str, float] | None, *, part: bool = False, twice: bool = False,
) -> highs.Result:  # fmt: skip
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    whole = program.frame.whole + [not part] * (len(names) - len(program.frame.names))
    types = np.array([kinds[int(w)] for w in whole])
    solver.changeColsIntegrality(len(whole), np.arange(len(whole), dtype=np.int32), types)
    if start is not None:
        start = {name: start.get(name, 0.0) for name in names}
    limits = replace(limits, limit_s=max(limits.limit_s - time.monotonic(), 0.0))
    if twice and start is not None:
        return race.solve(highs.Program(solver, names, {}), limits, start)
    return highs.solve(highs.Program(solver, names, {}), limits, start)


def _groups(data: Instance) -> Labels:
    """[j] one number for each demand, kind, phase and speed class."""
    group = (data.demand_of * len(data.kinds) + data.kind_of) * 6 + data.phase * 2 + data.meets
    return group.astype(np.int64)


def _first(program: Program, groups: Labels) -> Mask:
    """Most requests/s in the space of each packing row, in every group."""
    chosen = np.zeros(program.rate.shape, dtype=bool)
    for weight in program.packing.weight.T:
        rate = np.where(weight[:, None] > 0, program.rate / np.maximum(weight, 1e-9)[:, None], 0.0)
        chosen |= _least_of_groups(groups, -rate, rate > 0)
    return chosen
