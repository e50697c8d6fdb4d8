"""Operator graphs by hand and by seed, and their best schedule by exhaustive partition in plain Python."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from formulations.dataflow_schedule import Instance, Payload, Stage

MEMORY = {
    "payloads": (Payload(64_000, 32_000),), "queue_bandwidth": 45e9, "sync_s": 1.1e-6, "queue_room": 30e6,
    "shared_memory": 192_000, "sms": 108, "dram_bandwidth": 1.555e12, "l2_bandwidth": 4.7e12,
}  # fmt: skip


def instance(operators: list[dict[str, Any]], edges: list[tuple[int, int, float]], **others: Any) -> Instance:
    """Operators with `alone_s`, and what else differs from a tensor stage that reads and writes nothing."""
    rows = [{"read": 0.0, "write": 0.0, "output": 0.0, "tile_s": 0.0, "streams": True,
             "alternatives": ((Stage("tensor", op["alone_s"] / 2),),)} | op for op in operators]  # fmt: skip
    for u, _, size in edges:
        rows[u]["output"] = max(rows[u]["output"], size)
    fields = ("alternatives", "alone_s", "read", "write", "output", "tile_s", "streams")
    common = MEMORY | {"verticals": ()} | others
    return Instance(operators=tuple(f"op{v}" for v in range(len(rows))), edges=tuple(edges),
                    **{name: tuple(row[name] for row in rows) for name in fields}, **common)  # fmt: skip


def generated(seed: int, count: int | None = None) -> Instance:
    """A graph of up to ten operators on few SMs, with splits, vertical groups, little room and few rings."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 11)) if count is None else count
    density = rng.choice([0.15, 0.3, 0.5])
    edges = [(int(u), int(v), float(rng.integers(0, 40)) * 1e6) for u, v in itertools.combinations(range(count), 2)
             if rng.random() < density]  # fmt: skip
    rename = rng.permutation(count)
    edges = [(int(rename[u]), int(rename[v]), size) for u, v, size in edges]
    operators = [_operator(rng) for _ in range(count)]
    verticals, hop = [], float(rng.choice([0.0, 2e-8]))
    for _ in range(int(rng.integers(0, 4))):
        members = frozenset(rng.choice(count, size=int(rng.integers(2, min(count, 4) + 1)), replace=False).tolist())
        time = sum(operators[v]["alone_s"] for v in members) * float(rng.choice([0.6, 0.8, 1.1]))
        verticals.append((members, time))
    payloads = tuple(Payload(int(e) * 1000, int(e) * 500, int(e) * hop)
                     for e in rng.choice([16, 32, 64, 128], 2, replace=False))  # fmt: skip
    return instance(operators, edges, verticals=tuple(verticals), payloads=payloads, sms=int(rng.integers(3, 7)),
                    queue_room=float(rng.choice([2e5, 6e5, 3e6])), queue_bandwidth=2e12 / 3,
                    ring_entries=int(rng.integers(1, 4)),
                    sync_s=float(rng.choice([0.0, 1e-7])), shared_memory=int(rng.choice([120_000, 192_000])),
                    most_operators=None if rng.random() < 0.8 else 3)  # fmt: skip


def _operator(rng: np.random.Generator) -> dict[str, Any]:
    alone = float(rng.integers(5, 60)) * 1e-6
    share = float(rng.choice([0.2, 0.5, 0.9]))

    def stage(part: float, passes: float = 0.0) -> Stage:
        kind = "tensor" if rng.random() < 0.5 else "simt"
        most = int(rng.integers(1, 4)) if rng.random() < 0.2 else None
        written = float(rng.integers(1, 20)) * 1e6 if rng.random() < 0.1 else 0.0
        return Stage(kind, alone * share * part, int(rng.integers(0, 5)) * 16_000, most, passes, written)

    alternatives = [(stage(1.0),)]
    if rng.random() < 0.3:
        alternatives.append((stage(0.7, float(rng.integers(0, 5)) * 1e6), stage(0.2)))
    if rng.random() < 0.25:
        alternatives += splits(alternatives[0][0], rng)
    return {"alone_s": alone, "alternatives": tuple(alternatives), "read": float(rng.integers(0, 10)) * 1e6,
            "write": float(rng.choice([0.0, 0.0, 9e6])), "tile_s": float(rng.integers(0, 3)) * 1e-6,
            "streams": bool(rng.random() < 0.85)}  # fmt: skip


def splits(whole: Stage, rng: np.random.Generator) -> list[tuple[Stage, ...]]:
    """The same stage with more CTAs, and parts to add; now and then as many CTAs for a longer time to add."""
    steps = [(int(rng.integers(1, 6)), float(rng.integers(1, 9)) * 5e-7) for _ in range(int(rng.integers(1, 3)))]
    return [(replace(whole, most=most, adding_s=adding),) for most, adding in steps]


