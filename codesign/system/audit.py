"""Recompute an answer without any solver, and look at every layout, batch and replica count there is.

`recompute` takes only what one would buy (chip, layout, batch, replicas) and derives all else from
the domain's formulas. `enumerate_all` is the complete enumeration behind a query's optimum.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.facts.errors import AuditError
from codesign.physics import achieved, performance, prediction, serving
from codesign.physics.cost import dollars_per_mtok
from codesign.physics.hardware import Chip
from codesign.physics.layout import Layout
from codesign.physics.prediction import Asked
from codesign.physics.workload import Model
from codesign.system.columns import Servers, counted_of, limits_of
from codesign.system.layouts import meets, portions
from codesign.system.offers import Offer, Supply
from codesign.system.query import Query
from codesign.system.serving_space import cycle_s, room
from codesign.system.spaces import AnySpace
from formulations.solvers.deadline import NEVER, Deadline

AGREE = 1e-6  # relative
CHUNK = 50_000  # points of the enumeration held at once
EACH = 1000     # layouts between two looks at the clock
# Layouts and batches that are still enumerated: 10 to 20 s, at 10 to 25 million a second of one core (mode achieved: a
# minute). Short contexts have many more: 57 thousand million with a context of one token.
MOST_POINTS = 200_000_000


@dataclass(frozen=True)
class System:
    """What one would buy and run."""

    offer: Offer
    layout: Layout
    batch: int
    replicas: int


@dataclass(frozen=True)
class Times:
    """What users of a replica get and what its chips hold: seconds and bytes.

    `cycle_s` is the time in which each user gets a token with all waits shared out; `busy` are shares of a step.
    """

    step_s: float
    cycle_s: float
    ttft_s: float | None
    busy: Mapping[str, float]
    room: int
    memory_bytes: float
    memory_limit: float
    band_s: tuple[float, float] | None = None


@dataclass(frozen=True)
class Audited:
    """Everything that follows from a system under a query, in SI; `used` and `allowed` by limit."""

    time: Times
    servers: int
    servers_bought: int
    chips_bought: int
    racks: int
    users: int
    throughput: float
    capital_usd: float | None
    hourly_usd: float
    usd_per_mtok: float
    power_w: float | None
    value: float
    used: Mapping[str, float]
    allowed: Mapping[str, float]

    @property
    def user_speed(self) -> float:
        """Tokens/s of one user."""
        return 1.0 / self.time.step_s


def servers_for(offer: Offer, layout: Layout, replicas: int) -> int:
    """Whole servers that hold the replicas; tensor groups are not split over servers where one holds them."""
    size = offer.bill.chips
    if layout.stage_chips <= size:
        return math.ceil(replicas * layout.pipeline / (size // layout.stage_chips))
    return replicas * layout.pipeline * math.ceil(layout.stage_chips / size)


def recompute(query: Query, model: Model, supply: Supply, system: System) -> Audited:
    """Derive times, counts, money and the objective; raises AuditError naming the first limit that is broken."""
    offer, layout, batch = system.offer, system.layout, system.batch
    achieved = query.mode == "achieved"
    time = achieved_times(query, model, supply, offer.chip, layout, batch) if achieved else _limit_times(
        query, model, system)  # fmt: skip
    servers = servers_for(offer, layout, system.replicas)
    bought = servers + query.spare_servers
    bill, users = offer.bill, system.replicas * layout.pipeline * batch
    throughput = users / time.cycle_s
    capital = None if bill.capital_usd is None else bought * bill.capital_usd
    per_rack = offer.chip.server.per_rack if offer.chip.server else 1
    audited = Audited(
        time=time, servers=servers, servers_bought=bought, chips_bought=bought * bill.chips,
        racks=math.ceil(bought / per_rack), users=users, throughput=throughput,
        capital_usd=capital, hourly_usd=bought * bill.hourly_usd,
        usd_per_mtok=dollars_per_mtok(bought * bill.hourly_usd, throughput, supply.economics.utilisation),
        power_w=None if bill.power_w is None else bought * bill.power_w,
        value=0.0, used={}, allowed={},
    )  # fmt: skip
    used, allowed = _limits(query, system, audited)
    value = query.objective.of(audited)
    result = Audited(**{**audited.__dict__, "value": value, "used": used, "allowed": allowed})
    check_limits(used, allowed)
    return result


def _limit_times(query: Query, model: Model, system: System) -> Times:
    chip, layout, batch = system.offer.chip, system.layout, system.batch
    time = performance.decode_step(model, chip, layout, batch, query.context)
    held = performance.weights_bytes(model, layout)
    held += layout.pipeline * batch * performance.user_bytes(model, layout, query.context)
    room = performance.room(model, chip, layout, query.context)
    return Times(time.step_s, time.step_s, None, time.shares(), room, held, performance.needed(chip, "usable_bytes"))


def achieved_times(query: Query, model: Model, supply: Supply, chip: Chip, d: Layout, batch: int) -> Times:
    """As a prediction of this one deployment says, prompts computed where the query's phases say."""
    record = supply.achieved
    if record is None:
        raise AuditError("mode achieved without constants")
    users = batch * d.pipeline
    asked = Asked(model, chip, d, users, query.input, query.output, query.engine, query.release,
                  None if query.phases == "aggregated" else d)  # fmt: skip
    rows = prediction.row_of(asked, record)
    k = achieved.constants_of(record).gather(rows)
    step, terms = float(achieved.tpot_s(rows, k)[0]), achieved.terms(rows, k)
    ttft = float(achieved.ttft_s(rows, k)[0]) if query.phases == "aggregated" else None
    memory = serving.memory(model, chip, d, query.input + query.output)
    held = memory.held_bytes(math.ceil(users / d.data))
    low, high = prediction.band_of(record, query.engine)
    return Times(
        step, step if ttft is None else cycle_s(step, ttft, query.output), ttft,
        {name: float(value[0]) / step for name, value in terms.items()}, room(memory, d), held, memory.usable_bytes,
        (step * low, step * high),
    )  # fmt: skip


