"""Schedule an operator graph on one GPU: which operators run as one, how, and on how many CTAs.

Groups run one after the other. A group is one operator alone (bulk-synchronously), a vertical group as
given, or a spatial pipeline: two or more operators, connected, all stages resident at once. Its price,
payload, alternatives and CTAs are chosen in `dataflow_schedule_price`; here groups are columns.

Sets
    operators         v in V
    groups            S in C                           subsets of V with a way to run them, see Source
Parameters
    alternatives      -        -        of each operator in a pipeline: stages in a row, one row is picked
    alone_s           t[v]     s        run bulk-synchronously by itself
    read              r[v]     B        always read off the chip: weights, inputs of the graph
    write             w[v]     B        always written off the chip: outputs of the graph
    output            o[v]     B        written off the chip if a reader is in another group
    tile_s            f[v]     s        the first tile's way through v, to fill a pipeline
    streams           -        -        False: v is in no pipeline
    edges             (u,v,b)  B        v reads b bytes of what u writes: by queue inside one pipeline
    verticals         (S,t)    s        sets that can run as one kernel, and their time
    payloads          -        B        entries of a queue; all queues of a pipeline have the same
    queue_bandwidth   q        B/s      of the queue of one CTA
    sync_s            g        s        per entry
    queue_room        Q        B        share of L2 for all rings of a pipeline, two entries each
    shared_memory     H        B        of one SM
    sms               N        1
    dram_bandwidth    D        B/s
    l2_bandwidth      B        B/s
    most_operators    n        1        in one pipeline; None: as many as can be resident
Variables
    run               x[S] in {0,1}                    1 if the group is run
Objective
    finish            min sum_S time[S] x[S]                       in multiples of sum_v t[v]
Constraints
    run_once          sum_{S: v in S} x[S] = 1         v in V
    break_cycle       sum_{S in K} x[S] <= |K| - 1     K in cycles found so far
Source
    Kitsune, arXiv 2502.18403; sub-graphs, splits, CTAs and payloads are chosen together, beyond the paper.
    Time of a pipeline: max(DRAM bytes / D, L2 bytes / B, e / a of every stage) + the longest path of f.
    A CTA of each class fits an SM together: the largest shared memory of a tensor stage and that of a SIMT
    stage, with what a payload stages, are within H, so any placement of them is possible. DRAM bytes: read,
    write, output where some reader is elsewhere, edges from elsewhere. L2 bytes: those, and what queues carry,
    written once and read by each consumer. Groups are convex, and no group waits for itself through others:
    a cycle K of the chosen groups is cut off when it is found. Columns are added by reduced cost: with prices
    y[v], every y(S) <= k time[S], sum y / k is a bound on every schedule (Farley), and no schedule better than
    the best found has a column whose reduced cost is above the gap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyomo.environ as pyo

from formulations import dataflow_schedule_chain as chain
from formulations import dataflow_schedule_order as order
from formulations import highs
from formulations.dataflow_schedule_graph import Graph
from formulations.dataflow_schedule_groups import Pool, additive_bound, alone, group_of
from formulations.dataflow_schedule_merge import merged
from formulations.dataflow_schedule_pendants import Bundle, flattened, owners
from formulations.dataflow_schedule_price import Group
from formulations.outcome import Outcome, Status

ROUNDING = 1e-9  # in multiples of all operators alone: the solver's row tolerance
STEADY = 0.5  # share of the best bound's prices in those that columns are sought at
MOST_COLUMNS = 20_000  # of one integer program
Array = np.ndarray[Any, np.dtype[np.float64]]
Columns = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Stage:
    """One stage: its class, seconds of its work on the whole GPU fed from queues, and what a CTA of it takes."""

    kind: Literal["tensor", "simt"]
    work_s: float
    shared: int = 0          # B of shared memory
    most: int | None = None  # CTAs; None: as many as SMs
    passes: float = 0.0      # B to the next stage of the same alternative; unused in its last stage


@dataclass(frozen=True)
class Payload:
    """One entry of a queue: bytes in L2, and bytes of shared memory that each CTA stages."""

    entry: int
    staged: int = 0


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; tuples run over `operators`, edges are positions in it.

    Raises ValueError, naming the field, for wrong lengths, numbers out of range and edges that form a cycle.
    """

    operators: tuple[str, ...]
    alternatives: tuple[tuple[tuple[Stage, ...], ...], ...]
    alone_s: tuple[float, ...]
    read: tuple[float, ...]
    write: tuple[float, ...]
    output: tuple[float, ...]
    tile_s: tuple[float, ...]
    streams: tuple[bool, ...]
    edges: tuple[tuple[int, int, float], ...]
    verticals: tuple[tuple[frozenset[int], float], ...]
    payloads: tuple[Payload, ...]
    queue_bandwidth: float
    sync_s: float
    queue_room: float
    shared_memory: int
    sms: int
    dram_bandwidth: float
    l2_bandwidth: float
    most_operators: int | None = None

    def __post_init__(self) -> None:
        every, numbers = range(len(self.operators)), np.array([self.read, self.write, self.output, self.tile_s])
        ends = {v for u, w, _ in self.edges for v in (u, w)} | {v for members, _ in self.verticals for v in members}
        stages = [s for own in self.alternatives for row in own for s in row]
        rules = {
            "operators": len(every) > 0,
            "alternatives": len(self.alternatives) == len(every) and all(own and all(own) for own in self.alternatives),
            "alone_s": len(self.alone_s) == len(every) and _positive(self.alone_s),
            "read, write, output or tile_s": numbers.shape == (4, len(every)) and _least_zero(numbers),
            "streams": len(self.streams) == len(every),
            "edges": ends <= set(every) and _least_zero([size for *_, size in self.edges]),
            "verticals": all(len(members) > 1 for members, _ in self.verticals)
            and _positive([time for _, time in self.verticals]),
            "stages": all(s.kind in ("tensor", "simt") and (s.most is None or s.most >= 1) for s in stages)
            and _least_zero([n for s in stages for n in (s.work_s, s.shared, s.passes)]),
            "payloads": all(p.entry >= 1 and p.staged >= 0 for p in self.payloads),
            "queue_bandwidth, dram_bandwidth, l2_bandwidth or sms": _positive(
                [self.queue_bandwidth, self.dram_bandwidth, self.l2_bandwidth, self.sms]
            ),
            "sync_s, queue_room or shared_memory": _least_zero([self.sync_s, self.queue_room, self.shared_memory]),
        }  # fmt: skip
        if faults := [name for name, kept in rules.items() if not kept]:
            raise ValueError(f"dataflow_schedule, {len(every)} operators: length or range is wrong of {faults}")
        if len(Graph(self).order) < len(every) or any(u == v for u, v, _ in self.edges):
            raise ValueError("dataflow_schedule, edges: an operator waits for itself")


