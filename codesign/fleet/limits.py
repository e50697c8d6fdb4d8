"""The limits of a plan by name: which are set, and the prepared plan with some of them lifted, scaled or eased.

Names are paths of the plan. The requests of a workload are a limit too, lifted to none, where demand must be met. What
can serve a demand, and the chips on offer, rest on no limit: columns stay as they are.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from codesign.facts.document import CurePart
from codesign.facts.units import show
from codesign.fleet import kinds as owned
from codesign.fleet.plan import ALL, Plan, PlanLimits
from codesign.fleet.prepared import Prepared
from codesign.fleet.quantities import at
from codesign.system.layouts import Floats

Mask = np.ndarray[Any, np.dtype[np.bool_]]
UNITS = {"capital": "USD", "hourly": "USD/h", "power": "W", "racks": "1"}
CHIPS = "limits.chips."
NONE: dict[str, Any] = {**dict.fromkeys((*UNITS, "kinds", "second_source")), "one_kind_per_workload": False}
ROUNDING = 1e-9  # of a count that a factor makes


def limits_set(plan: Plan) -> tuple[str, ...]:
    """The limits that a plan sets, by name."""
    return tuple(_set(plan))


def _set(plan: Plan) -> Iterator[str]:
    for name, none in NONE.items():
        if getattr(plan.limits, name) != none:
            yield f"limits.{name}"
    yield from (f"{CHIPS}{chip}" for chip in plan.limits.chips)
    if plan.survive is not None:
        yield "survive"
    if plan.objective in ("cost", "power"):
        yield from (_requests(name) for name in plan.workloads if any(plan.workloads[name].requests))


def _requests(workload: str) -> str:
    return f"workloads.{workload}.requests"


def asked(plan: Plan, limit: str) -> str:
    """A limit as the plan says it, in words."""
    name = limit.removeprefix("limits.")
    if name in UNITS:
        return f"{name} " + " / ".join(show(value, UNITS[name]) for value in getattr(plan.limits, name))
    if limit.startswith(CHIPS):
        chip = limit.removeprefix(CHIPS)
        return f"chips of {chip}: " + " / ".join(f"{n:,}" for n in plan.limits.chips[chip])
    if limit == "survive":
        return f"survive {plan.survive} at {plan.survive_share:.1%} of demand"
    if name == "kinds":
        return f"kinds {plan.limits.kinds}"
    if name == "second_source":
        return f"second source {plan.limits.second_source:.1%}"
    if name == "one_kind_per_workload":
        return "one kind per workload"
    workload = limit.split(".")[1]
    rates = dict.fromkeys(f"{plan.requests(workload, i):,.4g}" for i in range(len(plan.periods)))
    return f"requests of {workload}: {' / '.join(rates)} requests/s"


def kept(p: Prepared, names: Collection[str]) -> Prepared:
    """The plan with these limits and no other."""
    lifted = [name for name in limits_set(p.plan) if name not in names]
    said = {name: none for name, none in NONE.items() if f"limits.{name}" in lifted}
    plan = p.plan.model_copy(update={"limits": p.plan.limits.model_copy(update=said)})
    if "survive" in lifted:
        plan = plan.model_copy(update={"survive": None})
    factors = [0.0 if _requests(d.workload) in lifted else 1.0 for d in p.demands]
    free = [name for name in lifted if name.startswith(CHIPS)]
    return replace(p, plan=plan, kinds=replace(p.kinds, supply=_supply(p, free, np.inf)),
                   requests=p.requests * np.array(factors)[:, np.newaxis])  # fmt: skip


def _supply(p: Prepared, limits: Collection[str], factor: float) -> Floats:
    """Servers that can be bought with the limits on these chips multiplied; a chip not on sale stays so."""
    sold, supply = on_sale(p), p.kinds.supply.copy()
    for h, offer in enumerate(p.kinds.offers):
        name = offer.chip.name if offer.chip.name in p.plan.limits.chips else ALL
        if f"{CHIPS}{name}" in limits:
            chips = p.plan.limits.chips[name]
            most = [np.inf if np.isinf(factor) else (at(chips, i) * factor * (1 + ROUNDING)) // offer.bill.chips
                    for i in range(len(p.periods))]  # fmt: skip
            supply[h] = np.where(sold[h], most, 0.0)
    return supply


def on_sale(p: Prepared) -> Mask:
    """[h, p] whether a chip is sold by then, however many the plan allows."""
    no_chips = p.plan.limits.model_copy(update={"chips": {}})
    sold: Mask = owned.kinds_of(p.plan.model_copy(update={"limits": no_chips}), p.supplies)[0].supply > 0
    return sold


def opened(p: Prepared, chip: str) -> Floats:
    """[h, p] servers that can be bought, any number of a chip on sale; ALL: of all without a limit of their own."""
    named = [name == chip or (chip == ALL and name not in p.plan.limits.chips) for name in p.kinds.names]
    supply: Floats = np.where(np.array(named)[:, np.newaxis] & on_sale(p), np.inf, p.kinds.supply)
    return supply


def amounts(names: Collection[str]) -> tuple[str, ...]:
    """Those of these limits that a factor makes wider: money, power, racks, kinds and chips."""
    return tuple(name for name in names if name.removeprefix("limits.") in (*UNITS, "kinds") or name.startswith(CHIPS))


def demands(names: Collection[str]) -> tuple[str, ...]:
    """Those of these limits that are requests."""
    return tuple(name for name in names if name.startswith("workloads."))


def scaled(p: Prepared, names: Collection[str], factor: float) -> Prepared:
    """The plan with these amounts multiplied, counts rounded down, and these requests divided by a factor."""
    said: dict[str, Any] = {
        name: tuple(value * factor for value in getattr(p.plan.limits, name))
        for name in UNITS if f"limits.{name}" in names
    }  # fmt: skip
    if "limits.kinds" in names:
        said["kinds"] = int((p.plan.limits.kinds or 0) * factor * (1 + ROUNDING))
    share = [1 / factor if _requests(d.workload) in names else 1.0 for d in p.demands]
    return replace(
        p, plan=_with(p.plan, said), requests=p.requests * np.array(share)[:, np.newaxis],
        kinds=replace(p.kinds, supply=_supply(p, [name for name in names if name.startswith(CHIPS)], factor)),
    )  # fmt: skip


def _with(plan: Plan, said: dict[str, Any]) -> Plan:
    limits: PlanLimits = plan.limits.model_copy(update=said)
    return plan.model_copy(update={"limits": limits})


def eased(p: Prepared, cure: CurePart) -> Prepared | None:
    """The plan with a single cure; None: of a speed, which makes other columns."""
    name, value = cure.limit.removeprefix("limits."), cure.value
    if name in UNITS and value is not None:
        more = _more(p, name, value)
        limit = getattr(p.plan.limits, name)
        return replace(p, plan=_with(p.plan, {name: tuple(at(limit, i) + x for i, x in enumerate(more))}))
    if name in NONE:
        said = round(value) if name == "kinds" and value is not None else NONE[name]
        return replace(p, plan=_with(p.plan, {name: said}))
    if cure.limit.startswith(CHIPS):
        return replace(p, kinds=replace(p.kinds, supply=opened(p, cure.limit.removeprefix(CHIPS))))
    if name == "survive_share" and value is not None:
        return replace(p, plan=p.plan.model_copy(update={"survive_share": value}))
    if cure.limit.endswith(".requests") and value is not None:
        share = [value if _requests(d.workload) == cure.limit else 1.0 for d in p.demands]
        return replace(p, requests=p.requests * np.array(share)[:, np.newaxis])
    return None


def _more(p: Prepared, name: str, value: float) -> list[float]:
    """What a cure adds in each period; of hourly it is dollars of the period."""
    return [value / float(hours) if name == "hourly" else value for hours in p.kinds.hours]
