"""What every answer document is made of."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A table of the answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LimitPart(Part):
    """One limit: what it allows and what the system takes."""

    name: str
    used: float
    allowed: float
    unit: str
    binding: bool


class InputPart(Part):
    """One number behind the chosen system."""

    path: str
    value: str
    unit: str
    si: float | None
    source: str
    date: str
    confidence: str


class CurePart(Part):
    """A single limit that would make an infeasible query feasible, and from which value on."""

    limit: str
    asked: str
    works: str
    value: float | None
