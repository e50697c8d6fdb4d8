"""What `codesign switch` and `codesign sensitivity` say of a fleet plan: proven points, not a complete closed form."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Literal

from pydantic import Field

from codesign.facts.document import Document, LimitPart, Part
from codesign.fleet.answer import ShadowPart


class FleetPart(Part):
    """The best fleet of a changed plan; counts are servers, by period."""

    status: Literal["optimal", "feasible", "infeasible", "unknown"]
    value: float | None = Field(description="objective, SI")
    bound: float | None = Field(description="proven: no fleet is better")
    gap: float | None
    bought: dict[str, tuple[int, ...]] | None = Field(description="of chips ever bought; None: there is no fleet")
    kinds: tuple[tuple[str, ...], ...] | None = Field(description="chips bought, by period")
    cost_usd: float | None
    capital_usd: float | None
    why: str = ""


class PointPart(Part):
    """A value of the parameter, and the fleet there."""

    value: float
    fleet: FleetPart


class BracketPart(Part):
    """Between these two values the kinds that are bought change."""

    below: float
    above: float
    ratio: float | None = Field(description="above / below; None: whole numbers")
    narrow: bool = Field(description="as near as asked: within the ratio, or neighbours in whole numbers")
    proven: bool = Field(description="both fleets are optimal within their gaps, or proven not to be there")
    before: tuple[tuple[str, ...], ...] | None
    after: tuple[tuple[str, ...], ...] | None


class FleetLinePart(Part):
    """One parameter moved over its range, all else as planned."""

    path: str
    unit: str = Field(description="1 where the plan has several amounts: a factor on all of them")
    whole: bool
    today: float
    published_low: float | None
    published_high: float | None
    confidence: str
    low: float
    high: float
    points: tuple[PointPart, ...]
    switches: tuple[BracketPart, ...]


class FleetSwitchAnswer(Document):
    """Where the kinds that a plan buys change along parameters."""

    kind: Literal["fleet-switch"] = "fleet-switch"
    status: Literal["proven", "undecided"]
    plan: dict[str, Any]
    objective: str
    unit: str
    periods: tuple[str, ...]
    today: FleetPart
    lines: tuple[FleetLinePart, ...]
    solves: int = Field(description="integer programs")
    assumptions: tuple[str, ...]
    catalogue: str
    versions: dict[str, str]
    seed: int = 0


class FleetEndPart(Part):
    """The plan with one input at an end."""

    value: float = Field(description="of the input, SI, or a factor")
    best: FleetPart
    kept: FleetPart = Field(description="exactly today's purchases, replicas placed anew")


class FleetBarPart(Part):
    """One input at both ends."""

    path: str
    unit: str
    today: float
    confidence: str = Field(description="choice: the ends are not published but chosen")
    low: FleetEndPart
    high: FleetEndPart
    swing: float | None = Field(description="largest |objective / today's - 1|; None: at an end there is no fleet")
    swing_kept: float | None = Field(description="likewise with today's purchases")


class FleetSensitivityAnswer(Document):
    """How a plan's best fleet moves with its inputs, and with a step more of its limits."""

    kind: Literal["fleet-sensitivity"] = "fleet-sensitivity"
    status: Literal["proven", "undecided", "infeasible"]
    plan: dict[str, Any]
    objective: str
    unit: str
    periods: tuple[str, ...]
    today: FleetPart
    bars: tuple[FleetBarPart, ...] = Field(default=(), description="the widest first; without effect: left out")
    without_effect: tuple[str, ...] = ()
    shadows: tuple[ShadowPart, ...] = ()
    limits: dict[str, tuple[LimitPart, ...]] = Field(default_factory=dict, description="by period")
    solves: int = Field(description="integer programs, beside those of the shadow prices")
    assumptions: tuple[str, ...]
    catalogue: str
    versions: dict[str, str]
    seed: int = 0


class EntryPart(Part):
    """Where a chip enters the best fleet: between these two factors on its price."""

    out: float = Field(description="factor on the chip's price at which the best fleet does not buy it")
    inside: float = Field(description="factor at which it does, or one that buys it is as good")
    ratio: float
    narrow: bool
    price_usd: float = Field(description="of a chip at `inside`")
    fleet: FleetPart = Field(description="best fleet at `inside`")


class FleetWhyNotAnswer(Document):
    """The best fleet that buys a chip, beside the best fleet."""

    kind: Literal["fleet-why-not"] = "fleet-why-not"
    status: Literal["best", "behind", "infeasible", "absent", "undecided"]
    plan: dict[str, Any]
    wanted: str
    objective: str
    unit: str
    periods: tuple[str, ...]
    best: FleetPart
    other: FleetPart | None = Field(default=None, description="the best fleet that buys one server of it, or more")
    behind: float | None = Field(default=None, description="share of the best value by which the other is worse")
    at_least: float | None = Field(default=None, description="the least that is proven of `behind`")
    entry: EntryPart | None = None
    hopeless: str = Field(default="", description="no factor on its price looked at makes it enter: why")
    lets_in: tuple[str, ...] = Field(default=(), description="infeasible: limits that, each lifted alone, let it in")
    absent: str = Field(default="", description="why the chip is not on offer")
    solves: int = Field(description="integer programs")
    assumptions: tuple[str, ...]
    catalogue: str
    versions: dict[str, str]
    seed: int = 0


GAPS = ("points are integer programs, solved one by one, each with its proven bound: within 1e-4 of the objective "
        "(plans with scenarios or losses 1e-2) another fleet may be as good, of other kinds too")  # fmt: skip
NOTHING = "no fleet fits"
UNKNOWN = "not known in the time given"


def said(fleet: FleetPart, periods: Sequence[str]) -> str:
    """The kinds that are bought, by period."""
    return NOTHING if fleet.status == "infeasible" else kinds_said(fleet.kinds, periods)


def kinds_said(kinds: Sequence[Sequence[str]] | None, periods: Sequence[str]) -> str:
    """Kinds by period: "2026 b200-sxm + h100-sxm, 2027 b200-sxm"."""
    if kinds is None:
        return UNKNOWN
    bought = [f"{period} {' + '.join(names)}" for period, names in zip(periods, kinds, strict=False) if names]
    return ", ".join(bought) or "nothing is bought"


def counted(line: FleetLinePart) -> str:
    """`1 switch`, `2 switches`."""
    return f"{len(line.switches)} switch" + ("" if len(line.switches) == 1 else "es")


def bands(points: Sequence[PointPart]) -> list[list[PointPart]]:
    """Neighbouring points that buy the same kinds, as one run."""
    return [list(run) for _, run in groupby(points, key=lambda one: (one.fleet.kinds, one.fleet.status == "unknown"))]
