"""From a query's space of layouts to the columns of `formulations.best_system`, and back to true values.

A column is a layout with a replica count that can be best and a range of batches. Time of dense
layouts is straight in the batch; that of experts is replaced by a line below it on the range, so
the program's bound stays a bound, and `split` cuts the range where the line was too low.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codesign.facts.errors import UnboundedError
from codesign.facts.memo import by_identity
from codesign.system.layouts import Floats, Ints
from codesign.system.objective import KILO, MS, money
from codesign.system.offers import Offer
from codesign.system.query import Limits, Query
from codesign.system.spaces import AnySpace
from formulations import best_system

SMALLEST = 1.0        # batch
BOUNDING = "limits.budget, limits.hourly, limits.power, limits.chips, limits.racks or limits.replicas"


@dataclass(frozen=True)
class Servers:
    """What one server of each chip costs and takes, and how layouts fill servers; NaN is unknown, not needed."""

    dollars: Floats
    hourly: Floats
    watts: Floats
    chips: Floats
    racks: Floats
    parcels: Floats     # by layout: tensor groups of a replica, or servers where a group spans several
    per_server: Floats  # by layout

    def count(self, replicas: Floats, at: Any = slice(None)) -> Floats:
        """Whole servers that hold `replicas` of the layouts `at`."""
        result: Floats = np.ceil(self.parcels[at] * replicas / self.per_server[at] - 1e-9)
        return result


def servers_of(space: AnySpace, offers: tuple[Offer, ...]) -> Servers:
    """The bills of the offers, and the fill of servers by each layout of the space."""
    bills = [offer.bill for offer in offers]
    chips = np.array([b.chips for b in bills], dtype=np.float64)
    parcels, per_server = fill_of(space, chips)
    return Servers(
        dollars=np.array([np.nan if b.capital_usd is None else b.capital_usd for b in bills]),
        hourly=np.array([b.hourly_usd for b in bills]),
        watts=np.array([np.nan if b.power_w is None else b.power_w for b in bills]),
        chips=chips,
        racks=np.array([1.0 / o.chip.server.per_rack if o.chip.server else np.nan for o in offers]),
        parcels=parcels,
        per_server=per_server,
    )


def fill_of(space: AnySpace, chips: Floats) -> tuple[Floats, Floats]:
    """Parcels of a replica and parcels that a server holds, by layout; `chips` are those of a server, by chip.

    A parcel is the chips of a stage, or a whole server where they span several.
    """
    size = chips[space.chip]
    spans = space.group > size
    parcels = np.where(spans, space.pipeline * np.ceil(space.group / size), space.pipeline).astype(np.float64)
    return parcels, np.where(spans, 1.0, size // space.group)


def limits_of(query: Query) -> dict[str, float]:
    """The shared limits of a query by the name of `Servers`' array, in SI."""
    limits = query.limits
    named = {"dollars": limits.budget, "hourly": limits.hourly, "watts": limits.power,
             "chips": limits.chips, "racks": limits.racks}  # fmt: skip
    return {name: float(value) for name, value in named.items() if value is not None}


def counted_of(query: Query, servers: Servers) -> Floats:
    """What the objective counts of each server, by chip, in SI; ones where it counts nothing."""
    counted = query.objective.counted
    found: Floats = np.ones(len(servers.chips)) if counted is None else getattr(servers, counted.array)
    return found


def servers_in(servers: Servers, layout: Any, chip: Any) -> dict[str, Any]:
    """What every program asks of the servers of its columns, by its names: thousands of dollars, $/h, kW."""
    return {
        "parcels": servers.parcels[layout], "per_server": servers.per_server[layout],
        "dollars": servers.dollars[chip] * KILO, "hourly": servers.hourly[chip], "watts": servers.watts[chip] * KILO,
        "chips": servers.chips[chip], "racks": servers.racks[chip],
    }  # fmt: skip


def limits_in(query: Query) -> dict[str, Any]:
    """Every program's limits by its names: thousands of dollars, $/h, kW; None: no limit."""
    limit = query.limits

    def number(value: float | None, scale: float = 1.0) -> float | None:
        return None if value is None else float(value) * scale

    return {
        "users": number(limit.users), "budget": number(limit.budget, KILO), "hourly_budget": limit.hourly,
        "power": number(limit.power, KILO), "chip_limit": number(limit.chips), "rack_limit": number(limit.racks),
        "spares": float(query.spare_servers),
    }  # fmt: skip


def servers_in_limits(query: Query, servers: Servers) -> Floats:
    """Whole servers of each chip that the tightest limit allows, without the spares; infinite without a limit."""
    most = np.full(len(servers.chips), np.inf)
    for name, limit in limits_of(query).items():
        most = np.minimum(most, np.floor(limit * (1 + 1e-12) / getattr(servers, name)))
    left: Floats = np.maximum(most - query.spare_servers, 0.0)
    return left


