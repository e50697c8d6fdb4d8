"""A fleet plan as the user wrote it: workloads, periods, limits, what is installed. Checked whole, in SI.

Names are checked against the context that `reading` gives. `as_toml` writes a plan that gives the same answer again.
"""

import math
from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from codesign.facts.fact import Table, Written
from codesign.fleet.quantities import (
    AmountByPeriod,
    Factor,
    Kinds,
    Level,
    MoneyByPeriod,
    MoneyPerHourByPeriod,
    PowerByPeriod,
    RacksByPeriod,
    Servers,
    Share,
    Years,
    at,
    demand_known,
)  # fmt: skip
from codesign.fleet.workloads import SLACK, Workload
from codesign.physics.cost import PriceBasis
from codesign.system.query import Choice, Engine, Seconds, Year, no_price

Objective = Literal["cost", "throughput-per-dollar", "value", "power"]
Loss = Literal["one-rack", "one-kind"]
ALL = "all"         # in place of a name: every one that has none of its own


class PlanLimits(Table):
    """What the fleet must stay within; a list has one value for each period; absent: no limit."""

    capital: MoneyByPeriod | None = None           # spent in a period
    hourly: MoneyPerHourByPeriod | None = None     # repayment, upkeep and electricity of the fleet
    power: PowerByPeriod | None = None             # provisioned IT power
    racks: RacksByPeriod | None = None
    chips: dict[str, AmountByPeriod] = Field(default_factory=dict)  # of a kind that can be bought in a period
    kinds: Kinds | None = None                     # most kinds of chip owned at any time
    one_kind_per_workload: bool = False
    second_source: Share | None = None             # no vendor holds more than the rest of all chips

    @field_validator("chips")
    @classmethod
    def _chips_known(cls, chips: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        demand_known("chips", chips, info, ALL)
        return chips


class Period(Table):
    """A stretch of time with constant demand; servers bought in it work from its start."""

    year: Year                                     # of its start; a chip is on sale from its own year on
    years: Years = 1.0
    price: dict[str, Factor]                       # over the catalogue's price of a chip and its server

    @field_validator("price", mode="before")
    @classmethod
    def _for_all(cls, raw: Any) -> Any:
        return raw if isinstance(raw, dict) else {ALL: raw}

    @field_validator("price")
    @classmethod
    def _chips_known(cls, price: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        demand_known("chips", price, info, ALL)
        if ALL not in price:
            raise ValueError(f"no price for other chips; add {ALL} = 1.0")
        return price

    def factor(self, chip: str) -> float:
        """Over the catalogue's price of a chip."""
        return self.price.get(chip, self.price[ALL])


class Installed(Table):
    """Servers that are there at the start."""

    servers: Servers
    bought: Year                                   # they work for the years of depreciation from then on


class Scenario(Table):
    """What demand may turn out to be: a factor on each workload's requests."""

    probability: Share
    demand: dict[str, Level]

    @field_validator("demand", mode="before")
    @classmethod
    def _for_all(cls, raw: Any) -> Any:
        return raw if isinstance(raw, dict) else {ALL: raw}

    @field_validator("demand")
    @classmethod
    def _workloads_known(cls, demand: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        demand_known("workloads", demand, info, ALL)
        return demand

    def factor(self, workload: str) -> float:
        """On the requests of a workload."""
        return self.demand.get(workload, self.demand.get(ALL, 1.0))


class Plan(Table):
    """Everything that is asked."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    periods: dict[str, Period] = Field(min_length=1)
    objective: Objective = "cost"
    workloads: dict[str, Workload] = Field(min_length=1)
    engine: Engine = "vllm"
    release: str | None = None
    prior: Literal["none", "family", "all"] = "none"
    basis: Literal["buy", "hyperscaler", "rent"] = "buy"
    price_basis: Literal["sold", "cost"] = "sold"
    limits: PlanLimits = PlanLimits()
    allow: Choice = Choice()
    forbid: Choice = Choice()
    installed: dict[str, Installed] = Field(default_factory=dict)
    scenarios: dict[str, Scenario] = Field(default_factory=dict)
    survive: Loss | None = None
    survive_share: Share = 1.0                     # of the demand that must be met after the loss
    time_limit: Seconds | None = None
    cost: dict[str, Written] = Field(default_factory=dict)    # prices/default.toml, this plan only
    assume: dict[str, Written] = Field(default_factory=dict)  # any other number of the catalogue

    @field_validator("periods")
    @classmethod
    def _in_order(cls, periods: dict[str, Period]) -> dict[str, Period]:
        years = [one.year for one in periods.values()]
        if years != sorted(set(years)):
            raise ValueError(f"years {', '.join(map(str, years))} must rise from period to period")
        for (name, one), (following, later) in pairwise(periods.items()):
            if one.year + one.years > later.year + SLACK:
                raise ValueError(f"{name} lasts {one.years:g} years from {one.year}, beyond the start of {following}")
        return periods

    @field_validator("workloads")
    @classmethod
    def _worth_known(cls, workloads: dict[str, Workload], info: ValidationInfo) -> dict[str, Workload]:
        absent = [name for name, one in workloads.items() if one.worth is None]
        if info.data.get("objective") == "value" and absent:
            raise ValueError(f"worth is missing of {', '.join(absent)}: objective 'value' asks for it ('$2/Mtok')")
        return workloads

    @field_validator("price_basis")
    @classmethod
    def _price_of_what_is_bought(cls, price_basis: PriceBasis, info: ValidationInfo) -> PriceBasis:
        if price_basis != "sold" and (why := no_price(info.data.get("basis", "buy"))):
            raise ValueError(why)
        return price_basis

    @field_validator("limits")
    @classmethod
    def _no_capital_of_rent(cls, limits: PlanLimits, info: ValidationInfo) -> PlanLimits:
        if info.data.get("basis", "buy") != "buy" and limits.capital is not None:
            raise ValueError(f"capital: basis {info.data['basis']!r} has none; give hourly")
        return limits

    @field_validator("installed")
    @classmethod
    def _installed_known(cls, installed: dict[str, Installed], info: ValidationInfo) -> dict[str, Installed]:
        demand_known("chips", installed, info)
        first = min((one.year for one in info.data.get("periods", {}).values()), default=None)
        late = [f"{name}: bought = {one.bought}" for name, one in installed.items() if first and one.bought > first]
        if late:
            raise ValueError(f"{', '.join(late)} is after {first}, when the first period begins; what is installed is "
                             "there by then")  # fmt: skip
        return installed

    @field_validator("scenarios")
    @classmethod
    def _probable(cls, scenarios: dict[str, Scenario]) -> dict[str, Scenario]:
        total = sum(one.probability for one in scenarios.values())
        if scenarios and not math.isclose(total, 1.0, abs_tol=SLACK):
            raise ValueError(f"the probabilities sum to {total:g}, must sum to 1")
        return scenarios

    @field_validator("survive_share")
    @classmethod
    def _of_a_loss(cls, share: float, info: ValidationInfo) -> float:
        if share < 1 and info.data.get("survive") is None:
            raise ValueError("of which loss? add --survive one-rack or --survive one-kind, or the key survive")
        return share

    def requests(self, workload: str, period: int) -> float:
        """Requests/s of a workload in a period."""
        one, periods = self.workloads[workload], list(self.periods.values())
        return at(one.requests, period) * (1 + one.growth) ** (periods[period].year - periods[0].year)

    def assumptions(self) -> dict[str, str | float]:
        """Catalogue path -> value, of both `cost` and `assume`."""
        return {**{f"prices.default.{key}": value for key, value in self.cost.items()}, **self.assume}

    def content(self) -> dict[str, Any]:
        """As written into files: what is said, in SI."""
        dumped = self.model_dump(by_alias=True, exclude_none=True, mode="json")
        return {key: value for key, value in dumped.items() if value not in ({}, [])}

    def as_toml(self) -> str:
        """The plan as a file that reproduces the answer."""
        import tomli_w

        return tomli_w.dumps(self.content())