def _least_zero(numbers: Any) -> bool:
    each = np.asarray(numbers, dtype=float)
    return bool((np.isfinite(each) & (each >= 0)).all())


def _positive(numbers: Any) -> bool:
    return _least_zero(numbers) and bool((np.asarray(numbers, dtype=float) > 0).all())


@dataclass(frozen=True)
class Solution:
    """Groups in an order in which they can run, and their total time."""

    groups: tuple[Group, ...]
    time_s: float


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
    most_sets: int = 200_000,
    start: Sequence[Iterable[int]] = (),
    limits: highs.Limits | None = None,
    gap: float = 1e-6,
) -> tuple[Outcome[Solution], Proof]:
    """Least total time (s) with its proven bound; never slower than `start`, groups of a partition.

    A chain is solved by dynamic programming, without a limit of sets. `limits` are of each integer program;
    the relaxation before them always ends. Raises ValueError when `start` is no
    partition or has a group that cannot run.
    """
    graph = Graph(data)
    given = _given(data, graph, start)
    if chain.applies(data, graph):
        groups, priced = chain.fastest(data, graph)
        time = sum(g.time_s for g in groups)
        largest = data.most_operators or len(data.operators)
        return _outcome(groups, time, gap), Proof("chain", priced, True, largest, len(groups), time, 0, 0)
    return _Search(data, graph, Pool(data, graph, most_sets), given, limits or highs.Limits()).solve(gap)


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


