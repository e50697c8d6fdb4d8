"""A fleet to start from, and what cannot be part of a cheaper one: both beside `fleet_slices`.

The start gives every bucket to the kind that serves it for the least money, of a set of kinds: few kinds
fill their replicas better, many have the cheaper one for each bucket.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from formulations.fleet_slices.exact import Fleet, fleet, money
from formulations.fleet_slices.instance import Instance
from formulations.solvers.arrays import Mask

EVERY_SET = 6     # kinds: up to so many, all sets of kinds are tried
PAIRS = 40        # kinds: up to so many, all pairs
NEAR = 1e-9       # replicas; floats only choose here, what they choose is counted exactly
CLOSE = Fraction(1, 10**9)  # relative: a fleet cheaper by less is not looked for, where prices have no unit


def below(known: Fleet, unit: Fraction | None) -> Fraction:
    """The most that a fleet may cost to be cheaper than the known one: all fleets cost whole units."""
    return known.cost * (1 - CLOSE) if unit is None else known.cost - unit


def cheapest(data: Instance) -> Fleet | None:
    """The cheapest fleet of those that give each bucket whole to one kind, over many sets of kinds."""
    paid = np.where(np.isfinite(data.load), data.price * np.where(np.isfinite(data.load), data.load, 0.0), np.inf)
    best: tuple[float, Any] | None = None
    rows = np.arange(len(data.buckets))
    for chosen in _sets(len(data.kinds)):
        at = np.asarray(chosen)
        pick = at[np.argmin(paid[:, at], axis=1)] if len(at) > 1 else np.full(len(rows), at[0])
        if not np.isfinite(paid[rows, pick]).all():
            continue
        carried = np.bincount(pick, data.slices * data.load[rows, pick], minlength=len(data.kinds))
        counts = np.ceil(carried - NEAR)
        cost = float(counts @ data.price)
        if (counts <= data.most).all() and (best is None or cost < best[0]):
            best = cost, pick
    if best is None:
        return None
    labels = zip(data.buckets.tolist(), data.kinds[best[1]].tolist(), data.slices.tolist(), strict=True)
    return fleet(data, {(bucket, kind): slices for bucket, kind, slices in labels})


def _sets(kinds: int) -> Iterable[tuple[int, ...]]:
    if kinds <= EVERY_SET:
        return (s for n in range(1, kinds + 1) for s in itertools.combinations(range(kinds), n))
    pairs = itertools.combinations(range(kinds), 2) if kinds <= PAIRS else ()
    return itertools.chain(((g,) for g in range(kinds)), pairs, (tuple(range(kinds)),))


def reduced(data: Instance, known: Fleet | None, unit: Fraction | None) -> Instance:
    """The instance without what no fleet cheaper than the known one needs: pairs at infinite load, fewer `most`.

    A kind goes where another, of which there is no shortage, serves every bucket with no more load for no
    more money: its replicas can be exchanged. A pair goes where one whole slice needs replicas for too much money.
    """
    load = np.where(_dominated(data), np.inf, data.load)
    finite = np.isfinite(load)
    most = np.minimum(data.most, np.ceil((np.where(finite, load, 0.0) * data.slices[:, None]).sum(axis=0) + NEAR))
    if known is not None:
        ceiling = below(known, unit)
        dear = [math.inf if price == 0 else max(0, math.floor(ceiling / money(price))) for price in data.price.tolist()]
        most = np.minimum(most, np.asarray(dear))
    most = np.where(finite.any(axis=0), most, 0.0)
    return replace(data, load=np.where(able(load, most, fractional=data.fractional), load, np.inf), most=most)


def able(load: Any, counts: Any, *, fractional: bool) -> Mask:
    """Pairs (buckets x kinds) of which so many replicas can serve something.

    A whole slice has to find room; of one that is divided at will any part may go to any replica.
    """
    found: Mask = np.isfinite(load) & (counts > 0)
    return found if fractional else found & (load <= counts + NEAR)


def _dominated(data: Instance) -> np.ndarray[Any, Any]:
    found = np.zeros(len(data.kinds), dtype=bool)
    for g in range(len(data.kinds)):
        no_dearer = (data.price <= data.price[g]) & np.isinf(data.most) & ~found
        no_dearer[g] = False
        found[g] = bool((data.load[:, no_dearer] <= data.load[:, [g]]).all(axis=0).any())
    return found
