"""Choose one design whose worst loss over all scenarios is least, and among those one of least mean loss.

A loss is 0 where the design is as good as can be in that scenario and 1 where it is worthless or breaks a
limit: regret 1 - value / best gives the min-max-regret design, 1 - value / largest value the design that is best
in its worst scenario.

One design is chosen of a list, so that the optimum is the least of one number for each row: no program, no tolerance
of a solver, and losses of a billionth are told apart as well as those of a half.

Source
    Absolute and relative regret: Kouvelis and Yu, Robust Discrete Optimization and Its Applications,
    Kluwer (1997).
"""

from dataclasses import dataclass

import numpy as np

from formulations.solvers.arrays import Array, Labels
from formulations.solvers.outcome import Outcome, Status

SHARE = 1e-9  # of shares of scenarios: 57 of 100 is 0.5700000000000001
# Worst losses nearer than this are equal, and the mean decides: a loss is 1 less a quotient, right to some last digits
# of 1, and values that are one by different orders of adding differ in their own last digits.
ROUNDING, RELATIVE = 4 * 2.0**-52, 1e-9


@dataclass(frozen=True)
class Solution:
    """The chosen design (its label) with its worst and mean loss."""

    design: int
    worst: float
    mean: float


def choose(designs: Labels, loss: Array, fits: Array, *, must_fit: float = 0.0) -> Outcome[Solution]:
    """Least worst loss first, then the least mean among the designs that have it; of equal ones the first.

    `loss` is designs x scenarios in 0 .. 1, `fits` the share of scenarios in which each design keeps every limit,
    `must_fit` the least such share. `value` is the worst loss of the design, `bound` the least of all designs.
    INFEASIBLE where no design fits in so many scenarios. Raises ValueError on arrays that do not belong together.
    """
    _check(designs, loss, fits)
    able = np.flatnonzero(fits >= must_fit - SHARE)
    if len(able) == 0 or loss.shape[1] == 0:
        return Outcome(Status.INFEASIBLE, None, None, None)
    worst, mean = loss[able].max(axis=1), loss[able].mean(axis=1)
    least = float(worst.min())
    tied = np.flatnonzero(worst <= least * (1 + RELATIVE) + ROUNDING)
    best = int(tied[np.argmin(mean[tied])])
    found = Solution(int(designs[able[best]]), float(worst[best]), float(mean[best]))
    return Outcome(Status.OPTIMAL, found, found.worst, least)


def undominated(loss: Array, fits: Array) -> Labels:
    """Positions of designs that none dominates: no greater loss anywhere, no smaller share; of equals the first."""
    kept: list[int] = []
    for i in range(len(loss)):
        if any(_dominates(loss, fits, k, i) for k in kept):
            continue
        kept = [k for k in kept if not _dominates(loss, fits, i, k)] + [i]
    return np.array(kept, dtype=np.int64)


def _dominates(loss: Array, fits: Array, one: int, other: int) -> bool:
    return bool((loss[one] <= loss[other] + ROUNDING).all() and fits[one] >= fits[other])


def _check(designs: Labels, loss: Array, fits: Array) -> None:
    if loss.ndim != 2 or len(loss) != len(designs) or len(fits) != len(designs):
        raise ValueError(f"loss {loss.shape} and fits {fits.shape} need a row for each of {len(designs)} designs")
    if not ((loss >= 0) & (loss <= 1)).all():
        raise ValueError("loss must lie in 0 .. 1")
