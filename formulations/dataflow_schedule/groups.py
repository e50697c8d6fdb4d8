"""Every group of `dataflow_schedule` that there is, each with a floor of its time, and priced when it is asked for.

Enumeration. A connected convex set of operators grows from a smaller one by a source or a sink. (Take a
leaf block of the set's undirected graph: it has a source and a sink, one of which is no cut vertex. It is a
source or a sink of the whole set, and without it the set is connected and convex still.) Pendants are left out:
a column is a set with the best choice for what hangs on it. A set with more stages of a class than SMs, in the
fewest that its operators have, cannot be resident, nor can any superset.

Floors. The time of most sets is never needed: a column is priced only where its floor does not exclude it.
"""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from formulations.dataflow_schedule.clock import Clock
from formulations.dataflow_schedule.graph import Graph, bits
from formulations.dataflow_schedule.instance import Group, Instance
from formulations.dataflow_schedule.pendants import Bundle, Hosts, bundled, single
from formulations.dataflow_schedule.price import pipeline
from formulations.solvers.arrays import Array, Labels

Columns = Labels

AT_ONCE = 10_000  # sets whose floors are computed together: the means of all their operators are in memory
ENUMERATING = 0.3  # share of the time in which sets are enumerated
Around = tuple[int, int, int, int]  # operators before and after a set, its fewest tensor and SIMT stages


def alone(data: Instance) -> list[Group]:
    """Every operator bulk-synchronously."""
    return [Group((v,), "alone", time) for v, time in enumerate(data.alone_s)]


def verticals(data: Instance, graph: Graph) -> list[Group]:
    """The vertical groups that can run: others than convex ones wait for themselves."""
    return [Group(tuple(sorted(v)), "vertical", time) for v, time in data.verticals if graph.convex(v)]


class Pool:
    """Columns by position: single operators, vertical groups, then sets of operators as pipelines.

    `floors` (s) is the time of each column, or below it as long as it is not priced; infinite: not resident.
    """

    def __init__(self, data: Instance, graph: Graph, most_sets: int, clock: Clock | None = None) -> None:
        self.data, self.graph, self.clock = data, graph, clock or Clock()
        self.hosts = Hosts(data, graph)
        self.singles = [v for v in range(len(data.operators)) if not self.hosts.pendants >> v & 1]
        priced = [single(self.hosts, v) for v in self.singles]
        priced += [self.hosts.alone(group.members, group) for group in verticals(data, graph)]
        self.bundles: dict[int, Bundle] = dict(enumerate(priced))
        self.sets = 0                   # looked at
        self.complete = True            # no pipeline is missing
        self.complete_to = len(data.operators) if data.most_operators is None else data.most_operators
        self._parts = [np.array(sorted(b.members), dtype=np.int32) for b in priced]
        self._floors = [np.array([b.time_s for b in priced])]
        self._sizes = [np.array([len(b.members) for b in priced], dtype=np.int64)]
        self._enumerate(most_sets)
        self.members, sizes = np.concatenate(self._parts), np.concatenate(self._sizes)
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.floors = np.concatenate(self._floors)
        self._parts, self._floors, self._sizes = [], [], []

    def _enumerate(self, most_sets: int) -> None:
        """Level by level: sets of two operators, of three, ..."""
        data, graph = self.data, self.graph
        streaming = sum(1 << v for v in self.singles if data.streams[v])
        stages = [_fewest(data, v) for v in range(len(data.operators))]
        level = {1 << v: (graph.before[v], graph.after[v], *stages[v]) for v in bits(streaming)}
        for size in itertools.count(2):
            if not level or size > self.complete_to:
                return
            if self.clock.late(ENUMERATING):
                self.complete, self.complete_to = False, size - 1
                return
            level = grown(graph, level, streaming, stages, data.sms, most_sets - self.sets)
            if len(level) > most_sets - self.sets:
                self.sets, self.complete, self.complete_to = most_sets, False, size - 1
                return
            self.sets += len(level)
            masks = list(level)
            for first in range(0, len(masks), AT_ONCE):
                self._append({mask: list(bits(mask)) for mask in masks[first : first + AT_ONCE]})

    def _append(self, cores: dict[int, list[int]]) -> None:
        """Columns of these sets with their floors."""
        data, hosts = self.data, self.hosts
        own = [[*core, *hosts.of(core)] for core in cores.values()]
        sizes = np.array([len(members) for members in own])
        flat = np.fromiter(itertools.chain.from_iterable(own), dtype=np.int32, count=int(sizes.sum()))
        means = np.add.reduceat(hosts.weighed[flat], np.concatenate([[0], np.cumsum(sizes)[:-1]]), axis=0)
        extra = np.array([hosts.around(core, mask) for mask, core in cores.items()])
        memory = np.column_stack([extra[:, 0] / data.dram_bandwidth, extra[:, :2].sum(axis=1) / data.l2_bandwidth])
        means += memory @ hosts.means[:, :2].T
        self._floors.append(means.max(axis=1) * (1 - 1e-12) + extra[:, 2])
        self._parts.append(flat)
        self._sizes.append(sizes)

    def own(self, column: int) -> list[int]:
        """Operators of a column, what hangs on them last."""
        end = self.starts[column + 1] if column + 1 < len(self.starts) else len(self.members)
        return [int(v) for v in self.members[self.starts[column] : end]]

    def worth(self, prices: Array) -> Array:
        """Sum of the operators' prices in each column."""
        return np.add.reduceat(prices[self.members], self.starts)

    def price(self, columns: Columns, below: Array, *, share: float = 1.0) -> None:
        """Replace the floors of these columns by their times, or raise them to `below` (s) if they are no less.

        It ends early where this `share` of the time is used up: the floors that are left are floors still.
        """
        for column, limit in zip(columns.tolist(), below.tolist(), strict=True):
            if column in self.bundles:
                continue
            if self.clock.late(share):
                return
            core = [v for v in self.own(column) if not self.hosts.pendants >> v & 1]
            bundle = bundled(self.hosts, core, limit)
            if bundle is not None:
                self.bundles[column] = bundle
                self.floors[column] = bundle.time_s
            elif limit > self.floors[column]:
                self.floors[column] = limit


