"""The optimum of `dataflow_schedule` where the operators are a chain, or several: dynamic programming; no solver.

Groups of a chain are intervals, and intervals in turn never wait for themselves. With best[j] the least time
of the first j operators, best[j] = min over i of best[i] + time of i..j-1, exact. An interval is priced
only if a bound of it can win: its DRAM time, its work of each class spread over all SMs, and its fill. Of equal
times the one with fewer bytes off the chip is kept: what counts as equal after j operators grows with j, so the
prefix of a best schedule is never lost, and stays within 1e-9.
"""

from dataclasses import dataclass

from formulations.dataflow_schedule.clock import Clock
from formulations.dataflow_schedule.graph import Graph
from formulations.dataflow_schedule.groups import alone, verticals
from formulations.dataflow_schedule.instance import Group, Instance
from formulations.dataflow_schedule.price import dram_bytes, least_hop_s, pipeline

CHAINING = 0.5  # share of the time: then the columns have the rest
EQUAL = 1e-13  # of the time of all operators alone, for each operator


def applies(data: Instance, graph: Graph) -> bool:
    """Whether every operator reads from one other at most and feeds one at most, and vertical groups are connected."""
    single = all(len(into) <= 1 and len(out) <= 1 for into, out in zip(graph.into, graph.out, strict=True))
    return single and all(graph.connected(sorted(members)) for members, _ in data.verticals)


@dataclass(frozen=True)
class _Best:
    """Of the first operators: least time (s); of the schedule kept its time, bytes off the chip and last group."""

    least: float
    time: float
    dram: float
    last: Group | None = None


def fastest(data: Instance, graph: Graph, clock: Clock | None = None) -> tuple[list[Group], int] | None:
    """The groups of least total time, in turn, and how many pipelines were priced; None: `clock` ran out before."""
    clock = clock or Clock()
    row = _row(graph)
    at = {v: p for p, v in enumerate(row)}
    ending: dict[int, list[Group]] = {}
    for group in (*alone(data), *verticals(data, graph)):
        ending.setdefault(max(at[v] for v in group.members), []).append(group)
    least = [_least(data, v) for v in row]
    best, priced, equal = [_Best(0.0, 0.0, 0.0)], 0, EQUAL * sum(data.alone_s)
    for j in range(len(row)):
        if clock.late(CHAINING):
            return None
        found, slack = list(ending[j]), (j + 1) * equal
        shortest = min(best[j + 1 - len(g.members)].least + g.time_s for g in found)
        for i, floor in _intervals(data, graph, row, least, j):
            if best[i].least + floor > shortest + slack:
                continue
            wider = pipeline(data, graph, sorted(row[i : j + 1]))
            priced += 1
            if wider is None:
                break  # nor can a longer one be resident
            found.append(wider)
            shortest = min(shortest, best[i].least + wider.time_s)
        best.append(_kept(data, graph, best, found, shortest, shortest + slack))
    groups, j = list[Group](), len(row)
    while (last := best[j].last) is not None:
        groups.append(last)
        j -= len(last.members)
    return groups[::-1], priced


def _kept(
    data: Instance, graph: Graph, best: list[_Best], found: list[Group], shortest: float, most: float
) -> _Best:
    """One operator more: the lightest schedule that takes no more than `most` s, by its last group."""
    j, kept = len(best), list[_Best]()
    for group in found:
        before = best[j - len(group.members)]
        if before.time + group.time_s <= most:
            dram = before.dram + dram_bytes(data, graph, set(group.members))
            kept.append(_Best(shortest, before.time + group.time_s, dram, group))
    return min(kept, key=lambda own: (own.dram, own.time))


def _row(graph: Graph) -> list[int]:
    """Chain after chain, each from its first operator."""
    row = []
    for first in graph.order:
        if not graph.into[first]:
            row.append(first)
            while graph.out[row[-1]]:
                row.append(graph.out[row[-1]][0])
    return row


def _least(data: Instance, v: int) -> tuple[float, float, int, int]:
    """Least work (s) and fewest stages of either class, over the alternatives of v."""
    rows = data.alternatives[v]
    work = [min(sum(s.work_s for s in row if s.kind == kind) for row in rows) for kind in ("tensor", "simt")]
    count = [min(sum(s.kind == kind for s in row) for row in rows) for kind in ("tensor", "simt")]
    return work[0], work[1], count[0], count[1]


def _intervals(
    data: Instance, graph: Graph, row: list[int], least: list[tuple[float, float, int, int]], j: int
) -> list[tuple[int, float]]:
    """Starts i < j of the intervals that could be pipelines up to j, with a bound of their time (s)."""
    result, size = list[tuple[int, float]](), data.most_operators or len(row)
    tensor = simt = fill = 0.0
    hop = least_hop_s(data)
    off_chip, tensors, simts = data.output[row[j]] if graph.out[row[j]] else 0.0, 0, 0
    for i in range(j, max(j - size, -1), -1):
        v = row[i]
        tensor, simt = tensor + least[i][0], simt + least[i][1]
        tensors, simts = tensors + least[i][2], simts + least[i][3]
        off_chip, fill = off_chip + data.read[v] + data.write[v], fill + data.tile_s[v] + hop
        if not data.streams[v] or max(tensors, simts) > data.sms:
            break
        entering = sum(b for _, b in graph.into[v])
        if i < j:
            floor = max((off_chip + entering) / data.dram_bandwidth, tensor, simt) + fill
            result.append((i, floor * (1 - 1e-12)))
        if not graph.into[v]:
            break
    return result