def _limits(query: Query, system: System, a: Audited) -> tuple[dict[str, float], dict[str, float]]:
    """What each limit that is in force allows, and what the system takes of it."""
    limits = query.limits
    return in_force({
        "budget": (a.capital_usd, limits.budget), "hourly": (a.hourly_usd, limits.hourly),
        "power": (a.power_w, limits.power), "chips": (a.chips_bought, limits.chips), "racks": (a.racks, limits.racks),
        "replicas": (system.replicas, limits.replicas), "tensor": (system.layout.tensor, limits.tensor),
        "user_speed": (a.user_speed, limits.user_speed), "users": (a.users, limits.users),
        "memory": (a.time.memory_bytes, a.time.memory_limit), "ttft": (a.time.ttft_s, limits.ttft),
    })  # fmt: skip


def in_force(
    taken: Mapping[str, tuple[float | None, float | None]],
) -> tuple[dict[str, float], dict[str, float]]:
    """What is used and what is allowed of each limit that is given, from (amount, limit) by name."""
    used, allowed = {}, {}
    for name, (amount, limit) in taken.items():
        if limit is not None:
            if amount is None:
                raise AuditError(f"{name} is limited and the system's is unknown")
            used[name], allowed[name] = float(amount), float(limit)
    return used, allowed


def check_limits(used: Mapping[str, float], allowed: Mapping[str, float]) -> None:
    """AuditError naming the first limit that is broken."""
    for name, limit in allowed.items():
        amount, at_least = used[name], name in ("user_speed", "users")
        broken = amount < limit * (1 - 1e-9) if at_least else amount > limit * (1 + 1e-9)
        if broken:
            raise AuditError(f"{name} = {amount!r} breaks the limit {limit!r}")


def agree(what: str, audited: float, claimed: float) -> None:
    """AuditError unless two numbers that must be one are, to 1e-6."""
    if not math.isclose(audited, claimed, rel_tol=AGREE):
        raise AuditError(f"{what}: {audited!r} by the audit, {claimed!r} by the program")


@dataclass(frozen=True)
class Enumerated:
    """Best objective (SI) over all layouts, batches and replica counts, and how many points that was."""

    value: float | None
    points: int


