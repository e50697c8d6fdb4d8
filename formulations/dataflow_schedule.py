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
    payloads          h[p]     B, s     entries of a queue, each stage's hop; all queues of a pipeline have the same
    queue_bandwidth   q        B/s      of the queue of one CTA
    sync_s            g        s        per entry
    queue_room        Q        B        share of L2 for all rings of a pipeline
    ring_entries      n2       1        of a ring, and one for each stage that what it holds bypasses
    shared_memory     H        B        of one SM
    sms               N        1
    dram_bandwidth    D        B/s
    l2_bandwidth      B        B/s
    most_operators    n        1        in one pipeline; None: as many as can be resident
Variables
    run               x[S] in {0,1}                    1 if the group is run
Objective
    finish            min sum_S time[S] x[S]                       in multiples of sum_v t[v]
    lighten           min sum_S DRAM bytes[S] x[S]                 then, of those that are as fast
Constraints
    run_once          sum_{S: v in S} x[S] = 1         v in V
    break_cycle       sum_{S in K} x[S] <= |K| - 1     K in cycles found so far
    stay_fast         sum_S time[S] x[S] <= T          with lighten only; T: 1e-9 above the least time
Source
    Kitsune, arXiv 2502.18403; sub-graphs, splits, CTAs and payloads are chosen together, beyond the paper.
    Time of a pipeline: max(DRAM bytes / D, L2 bytes / B, e / a of every stage) + the longest path of
    f + h, with the payload's hop, and of the time to add what its alternative splits.
    A CTA of each class fits an SM together: the largest shared memory of a tensor stage and that of a SIMT
    stage, with what a payload stages, are within H, so any placement of them is possible. Each CTA of a stage that
    others read has a ring; an operator's level is how many there are on the longest path to it, and what is read k
    levels on bypasses k - 1. DRAM bytes: read, write, output where some reader is elsewhere, edges from elsewhere.
    L2 bytes: those, and what queues carry, written once and read by each consumer. Groups are convex, and no group
    waits for itself through others: a cycle K of the chosen groups is cut off when it is found. A column is a group
    with the best choice for what hangs on it (`dataflow_schedule_pendants`); columns are added by reduced cost
    (`dataflow_schedule_search`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import pyomo.environ as pyo

from formulations import dataflow_schedule_chain as chain
from formulations import dataflow_schedule_order as order
from formulations import highs
from formulations.dataflow_schedule_clock import Clock
from formulations.dataflow_schedule_graph import Graph
from formulations.dataflow_schedule_groups import Pool, group_of
from formulations.dataflow_schedule_pendants import Bundle
from formulations.dataflow_schedule_price import Group
from formulations.dataflow_schedule_search import Search
from formulations.outcome import Outcome, Status

Array = np.ndarray[Any, np.dtype[np.float64]]
Column = TypeVar("Column", Group, Bundle)


@dataclass(frozen=True)
class Stage:
    """One stage: its class, seconds of its work on the whole GPU fed from queues, and what a CTA of it takes."""

    kind: Literal["tensor", "simt"]
    work_s: float
    shared: int = 0          # B of shared memory
    most: int | None = None  # CTAs; None: as many as SMs
    passes: float = 0.0      # B to the next stage of the same alternative; unused in its last stage
    written: float = 0.0     # B that it hands over in any case, though not by a ring of its own: they go off the chip
    adding_s: float = 0.0    # s after its last tile, to add the parts of a sum that is split; it waits to be read


@dataclass(frozen=True)
class Payload:
    """One entry of a queue: bytes in L2, B of shared memory that a CTA stages, s of a stage's first hop."""

    entry: int
    staged: int = 0
    hop_s: float = 0.0


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
    ring_entries: int = 2
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
            and _least_zero([n for s in stages for n in (s.work_s, s.shared, s.passes, s.written, s.adding_s)]),
            "payloads": all(p.entry >= 1 and p.staged >= 0 for p in self.payloads)
            and _least_zero([p.hop_s for p in self.payloads]),
            "queue_bandwidth, dram_bandwidth, l2_bandwidth, ring_entries or sms": _positive(
                [self.queue_bandwidth, self.dram_bandwidth, self.l2_bandwidth, self.ring_entries, self.sms]
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
