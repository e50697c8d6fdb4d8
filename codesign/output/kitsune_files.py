"""A folder with a schedule: schedule.json, which SM hosts what, each pipeline's balance as programs, charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.facts.cells import csv_text
from codesign.facts.errors import AuditError
from codesign.kitsune.balance import instance
from codesign.kitsune.gpu import Gpu
from codesign.kitsune.pipelines import GEMM_SHARED
from codesign.kitsune.schedule_answer import GroupPart, KitsuneAnswer
from codesign.kitsune.simulate import ctas_on_sms
from codesign.kitsune.times import Times
from codesign.output.drawing import pictures
from codesign.output.files import Content, write_files
from codesign.output.kitsune_chart import CHARTS, charts
from codesign.output.program import programs
from formulations import sm_placement, spatial_pipeline
from formulations.sm_placement.bounds import check
from formulations.sm_placement.bounds import cost as placement_cost
from formulations.sm_placement.instance import Host
from formulations.solvers import cpsat
from formulations.spatial_pipeline import cpsat as spatial_pipeline_cpsat
from formulations.spatial_pipeline.bounds import ceiling

PROGRAMS = ("lp", "mps", "cpsat.txt")
PLACEMENT = cpsat.Limits(deterministic_s=0.2)  # of one pipeline: about a second
HEAD = ("pipeline", "sm", "gpc", "tensor_stage", "simt_stage")
COSTS = ("pipeline", "placed_by", "status", "cost", "bound", "round_robin")


@dataclass(frozen=True)
class Placed:
    """One pipeline on the SMs: who placed it, the SMs, and costs as shares of sending every byte far."""

    placed_by: str   # "program", or "round-robin" where the limit ended the search before a placement
    status: str
    hosts: tuple[Host, ...]
    cost: float
    bound: float | None
    round_robin: float


def write_schedule(folder: Path, times: Times, answer: KitsuneAnswer) -> None:
    """Write the folder whole or not at all; programs and SMs are those of the chosen execution model.

    Programs of an earlier export that this one does not write are removed.
    """
    pipelines = [group for group in answer.chosen().groups if group.pipeline is not None]
    placed = [placed_on(times, group) for group in pipelines]
    sms = sms_table(pipelines, placed)
    files: dict[str, Content] = {path.name: None for end in PROGRAMS for path in folder.glob(f"pipeline-*.{end}")}
    for number, group in enumerate(pipelines, 1):
        files |= _programs(f"pipeline-{number}", times, group)
    write_files(folder, {
        "schedule.json": answer.document() + "\n", "sms.csv": sms, "placements.csv": placements_table(placed),
        **pictures(dict.fromkeys(CHARTS) | charts(times.graph, answer, sms)), **files,
    })  # fmt: skip


def charts_of(times: Times, answer: KitsuneAnswer) -> dict[str, Any]:
    """The charts of an export, by name."""
    pipelines = [group for group in answer.chosen().groups if group.pipeline is not None]
    sms = sms_table(pipelines, [placed_on(times, group) for group in pipelines])
    return charts(times.graph, answer, sms)


def executions_table(answer: KitsuneAnswer) -> str:
    """A row for each way to run the graph, as CSV; seconds and bytes."""
    heads = ("execution", "status", "time_s", "bound_s", "speed_up", "dram_bytes", "traffic_cut", "covered")
    return csv_text(heads, [[getattr(one, head) for head in heads] for one in answer.executions])


def sms_table(pipelines: Sequence[GroupPart], placed: Sequence[Placed]) -> str:
    """What each SM hosts while each pipeline runs, as CSV; pipelines count from 1, SMs and GPCs from 0."""
    rows: list[Sequence[object]] = []
    for number, (group, found) in enumerate(zip(pipelines, placed, strict=True), 1):
        shown: dict[int | None, str] = {None: "", **{i: stage.operator for i, stage in enumerate(group.stages)}}
        rows += [(number, sm, host.gpc, shown[host.tensor], shown[host.simt]) for sm, host in enumerate(found.hosts)]
    return csv_text(HEAD, rows)


def placements_table(placed: Sequence[Placed]) -> str:
    """How far the streams of each pipeline travel, as CSV: 1 is all bytes to the other half of L2."""
    rows = [(n, p.placed_by, p.status, p.cost, "" if p.bound is None else p.bound, p.round_robin)
            for n, p in enumerate(placed, 1)]  # fmt: skip
    return csv_text(COSTS, rows)


def placed_on(times: Times, group: GroupPart) -> Placed:
    """Near their producers where that is found in the limit and better, else in turn as the study's arbiters do."""
    data = _placement(times.gpu, group)
    outcome = sm_placement.solve(data, limits=PLACEMENT)
    far = sm_placement.cost_of_all_far(data) or 1.0
    turns = _in_turn(times, group, data)
    counts = [[sum(i in (host.tensor, host.simt) for host in turns if host.gpc == g) for g in range(len(data.gpcs))]
              for i in range(len(data.stages))]  # fmt: skip
    simple = placement_cost(data, counts)
    bound = None if outcome.bound is None else outcome.bound / far
    if outcome.solution is None or outcome.solution.cost > simple:
        return Placed("round-robin", "feasible", turns, simple / far, bound, simple / far)
    if faults := check(data, outcome.solution):
        raise AuditError(f"placement of {times.graph.name}: {'; '.join(faults)}")
    found = outcome.solution
    return Placed("program", outcome.status.value, found.hosts, found.cost / far, bound, simple / far)