def enumerate_all(
    query: Query, space: AnySpace, servers: Servers, deadline: Deadline = NEVER
) -> Enumerated | None:
    """Complete enumeration: every layout that fits, every batch up to its room, every affordable count.

    None where that is more than MOST_POINTS layouts and batches. Raises OutOfTime.
    """
    up = query.objective.kind == "ratio"
    most = _affordable(query, space, servers)
    alive = np.flatnonzero((space.reason == 0) & (most >= 1))
    if (points := int(space.room[alive].sum())) > MOST_POINTS:
        return None
    fills = _fills(query, space, servers, alive, most, deadline)
    best = None
    for index, turn in portions(space.room[alive], CHUNK):
        deadline.check()
        values = _values(query, space, servers, alive[index], turn + 1, fills, index)
        if not np.isnan(values).all():
            top = float(np.nanmax(values) if up else np.nanmin(values))
            best = top if best is None else max(best, top) if up else min(best, top)
    if best is not None and query.objective.kind == "speed":
        best = 1.0 / best
    return Enumerated(best, points)


def _affordable(query: Query, space: AnySpace, servers: Servers) -> Any:
    """Most replicas within every limit by whole servers; without a limit, one full period beyond the users."""
    most = np.full(len(space), np.inf)
    for name, limit in limits_of(query).items():
        each = getattr(servers, name)[space.chip]
        most = np.minimum(most, np.floor(limit / each * (1 + 1e-12)))
    most = np.floor((most - query.spare_servers) * servers.per_server / servers.parcels)
    most = np.minimum(most, np.inf if query.limits.replicas is None else query.limits.replicas)
    users = 1 if query.limits.users is None else query.limits.users
    return np.where(np.isinf(most), np.ceil(users / space.pipeline) + servers.per_server, most)


@dataclass(frozen=True)
class _Fills:
    """The most replicas of each layout looked at, and how much r replicas or more do for one unit of batch.

    `flat[offset + i]` is of r = least + i, up to `size` of them: beyond the replicas that any batch needs nothing is
    asked. Empty for a cost, which follows from the replicas themselves, and for a speed, which does not.
    """

    most: Any
    least: Any
    offset: Any
    size: Any
    flat: Any


def _fills(query: Query, space: AnySpace, servers: Servers, alive: Any, most: Any, deadline: Deadline) -> _Fills:
    """Counts within two periods of the most, or all where that is fewer: a smaller count with the same fill of its
    servers is no better, since spares weigh less in a larger system."""
    counts = most[alive]
    least = np.maximum(counts - 2 * servers.per_server[alive], 1.0)
    nothing = np.zeros(len(alive), dtype=np.int64)
    if query.objective.fewest:
        return _Fills(counts, least, nothing, nothing, np.zeros(0))
    users = 1 if query.limits.users is None else query.limits.users
    needed = np.minimum(counts, np.ceil(users / space.pipeline[alive]))
    size = np.maximum(needed - least, 0.0).astype(np.int64) + 1
    each, found = counted_of(query, servers)[space.chip[alive]], []
    for i, at in enumerate(alive.tolist()):
        if i % EACH == 0:
            deadline.check()
        replicas = np.arange(least[i], counts[i] + 1)
        gain = replicas
        if query.objective.fills:
            gain = replicas / ((servers.count(replicas, at) + query.spare_servers) * each[i])
        found.append(np.maximum.accumulate(gain[::-1])[::-1][: size[i]])
    flat = np.concatenate(found) if found else np.zeros(0)
    return _Fills(counts, least, np.cumsum(size) - size, size, flat)


def _values(query: Query, space: AnySpace, servers: Servers, at: Any, batch: Any, fills: _Fills, of: Any) -> Any:
    """Objective of each point (NaN: infeasible), of the layouts `at` whose fills are at `of`; for user-speed the step.

    A batch needs some replicas to serve the users: a cost is that of as many, a ratio the best of as many or more.
    """
    users = space.pipeline[at] * batch
    need = np.ones(len(at)) if query.limits.users is None else np.ceil(query.limits.users / users)
    step, cycle, first = space.times(batch, at)
    fits = (need <= fills.most[of]) & meets(query.limits, step, first)
    if query.objective.kind == "speed":
        value = step
    elif query.objective.kind == "cost":
        value = (servers.count(need, at) + query.spare_servers) * counted_of(query, servers)[space.chip[at]]
    else:
        more = np.clip(need - fills.least[of], 0, fills.size[of] - 1).astype(np.int64)
        value = fills.flat[fills.offset[of] + more] * users / cycle
    return np.where(fits, value, np.nan)
