"""Which of the operators that hang on a group of `dataflow_schedule` are in it: the best choice, exact.

Depth first over who is in, cut where a mean of DRAM time, L2 time and work of both classes, all sums over
operators, is no better than the best choice known. Where much hangs on a group, it is made for one slice of
steady state after the other: between T and T' a stage has at least its work / T' CTAs, rounded up, and takes as
many SMs for T at least; and a sum has at least the parts that so many CTAs ask for, and what it takes to add them.
"""

import math
from collections.abc import Sequence

import numpy as np

from formulations.dataflow_schedule.balance import EQUAL
from formulations.dataflow_schedule.instance import Group
from formulations.dataflow_schedule.pendants import Bundle, Hosts, adding_s, own_s
from formulations.dataflow_schedule.price import filled_s, least_hop_s, pipeline
from formulations.solvers.arrays import Array

FEW = 6  # pendants: no slices
SLICE = 0.99  # of the steady state above it


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
