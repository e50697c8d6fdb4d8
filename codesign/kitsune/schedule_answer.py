"""How should one GPU run this operator graph, and how much faster is that than one operator at a time?"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib.metadata import version
from typing import Any, Literal

from pydantic import Field

from codesign.facts.document import Document, Part
from codesign.kitsune.gpu import UNITS, Gpu
from codesign.kitsune.graph import Graph
from codesign.kitsune.pipelines import Pipeline, ring_bytes
from codesign.kitsune.schedule import EXECUTIONS, MOST_SETS, OTHERS, Execution, Run, Schedule, evaluate
from codesign.kitsune.simulate import simulate
from codesign.kitsune.times import Assumptions, Times
from formulations.solvers.deadline import NEVER, Deadline

MOST_SIMULATED = 4000  # tiles of one pipeline


class StagePart(Part):
    """One operator of a group."""

    operator: str
    pipe: Literal["tensor", "simt"]
    ctas: int | None = Field(description="null: not a stage of a pipeline, it has all SMs")
    busy: float | None = Field(description="share of the steady state in which its CTAs work")
    parts: int = Field(1, description="into which a sum over rows is split, added up after the last row; 1: whole")


class QueuePart(Part):
    """The ring of one stage."""

    producer: str
    consumers: tuple[str, ...] = Field(description="more than one: multicast")
    bytes: int = Field(description="of the whole tensor")
    payload: float = Field(description="B of one CTA's share of a tile")
    entries: int


class PipelinePart(Part):
    """What only a spatial pipeline has; s."""

    steady_s: float
    fill_s: float = Field(description="fill, drain and adding the parts of sums, without the cost of queues")
    queue_s: float = Field(description="what queues add")
    tiles: int
    bottleneck: str = Field(description='"dram", "l2" or an operator')
    ring_bytes: float = Field(description="of L2, all rings")
    entry: int = Field(description="B of one entry of its queues, at most")
    queues: tuple[QueuePart, ...]
    simulated_s: float | None = Field(description="without queue cost; null: not simulated (tiles, time)")
    simulated_queued_s: float | None = Field(description="with queue cost")


class GroupPart(Part):
    """Operators that run as one."""

    kind: Literal["alone", "vertical", "pipeline"]
    time_s: float
    alone_s: float = Field(description="the same operators one after the other")
    speed_up: float
    dram_bytes: int
    tensor_use: float = Field(description="share of the peak, over the group's time")
    simt_use: float
    dram_use: float
    stages: tuple[StagePart, ...]
    pipeline: PipelinePart | None = None


class ExecutionPart(Part):
    """One execution model."""

    execution: Execution
    status: Literal["optimal", "feasible"]
    time_s: float
    speed_up: float = Field(description="against bulk-synchronous execution")
    dram_bytes: int
    traffic_cut: float = Field(description="share of the bulk-synchronous bytes")
    covered: int = Field(description="operators in groups of two and more")
    bound_s: float = Field(description="no schedule of this execution model is faster")
    gap: float
    groups: tuple[GroupPart, ...]
    notes: tuple[str, ...]
    blocked: tuple[str, ...] = Field(description="the study's groups that the GPU cannot hold; they run alone")


class KitsuneAnswer(Document):
    """All execution models of one graph on one GPU, as one document."""

    kind: Literal["kitsune"] = "kitsune"
    graph: str
    operators: int
    gpu: str
    gpu_numbers: dict[str, float | None] = Field(description="SI")
    settings: dict[str, str] = Field(description="of the GPU, the user's own")
    execution: Execution = Field(description="the one asked for")
    executions: tuple[ExecutionPart, ...]
    measured: tuple[str, ...] = Field(description="operators with the user's own times")
    notes: tuple[str, ...]
    assumptions: tuple[str, ...]
    versions: dict[str, str]

    def chosen(self) -> ExecutionPart:
        """The execution model that was asked for."""
        return next(part for part in self.executions if part.execution == self.execution)


def ask(
    graph: Graph,
    gpu: Gpu,
    execution: Execution = "best",
    *,
    assumed: Assumptions | None = None,
    measured: Mapping[str, float] | None = None,
    most_sets: int = MOST_SETS,
    deadline: Deadline = NEVER,
) -> KitsuneAnswer:
    """Every execution model of a graph; pipelines of the one asked for are simulated too.

    `measured` (s) replaces times of operators alone. After the `deadline` nothing is searched or
    simulated any more.
    Raises ValueError for an unknown execution model.
    """
    if execution not in EXECUTIONS:
        raise ValueError(f"execution = {execution!r}, known: {', '.join(EXECUTIONS)}")
    times = Times(graph, gpu, assumed or Assumptions(), measured or {})
    others = [evaluate(times, name, deadline=deadline) for name in OTHERS]
    if times.assumed.latency or execution == "best":
        others.append(evaluate(times, "best", most_sets=most_sets, known=others, deadline=deadline))
    schedules = sorted(others, key=lambda s: EXECUTIONS.index(s.execution))
    parts = tuple(_execution(times, s, deadline if s.execution == execution else None) for s in schedules)
    return KitsuneAnswer(
        graph=graph.name, operators=len(graph), gpu=gpu.name, execution=execution,
        gpu_numbers={f.name: getattr(gpu, f.name) for f in fields(gpu) if f.name in UNITS},
        settings=dict(gpu.settings), executions=parts,
        measured=tuple(times.measured), notes=graph.notes, assumptions=times.assumed.stated(),
        versions={name: version(name) for name in ("codesign", "highspy", "pyomo")},
    )  # fmt: skip


def _execution(times: Times, schedule: Schedule, simulated: Deadline | None) -> ExecutionPart:
    return ExecutionPart.model_validate({
        "execution": schedule.execution, "status": schedule.status.value, "time_s": schedule.time_s,
        "speed_up": schedule.speed_up, "dram_bytes": schedule.dram_bytes, "traffic_cut": schedule.traffic_cut,
        "covered": sum(len(run.members) for run in schedule.runs if len(run.members) > 1),
        "bound_s": schedule.bound_s, "gap": schedule.gap, "notes": schedule.notes,
        "blocked": schedule.blocked,
        "groups": tuple(_group(times, run, simulated) for run in schedule.runs),
    })  # fmt: skip


def _group(times: Times, run: Run, simulated: Deadline | None) -> GroupPart:
    stages = tuple(StagePart.model_validate(vars(stage)) for stage in run.stages)
    pipeline = None if run.pipeline is None else _pipeline(times, run.pipeline, simulated)
    return GroupPart(kind=run.kind, time_s=run.time_s, alone_s=run.alone_s, speed_up=run.speed_up,
                     dram_bytes=run.dram_bytes, tensor_use=run.tensor_use, simt_use=run.simt_use,
                     dram_use=run.dram_use, stages=stages, pipeline=pipeline)  # fmt: skip


def _pipeline(times: Times, found: Pipeline, simulated: Deadline | None) -> PipelinePart:
    """A pipeline, simulated where asked for and while there is time."""
    ran: dict[str, Any] = {"simulated_s": None, "simulated_queued_s": None}
    if simulated is not None and found.tiles <= MOST_SIMULATED and not simulated.passed:
        result = simulate(times.graph, times.gpu, times.assumed, found)
        ran = {"simulated_s": result.plain_s, "simulated_queued_s": result.queued_s}
    return PipelinePart(steady_s=found.steady_s, fill_s=found.fill_s, queue_s=found.queue_s, tiles=found.tiles,
                        bottleneck=found.bottleneck, ring_bytes=ring_bytes(found), entry=found.entry,
                        queues=tuple(_queues(times.graph, found)), **ran)  # fmt: skip


def _queues(graph: Graph, found: Pipeline) -> Iterator[QueuePart]:
    for q in found.queues:
        names = [graph.operators[i].name for i in (q.producer, *q.consumers)]
        yield QueuePart(producer=names[0], consumers=tuple(names[1:]), bytes=q.bytes, payload=q.payload,
                        entries=q.entries)  # fmt: skip
