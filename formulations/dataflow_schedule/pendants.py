"""Operators of `dataflow_schedule` that hang on one other, and the best choice for them inside a group.

An operator with one neighbour, its host, is in one group with it or runs alone: a pipeline is connected, and
without the host nothing of it is beside the pendant. It waits for no other group, nor does another than its
host's for it, so whatever is chosen makes no cycle. A column is therefore a group of other operators with the
best choice for all that hangs on it, a bundle: in a backward pass, where the gradients of weights hang on a
chain, that leaves hundreds of sets where there were 2 to the number of layers.

The best choice, exact: depth first over who is in, cut where a mean of DRAM time, L2 time and work of both classes,
all sums over operators, is no better than the best choice known. Where much hangs on a group, it is made for one
slice of steady state after the other: between T and T' a stage has at least its work / T' CTAs, rounded up, and takes
as many SMs for T at least; and a sum has at least the parts that so many CTAs ask for, and what it takes to add them.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from formulations.dataflow_schedule.balance import EQUAL, fewest
from formulations.dataflow_schedule.graph import Graph
from formulations.dataflow_schedule.instance import Group, Instance, Stage
from formulations.dataflow_schedule.price import dram_bytes, filled_s, least_hop_s, pipeline, rate
from formulations.solvers.arrays import Array

STEPS = 4  # of a weight, in the means
FEW = 6  # pendants: no slices
SLICE = 0.99  # of the steady state above it


@dataclass(frozen=True)
class Bundle:
    """A group and what hangs on it: the groups that run, and their time (s) and bytes off the chip in all."""

    members: tuple[int, ...]
    time_s: float
    dram: float
    parts: tuple[Group, ...]


class Hosts:
    """Which operators hang on which; `hanging` by host, ascending."""

    def __init__(self, data: Instance, graph: Graph) -> None:
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
    data: Instance, v: int, queues: tuple[float, float], per_s: float, least: float = 0.0, most: float = np.inf
) -> tuple[float, float, float, float]:
    """Seconds (DRAM, L2, tensor, SIMT) of one operator in a pipeline whose steady state is from `least` to `most` s.

    `queues`: bytes that it certainly reads from queues, and writes to one; `per_s`: B/s of a queue at most.
    """

    def taken(row: Sequence[Stage], kind: str) -> float:
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


def adding_s(data: Instance, v: int, most: float) -> float:
    """Seconds to add the parts of v, at least, where the steady state is `most` s at most; infinite: there is none."""

    def able(stage: Stage) -> bool:
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


def single(hosts: Hosts, v: int) -> Bundle:
    """One operator, alone or with some of what hangs on it, whichever is faster."""
    bundle = hosts.alone((v,), Group((v,), "alone", hosts.data.alone_s[v]))
    return _Choice(hosts, (v,), bundle).run() or bundle


def bundled(hosts: Hosts, core: Sequence[int], below: float = math.inf) -> Bundle | None:
    """The fastest pipeline of these operators and some of what hangs on them, the rest alone.

    None: none can be resident that takes less than `below` s.
    """
    return _Choice(hosts, tuple(core), None, below).run()


class _Choice:
    """Depth first over what hangs on `core`: the best bundle no worse than the one given."""

    def __init__(self, hosts: Hosts, core: tuple[int, ...], best: Bundle | None, below: float = math.inf) -> None:
        self.hosts, self.core, self.best, self.below = hosts, core, best, below
        self.data, self.graph = hosts.data, hosts.graph
        self.items = sorted(hosts.of(core), key=lambda q: -self.data.alone_s[q])
        inside = self.inside = sum(1 << v for v in core)
        off, queued, self.filled = hosts.around(core, inside)
        self.certain = self.memory(off, queued)
        self.written = frozenset(v for v in core if hosts.readers[v] & ~inside)
        self.seen: set[frozenset[int]] = set()
        self.through: dict[int, float] = {}  # s of the first tile, where slices are made

    def run(self) -> Bundle | None:
        """The best bundle."""
        if len(self.items) <= FEW:
            self.within(0.0, np.inf)
            return self.best
        self.price(self.items)
        self.price([])
        own = self.priced(0.0, np.inf)
        hop, passed = least_hop_s(self.data), [0.0] * len(self.core)
        through = dict(zip(self.core, filled_s(self.data, self.graph, self.core, hop, passed), strict=True))
        late = {q: max((through[u] for u, _ in self.graph.into[q]), default=0.0) for q in self.items}
        self.through = through | {q: self.data.tile_s[q] + hop + late[q] for q in self.items}
        least = float(sum((own[v] for v in self.core), self.certain).max())
        if not math.isfinite(self.limit()):
            self.within(0.0, np.inf)
            return self.best
        most = self.limit() - self.filled
        while most > least:
            self.within(max(most * SLICE, least), most)
            most = min(most * SLICE, self.limit() - self.filled)
        return self.best

    def limit(self) -> float:
        """Seconds: nothing slower is of use."""
        return self.below if self.best is None else min(self.below, self.best.time_s)

    def within(self, least: float, most: float) -> None:
        """Every choice with a steady state from `least` to `most` seconds that can be better."""
        self.own = self.priced(least, most)
        rest = [np.zeros(len(self.hosts.means))]
        for q in reversed(self.items):
            rest.append(rest[-1] + np.minimum(self.hosts.means @ self.own[q], self.data.alone_s[q]))
        self.rest, self.least, self.most = rest[::-1], least, most
        self.late = {v: through + adding_s(self.data, v, most) for v, through in self.through.items()}
        filled = max((self.late[v] for v in self.core if v in self.late), default=0.0)
        self.deepen([], 0, sum((self.own[v] for v in self.core), self.certain), self.written, 0.0,
                    max(self.filled, filled))  # fmt: skip

    def priced(self, least: float, most: float) -> dict[int, Array]:
        """Seconds of each operator as in `own_s`."""
        hosts, rows = self.hosts, [*self.core, *self.items]
        return {
            v: np.array(own_s(self.data, v, hosts.queues(v, self.inside), hosts.per_s, least, most)) for v in rows
        }

    def memory(self, off: float, queued: float) -> Array:
        """Seconds that bytes off the chip and through queues take of each kind."""
        return np.array([off / self.data.dram_bandwidth, (off + queued) / self.data.l2_bandwidth, 0.0, 0.0])

    def deepen(
        self, inside: list[int], at: int, time: Array, written: frozenset[int], alone: float, filled: float
    ) -> None:
        """All choices for the items from `at` on; `filled`: s to fill, and to add parts, at least."""
        mean = max(float((self.hosts.means @ time + self.rest[at]).max()), self.least) * (1 - EQUAL)
        if float(time.max()) * (1 - EQUAL) > self.most:
            return
        if mean + filled + alone > self.limit():
            return
        if at == len(self.items):
            self.price(inside)
            return
        q = self.items[at]
        later = max(filled, self.late.get(q, 0.0))
        self.deepen([*inside, q], at + 1, time + self.own[q], written, alone, later)
        more = self.memory(self.apart(q, written), 0.0)
        host = {v for v, _ in self.graph.into[q]}
        self.deepen(inside, at + 1, time + more, written | host, alone + self.data.alone_s[q], filled)

    def apart(self, q: int, written: frozenset[int]) -> float:
        """Bytes that the pipeline moves off the chip since a pendant is not in it."""
        sources = {v for v, _ in self.graph.into[q]}
        if sources:
            return sum(self.data.output[v] for v in sources - written)
        return sum(size for w in set(self.graph.out[q]) for u, size in self.graph.into[w] if u == q)

    def price(self, inside: Sequence[int]) -> None:
        """This choice exactly; of two equally fast the one with fewer bytes off the chip is kept."""
        data, members = self.data, sorted([*self.core, *inside])
        if len(members) < 2 or (data.most_operators is not None and len(members) > data.most_operators):
            return
        if frozenset(inside) in self.seen:
            return
        self.seen.add(frozenset(inside))
        rest = [Group((q,), "alone", data.alone_s[q]) for q in sorted(set(self.items) - set(inside))]
        below = (self.limit() - sum(g.time_s for g in rest)) * (1 + 2 * EQUAL)
        priced = pipeline(data, self.graph, members, below=below)
        if priced is None:
            return
        bundle = self.hosts.together([priced, *rest])
        if self.best is None or _better(bundle, self.best):
            self.best = bundle


def _better(first: Bundle, second: Bundle) -> bool:
    if abs(first.time_s - second.time_s) <= EQUAL * second.time_s:
        return first.dram < second.dram
    return first.time_s < second.time_s