def trap() -> Instance:
    """a1 -> b1 and b2 -> a2: {a1, a2} and {b1, b2} are convex and cheap each, and neither can be first."""
    fast = ((frozenset({0, 1}), 1e-6), (frozenset({2, 3}), 1e-6))
    edges = [(0, 2, 1e6), (3, 1, 1e6)]  # operators a1, a2, b1, b2
    return instance([{"alone_s": 1e-5, "streams": False} for _ in range(4)], edges, verticals=fast)


def cost(data: Instance, members: frozenset[int]) -> float:
    """Seconds of a set as one group, the best of every way, payload, alternative and count; infinite: none."""
    times = [time for group, time in data.verticals if group == members]
    if len(members) == 1:
        return min([data.alone_s[v] for v in members] + times)
    small = data.most_operators is None or len(members) <= data.most_operators
    if small and all(data.streams[v] for v in members) and connected(data, members):
        times += list(_pipelines(data, members))
    return min(times, default=math.inf)


def connected(data: Instance, members: frozenset[int]) -> bool:
    seen = {min(members)}
    for _ in members:
        seen |= {w for u, v, _ in data.edges if {u, v} <= members and {u, v} & seen for w in (u, v)}
    return seen == members


def _pipelines(data: Instance, members: frozenset[int]) -> Iterator[float]:
    own = sorted(members)
    off = sum(data.read[v] + data.write[v] for v in own)
    off += sum(b for u, v, b in data.edges if v in members and u not in members)
    off += sum(data.output[u] for u in own if any(a == u and b not in members for a, b, _ in data.edges))

    def fill(v: int, each: dict[int, float]) -> float:
        return each[v] + max((fill(u, each) for u, w, _ in data.edges if w == v and u in members), default=0.0)

    def level(v: int) -> int:
        return 1 + max((level(u) for u, w, _ in data.edges if w == v and u in members), default=0)

    readers = {v: [w for u, w, _ in data.edges if u == v and w in members] for v in own}
    entries = {v: max((data.ring_entries + level(w) - level(v) - 1 for w in readers[v]), default=0) for v in own}
    for payload in data.payloads:
        per_s = payload.entry / (data.sync_s + payload.entry / data.queue_bandwidth)
        for rows in itertools.product(*(data.alternatives[v] for v in own)):
            stages, queued = [], 0.0
            each = {v: data.tile_s[v] + payload.hop_s + sum(s.adding_s for s in row)
                    for v, row in zip(own, rows, strict=True)}  # fmt: skip
            for v, row in zip(own, rows, strict=True):
                fed = sum(b for u, w, b in data.edges if w == v and u in members)
                for s, stage in enumerate(row):
                    last = data.output[v] if any(u == v and w in members for u, w, _ in data.edges) else 0.0
                    out = last if s + 1 == len(row) else stage.passes
                    effort = max(stage.work_s * data.sms, fed / per_s, out / per_s, stage.written / per_s)
                    ring = data.ring_entries * (out > 0) if s + 1 < len(row) else entries[v]
                    stages.append((stage, effort, ring))
                    queued, fed = queued + fed + out, out
            shared = [max((s.shared + payload.staged for s, *_ in stages if s.kind == k), default=0)
                      for k in ("tensor", "simt")]  # fmt: skip
            steady = _steady(data, stages, int(data.queue_room // payload.entry))
            if sum(shared) <= data.shared_memory and steady is not None:
                memory = max(off / data.dram_bandwidth, (off + queued) / data.l2_bandwidth)
                yield max(memory, steady) + max(fill(v, each) for v in own)


def _steady(data: Instance, stages: list[tuple[Stage, float, int]], rings: int) -> float | None:
    """Least of the longest stage times: each e / a is tried as the target, from the shortest."""
    targets = sorted({effort / a for _, effort, _ in stages for a in range(1, data.sms + 1)})
    for target in targets:
        used, owned, fits = {"tensor": 0, "simt": 0}, 0, True
        for stage, effort, ring in stages:
            fewest = next((a for a in range(1, (stage.most or data.sms) + 1) if effort / a <= target), None)
            if fewest is None:
                fits = False
                break
            used[stage.kind] += fewest
            owned += fewest * ring
        if fits and max(used.values()) <= data.sms and owned <= rings:
            return target
    return None


def best_by_enumeration(data: Instance) -> float:
    """Every order of groups, as a walk over the sets of operators that are done."""
    count = len(data.operators)
    before = [frozenset(u for u, w, _ in data.edges if w == v) for v in range(count)]
    costs = cache(lambda members: cost(data, members))

    @cache
    def least(done: frozenset[int]) -> float:
        left = [v for v in range(count) if v not in done]
        if not left:
            return 0.0
        best = math.inf
        for size in range(1, len(left) + 1):
            for chosen in itertools.combinations(left, size):
                group = frozenset(chosen)
                if all(before[v] <= done | group for v in group):
                    best = min(best, costs(group) + least(done | group))
        return best

    return least(frozenset())


def lightest_by_enumeration(data: Instance) -> float:
    """Fewest bytes off the chip of all schedules as fast as the best, whose times are whole microseconds."""
    count = len(data.operators)
    before = [frozenset(u for u, w, _ in data.edges if w == v) for v in range(count)]

    @cache
    def ways(members: frozenset[int]) -> tuple[int, float]:
        time = cost(data, members)
        return (10**9 if math.isinf(time) else round(time * 1e6)), bytes_off_chip(data, members)

    @cache
    def least(done: frozenset[int]) -> tuple[int, float]:
        left = [v for v in range(count) if v not in done]
        best = (10**9, 0.0) if left else (0, 0.0)
        for size in range(1, len(left) + 1):
            for chosen in itertools.combinations(left, size):
                group = frozenset(chosen)
                if all(before[v] <= done | group for v in group):
                    best = min(best, tuple(a + b for a, b in zip(ways(group), least(done | group), strict=True)))
        return best

    return least(frozenset())[1]


def bytes_off_chip(data: Instance, members: frozenset[int]) -> float:
    off = sum(data.read[v] + data.write[v] for v in members)
    off += sum(b for u, v, b in data.edges if v in members and u not in members)
    return off + sum(data.output[u] for u in members if any(a == u and b not in members for a, b, _ in data.edges))


def tied(seed: int, count: int = 6, *, row: bool = False) -> Instance:
    """Whole microseconds, and many schedules that take as many: pipelines limited by CTAs and by fill alone."""
    rng = np.random.default_rng(seed)
    pairs = [(v, v + 1) for v in range(count - 1)] if row else [
        pair for pair in itertools.combinations(range(count), 2) if rng.random() < 0.35]  # fmt: skip
    edges = [(u, v, float(rng.integers(1, 40)) * 1e3) for u, v in pairs]
    operators = [{"alone_s": float(rng.integers(2, 5)) * 1e-6, "read": float(rng.integers(0, 9)) * 1e3,
                  "tile_s": float(rng.integers(0, 3)) * 1e-6, "streams": bool(rng.random() < 0.9),
                  "alternatives": ((Stage("tensor", float(rng.integers(1, 4)) * 1e-6 / 8, 0, 1),),)}
                 for _ in range(count)]  # fmt: skip
    return instance(operators, edges, sms=8, payloads=(Payload(64_000),), sync_s=0.0, queue_bandwidth=1e15,
                    dram_bandwidth=1e15, l2_bandwidth=1e15)  # fmt: skip


def caterpillar(seed: int, hosts: int = 2, pendants: int = 8) -> Instance:
    """A row of hosts, and operators that hang on them before or after, in turn, on few SMs."""
    rng = np.random.default_rng(seed)
    count = hosts + pendants
    edges = [(v, v + 1, float(rng.integers(1, 40)) * 1e6) for v in range(hosts - 1)]
    for q in range(hosts, count):
        pair = (q, int(rng.integers(hosts))) if rng.random() < 0.3 else (int(rng.integers(hosts)), q)
        edges.append((*pair, float(rng.integers(1, 40)) * 1e6))
    operators = [_operator(rng) | {"streams": True} for _ in range(count)]
    return instance(operators, edges, payloads=(Payload(16_000),), sms=int(rng.integers(8, 14)),
                    queue_bandwidth=2e11, sync_s=1e-8, shared_memory=400_000)  # fmt: skip


def chain(count: int, seed: int = 0, **others: Any) -> Instance:
    rng = np.random.default_rng(seed)
    operators = [realistic(rng) for _ in range(count)]
    return instance(operators, [(v, v + 1, float(rng.integers(5, 80)) * 1e6) for v in range(count - 1)], **others)


def layered(count: int, width: int = 4, seed: int = 0, **others: Any) -> Instance:
    """Layers of `width` operators, each fed by one to three of the layer before."""
    rng = np.random.default_rng(seed)
    edges = []
    for v in range(width, count):
        first = v // width * width - width
        fed = rng.choice(width, size=int(rng.integers(1, min(3, width) + 1)), replace=False)
        edges += [(first + int(u), v, float(rng.integers(5, 80)) * 1e6) for u in sorted(fed)]
    return instance([realistic(rng) for _ in range(count)], edges, **others)


def realistic(rng: np.random.Generator) -> dict[str, Any]:
    """Tens of microseconds on an A100, below half of peak mostly; a fifth has a split, a tenth gathers."""
    work = float(rng.uniform(5, 60)) * 1e-6
    kind = "tensor" if rng.random() < 0.5 else "simt"
    alternatives = [(Stage(kind, work, 64_000),)]
    if rng.random() < 0.2:
        alternatives.append((Stage(kind, 0.9 * work, 64_000, None, 1e6), Stage("simt", 0.1 * work, 16_000)))
    return {"alone_s": work * float(rng.uniform(1.2, 4)), "alternatives": tuple(alternatives), "tile_s": 1e-7,
            "read": float(rng.integers(0, 10)) * 1e6, "streams": bool(rng.random() > 0.1)}  # fmt: skip


def without_pipelines(data: Instance) -> Instance:
    return replace(data, streams=(False,) * len(data.operators))
