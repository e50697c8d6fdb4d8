"""Fleets in a window of cost, in its order, without those that cannot do.

A fleet too small for slices divided at will has a reason, prices v[g] of load and u[b] of slices with
u[b] <= v[g] a[b,g] for all pairs: every fleet that serves has sum v y >= sum u s, and the others are struck
off, if possible before they are written down: what is left to pay buys a limited sum of v. A fleet that
divided slices fit and whole ones do not takes all smaller ones with it. Few kinds have few fleets in a
window that is narrow.
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from formulations.fleet_slices.exact import money
from formulations.fleet_slices.instance import Instance
from formulations.fleet_slices.pack import MARGIN, Divided
from formulations.solvers.arrays import Array

MOST = 200_000  # fleets and parts of fleets written down at once, at most


class Struck:
    """What is known about fleets that cannot do: (v, sum u s) of each reason, and fleets too small for whole slices."""

    def __init__(self) -> None:
        self.reasons: list[tuple[Array, float]] = []
        self.fleets: list[Array] = []

    def add(self, data: Instance, counts: Array, divided: Divided | None) -> None:
        """These counts cannot do; `divided` are the slices divided at will for them."""
        self.fleets.append(counts)
        if divided is not None:
            slices = np.maximum(divided.slices, 0.0)
            # where the fleet has none of a kind, the least v with which all its pairs hold
            price = np.maximum(divided.price, (slices[:, None] / data.load).max(axis=0))
            self.reasons.append((price, float(data.slices @ slices)))

    def left(self, found: Array, since: int = 0) -> Array:
        """The fleets that nothing strikes off, of what was added after the first `since`."""
        for counts in self.fleets[since:]:
            found = found[(found > counts).any(axis=1)]
        for price, least in self.reasons[since:]:
            found = found[found @ price >= least - MARGIN]
        return found


def fleets(data: Instance, unit: Fraction, low: Fraction, high: Fraction, struck: Struck) -> Array | None:
    """Counts (fleets x kinds) of the fleets that cost `low` to `high` $/h, cheapest first; None: too many.

    Only fleets with a kind for every bucket, no more of a kind than `most`, and not struck off.
    """
    prices = np.array([int(money(p) / unit) for p in data.price.tolist()], dtype=np.int64)
    if (prices == 0).any():
        return None  # a free kind has no most
    least, top = math.ceil(low / unit), math.floor(high / unit)
    order = np.argsort(-prices, kind="stable").tolist()
    rows, paid = np.zeros((1, len(order))), np.zeros(1, dtype=np.int64)
    for i, g in enumerate(order):
        most = np.minimum((top - paid) // prices[g], np.minimum(data.most[g], MOST).astype(np.int64))
        fewest = np.maximum(-((paid - least) // prices[g]), 0) if g == order[-1] else np.zeros_like(paid)
        sizes = np.maximum(most - fewest + 1, 0)
        if sizes.sum() > MOST:
            return None
        at = np.repeat(np.arange(len(paid)), sizes)
        counts = np.arange(len(at)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + fewest[at]
        rows, paid = rows[at], paid[at] + counts * prices[g]
        rows[:, g] = counts
        keep = _hopeful(rows, top - paid, prices, order[i + 1 :], struck)
        rows, paid = rows[keep], paid[keep]
    serves = np.unique(np.isfinite(data.load), axis=0)
    able = np.logical_and.reduce([(rows[:, row] > 0).any(axis=1) for row in serves], axis=0)
    return struck.left(rows[able][np.argsort(paid[able], kind="stable")])


def _hopeful(rows: Array, money_left: Any, prices: Any, kinds_left: list[int], struck: Struck) -> Any:
    """Parts of fleets that no reason strikes off whatever the money left buys of the kinds left."""
    keep = np.ones(len(rows), dtype=bool)
    for price, least in struck.reasons:
        best = max((price[g] / prices[g] for g in kinds_left), default=0.0)
        keep &= rows @ price + money_left * best >= least - MARGIN
    return keep


def cost(data: Instance, counts: Array) -> Fraction:
    """$/h of a fleet."""
    pairs = zip(data.price.tolist(), counts.tolist(), strict=True)
    return sum((money(price) * round(count) for price, count in pairs), Fraction(0))
