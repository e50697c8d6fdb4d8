"""The program again with one thing changed: a limit a step further, or a single kind of chip."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codesign.facts.units import show
from codesign.fleet.answer import DualPart
from codesign.fleet.prepared import Prepared
from codesign.fleet.program import KILO
from formulations.fleet import Instance

SMALL = 1e-9  # of a price: none
ROWS = {  # row of the program -> limit, unit of the limit, its SI in the program's unit
    "stay_in_capital": ("capital", "per USD", KILO), "stay_in_spending": ("hourly", "per USD/h", KILO),
    "stay_in_power": ("power", "per W", KILO), "stay_in_racks": ("racks", "per rack", 1.0),
    "stay_in_supply": ("chips.", "per server", 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A limit that allows a step more in one period (or in all: period None)."""

    limit: str
    period: int | None
    allowed: str
    step: str
    instance: Instance


def steps_of(p: Prepared, data: Instance, binding: dict[int, set[str]]) -> Iterator[Step]:
    """A step of each limit that binds, by period: what the kind of server that takes most of it would need.

    A step of less might let nothing in; supply grows by one server, racks and kinds by one.
    """
    hours = p.kinds.hours
    for i, names in sorted(binding.items()):
        cost = (data.charge[:, i, i] + data.running[:, i]) / hours[i]
        for name, limit, each, unit in (
            ("capital", data.capital, data.price[:, i], "USD"), ("power", data.power, data.watts, "W"),
            ("hourly", data.spending, cost, "USD/h"), ("racks", data.racks, np.ones(1), "1"),
        ):  # fmt: skip
            if name in names and limit is not None:
                step = float(each.max())
                key, per = ("spending", float(hours[i])) if name == "hourly" else (name, 1.0)
                unit_si = 1.0 if name == "racks" else KILO
                raised: dict[str, Any] = {key: limit.copy()}
                raised[key][i] += step * per
                yield Step(name, i, show(float(limit[i]) / per / unit_si, unit), "+" + show(step / unit_si, unit),
                           replace(data, **raised))  # fmt: skip
        yield from _supply(p, data, i, names)
    if any("kinds" in names for names in binding.values()) and data.most_kinds is not None:
        yield Step("kinds", None, f"{data.most_kinds}", "+1", replace(data, most_kinds=data.most_kinds + 1))
    if data.one_kind:
        yield Step("one kind per workload", None, "yes", "no", replace(data, one_kind=False))


def _supply(p: Prepared, data: Instance, i: int, names: set[str]) -> Iterator[Step]:
    for h, name in enumerate(p.kinds.names):
        sold = p.kinds.offers[h].chip.available
        if f"chips.{name}" in names and (sold is None or sold <= list(p.plan.periods.values())[i].year):
            supply, chips = data.supply.copy(), p.kinds.offers[h].bill.chips
            supply[h, i] += 1
            yield Step(f"chips.{name}", i, f"{data.supply[h, i] * chips:,.0f}", f"+{chips}",
                       replace(data, supply=supply))  # fmt: skip


def single(data: Instance, kind: int, *, lifted: bool = False) -> Instance:
    """The program with one kind alone; what is installed of others is given up, and a second source is not asked.

    `lifted`: without the limits on money, power, racks and supply, but not before the kind is on sale.
    """
    others = np.arange(len(data.kinds)) != kind
    supply, installed = data.supply.copy(), data.installed.copy()
    supply[others], installed[others] = 0, 0
    found = replace(data, supply=supply, installed=installed, second_source=None, most_kinds=None, one_kind=False)
    if lifted:
        supply = np.where(supply > 0, np.inf, supply)
        found = replace(found, supply=supply, capital=None, spending=None, power=None, racks=None)
    return found.only(data.kind_of == kind)


def duals_of(p: Prepared, duals: Mapping[str, float], scale: float) -> Iterator[DualPart]:
    """What a little more of each limit is worth to the linear relaxation, in SI of the objective by unit of the limit.

    `duals` are by the names of the program's rows; the relaxation may own and run parts of servers and replicas.
    """
    for row, price in duals.items():
        name, _, index = row.removesuffix("]").partition("[")
        if name not in ROWS or abs(price) < SMALL:
            continue
        limit, unit, by = ROWS[name]
        *kind, period = (int(i) for i in index.split(","))
        hours = float(p.kinds.hours[period]) if name == "stay_in_spending" else 1.0
        yield DualPart(limit=limit + "".join(p.kinds.names[h] for h in kind), period=p.periods[period],
                       price=abs(price) * scale * by * hours, unit=unit)  # fmt: skip
