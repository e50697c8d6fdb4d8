"""Small fleets of `formulations.fleet_slices`: cases by row, generated instances, and their optimum by enumeration."""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np
from scipy.optimize import linprog

from formulations.fleet_slices import Instance
from formulations.fleet_slices.exact import Fleet, money

INF = math.inf


def instance(load: Any, price: Any = 1.0, slices: Any = 1, most: Any = INF, *, fractional: bool = False) -> Instance:
    """Buckets x kinds of loads; a single price, number of slices or supply is that of all."""
    loads = np.array(load, dtype=np.float64)
    buckets, kinds = loads.shape
    return Instance(
        buckets=np.arange(buckets), kinds=np.arange(kinds),
        price=np.broadcast_to(np.array(price, dtype=np.float64), kinds).copy(),
        slices=np.broadcast_to(np.array(slices, dtype=np.int64), buckets).copy(), load=loads,
        most=np.broadcast_to(np.array(most, dtype=np.float64), kinds).copy(), fractional=fractional,
    )  # fmt: skip


# for each row, a case that just fits with its optimum, and one that just does not: it costs more, or is infeasible
PAIRS = {
    "serve_slices": (instance([[1.0]], slices=3), 3.0, instance([[INF]], slices=3), None),
    "carry_load": (instance([[1 / 3]], slices=3), 1.0, instance([[1 / 3 + 1e-7]], slices=3), 2.0),
    "stay_in_supply": (instance([[0.5]], slices=4, most=2.0), 2.0, instance([[0.5]], slices=5, most=2.0), None),
}

LOADS = st.sampled_from([1e-4, 0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 2 / 3, 0.7, 1.0, 1.3, 2.5, INF])
ODD = st.floats(0.01, 2.0)
PRICES = st.sampled_from([0.0, 0.5, 0.7, 1.01, 2.0, 3.67, 6.234, 1 / 3])
SUPPLY = st.sampled_from([INF, INF, INF, 0.0, 1.0, 2.0, 3.0])


@st.composite
def instances(draw: Any, *, kinds: int = 3, limited: bool = True) -> Instance:
    """Up to 3 buckets of 4 slices and as many kinds, with loads that add up to whole replicas and loads that do not."""
    buckets, kinds = draw(st.integers(1, 3)), draw(st.integers(1, kinds))
    cell = draw(st.sampled_from([LOADS, st.one_of(LOADS, ODD)]))
    load = draw(st.lists(st.lists(cell, min_size=kinds, max_size=kinds), min_size=buckets, max_size=buckets))
    most = draw(st.lists(SUPPLY, min_size=kinds, max_size=kinds)) if limited and draw(st.booleans()) else INF
    return instance(load, draw(st.lists(PRICES, min_size=kinds, max_size=kinds)),
                    draw(st.lists(st.integers(1, 4), min_size=buckets, max_size=buckets)), most)  # fmt: skip


def splits(slices: int, able: list[bool]) -> Iterator[tuple[int, ...]]:
    """All ways to give a bucket's slices to kinds."""
    if len(able) == 1:
        if slices == 0 or able[0]:
            yield (slices,)
        return
    for first in range(slices + 1 if able[0] else 1):
        for rest in splits(slices - first, able[1:]):
            yield (first, *rest)


def best_by_enumeration(data: Instance) -> Fraction | None:
    """The least cost over all ways to place all slices, in exact numbers; None: there is none."""
    load = [[None if math.isinf(a) else Fraction(a) for a in row] for row in data.load.tolist()]
    ways = [list(splits(int(s), [a is not None for a in row])) for s, row in zip(data.slices, load, strict=True)]
    best: Fraction | None = None
    for chosen in itertools.product(*ways):
        cost = Fraction(0)
        for g, price in enumerate(data.price.tolist()):
            carried = sum((n[g] * (row[g] or 0) for n, row in zip(chosen, load, strict=True)), Fraction(0))
            count = max(math.ceil(carried - Fraction(1, 10**9)), 1 if carried else 0)
            if count > data.most[g]:
                break
            cost += count * money(price)
        else:
            best = cost if best is None else min(best, cost)
    return best


def divided_by_enumeration(data: Instance) -> float | None:
    """The least cost over all fleets, by a linear program for each: slices are divided at will; None: there is none."""
    finite = np.isfinite(data.load)
    if not finite.any(axis=1).all():
        return None
    total = np.ceil((np.where(finite, data.load, 0.0) * data.slices[:, None]).sum(axis=0) - 1e-9)
    ranges = [range(int(min(total[g], data.most[g])) + 1) for g in range(len(data.kinds))]
    bucket, kind = np.nonzero(finite)
    serve = np.zeros((len(data.buckets), len(bucket)))
    serve[bucket, np.arange(len(bucket))] = 1.0
    carry = np.zeros((len(data.kinds), len(bucket)))
    carry[kind, np.arange(len(bucket))] = data.load[bucket, kind]
    for counts in sorted(itertools.product(*ranges), key=lambda counts: float(np.dot(counts, data.price))):
        found = linprog(np.zeros(len(bucket)), carry, counts, serve, data.slices, method="highs")
        if found.status == 0:
            return float(np.dot(counts, data.price))
    return None


def check(data: Instance, fleet: Fleet, value: float) -> None:
    """Every slice is served, no kind is overloaded, supply is enough, and the cost is that of the counts."""
    off, spared = Fraction(int(data.fractional), 10**9), Fraction(1, 10**9)
    placed = [Fraction(0)] * len(data.buckets)
    carried = [Fraction(0)] * len(data.kinds)
    for (b, g), share in fleet.assign.items():
        assert math.isfinite(data.load[b, g]) and share > 0
        assert data.fractional or isinstance(share, int)
        placed[b] += Fraction(share)
        carried[g] += Fraction(share) * Fraction(data.load[b, g])
    assert all(abs(p - int(s)) <= off for p, s in zip(placed, data.slices, strict=True))
    for g, count in fleet.counts.items():
        assert isinstance(count, int)
        assert carried[g] <= count + spared
        assert count > 0 or carried[g] == 0
        assert 0 <= count <= data.most[g]
    cost = sum(count * money(data.price[g]) for g, count in fleet.counts.items())
    assert fleet.cost == cost
    assert value == float(cost)