def _fewest(data: Instance, v: int) -> tuple[int, int]:
    """Fewest stages of either class over the alternatives of v."""
    rows = data.alternatives[v]
    tensor, simt = (min(sum(s.kind == kind for s in row) for row in rows) for kind in ("tensor", "simt"))
    return tensor, simt


def grown(
    graph: Graph, level: dict[int, Around], allowed: int, stages: Sequence[tuple[int, int]], sms: int, most: int
) -> dict[int, Around]:
    """Each connected convex set with one operator more than those of `level`; ends after more than `most`."""
    found: dict[int, Around] = {}
    for mask, (before, after, tensor, simt) in level.items():
        near = 0
        for v in bits(mask):
            near |= graph.near[v]
        for v in bits(near & allowed & ~mask):
            wider = mask | 1 << v
            if wider in found:
                continue
            earlier, later = before | graph.before[v], after | graph.after[v]
            tensors, simts = tensor + stages[v][0], simt + stages[v][1]
            if not earlier & later & ~wider and tensors <= sms and simts <= sms:
                found[wider] = earlier, later, tensors, simts
        if len(found) > most:
            break
    return found


def group_of(data: Instance, graph: Graph, members: Iterable[int]) -> Group:
    """The fastest way to run these operators as one; raises ValueError where there is none."""
    own = tuple(sorted(set(members)))
    ways = [Group(own, "vertical", time) for group, time in data.verticals if group == set(own)]
    if len(own) == 1 and 0 <= own[0] < len(data.operators):
        return Group(own, "alone", data.alone_s[own[0]])
    if own and graph.convex(own):
        small = data.most_operators is None or len(own) <= data.most_operators
        if small and graph.connected(own) and all(data.streams[v] for v in own):
            priced = pipeline(data, graph, own)
            ways += [] if priced is None else [priced]
        if ways:
            return min(ways, key=lambda group: group.time_s)
    raise ValueError(f"group {list(own)}: neither convex and vertical, nor a pipeline that can be resident")


def additive_bound(data: Instance) -> Array:
    """Seconds of each operator that add up, in any pipeline, to no more than its time; infinite: in no pipeline.

    A pipeline takes at least any mean of its DRAM time and of its two classes' work spread over all SMs, and
    those are sums over its operators. The weights are the best of a grid, for a schedule of pipelines only.
    """
    every = range(len(data.operators))
    dram = np.array([(data.read[v] + data.write[v]) / data.dram_bandwidth for v in every])
    tensor, simt = (
        np.array([min(sum(s.work_s for s in row if s.kind == kind) for row in data.alternatives[v]) for v in every])
        for kind in ("tensor", "simt")
    )
    streams, alone = np.array(data.streams), np.array(data.alone_s)
    means = [
        np.where(streams, a / 10 * dram + b / 10 * tensor + (10 - a - b) / 10 * simt, np.inf)
        for a in range(11)
        for b in range(11 - a)
    ]
    return max(means, key=lambda mean: float(np.minimum(mean, alone).sum()))
