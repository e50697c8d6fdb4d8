"""From a prepared plan to the program of `formulations.fleet`: requests/s, thousands of dollars, kW, years."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from codesign.facts.errors import DataError
from codesign.fleet.cases import Case
from codesign.fleet.plan import Plan
from codesign.fleet.prepared import Prepared
from codesign.fleet.quantities import at
from codesign.physics.cost import HOURS_PER_YEAR
from codesign.system.layouts import Floats
from formulations import fleet
from formulations.fleet import bounds as fleet_bounds
from formulations.fleet import stochastic
from formulations.fleet.instance import BOTH, DECODE, PREFILL
from formulations.fleet.stochastic import KIND, NONE, RACK

KILO = 1e-3   # USD -> k$, W -> kW, tokens -> ktokens
PHASE = {"both": BOTH, "prefill": PREFILL, "decode": DECODE}
OBJECTIVE: dict[str, fleet.Objective] = {
    "cost": "cost", "throughput-per-dollar": "ratio", "value": "value", "power": "power"}  # fmt: skip


def instance_of(p: Prepared) -> fleet.Instance:
    """The program over all columns, each labelled by its position. Raises DataError for a ratio to nothing paid."""
    _demand_costs(p)
    plan, kinds, columns = p.plan, p.kinds, p.columns
    vendors = sorted({offer.chip.vendor for offer in kinds.offers})
    hours = kinds.hours
    return fleet.Instance(
        demand=p.requests,
        strict=np.array([p.strict(d) for d in range(len(p.demands))]),
        worth=_worth(p, hours), tokens=np.array([d.length.output * KILO for d in p.demands]),
        workload_of=np.array([p.workloads.index(d.workload) for d in p.demands]),
        demand_of=np.array([c.demand for c in columns], dtype=np.int64),
        kind_of=np.array([kinds.names.index(c.chip) for c in columns], dtype=np.int64),
        phase=np.array([PHASE[c.phase] for c in columns], dtype=np.int64),
        meets=np.array([c.meets for c in columns], dtype=bool),
        rate=np.array([c.rate for c in columns], dtype=np.float64),
        parcels=np.array([c.parcels for c in columns], dtype=np.int64),
        size=np.array([c.size for c in columns], dtype=np.int64),
        chips_per_server=kinds.chips.astype(np.int64), servers_per_rack=kinds.per_rack, watts=_watts(p) * KILO,
        vendor=np.array([vendors.index(offer.chip.vendor) for offer in kinds.offers]),
        life=np.full(len(kinds.offers), kinds.life), price=kinds.price * KILO, charge=kinds.charge * KILO,
        running=kinds.running * KILO, installed=kinds.installed.astype(np.int64), supply=kinds.supply,
        length=hours / HOURS_PER_YEAR, objective=OBJECTIVE[plan.objective], **limits_of(plan, hours),
    )  # fmt: skip


def _demand_costs(p: Prepared) -> None:
    """DataError for servers that cost nothing in a period in which they can be owned: a ratio to it has no bound."""
    if p.plan.objective != "throughput-per-dollar":
        return
    k, n = p.kinds, len(p.periods)
    for h, chip in enumerate(k.names):
        for i, period in enumerate(p.periods):
            bought = k.charge[h, i].sum() + k.running[h, i : min(n, i + k.life)].sum()
            if k.installed[h, i] and not k.running[h, i] > 0:
                raise DataError(
                    f"objective = 'throughput-per-dollar': installed.{chip} costs nothing in {period}, so what it "
                    "serves for a dollar has no bound; give it upkeep or electricity above 0 (prices.default.upkeep, "
                    "prices.default.electricity) with basis = 'buy', or ask for another objective")  # fmt: skip
            if k.supply[h, i] >= 1 and not bought > 0:
                raise DataError(
                    f"objective = 'throughput-per-dollar': a server of {chip} bought in {period} costs nothing, so "
                    "what it serves for a dollar has no bound; give it a price above 0, or ask for another objective")


def demand_bounded(data: fleet.Instance) -> None:
    """DataError for limits with which the program has no bound of the servers of a kind."""
    if fleet_bounds.unbounded(data):
        raise DataError(
            f"limits.kinds = {data.most_kinds}, limits.second_source = {data.second_source:g}: over several periods "
            "the two together need a limit that bounds every chip; add limits.power, limits.racks, limits.hourly, "
            "limits.capital or limits.chips.all, or ask for one period")  # fmt: skip


def stochastic_of(p: Prepared, data: fleet.Instance, cases: Sequence[Case]) -> stochastic.Instance:
    """The two-stage program over what may come."""
    kinds = [KIND if np.isinf(case.lost).any() else RACK if case.lost.any() else NONE for case in cases]
    return stochastic.Instance(
        plan=data, probability=np.array([case.probability or 0.0 for case in cases]),
        demand=np.stack([case.demand for case in cases], axis=2),
        least=np.stack([case.least for case in cases], axis=2),
        loss=np.array(kinds), lost=np.array([int(np.argmax(case.lost)) for case in cases]),
    )  # fmt: skip


def _worth(p: Prepared, hours: Floats) -> Floats:
    """k$ of a request/s served for a period, by demand and period."""
    of = [(p.plan.workloads[d.workload].worth or 0.0) * d.length.output for d in p.demands]
    return np.outer(of, hours) * 3600.0 * KILO


def _watts(p: Prepared) -> Floats:
    """Provisioned power of a server; unknown only where no limit and no objective asks for it."""
    return np.nan_to_num(p.kinds.watts)


def limits_of(plan: Plan, hours: Floats) -> dict[str, Any]:
    """The limits by the program's names; None: no limit."""
    limits, n = plan.limits, len(plan.periods)

    def each(values: tuple[float, ...] | None, scale: float = 1.0) -> Floats | None:
        return None if values is None else np.array([at(values, i) * scale for i in range(n)])

    hourly = each(limits.hourly, KILO)
    return {
        "capital": each(limits.capital, KILO), "spending": None if hourly is None else hourly * hours,
        "power": each(limits.power, KILO), "racks": each(limits.racks),
        "most_kinds": limits.kinds, "one_kind": limits.one_kind_per_workload, "second_source": limits.second_source,
    }  # fmt: skip
