"""What cures a plan that no fleet satisfies, as a document."""

from typing import Any, Literal

from pydantic import Field

from codesign.changes.relax_answer import ConflictPart
from codesign.changes.switch_plan_answer import FleetPart
from codesign.facts.document import CurePart, Document, Part


class CuredPlanPart(Part):
    """A cure alone, and the best fleet with it."""

    cure: CurePart
    bought: FleetPart | None = Field(description="None: of a speed, not solved anew")


class FactorPart(Part):
    """Limits moved together by one factor: the least to 2 % along this direction, not the cheapest of all changes."""

    multiplied: tuple[str, ...] = Field(description="limits, counts rounded down")
    divided: tuple[str, ...] = Field(description="requests")
    factor: float = Field(description="a fleet is proven to be there")
    too_little: float = Field(description="there is none at this factor; not more than 2 % below")
    decided: bool = Field(description="every program of the bisection was decided; else `too_little` is not proven")
    bought: FleetPart


class FleetRelaxAnswer(Document):
    """Conflicts and cures of a plan."""

    kind: Literal["fleet-relax"] = "fleet-relax"
    status: Literal["feasible", "cured", "incurable", "undecided"]
    plan: dict[str, Any]
    objective: str
    unit: str
    periods: tuple[str, ...]
    limits: tuple[str, ...] = Field(description="that the plan sets, requests among them")
    conflicts: tuple[ConflictPart, ...] = ()
    complete: bool = Field(default=True, description="there is no other minimal conflict")
    undecided: tuple[tuple[str, ...], ...] = Field(default=(), description="sets of which it was not decided")
    way: str = Field(default="", description="what is in the way beside limits, in words")
    single: tuple[CuredPlanPart, ...] = ()
    joint: tuple[FactorPart, ...] = ()
    solves: int = Field(default=0, description="feasibility programs, of the conflicts")
    assumptions: tuple[str, ...]
    catalogue: str
    versions: dict[str, str]
    seed: int = 0
