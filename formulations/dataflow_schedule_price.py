"""Time of a pipeline of `dataflow_schedule` in closed form: payload, alternatives and CTAs together, exact.

With payload p a queue passes rate[p] = entry / (sync + entry / bandwidth) bytes/s, so a stage that reads R
bytes from queues and writes W, or hands W over and off the chip, needs e = max(work * N, R / rate, W / rate)
CTA-seconds, and e / a seconds on a CTAs. CTAs go one by one to the slowest stage: no balance is faster unless
that stage has one more, so the first one that cannot be given proves the rest. Payloads and alternatives are
enumerated, save those whose e alone, spread over all SMs, is no faster than the best so far, with what it takes
to fill.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from formulations.dataflow_schedule_graph import Graph

if TYPE_CHECKING:  # the instance is declared beside the program that it feeds
    from formulations.dataflow_schedule import Instance, Stage

Mode = Literal["alone", "vertical", "pipeline"]
Need = tuple[float, bool, int, bool]  # CTA-seconds, tensor, most CTAs, whether its CTAs own rings


@dataclass(frozen=True)
class Group:
    """Operators (positions, ascending) that run as one, and their time; the rest is of pipelines only."""

    members: tuple[int, ...]
    mode: Mode
    time_s: float
    payload: int | None = None                # position in `payloads`
    picks: tuple[int, ...] = ()               # alternative of every member
    ctas: tuple[tuple[int, ...], ...] = ()    # CTAs of every stage of every member


def pipeline(data: "Instance", graph: Graph, members: Sequence[int], *, below: float = math.inf) -> Group | None:
    """The fastest pipeline of these operators, a connected convex set; None: none takes less than `below` s."""
    inside = set(members)
    read = [sum(size for u, size in graph.into[v] if u in inside) for v in members]
    kept = [data.output[v] if any(w in inside for w in graph.out[v]) else 0.0 for v in members]
    dram = dram_bytes(data, graph, inside)
    moved = dram + sum(read) + sum(kept)
    search, best = _Search(data, members, read, kept, dram / data.dram_bandwidth, moved), None
    for payload in sorted(range(len(data.payloads)), key=lambda p: -rate(data, p)):
        filled = fill_s(data, graph, members, data.payloads[payload].hop_s)
        search.best, search.steady_s = None, below - filled
        search.run(payload)
        if search.best is not None:
            below = search.steady_s + filled
            best = Group(tuple(members), "pipeline", below, *search.best)
    return best


def dram_bytes(data: "Instance", graph: Graph, inside: set[int]) -> float:
    """Bytes that a group reads and writes off the chip."""
    total = 0.0
    for v in sorted(inside):
        total += data.read[v] + data.write[v] + sum(size for u, size in graph.into[v] if u not in inside)
        if any(w not in inside for w in graph.out[v]):
            total += data.output[v]
    return total


def fill_s(data: "Instance", graph: Graph, members: Sequence[int], hop_s: float = 0.0) -> float:
    """Seconds of the first tile along the slowest path through the group, with a hop of each stage."""
    done: dict[int, float] = {}
    inside = set(members)
    for v in sorted(members, key=lambda v: graph.before[v].bit_count()):
        done[v] = data.tile_s[v] + hop_s + max((done[u] for u, _ in graph.into[v] if u in inside), default=0.0)
    return max(done.values())


def least_hop_s(data: "Instance") -> float:
    """Seconds of a hop with the payload that has the shortest."""
    return min((payload.hop_s for payload in data.payloads), default=0.0)


def rate(data: "Instance", payload: int) -> float:
    """Bytes/s through the queue of one CTA."""
    entry = data.payloads[payload].entry
    return entry / (data.sync_s + entry / data.queue_bandwidth)


def rings(data: "Instance", payload: int) -> int:
    """Rings of two entries that the share of L2 holds."""
    return int(data.queue_room // (2 * data.payloads[payload].entry))


def needs(data: "Instance", stages: "Sequence[Stage]", read: float, kept: float, per_s: float) -> list[Need]:
    """What every stage of one alternative needs, fed with `read` bytes and passing `kept` to the next operator."""
    result, fed = [], read
    for at, stage in enumerate(stages, start=1):
        passed = kept if at == len(stages) else stage.passes
        effort = max(stage.work_s * data.sms, max(fed, passed, stage.written) / per_s)
        most = data.sms if stage.most is None else min(stage.most, data.sms)
        result.append((effort, stage.kind == "tensor", most, passed > 0))
        fed = passed
    return result


class _Search:
    """Depth first over the alternatives of the members, for one payload after the other."""

    def __init__(
        self,
        data: "Instance",
        members: Sequence[int],
        read: list[float],
        kept: list[float],
        dram_s: float,
        moved: float,
    ) -> None:
        self.data, self.members, self.read, self.kept = data, members, read, kept
        self.dram_s, self.moved = dram_s, moved
        self.steady_s = float("inf")
        self.best: tuple[int, tuple[int, ...], tuple[tuple[int, ...], ...]] | None = None

    def run(self, payload: int) -> None:
        """Better balances with this payload, if there are any."""
        data, per_s = self.data, rate(self.data, payload)
        options = []
        for v, read, kept in zip(self.members, self.read, self.kept, strict=True):
            own = []
            for stages in data.alternatives[v]:
                need = needs(data, stages, read, kept, per_s)
                tensor, simt = (sum(n[0] for n in need if n[1] is k) / data.sms for k in (True, False))
                largest = [max((s.shared for s in stages if s.kind == k), default=-1) for k in ("tensor", "simt")]
                passes = 2 * sum(s.passes for s in stages[:-1])
                own.append((need, tensor, simt, passes, largest[0], largest[1]))
            options.append(own)
        self.payload, self.options = payload, options
        self.rest = [(0.0, 0.0)]
        for own in reversed(options):
            last = self.rest[-1]
            self.rest.append((last[0] + min(o[1] for o in own), last[1] + min(o[2] for o in own)))
        self.rest.reverse()
        self._deepen([], 0.0, 0.0, self.moved, -1, -1)

    def _deepen(self, picks: list[int], tensor: float, simt: float, moved: float, *shared: int) -> None:
        data, depth = self.data, len(picks)
        floor = max(self.dram_s, moved / data.l2_bandwidth)
        if max(floor, tensor + self.rest[depth][0], simt + self.rest[depth][1]) >= self.steady_s:
            return
        staged = data.payloads[self.payload].staged
        if sum(largest + staged for largest in shared if largest >= 0) > data.shared_memory:
            return
        if depth == len(self.options):
            self._balance(picks, floor)
            return
        for o, (_, t, s, passes, *own) in enumerate(self.options[depth]):
            larger = (max(a, b) for a, b in zip(shared, own, strict=True))
            self._deepen([*picks, o], tensor + t, simt + s, moved + passes, *larger)

    def _balance(self, picks: list[int], floor: float) -> None:
        chosen = [own[o][0] for own, o in zip(self.options, picks, strict=True)]
        stages = [n for need in chosen for n in need]
        if not within(stages, self.data.sms, self.steady_s):
            return
        found = balance(stages, self.data.sms, rings(self.data, self.payload), floor)
        if found is None or max(found[0], floor) >= self.steady_s:
            return
        self.steady_s, each = max(found[0], floor), iter(found[1])
        self.best = self.payload, tuple(picks), tuple(tuple(next(each) for _ in need) for need in chosen)


def within(stages: Sequence[Need], sms: int, target: float) -> bool:
    """Whether the SMs might do with the CTAs that each stage needs for less than `target` seconds; rings aside."""
    used = [0, 0]
    for effort, tensor, _, _ in stages:
        used[tensor] += max(1, math.ceil(effort / target * (1 - 1e-12)))
    return max(used) <= sms


def balance(stages: Sequence[Need], sms: int, most_rings: int, floor: float) -> tuple[float, list[int]] | None:
    """Least time of the slowest stage, or any that is no more than `floor`, and the CTAs; None: they do not fit."""
    used, owned = [0, 0], 0
    for _, tensor, _, ring in stages:
        used[tensor] += 1
        owned += ring
    if max(used) > sms or owned > most_rings:
        return None
    ctas = _start(stages, sms, most_rings, used, floor)
    used, owned = [0, 0], 0
    for (_, tensor, _, ring), a in zip(stages, ctas, strict=True):
        used[tensor] += a
        owned += a * ring
    slowest = [(-stage[0] / a, i) for i, (stage, a) in enumerate(zip(stages, ctas, strict=True))]
    heapq.heapify(slowest)
    while True:
        time, i = slowest[0]
        effort, tensor, most, ring = stages[i]
        if -time <= floor or ctas[i] == most or used[tensor] == sms or (ring and owned == most_rings):
            return -time, ctas
        ctas[i] += 1
        used[tensor] += 1
        owned += ring
        heapq.heapreplace(slowest, (-effort / ctas[i], i))


def _start(stages: Sequence[Need], sms: int, most_rings: int, count: list[int], floor: float) -> list[int]:
    """No more CTAs than the best balance has: those of a slower one that fits, or one each."""
    sums = [0.0, 0.0]
    for effort, tensor, _, _ in stages:
        sums[tensor] += effort
    target = max((total / (sms - n) for total, n in zip(sums, count, strict=True) if n < sms), default=0.0)
    target = max(target, floor)
    if target <= 0:
        return [1] * len(stages)
    used, owned, ctas = [0, 0], 0, []
    for effort, tensor, most, ring in stages:
        a = int(effort / target)  # at least one less than enough: rounding of the division does no harm
        used[tensor] += a + 1
        owned += (a + 1) * ring
        ctas.append(max(a, 1))
        if a + 1 > most:
            return [1] * len(stages)
    return ctas if max(used) <= sms and owned <= most_rings else [1] * len(stages)
