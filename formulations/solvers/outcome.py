"""What every formulation returns: a status that was read, never assumed, and what is proven."""

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

S = TypeVar("S")


class Status(Enum):
    """How a solve ended."""

    OPTIMAL = "optimal"        # a solution, proven best
    FEASIBLE = "feasible"      # a solution, not proven best in the limits given
    INFEASIBLE = "infeasible"  # proven: there is none
    UNBOUNDED = "unbounded"    # proven: no best one
    UNKNOWN = "unknown"        # limits ended the search before any of the above


@dataclass(frozen=True)
class Outcome(Generic[S]):
    """A solution where one was found, its value, and the proven bound on every solution's value."""

    status: Status
    solution: S | None     # present exactly when OPTIMAL or FEASIBLE
    value: float | None
    bound: float | None    # proven, or None; never invented

    def __post_init__(self) -> None:
        found = self.status in (Status.OPTIMAL, Status.FEASIBLE)
        if found != (self.solution is not None) or found != (self.value is not None):
            raise ValueError(f"{self.status.value} outcome with solution={self.solution!r}, value={self.value!r}")
