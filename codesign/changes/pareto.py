"""Which points no other point dominates, over two or three axes; larger keys are better.

Values become whole keys on a logarithmic grid, so that two ways to compute one number make a tie, not a step.
"""

from bisect import bisect_left
from typing import Any

import numpy as np

from codesign.system.layouts import Floats, Ints

GRID = 1e-10  # relative; values nearer than this are one value


def key_of(values: Any, *, up: bool) -> Ints:
    """A whole number for each positive value, larger where the value is better."""
    found: Ints = np.rint(np.log(values) / GRID).astype(np.int64)
    return found if up else -found


def nondominated(keys: Ints) -> Ints:
    """Positions of the rows of `keys` (points x 2 or 3 axes) that no other row dominates; of equal rows the first."""
    if keys.shape[1] == 2:
        return _two(keys[:, 0], keys[:, 1])
    return _three(keys)


def _two(first: Ints, second: Ints) -> Ints:
    order = np.lexsort((-second, -first))  # stable: of equal rows the first stays first
    ranked = second[order]
    before = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(ranked)[:-1]]) if len(order) else ranked
    return np.sort(order[ranked > before])


def _three(keys: Ints) -> Ints:
    """Down the first axis, with the staircase of the other two of all points so far."""
    order = np.lexsort((-keys[:, 2], -keys[:, 1], -keys[:, 0]))
    across: list[int] = []  # rising
    height: list[int] = []  # falling
    kept = []
    for position, (_, x, y) in zip(order.tolist(), keys[order].tolist(), strict=True):
        at = bisect_left(across, x)
        if at < len(across) and height[at] >= y:
            continue
        kept.append(position)
        end = at + 1 if at < len(across) and across[at] == x else at
        start = at
        while start > 0 and height[start - 1] <= y:
            start -= 1
        across[start:end], height[start:end] = [x], [y]
    return np.sort(np.array(kept, dtype=np.int64))


class Staircase:
    """The nondominated of many points over two axes, which come in portions."""

    def __init__(self) -> None:
        self.across: Ints = np.zeros(0, dtype=np.int64)  # rising
        self.height: Ints = np.zeros(0, dtype=np.int64)  # falling

    def add(self, first: Ints, second: Ints) -> Ints:
        """Positions among the given points that nothing so far, nor among them, dominates; they are now part of it."""
        at = np.searchsorted(self.across, first)
        inside = at < len(self.across)
        reached = np.zeros(len(first), dtype=bool)
        reached[inside] = self.height[at[inside]] >= second[inside]
        fresh = np.flatnonzero(~reached)
        if len(fresh) == 0:
            return fresh
        fresh = fresh[_two(first[fresh], second[fresh])]
        both = np.concatenate([first[fresh], self.across]), np.concatenate([second[fresh], self.height])
        kept = _two(*both)
        order = kept[np.argsort(both[0][kept])]
        self.across, self.height = both[0][order], both[1][order]
        return fresh


def dominates(one: Floats, other: Floats, ups: tuple[bool, ...]) -> bool:
    """Whether values `one` are nowhere worse than `other`, to the grid, and somewhere better."""
    keys = [(int(key_of(a, up=up)), int(key_of(b, up=up))) for a, b, up in zip(one, other, ups, strict=True)]
    return all(a >= b for a, b in keys) and any(a > b for a, b in keys)
