"""The numbers of a plan that can be moved, by path, and the plan with one of them moved.

What a plan gives by period (limits on money, power, racks and chips, requests, prices to come) is moved by one factor
on all of it; a number that stands alone is set. `workloads.all.requests` is the demand of every workload.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from codesign.facts.errors import DataError
from codesign.fleet.plan import ALL, Plan
from codesign.study.parameters import Parameter

LIMITS = {"capital": "USD", "hourly": "USD/h", "power": "W", "racks": "1"}
WORKLOAD = {  # of a workload, set: unit, most
    "user_speed": ("tokens/s", math.inf), "ttft": ("s", math.inf), "share": ("1", 1.0), "growth": ("1/years", math.inf),
    "worth": ("USD/token", math.inf),
}  # fmt: skip
OWN = ("limits", "workloads", "periods", "survive_share")  # what a path of a plan, not of the catalogue, begins with
KNOWN = (*(f"limits.{name}" for name in LIMITS), "limits.chips.CHIP", "limits.kinds", "limits.second_source",
         "workloads.NAME.requests", *(f"workloads.NAME.{key}" for key in WORKLOAD), "periods.NAME.price",
         "survive_share")  # fmt: skip
Moved = Callable[[float], Plan]


@dataclass(frozen=True)
class Number:
    """A number of a plan: `parameter` as people write it (its own unit where it is one amount, else a factor of 1).

    `move` makes the plan with another: of a factor where `per` is a number, `per` being what factor 1 is.
    """

    parameter: Parameter
    per: float | None
    move: Moved

    def change(self, value: float) -> float:
        """What `Resolver.at` takes for a value of `parameter`."""
        return value if self.per is None else value / self.per


def is_own(path: str) -> bool:
    """Whether a path is the plan's; else it is the catalogue's."""
    return path.partition(".")[0] in OWN


def changed(plan: Plan, changes: Mapping[str, float]) -> Plan:
    """The plan with the numbers at these paths moved. Raises DataError with every path that is unknown or too far."""
    faults = []
    for path, value in changes.items():
        try:
            found = number(plan, path)
            _possible(found, value)
            plan = found.move(value)
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError("\n".join(faults))
    return plan


def number(plan: Plan, path: str) -> Number:
    """The one at `path`; DataError where the plan has none."""
    head, _, rest = path.partition(".")
    found = None
    if head == "limits":
        found = _limit(plan, path, rest)
    elif head == "workloads":
        found = _of_workload(plan, path, rest)
    elif head == "periods":
        found = _price(plan, path, rest)
    elif path == "survive_share" and plan.survive is not None:
        found = _set(path, plan.survive_share, "1", lambda x: plan.model_copy(update={"survive_share": x}), most=1.0)
    if found is None:
        raise DataError(f"{path!r}: the plan sets no such number; what can be moved of a plan: {', '.join(KNOWN)}")
    return found


def numbers(plan: Plan) -> tuple[Number, ...]:
    """Every limit that the plan sets, and the demand: of each workload, and of all together."""
    paths = [f"limits.{name}" for name in LIMITS] + [f"limits.chips.{chip}" for chip in plan.limits.chips]
    paths += ["limits.kinds", "limits.second_source", f"workloads.{ALL}.requests"]
    paths += [f"workloads.{name}.requests" for name in plan.workloads]
    found = []
    for path in paths:
        try:
            found.append(number(plan, path))
        except DataError:
            continue  # the plan does not set it
    return tuple(found)


def _possible(found: Number, value: float) -> None:
    one = found.parameter
    amount = value if found.per is None else value * found.per
    if not one.least <= amount <= one.most:
        raise DataError(f"{one.path} = {one.shown(amount)}: must stay within {one.least:g} .. {one.most:g}")
    if one.whole and amount != int(amount):
        raise DataError(f"{one.path} = {amount!r}: must be a whole number")


def _set(path: str, value: float, unit: str, move: Moved, **rules: Any) -> Number:
    whole = bool(rules.get("whole", False))
    return Number(Parameter(path, float(value), unit, whole, None, None, "asked", rules.get("least", 0.0),
                            rules.get("most", math.inf)), None, move)  # fmt: skip


def _scaled(path: str, values: tuple[float, ...], unit: str, move: Moved) -> Number:
    """Amounts by period: one amount is shown as such, several as their common factor. Raises DataError for nothing."""
    if not any(values):
        raise DataError(f"{path}: is 0 in every period; no factor moves it")
    alone = len(set(values)) == 1
    value, shown = (float(values[0]), unit) if alone else (1.0, "1")
    return Number(Parameter(path, value, shown, False, None, None, "asked"), value, move)


def _limit(plan: Plan, path: str, key: str) -> Number | None:
    limits = plan.limits

    def moved(**update: Any) -> Plan:
        return plan.model_copy(update={"limits": limits.model_copy(update=update)})

    head, _, chip = key.partition(".")
    if head == "chips" and chip in limits.chips:
        amounts = limits.chips[chip]
        return _scaled(path, tuple(float(a) for a in amounts), "1", lambda f: moved(
            chips={**limits.chips, chip: tuple(math.floor(a * f + 1e-9) for a in amounts)}))  # fmt: skip
    if key == "kinds" and limits.kinds is not None:
        return _set(path, limits.kinds, "1", lambda x: moved(kinds=int(x)), whole=True, least=1.0)
    if key == "second_source" and limits.second_source is not None:
        return _set(path, limits.second_source, "1", lambda x: moved(second_source=x), most=1.0)
    values = getattr(limits, key) if key in LIMITS else None
    if values is None:
        return None
    return _scaled(path, values, LIMITS[key], lambda f: moved(**{key: tuple(v * f for v in values)}))


def _of_workload(plan: Plan, path: str, rest: str) -> Number | None:
    name, _, key = rest.rpartition(".")
    if name not in plan.workloads and name != ALL:
        raise DataError(f"{path!r}: the plan has no workload {name!r}; it has: {', '.join(plan.workloads)}")

    def moved(**update: Any) -> Plan:
        return plan.model_copy(update={"workloads": {**plan.workloads, **update}})

    names = list(plan.workloads) if name == ALL else [name]
    if key == "requests":
        values = tuple(v for n in names for v in plan.workloads[n].requests)
        return _scaled(path, values, "requests/s", lambda f: moved(**{
            n: plan.workloads[n].model_copy(update={"requests": tuple(v * f for v in plan.workloads[n].requests)})
            for n in names}))  # fmt: skip
    if key not in WORKLOAD or name == ALL or (value := getattr(plan.workloads[name], key)) is None:
        return None
    unit, most = WORKLOAD[key]
    least = -1.0 if key == "growth" else 0.0
    return _set(path, value, unit, lambda x: moved(**{name: plan.workloads[name].model_copy(update={key: x})}),
                least=least, most=most)  # fmt: skip


def _price(plan: Plan, path: str, rest: str) -> Number | None:
    name, _, key = rest.rpartition(".")
    if key != "price" or name not in plan.periods:
        return None
    period = plan.periods[name]
    return _scaled(path, tuple(period.price.values()), "1", lambda f: plan.model_copy(update={"periods": {
        **plan.periods, name: period.model_copy(update={"price": {c: v * f for c, v in period.price.items()}})}}))
