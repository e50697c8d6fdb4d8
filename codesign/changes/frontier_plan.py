"""Which fleets of a plan trade dollars for power: the two ends, and proven points between them?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codesign.changes.frontier_plan_answer import FleetFrontierAnswer, FrontierPlanPart
from codesign.changes.switch_plan import fleet_part
from codesign.changes.switch_plan_answer import GAPS
from codesign.facts.catalog import Catalog
from codesign.facts.errors import DataError
from codesign.fleet.audit import Audited
from codesign.fleet.plan import Plan
from codesign.fleet.prepared import Prepared, prepare
from codesign.fleet.program import KILO, instance_of
from codesign.study.plan_study import Resolved, point_of, solved_of
from codesign.system.answer_parts import versions
from codesign.system.layouts import Floats
from formulations.fleet import Instance

AXES = ("dollars", "power")
POINTS = 6
ROOM = 1e-9   # relative: above what a fleet takes, so that it fits its own limit
SAME = 1e-9   # relative: values that are one
TAKEN = (
    "each point is of least cost within a limit on power; the limits are spaced equally, in each period, from what the "
    "fleet of least power takes to what the fleet of least dollars takes",
    "over several periods power is the mean by years and the limits are by period: other fleets of the same mean may "
    "cost less; of one period there is none",
    "at the ends the other axis is tightened: least dollars within the least power, least power within the least "
    "dollars (by period)",
    "between two points other fleets may be on the frontier; chips whose power is unknown are left out",
    GAPS,
)
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class At:
    """A fleet on both axes, and the limits on power that it was asked under, in W by period."""

    found: Resolved
    dollars: float
    power_w: float
    limit_w: Floats


class _Asked:
    """The plan under both objectives, counting what is solved."""

    def __init__(self, catalog: Catalog, plan: Plan) -> None:
        self.power = prepare(catalog, plan.model_copy(update={"objective": "power"}))
        self.cost: Prepared = replace(self.power, plan=plan.model_copy(update={"objective": "cost"}))
        self.solves = 0

    def least_cost(self, limit_w: Floats | None = None) -> Resolved:
        """Of least cost, within the plan's limits and these on power, in W by period."""
        data = instance_of(self.cost)
        return self._solve(self.cost, replace(data, power=_stricter(data.power, limit_w)))

    def least_power(self, paid: Floats | None = None) -> Resolved:
        """Of least mean power, within the plan's limits and these on spending, in USD by period."""
        data = instance_of(self.power)
        return self._solve(self.power, replace(data, spending=_stricter(data.spending, paid)))

    def _solve(self, p: Prepared, data: Instance) -> Resolved:
        self.solves += 1
        return point_of(p, data, solved_of(p, data))

    def within(self, limit_w: Floats) -> At | None:
        """The fleet of least cost within limits on power; None: none was found."""
        found = self.least_cost(limit_w)
        if found.audited is None:
            return None
        hours = self.cost.kinds.hours
        return At(found, found.audited.cost, float(found.audited.power @ hours / hours.sum()), limit_w)


def _stricter(own: Floats | None, limit: Floats | None) -> Floats | None:
    """The plan's own limit in k$ or kW, and another one in USD or W."""
    if limit is None:
        return own
    return limit * KILO if own is None else np.minimum(own, limit * KILO)


def fleet_frontier(
    catalog: Catalog, plan: Plan, axes: str = "dollars,power", points: int = POINTS, *,
    told: Told = lambda done, of: None,
) -> FleetFrontierAnswer:  # fmt: skip
    """At most `points` fleets, none worse than another on both axes. DataError: axes or objective of something else."""
    check(plan, axes, points)
    asked = _Asked(catalog, plan)
    cheapest, leanest = asked.least_cost(), asked.least_power()
    if cheapest.audited is None or leanest.audited is None:
        gone = "infeasible" in (cheapest.point.status, leanest.point.status)
        return _answer(asked, catalog, plan, points, (), status="infeasible" if gone else "undecided")
    found = _between(asked, cheapest.audited, leanest.audited, points, told)
    kept = undominated(found)
    loose = sum(one.found.point.status != "optimal" for one in kept)
    ends = cheapest.point.status == leanest.point.status == "optimal"
    return _answer(
        asked, catalog, plan, points, kept, undecided=loose, dropped=len(found) - len(kept),
        status="proven" if ends and not loose and len(found) == points else "undecided",
        least_dollars=cheapest.point.bound, least_power_w=leanest.point.bound,
    )  # fmt: skip


def check(plan: Plan, axes: str, points: int) -> None:
    """DataError with every fault of what is asked."""
    faults = []
    given = [axis.strip() for axis in axes.split(",")]
    if sorted(given) != sorted(AXES):
        faults.append(f"--axes {axes}: of a fleet plan they are {','.join(AXES)}")
    if points < 2:
        faults.append(f"--points {points}: at least 2, the two ends")
    if plan.objective not in ("cost", "power"):
        faults.append(f"objective = {plan.objective!r}: dollars and power are compared of fleets that meet all demand; "
                      "set it to 'cost' or 'power'")  # fmt: skip
    if faults:
        raise DataError("\n".join(faults))


def _between(asked: _Asked, cheapest: Audited, leanest: Audited, points: int, told: Told) -> list[At]:
    """From least power to least dollars; each end tightened on the other axis."""
    paid = (cheapest.charge + cheapest.running) * (1 + ROOM)
    tight = asked.least_power(paid).audited
    low, high = leanest.power, (tight or cheapest).power
    found = []
    for i in range(points):
        told(i, points)
        if one := asked.within((low + (high - low) * i / (points - 1)) * (1 + ROOM)):
            found.append(one)
    return found


def undominated(found: Sequence[At]) -> tuple[At, ...]:
    """Those that no other equals or beats on both axes, from the least power up; of equal ones the first."""
    kept = list[At]()
    for one in sorted(found, key=lambda x: (x.power_w, x.dollars)):
        if not kept or one.dollars < kept[-1].dollars * (1 - SAME):
            if kept and one.power_w <= kept[-1].power_w * (1 + SAME):
                kept.pop()
            kept.append(one)
    return tuple(kept)


def _answer(asked: _Asked, catalog: Catalog, plan: Plan, points: int, kept: Sequence[At], **found: Any
            ) -> FleetFrontierAnswer:  # fmt: skip
    parts = tuple(
        FrontierPlanPart(dollars=one.dollars, power_w=one.power_w, power_limit_w=tuple(map(float, one.limit_w)),
                         fleet=fleet_part(one.found.point)) for one in kept
    )  # fmt: skip
    return FleetFrontierAnswer(
        plan=plan.content(), periods=tuple(plan.periods), asked=points, points=parts, solves=asked.solves,
        assumptions=TAKEN, catalogue=catalog.digest(), versions=versions(), **found,
    )  # fmt: skip
