"""A group as a spatial pipeline: what its stages and queues carry, its CTAs, and its time in closed form.

    steady   = max(DRAM bytes / DRAM, L2 bytes / L2, work_i / CTAs_i of every stage i)
    fill     = longest path of the time that one tile takes in each stage, without queue cost
    time     = max(DRAM, L2, effort_i / CTAs_i) + longest path of hops, and of what adding a split sum takes
    effort_i = max(work_i, bytes in / rate, bytes out / rate)                    CTA-seconds

A hop is the measured cost of one queue entry, and the rate is an entry each hop; a larger entry gives more of
both, and the best schedule chooses it for each pipeline. So a group is cut into `tiles`, as many as hops in its
steady state, and no CTA passes more than an entry of a tile. The study's zero-latency model has neither hops nor
rates; then a launch is paid. A sum over rows has as many parts as its CTAs ask for (`codesign.kitsune.sums`).
Off the chip goes what `codesign.kitsune.traffic` says; through L2 goes that too, and what queues carry, written
once and read by each consumer. An operator that is written off the chip in any case is not written to its ring
again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codesign.kitsune import selection
from codesign.kitsune.graph import Group, mask_of, members
from codesign.kitsune.sums import adding_s, steps
from codesign.kitsune.times import Times
from codesign.kitsune.traffic import group_bytes
from formulations.dataflow_schedule import Instance, Payload, Stage

ALONE_ONLY = ("bmm", "bmm_da", "bmm_db", "buffer", "unsupported")  # an operand is needed whole, or unknown
GEMM_SHARED = 64 * 1024  # B: tiles of 128 x 64 and 64 x 128 in FP16, twice each
MEMORIES = ("dram", "l2")
MOST_TILES = 4096  # of a group in the zero-latency model, where any number is as good


@dataclass(frozen=True)
class Queue:
    """The ring of one stage: who reads it, bytes of the whole tensor, and of one entry of one CTA."""

    producer: int
    consumers: tuple[int, ...]
    bytes: int
    payload: float   # B of one CTA's share of one tile
    entries: int     # two, and one for each stage that the tensor bypasses


@dataclass(frozen=True)
class Pipeline:
    """A priced pipeline; times in s, `ctas` by position of the operator."""

    group: Group
    ctas: Mapping[int, int]
    steady_s: float
    fill_s: float
    time_s: float
    tiles: int
    bottleneck: str   # "dram", "l2", or the name of an operator ("operator l2" where that is its name)
    queues: tuple[Queue, ...]
    entry: int        # B of a queue's entry, at most

    @property
    def queue_s(self) -> float:
        """What queues add to steady state and fill."""
        return self.time_s - self.steady_s - self.fill_s


def phases(times: Times) -> tuple[Group, ...]:
    """Operators of the forward pass, and of the backward pass: the loss lies between."""
    every = range(len(times.graph))
    both = (tuple(i for i in every if times.graph.operators[i].backward is side) for side in (False, True))
    return tuple(phase for phase in both if phase)


def written_anyway(times: Times, i: int) -> bool:
    """Whether an output goes off the chip whatever its group: nobody reads it, or the world or the other phase does."""
    graph = times.graph
    op = graph.operators[i]
    other = any(graph.operators[j].backward != op.backward for j in members(graph.consumers[i]))
    return not graph.consumers[i] or op.name in graph.outputs or other


def read_inside(times: Times, group: Sequence[int]) -> dict[int, int]:
    """Bytes that each member reads from queues."""
    inside, names = mask_of(group), times.graph.position
    return {i: sum(size for name, size in times.graph.reads[i].items() if name in names and inside >> names[name] & 1)
            for i in group}  # fmt: skip


def kept_inside(times: Times, group: Sequence[int]) -> dict[int, int]:
    """Bytes that each member writes to its ring."""
    inside, graph = mask_of(group), times.graph
    return {i: graph.operators[i].output.bytes if graph.consumers[i] & inside and not written_anyway(times, i) else 0
            for i in group}  # fmt: skip


def stage_s(times: Times, i: int) -> float:
    """Seconds of a stage on all SMs; one that is written in any case takes its ring's time too, if others read it."""
    return max(times.streamed_s[i], handed_over(times, i) / times.queue_rate / times.gpu.sms)


