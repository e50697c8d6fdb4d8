"""How many experts a decode step touches, and how many the busiest device must read.

Routing is taken as uniform and independent: after B tokens with top_k of E experts each, an expert
is touched with probability q = 1 - (1 - top_k / E)^B. The experts of one of `groups` devices then
number as Binomial(E / groups, q); groups are taken as independent, so the expected maximum is
sum over m of 1 - F(m)^groups. It is never taken below ceil(touched / groups). Both are
approximations: real routers are skewed, and exactly top_k * B choices fall on all groups together.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
ALL_TOUCHED = 1e-9  # from here on, 1 - q, every expert counts as touched


def touched(experts: int, top_k: int, batch: Any) -> Any:
    """Expected distinct experts that `batch` tokens touch in one layer.

    >>> touched(256, 8, 1)
    8.0
    """
    return experts * (1.0 - (1.0 - top_k / experts) ** batch)


def saturation(experts: int, top_k: int) -> int:
    """Batch from which every expert counts as touched."""
    if top_k >= experts:
        return 1
    return math.ceil(math.log(ALL_TOUCHED) / math.log1p(-top_k / experts))


@lru_cache(maxsize=256)
def _table(experts: int, top_k: int, groups: int) -> Array:
    """Experts that the busiest group reads, for batch 0 .. saturation."""
    size, last = experts // groups, saturation(experts, top_k)
    batch = np.arange(last + 1, dtype=np.float64)
    spread = touched(experts, top_k, batch)
    if groups == 1:
        busiest = spread
    else:
        q = spread / experts
        counts = np.arange(size)[:, None]
        log_factorial = np.array([math.lgamma(m + 1) for m in range(size + 1)])
        log_choose = (log_factorial[size] - log_factorial - log_factorial[::-1])[:size]
        with np.errstate(divide="ignore", invalid="ignore"):
            log_pmf = log_choose[:, None] + counts * np.log(q) + (size - counts) * np.log1p(-q)
        pmf = np.where(np.isnan(log_pmf), 0.0, np.exp(log_pmf))
        pmf[0, 0] = 1.0
        below = np.minimum(np.cumsum(pmf, axis=0), 1.0)
        busiest = np.maximum(np.sum(1.0 - below**groups, axis=0), np.ceil(spread / groups - 1e-12))
        busiest = np.maximum.accumulate(np.minimum(busiest, size))
    busiest[0], busiest[last] = 0.0, size
    busiest.setflags(write=False)
    result: Array = busiest
    return result


def busiest(experts: int, top_k: int, groups: int, batch: Any) -> Any:
    """Experts of one layer that the busiest of `groups` equal groups reads for `batch` tokens (int array)."""
    table = _table(experts, top_k, groups)
    return table[np.minimum(np.asarray(batch, dtype=np.int64), len(table) - 1)]


@lru_cache(maxsize=256)
def rises(experts: int, top_k: int, groups: int) -> tuple[int, ...]:
    """Batches B at which busiest(B) / B is lower than at B + 1: there users per step may have a peak."""
    table = _table(experts, top_k, groups)
    batch = np.arange(1, len(table))
    share = table[1:] / batch
    return tuple((np.flatnonzero(share[1:] > share[:-1] * (1 + 1e-12)) + 1).tolist())


def line_below(experts: int, top_k: int, groups: int, low: int, high: int, *, anchor: str) -> tuple[float, float]:
    """(intercept, slope) of a line under busiest(B) for low <= B <= high, exact at the end named by `anchor`."""
    if low > high:
        raise ValueError(f"low = {low} must not exceed high = {high}")
    at = np.arange(low, min(high, saturation(experts, top_k)) + 1)
    at = np.append(at, high) if len(at) == 0 or at[-1] != high else at
    curve = busiest(experts, top_k, groups, at)
    if len(at) == 1:
        return float(curve[0]), 0.0
    if anchor == "high":
        slope = float(np.max((curve[-1] - curve[:-1]) / (at[-1] - at[:-1])))
        return float(curve[-1] - slope * at[-1]), slope
    slope = float(np.min((curve[1:] - curve[0]) / (at[1:] - at[0])))
    return float(curve[0] - slope * at[0]), slope


@lru_cache(maxsize=256)
def _steepest(experts: int, top_k: int, groups: int) -> Array:
    """For each batch b: the steepest secant of `busiest` from a smaller batch to b; one entry beyond saturation."""
    table = _table(experts, top_k, groups)
    curve = np.append(table, table[-1])
    slopes = np.zeros(len(curve))
    for b in range(2, len(curve)):
        slopes[b] = float(np.max((curve[b] - curve[1:b]) / (b - np.arange(1, b))))
    return slopes


@lru_cache(maxsize=256)
def _undercut(experts: int, top_k: int, groups: int) -> tuple[int, ...]:
    """Batches 1 .. saturation at the corners of the greatest convex curve under `busiest`."""
    table = _table(experts, top_k, groups)
    corners: list[int] = []
    for b in range(1, len(table)):
        while len(corners) > 1 and _slope(table, corners[-2], b) <= _slope(table, corners[-2], corners[-1]):
            corners.pop()
        corners.append(b)
    return tuple(corners)


def _slope(table: Array, low: int, high: int) -> float:
    return float(table[high] - table[low]) / (high - low)


def lines_below(experts: int, top_k: int, groups: int, high: Any) -> tuple[Any, Any]:
    """(intercepts, slopes) of lines under busiest(B) for 1 <= B <= high, exact at each `high`.

    The slope is that of the steepest secant that ends there; beyond saturation a corner of the
    curve's undercut begins it.
    """
    table, slopes = _table(experts, top_k, groups), _steepest(experts, top_k, groups)
    slope = slopes[np.minimum(high, len(slopes) - 1)]
    far = high >= len(slopes)
    secants = [(table[-1] - table[b]) / (high[far] - b) for b in _undercut(experts, top_k, groups)]
    slope[far] = np.max(secants, axis=0)
    return busiest(experts, top_k, groups, high) - slope * high, slope
