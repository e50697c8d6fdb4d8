"""OR-Tools CP-SAT: one worker, fixed seed, deterministic limits, statuses read, numbers put on a grid.

CP-SAT knows only integers, so a row's numbers are multiplied by 10**digits: what is needed is
rounded up, what is there is rounded down, and what CP-SAT finds feasible is feasible. Numbers are
read to 15 decimal digits, so a written "37.9" is 379 tenths and not the binary number beside it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ortools.sat.python import cp_model

from formulations.solvers.interruptible import interruptible
from formulations.solvers.outcome import Status

ROOM = 2**60  # every row's and objective's sum over the domains stays below; int64 ends at 2**63


class SolverFailure(RuntimeError):
    """CP-SAT ended in a state that is neither a solution nor a proof."""


@dataclass(frozen=True)
class Limits:
    """When to stop: `deterministic_s` counts work and not time, so two runs stop at the same place."""

    deterministic_s: float = math.inf
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """Status, the variables' values by name, and the objective's proven bound where there is one."""

    status: Status
    values: Mapping[str, int]
    bound: int | None


_STATUS = {
    cp_model.OPTIMAL: Status.OPTIMAL,
    cp_model.FEASIBLE: Status.FEASIBLE,
    cp_model.INFEASIBLE: Status.INFEASIBLE,
    cp_model.UNKNOWN: Status.UNKNOWN,
}


def solve(model: cp_model.CpModel, limits: Limits, *, linearization: int = 1) -> Result:
    """Run CP-SAT and read what it proved. Raises SolverFailure on a model that it refuses.

    `linearization`: 1, the solver's own choice of rows for its relaxation; 2, all of them.
    """
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = limits.seed
    solver.parameters.max_deterministic_time = limits.deterministic_s
    solver.parameters.linearization_level = linearization
    solver.parameters.catch_sigint_signal = False  # it leaves the signal's default behind: death without a word
    raw = interruptible(lambda: solver.solve(model), solver.stop_search)
    if raw not in _STATUS:
        raise SolverFailure(
            f"CP-SAT ended with {solver.status_name(raw)}: {model.validate() or 'no reason given'}"
        )
    status = _STATUS[raw]
    found = status in (Status.OPTIMAL, Status.FEASIBLE)
    solution = list(solver.response_proto.solution) if found else []
    names = [variable.name for variable in model.proto.variables]
    return Result(status, dict(zip(names, solution, strict=found)), _bound(model, solver, status))


def _bound(model: cp_model.CpModel, solver: cp_model.CpSolver, status: Status) -> int | None:
    """The integer bound itself: the response's float would round it above 2**53. Constants are whole too.

    Where nothing was found the response may hold a 0 that nobody has proven, so there is none.
    """
    if not model.has_objective() or status in (Status.INFEASIBLE, Status.UNKNOWN):
        return None
    inner = int(solver.response_proto.inner_objective_lower_bound)
    if abs(inner) >= 2**62:  # nothing proven yet
        return None
    whole = inner + int(model.proto.objective.offset)
    return -whole if model.proto.objective.scaling_factor < 0 else whole


def exact(number: float) -> Fraction:
    """The decimal number of 15 digits that `number` was written as.

    >>> exact(37.9) * 10, exact(0.1 + 0.2)
    (Fraction(379, 1), Fraction(3, 10))
    """
    return Fraction(f"{number:.15g}")


def up(number: float, digits: int) -> int:
    """`number` on a grid of 10**-digits, rounded up: a need."""
    return math.ceil(exact(number) * Fraction(10) ** digits)


def down(number: float, digits: int) -> int:
    """`number` on a grid of 10**-digits, rounded down: a capacity."""
    return math.floor(exact(number) * Fraction(10) ** digits)


def most_digits(largest: float, room: float) -> int:
    """Finest grid on which `largest` stays within `room`.

    >>> most_digits(1.0, 1e6), most_digits(2.5e7, 1e6)
    (6, -2)
    """
    return 0 if largest <= 0 else math.floor(math.log10(room / largest))


def digits_of(numbers: Iterable[float]) -> int:
    """Decimal places after which all `numbers` are whole.

    >>> digits_of([0.25, 3.0]), digits_of([1e-3]), digits_of([])
    (2, 3, 0)
    """
    places = 0
    for number in numbers:
        rest = exact(number)
        while (rest * 10**places).denominator != 1:
            places += 1
    return places
