"""A folder with a schedule: schedule.json, sms.csv, and each pipeline's balance as LP, MPS and CP-SAT text."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from codesign.exports.atomic import write_folder
from codesign.kitsune.gpu import Gpu
from codesign.kitsune.graph import Graph
from codesign.kitsune.pipelines import GEMM_SHARED, instance
from codesign.kitsune.simulate import ctas_on_sms
from codesign.kitsune.times import Assumptions, Times
from codesign.queries.kitsune import GroupPart, KitsuneAnswer
from formulations import cpsat, highs, sm_placement, spatial_pipeline, spatial_pipeline_cpsat
from formulations.spatial_pipeline_bounds import ceiling

FILES = ("schedule.json", "sms.csv")
PROGRAMS = ("lp", "mps", "cpsat.txt")
PLACEMENT = cpsat.Limits(deterministic_s=0.2)  # of one pipeline: about a second
HEAD = ("pipeline", "sm", "gpc", "tensor_stage", "simt_stage", "placed_by")


def write_schedule(folder: Path, graph: Graph, gpu: Gpu, answer: KitsuneAnswer, assumed: Assumptions) -> None:
    """Write the folder whole or not at all; programs and SMs are those of the chosen execution model.

    Programs of an earlier export that this one does not write are removed.
    """
    times = Times(graph, gpu, assumed)
    pipelines = [group for group in answer.chosen().groups if group.pipeline is not None]

    def fill(stage: Path) -> None:
        (stage / "schedule.json").write_text(answer.document() + "\n", encoding="utf-8")
        (stage / "sms.csv").write_text(sms_table(times, pipelines), encoding="utf-8")
        for number, group in enumerate(pipelines, 1):
            _write_programs(stage / f"pipeline-{number}", times, group)

    earlier = [path.name for end in PROGRAMS for path in folder.glob(f"pipeline-*.{end}")]
    write_folder(folder, fill, (*FILES, *earlier))


def sms_table(times: Times, pipelines: list[GroupPart]) -> str:
    """What each SM hosts while each pipeline runs, as CSV; pipelines count from 1, SMs and GPCs from 0."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(HEAD)
    for number, group in enumerate(pipelines, 1):
        table.writerows((number, *row) for row in _placed(times, group))
    return text.getvalue()


def _placed(times: Times, group: GroupPart) -> Iterator[tuple[int | str, ...]]:
    """Near their producers where that is found in the limit, else in turn as the study's arbiters do."""
    names = [stage.operator for stage in group.stages]
    shown: dict[int | None, str] = {None: "", **dict(enumerate(names))}
    data = _placement(times.gpu, group)
    outcome = sm_placement.solve(data, limits=PLACEMENT)
    if outcome.solution is not None:
        for sm, host in enumerate(outcome.solution.hosts):
            yield sm, host.gpc, shown[host.tensor], shown[host.simt], outcome.status.value
        return
    at, ctas = times.graph.position, {stage.operator: stage.ctas or 0 for stage in group.stages}
    turns = ctas_on_sms(times.graph, times.gpu, {at[name]: ctas[name] for name in names})
    gpcs = [g for g, sms in enumerate(data.gpc_sms) for _ in range(sms)]
    for sm, gpc in enumerate(gpcs):
        found = [turns[pipe][sm] for pipe in ("tensor", "simt")]
        stages = ["" if i < 0 else times.graph.operators[i].name for i in found]
        yield sm, gpc, *stages, "round-robin"


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


def _write_programs(stem: Path, times: Times, group: GroupPart) -> None:
    data = instance(times, tuple(times.graph.position[stage.operator] for stage in group.stages))
    named = ", ".join(f"{short} = {stage.operator}" for short, stage in zip(data.stages, group.stages, strict=True))
    header = [f"balance of {stem.name} of {times.graph.name} on {times.gpu.name}, formulations/spatial_pipeline.py",
              f"speed 1 = {ceiling(data)!r} passes a second", named]  # fmt: skip
    program = highs.load(spatial_pipeline.build(data))
    for end in ("lp", "mps"):
        highs.write(program, Path(f"{stem}.{end}"), header)
    comments = "".join(f"# {line}\n" for line in header)
    Path(f"{stem}.cpsat.txt").write_text(comments + str(spatial_pipeline_cpsat.build(data).proto), encoding="utf-8")
