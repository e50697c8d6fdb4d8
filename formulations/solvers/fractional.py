"""Dinkelbach's method: the greatest ratio N / D of two linear functions, with a proven bound.

For a trial ratio `lam`, solve max N - lam * D over the same mixed-integer set. If the proven bound
of that maximum is `beta` and `least_denominator` is a proven lower bound of D > 0, then for every
solution N <= lam * D + beta, hence N / D <= lam + max(beta, 0) / least_denominator.

Source
    W. Dinkelbach, On nonlinear fractional programming, Management Science 13 (1967) 492-498.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from formulations.solvers.outcome import Outcome, Status

S = TypeVar("S")


@dataclass(frozen=True)
class Step(Generic[S]):
    """One solve at a trial ratio: status, solution with its exact N and D, proven bound of N - lam D."""

    status: Status
    solution: S | None
    numerator: float
    denominator: float
    bound: float | None


@dataclass(frozen=True)
class Trace:
    """The trial ratio of the last solve, its bound, and how many solves there were."""

    lam: float
    bound: float | None
    solves: int


def maximise_ratio(
    solve_at: Callable[[float], Step[S]],
    *,
    start: float,
    least_denominator: float,
    gap: float = 1e-6,
    most_solves: int = 50,
) -> tuple[Outcome[S], Trace]:
    """Greatest N / D, from a trial ratio `start` (any lower bound; the better, the fewer solves).

    Stops at (bound - value) <= gap * value. Returns FEASIBLE with the best bound proven so far when
    a solve ends by its limits or `most_solves` are spent. The set is the same at every trial, so that a solve
    which calls it empty or unbounded after a solution was found is in error (of its tolerances, as a rule): it
    proves nothing, and what was found and proven before it stands.
    """
    if not least_denominator > 0:
        raise ValueError(f"least_denominator = {least_denominator!r} must be positive")
    lam, best, best_value = start, None, float("-inf")
    proven: float | None = None
    for solves in range(1, most_solves + 1):
        step = solve_at(lam)
        if best is None and step.status in (Status.INFEASIBLE, Status.UNBOUNDED):
            return Outcome(step.status, None, None, None), Trace(lam, None, solves)
        if step.bound is not None:
            bound = lam + max(step.bound, 0.0) / least_denominator
            proven = bound if proven is None else min(proven, bound)
        if step.solution is not None and step.numerator / step.denominator > best_value:
            best, best_value = step.solution, step.numerator / step.denominator
        trace = Trace(lam, step.bound, solves)
        if best is not None and proven is not None and proven - best_value <= gap * abs(best_value):
            return Outcome(Status.OPTIMAL, best, best_value, max(proven, best_value)), trace
        if step.status is not Status.OPTIMAL or best is None or best_value == lam:
            break
        lam = best_value
    if best is None:
        return Outcome(Status.UNKNOWN, None, None, proven), trace
    return Outcome(Status.FEASIBLE, best, best_value, None if proven is None else max(proven, best_value)), trace
