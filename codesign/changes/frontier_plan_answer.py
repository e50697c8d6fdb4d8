"""The frontier of a fleet plan between dollars and power, as a document: proven points, not a complete curve."""

from typing import Any, Literal

from pydantic import Field

from codesign.changes.switch_plan_answer import FleetPart
from codesign.facts.document import Document, Part


class FrontierPlanPart(Part):
    """A fleet of the frontier."""

    dollars: float = Field(description="USD, cost of all periods")
    power_w: float = Field(description="W provisioned, mean over the periods by their years")
    power_limit_w: tuple[float, ...] = Field(description="by period: within these no fleet costs less than the bound")
    fleet: FleetPart = Field(description="objective and proven bound in USD")


class FleetFrontierAnswer(Document):
    """Fleets that trade dollars for power."""

    kind: Literal["fleet-frontier"] = "fleet-frontier"
    status: Literal["proven", "infeasible", "undecided"]
    plan: dict[str, Any]
    axes: tuple[str, ...] = ("dollars", "power")
    periods: tuple[str, ...]
    asked: int = Field(description="points asked for")
    points: tuple[FrontierPlanPart, ...] = Field(description="from least power to least dollars")
    dropped: int = Field(default=0, description="points that repeat one that is kept, or are worse")
    undecided: int = Field(default=0, description="points that are not proven optimal within their gap")
    least_dollars: float | None = Field(default=None, description="proven: no fleet costs less")
    least_power_w: float | None = Field(default=None, description="proven: no fleet has less mean power")
    solves: int = Field(description="integer programs")
    assumptions: tuple[str, ...]
    catalogue: str
    versions: dict[str, str]
    seed: int = 0