def handed_over(times: Times, i: int) -> int:
    """Bytes that readers take although they are written off the chip in any case: 0 where nobody reads them."""
    return times.graph.operators[i].output.bytes if times.graph.consumers[i] and written_anyway(times, i) else 0


def entries(times: Times) -> tuple[int, ...]:
    """B of a queue's entry that a pipeline may have, in the order of the program's payloads."""
    return tuple(sorted({times.assumed.entry, *(e for e in times.assumed.entries if e <= times.gpu.payload_most)}))


def program(times: Times, phase: Group) -> Instance:
    """The program `dataflow_schedule` of one pass; operators in the order of `phase`.

    What sums over rows streams only as the last of its pipeline: its output is complete after the last row. Its
    alternatives are the depths of the tree that adds its parts.
    """
    graph, gpu, assumed = times.graph, times.gpu, times.assumed
    at = {i: p for p, i in enumerate(phase)}
    inner = read_inside(times, phase)
    operators = [graph.operators[i] for i in phase]
    outputs = [op.output.bytes for op in operators]
    anyway = [written_anyway(times, i) for i in phase]
    outside = [sum(graph.reads[i].values()) - inner[i] + graph.operators[i].weights for i in phase]
    fused = [g for g in selection.vertical(graph) if set(g) <= set(phase)]
    kernels = [(g, time) for g in fused if (time := times.vertical_s(g)) is not None]
    return Instance(
        operators=tuple(op.name for op in operators),
        alternatives=tuple(tuple((_stage(times, i, most, adding),) for most, adding in steps(times, i)) for i in phase),
        alone_s=tuple(times.alone_s[i] for i in phase),
        read=tuple(float(size) for size in outside),
        write=tuple(float(size * own) for size, own in zip(outputs, anyway, strict=True)),
        output=tuple(float(size * (not own)) for size, own in zip(outputs, anyway, strict=True)),
        tile_s=(0.0,) * len(phase),
        streams=tuple(not op.gathers and op.kind not in ALONE_ONLY and not (op.reduces and graph.consumers[i])
                      for i, op in zip(phase, operators, strict=True)),
        edges=tuple((at[e.producer], at[e.consumer], float(e.bytes)) for e in graph.edges
                    if e.producer in at and e.consumer in at),
        verticals=tuple((frozenset(at[i] for i in g), time) for g, time in kernels),
        payloads=tuple(Payload(e, e, times.at_entry(e).hop_s) for e in entries(times)),
        queue_bandwidth=gpu.queue_bandwidth, sync_s=gpu.queue_sync, queue_room=gpu.l2_capacity * assumed.queue_share,
        ring_entries=gpu.queue_entries,
        shared_memory=int(gpu.shared_memory or 2**40), sms=gpu.sms, dram_bandwidth=times.dram, l2_bandwidth=times.l2,
    )  # fmt: skip


def _stage(times: Times, i: int, most: int | None, adding: float) -> Stage:
    pipe = times.graph.operators[i].pipe
    shared = GEMM_SHARED if pipe == "tensor" else 0
    return Stage(pipe, times.streamed_s[i], shared, most, written=handed_over(times, i), adding_s=adding)


def efforts(times: Times, group: Sequence[int]) -> dict[int, float]:
    """CTA-seconds of every stage, its queues included."""
    read, kept = read_inside(times, group), kept_inside(times, group)
    rate, sms = times.queue_rate, times.gpu.sms
    return {i: max(stage_s(times, i) * sms, read[i] / rate, kept[i] / rate) for i in group}


