"""Kinds of server that a plan may own: what one costs to buy and to run in each period, and how many there can be.

Buying. The price of chips and server follows the period's factor, network and building do not. Capital is repaid with
interest over the years of depreciation (`cost`), the building over its own; a server works for the periods that end
within those years, and what is not repaid at the end of the horizon is not counted. Upkeep (of the catalogue's
capital) and electricity are paid for as long as the server is kept. Installed servers cost upkeep and electricity.

Renting. No capital; a server is hired for one period at the period's factor, all-in.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.facts.errors import DataError
from codesign.fleet.plan import ALL, Period, Plan
from codesign.fleet.quantities import at
from codesign.physics.cost import HOURS_PER_YEAR
from codesign.system.layouts import Floats
from codesign.system.offers import Offer, Supply

BOUGHT = ("chips", "server")   # of a bill: what the period's price factor is on
REPAID = (*BOUGHT, "network", "facility")
OPTIONS = {"--prior ": "--set prior=", "--basis ": "--set basis=", "with --chip": "in allow.chips"}


@dataclass(frozen=True)
class Kinds:
    """Arrays over kinds, then periods (of purchase, then of use), in SI: USD, W, servers."""

    offers: tuple[Offer, ...]
    price: Floats              # [h, p] capital of a server bought in p
    charge: Floats             # [h, b, p] USD in p for a server bought in b
    running: Floats            # [h, p] USD in p for a server that is kept
    life: int                  # periods that a bought server works
    installed: Floats          # [h, p] servers of the start that still work
    supply: Floats             # [h, p] most servers bought; infinite: no limit
    hours: Floats              # [p]

    @property
    def names(self) -> tuple[str, ...]:
        """Chips, by position."""
        return tuple(offer.chip.name for offer in self.offers)

    def of(self, name: str) -> Offer:
        """The offer of a chip."""
        return self.offers[self.names.index(name)]

    @property
    def chips(self) -> Floats:
        """Chips of a server."""
        return np.array([float(offer.bill.chips) for offer in self.offers])

    @property
    def watts(self) -> Floats:
        """Provisioned IT power of a server; NaN where unknown, and not needed."""
        return np.array([np.nan if o.bill.power_w is None else o.bill.power_w for o in self.offers])

    @property
    def per_rack(self) -> Floats:
        """Servers of a rack."""
        return np.array([float(o.chip.server.per_rack) if o.chip.server else np.nan for o in self.offers])


def kinds_of(plan: Plan, supplies: Mapping[str, Supply]) -> tuple[Kinds, dict[str, str]]:
    """The kinds that some workload can use, by name, and why chips were left out (of every workload)."""
    found = {offer.chip.name: offer for one in supplies.values() for offer in one.offers}
    out = {left.name: left.reason for one in supplies.values() for left in one.left_out}
    left = {name: _as_keys(reason) for name, reason in out.items() if name not in found}
    undated = [name for name, offer in found.items() if offer.chip.available is None]
    for name in undated:
        left[name] = "no available"
    offers = tuple(found[name] for name in sorted(found) if name not in undated)
    periods = list(plan.periods.values())
    years = depreciation(next(iter(supplies.values())))
    life = _life(plan, periods, years)
    return Kinds(
        offers, *_money(plan, offers, periods, life), life=life,
        installed=np.array([[_installed(plan, o.chip.name, p, years) for p in periods] for o in offers]
                           ).reshape(len(offers), len(periods)),
        supply=np.array([[_supply(plan, o, i) for i in range(len(periods))] for o in offers]
                        ).reshape(len(offers), len(periods)),
        hours=np.array([p.years * HOURS_PER_YEAR for p in periods]),
    ), left  # fmt: skip


def _as_keys(reason: str) -> str:
    """A reason with what a plan says in place of the options of a query, which `codesign fleet` does not have."""
    for option, key in OPTIONS.items():
        reason = reason.replace(option, key)
    return reason


def depreciation(supply: Supply) -> float:
    """Years that a bought server is repaid in, and works."""
    return supply.economics.depreciation_years


def check(plan: Plan, supply: Supply) -> None:
    """DataError for what the catalogue's own numbers make impossible."""
    years = depreciation(supply)
    faults = [
        f"periods.{name}.years = {one.years:g}: longer than servers last "
        f"({years:g} years; set it with cost.depreciation)"
        for name, one in plan.periods.items() if plan.basis == "buy" and one.years > years
    ]  # fmt: skip
    if faults:
        raise DataError("\n".join(faults))


def _money(
    plan: Plan, offers: tuple[Offer, ...], periods: list[Period], life: int
) -> tuple[Floats, Floats, Floats]:
    n = len(periods)
    price, charge, running = (np.zeros(shape) for shape in ((len(offers), n), (len(offers), n, n), (len(offers), n)))
    for h, offer in enumerate(offers):
        hourly, name = offer.bill.hourly, offer.chip.name
        for b, bought in enumerate(periods):
            factor = bought.factor(name)
            if plan.basis != "buy":
                charge[h, b, b] = hourly["all-in"] * factor * bought.years * HOURS_PER_YEAR
                continue
            price[h, b] = sum(capital(offer)[part] * (factor if part in BOUGHT else 1.0) for part in REPAID)
            repaid = sum(hourly[part] * (factor if part in BOUGHT else 1.0) for part in REPAID)
            for p in range(b, min(n, b + life)):
                charge[h, b, p] = repaid * periods[p].years * HOURS_PER_YEAR
            running[h, b] = sum(v for part, v in hourly.items() if part not in REPAID) * bought.years * HOURS_PER_YEAR
    return price, charge, running


def capital(offer: Offer) -> dict[str, float]:
    """USD of a server at the catalogue's price, by part; nothing where it is rented."""
    bill = offer.bill
    parts: dict[str, Any] = {"chips": bill.chips_usd, "server": bill.server_usd, "network": bill.network_usd,
                             "facility": bill.facility_usd}  # fmt: skip
    return {name: 0.0 if usd is None else usd for name, usd in parts.items()}


def _life(plan: Plan, periods: list[Period], years: float) -> int:
    """Periods that a bought server works: the fewest over the periods it may be bought in."""
    if plan.basis != "buy":
        return 1
    counts = [len(periods)]
    for b, bought in enumerate(periods):
        ended = [p for p in range(b, len(periods)) if not _works(bought.year, periods[p], years)]
        counts += [ended[0] - b] if ended else []
    return max(1, min(counts))


def _works(bought: float, period: Period, years: float) -> bool:
    return period.year + period.years <= bought + years + 1e-9


def _installed(plan: Plan, chip: str, period: Period, years: float) -> float:
    one = plan.installed.get(chip)
    return float(one.servers) if one is not None and _works(one.bought, period, years) else 0.0


def _supply(plan: Plan, offer: Offer, period: int) -> float:
    one = list(plan.periods.values())[period]
    if offer.chip.available is not None and offer.chip.available > one.year:
        return 0.0
    most = plan.limits.chips.get(offer.chip.name, plan.limits.chips.get(ALL))
    return math.inf if most is None else float(at(most, period) // offer.bill.chips)
