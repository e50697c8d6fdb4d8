"""Choose one design whose worst loss over all scenarios is least, or, at a given worst loss, its mean.

A loss is 0 where the design is as good as can be in that scenario and 1 where it is worthless or breaks a
limit: regret 1 - value / best gives the min-max-regret design, 1 - value / largest value the design that is best
in its worst scenario.

Sets
    designs       d in D
    scenarios     s in S
Parameters
    loss          l[d,s]   1    in 0 .. 1
    fits          f[d]     1    share of scenarios in which the design keeps every limit (within 1e-9)
    must_fit      F        1    least share; 0: none
    most_worst    W        1    "mean" only: the worst loss may not be larger
    objective     -        -    "worst" or "mean"
Variables
    choose        x[d] in {0,1}       1 if design d is built
    worst         w >= 0         1    loss in the worst scenario
Objective
    least         worst: min w;  mean: min sum_d mean_s l[d,s] x[d]
Constraints
    pick_one      sum_d x[d] = 1
    bound_loss    sum_d l[d,s] x[d] <= w       s in S   w is the worst
    must_fit_in   sum_d f[d] x[d] >= F
    cap_worst     w <= W                                "mean" only
Source
    Absolute and relative regret: Kouvelis and Yu, Robust Discrete Optimization and Its Applications,
    Kluwer (1997). Designs that another one dominates (no greater loss in any scenario, no smaller share) are
    removed first, those equal to an earlier one too; neither objective can miss them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyomo.environ as pyo

from formulations import highs
from formulations.outcome import Outcome, Status

Array = np.ndarray[Any, np.dtype[np.float64]]
Labels = np.ndarray[Any, np.dtype[np.int64]]
TIE = 1e-9  # losses nearer than this are equal: dominance, and the worst loss that "mean" keeps


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; `loss` is designs x scenarios."""

    designs: Labels
    scenarios: Labels = field(init=False)
    loss: Array
    fits: Array
    must_fit: float = 0.0
    most_worst: float | None = None
    objective: Literal["worst", "mean"] = "worst"

    def __post_init__(self) -> None:
        if self.loss.ndim != 2 or len(self.loss) != len(self.designs) or len(self.fits) != len(self.designs):
            raise ValueError(f"loss {self.loss.shape} and fits {self.fits.shape} need a row for each design")
        if not ((self.loss >= 0) & (self.loss <= 1)).all():
            raise ValueError("loss must lie in 0 .. 1")
        if (self.most_worst is None) != (self.objective == "worst"):
            raise ValueError('most_worst goes together with objective "mean"')
        object.__setattr__(self, "scenarios", np.arange(self.loss.shape[1]))


@dataclass(frozen=True)
class Solution:
    """The chosen design (its label) with its worst and mean loss."""

    design: int
    worst: float
    mean: float


def solve(
    data: Instance, *, removal: bool = True, limits: highs.Limits | None = None
) -> tuple[Outcome[Solution], int]:
    """The design of least worst (or mean) loss with proof, and how many designs the program held.

    INFEASIBLE where no design fits in so many scenarios (or, for "mean", keeps the worst loss).
    """
    kept = undominated(data) if removal else np.arange(len(data.designs))
    if len(kept) == 0 or data.loss.shape[1] == 0:
        return Outcome(Status.INFEASIBLE, None, None, None), len(kept)
    result = highs.solve(highs.load(build(data, kept)), limits or highs.Limits())
    if not result.values:
        return Outcome(result.status, None, None, result.bound), len(kept)
    found = read(data, result.values)
    value = found.worst if data.objective == "worst" else found.mean
    bound = None if result.bound is None else min(result.bound, value)
    proven = result.status is Status.OPTIMAL and bound is not None and value - bound <= TIE
    return Outcome(Status.OPTIMAL if proven else Status.FEASIBLE, found, value, bound), len(kept)


def undominated(data: Instance) -> Labels:
    """Positions of designs that no other one dominates to within TIE; of equal ones the first."""
    kept: list[int] = []
    for i in range(len(data.designs)):
        if any(_dominates(data, k, i, TIE) for k in kept):
            continue
        kept = [k for k in kept if not _dominates(data, i, k, 0.0)] + [i]
    return np.array(kept, dtype=np.int64)


def _dominates(data: Instance, one: int, other: int, slack: float) -> bool:
    return bool((data.loss[one] <= data.loss[other] + slack).all() and data.fits[one] >= data.fits[other])


def build(data: Instance, kept: Labels | None = None) -> pyo.ConcreteModel:
    """The program over the designs at the positions `kept` (all if None)."""
    m = pyo.ConcreteModel("robust_choice")
    positions = range(len(data.designs)) if kept is None else kept.tolist()
    at = {int(data.designs[i]): i for i in positions}
    m.designs = pyo.Set(initialize=list(at), ordered=True)
    m.scenarios = pyo.Set(initialize=data.scenarios.tolist(), ordered=True)
    m.choose = pyo.Var(m.designs, domain=pyo.Binary)
    m.worst = pyo.Var(domain=pyo.NonNegativeReals)
    loss, mean, fits = data.loss.tolist(), data.loss.mean(axis=1).tolist(), data.fits.tolist()

    @m.Objective(sense=pyo.minimize)
    def least(m: Any) -> Any:
        if data.objective == "worst":
            return m.worst
        return pyo.quicksum(mean[i] * m.choose[d] for d, i in at.items())

    @m.Constraint()
    def pick_one(m: Any) -> Any:
        return pyo.quicksum(m.choose[d] for d in m.designs) == 1

    @m.Constraint(m.scenarios)
    def bound_loss(m: Any, s: int) -> Any:
        return pyo.quicksum(loss[i][s] * m.choose[d] for d, i in at.items()) <= m.worst

    @m.Constraint()
    def must_fit_in(m: Any) -> Any:
        return pyo.quicksum(fits[i] * m.choose[d] for d, i in at.items()) >= data.must_fit

    if data.most_worst is not None:

        @m.Constraint()
        def cap_worst(m: Any) -> Any:
            return m.worst <= data.most_worst

    return m


def read(data: Instance, values: Mapping[str, float]) -> Solution:
    """The chosen design, its losses taken from the data."""
    (design,) = [int(d) for d in data.designs if round(values.get(f"choose[{d}]", 0.0)) == 1]
    losses = data.loss[int(np.flatnonzero(data.designs == design)[0])]
    return Solution(design, float(losses.max()), float(losses.mean()))


def choose(
    designs: Labels, loss: Array, fits: Array, *, must_fit: float = 0.0, limits: highs.Limits | None = None
) -> tuple[Outcome[Solution], int]:
    """Least worst loss first, then the least mean among the designs that have it; `value` is the worst.

    The second program breaks ties, which are common: of two designs with the same worst scenario the one that
    loses less in the others is meant.
    """
    first, held = solve(Instance(designs, loss, fits, must_fit), limits=limits)
    if first.status is not Status.OPTIMAL or first.value is None:
        return first, held
    second, _ = solve(
        Instance(designs, loss, fits, must_fit, min(1.0, first.value + TIE), "mean"), limits=limits
    )
    if second.solution is None:
        return first, held
    return Outcome(first.status, second.solution, second.solution.worst, first.bound), held
