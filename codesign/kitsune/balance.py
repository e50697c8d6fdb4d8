"""The study's balance of one group: its integer program with our times, and the CTAs that it gives."""

from collections.abc import Mapping

import numpy as np

from codesign.kitsune.graph import Group
from codesign.kitsune.pipelines import efforts, through_l2
from codesign.kitsune.sums import most_ctas
from codesign.kitsune.times import Times
from codesign.kitsune.traffic import group_bytes
from formulations import spatial_pipeline
from formulations.dataflow_schedule.balance import fewest
from formulations.solvers.outcome import Status
from formulations.spatial_pipeline.bounds import ceiling, too_many


def balance(times: Times, group: Group) -> tuple[dict[int, int], float, Status] | str:
    """CTAs of every stage by the study's integer program, its proven bound (s), and its status; or why there are none.

    The unit of throughput is one pass of the whole batch. Sums have no CTAs that the throughput does not ask for:
    more parts take longer to add.
    """
    data = instance(times, group)
    if many := too_many(data):
        return "cannot be resident: " + ", ".join(many)
    outcome = spatial_pipeline.solve(data)
    if outcome.solution is None:
        return f"no balance was found: {outcome.status.value}"
    bound = 1 / (outcome.bound or ceiling(data))
    ctas = dict(zip(group, outcome.solution.ctas, strict=True))
    need = least_ctas(times, group, 1 / outcome.solution.throughput)
    spare = {i: min(a, need[i]) for i, a in ctas.items() if times.graph.operators[i].reduces}
    return ctas | spare, bound, outcome.status


def least_ctas(times: Times, group: Group, steady: float) -> dict[int, int]:
    """CTAs that each stage needs to take `steady` seconds."""
    return {i: fewest(effort, steady) for i, effort in efforts(times, group).items()}


def instance(times: Times, group: Group, ctas: Mapping[int, int] | None = None) -> spatial_pipeline.Instance:
    """The study's program of one group: t is the operator's rate alone, u what makes t / u its rate fed from queues.

    With `ctas` a sum has no more of them than its parts allow: as many levels to add as with these.
    """
    gpu, graph = times.gpu, times.graph
    fed = [effort / gpu.sms for effort in efforts(times, group).values()]
    alone = [max(times.alone_s[i], own) for i, own in zip(group, fed, strict=True)]
    off = group_bytes(graph, group)
    return spatial_pipeline.Instance(
        stages=tuple(f"op{i}" for i in group),  # names of operators may have dots, which Pyomo quotes
        kinds=tuple(graph.operators[i].pipe for i in group),
        throughput=1 / np.array(alone), utilisation=np.array(fed) / np.array(alone),
        dram_bytes=float(off), l2_bytes=float(through_l2(times, group)), dram_bandwidth=times.dram,
        l2_bandwidth=times.l2, sms=gpu.sms,
        most_ctas=None if ctas is None else np.array([most_ctas(times, i, ctas[i]) for i in group]),
    )  # fmt: skip
