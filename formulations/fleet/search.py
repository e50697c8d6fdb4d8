"""From what an engine solves to an outcome: one objective at once, or a ratio by Dinkelbach's method.

An engine solves a fleet program at a trial ratio (0 where there is none) and says what came of it. Every
solution is read into whole numbers and recounted before its value is believed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from formulations.solvers import highs
from formulations.solvers.fractional import Step, Trace, maximise_ratio
from formulations.solvers.outcome import Outcome, Status

S = TypeVar("S")


@dataclass(frozen=True)
class Solved:
    """A result in the units and the sense of the objective, and how it was reached (see `fleet.Proof`)."""

    result: highs.Result
    priced: int = 0
    entered: int = 0
    relaxation: float | None = None
    duals: Mapping[str, float] = field(default_factory=dict)


Engine = Callable[[float, highs.Limits], Solved]


@dataclass
class Way(Generic[S]):
    """One search: its engine, how to read a solution, when to stop; `solved` grows with every solve."""

    engine: Engine
    read: Callable[[Mapping[str, float]], S]
    limits: highs.Limits
    gap: float
    solved: list[Solved] = field(default_factory=list)
    trace: Trace | None = None

    def plain(self, value_of: Callable[[S], float], *, least: bool) -> Outcome[S]:
        """One solve; `least`: the objective is to be least."""
        self.solved.append(self.engine(0.0, self.limits))
        result = self.solved[-1].result
        if not result.values:
            return Outcome(result.status, None, None, result.bound)
        solution = self.read(result.values)
        value = value_of(solution)
        bound = None if result.bound is None else (min if least else max)(result.bound, value)
        near = self.gap * abs(value) * (1 + 1e-6) + self.limits.absolute_gap
        proven = bound is not None and abs(value - bound) <= near
        return Outcome(Status.OPTIMAL if proven else Status.FEASIBLE, solution, value, bound)

    def ratio(self, of: Callable[[S], tuple[float, float]], least: float) -> Outcome[S]:
        """Greatest numerator / denominator, of denominators of at least `least`; every solve as exact as that asks.

        INFEASIBLE also where the best numerator is nothing.
        """
        ends = time.monotonic() + self.limits.limit_s

        def solve_at(lam: float) -> Step[S]:
            left = max(ends - time.monotonic(), 0.0)
            exact = 0.5 * self.gap * lam * least or 1e-9
            limits = replace(self.limits, relative_gap=0.0, absolute_gap=exact, limit_s=left)
            self.solved.append(self.engine(lam, limits))
            result = self.solved[-1].result
            solution = self.read(result.values) if result.values else None
            numerator, denominator = (0.0, 1.0) if solution is None else of(solution)
            if numerator <= 0:
                return Step(result.status, None, 0.0, 1.0, result.bound)
            return Step(result.status, solution, numerator, denominator, result.bound)

        outcome, self.trace = maximise_ratio(solve_at, start=0.0, least_denominator=least, gap=self.gap)
        if outcome.status is Status.UNKNOWN and self.solved[-1].result.status is Status.OPTIMAL:
            return Outcome(Status.INFEASIBLE, None, None, None)
        return outcome
