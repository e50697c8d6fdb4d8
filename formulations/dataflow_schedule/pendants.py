"""Operators of `dataflow_schedule` that hang on one other, and the best choice for them inside a group.

An operator with one neighbour, its host, is in one group with it or runs alone: a pipeline is connected, and
without the host nothing of it is beside the pendant. It waits for no other group, nor does another than its
host's for it, so whatever is chosen makes no cycle. A column is therefore a group of other operators with the
best choice for all that hangs on it, a bundle: in a backward pass, where the gradients of weights hang on a
chain, that leaves hundreds of sets where there were 2 to the number of layers.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from formulations.dataflow_schedule.balance import fewest
from formulations.dataflow_schedule.graph import Graph
from formulations.dataflow_schedule.instance import Group
from formulations.dataflow_schedule.price import dram_bytes, least_hop_s, rate
from formulations.solvers.arrays import Array

if TYPE_CHECKING:  # the instance is declared beside the program that it feeds
    from formulations.dataflow_schedule.instance import Instance, Stage


STEPS = 4  # of a weight, in the means


@dataclass(frozen=True)
class Bundle:
    """A group and what hangs on it: the groups that run, and their time (s) and bytes off the chip in all."""

    members: tuple[int, ...]
    time_s: float
    dram: float
    parts: tuple[Group, ...]


class Hosts:
    """Which operators hang on which; `hanging` by host, ascending."""

    def __init__(self, data: "Instance", graph: Graph) -> None:
        self.data, self.graph = data, graph
        self.hanging: dict[int, list[int]] = {}
        self.pendants = 0  # as bits
        fused = {v for members, _ in data.verticals for v in members}
        for v in range(len(data.operators)):
            host = self._host(v)
            if host is None or v in fused or v in self.hanging or self.pendants >> host & 1:
                continue
            self.hanging.setdefault(host, []).append(v)
            self.pendants |= 1 << v

    def _host(self, v: int) -> int | None:
        near, streams = self.graph.near[v], self.data.streams
        if not streams[v] or near.bit_count() != 1:
            return None
        host = near.bit_length() - 1
        return host if streams[host] else None

    def of(self, core: Sequence[int]) -> list[int]:
        """All that hangs on these operators."""
        return [q for v in core for q in self.hanging.get(v, ())]

    @cached_property
    def means(self) -> Array:
        """Weights of DRAM, L2, tensor and SIMT time, each row summing to one."""
        steps = itertools.product(range(STEPS + 1), repeat=4)
        return np.array([row for row in steps if sum(row) == STEPS]) / STEPS

    @cached_property
    def own(self) -> Array:
        """Seconds of each operator in a pipeline, whatever else is in it: DRAM, L2, tensor, SIMT."""
        every = range(len(self.data.operators))
        return np.array([own_s(self.data, v, self.queues(v, 0), self.per_s) for v in every])

    @cached_property
    def per_s(self) -> float:
        """B/s of the queue of one CTA, with the fastest payload."""
        return max((rate(self.data, p) for p in range(len(self.data.payloads))), default=math.inf)

    def queues(self, v: int, inside: int) -> tuple[float, float]:
        """Bytes that v reads from queues and writes to one, in any pipeline that `inside`, as bits, is part of."""
        if self.pendants >> v & 1:
            inside |= self.graph.near[v]
        fed = sum(size for u, size in self.graph.into[v] if inside >> u & 1)
        return fed, self.data.output[v] if any(inside >> w & 1 for w in self.graph.out[v]) else 0.0

    @cached_property
    def weighed(self) -> Array:
        """Every operator's part of every mean; of a pendant no more than its time alone."""
        alone = np.where([self.pendants >> v & 1 for v in range(len(self.own))], self.data.alone_s, np.inf)
        return np.minimum(self.own @ self.means.T, alone[:, None])

    @cached_property
    def readers(self) -> list[int]:
        """Readers of each operator but pendants, as bits."""
        return [sum(1 << w for w in set(out)) & ~self.pendants for out in self.graph.out]

    def around(self, core: Sequence[int], inside: int) -> tuple[float, float, float]:
        """Bytes off the chip, bytes through queues and seconds to fill of a pipeline of these operators.

        Whatever hangs on it may be in or not: neither counts. `inside` is `core` as bits.
        """
        pendants, output, tile, hop = self.pendants, self.data.output, self.data.tile_s, least_hop_s(self.data)
        off = queued = filled = 0.0
        done: dict[int, float] = {}
        for v in self.graph.in_order(core):
            before = 0.0
            for u, size in self.graph.into[v]:
                if u in done:
                    queued += size
                    before = max(before, done[u])
                elif not pendants >> u & 1:
                    off += size
            done[v] = before + tile[v] + hop
            filled = max(filled, done[v])
            if self.readers[v] & ~inside:
                off += output[v]
            if self.readers[v] & inside:
                queued += output[v]
        return off, queued, filled

    def alone(self, core: Sequence[int], first: Group) -> Bundle:
        """A group with all that hangs on it alone."""
        rest = [Group((q,), "alone", self.data.alone_s[q]) for q in self.of(core)]
        return self.together([first, *rest])

    def together(self, parts: Sequence[Group]) -> Bundle:
        """Groups as one bundle."""
        members = tuple(sorted(v for part in parts for v in part.members))
        off = sum(dram_bytes(self.data, self.graph, set(part.members)) for part in parts)
        return Bundle(members, sum(part.time_s for part in parts), off, tuple(parts))


def own_s(
    data: "Instance", v: int, queues: tuple[float, float], per_s: float, least: float = 0.0, most: float = np.inf
) -> tuple[float, float, float, float]:
    """Seconds (DRAM, L2, tensor, SIMT) of one operator in a pipeline whose steady state is from `least` to `most` s.

    `queues`: bytes that it certainly reads from queues, and writes to one; `per_s`: B/s of a queue at most.
    """

    def taken(row: "Sequence[Stage]", kind: str) -> float:
        total, fed = 0.0, queues[0]
        for at, stage in enumerate(row, start=1):
            passed = queues[1] if at == len(row) else stage.passes
            if stage.kind == kind:
                work = max(stage.work_s, max(fed, passed, stage.written) / per_s / data.sms)
                total += max(work, _rounded(work, data.sms, least, most))
            fed = passed
        return total

    off, rows = data.read[v] + data.write[v], data.alternatives[v]
    tensor, simt = (min(taken(row, kind) for row in rows) for kind in ("tensor", "simt"))
    return off / data.dram_bandwidth, off / data.l2_bandwidth, tensor, simt


def adding_s(data: "Instance", v: int, most: float) -> float:
    """Seconds to add the parts of v, at least, where the steady state is `most` s at most; infinite: there is none."""

    def able(stage: "Stage") -> bool:
        return stage.most is None or fewest(stage.work_s * data.sms, most) <= stage.most

    rows = (sum(s.adding_s for s in row) for row in data.alternatives[v] if all(able(s) for s in row))
    return min(rows, default=math.inf)


def _rounded(work_s: float, sms: int, least: float, most: float) -> float:
    return least * fewest(work_s * sms, most) / sms


def flattened(bundles: Sequence[Bundle]) -> list[Group]:
    """The groups that run."""
    return [part for bundle in bundles for part in bundle.parts]


def owners(bundles: Sequence[Bundle]) -> Mapping[int, int]:
    """Which bundle, by its position, a group belongs to; groups by identity."""
    return {id(part): b for b, bundle in enumerate(bundles) for part in bundle.parts}
