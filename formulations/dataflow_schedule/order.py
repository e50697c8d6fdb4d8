"""In which order the groups of `dataflow_schedule` run, which wait for themselves, and a check; no solver.

A group waits for itself when the chosen groups, seen as one operator each, form a cycle: {a1, a2} and
{b1, b2} with a1 -> b1 and b2 -> a2 are convex each, and neither can be first.
"""

import math
from collections.abc import Iterable, Sequence

from formulations.dataflow_schedule.graph import Graph
from formulations.dataflow_schedule.instance import Group, Instance, Solution

ROUNDING = 1e-9  # relative


def _feeds(graph: Graph, groups: Sequence[Group]) -> list[set[int]]:
    """Positions of the groups that each group feeds."""
    where = {v: g for g, group in enumerate(groups) for v in group.members}
    return [
        {where[w] for v in group.members for w in graph.out[v] if w in where} - {g} for g, group in enumerate(groups)
    ]


def in_turn(graph: Graph, groups: Sequence[Group]) -> list[Group]:
    """The groups that can run, each after those that feed it; of those ready, the one first in the graph's order."""
    left = sorted(groups, key=lambda group: min(graph.rank[v] for v in group.members))
    done, result = 0, list[Group]()
    while True:
        for group in left:
            inside = sum(1 << v for v in group.members)
            before = 0
            for v in group.members:
                before |= graph.before[v]
            if not before & ~done & ~inside:
                break
        else:
            return result
        result.append(group)
        left.remove(group)
        done |= inside


def waiting(graph: Graph, groups: Sequence[Group]) -> list[list[Group]]:
    """Cycles of groups that wait for each other: the shortest through each group, each once."""
    feeds = _feeds(graph, groups)
    ready = {id(group) for group in in_turn(graph, groups)}
    found: dict[frozenset[int], list[Group]] = {}
    for g, group in enumerate(groups):
        if id(group) not in ready and (cycle := _shortest(feeds, g)):
            found.setdefault(frozenset(cycle), [groups[c] for c in sorted(cycle)])
    return list(found.values())


def _shortest(feeds: Sequence[Iterable[int]], start: int) -> list[int]:
    """Shortest cycle through `start`, breadth first; empty: there is none."""
    parent, level = {start: start}, [start]
    while level:
        following = []
        for u in level:
            for v in sorted(feeds[u]):
                if v == start:
                    path = [u]
                    while path[-1] != start:
                        path.append(parent[path[-1]])
                    return path
                if v not in parent:
                    parent[v] = u
                    following.append(v)
        level = following
    return []


def broken_up(data: Instance, graph: Graph, groups: Sequence[Group]) -> list[Group]:
    """A schedule: groups that wait for themselves are run operator by operator."""
    stuck = {id(group) for cycle in waiting(graph, groups) for group in cycle}
    kept = [group for group in groups if id(group) not in stuck]
    single = [v for group in groups if id(group) in stuck for v in group.members]
    return in_turn(graph, [*kept, *(Group((v,), "alone", data.alone_s[v]) for v in single)])


def check(data: Instance, solution: Solution) -> list[str]:
    """What is wrong with a solution, counted and summed again in plain numbers; empty: nothing."""
    faults, done, position = [], set[int](), {}
    for g, group in enumerate(solution.groups):
        for v in group.members:
            faults += [f"{data.operators[v]} runs twice"] if v in done else []
            done.add(v)
            position[v] = g
    faults += [f"{name} does not run" for v, name in enumerate(data.operators) if v not in done]
    if faults:
        return faults
    faults += [
        f"{data.operators[v]} runs before {data.operators[u]}" for u, v, _ in data.edges if position[u] > position[v]
    ]
    for g, group in enumerate(solution.groups):
        inside = {v for v in position if position[v] == g}
        time = _time(data, group, inside, faults)
        if not math.isclose(time, group.time_s, rel_tol=ROUNDING):
            faults.append(f"group {g} takes {time!r} s, not {group.time_s!r}")
    if not math.isclose(sum(group.time_s for group in solution.groups), solution.time_s, rel_tol=ROUNDING):
        faults.append("the total is not the sum of the groups")
    return faults


