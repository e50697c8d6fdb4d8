"""Time of a pipeline of `dataflow_schedule` in closed form: payload, alternatives and CTAs together, exact.

With payload p a queue passes rate[p] = entry / (sync + entry / bandwidth) bytes/s, so a stage that reads R
bytes from queues and writes W, or hands W over and off the chip, needs e = max(work * N, R / rate, W / rate)
CTA-seconds, and e / a seconds on a CTAs. Payloads and alternatives are enumerated, save those whose e alone,
spread over all SMs, is no faster than the best so far, with what it takes to fill. The splits of a sum, alternatives
of one stage that differ in no more than how many CTAs it may have and how long its parts are added, are chosen with
the CTAs, in `dataflow_schedule.balance`, where nothing in the group waits for the sum.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from formulations.dataflow_schedule.balance import Need, Splits, least_time
from formulations.dataflow_schedule.graph import Graph, Row
from formulations.dataflow_schedule.instance import Group, Instance, Stage


def pipeline(data: Instance, graph: Graph, members: Sequence[int], *, below: float = math.inf) -> Group | None:
    """The fastest pipeline of these operators, a connected convex set; None: none takes less than `below` s."""
    inside = set(members)
    read = [sum(size for u, size in graph.into[v] if u in inside) for v in members]
    kept = [data.output[v] if any(w in inside for w in graph.out[v]) else 0.0 for v in members]
    dram = dram_bytes(data, graph, inside)
    moved = dram + sum(read) + sum(kept)
    entries = ring_entries(data, graph, members)
    search = _Search(data, graph, members, list(zip(read, kept, entries, strict=True)),
                     dram / data.dram_bandwidth, moved, below)  # fmt: skip
    for payload in sorted(range(len(data.payloads)), key=lambda p: -rate(data, p)):
        search.run(payload)
    return search.best


def ring_entries(data: Instance, graph: Graph, members: Sequence[int]) -> list[int]:
    """Entries of the ring of one CTA of each member; 0 where no other member reads it."""
    level, inside = depths(graph, members), set(members)
    ends = [max((level[w] for w in graph.out[v] if w in inside), default=0) for v in members]
    return [data.ring_entries + end - level[v] - 1 if end else 0 for v, end in zip(members, ends, strict=True)]


def depths(graph: Graph, members: Sequence[int]) -> dict[int, int]:
    """How many members are on the longest path to each of them, itself counted."""
    level: dict[int, int] = {}
    for v in graph.in_order(members):
        level[v] = 1 + max((level[u] for u, _ in graph.into[v] if u in level), default=0)
    return level


def dram_bytes(data: Instance, graph: Graph, inside: set[int]) -> float:
    """Bytes that a group reads and writes off the chip."""
    total = 0.0
    for v in sorted(inside):
        total += data.read[v] + data.write[v] + sum(size for u, size in graph.into[v] if u not in inside)
        if any(w not in inside for w in graph.out[v]):
            total += data.output[v]
    return total


def filled_s(
    data: Instance, graph: Graph, members: Sequence[int], hop_s: float, adding: Sequence[float]
) -> list[float]:
    """Seconds until the first tile is through each member, with a hop of each stage and its `adding` (s)."""
    done: dict[int, float] = {}
    own = dict(zip(members, adding, strict=True))
    for v in graph.in_order(members):
        done[v] = data.tile_s[v] + hop_s + own[v] + max((done[u] for u, _ in graph.into[v] if u in own), default=0.0)
    return [done[v] for v in members]


def least_hop_s(data: Instance) -> float:
    """Seconds of a hop with the payload that has the shortest."""
    return min((payload.hop_s for payload in data.payloads), default=0.0)


def rate(data: Instance, payload: int) -> float:
    """Bytes/s through the queue of one CTA."""
    entry = data.payloads[payload].entry
    return entry / (data.sync_s + entry / data.queue_bandwidth)


def rings(data: Instance, payload: int) -> int:
    """Entries of rings that the share of L2 holds."""
    return int(data.queue_room // data.payloads[payload].entry)


def needs(
    data: Instance, stages: Sequence[Stage], read: float, kept: float, entries: int, per_s: float
) -> list[Need]:
    """What every stage of one alternative needs, fed with `read` bytes and passing `kept` to the next operator."""
    result, fed = [], read
    for at, stage in enumerate(stages, start=1):
        passed = kept if at == len(stages) else stage.passes
        effort = max(stage.work_s * data.sms, max(fed, passed, stage.written) / per_s)
        most = data.sms if stage.most is None else min(stage.most, data.sms)
        ring = entries if at == len(stages) else data.ring_entries * (passed > 0)
        result.append((effort, stage.kind == "tensor", most, ring))
        fed = passed
    return result


_Way = tuple[list[Need], float, float, Row]  # what its stages need, s of tensor and SIMT work spread over all SMs


class _Search:
    """Depth first over the alternatives of the members, for one payload after the other; `best` is below `limit` s.

    `ends` of each member: B that it reads from queues, B that it writes to one, entries of that (0: nobody reads it).
    """

    def __init__(
        self, data: Instance, graph: Graph, members: Sequence[int], ends: Sequence[tuple[float, float, int]],
        dram_s: float, moved: float, limit: float,
    ) -> None:  # fmt: skip
        self.data, self.graph, self.members, self.ends = data, graph, members, ends
        self.dram_s, self.moved, self.limit = dram_s, moved, limit
        self.depth = max(depths(graph, members).values()) * (1 - 1e-12)
        self.best: Group | None = None

    def run(self, payload: int) -> None:
        """Better balances with this payload, if there are any."""
        data = self.data
        if max(self.dram_s, self.moved / data.l2_bandwidth) + self.depth * data.payloads[payload].hop_s >= self.limit:
            return
        each = [_ways(data, self.graph, v, end, payload) for v, end in zip(self.members, self.ends, strict=True)]
        self.payload, self.options = payload, [ways.every for ways in each]
        self.filled = self.through([ways.quickest for ways in each])
        self.longest, self.rest = max(self.filled), [(0.0, 0.0)]
        for ways in reversed(each):
            last = self.rest[-1]
            self.rest.append((last[0] + ways.tensor_s, last[1] + ways.simt_s))
        self.rest.reverse()
        self.deepen([], 0.0, 0.0, self.moved, -1, -1)

    def through(self, ways: Sequence[_Way]) -> list[float]:
        """Seconds until the first tile is through each member, with its first split."""
        hop = self.data.payloads[self.payload].hop_s
        return filled_s(self.data, self.graph, self.members, hop, [_adding(way) for way in ways])

    def deepen(self, ways: list[_Way], tensor: float, simt: float, moved: float, *shared: int) -> None:
        """All ways of the members from the first that `ways` lacks on."""
        data, depth = self.data, len(ways)
        floor = max(self.dram_s, moved / data.l2_bandwidth)
        if max(floor, tensor + self.rest[depth][0], simt + self.rest[depth][1]) + self.longest >= self.limit:
            return
        staged = data.payloads[self.payload].staged
        if sum(largest + staged for largest in shared if largest >= 0) > data.shared_memory:
            return
        if depth == len(self.options):
            self.balance(ways, floor)
            return
        for way in self.options[depth]:
            larger = (max(a, b) for a, b in zip(shared, way[3].shared, strict=True))
            self.deepen([*ways, way], tensor + way[1], simt + way[2], moved + way[3].passes, *larger)

    def balance(self, ways: Sequence[_Way], floor: float) -> None:
        """These ways with the best CTAs and splits, if they are better."""
        data = self.data
        through = self.through(ways) if any(_adding(way) for way in ways) else self.filled
        splits, stages = dict[int, Splits](), list[Need]()
        for way, t in zip(ways, through, strict=True):
            if len(way[3].steps) > 1:
                splits[len(stages)] = Splits(t - _adding(way), way[3].steps)
            stages += way[0]
        found = least_time(stages, splits, data.sms, rings(data, self.payload), floor=floor, filled=max(through),
                           limit=self.limit)  # fmt: skip
        if found is None:
            return
        each = iter(found[2])
        ctas = tuple(tuple(next(each) for _ in needs) for needs, *_ in ways)
        picks = tuple(_pick(row, own) for (*_, row), own in zip(ways, ctas, strict=True))
        self.limit = found[0] + found[1]
        self.best = Group(tuple(self.members), "pipeline", self.limit, self.payload, picks, ctas)


@dataclass(frozen=True)
class _Ways:
    """All ways of one operator, the one that adds up quickest, and the least work (s) of either class."""

    every: list[_Way]
    quickest: _Way
    tensor_s: float
    simt_s: float


def _ways(data: Instance, graph: Graph, v: int, end: tuple[float, float, int], payload: int) -> _Ways:
    """Kept with the graph: inside a long pipeline an operator has the same ends whatever the pipeline."""
    known: dict[object, _Ways] = graph.kept
    key = (v, end, payload)
    if key not in known:
        every = [_way(data, row, end, rate(data, payload)) for row in graph.rows(v, last=end[2] == 0)]
        known[key] = _Ways(every, min(every, key=_adding), min(way[1] for way in every), min(way[2] for way in every))
    return known[key]


def _way(data: Instance, row: Row, end: tuple[float, float, int], per_s: float) -> _Way:
    need, work = needs(data, row.stages, *end, per_s), [0.0, 0.0]
    for effort, tensor, *_ in need:
        work[tensor] += effort
    return need, work[True] / data.sms, work[False] / data.sms, row


def _adding(way: _Way) -> float:
    """Seconds to add the parts of the first split."""
    return way[3].steps[0][1]


def _pick(row: Row, ctas: tuple[int, ...]) -> int:
    """The alternative: the first split that allows so many CTAs."""
    if len(row.picks) == 1:
        return row.picks[0]
    return next(pick for pick, (most, _) in zip(row.picks, row.steps, strict=True) if most >= ctas[0])
