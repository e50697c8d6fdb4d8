"""Exact numbers behind `fleet_slices`: money and loads as fractions, and how much of a load is none.

A load that was computed from decimals is a double beside the number that was meant: 5/6 of 6 requests/s
is 5.000000000000001 to one and 5 to the other, and must not cost a replica. So a kind may carry 1e-9
replicas more than it has, not a step more, and what serves anything has a replica, however small the load.
The same holds for slices divided at will: their shares are floats, but what they load is counted exactly.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from formulations.fleet_slices.instance import Instance

SPARED = Fraction(1, 10**9)  # replicas that a kind may carry too much
FINEST = 10**6               # the dearest price in price units, at most; beyond it prices have no common unit

Slices = Mapping[tuple[int, int], int] | Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class Fleet:
    """Replicas of each kind, by label, slices by (bucket, kind), and what the replicas cost."""

    counts: Mapping[int, int]
    assign: Slices
    cost: Fraction


def money(price: float) -> Fraction:
    """The shortest decimal that reads as this float: what people wrote.

    >>> money(1.01)
    Fraction(101, 100)
    """
    return Fraction(repr(float(price)))


def price_unit(prices: Iterable[float]) -> Fraction | None:
    """The largest money that every price is a multiple of; None where it is too small to count in.

    >>> price_unit([0.7, 1.01, 3.67]), price_unit([0.0, 2.0]), price_unit([0.3333333333333333, 1.0])
    (Fraction(1, 100), Fraction(2, 1), None)
    """
    written = [money(price) for price in prices]
    below = math.lcm(*(price.denominator for price in written))
    above = math.gcd(*(int(price * below) for price in written))
    if above == 0:
        return Fraction(1)
    unit = Fraction(above, below)
    return unit if max(written) <= FINEST * unit else None


def loads(data: Instance, assign: Slices) -> dict[int, Fraction]:
    """What each kind carries, in replicas, exact; `assign` must avoid pairs that cannot serve."""
    row = {int(label): b for b, label in enumerate(data.buckets)}
    column = {int(label): g for g, label in enumerate(data.kinds)}
    carried = dict.fromkeys(column, Fraction(0))
    for (bucket, kind), share in assign.items():
        carried[kind] += Fraction(share) * Fraction(float(data.load[row[bucket], column[kind]]))
    return carried


def fleet(data: Instance, assign: Slices) -> Fleet | None:
    """The fewest replicas that carry these slices; None where there are not so many."""
    counts = {kind: max(math.ceil(total - SPARED), 1 if total else 0) for kind, total in loads(data, assign).items()}
    if any(counts[int(kind)] > most for kind, most in zip(data.kinds, data.most.tolist(), strict=True)):
        return None
    prices = zip(data.kinds, data.price.tolist(), strict=True)
    cost = sum((counts[int(kind)] * money(price) for kind, price in prices), Fraction(0))
    return Fleet(counts, {pair: share for pair, share in assign.items() if share > 0}, cost)
