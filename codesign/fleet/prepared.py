"""Everything that is computed before a solver sees a plan: demands, what can serve them, kinds of server."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from codesign.facts.catalog import Catalog
from codesign.facts.errors import DataError, UndecidedError
from codesign.facts.records import ModelRecord
from codesign.fleet import kinds as owned
from codesign.fleet.columns import Column, Demand, columns_of, query_of, spaces_of
from codesign.fleet.kinds import Kinds
from codesign.fleet.plan import Plan
from codesign.physics import workload
from codesign.physics.workload import Model
from codesign.system import offers
from codesign.system.layouts import Floats
from codesign.system.mode import settled
from codesign.system.offers import Supply
from codesign.system.serving_space import ServingSpace
from formulations.solvers.deadline import NEVER, Deadline, OutOfTime


@dataclass(frozen=True)
class Prepared:
    """A plan with its demands (by position), columns and kinds."""

    plan: Plan
    catalog: Catalog
    demands: tuple[Demand, ...]
    models: Mapping[str, Model]        # by workload
    supplies: Mapping[str, Supply]     # by workload
    kinds: Kinds
    columns: tuple[Column, ...]
    requests: Floats                   # [d, p]
    left_out: Mapping[str, str]

    @property
    def workloads(self) -> tuple[str, ...]:
        """By position."""
        return tuple(self.plan.workloads)

    @property
    def periods(self) -> tuple[str, ...]:
        """By position."""
        return tuple(self.plan.periods)

    def strict(self, demand: int) -> float:
        """Share of a demand's requests that must get the user speed and the time to first token."""
        one = self.plan.workloads[self.demands[demand].workload]
        return 0.0 if one.user_speed is None and one.ttft is None else one.share


def demands_of(catalog: Catalog, plan: Plan) -> tuple[Demand, ...]:
    """A demand for each bucket of each workload."""
    return tuple(
        Demand(name, i, length, settled(catalog, query_of(plan, one, length)))
        for name, one in plan.workloads.items() for i, length in enumerate(one.buckets())
    )  # fmt: skip


def requests_of(plan: Plan, demands: tuple[Demand, ...]) -> Floats:
    """Requests/s by demand and period."""
    return np.array([[plan.requests(d.workload, p) * d.length.share for p in range(len(plan.periods))]
                     for d in demands])  # fmt: skip


def supplies_of(catalog: Catalog, plan: Plan, demands: tuple[Demand, ...]) -> dict[str, Supply]:
    """What each workload may run on. Raises DataError for what the catalogue's numbers make impossible."""
    found = {d.workload: offers.supply(catalog, d.query) for d in demands if d.bucket == 0}
    owned.check(plan, next(iter(found.values())))
    return found


def outline(catalog: Catalog, plan: Plan) -> Prepared:
    """Domain -> numbers, without columns. DataError where no chip can be used, or for numbers out of all range."""
    demands = demands_of(catalog, plan)
    supplies = supplies_of(catalog, plan, demands)
    kinds, left = owned.kinds_of(plan, supplies)
    if not kinds.offers:
        raise DataError("no chip is allowed that has every number this plan needs: "
                        + "; ".join(f"{name}: {why}" for name, why in sorted(left.items())))  # fmt: skip
    models = {name: workload.model(catalog.get(ModelRecord, one.model)) for name, one in plan.workloads.items()}
    p = Prepared(plan, catalog, demands, models, supplies, kinds, (), requests_of(plan, demands), left)
    demand_in_range(p)
    return p


def spaces_for(p: Prepared, d: Demand, deadline: Deadline = NEVER) -> dict[str, ServingSpace]:
    """The deployments that a demand may be served with. Raises OutOfTime after the `deadline`."""
    return spaces_of(d, p.plan.workloads[d.workload], p.models[d.workload], p.supplies[d.workload], deadline)


def columns_for(p: Prepared, demand: int, spaces: Mapping[str, ServingSpace]) -> list[Column]:
    """The columns of a demand on the plan's kinds, numbered with it."""
    d = p.demands[demand]
    found = columns_of(demand, d, p.plan.workloads[d.workload], p.supplies[d.workload], spaces)
    return [column for column in found if column.chip in p.kinds.names]


def prepare(catalog: Catalog, plan: Plan, deadline: Deadline = NEVER) -> Prepared:
    """As `outline`, with every column. Raises UndecidedError after the `deadline`."""
    p, columns = outline(catalog, plan), list[Column]()
    try:
        for i, d in enumerate(p.demands):
            deadline.check()
            columns += columns_for(p, i, spaces_for(p, d, deadline))
    except OutOfTime as error:
        raise UndecidedError("the time given ended while replicas were prepared: no fleet is known yet") from error
    return replace(p, columns=tuple(columns))


MOST_REQUESTS = 1e9     # requests/s
LEAST_REQUESTS = 1e-5   # requests/s: one a day
MOST_USD = 1e15         # of a server, or of its use in a period
MOST_W = 1e12           # of a server
MOST_SERVERS = 10**9    # installed


def demand_in_range(p: "Prepared") -> None:
    """DataError with every amount that follows from the plan and the catalogue and is too large or too small."""
    if faults := [*_requests(p), *_servers(p)]:
        raise DataError("\n".join(dict.fromkeys(faults)))


def _requests(p: "Prepared") -> Iterator[str]:
    factors = {"": 1.0} if not p.plan.scenarios else {}
    for d, of in enumerate(p.demands):
        said = {f"scenarios.{name}: ": one.factor(of.workload) for name, one in p.plan.scenarios.items()} or factors
        for i, period in enumerate(p.periods):
            for name, factor in said.items():
                amount = float(p.requests[d, i]) * factor
                parts = [share for share in (p.strict(d), p.plan.survive_share) if share]
                if amount and not (min((1.0, *parts)) * amount >= LEAST_REQUESTS and amount <= MOST_REQUESTS):
                    yield (f"{name}workloads.{of.workload}.requests = {amount:g} requests/s in {period} of "
                           f"{of.length.input:,} tokens in and {of.length.output:,} out (requests, growth, shares of "
                           f"lengths): must be 0 or within {LEAST_REQUESTS:g} .. {MOST_REQUESTS:g}, and at least as "
                           "much times share and survive_share")  # fmt: skip


def _servers(p: "Prepared") -> Iterator[str]:
    k = p.kinds
    for h, chip in enumerate(k.names):
        usd = max(float(k.price[h].max()), float(k.charge[h].max()), float(k.running[h].max()))
        if not usd <= MOST_USD:
            yield (f"a server of {chip} costs {usd:g} USD (chips.{chip}.price, periods.price, prices.default): must be "
                   f"at most {MOST_USD:g}")  # fmt: skip
        if np.isfinite(k.watts[h]) and k.watts[h] > MOST_W:
            yield f"a server of {chip} draws {k.watts[h]:g} W (chips.{chip}.power): must be at most {MOST_W:g}"
        if k.installed[h].max() > MOST_SERVERS:
            yield f"installed.{chip}.servers = {k.installed[h].max():g}: must be at most {MOST_SERVERS:g}"
