"""What `codesign robust` says of a fleet plan: purchases side by side in every scenario, and the two choices."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from codesign.changes.switch_plan_answer import FleetPart
from codesign.facts.document import Document, Part

TODAY, REGRET, WORST = "best today", "min-max regret", "best worst case"


class DrawnPart(Part):
    """One uncertain number, each drawn for itself."""

    path: str
    unit: str = Field(description="1: of demand, a factor on what the plan says")
    low: float
    value: float = Field(description="today's, SI")
    high: float
    distribution: str
    confidence: str = Field(description="choice: the ends are not published but chosen")


class ScenarioPart(Part):
    """One draw of all numbers, and the best fleet there."""

    number: int = Field(description="as drawn, from 0")
    changes: dict[str, float] = Field(description="by path, SI; of demand a factor")
    best: FleetPart
    reference: float | None = Field(description="best objective found here, this fleet's or a candidate's; of regret")


class PurchasesPart(Part):
    """Purchases kept in every scenario, replicas placed anew."""

    bought: dict[str, tuple[int, ...]] = Field(description="servers by period")
    roles: tuple[str, ...]
    today: FleetPart = Field(description="with today's numbers")
    today_loss: float = Field(description="relative loss today; 1 where they do not do")
    fleets: tuple[FleetPart, ...] = Field(description="one for each scenario that has a best fleet, in their order")
    regret: tuple[float, ...] = Field(description="likewise; 1 where they do not do")
    regret_mean: float
    regret_worst: float
    break_share: float = Field(description="of these scenarios, in which they do not do")
    breaks: dict[str, float] = Field(description="share by why")
    worst_value: float | None = Field(description="worst objective, SI; null where in some scenario there is none")

    def name(self, periods: Sequence[str]) -> str:
        """In one line: `2026 3 b200-sxm + 1 h100-sxm, 2027 1 h100-sxm`, servers."""
        return purchases_said(self.bought, periods)


class FleetChoicePart(Part):
    """One program over the purchases compared, and its proof."""

    question: str
    status: Literal["optimal", "infeasible"]
    candidate: int | None = Field(description="position in `candidates`")
    value: float | None = Field(description="worst loss over the scenarios")
    bound: float | None = Field(description="proven: none of the purchases compared has less")
    mean: float | None = Field(description="mean loss, least among the purchases with this worst loss")


class FleetRobustAnswer(Document):
    """Which of the purchases compared a plan should make when its numbers are uncertain."""

    kind: Literal["fleet-robust"] = "fleet-robust"
    status: Literal["proven", "infeasible", "undecided"] = Field(
        description="proven: every point is; infeasible: no fleet today, or none in any scenario, or none of the "
                    "purchases compared does as often as it must")  # fmt: skip
    plan: dict[str, Any]
    objective: str
    unit: str
    periods: tuple[str, ...]
    seed: int
    asked: int = Field(description="scenarios drawn")
    must_fit: float
    uncertain: tuple[DrawnPart, ...]
    today: FleetPart
    scenarios: tuple[ScenarioPart, ...] = Field(default=(), description="those that have a best fleet; shares are of "
                                                                        "these")  # fmt: skip
    infeasible: tuple[int, ...] = Field(default=(), description="scenarios in which there is no fleet")
    unknown: tuple[int, ...] = Field(default=(), description="scenarios of which nothing is known in the time given")
    candidates: tuple[PurchasesPart, ...] = Field(default=(), description="today's best first")
    choices: tuple[FleetChoicePart, ...] = ()
    solves: int = Field(description="integer programs")
    assumptions: tuple[str, ...]
    catalogue: str
    versions: dict[str, str]


def purchases_said(bought: Mapping[str, Sequence[int]], periods: Sequence[str]) -> str:
    """Servers of each kind by period.

    >>> purchases_said({"b200-sxm": (3, 0), "h100-sxm": (0, 1)}, ["2026", "2027"])
    '2026 3 b200-sxm, 2027 1 h100-sxm'
    """
    each = ((period, " + ".join(f"{n[i]} {chip}" for chip, n in bought.items() if n[i]))
            for i, period in enumerate(periods))  # fmt: skip
    return ", ".join(f"{period} {said}" for period, said in each if said) or "nothing is bought"
