"""Seeded instances of `fleet` as catalogues make them: layouts of tensor 1 to 32, servers of eight chips or more."""

from typing import Any

import numpy as np

from formulations.fleet import Instance
from formulations.fleet.instance import BOTH, DECODE, PREFILL

KINDS = 8


def plan(workloads: int, each: int, *, seed: int, periods: int = 1, objective: str = "cost", **limits: Any) -> Instance:
    """`workloads` demands of 1 to 2,000 requests/s with `each` columns apiece on eight kinds of chip.

    A replica's rate grows with its chips to a power below 1, times luck, so that no layout is best for all;
    a fifth of the columns works in one phase and is faster there; two thirds meet the limits of speed.
    """
    draw = np.random.default_rng(seed)
    n = workloads * each
    chips = np.array([4, 8, 8, 8, 8, 16, 64, 72])
    strength = draw.uniform(0.5, 2.0, KINDS)
    price = chips * strength ** draw.uniform(0.8, 1.2, KINDS) * draw.uniform(20.0, 40.0, KINDS)
    kind, demand_of = draw.integers(0, KINDS, n), np.repeat(np.arange(workloads), each)
    tensor = np.minimum(2 ** draw.integers(0, 6, n), np.where(chips[kind] == 72, 64, chips[kind]))
    stages = draw.choice([1, 1, 1, 1, 2, 2, 3, 4], n)
    phase = draw.choice([BOTH] * 8 + [PREFILL, DECODE], n)
    meets = draw.random(n) < 2 / 3
    ease = draw.lognormal(0.0, 1.0, workloads)
    suits = draw.uniform(0.7, 1.3, (workloads, KINDS))
    rate = ease[demand_of] * suits[demand_of, kind] * strength[kind] * (tensor * stages) ** draw.uniform(0.8, 1.0, n)
    rate *= draw.beta(5.0, 1.5, n) * np.where(meets, 0.8, 1.0) * np.where(phase == BOTH, 1.0, 2.0)
    growth = 1.3 ** np.arange(periods)
    demand = np.exp(draw.uniform(0.0, np.log(2000.0), workloads))[:, None] * growth
    life = np.full(KINDS, 4)
    bought = price[:, None] * 0.9 ** np.arange(periods)
    charge = np.zeros((KINDS, periods, periods))
    for b in range(periods):
        charge[:, b, b : b + 4] = bought[:, b, None] / 4
    return Instance(
        demand=demand, strict=draw.choice([0.0, 0.5, 0.9, 1.0], workloads),
        worth=draw.uniform(1.0, 50.0, workloads)[:, None] * np.ones(periods), tokens=draw.uniform(0.1, 1.0, workloads),
        workload_of=np.arange(workloads), demand_of=demand_of, kind_of=kind, phase=phase, meets=meets, rate=rate,
        parcels=stages, size=tensor, chips_per_server=chips, servers_per_rack=np.where(chips > 16, 1.0, 4.0),
        watts=chips * draw.uniform(0.7, 1.4, KINDS), vendor=np.arange(KINDS) % 3, life=life, price=bought,
        charge=charge, running=0.02 * price[:, None] * np.ones(periods),
        installed=np.zeros((KINDS, periods), dtype=int), supply=np.full((KINDS, periods), np.inf),
        length=np.ones(periods), objective=objective, **limits,
    )  # fmt: skip