def most_replicas(query: Query, space: AnySpace, servers: Servers) -> Floats:
    """Replicas of each layout that the tightest limit allows; infinite without a limit."""
    most = servers_in_limits(query, servers)[space.chip]
    fill = np.where(np.isinf(most), np.inf, np.floor(most * servers.per_server / servers.parcels))
    return np.minimum(fill, np.inf if query.limits.replicas is None else float(query.limits.replicas))


@by_identity(32)
def best_batch(space: AnySpace, limits: Limits) -> Ints:
    """Largest whole batch of each layout within its room and what users must get; 0 where there is none."""
    high = np.where(space.reason == 0, space.room, 0)
    if limits.user_speed is None and limits.ttft is None:
        return high
    possible = np.flatnonzero(high > 0)
    alive = possible[space.within(SMALLEST, limits, possible)]
    result = np.zeros(len(space), dtype=np.int64)
    low, high = np.ones(len(alive), dtype=np.int64), high[alive]
    while (low < high).any():
        middle = (low + high + 1) // 2
        fits = space.within(middle, limits, alive)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
    result[alive] = low
    return result


@dataclass(frozen=True)
class Columns:
    """The program's instance, and for each column its layout's position in the space, and true values.

    `true_batch` and `true_value` are the column's best in closed form, without lines (NaN: infeasible).
    """

    instance: best_system.Instance
    layout: Ints
    true_batch: Floats
    true_value: Floats

    def incumbent(self) -> tuple[int, float] | None:
        """Position and true value of the best column; ties go to the first."""
        if np.isnan(self.true_value).all():
            return None
        up = self.instance.objective == "ratio"
        best = int(np.nanargmax(self.true_value) if up else np.nanargmin(self.true_value))
        return best, float(self.true_value[best])


def columns_of(query: Query, space: AnySpace, servers: Servers) -> Columns:
    """All columns of a query. Raises UnboundedError where no limit bounds the objective."""
    limit = query.limits
    steps = query.mode == "limit"  # only there is the program's step what users wait for
    slowest_s = None if limit.user_speed is None or not steps else 1.0 / limit.user_speed
    most, batch = most_replicas(query, space, servers), best_batch(space, limit)
    alive = np.flatnonzero((batch > 0) & (most >= 1))
    _demand_limits(query, most[alive])
    objective, kind = query.objective, query.objective.kind
    at, replicas = _replica_options(query, space, servers, alive, most[alive])
    batches = batch[at].astype(np.float64)
    least = np.ones(len(at))
    if kind == "speed" and limit.users is not None:
        least = np.maximum(np.ceil(limit.users / (space.pipeline[at] * replicas)), 1.0)
    if kind == "cost":
        least = batches
    lines = [line * MS for line in space.lines(at, least, batches, kind)]
    chip = space.chip[at]
    price = money(query.dollars)
    total = servers.count(replicas, at) + query.spare_servers
    users = space.pipeline[at].astype(np.float64)
    each = counted_of(query, servers)[chip] * total / replicas * objective.scale
    served = {"ratio": users * replicas, "speed": users * replicas, "cost": users * batches}[kind]
    instance = best_system.Instance(
        columns=np.arange(len(at)),
        read_fixed=lines[0], read_slope=lines[1], compute_fixed=lines[2], compute_slope=lines[3],
        least_batch=least,
        most_batch=(batches if space.curved or kind == "cost" else space.room[at].astype(np.float64)),
        least_replicas=np.ones(len(at)) if kind == "cost" else replicas,
        most_replicas=replicas,
        gain=users if kind != "ratio" or objective.fills else users * replicas,
        rate=each if objective.fills else np.ones(len(at)),
        price=getattr(servers, price.array)[chip] * price.scale,
        served=served,
        objective=kind,
        slowest_step=None if slowest_s is None else slowest_s * MS,
        **servers_in(servers, at, chip), **limits_in(query),
    )  # fmt: skip
    return _with_truth(Columns(instance, at, batches, batches), space)


def _demand_limits(query: Query, most: Floats) -> None:
    """An objective that grows with the system needs a limit on it."""
    if len(most) == 0 or not np.isinf(most).any():
        return
    if why := query.objective.endless(query.spare_servers):
        raise UnboundedError(f"{why}; give one of {BOUNDING}")


def _replica_options(query: Query, space: AnySpace, servers: Servers, alive: Ints, most: Floats) -> tuple[Ints, Floats]:
    """Layout and replica count of every column.

    Speed, throughput and cost need only the most replicas. A ratio is best at the most replicas or
    at a smaller count that fills its servers better: walking down from the most, each count at which
    replicas per server exceed all counts above; one period of the fill holds them all.
    """
    users = 0.0 if query.limits.users is None else float(query.limits.users)
    holds, parcels = servers.per_server[alive], servers.parcels[alive]
    period = holds / np.gcd(holds.astype(int), parcels.astype(int))
    endless = np.maximum(np.ceil(users / space.pipeline[alive] / period), 1.0) * period
    most = np.where(np.isinf(most), endless, most)
    if not query.objective.fills:
        return alive, most
    at, counts = [alive], [most]
    spare = query.spare_servers
    best = most / (servers.count(most, alive) + spare)
    left = np.flatnonzero((period > 1) & (most > 1))
    for down in range(1, int(period.max(initial=1.0))):
        left = left[(period[left] > down) & (most[left] > down)]
        if len(left) == 0:
            break
        fewer = most[left] - down
        fill = fewer / (servers.count(fewer, alive[left]) + spare)
        better = fill > best[left] * (1 + 1e-12)
        at.append(alive[left[better]])
        counts.append(fewer[better])
        best[left] = np.maximum(best[left], fill)
    return np.concatenate(at), np.concatenate(counts)


