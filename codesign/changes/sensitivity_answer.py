"""What `codesign sensitivity` says: a tornado, shadow prices, and the limits that bind."""

from typing import Any, Literal

from pydantic import Field

from codesign.changes.switch_answer import SystemShort
from codesign.facts.document import Document, LimitPart, Part


class EndPart(Part):
    """The query with one input at an end of what is published."""

    value: float = Field(description="of the input, SI")
    best: float | None = Field(description="objective of the best system then")
    system: SystemShort | None
    proven: bool = Field(description="by the program; not solved again where nothing moves")
    kept: float | None = Field(description="objective of today's design then, its batch free")
    breaks: tuple[str, ...] = Field(description="limits that today's design then breaks")


class BarPart(Part):
    """One uncertain input: the objective at its published low and high."""

    path: str
    unit: str
    today: float
    confidence: str
    low: EndPart
    high: EndPart
    swing: float = Field(description="largest |objective / today's - 1| of the best system")
    swing_kept: float = Field(description="likewise of today's design")


class ShadowPart(Part):
    """One unit more (latency: less) of something, by an exact solve; and where the next change of system lies."""

    path: str
    unit: str
    step: str = Field(description="the unit, with its sign")
    gain: float | None = Field(description="objective then less today's, SI")
    relative: float | None
    replicas: int | None = Field(description="of the best system then")
    next_value: float | None = Field(description="first value at which another system is best, within the factor ten")
    next_system: SystemShort | None


class SensitivityAnswer(Document):
    """How the answer moves with its inputs: published ranges, one more unit of each resource, binding limits."""

    kind: Literal["sensitivity"] = "sensitivity"
    status: Literal["proven", "infeasible", "undecided"] = Field(
        description="undecided: not everything that was solved again is proven in the time given"
    )
    mode: str
    query: dict[str, Any]
    objective: str
    unit: str
    system: SystemShort | None
    value: float | None
    bars: tuple[BarPart, ...] = Field(default=(), description="the widest first; inputs without effect are left out")
    without_effect: tuple[str, ...] = Field(default=(), description="published ranges that move nothing")
    shadows: tuple[ShadowPart, ...] = ()
    limits: tuple[LimitPart, ...] = ()
    assumptions: tuple[str, ...]
    catalogue: str
    versions: dict[str, str]
    seed: int = 0
