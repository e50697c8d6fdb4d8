"""The program of `formulations.dataflow_schedule`: solve, build, read."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import pyomo.environ as pyo

from formulations.dataflow_schedule import chain, order
from formulations.dataflow_schedule.clock import Clock
from formulations.dataflow_schedule.graph import Graph
from formulations.dataflow_schedule.groups import Pool, group_of
from formulations.dataflow_schedule.instance import Group, Instance, Solution
from formulations.dataflow_schedule.pendants import Bundle
from formulations.dataflow_schedule.search import Search
from formulations.solvers import highs
from formulations.solvers.arrays import Array
from formulations.solvers.outcome import Outcome, Status

Column = TypeVar("Column", Group, Bundle)


@dataclass(frozen=True)
class Proof:
    """How the bound was reached; `complete`: no pipeline was left out, else the bound is weaker."""

    method: Literal["chain", "columns"]
    sets: int                # connected convex sets priced
    complete: bool
    complete_to: int         # operators: no smaller pipeline was left out
    columns: int             # of the last program
    relaxation_s: float      # bound before any branching
    cycles: int              # rows break_cycle
    nodes: int


def solve(
    data: Instance,
    *,
    most_sets: int = 1_000_000,
    start: Sequence[Iterable[int]] = (),
    limits: highs.Limits | None = None,
    gap: float = 1e-6,
    limit_s: float = math.inf,
) -> tuple[Outcome[Solution], Proof]:
    """Least total time (s) with its proven bound; never slower than `start`, groups of a partition.

    Of schedules that are equally fast within 1e-9 the one with fewest bytes off the chip, where the optimum is
    proven before `limit_s`. A chain is solved by dynamic programming, without a limit of sets. `limits` are of
    each integer program, `limit_s` (s) is of the whole search: it ends, a little later, with the best schedule
    so far and what is proven until then. Raises ValueError when `start` is no partition or has a group that
    cannot run.
    """
    graph = Graph(data)
    given = _given(data, graph, start)
    clock = Clock(limit_s)
    if chain.applies(data, graph) and (fastest := chain.fastest(data, graph, clock)) is not None:
        groups, priced = fastest
        time = sum(g.time_s for g in groups)
        largest = data.most_operators or len(data.operators)
        return _outcome(groups, time, gap), Proof("chain", priced, True, largest, len(groups), time, 0, 0)
    pool = Pool(data, graph, most_sets, clock)
    search = Search(data, graph, pool, limits=limits or highs.Limits(), given=given, build=build, read=read)
    bound, unit = search.solve(), sum(data.alone_s)
    proof = Proof("columns", pool.sets, pool.complete, pool.complete_to, search.columns, search.relaxation * unit,
                  len(search.cycles), search.nodes)  # fmt: skip
    return _outcome(search.best, bound * unit, gap), proof


def _given(data: Instance, graph: Graph, start: Sequence[Iterable[int]]) -> list[Group]:
    groups = [group_of(data, graph, members) for members in start]
    if start and sorted(v for g in groups for v in g.members) != list(range(len(data.operators))):
        raise ValueError("start: not a partition of the operators")
    if order.waiting(graph, groups):
        raise ValueError("start: a group waits for itself")
    return groups


def _outcome(groups: Sequence[Group], bound: float, gap: float) -> Outcome[Solution]:
    time = sum(g.time_s for g in groups)
    status = Status.OPTIMAL if time - bound <= gap * time else Status.FEASIBLE
    return Outcome(status, Solution(tuple(groups), time), time, min(bound, time))


def build(
    data: Instance,
    groups: Sequence[Group | Bundle],
    *,
    cycles: Sequence[Sequence[int]] = (),
    relaxed: bool = False,
    most: Array | None = None,
    within: float | None = None,
    dram: Sequence[float] = (),
) -> pyo.ConcreteModel:
    """The program over the given groups and cycles (positions in `groups`); `relaxed`: shares of groups.

    `most` (s) adds for each operator a column of that time: a price of it is no more than that.
    With `within` (s) the fewest bytes are sought in that time, of each group's `dram` (B).
    """
    m = pyo.ConcreteModel("dataflow_schedule")
    covers: list[list[int]] = [[] for _ in data.operators]
    for c, group in enumerate(groups):
        for v in group.members:
            covers[v].append(c)
    unit = sum(data.alone_s)
    shares = [v for v, time in enumerate(most) if np.isfinite(time)] if most is not None else []
    m.operators = pyo.Set(initialize=range(len(data.operators)), ordered=True)
    m.groups = pyo.Set(initialize=range(len(groups)), ordered=True)
    m.run = pyo.Var(m.groups, domain=pyo.NonNegativeReals if relaxed else pyo.Binary)
    if shares:
        m.part = pyo.Var(shares, domain=pyo.NonNegativeReals)

    def time_taken(m: Any) -> Any:
        total = pyo.quicksum(group.time_s / unit * m.run[c] for c, group in enumerate(groups))
        return total + sum(float(most[v]) / unit * m.part[v] for v in shares) if most is not None else total

    if within is None:
        m.finish = pyo.Objective(rule=time_taken, sense=pyo.minimize)
    else:

        @m.Objective(sense=pyo.minimize)
        def lighten(m: Any) -> Any:
            return pyo.quicksum(size / max(*dram, 1.0) * m.run[c] for c, size in enumerate(dram))

    @m.Constraint(m.operators)
    def run_once(m: Any, v: int) -> Any:
        return pyo.quicksum(m.run[c] for c in covers[v]) + (m.part[v] if v in shares else 0) == 1

    if cycles:

        @m.Constraint(range(len(cycles)))
        def break_cycle(m: Any, k: int) -> Any:
            return pyo.quicksum(m.run[c] for c in cycles[k]) <= len(cycles[k]) - 1

    if within is not None:

        @m.Constraint()
        def stay_fast(m: Any) -> Any:
            return time_taken(m) <= within / unit

    return m


def read(groups: Sequence[Column], values: Mapping[str, float]) -> list[Column]:
    """The groups that are run."""
    return [group for c, group in enumerate(groups) if round(values[f"run[{c}]"]) == 1]