def through_l2(times: Times, group: Sequence[int]) -> int:
    """Bytes of a group off the chip and through queues, written once and read by each consumer."""
    inside = sum(read_inside(times, group).values()) + sum(kept_inside(times, group).values())
    return group_bytes(times.graph, group) + inside


def price(times: Times, group: Group, ctas: Mapping[int, int]) -> Pipeline:
    """The pipeline with these CTAs. Raises ValueError where a stage has none, or a class more than SMs."""
    graph, sms = times.graph, times.gpu.sms
    for pipe in ("tensor", "simt"):
        taken = [ctas[i] for i in group if graph.operators[i].pipe == pipe]
        if any(a < 1 for a in taken) or sum(taken) > sms:
            raise ValueError(f"CTAs of the {pipe} stages are {taken}: at least one each and {sms} in all")
    memory = {"dram": group_bytes(graph, group) / times.dram, "l2": through_l2(times, group) / times.l2}
    own = {i: times.streamed_s[i] * sms / ctas[i] for i in group}
    fed = {i: effort / ctas[i] for i, effort in efforts(times, group).items()}
    limits = [*memory.items(), *((_label(graph.operators[i].name), fed[i]) for i in group)]
    bottleneck, flow = max(limits, key=lambda limit: limit[1])
    steady = max(*memory.values(), *own.values())
    tiles = _tiles(times, group, flow)
    fill = _longest(times, group, {i: own[i] / tiles + adding_s(times, i, ctas[i], queued=False) for i in group})
    total = flow + filled_s(times, group, ctas)
    return Pipeline(group, dict(ctas), steady, fill if times.assumed.latency else 0.0, total, tiles, bottleneck,
                    _queues(times, group, ctas, tiles), times.assumed.entry)  # fmt: skip


def _label(operator: str) -> str:
    """An operator's name among what can limit a pipeline: one may be called as a memory is."""
    return f"operator {operator}" if operator in MEMORIES else operator


def filled_s(times: Times, group: Group, ctas: Mapping[int, int]) -> float:
    """Seconds to fill and to add the parts of sums, queue cost included; a launch at least."""
    hops = {i: times.hop_s + adding_s(times, i, ctas[i]) for i in group}
    return max(_longest(times, group, hops), times.assumed.launch_s)


def _tiles(times: Times, group: Sequence[int], flow: float) -> int:
    if times.assumed.latency:
        return max(1, math.ceil(flow * times.queue_rate / times.assumed.entry))
    widest = max(times.graph.operators[i].output.bytes for i in group)
    return min(MOST_TILES, max(1, math.ceil(widest / times.assumed.entry)))


def _longest(times: Times, group: Sequence[int], each: Mapping[int, float]) -> float:
    inside, done = mask_of(group), dict[int, float]()
    for i in sorted(group):
        done[i] = each[i] + max((done[j] for j in members(times.graph.producers[i] & inside)), default=0.0)
    return max(done.values())


def _queues(times: Times, group: Sequence[int], ctas: Mapping[int, int], tiles: int) -> tuple[Queue, ...]:
    graph, inside = times.graph, mask_of(group)
    level: dict[int, int] = {}
    for i in sorted(group):
        level[i] = 1 + max((level[j] for j in members(graph.producers[i] & inside)), default=0)
    found = []
    for i in sorted(group):
        if readers := tuple(members(graph.consumers[i] & inside)):
            bypassed = max(level[j] for j in readers) - level[i] - 1
            size = graph.operators[i].output.bytes
            found.append(Queue(i, readers, size, size / tiles / ctas[i], times.gpu.queue_entries + bypassed))
    return tuple(found)


def ring_bytes(pipeline: Pipeline) -> float:
    """Bytes of L2 that all rings of a pipeline take, of whole entries."""
    return sum(q.entries * pipeline.entry * pipeline.ctas[q.producer] for q in pipeline.queues)