class _Search:
    """Prices, then the program over the columns that can be in a better schedule than the best known."""

    def __init__(self, data: Instance, graph: Graph, pool: Pool, given: list[Group], limits: highs.Limits) -> None:
        self.data, self.graph, self.pool, self.limits = data, graph, pool, limits
        self.unit = sum(data.alone_s)
        self.first = np.array(sorted(pool.bundles), dtype=np.int64)  # columns of single operators and vertical groups
        self.best = order.in_turn(graph, alone(data))
        self.keep(given)
        self.cycles: list[list[int]] = []
        self.nodes = self.columns = 0

    def keep(self, groups: Sequence[Group]) -> None:
        """A schedule, if it is the best so far."""
        if groups and sum(g.time_s for g in groups) < sum(g.time_s for g in self.best):
            self.best = order.in_turn(self.graph, groups)

    def value(self) -> float:
        """Time of the best schedule, in units."""
        return sum(g.time_s for g in self.best) / self.unit

    def solve(self, gap: float) -> tuple[Outcome[Solution], Proof]:
        """The outcome, OPTIMAL within `gap`."""
        everything = np.full(len(self.data.operators), np.inf)
        bound, prices, active = self.relax(everything)
        self.integer(active)
        near, beyond = self.near(bound, prices)
        proven = max(bound, min(self.integer(near), beyond, self.value()))
        if not self.pool.complete:
            self.keep(merged(self.data, self.graph, self.best))
            bound = self.relax(additive_bound(self.data) / self.unit)[0]
            proven = min(proven, bound)
        pool = self.pool
        proof = Proof("columns", pool.sets, pool.complete, pool.complete_to, self.columns, bound * self.unit,
                      len(self.cycles), self.nodes)  # fmt: skip
        return _outcome(self.best, proven * self.unit, gap), proof

    def relax(self, most: Array) -> tuple[float, Array, Columns]:
        """Farley's bound with no price above `most`, its prices, and the columns generated.

        Columns are sought at a mean of the program's prices and those of the best bound, since the former jump;
        where there are none, at the program's prices themselves.
        """
        pool, count, unit = self.pool, len(self.data.operators), self.unit
        ratio = np.argsort(pool.floors / pool.worth(np.array(self.data.alone_s)), kind="stable")[: 4 * count]
        active = self.priced(self.first, ratio, np.full(len(ratio), np.inf))
        bound, best, prices, pull = 0.0, np.zeros(count), self.prices(active, most), 0.0
        while True:
            point = pull * best + (1 - pull) * prices
            worth = pool.worth(point) * unit
            feasible = float(point.sum()) / max(1.0, float((worth / pool.floors).max()))
            if feasible > bound:
                bound, best = feasible, point * feasible / float(point.sum())
            gain = worth - pool.floors
            gain[active] = -np.inf
            better = np.flatnonzero(gain > ROUNDING * unit)
            if bound >= float(prices.sum()) - ROUNDING or (len(better) == 0 and pull == 0):
                return bound, best, active
            if len(better) == 0:
                pull = 0.0
                continue
            better = better[np.argsort(-gain[better], kind="stable")[: 2 * count]]
            wider = self.priced(active, better, worth[better])
            new = np.setdiff1d(wider, active)
            active = wider
            if (pool.worth(prices)[new] * unit > pool.floors[new]).any():
                prices, pull = self.prices(active, most), STEADY

    def priced(self, known: Columns, others: Columns, below: Array) -> Columns:
        """The known columns, and those of the others that are resident in less than `below` s."""
        self.pool.price(others, below)
        return np.union1d(known, [c for c in others.tolist() if c in self.pool.bundles]).astype(np.int64)

    def near(self, bound: float, prices: Array) -> tuple[Columns, float]:
        """Columns that a better schedule than the best can have, and a bound of those with any other, in units."""
        pool, left, worth = self.pool, self.value() - bound + ROUNDING, self.pool.worth(prices)
        while True:
            cost = pool.floors / self.unit - worth
            columns = np.flatnonzero(cost <= left)
            beyond = bound + left
            if len(columns) > MOST_COLUMNS:
                columns = columns[np.argsort(cost[columns], kind="stable")]
                beyond, columns = bound + float(cost[columns[MOST_COLUMNS]]), columns[:MOST_COLUMNS]
            before = pool.floors[columns]
            found = self.priced(columns[:0], columns, (worth[columns] + 2 * left) * self.unit)
            if (before == pool.floors[columns]).all():
                return found, beyond

    def prices(self, active: Columns, most: Array) -> Array:
        """Prices of the operators where only the columns `active` are there."""
        model = build(self.data, [self.pool.bundles[c] for c in active.tolist()], relaxed=True, most=most * self.unit)
        program = highs.load(model)
        if highs.solve(program, highs.Limits(seed=self.limits.seed)).status is not Status.OPTIMAL:
            raise highs.SolverFailure("the relaxation of dataflow_schedule has an optimum, and it was not found")
        return np.array(program.highs.getSolution().row_dual)[: len(self.data.operators)]

    def integer(self, active: Columns) -> float:
        """Bound on every schedule of these columns; the best one found is kept."""
        at = np.union1d(self.first, active)
        bundles = [self.pool.bundles[c] for c in at.tolist()]
        self.columns, known = len(at), {int(c): i for i, c in enumerate(at)}
        while True:
            cycles = [[known[c] for c in cycle if c in known] for cycle in self.cycles]
            rows = [row for row, cycle in zip(cycles, self.cycles, strict=True) if len(row) == len(cycle)]
            result = highs.solve(highs.load(build(self.data, bundles, cycles=rows)), self.limits)
            self.nodes += result.nodes
            bound = 0.0 if result.bound is None else result.bound
            if not result.values:
                return bound
            chosen = read(bundles, result.values)
            groups = flattened([bundles[c] for c in chosen])
            self.keep(order.broken_up(self.data, self.graph, groups))
            found = order.waiting(self.graph, groups)
            if not found:
                return bound
            owner = owners(bundles)
            self.cycles += [[int(at[owner[id(g)]]) for g in cycle] for cycle in found]