def _time(data: Instance, group: Group, inside: set[int], faults: list[str]) -> float:
    """Seconds of one group; what it breaks is added to `faults`."""
    if group.mode == "alone":
        faults += [f"{group.members} are not alone"] if len(inside) != 1 else []
        return data.alone_s[group.members[0]]
    if group.mode == "vertical":
        times = [time for members, time in data.verticals if members == inside]
        faults += [f"{group.members} is no vertical group"] if not times else []
        return min(times, default=math.nan)
    if not _complete(data, group):
        faults.append(f"pipeline {group.members} has no payload, alternative or CTAs for each of its stages")
        return math.nan
    if not _resident(data, group, inside, faults) or group.payload is None:
        return math.nan
    entry = data.payloads[group.payload].entry
    per_s = entry / (data.sync_s + entry / data.queue_bandwidth)
    off_chip = sum(data.read[v] + data.write[v] for v in inside)
    off_chip += sum(data.output[u] for u in inside if any(a == u and b not in inside for a, b, _ in data.edges))
    off_chip += sum(size for u, v, size in data.edges if v in inside and u not in inside)
    queued, slowest = 0.0, 0.0
    for v, pick, ctas in zip(group.members, group.picks, group.ctas, strict=True):
        stages = data.alternatives[v][pick]
        for s, (stage, a) in enumerate(zip(stages, ctas, strict=True)):
            fed, passed = _through(data, v, pick, s, inside)
            queued += fed + passed
            slowest = max(slowest, stage.work_s * data.sms / a, max(fed, passed, stage.written) / per_s / a)
    steady = max(off_chip / data.dram_bandwidth, (off_chip + queued) / data.l2_bandwidth, slowest)
    own = {v: data.tile_s[v] + data.payloads[group.payload].hop_s + sum(s.adding_s for s in data.alternatives[v][pick])
           for v, pick in zip(group.members, group.picks, strict=True)}  # fmt: skip
    return steady + max(_filled(data, v, own) for v in inside)


def _complete(data: Instance, group: Group) -> bool:
    """Whether a payload, an alternative of every member and CTAs of every stage are there."""
    if group.payload not in range(len(data.payloads)):
        return False
    if not len(group.picks) == len(group.ctas) == len(group.members):
        return False
    rows = [data.alternatives[v] for v in group.members]
    return all(
        pick in range(len(own)) and len(ctas) == len(own[pick])
        for own, pick, ctas in zip(rows, group.picks, group.ctas, strict=True)
    )


def _through(data: Instance, v: int, pick: int, s: int, inside: set[int]) -> tuple[float, float]:
    """Bytes that stage s of operator v reads from queues and writes to them."""
    stages = data.alternatives[v][pick]
    fed = stages[s - 1].passes if s else sum(b for u, w, b in data.edges if w == v and u in inside)
    if s + 1 < len(stages):
        return fed, stages[s].passes
    return fed, data.output[v] if any(u == v and w in inside for u, w, _ in data.edges) else 0.0


def _filled(data: Instance, v: int, own: dict[int, float]) -> float:
    """Seconds until the first tile is through v; `own` of each member."""
    return own[v] + max((_filled(data, u, own) for u, w, _ in data.edges if w == v and u in own), default=0.0)


def _entries(data: Instance, v: int, pick: int, s: int, inside: set[int]) -> int:
    """Entries of the ring of one CTA of stage s of operator v."""
    stages, readers = data.alternatives[v][pick], [w for u, w, _ in data.edges if u == v and w in inside]
    if s + 1 < len(stages):
        return data.ring_entries if stages[s].passes > 0 else 0
    own = _level(data, v, inside)
    return data.ring_entries + max(_level(data, w, inside) for w in readers) - own - 1 if readers else 0


def _level(data: Instance, v: int, inside: set[int]) -> int:
    return 1 + max((_level(data, u, inside) for u, w, _ in data.edges if w == v and u in inside), default=0)


def _resident(data: Instance, group: Group, inside: set[int], faults: list[str]) -> bool:
    """Whether the pipeline can be resident; what it breaks is added to `faults`."""
    payload, sms = data.payloads[group.payload or 0], data.sms
    count, shared, rings = {"tensor": 0, "simt": 0}, {"tensor": 0, "simt": 0}, 0
    before = len(faults)
    for v, pick, ctas in zip(group.members, group.picks, group.ctas, strict=True):
        for s, (stage, a) in enumerate(zip(data.alternatives[v][pick], ctas, strict=True)):
            count[stage.kind] += a
            shared[stage.kind] = max(shared[stage.kind], stage.shared + payload.staged)
            rings += a * _entries(data, v, pick, s, inside)
            if a < 1 or a > (stage.most or sms):
                faults.append(f"{data.operators[v]} has {a} CTAs")
    reached = {group.members[0]}
    for _ in inside:
        reached |= {w for u, v, _ in data.edges for w in (u, v) if {u, v} <= inside and {u, v} & reached}
    rules = {
        "does not stream": all(data.streams[v] for v in inside),
        "has one operator": len(inside) > 1,
        "has too many operators": data.most_operators is None or len(inside) <= data.most_operators,
        "is not connected": reached == inside,
        "has too many CTAs": max(count.values()) <= sms,
        "has too many rings": rings * payload.entry <= data.queue_room,
        "exceeds the shared memory": sum(shared.values()) <= data.shared_memory,
    }
    faults += [f"pipeline {group.members} {fault}" for fault, kept in rules.items() if not kept]
    return len(faults) == before
