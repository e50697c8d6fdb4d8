"""Pipelines on a few SMs, placed CTA by CTA in plain Python."""

import itertools
from typing import Any

import numpy as np

from formulations.sm_placement import Instance

STAGE = {"kind": "tensor", "ctas": 2, "shared": 60, "registers": 20, "threads": 4}


def instance(stages: list[dict[str, Any]], streams: list[tuple[int, int, float]], **others: Any) -> Instance:
    """Stages given by what differs from STAGE, on two GPCs of two SMs, one in each half."""
    rows = [STAGE | stage for stage in stages]
    gpcs = {"gpcs": ("g0", "g1"), "gpc_sms": (2, 2), "half": (0, 1)}
    limits = {"sm_shared": 100, "sm_registers": 64, "sm_threads": 32}
    return Instance(stages=tuple(f"s{i}" for i in range(len(rows))), streams=tuple(streams),
                    kinds=tuple(row["kind"] for row in rows),
                    **{name: tuple(row[name] for row in rows) for name in ("ctas", "shared", "registers", "threads")},
                    **(gpcs | limits | others))  # fmt: skip


def generated(seed: int) -> Instance:
    """Up to four stages of up to three CTAs on up to six SMs in up to three GPCs; one in four is not resident."""
    rng = np.random.default_rng(seed)
    count, gpcs = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    stages = [{"kind": str(rng.choice(["tensor", "simt"])), "ctas": int(rng.integers(1, 4)),
               "shared": int(rng.choice([20, 40, 60])), "registers": int(rng.choice([10, 30, 40]))}
              for _ in range(count)]  # fmt: skip
    streams = [(i, j, float(rng.integers(0, 9))) for i, j in itertools.combinations(range(count), 2)
               if rng.random() < 0.6]  # fmt: skip
    costs = sorted(rng.choice([0.0, 0.5, 1.0, 1.5, 4.0], 3).tolist())
    return instance(stages, streams, gpcs=tuple(f"g{g}" for g in range(gpcs)),
                    gpc_sms=tuple(int(n) for n in rng.integers(1, 4, gpcs)),
                    half=tuple(int(h) for h in rng.integers(0, 2, gpcs)),
                    cost_gpc=costs[0], cost_half=costs[1], cost_far=costs[2])  # fmt: skip


def best_by_enumeration(data: Instance) -> float | None:
    """Every count of every stage in every GPC that can be unfolded; None: there is none."""
    rows = [[row for row in itertools.product(*(range(n + 1) for n in data.gpc_sms)) if sum(row) == a]
            for a in data.ctas]  # fmt: skip
    costs = [
        _cost(data, counts)
        for counts in itertools.product(*rows)
        if all(_resident(data, g, [row[g] for row in counts]) for g in range(len(data.gpcs)))
    ]
    return min(costs, default=None)


def _resident(data: Instance, g: int, counts: list[int]) -> bool:
    """Whether so many CTAs of each stage can share the SMs of a GPC: every assignment is tried."""
    ctas = {kind: [i for i, n in enumerate(counts) for _ in range(n) if data.kinds[i] == kind]
            for kind in ("tensor", "simt")}  # fmt: skip
    sms = data.gpc_sms[g]
    if max(map(len, ctas.values())) > sms:
        return False
    tensor = [*ctas["tensor"], *[None] * (sms - len(ctas["tensor"]))]
    simt = [*ctas["simt"], *[None] * (sms - len(ctas["simt"]))]
    return any(all(_fits(data, pair) for pair in zip(tensor, order, strict=True))
               for order in itertools.permutations(simt))  # fmt: skip


def _fits(data: Instance, pair: tuple[int | None, int | None]) -> bool:
    own = [i for i in pair if i is not None]
    sizes = ((data.shared, data.sm_shared), (data.registers, data.sm_registers), (data.threads, data.sm_threads))
    return all(sum(each[i] for i in own) <= most for each, most in sizes)


def _cost(data: Instance, counts: tuple[tuple[int, ...], ...]) -> float:
    """Cheapest transport of every stream, share by share: the nearest pair of GPCs first."""
    total, gpcs = 0.0, range(len(data.gpcs))

    def distance(a: int, b: int) -> float:
        return data.cost_gpc if a == b else data.cost_half if data.half[a] == data.half[b] else data.cost_far

    for i, j, size in data.streams:
        sent = [n * data.ctas[j] for n in counts[i]]
        received = [n * data.ctas[i] for n in counts[j]]
        shares = data.ctas[i] * data.ctas[j]
        near = sorted(itertools.product(gpcs, gpcs), key=lambda p: (p[0] != p[1], data.half[p[0]] != data.half[p[1]]))
        for a, b in near:
            moved = min(sent[a], received[b])
            sent[a], received[b] = sent[a] - moved, received[b] - moved
            total += size * moved / shares * distance(a, b)
    return total
