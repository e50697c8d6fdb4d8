"""The best of every layout in closed form: its value, batch and replicas, by a code that is the layout's for good.

Two profiles of the same query with a number changed can be laid side by side by their codes. `merit` is greater
where the objective is better: the ratio itself, or one over a step or a cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from codesign.system.columns import Columns, replicas_needed
from codesign.system.layouts import Floats, Ints
from codesign.system.query import Query
from codesign.system.spaces import AnySpace

BITS = (3, 10, 10, 6, 10)  # of precision, tensor, data, pipeline, expert in a code, below those of the chip
CHIP_SHIFT = sum(BITS)
FIRST = 1 << 48  # of a place: above the order of layouts, the turn of the replica count, from 1


@dataclass(frozen=True)
class Profile:
    """Feasible layouts by rising `code`; `place` is their order among equals, `at` their position in the space."""

    code: Ints
    merit: Floats
    replicas: Ints
    batch: Ints
    place: Ints
    at: Ints

    def __len__(self) -> int:
        return len(self.code)

    def best(self) -> int | None:
        """Position of the best; ties go to the first, as in the program."""
        if len(self) == 0:
            return None
        top = np.flatnonzero(self.merit == self.merit.max())
        return int(top[np.argmin(self.place[top])])

    def only(self, keep: Any) -> "Profile":
        """The layouts at (or under the mask) `keep`."""
        return Profile(*(getattr(self, f.name)[keep] for f in fields(self)))


def codes_of(space: AnySpace, chips: Ints) -> Ints:
    """The code of every layout of a space; `chips` numbers its chips."""
    data = getattr(space, "data", np.ones(len(space), dtype=np.int64))
    precision = space.precision if hasattr(space, "precision") else _precisions(space)
    code = chips[space.chip]
    for bits, part in zip(BITS, (precision, space.tensor, data, space.pipeline, space.experts), strict=True):
        code = (code << bits) | part
    return code


def _precisions(space: Any) -> Ints:
    known = {weights: i for i, weights in enumerate(space.query.precision)}
    return np.array([known[d.weights] for d in space.layouts], dtype=np.int64)


def profile_of(query: Query, space: AnySpace, columns: Columns, chips: Ints, order: Ints) -> Profile:
    """The best column of every layout that has a feasible one; `chips` numbers the chips, `order` ranks them."""
    alive = np.flatnonzero(~np.isnan(columns.true_value))
    up = columns.instance.objective == "ratio"
    value = columns.true_value[alive]
    merit = value if up else 1.0 / value
    layout = columns.layout[alive]
    first = np.lexsort((alive, -merit, layout))
    first = first[np.flatnonzero(np.diff(layout[first], prepend=-1))]
    chosen = alive[first]
    stages = space.pipeline[columns.layout[chosen]]
    replicas = replicas_needed(query, columns, chosen, stages, columns.true_batch[chosen])
    code = codes_of(space, chips)[columns.layout[chosen]]
    batch = columns.true_batch[chosen].astype(np.int64)
    place = _place(space, columns, chosen, order)
    found = Profile(code, merit[first], replicas, batch, place, columns.layout[chosen])
    return found.only(np.argsort(code, kind="stable"))


def _place(space: AnySpace, columns: Columns, chosen: Ints, order: Ints) -> Ints:
    """Columns of most replicas come before those of fewer, each in the order of chips and of their layouts."""
    begins = np.flatnonzero(np.diff(columns.layout, prepend=-1) <= 0)
    turn, layout = 1 + np.searchsorted(begins, chosen, side="right"), columns.layout[chosen]
    chip = space.chip[layout]
    within: Ints = layout - np.searchsorted(space.chip, chip)
    return turn * FIRST | (order[chip] << 24) | within


def subspace(space: AnySpace, chips: Sequence[int]) -> AnySpace:
    """The layouts of the chips at these positions alone, in this order of chips only if it rises."""
    number = np.full(len(space.chips), -1, dtype=np.int64)
    number[list(chips)] = np.arange(len(chips))
    keep = np.flatnonzero(number[space.chip] >= 0)
    changed: dict[str, Any] = {
        f.name: value[keep]
        for f in fields(space)
        if isinstance(value := getattr(space, f.name), np.ndarray) and len(value) == len(space)
    }
    changed |= {"chip": number[space.chip[keep]], "chips": tuple(space.chips[i] for i in chips)}
    if hasattr(space, "layouts"):
        changed["layouts"] = tuple(space.layouts[i] for i in keep.tolist())
    return replace(space, **changed)