def true_value(instance: best_system.Instance, space: AnySpace, layout: Ints, at: Ints, batch: Floats) -> Floats:
    """Objective of columns `at` (their layouts in `layout`) at whole batches, from the true step time."""
    if instance.objective == "speed":
        return space.step_s(batch, layout) * MS
    if instance.objective == "cost":
        users = 0.0 if instance.users is None else instance.users
        replicas = np.maximum(np.ceil(users / instance.served[at]), 1.0)
        servers = np.ceil(instance.parcels[at] * replicas / instance.per_server[at] - 1e-9)
        fits = replicas <= instance.most_replicas[at]
        return np.where(fits, instance.price[at] * (servers + instance.spares), np.nan)
    result: Floats = instance.gain[at] * batch / (instance.rate[at] * space.cycle_s(batch, layout) * MS)
    if instance.users is not None:
        result = np.where(instance.served[at] * batch < instance.users, np.nan, result)
    return result


def _with_truth(columns: Columns, space: AnySpace) -> Columns:
    """Fill in the closed-form best of every column: largest batch, smallest for speed, or just before a rise."""
    data, every = columns.instance, np.arange(len(columns.layout))
    batch = data.least_batch if data.objective == "speed" else columns.true_batch
    fits = batch <= columns.true_batch
    batch = np.where(fits, batch, columns.true_batch)
    value = np.where(fits, true_value(data, space, columns.layout, every, batch), np.nan)
    if data.objective == "ratio":
        needed = np.ones(len(every)) if data.users is None else np.maximum(np.ceil(data.users / data.served), 1.0)
        for here, peak in space.peaks(columns.layout, needed, columns.true_batch):
            there = true_value(data, space, columns.layout[here], here, peak)
            better = ~(there <= value[here]) & ~np.isnan(there)
            value[here[better]], batch[here[better]] = there[better], peak[better]
    return replace(columns, true_batch=batch, true_value=value)


def split(columns: Columns, space: AnySpace, label: int, batch: int) -> Columns:
    """Cut one column at `batch` into the batches below, the batch itself (exact), and the batches above."""
    data = columns.instance
    position = int(np.flatnonzero(data.columns == label)[0])
    at, low, high = int(columns.layout[position]), int(data.least_batch[position]), int(data.most_batch[position])
    ranges = [(b, e) for b, e in ((low, batch - 1), (batch, batch), (batch + 1, high)) if b <= e]
    keep = np.concatenate([np.arange(len(data.columns)), np.full(len(ranges) - 1, position)])
    spots = [position, *range(len(data.columns), len(keep))]
    wider = data.only(keep)
    lines = ("read_fixed", "read_slope", "compute_fixed", "compute_slope")
    changed = ("columns", "least_batch", "most_batch", *lines)
    fresh = {name: getattr(wider, name).copy() for name in changed}
    anchor = "low" if data.objective == "speed" else "high"
    for spot, (begin, end) in zip(spots, ranges, strict=True):
        fresh["columns"][spot] = label if spot == position else int(data.columns.max()) + 1 + spot - len(data.columns)
        fresh["least_batch"][spot], fresh["most_batch"][spot] = begin, end
        for name, value in zip(lines, space.line(at, begin, end, anchor), strict=True):
            fresh[name][spot] = value * MS
    return Columns(replace(wider, **fresh), columns.layout[keep], columns.true_batch[keep], columns.true_value[keep])


def replicas_needed(query: Query, columns: Columns, at: Any, stages: Any, batch: Any) -> Ints:
    """Replicas, of `stages`, of columns `at`: what limits allow for a ratio or throughput, else what the users need."""
    data, users = columns.instance, query.limits.users
    most = data.most_replicas[at]
    need = 1 if users is None else np.ceil(users / (stages * batch))
    if query.objective.fewest:
        found = np.minimum(most, need)
    elif limits_of(query) or query.limits.replicas is not None:
        found = most
    else:
        holds, parcels = data.per_server[at].astype(np.int64), data.parcels[at].astype(np.int64)
        period = holds // np.gcd(holds, parcels)
        found = np.minimum(most, np.maximum(1, np.ceil(need / period)) * period)
    result: Ints = found.astype(np.int64)
    return result


def shared_batch(query: Query, stages: int, most: int) -> int:
    """Smallest batch with which the fewest replicas, of `stages`, still serve the users asked for."""
    users = query.limits.users or 1
    replicas = math.ceil(users / (stages * most))
    return math.ceil(users / (stages * replicas))
