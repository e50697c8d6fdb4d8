"""A schedule executed tile by tile: rings with few entries, back-pressure, shared DRAM and L2, fill and drain.

It shares with the prediction the shapes of the operators and the constants of `Assumptions`, and takes from
the schedule only what was decided: groups, CTAs, tiles, entries of rings. No rate, bound or time of it is read.

A stage takes tile after tile. It starts one when every queue that feeds it has it, its own ring has a free
entry, and its CTAs have finished the last one. The tile then passes the stage's CTAs, DRAM and L2, each of
which serves in order of arrival; the slowest decides when the stage is free. With queue cost a consumer sees a
tile no sooner than one queue entry takes, the first tile no sooner than half a launch, and a stage is held as
long as its share of a tile takes in its queue. An entry is free again when the last consumer has finished with it.
A sum over rows with more CTAs than tiles of its output has parts: after its last tile they are added two by two.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codesign.facts.errors import AuditError
from codesign.kitsune.gpu import Gpu
from codesign.kitsune.graph import Graph, Operator, mask_of, members
from codesign.kitsune.pipelines import GEMM_SHARED, Pipeline
from codesign.kitsune.sums import ACCUMULATOR, FP32_SHARE
from codesign.kitsune.times import Assumptions


class NotResident(ValueError):
    """Rings or CTAs that the GPU cannot hold; the message says which, how much is there and how much it takes."""


@dataclass(frozen=True)
class Simulated:
    """Seconds of one pipeline without and with the cost of queues, and how many events each run took."""

    plain_s: float
    queued_s: float
    events: int


@dataclass(frozen=True)
class _Stage:
    """What a tile takes in a stage: s on its CTAs, s held by its queue, B of DRAM and of L2."""

    service_s: float
    held_s: float
    dram: float
    l2: float
    sources: tuple[int, ...]
    readers: tuple[int, ...]
    entries: int
    added_s: tuple[float, float]  # s from the last tile to the sum of its parts, without and with queue cost


def simulate(graph: Graph, gpu: Gpu, assumed: Assumptions, pipeline: Pipeline) -> Simulated:
    """Run one pipeline. Raises NotResident where it cannot be resident, AuditError if it deadlocks (our bug)."""
    check(graph, gpu, assumed, pipeline)
    stages = _stages(graph, gpu, assumed, pipeline)
    rates = gpu.dram_bandwidth * assumed.dram_share, gpu.l2_bandwidth * assumed.l2_share
    hop = gpu.queue_sync + pipeline.entry / gpu.queue_bandwidth
    plain = _Loop(stages, pipeline.tiles, rates, 0.0)
    plain_s = plain.run()
    queued = _Loop(stages, pipeline.tiles, rates, hop, first=max(hop, assumed.launch_s / 2), queued=True)
    return Simulated(plain_s, max(queued.run(), plain_s), plain.events + queued.events)


def check(graph: Graph, gpu: Gpu, assumed: Assumptions, pipeline: Pipeline) -> None:
    """Raises NotResident for CTAs of a class beyond the SMs, CTAs beyond shared memory, rings beyond L2.

    Two arbiters give CTAs to SMs, one for each class; an SM takes one CTA of each at a time, so both must fit it.
    """
    for pipe in ("tensor", "simt"):
        asked = sum(pipeline.ctas[i] for i in pipeline.group if graph.operators[i].pipe == pipe)
        if asked > gpu.sms:
            raise NotResident(f"the {pipe} arbiter has {gpu.sms} SMs, the stages ask for {asked} CTAs")
    classes = {graph.operators[i].pipe for i in pipeline.group}
    needed = GEMM_SHARED * ("tensor" in classes) + pipeline.entry * len(classes)
    if gpu.shared_memory is not None and needed > gpu.shared_memory:
        raise NotResident(f"a CTA of each class takes {needed:,} B of shared memory, an SM has "
                          f"{gpu.shared_memory:,.0f} B")  # fmt: skip
    room, taken = gpu.l2_capacity * assumed.queue_share, 0.0
    for queue in pipeline.queues:
        taken += pipeline.entry * queue.entries * pipeline.ctas[queue.producer]
    if taken > room:
        raise NotResident(f"rings take {taken:,.0f} B (bytes of an entry x entries x CTAs), queues may have "
                             f"{room:,.0f} B of L2: {assumed.queue_share:.0%} of {gpu.l2_capacity:,.0f} B")  # fmt: skip


def _stages(graph: Graph, gpu: Gpu, assumed: Assumptions, pipeline: Pipeline) -> list[_Stage]:
    """Work of one tile in every stage, from shapes."""
    inside, at = mask_of(pipeline.group), {i: p for p, i in enumerate(pipeline.group)}
    entries = {q.producer: q.entries for q in pipeline.queues}
    found = []
    for i in pipeline.group:
        op, share = graph.operators[i], pipeline.ctas[i] / gpu.sms
        queued = {graph.operators[j].name for j in members(graph.producers[i] & inside)}
        read_in = sum(size for name, size in graph.reads[i].items() if name in queued)
        read_off = sum(size for name, size in graph.reads[i].items() if name not in queued) + op.weights
        feeds = tuple(at[j] for j in members(graph.consumers[i] & inside))
        written = op.output.bytes if graph.needed_outside(i, inside) else 0
        passed = op.output.bytes if feeds else 0
        peak = (gpu.tensor if op.pipe == "tensor" else gpu.simt) * assumed.stream_share
        touched = read_in + read_off - op.weights + op.output.bytes
        whole = max(op.flop / peak, touched / (gpu.l2_bandwidth * assumed.l2_share)) / share
        most = max(read_in, passed) / pipeline.ctas[i] / pipeline.tiles
        held = gpu.queue_sync + most / gpu.queue_bandwidth if most else 0.0
        through = read_in + read_off + (written or passed)
        found.append(_Stage(whole / pipeline.tiles, held, (read_off + written) / pipeline.tiles,
                            through / pipeline.tiles, tuple(at[j] for j in members(graph.producers[i] & inside)),
                            feeds, entries.get(i, 0), _added(op, gpu, assumed, pipeline.ctas[i])))  # fmt: skip
    return found


def _added(op: Operator, gpu: Gpu, assumed: Assumptions, ctas: int) -> tuple[float, float]:
    """Seconds in which the parts of a sum become one, two by two, without and with the cost of queues."""
    if not op.reduces:
        return 0.0, 0.0
    edge, shape = assumed.sum_tile, op.output.shape if op.pipe == "tensor" else (op.output.elements,)
    tiles, elements = math.prod(shape[:-2]), 1
    for size in shape[-2:]:
        tiles, elements = tiles * -(-size // edge), elements * min(size, edge)
    parts, rounds = -(-ctas // tiles), 0
    while parts > 1:
        parts, rounds = parts - parts // 2, rounds + 1
    plain = elements / (gpu.simt * FP32_SHARE * assumed.stream_share / gpu.sms)
    handed = gpu.queue_sync + elements * ACCUMULATOR / gpu.queue_bandwidth
    return rounds * plain, rounds * (plain + handed)


class _Loop:
    """Events (time, number, stage, what): a stage is free, or a tile of it can be seen."""

    def __init__(self, stages: Sequence[_Stage], tiles: int, rates: tuple[float, float], hop: float, *,
                 first: float = 0.0, queued: bool = False) -> None:  # fmt: skip
        self.stages, self.tiles, self.rates, self.queued = stages, tiles, rates, queued
        self.hop, self.first = hop, first
        count = len(stages)
        self.started, self.finished, self.visible = [0] * count, [0] * count, [0] * count
        self.seen = [0.0] * count  # when the last tile of each stage can be seen
        self.heap: list[tuple[float, int, int, bool]] = []
        self.memory = [0.0, 0.0]  # when DRAM and L2 are free
        self.events = 0

    def run(self) -> float:
        """Seconds until the last tile of the last stage can be seen."""
        now = 0.0
        for stage in range(len(self.stages)):
            self.start(stage, now)
        while self.heap:
            now, _, stage, seen = heapq.heappop(self.heap)
            if seen:
                self.visible[stage] += 1
                woken = self.stages[stage].readers
            else:
                self.finished[stage] += 1
                woken = (stage, *self.stages[stage].sources)
            for other in woken:
                self.start(other, now)
        if stuck := [s for s in range(len(self.stages)) if self.visible[s] < self.tiles]:
            raise AuditError(f"the pipeline deadlocks: stages {stuck} never finish")
        return now

    def start(self, stage: int, now: float) -> None:
        """The next tile of a stage, if it is free, fed, and has room."""
        own, tile = self.stages[stage], self.started[stage]
        if tile == self.tiles or self.finished[stage] < tile:
            return
        if any(self.visible[source] <= tile for source in own.sources):
            return
        if own.readers and tile - min(self.finished[reader] for reader in own.readers) >= own.entries:
            return
        self.started[stage] += 1
        end = now + max(own.service_s, own.held_s if self.queued else 0.0)
        for m, size in enumerate((own.dram, own.l2)):
            if size:
                self.memory[m] = max(self.memory[m], now) + size / self.rates[m]
                end = max(end, self.memory[m])
        self._push(end, stage, False)
        seen = max(end, now + (self.hop if tile else self.first), self.seen[stage])  # a ring keeps the order
        self.seen[stage] = seen
        self._push(seen + (own.added_s[self.queued] if tile + 1 == self.tiles else 0.0), stage, True)

    def _push(self, time: float, stage: int, seen: bool) -> None:
        self.events += 1
        heapq.heappush(self.heap, (time, self.events, stage, seen))


def agrees(simulated_s: float, predicted_s: float, *, within: float = 0.05) -> bool:
    """Whether a simulation and a prediction (s) differ by no more than a share of the prediction."""
    return math.isclose(simulated_s, predicted_s, rel_tol=0.0, abs_tol=within * predicted_s)


def ctas_on_sms(graph: Graph, gpu: Gpu, ctas: Mapping[int, int]) -> dict[str, list[int]]:
    """Which stage (position of its operator) the two arbiters put on each SM, in turn; -1: none."""
    placed = {pipe: [-1] * gpu.sms for pipe in ("tensor", "simt")}
    following = {"tensor": 0, "simt": 0}
    for i, count in sorted(ctas.items()):
        pipe = graph.operators[i].pipe
        for _ in range(count):
            if following[pipe] == gpu.sms:
                raise NotResident(f"the {pipe} arbiter has no SM left for {graph.operators[i].name}")
            placed[pipe][following[pipe]] = i
            following[pipe] += 1
    return placed
