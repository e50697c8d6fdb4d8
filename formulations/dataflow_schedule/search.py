"""The search of `dataflow_schedule`: prices of operators, columns that they ask for, and programs over these.

Column generation. The relaxation over a few columns gives prices y[v]; columns with y(S) > time[S] are added.
With every y(S) <= k time[S], sum y / k is a bound on every schedule (Farley). A column's reduced cost,
time[S] - y(S) / k, is what a schedule with it loses against that bound: one better than the best known has none
above the gap between both, so the integer program over the columns below it is exact. Floors stand for times
as long as they exclude a column.

Of equally fast schedules, within 1e-9, the one with fewest bytes off the chip is taken by a second program over the
same columns, which all such schedules consist of. Of equally fast ways to run one column, within 1e-12, the
lighter one is taken before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyomo.environ as pyo

from formulations.dataflow_schedule import order
from formulations.dataflow_schedule.graph import Graph
from formulations.dataflow_schedule.groups import Pool, additive_bound, alone
from formulations.dataflow_schedule.instance import Group, Instance
from formulations.dataflow_schedule.merge import merged
from formulations.dataflow_schedule.pendants import Bundle, flattened, owners
from formulations.dataflow_schedule.price import dram_bytes
from formulations.solvers import highs
from formulations.solvers.arrays import Array, Labels
from formulations.solvers.outcome import Status

ROUNDING = 1e-9  # in multiples of all operators alone: the solver's row tolerance
RELAXING = 0.6  # share of the time in which the relaxation is solved
STEADY = 0.5  # share of the best bound's prices in those that columns are sought at
MOST_COLUMNS = (2_000, 20_000)  # of one integer program, and of the next where the first did not prove its optimum
Columns = Labels
Build = Callable[..., pyo.ConcreteModel]
Read = Callable[[Sequence[Bundle], Mapping[str, float]], list[Bundle]]


class Search:
    """Prices, then the program over the columns that can be in a better schedule than the best known."""

    def __init__(self, data: Instance, graph: Graph, pool: Pool, *, limits: highs.Limits, given: list[Group],
                 build: Build, read: Read) -> None:  # fmt: skip
        self.data, self.graph, self.pool, self.limits = data, graph, pool, limits
        self.build, self.read = build, read
        self.clock, self.unit = pool.clock, sum(data.alone_s)
        self.first = np.array(sorted(pool.bundles), dtype=np.int64)  # columns of single operators and vertical groups
        self.best = order.in_turn(graph, alone(data))
        self.keep(given)
        self.cycles: list[list[int]] = []
        self.nodes = self.columns = 0
        self.relaxation = 0.0  # bound before any branching

    def keep(self, groups: Sequence[Group]) -> None:
        """A schedule, if it is the best so far."""
        if groups and sum(g.time_s for g in groups) < sum(g.time_s for g in self.best):
            self.best = order.in_turn(self.graph, groups)

    def value(self) -> float:
        """Time of the best schedule, in units."""
        return sum(g.time_s for g in self.best) / self.unit

    def solve(self) -> float:
        """Bound on every schedule, in units, after the search; `best` is the schedule."""
        everything = np.full(len(self.data.operators), np.inf)
        self.relaxation, prices, active = self.relax(everything)
        self.integer(active)
        proven = self.relaxation
        for most in MOST_COLUMNS:  # a better schedule out of few columns leaves fewer to look at
            if self.clock.late():
                break
            near, beyond = self.near(self.relaxation, prices, most)
            proven = max(proven, min(self.integer(near), beyond, self.value()))
            if proven >= self.value() - ROUNDING:
                break
        if not self.pool.complete:
            if not self.clock.late():
                self.keep(merged(self.data, self.graph, self.best))
            self.relaxation = self.relax(additive_bound(self.data) / self.unit)[0]
            proven = min(proven, self.relaxation)
        if proven >= self.value() - ROUNDING and not self.clock.late():
            self.lighten(self.near(self.relaxation, prices, MOST_COLUMNS[-1])[0])
        return proven

    def relax(self, most: Array) -> tuple[float, Array, Columns]:
        """Farley's bound with no price above `most`, its prices, and the columns generated.

        Columns are sought at a mean of the program's prices and those of the best bound, since the former jump;
        where there are none, at the program's prices themselves. Out of time it returns the best bound so far:
        each is one, whatever columns are missing from the program.
        """
        pool, count, unit = self.pool, len(self.data.operators), self.unit
        singly = pool.worth(np.array(self.data.alone_s))
        ratio = np.argsort(pool.floors / singly, kind="stable")[: 4 * count]
        active = self.priced(self.first, ratio, singly[ratio], share=RELAXING)
        program = self.relaxed(active, most)
        bound, best, prices, pull = 0.0, np.zeros(count), self.prices(program), 0.0
        while True:
            point = pull * best + (1 - pull) * prices
            worth = pool.worth(point) * unit
            feasible = float(point.sum()) / max(1.0, float((worth / pool.floors).max()))
            if feasible > bound:
                bound, best = feasible, point * feasible / float(point.sum())
            gain = worth - pool.floors
            gain[active] = -np.inf
            better = np.flatnonzero(gain > ROUNDING * unit)
            done = bound >= float(prices.sum()) - ROUNDING or (len(better) == 0 and pull == 0)
            if done or self.clock.late(RELAXING):
                return bound, best, active
            if len(better) == 0:
                pull = 0.0
                continue
            better = better[np.argsort(-gain[better], kind="stable")[: 2 * count]]
            wider = self.priced(active, better, worth[better], share=RELAXING)
            new = np.setdiff1d(wider, active)
            active = wider
            if len(new):
                own = [pool.bundles[c] for c in new.tolist()]
                names = [f"added[{c}]" for c in new.tolist()]
                highs.extend(program, names, [b.time_s / unit for b in own], [b.members for b in own])
            if (pool.worth(prices)[new] * unit > pool.floors[new]).any():
                prices, pull = self.prices(program), STEADY

    def priced(self, known: Columns, others: Columns, below: Array, *, share: float = 1.0) -> Columns:
        """The known columns, and those of the others that are resident in less than `below` s; within the time."""
        self.pool.price(others, below, share=share)
        return np.union1d(known, [c for c in others.tolist() if c in self.pool.bundles]).astype(np.int64)

    def near(self, bound: float, prices: Array, most: int) -> tuple[Columns, float]:
        """Columns that a better schedule than the best can have, the first `most`; a bound of those with any other."""
        pool, left, worth = self.pool, self.value() - bound + ROUNDING, self.pool.worth(prices)
        while True:
            cost = pool.floors / self.unit - worth
            columns = np.flatnonzero(cost <= left)
            beyond = bound + left
            if len(columns) > most:
                columns = columns[np.argsort(cost[columns], kind="stable")]
                beyond, columns = bound + float(cost[columns[most]]), columns[:most]
            before = pool.floors[columns]
            found = self.priced(columns[:0], columns, (worth[columns] + left + ROUNDING) * self.unit)
            if self.clock.late():
                return found, bound  # some of the columns may have no price yet: nothing is known beyond the bound
            if (before == pool.floors[columns]).all():
                return found, beyond

    def relaxed(self, active: Columns, most: Array) -> highs.Program:
        """The program where only the columns `active` are there, in shares; its first rows are `run_once`."""
        bundles = [self.pool.bundles[c] for c in active.tolist()]
        return highs.load(self.build(self.data, bundles, relaxed=True, most=most * self.unit))

    def prices(self, program: highs.Program) -> Array:
        """Prices of the operators."""
        if highs.solve(program, highs.Limits(seed=self.limits.seed)).status is not Status.OPTIMAL:
            raise highs.SolverFailure("the relaxation of dataflow_schedule has an optimum, and it was not found")
        return np.array(program.highs.getSolution().row_dual)[: len(self.data.operators)]

    def integer(self, active: Columns) -> float:
        """Bound on every schedule of these columns; the best one found is kept."""
        at = np.union1d(self.first, active)
        self.columns = len(at)
        while True:
            bundles, rows = self.among(at)
            result = highs.solve(highs.load(self.build(self.data, bundles, cycles=rows)), self.left())
            self.nodes += result.nodes
            bound = 0.0 if result.bound is None else result.bound
            if not result.values:
                return bound
            groups = flattened(self.read(bundles, result.values))
            self.keep(order.broken_up(self.data, self.graph, groups))
            if not self.cut(at, bundles, groups):
                return bound

    def lighten(self, near: Columns) -> None:
        """Take, of all schedules of these columns as fast as the best one, one with fewest bytes off the chip."""
        at, within = np.union1d(self.first, near), self.value() * self.unit * (1 + ROUNDING)
        while True:
            bundles, rows = self.among(at)
            model = self.build(self.data, bundles, cycles=rows, within=within, dram=[b.dram for b in bundles])
            result = highs.solve(highs.load(model), self.left())
            self.nodes += result.nodes
            if not result.values:
                return
            groups = flattened(self.read(bundles, result.values))
            if not self.cut(at, bundles, groups):
                break
        if sum(g.time_s for g in groups) <= within and self.moved(groups) < self.moved(self.best):
            self.best = order.in_turn(self.graph, groups)

    def left(self) -> highs.Limits:
        """The limits of an integer program, in the time that is left."""
        return replace(self.limits, limit_s=min(self.limits.limit_s, self.clock.left_s()))

    def among(self, at: Columns) -> tuple[list[Bundle], list[list[int]]]:
        """The columns, and the known cycles of them."""
        known = {int(c): i for i, c in enumerate(at)}
        cycles = [[known[c] for c in cycle if c in known] for cycle in self.cycles]
        rows = [row for row, cycle in zip(cycles, self.cycles, strict=True) if len(row) == len(cycle)]
        return [self.pool.bundles[c] for c in at.tolist()], rows

    def cut(self, at: Columns, bundles: Sequence[Bundle], groups: Sequence[Group]) -> bool:
        """Whether groups wait for themselves; their cycles are known from then on."""
        found, owner = order.waiting(self.graph, groups), owners(bundles)
        self.cycles += [[int(at[owner[id(g)]]) for g in cycle] for cycle in found]
        return bool(found)

    def moved(self, groups: Sequence[Group]) -> float:
        """Bytes off the chip."""
        return sum(dram_bytes(self.data, self.graph, set(group.members)) for group in groups)

