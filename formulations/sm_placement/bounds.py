"""Cost, unfolding and check of `sm_placement`, and what is in the way of a placement; no solver.

Feasibility knows no GPC: an SM is an SM. All CTAs find a place exactly when each fits an SM by itself, no class
has more CTAs than SMs, and the CTAs above one an SM can share one: at least as many disjoint pairs of a tensor
and a SIMT CTA that fit together as there are CTAs more than SMs (a largest matching, by augmenting paths).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from formulations.sm_placement.instance import Host, Instance, Solution

RESOURCES = {"shared": "sm_shared", "registers": "sm_registers", "threads": "sm_threads"}  # of a CTA: of an SM
ROUNDING = 1e-9  # relative


def lacking(data: Instance, *stages: int) -> dict[str, int]:
    """By how much one CTA of each of these stages exceeds an SM; empty: they fit."""
    over = {own: sum(getattr(data, own)[i] for i in stages) - getattr(data, whole) for own, whole in RESOURCES.items()}
    return {name: n for name, n in over.items() if n > 0}


def fits(data: Instance, *stages: int) -> bool:
    """Whether one CTA of each of these stages fits an SM."""
    return not lacking(data, *stages)


def cost(data: Instance, counts: Sequence[Sequence[int]]) -> float:
    """Cost of all streams: in each GPC stays what is both sent and received there, then in each half."""
    result = 0.0
    for i, j, size in data.streams:
        shares = data.ctas[i] * data.ctas[j]
        sent, received = [n * data.ctas[j] for n in counts[i]], [n * data.ctas[i] for n in counts[j]]
        gpc = sum(min(a, b) for a, b in zip(sent, received, strict=True))
        half = 0
        for h in set(data.half):
            inside = [g for g, own in enumerate(data.half) if own == h]
            half += min(sum(sent[g] for g in inside), sum(received[g] for g in inside))
        paid = data.cost_gpc * gpc + data.cost_half * (half - gpc) + data.cost_far * (shares - half)
        result += size * paid / shares
    return result


def unfold(
    data: Instance, counts: Sequence[Sequence[int]], pairs: Mapping[tuple[int, ...], int]
) -> tuple[Host, ...]:
    """Every SM of every GPC: first the pairs (tensor, SIMT, GPC), then CTAs by themselves, then idle SMs."""
    result: list[Host] = []
    for g, sms in enumerate(data.gpc_sms):
        left = [row[g] for row in counts]
        hosts = []
        for (i, j, where), n in sorted(pairs.items()):
            if where == g:
                hosts += [Host(g, i, j)] * n
                left[i], left[j] = left[i] - n, left[j] - n
        for i, n in enumerate(left):
            hosts += [Host(g, i, None) if data.kinds[i] == "tensor" else Host(g, None, i)] * n
        result += hosts + [Host(g)] * (sms - len(hosts))
    return tuple(result)


def check(data: Instance, solution: Solution) -> list[str]:
    """What is wrong with a solution, counted SM by SM; empty: nothing."""
    faults = []
    for g, (name, sms) in enumerate(zip(data.gpcs, data.gpc_sms, strict=True)):
        here = [host for host in solution.hosts if host.gpc == g]
        faults += [f"{len(here)} SMs in {name}, not {sms}"] if len(here) != sms else []
        for i, stage in enumerate(data.stages):
            found = sum(host.tensor == i for host in here) + sum(host.simt == i for host in here)
            if found != solution.counts[i][g]:
                faults.append(f"{found} CTAs of {stage} in {name}, not {solution.counts[i][g]}")
    for i, stage in enumerate(data.stages):
        if sum(solution.counts[i]) != data.ctas[i]:
            faults.append(f"{sum(solution.counts[i])} CTAs of {stage}, not {data.ctas[i]}")
    for host in solution.hosts:
        own = {kind: i for kind, i in (("tensor", host.tensor), ("simt", host.simt)) if i is not None}
        faults += [f"{data.stages[i]} is not {kind}" for kind, i in own.items() if data.kinds[i] != kind]
        faults += [f"{name} of an SM of {data.gpcs[host.gpc]}" for name in lacking(data, *own.values())]
    true = cost(data, solution.counts)
    if abs(true - solution.cost) > ROUNDING * max(true, 1.0):
        faults.append(f"cost {solution.cost!r}, not {true!r}")
    return faults


def obstacles(data: Instance) -> list[str]:
    """What keeps the CTAs from being resident, with the resource and by how much; empty: nothing."""
    faults = [
        f"{name} of {stage}: {over} more than an SM has"
        for i, stage in enumerate(data.stages)
        for name, over in lacking(data, i).items()
    ]
    sms = sum(data.gpc_sms)
    for kind in ("tensor", "simt"):
        own = sum(a for a, k in zip(data.ctas, data.kinds, strict=True) if k == kind)
        faults += [f"{own} {kind} CTAs on {sms} SMs"] if own > sms else []
    needed, found = sum(data.ctas) - sms, most_pairs(data)
    if faults or needed <= found:
        return faults
    unlimited = (replace(data, sm_shared=2**60), replace(data, sm_registers=2**60), replace(data, sm_threads=2**60))
    cures = [name for name, other in zip(RESOURCES, unlimited, strict=True) if most_pairs(other) >= needed]
    apart = [
        f"{data.stages[i]} with {data.stages[j]} ({', '.join(f'{n} {over} over' for n, over in lack.items())})"
        for i, a in enumerate(data.kinds)
        for j, b in enumerate(data.kinds)
        if a == "tensor" and b == "simt" and (lack := lacking(data, i, j))
    ]
    cure = " or ".join(cures) if cures else "more than one resource"
    return [f"{needed} SMs must host two CTAs, {found} can, for want of {cure}: {'; '.join(apart)}"]


def most_pairs(data: Instance) -> int:
    """Most disjoint pairs of a tensor and a SIMT CTA that fit an SM: maximum flow, stage by stage."""
    tensor, simt = ([i for i, k in enumerate(data.kinds) if k == kind] for kind in ("tensor", "simt"))
    near = {i: [j for j in simt if fits(data, i, j)] for i in tensor}
    left = dict(enumerate(data.ctas))
    flow = {(i, j): 0 for i in tensor for j in near[i]}
    result = 0
    for i in tensor:
        while left[i] and (path := _augmenting(near, flow, left, i)):
            room = [left[i], left[path[-1]]] + [flow[path[s + 1], path[s]] for s in range(1, len(path) - 1, 2)]
            n = min(room)
            for s in range(0, len(path) - 1, 2):
                flow[path[s], path[s + 1]] += n
            for s in range(1, len(path) - 1, 2):
                flow[path[s + 1], path[s]] -= n
            left[i], left[path[-1]], result = left[i] - n, left[path[-1]] - n, result + n
    return result


def _augmenting(
    near: Mapping[int, Sequence[int]], flow: Mapping[tuple[int, int], int], left: Mapping[int, int], start: int
) -> list[int]:
    """Tensor, SIMT, tensor, ... from `start` to a SIMT stage with CTAs left; empty: none."""
    parent: dict[int, int] = {start: start}
    level = [start]
    while level:
        following = []
        for i in level:
            for j in near[i]:
                if j in parent:
                    continue
                parent[j] = i
                if left[j]:
                    path = [j]
                    while path[-1] != start:
                        path.append(parent[path[-1]])
                    return path[::-1]
                back = [t for (t, s), n in flow.items() if s == j and n and t not in parent]
                parent |= dict.fromkeys(back, j)
                following += back
        level = following
    return []
