"""What `formulations.dataflow_schedule` is asked and what it answers: sets, parameters, solution."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Mode = Literal["alone", "vertical", "pipeline"]


@dataclass(frozen=True)
class Group:
    """Operators (positions, ascending) that run as one, and their time; the rest is of pipelines only."""

    members: tuple[int, ...]
    mode: Mode
    time_s: float
    payload: int | None = None                # position in `payloads`
    picks: tuple[int, ...] = ()               # alternative of every member
    ctas: tuple[tuple[int, ...], ...] = ()    # CTAs of every stage of every member


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
        out: list[list[int]] = [[] for _ in every]
        for u, v, _ in self.edges:
            out[u].append(v)
        if len(topological(out)) < len(every):
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


def topological(out: Sequence[Sequence[int]]) -> list[int]:
    """Operators, producers first; those on a cycle are left out."""
    missing = [0] * len(out)
    for successors in out:
        for v in successors:
            missing[v] += 1
    ready = [v for v, n in enumerate(missing) if n == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        order.append(heapq.heappop(ready))
        for v in out[order[-1]]:
            missing[v] -= 1
            if missing[v] == 0:
                heapq.heappush(ready, v)
    return order