def build(
    data: Instance,
    groups: Sequence[Group | Bundle],
    *,
    cycles: Sequence[Sequence[int]] = (),
    relaxed: bool = False,
    most: Array | None = None,
) -> pyo.ConcreteModel:
    """The program over the given groups and cycles (positions in `groups`); `relaxed`: shares of groups.

    `most` (s) adds for each operator a column of that time: a price of it is no more than that.
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

    @m.Objective(sense=pyo.minimize)
    def finish(m: Any) -> Any:
        total = pyo.quicksum(group.time_s / unit * m.run[c] for c, group in enumerate(groups))
        return total + sum(float(most[v]) / unit * m.part[v] for v in shares) if most is not None else total

    @m.Constraint(m.operators)
    def run_once(m: Any, v: int) -> Any:
        return pyo.quicksum(m.run[c] for c in covers[v]) + (m.part[v] if v in shares else 0) == 1

    if cycles:

        @m.Constraint(range(len(cycles)))
        def break_cycle(m: Any, k: int) -> Any:
            return pyo.quicksum(m.run[c] for c in cycles[k]) <= len(cycles[k]) - 1

    return m


def read(groups: Sequence[Group | Bundle], values: Mapping[str, float]) -> list[int]:
    """Positions of the groups that are run."""
    return [c for c in range(len(groups)) if round(values[f"run[{c}]"]) == 1]
