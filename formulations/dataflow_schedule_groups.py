"""Every group of `dataflow_schedule` that there is, as far as it is not dominated.

Enumeration. A connected convex set of operators grows from a smaller one by a source or a sink. (Take a
leaf block of the set's undirected graph: it has a source and a sink, one of which is no cut vertex. It is a
source or a sink of the whole set, and without it the set is connected and convex still.) A set that cannot
be resident has no superset that can: stages, rings and the largest shared memory only grow.

Dominance. A pipeline that takes no less than one of its sources or sinks alone and the rest as a pipeline is
no column: the two in turn replace it in any schedule. It still grows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from formulations.dataflow_schedule_graph import Graph, bits
from formulations.dataflow_schedule_price import Group, pipeline

if TYPE_CHECKING:  # the instance is declared beside the program that it feeds
    from formulations.dataflow_schedule import Instance

Array = np.ndarray[Any, np.dtype[np.float64]]

def alone(data: "Instance") -> list[Group]:
    """Every operator bulk-synchronously."""
    return [Group((v,), "alone", time) for v, time in enumerate(data.alone_s)]


def verticals(data: "Instance", graph: Graph) -> list[Group]:
    """The vertical groups that can run: others than convex ones wait for themselves."""
    return [Group(tuple(sorted(v)), "vertical", time) for v, time in data.verticals if graph.convex(v)]


@dataclass(frozen=True)
class Pool:
    """Columns, and how far they are all that there are."""

    groups: tuple[Group, ...]   # operators alone, vertical groups, pipelines not dominated
    sets: int                   # connected convex sets looked at
    complete: bool              # no pipeline is missing
    complete_to: int            # no pipeline of at most so many operators is missing


def enumerate_groups(data: "Instance", graph: Graph, most_sets: int) -> Pool:
    """Every pipeline that is no worse than two groups in turn; ends after `most_sets` sets, smallest first."""
    groups = [*alone(data), *verticals(data, graph)]
    streaming = sum(1 << v for v, streams in enumerate(data.streams) if streams)
    level = {1 << v: (graph.before[v], graph.after[v]) for v in bits(streaming)}
    times = {1 << v: time for v, time in enumerate(data.alone_s)}
    largest = len(data.operators) if data.most_operators is None else data.most_operators
    looked, size = 0, 1
    while level and size < largest:
        wider: dict[int, tuple[int, int]] = {}
        smaller, times_now = times, {}
        for mask in grown(graph, level, streaming):
            looked += 1
            if looked > most_sets:
                return Pool(tuple(groups), most_sets, False, size)
            members = tuple(bits(mask))
            group = pipeline(data, graph, members)
            if group is None:
                continue
            wider[mask] = _around(graph, members)
            times_now[mask] = group.time_s
            if not _dominated(data, graph, group, mask, smaller):
                groups.append(group)
        level, times, size = wider, times_now, size + 1
    return Pool(tuple(groups), looked, True, largest)


def _around(graph: Graph, members: Iterable[int]) -> tuple[int, int]:
    before = after = 0
    for v in members:
        before, after = before | graph.before[v], after | graph.after[v]
    return before, after


def grown(graph: Graph, level: dict[int, tuple[int, int]], allowed: int) -> Iterator[int]:
    """Each connected convex set with one operator more than those of `level`, once."""
    seen = set()
    for mask, (before, after) in level.items():
        near = 0
        for v in bits(mask):
            near |= graph.near[v]
        for v in bits(near & allowed & ~mask):
            wider = mask | 1 << v
            if wider not in seen and not (before | graph.before[v]) & (after | graph.after[v]) & ~wider:
                seen.add(wider)
                yield wider


def _dominated(data: "Instance", graph: Graph, group: Group, mask: int, smaller: dict[int, float]) -> bool:
    for v in group.members:
        inner = graph.near[v] & mask
        if not inner & graph.before[v] or not inner & graph.after[v]:
            rest = smaller.get(mask ^ 1 << v)
            if rest is not None and group.time_s >= data.alone_s[v] + rest:
                return True
    return False


def group_of(data: "Instance", graph: Graph, members: Iterable[int]) -> Group:
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


def additive_bound(data: "Instance") -> Array:
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
