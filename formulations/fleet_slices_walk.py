"""All fleets between a floor and a known cost, in the order of their cost, without those that cannot do.

Where kinds are few the fleets in that window are few enough to list. A fleet too small for slices divided at
will has a reason, prices v[g] of load and u[b] of slices with u[b] <= v[g] a[b,g] for all pairs: every fleet
that serves has sum v y >= sum u s, and the list loses all that do not. A fleet that divided slices fit and
whole ones do not takes all smaller ones with it.
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from formulations.fleet_slices_exact import money
from formulations.fleet_slices_pack import MARGIN, Divided

if TYPE_CHECKING:  # the instance is declared beside the program that it feeds
    from formulations.fleet_slices import Instance

Array = np.ndarray[Any, np.dtype[np.float64]]
MOST = 200_000  # fleets listed, at most


def fleets(data: "Instance", unit: Fraction, low: Fraction, high: Fraction) -> Array | None:
    """Counts (fleets x kinds) of all fleets that cost `low` to `high` $/h, cheapest first; None: too many.

    Only fleets with a kind for every bucket; in each, no kind has more than `most`.
    """
    prices = np.array([int(money(p) / unit) for p in data.price.tolist()], dtype=np.int64)
    if (prices == 0).any():
        return None  # a free kind has no most
    least, top = math.ceil(low / unit), math.floor(high / unit)
    order = np.argsort(-prices, kind="stable")
    rows, paid = np.zeros((1, 0), dtype=np.int64), np.zeros(1, dtype=np.int64)
    for g in order.tolist():
        most = np.minimum((top - paid) // prices[g], np.minimum(data.most[g], MOST).astype(np.int64))
        fewest = np.maximum(-((paid - least) // prices[g]), 0) if g == order[-1] else np.zeros_like(paid)
        sizes = np.maximum(most - fewest + 1, 0)
        if sizes.sum() > MOST:
            return None
        at = np.repeat(np.arange(len(paid)), sizes)
        counts = np.arange(len(at)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + fewest[at]
        rows, paid = np.column_stack([rows[at], counts]), paid[at] + counts * prices[g]
    found = np.empty_like(rows)
    found[:, order] = rows
    serves = np.unique(np.isfinite(data.load), axis=0)
    able = np.logical_and.reduce([(found[:, row] > 0).any(axis=1) for row in serves], axis=0)
    return found[able][np.argsort(paid[able], kind="stable")].astype(np.float64)


def without(found: Array, data: "Instance", counts: Array, divided: Divided | None) -> Array:
    """The fleets left when `counts` cannot do; `divided` are the slices divided at will for it."""
    keep = (found > counts).any(axis=1)
    if divided is not None:
        slices, price = _reason(data, divided)
        keep &= found @ price >= float(data.slices @ slices) - MARGIN
    return found[keep]


def _reason(data: "Instance", divided: Divided) -> tuple[Array, Array]:
    """u and v; where the fleet has none of a kind, the least v with which all its pairs hold."""
    slices = np.maximum(divided.slices, 0.0)
    return slices, np.maximum(divided.price, (slices[:, None] / data.load).max(axis=0))


def cost(data: "Instance", counts: Array) -> Fraction:
    """$/h of a fleet."""
    pairs = zip(data.price.tolist(), counts.tolist(), strict=True)
    return sum((money(price) * round(count) for price, count in pairs), Fraction(0))
