"""Why does a plan's best fleet not buy this chip, how far behind is the best that does, and at which price is it?"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from codesign.changes.switch_plan import NARROW, fleet_part
from codesign.changes.switch_plan_answer import GAPS, EntryPart, FleetWhyNotAnswer
from codesign.facts.catalog import unknown
from codesign.facts.errors import DataError
from codesign.fleet.best_fleet import MOST_NODES, ROUGH, SAID, UNITS, solve, up
from codesign.fleet.cases import several
from codesign.physics.chips import all_chips
from codesign.study.plan_study import Point, Resolved, Resolver
from codesign.system.answer_parts import versions
from formulations.fleet import bounds
from formulations.solvers import highs

CHEAPEST = 0.01  # factor on the chip's price: less is not looked at
PRICES = {("buy", "sold"): "price", ("buy", "cost"): "manufacturing_cost"}  # else what the basis is called
LIFTED = {"limits.capital": "capital", "limits.hourly": "spending", "limits.power": "power", "limits.racks": "racks",
          "limits.kinds": "most_kinds", "limits.one_kind_per_workload": "one_kind",
          "limits.second_source": "second_source"}  # fmt: skip
PROVEN = frozenset(("optimal", "infeasible"))
TAKEN = (
    "the other fleet buys at least one server of the chip, in any period; all else is as planned",
    f"the factor is on the chip's own price, not its server's; it is halved between 1 and {CHEAPEST:g} in geometric "
    f"progression until both sides are within {NARROW:g}",
    "of chips that are not installed a lower price only helps fleets that buy them: there is one such factor",
    GAPS,
)
Told = Callable[[int, int], None]


def fleet_why_not(resolver: Resolver, chip: str, *, told: Told = lambda done, of: None) -> FleetWhyNotAnswer:
    """The best fleet, the best that buys the chip, and the price at which both are one. DataError: an unknown chip."""
    names = sorted(one.name for one in all_chips(resolver.catalog, "catalogue"))
    if chip not in names:
        raise DataError(f"--chip: {unknown('chips', chip, names)}")
    best = resolver.at({})
    if chip not in resolver.prepared.kinds.names:
        left = resolver.prepared.left_out.get(chip, "the plan does not allow it")
        return _answer(resolver, chip, best, status="absent", absent=left)
    if best.value is None:
        return _answer(resolver, chip, best, status="infeasible" if best.status == "infeasible" else "undecided")
    if chip in (best.bought or {}):
        return _answer(resolver, chip, best, status="best", other=fleet_part(best), behind=0.0, at_least=0.0)
    forced = resolver.resolve({}, least={chip: 1})
    other = forced.point
    entry, every = _entry(resolver, chip, told)
    found: dict[str, Any] = {"other": fleet_part(other), **entry}
    if other.value is None:
        status = "infeasible" if other.status == "infeasible" else "undecided"
        return _answer(resolver, chip, best, status=status, lets_in=_lets_in(forced), **found)
    sign = 1.0 if up(resolver.prepared) else -1.0
    for name, value in (("behind", other.value), ("at_least", other.bound)):
        found[name] = None if value is None else max(0.0, sign * (best.value - value)) / abs(best.value)
    proven = best.status == other.status == "optimal" and every
    return _answer(resolver, chip, best, status="behind" if proven else "undecided", **found)


def _lets_in(forced: Resolved) -> tuple[str, ...]:
    """The limits each of which, lifted alone, lets a fleet with the chip in; none of a plan of several cases."""
    if forced.point.status != "infeasible" or several(forced.prepared.plan):
        return ()
    found = []
    for name, key in LIFTED.items():
        none = False if key == "one_kind" else None
        if getattr(forced.instance, key) is none:
            continue
        free: Any = {key: none}
        freed = replace(forced.instance, **free)
        if bounds.unbounded(freed):
            continue  # not decided
        outcome = solve(freed, limits=highs.Limits(node_limit=MOST_NODES), gap=ROUGH).outcome
        found += [name] if outcome.solution is not None else []
    return tuple(found)


def price_path(resolver: Resolver, chip: str) -> str:
    """The catalogue's number that the plan pays for a chip."""
    plan = resolver.plan
    return f"chips.{chip}.{PRICES.get((plan.basis, plan.price_basis), plan.basis)}"


def _entry(resolver: Resolver, chip: str, told: Told) -> tuple[dict[str, Any], bool]:
    """The factor on the price at which the best fleet buys the chip, between two solved ones; or why there is none.

    Second, whether every point is proven.
    """
    path = price_path(resolver, chip)
    today = resolver.number(path).parameter.value

    statuses: set[str] = set()

    def bought(factor: float) -> Point | None:
        point = resolver.at({path: today * factor})
        statuses.add(point.status)
        return point if chip in (point.bought or {}) else None

    out, inside, point = 1.0, CHEAPEST, bought(CHEAPEST)
    if point is None:
        return {"hopeless": f"at {CHEAPEST:.0%} of its price it is still not bought"}, statuses <= PROVEN
    rounds = math.ceil(math.log2(math.log(out / inside) / math.log(NARROW)))
    for done in range(rounds):
        told(done, rounds)
        middle = math.sqrt(out * inside)
        if (found := bought(middle)) is None:
            out = middle
        else:
            inside, point = middle, found
    return {"entry": EntryPart(out=out, inside=inside, ratio=out / inside, narrow=out / inside <= NARROW,
                               price_usd=today * inside, fleet=fleet_part(point))}, statuses <= PROVEN  # fmt: skip


def _answer(resolver: Resolver, chip: str, best: Point, **found: Any) -> FleetWhyNotAnswer:
    plan = resolver.plan
    return FleetWhyNotAnswer(
        plan=plan.content(), wanted=f"chip {chip}", objective=SAID[plan.objective], unit=UNITS[plan.objective],
        periods=tuple(plan.periods), best=fleet_part(best), solves=resolver.solves, assumptions=TAKEN,
        catalogue=resolver.catalog.digest(), versions=versions(), **found,
    )  # fmt: skip