def _in_turn(times: Times, group: GroupPart, data: sm_placement.Instance) -> tuple[Host, ...]:
    """The two arbiters of the study, SM after SM."""
    position = [times.graph.position[stage.operator] for stage in group.stages]
    turns = ctas_on_sms(times.graph, times.gpu, dict(zip(position, data.ctas, strict=True)))
    at: dict[int, int | None] = {-1: None, **{i: p for p, i in enumerate(position)}}
    gpcs = [g for g, sms in enumerate(data.gpc_sms) for _ in range(sms)]
    return tuple(Host(gpc, at[turns["tensor"][sm]], at[turns["simt"][sm]]) for sm, gpc in enumerate(gpcs))


def _placement(gpu: Gpu, group: GroupPart) -> sm_placement.Instance:
    """SMs spread evenly over GPCs, and GPCs over the partitions of L2; registers and threads are not limited."""
    stages = range(len(group.stages))
    at = {stage.operator: i for i, stage in enumerate(group.stages)}
    queues = () if group.pipeline is None else group.pipeline.queues
    gpcs, partitions = gpu.gpcs or 1, gpu.l2_partitions or 1
    return sm_placement.Instance(
        stages=tuple(at), gpcs=tuple(f"gpc{g}" for g in range(gpcs)),
        streams=tuple((at[q.producer], at[reader], float(q.bytes)) for q in queues for reader in q.consumers),
        kinds=tuple(stage.pipe for stage in group.stages), ctas=tuple(stage.ctas or 1 for stage in group.stages),
        shared=tuple(GEMM_SHARED if stage.pipe == "tensor" else 0 for stage in group.stages),
        registers=tuple(0 for _ in stages), threads=tuple(0 for _ in stages),
        gpc_sms=tuple((gpu.sms + gpcs - 1 - g) // gpcs for g in range(gpcs)),
        half=tuple(g * partitions // gpcs for g in range(gpcs)),
        sm_shared=int(gpu.shared_memory or 2**40), sm_registers=gpu.registers or 2**31, sm_threads=gpu.threads or 2**31,
    )  # fmt: skip


def _programs(name: str, times: Times, group: GroupPart) -> dict[str, Content]:
    ctas = {times.graph.position[stage.operator]: stage.ctas or 1 for stage in group.stages}
    fed = times if group.pipeline is None else times.at_entry(group.pipeline.entry)
    data = instance(fed, tuple(ctas), ctas)
    named = ", ".join(f"{short} = {stage.operator}" for short, stage in zip(data.stages, group.stages, strict=True))
    header = [f"balance of {name} of {times.graph.name} on {times.gpu.name}, formulations/spatial_pipeline",
              f"speed 1 = {ceiling(data)!r} passes a second", named]  # fmt: skip
    comments = "".join(f"# {line}\n" for line in header)
    return {**programs(name, spatial_pipeline.build(data), header),
            f"{name}.cpsat.txt": comments + str(spatial_pipeline_cpsat.build(data).proto)}  # fmt: skip
