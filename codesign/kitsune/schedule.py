"""An operator graph on a GPU under one execution model: groups, CTAs, time, traffic, and what is proven.

    bulk       every operator alone
    vertical   the study's vertical groups, each one kernel where that is faster
    kitsune    the study's groups as pipelines, balanced by its integer program, where that is faster
    best       any groups: alone, vertical or pipelines of any operators, least time, with a proven bound

Forward and backward pass are scheduled one after the other: the loss lies between them.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from codesign.facts.errors import AuditError
from codesign.kitsune import selection
from codesign.kitsune.balance import balance, least_ctas
from codesign.kitsune.graph import Graph, Group
from codesign.kitsune.pipelines import Pipeline, entries, filled_s, phases, price, program
from codesign.kitsune.simulate import NotResident, check
from codesign.kitsune.sums import parts
from codesign.kitsune.times import Times
from codesign.kitsune.traffic import group_bytes
from formulations import dataflow_schedule
from formulations.dataflow_schedule.instance import Group as Column
from formulations.solvers.deadline import NEVER, Deadline
from formulations.solvers.outcome import Status

Execution = Literal["bulk", "vertical", "kitsune", "best"]
EXECUTIONS: tuple[Execution, ...] = ("bulk", "vertical", "kitsune", "best")
OTHERS: tuple[Execution, ...] = ("kitsune", "vertical", "bulk")  # than the best; of equal ones the first is taken
MOST_SETS = 200_000
AGREE = 1e-9


@dataclass(frozen=True)
class StageUse:
    """An operator in a group, and its CTAs where it is a stage."""

    operator: str
    pipe: str
    ctas: int | None
    busy: float | None   # share of the pipeline's steady state that its CTAs work
    parts: int = 1       # into which a sum over rows is split


@dataclass(frozen=True)
class Run:
    """One group as it runs: times in s, bytes off the chip, shares of peaks over its time."""

    kind: Literal["alone", "vertical", "pipeline"]
    members: Group
    time_s: float
    alone_s: float          # its operators one after the other
    dram_bytes: int
    tensor_use: float
    simt_use: float
    dram_use: float
    stages: tuple[StageUse, ...]
    pipeline: Pipeline | None = None

    @property
    def speed_up(self) -> float:
        """Against its operators alone."""
        return self.alone_s / self.time_s


@dataclass(frozen=True)
class Schedule:
    """Groups in an order in which they can run; `notes` says what could not be done, and why."""

    graph: str
    execution: Execution
    runs: tuple[Run, ...]
    bulk_s: float
    bulk_bytes: int
    bound_s: float          # no schedule of this execution model is faster
    status: Status
    notes: tuple[str, ...] = ()
    tried: tuple[Run, ...] = ()  # kitsune: each group of the study as a pipeline, also where it loses
    blocked: tuple[str, ...] = ()  # kitsune: groups that the GPU cannot hold as pipelines, and why; they run alone

    @property
    def time_s(self) -> float:
        """Of the whole graph."""
        return sum(run.time_s for run in self.runs)

    @property
    def dram_bytes(self) -> int:
        """Off the chip, of the whole graph."""
        return sum(run.dram_bytes for run in self.runs)

    @property
    def speed_up(self) -> float:
        """Against bulk-synchronous execution."""
        return self.bulk_s / self.time_s

    @property
    def traffic_cut(self) -> float:
        """Share of the bulk-synchronous bytes that are saved."""
        return 1 - self.dram_bytes / self.bulk_bytes

    @property
    def gap(self) -> float:
        """Share of the time that is not proven necessary."""
        return (self.time_s - self.bound_s) / self.time_s


def evaluate(
    times: Times, execution: Execution, *, most_sets: int = MOST_SETS, known: Sequence[Schedule] = (),
    deadline: Deadline = NEVER,
) -> Schedule:
    """The graph under one execution model.

    `best` is never worse than any of `known`, which are the other models' schedules if not given. It looks at
    `most_sets` connected sets of operators in each pass; where there are more its bound is weaker, never wrong,
    as it is where the `deadline` passes; `kitsune` then runs what it has not balanced operator by operator.
    Raises ValueError for `best` in the zero-latency model, which has no time to fill.
    """
    if execution == "bulk":
        return _schedule(times, execution, [])
    if execution == "vertical":
        runs = [_vertical(times, group) for group in selection.vertical(times.graph)]
        notes = [_name(times, g) + ": does not fit shared memory as one kernel, runs alone"
                 for g, run in zip(selection.vertical(times.graph), runs, strict=True) if run is None]  # fmt: skip
        return _schedule(times, execution, [r for r in runs if r is not None], notes)
    if execution == "kitsune":
        return _kitsune(times, deadline)
    if not times.assumed.latency:
        raise ValueError("execution = 'best' needs latency = True: without time to fill any pipeline looks free")
    return _best(times, most_sets, deadline, known or [evaluate(times, name, deadline=deadline) for name in OTHERS])


def _alone(times: Times, i: int) -> Run:
    return _run(times, "alone", (i,), times.alone_s[i])


def _vertical(times: Times, group: Group) -> Run | None:
    time = times.vertical_s(group)
    return None if time is None else _run(times, "vertical", group, time)


def _pipeline(times: Times, found: Pipeline) -> Run:
    return _run(times, "pipeline", found.group, found.time_s, found)


def _run(times: Times, kind: Literal["alone", "vertical", "pipeline"], group: Group, time: float,
         found: Pipeline | None = None) -> Run:  # fmt: skip
    graph, gpu = times.graph, times.gpu
    flop = {pipe: sum(graph.operators[i].flop for i in group if graph.operators[i].pipe == pipe)
            for pipe in ("tensor", "simt")}  # fmt: skip
    off = group_bytes(graph, group)
    stages = []
    for i in group:
        ctas = None if found is None else found.ctas[i]
        busy = None if found is None or ctas is None else times.streamed_s[i] * gpu.sms / ctas / found.steady_s
        split = parts(times, graph.operators[i], ctas or 1)
        stages.append(StageUse(graph.operators[i].name, graph.operators[i].pipe, ctas, busy, split))
    return Run(kind, group, time, sum(times.alone_s[i] for i in group), off, flop["tensor"] / gpu.tensor / time,
               flop["simt"] / gpu.simt / time, off / gpu.dram_bandwidth / time, tuple(stages), found)  # fmt: skip


def _schedule(times: Times, execution: Execution, groups: Iterable[Run], notes: Sequence[str] = (),
              bound_s: float | None = None, status: Status = Status.OPTIMAL) -> Schedule:  # fmt: skip
    """All groups that are faster than alone, and every other operator alone, in an order that can run."""
    graph = times.graph
    kept = [run for run in groups if run.time_s < run.alone_s or len(run.members) == 1]
    taken = {i for run in kept for i in run.members}
    runs = _in_turn(graph, [*kept, *(_alone(times, i) for i in range(len(graph)) if i not in taken)])
    bulk_bytes = sum(group_bytes(graph, (i,)) for i in range(len(graph)))
    time = sum(run.time_s for run in runs)
    bound = time if bound_s is None else min(bound_s, time)
    return Schedule(graph.name, execution, tuple(runs), sum(times.alone_s), bulk_bytes, bound, status, tuple(notes))


def _in_turn(graph: Graph, runs: Sequence[Run]) -> list[Run]:
    owner = {i: r for r, run in enumerate(runs) for i in run.members}
    needs = [{owner[e.producer] for e in graph.edges if owner[e.consumer] == r} - {r} for r in range(len(runs))]
    order: list[Run] = []
    done: set[int] = set()
    left = sorted(range(len(runs)), key=lambda r: runs[r].members[0])
    while left:
        ready = next((r for r in left if needs[r] <= done), None)
        if ready is None:
            raise AuditError(f"graph {graph.name!r}: groups wait for each other: {[runs[r].members for r in left]}")
        left.remove(ready)
        done.add(ready)
        order.append(runs[ready])
    return order


def _kitsune(times: Times, deadline: Deadline) -> Schedule:
    """The study's groups; its bound: each group's proven balance, or its operators alone; nothing where time ended."""
    runs, notes, blocked, bound = list[Run](), list[str](), list[str](), sum(times.alone_s)
    late = 0
    for group in selection.kitsune(times.graph):
        if deadline.passed:
            late, bound = late + 1, bound - sum(times.alone_s[i] for i in group)
            continue
        found = balance(times, group)
        if isinstance(found, str):
            blocked.append(f"{_name(times, group)}: {found}")
            continue
        ctas, steady, _ = found
        priced = price(times, group, ctas)
        try:
            check(times.graph, times.gpu, times.assumed, priced)
        except NotResident as error:
            blocked.append(f"{_name(times, group)}: cannot be resident: {error}")
            continue
        run = _pipeline(times, priced)
        if run.time_s >= run.alone_s:
            notes.append(f"{_name(times, group)}: {run.time_s * 1e6:.1f} us as a pipeline, {run.alone_s * 1e6:.1f} us "
                         "alone; runs alone")  # fmt: skip
        runs.append(run)
        filled = filled_s(times, group, least_ctas(times, group, steady))
        bound += min(0.0, steady + filled - run.alone_s)
    if late:
        notes.append(f"the time given ended before {late} of the study's groups were balanced: they run alone")
    status = Status.FEASIBLE if late else Status.OPTIMAL
    return replace(_schedule(times, "kitsune", runs, notes, bound, status), tried=tuple(runs), blocked=tuple(blocked))


def _name(times: Times, group: Group) -> str:
    first, last = (times.graph.operators[i].name for i in (group[0], group[-1]))
    return f"{first} .. {last} ({len(group)} operators)"


def _best(times: Times, most_sets: int, deadline: Deadline, known: Sequence[Schedule]) -> Schedule:
    """Both passes by the program, in equal shares of the time; never worse than the known schedules."""
    runs: list[Run] = []
    bound, status, notes = 0.0, Status.OPTIMAL, []
    passes = phases(times)
    for number, phase in enumerate(passes):
        data = program(times, phase)
        share_s = deadline.left_s / (len(passes) - number)
        outcome, proof = dataflow_schedule.solve(data, most_sets=most_sets, limit_s=share_s)
        chosen = [_of(times, phase, g) for g in outcome.solution.groups] if outcome.solution else []
        for run in chosen:
            _resident(times, run)
        given = [[run for run in s.runs if run.members[0] in phase] for s in known]
        best = _least([chosen, *given] if chosen else given)
        runs += best
        bound += outcome.bound or 0.0
        proven = outcome.status is Status.OPTIMAL and bool(chosen)
        status = status if proven else Status.FEASIBLE
        if not proven and math.isfinite(share_s):
            notes.append(f"the time given ended the search of {len(phase)} operators: "
                         "a faster schedule may exist, none below the bound")  # fmt: skip
        if not proof.complete:
            notes.append(f"pipelines of more than {proof.complete_to} operators were not all looked at: "
                         "the bound is weaker")  # fmt: skip
    return _schedule(times, "best", runs, notes, bound, status)


def _least(schedules: Sequence[list[Run]]) -> list[Run]:
    """The fastest; of those as fast within rounding, the one with the fewest bytes off the chip."""
    least = min(sum(run.time_s for run in runs) for runs in schedules)
    near = [runs for runs in schedules if sum(run.time_s for run in runs) <= least * (1 + AGREE)]
    return min(near, key=lambda runs: sum(run.dram_bytes for run in runs))


def _resident(times: Times, run: Run) -> None:
    """Raises AuditError for a pipeline of the program that cannot be resident."""
    try:
        if run.pipeline is not None:
            check(times.graph, times.gpu, times.assumed, run.pipeline)
    except NotResident as error:
        raise AuditError(f"{_name(times, run.members)}: cannot be resident: {error}") from error


def _of(times: Times, phase: Group, group: Column) -> Run:
    """A group of the program, priced by our own formulas. Raises AuditError where they disagree."""
    own = tuple(phase[p] for p in group.members)
    if group.mode == "pipeline":
        ctas = {i: row[0] for i, row in zip(own, group.ctas, strict=True)}
        run = _pipeline(times, price(times.at_entry(entries(times)[group.payload or 0]), own, ctas))
    else:
        time = times.vertical_s(own) if group.mode == "vertical" else times.alone_s[own[0]]
        run = _run(times, group.mode, own, time or 0.0)
    if abs(run.time_s - group.time_s) > AGREE * group.time_s:
        raise AuditError(f"{_name(times, own)}: {group.mode} in {group.time_s} s by the program, {run.time_s} s here")
    return run
