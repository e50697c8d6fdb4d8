"""What `codesign switch` says: bands of one best system, and the exact values between them."""

from typing import Any, Literal

from pydantic import Field

from codesign.facts.document import Document, Part
from codesign.system.key import Replicated


class SystemShort(Replicated):
    """A system: what to buy and how to lay it out; its batch may differ along a band."""

    shown: str


class BandPart(Part):
    """A range on which one system is best: both ends belong to it. `system` None: nothing fits."""

    low: float
    high: float
    system: SystemShort | None
    low_value: float | None = Field(description="objective at `low`, SI")
    high_value: float | None


class SwitchPart(Part):
    """Neighbouring values (two adjacent doubles, or two whole numbers) whose best systems differ."""

    below: float
    above: float
    factor: float | None = Field(description="`above` over today's value")
    changes: tuple[str, ...] = Field(description="what of the system changes: chip, memory, stacks, layout, replicas")
    value_below: float | None
    value_above: float | None
    proven: bool = Field(description="the program, solved at both values, has these systems as its optima")


class LinePart(Part):
    """One parameter moved over its range, all else as asked."""

    path: str
    also: tuple[str, ...] = Field(default=(), description="moved with it by the same factor")
    unit: str
    whole: bool
    today: float
    published_low: float | None
    published_high: float | None
    confidence: str
    low: float
    high: float
    bands: tuple[BandPart, ...]
    switches: tuple[SwitchPart, ...]
    curve: tuple[tuple[float, float | None], ...] = Field(description="the objective along the range, for a picture")
    undecided: tuple[tuple[float, float], ...] = Field(description="where nothing is proven")
    samples: int = Field(description="values at which the closed forms were computed")


class NearPart(Part):
    """How near a parameter's nearest switch is, on each side of today's value."""

    path: str
    unit: str
    today: float
    published_low: float | None
    published_high: float | None
    confidence: str
    low: float
    high: float
    nearest: float | None = Field(description="first value of the other system; None: no switch in the range")
    distance: float | None = Field(description="|nearest / today - 1|")
    below: float | None
    above: float | None
    system: SystemShort | None = Field(default=None, description="the best one at `nearest`")
    changes: tuple[str, ...] = ()
    inside: bool = Field(default=False, description="the nearest switch lies within what is published")
    note: str = ""


class SwitchAnswer(Document):
    """Where the best system changes along parameters, or all parameters by how near that is."""

    kind: Literal["switch"] = "switch"
    status: Literal["proven", "undecided"]
    mode: str
    query: dict[str, Any]
    objective: str
    unit: str
    system: SystemShort | None = Field(description="today's best")
    value: float | None
    lines: tuple[LinePart, ...] = ()
    ranking: tuple[NearPart, ...] = ()
    without_effect: int = Field(default=0, description="of the ranked: numbers behind no chip on offer")
    assumptions: tuple[str, ...]
    catalogue: str
    versions: dict[str, str]
    seed: int = 0
