"""Larger pipelines than were enumerated, out of a schedule of `dataflow_schedule`: a heuristic, for a better value.

Two groups that are neighbours become one pipeline where that is faster and no group then waits for itself;
the pair that gains most goes first. It says nothing of a bound.
"""

from collections.abc import Sequence

from formulations.dataflow_schedule.graph import Graph
from formulations.dataflow_schedule.instance import Group, Instance
from formulations.dataflow_schedule.order import in_turn
from formulations.dataflow_schedule.price import pipeline

Pair = tuple[tuple[int, ...], tuple[int, ...]]


def merged(data: Instance, graph: Graph, groups: Sequence[Group]) -> list[Group]:
    """A schedule that is no slower than `groups`, in an order in which it can run."""
    now = {group.members: group for group in groups}
    tried: dict[Pair, Group | None] = {}
    while True:
        gains = []
        for pair in _neighbours(data, now):
            if pair not in tried:
                tried[pair] = _faster(data, graph, now[pair[0]], now[pair[1]])
            wider = tried[pair]
            if wider is not None:
                gains.append((wider.time_s - sum(now[own].time_s for own in pair), pair, wider))
        for _, pair, wider in sorted(gains, key=lambda gain: gain[:2]):
            after = {members: group for members, group in now.items() if members not in pair} | {wider.members: wider}
            if len(in_turn(graph, list(after.values()))) == len(after):
                now = after
                break
        else:
            return in_turn(graph, list(now.values()))


def _neighbours(data: Instance, now: dict[tuple[int, ...], Group]) -> list[Pair]:
    """Pairs of groups with an edge between them, and with streaming operators only."""
    where = {v: members for members in now for v in members}
    pairs = {(where[u], where[v]) for u, v, _ in data.edges if where[u] != where[v]}
    return sorted(pair for pair in pairs if all(data.streams[v] for members in pair for v in members))


def _faster(data: Instance, graph: Graph, first: Group, second: Group) -> Group | None:
    """Both as one pipeline, if that can run and is faster."""
    members = tuple(sorted(first.members + second.members))
    if data.most_operators is not None and len(members) > data.most_operators:
        return None
    if not graph.convex(members) or not graph.connected(members):
        return None
    wider = pipeline(data, graph, members)
    return wider if wider is not None and wider.time_s < first.time_s + second.time_s else None
