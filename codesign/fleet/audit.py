"""Recompute a fleet without any solver: what each replica does, where it lies, what is owned, paid and drawn.

`recompute` takes only what one would buy, keep and run, in whole numbers, and derives all else from the domain's
formulas for single deployments. Replicas are put into servers one by one, largest parcels first.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from codesign.facts.errors import AuditError
from codesign.fleet.columns import Column
from codesign.fleet.prepared import Prepared
from codesign.fleet.quantities import at
from codesign.fleet.replica import Serves, serves
from codesign.system.layouts import Floats, Ints

EXACT = 1e-9  # relative


@dataclass(frozen=True)
class Run:
    """Replicas of a column in a period."""

    column: Column
    period: int
    replicas: int


@dataclass(frozen=True)
class Fleet:
    """What one would buy and keep of what is installed [h, p], run, and serve [d, p] (requests/s)."""

    bought: Ints
    kept: Ints
    runs: tuple[Run, ...]
    served: Floats


@dataclass(frozen=True)
class Audited:
    """What follows from a fleet, in SI; arrays over kinds and periods."""

    fleet: Fleet
    does: Mapping[Column, Serves]
    owned: Ints
    used: Ints            # chips that replicas take
    capital: Floats       # [p] USD spent
    charge: Floats        # [p] USD
    running: Floats       # [p] USD
    power: Floats         # [p] W; NaN: unknown
    racks: Floats         # [p]
    kinds: int            # ever owned
    value: float          # of the objective, in SI

    @property
    def cost(self) -> float:
        """USD of all periods."""
        return float(self.charge.sum() + self.running.sum())


def recompute(p: Prepared, fleet: Fleet, *, least: Floats | None = None, lost: Floats | None = None) -> Audited:
    """Derive counts, money, power and the objective; AuditError naming the first rule or limit that is broken.

    `least` requests/s must be served [d, p] (None: what the plan's objective demands) by the servers that are left
    where `lost` [h] of each kind are gone (more than there are: all).
    """
    owned = _owned(p, fleet)
    does = {run.column: _does(p, run.column) for run in fleet.runs}
    left = owned if lost is None else np.maximum(owned - lost[:, np.newaxis], 0).astype(np.int64)
    used = _placed(p, fleet, left)
    _served(p, fleet, does, least)
    k, hours = p.kinds, p.kinds.hours
    charge = np.array([float((fleet.bought * k.charge[:, :, i]).sum()) for i in range(len(hours))])
    running = (owned * k.running).sum(axis=0)
    found = Audited(
        fleet, does, owned, used, capital=(fleet.bought * k.price).sum(axis=0), charge=charge, running=running,
        power=k.watts @ owned, racks=(owned / k.per_rack[:, np.newaxis]).sum(axis=0),
        kinds=int((owned.max(axis=1) > 0).sum()), value=0.0,
    )  # fmt: skip
    _limits(p, found)
    return Audited(**{**found.__dict__, "value": objective(p, found)})


def _owned(p: Prepared, fleet: Fleet) -> Ints:
    """Servers of each kind in each period: bought and still working, or installed and kept."""
    k, n = p.kinds, len(p.periods)
    for what, counts in (("bought", fleet.bought), ("kept", fleet.kept)):
        if counts.shape != (len(k.offers), n) or (counts < 0).any():
            raise AuditError(f"{what} = {counts.tolist()} is no count for each kind and period")
    _within("servers bought", fleet.bought, k.supply)
    _within("servers kept", fleet.kept, k.installed)
    if (np.diff(fleet.kept, axis=1) > 0).any():
        raise AuditError("an installed server was given up and taken back")
    owned = fleet.kept.copy()
    for b in range(n):
        owned[:, b : b + k.life] += fleet.bought[:, b : b + 1]
    return owned


def _within(what: str, used: Ints | Floats, allowed: Floats) -> None:
    if (used > allowed * (1 + EXACT)).any():
        raise AuditError(f"{what} = {used.tolist()} breaks the limit {allowed.tolist()}")


def _does(p: Prepared, c: Column) -> Serves:
    """What a replica does by the formulas for it alone, which must be what its column says."""
    of = p.demands[c.demand]
    offer = p.kinds.of(c.chip)
    found = serves(of, p.models[of.workload], p.supplies[of.workload], offer, c.phase, c.layout, c.batch,
                   within=c.meets)  # fmt: skip
    if abs(found.rate - c.rate) > 1e-6 * c.rate:
        raise AuditError(f"{of.workload}: {c.phase} on {c.chip} serves {found.rate!r} requests/s, not {c.rate!r}")
    if c.chips < c.layout.chips:
        raise AuditError(f"{of.workload}: {c.layout.chips} chips do not fit {c.parcels} parcels of {c.size}")
    return found


def _placed(p: Prepared, fleet: Fleet, owned: Ints) -> Ints:
    """Chips in use, after every parcel found a server with room."""
    used = np.zeros_like(owned)
    for h, name in enumerate(p.kinds.names):
        for i in range(len(p.periods)):
            here = [run for run in fleet.runs if run.column.chip == name and run.period == i]
            parcels = Counter[int]()
            for run in here:
                parcels[run.column.size] += run.column.parcels * run.replicas
            fill(int(owned[h, i]), int(p.kinds.chips[h]), parcels, f"{name} in {p.periods[i]}")
            used[h, i] = sum(size * n for size, n in parcels.items())
    return used


def fill(servers: int, chips: int, parcels: Mapping[int, int], where: str) -> None:
    """Put parcels (size -> count), the largest first, each into the fullest server that has room for it.

    Raises AuditError where one finds none.

    >>> fill(1, 8, {4: 1, 2: 2}, "here")
    >>> fill(2, 6, {4: 2, 2: 3}, "here")
    Traceback (most recent call last):
    codesign.facts.errors.AuditError: here: 1 of 3 parcels of 2 chips find no room
    """
    free = Counter({chips: servers})  # free chips -> servers
    for size in sorted(parcels, reverse=True):
        left = parcels[size]
        while left:
            room = min((room for room, n in free.items() if n and room >= size), default=0)
            if room == 0:
                raise AuditError(f"{where}: {left:,} of {parcels[size]:,} parcels of {size} chips find no room")
            each = min(room // size, left)
            filled = min(free[room], left // each)
            free[room] -= filled
            free[room - each * size] += filled
            left -= filled * each


def _served(p: Prepared, fleet: Fleet, does: Mapping[Column, Serves], least: Floats | None) -> None:
    """Every phase serves what is served, and the strict share of it within the limits."""
    if least is None:
        least = p.requests * float(p.plan.objective in ("cost", "power"))
    for d, of in enumerate(p.demands):
        for i, period in enumerate(p.periods):
            served, asked = float(fleet.served[d, i]), float(p.requests[d, i])
            if served > asked * (1 + EXACT) or served < float(least[d, i]) * (1 - EXACT):
                raise AuditError(f"{of.workload} in {period}: {served!r} of {asked!r} requests/s are served")
            here = [run for run in fleet.runs if run.column.demand == d and run.period == i]
            for phase in ("prefill", "decode"):
                able = capacity(here, does, phase)
                strictly = capacity([run for run in here if run.column.meets], does, phase)
                if able < served * (1 - EXACT) or strictly < served * p.strict(d) * (1 - EXACT):
                    raise AuditError(f"{of.workload} in {period}: {phase} for {able!r} requests/s, {strictly!r} within "
                                     f"its limits, of {served!r}")  # fmt: skip


def capacity(runs: Iterable[Run], does: Mapping[Column, Serves], phase: str) -> float:
    """Requests/s whose prompts (or outputs) the replicas compute."""
    return sum(run.replicas * does[run.column].rate for run in runs if run.column.phase in ("both", phase))


def _limits(p: Prepared, a: Audited) -> None:
    """AuditError for the first limit that is broken."""
    limits, n = p.plan.limits, len(p.periods)
    for name, used, values in (
        ("capital", a.capital, limits.capital), ("hourly", hourly(p, a), limits.hourly),
        ("power", a.power, limits.power), ("racks", a.racks, limits.racks),
    ):  # fmt: skip
        if values is not None:
            if np.isnan(used).any():
                raise AuditError(f"{name} is limited and the fleet's is unknown")
            _within(name, used, np.array([at(values, i) for i in range(n)], dtype=np.float64))
    if limits.kinds is not None and a.kinds > limits.kinds:
        raise AuditError(f"{a.kinds} kinds break the limit {limits.kinds}")
    if limits.one_kind_per_workload:
        for name in p.workloads:
            chips = {run.column.chip for run in a.fleet.runs if p.demands[run.column.demand].workload == name}
            if len(chips) > 1:
                raise AuditError(f"{name} is served by {', '.join(sorted(chips))}, one kind is allowed")
    if limits.second_source is not None and (most := largest_vendor(p, a.owned)) > 1 - limits.second_source + EXACT:
        raise AuditError(f"one vendor holds {most:.1%} of all chips")


def largest_vendor(p: Prepared, owned: Ints) -> float:
    """Largest share of all chips that one vendor has in any period."""
    vendors = [offer.chip.vendor for offer in p.kinds.offers]
    chips = owned * p.kinds.chips[:, np.newaxis]
    total = np.maximum(chips.sum(axis=0), 1e-300)
    return float(max((chips[[v == name for v in vendors]].sum(axis=0) / total).max() for name in set(vendors)))


def hourly(p: Prepared, a: Audited) -> Floats:
    """USD/h of each period."""
    result: Floats = (a.charge + a.running) / p.kinds.hours
    return result


def objective(p: Prepared, a: Audited) -> float:
    """The plan's objective in SI: USD, tokens per USD, USD of worth, or mean W."""
    asked, seconds = p.plan.objective, p.kinds.hours * 3600.0
    if asked == "cost":
        return a.cost
    if asked == "power":
        return float((a.power * p.kinds.hours).sum() / p.kinds.hours.sum())
    tokens = sum(float((a.fleet.served[d] * seconds).sum()) * of.length.output for d, of in enumerate(p.demands))
    if asked == "throughput-per-dollar":
        return tokens / a.cost if a.cost > 0 else 0.0
    worth = [(p.plan.workloads[of.workload].worth or 0.0) * of.length.output for of in p.demands]
    return float((a.fleet.served * seconds).sum(axis=1) @ np.array(worth))
