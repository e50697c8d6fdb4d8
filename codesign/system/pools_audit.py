"""Recompute a system of two pools without any solver.

`recompute` takes only what one would buy (chip, layout, batch and replicas of either pool) and derives all else from
the domain's formulas for one deployment.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from codesign.facts.errors import AuditError
from codesign.physics import achieved, prediction, serving
from codesign.physics.cost import dollars_per_mtok
from codesign.physics.prediction import Asked
from codesign.physics.workload import Model
from codesign.system import audit
from codesign.system.audit import System, Times
from codesign.system.offers import Supply
from codesign.system.pools import CAP, Prompts, cache_bytes
from codesign.system.query import Query
from codesign.system.serving_space import room

EXACT = 1e-12  # relative: replicas that a rate needs


@dataclass(frozen=True)
class Both:
    """A prefill pool (its batch is one prompt a stage) and a decode pool."""

    prefill: System
    decode: System


@dataclass(frozen=True)
class Share:
    """What one pool takes and does: `utilisation` of the time it works, `handled` requests/s of one replica."""

    servers: int
    servers_bought: int
    chips_bought: int
    racks: int
    handled: float
    link: float              # B/s of one replica
    linked: bool             # the link, not the chips, holds it up
    utilisation: float
    memory_bytes: float
    memory_limit: float


@dataclass(frozen=True)
class AuditedPools:
    """Everything that follows from two pools under a query, in SI; `used` and `allowed` by limit."""

    prefill: Share
    decode: Share
    prompts: Prompts
    time: Times              # of the decode pool
    cache_bytes: float
    rate: float              # requests/s
    users: int               # at once in the decode pool, at this rate
    throughput: float
    capital_usd: float | None
    hourly_usd: float
    usd_per_mtok: float
    power_w: float | None
    value: float = 0.0
    used: Mapping[str, float] | None = None
    allowed: Mapping[str, float] | None = None

    @property
    def user_speed(self) -> float:
        """Tokens/s of one user after the first token."""
        return 1.0 / self.time.step_s

    @property
    def wait_s(self) -> float:
        """Mean wait for a prefill replica."""
        return float(self.prompts.wait_s(self.prefill.utilisation))

    @property
    def ttft_s(self) -> float:
        """Mean time to first token."""
        return float(self.prompts.ttft_s(self.prefill.utilisation))

    @property
    def shares(self) -> tuple[Share, Share]:
        """Both pools."""
        return self.prefill, self.decode

    @property
    def chips_bought(self) -> int:
        """Of both pools, spares included."""
        return sum(share.chips_bought for share in self.shares)


def recompute(query: Query, model: Model, supply: Supply, both: Both) -> AuditedPools:
    """Derive rate, times, counts, money and the objective; AuditError naming the first limit that is broken."""
    if both.prefill.layout.kv != both.decode.layout.kv:
        raise AuditError(f"caches in {both.prefill.layout.kv} cannot be read in {both.decode.layout.kv}")
    size = cache_bytes(model, both.prefill.offer.chip, both.decode.layout.kv, query.input)
    prompts, held = _prompts(query, model, supply, both.prefill, size)
    time = _decoding(query, model, supply, both.decode)
    stays = (query.output - 1) * time.step_s
    places = both.decode.batch * both.decode.layout.pipeline
    cap = float(prompts.cap(query.limits.ttft))
    if cap <= 0:
        raise AuditError(f"ttft = {prompts.alone_s!r} without any wait breaks the limit {query.limits.ttft!r}")
    first = _share(query, both.prefill, cap / prompts.interval_s, size, held)
    last = _share(query, both.decode, places / stays, size, (time.memory_bytes, time.memory_limit))
    rate = min(first.handled * both.prefill.replicas, last.handled * both.decode.replicas)
    first = replace(first, utilisation=rate * prompts.interval_s / both.prefill.replicas)
    last = replace(last, utilisation=rate * stays / (places * both.decode.replicas))
    bills = [(s.offer.bill, x.servers_bought) for s, x in ((both.prefill, first), (both.decode, last))]
    capital = [None if bill.capital_usd is None else bill.capital_usd * n for bill, n in bills]
    power = [None if bill.power_w is None else bill.power_w * n for bill, n in bills]
    hourly = sum(bill.hourly_usd * n for bill, n in bills)
    throughput = rate * query.output
    found = AuditedPools(
        first, last, prompts, time, size, rate, math.floor(rate * stays * (1 + 1e-9)), throughput,
        _sum(capital), hourly, dollars_per_mtok(hourly, throughput, supply.economics.utilisation), _sum(power),
    )  # fmt: skip
    used, allowed = _limits(query, both, found)
    found = replace(found, value=query.objective.of(found), used=used, allowed=allowed)
    audit.check_limits(used, allowed)
    return found


def _sum(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _prompts(
    query: Query, model: Model, supply: Supply, s: System, size: float
) -> tuple[Prompts, tuple[float, float]]:
    """One prompt on the system's replicas, and (used, usable) bytes of its fullest chip."""
    chip, d, record = s.offer.chip, s.layout, supply.achieved
    if record is None:
        raise AuditError("two pools outside mode achieved")
    if chip.scale_out_bandwidth is None:
        raise AuditError(f"{chip.name} has no scale-out bandwidth to send caches over")
    asked = Asked(model, chip, d, 1, query.input, query.output, query.engine, query.release, d)
    rows = prediction.row_of(asked, record)
    service, fixed = achieved.pool_s(rows, achieved.constants_of(record).gather(rows))
    memory = serving.memory(model, chip, d, query.input)
    if room(memory, d) < 1:
        raise AuditError(f"a prompt for each of {d.pipeline} stages does not fit the memory of {chip.name}")
    held = memory.held_bytes(math.ceil(d.pipeline / d.data))
    send = size / (chip.scale_out_bandwidth * d.chips)
    return Prompts(float(service[0]), float(fixed[0]), send, d.pipeline), (held, memory.usable_bytes)


def _decoding(query: Query, model: Model, supply: Supply, s: System) -> Times:
    time = audit.achieved_times(query, model, supply, s.offer.chip, s.layout, s.batch)
    if s.batch > time.room:
        raise AuditError(f"batch {s.batch} exceeds the {time.room} users of a stage that can be held")
    return time


def _share(query: Query, s: System, speed: float, size: float, held: tuple[float, float]) -> Share:
    if s.offer.chip.scale_out_bandwidth is None:
        raise AuditError(f"{s.offer.chip.name} has no scale-out bandwidth to move caches over")
    servers = audit.servers_for(s.offer, s.layout, s.replicas)
    bought = servers + query.spare_servers
    link = s.offer.chip.scale_out_bandwidth * s.layout.chips
    carried = math.inf if size == 0 else link / size
    per_rack = s.offer.chip.server.per_rack if s.offer.chip.server else 1
    return Share(
        servers, bought, bought * s.offer.bill.chips, math.ceil(bought / per_rack), min(speed, carried), link,
        carried < speed, 0.0, *held,
    )  # fmt: skip


def _limits(query: Query, both: Both, a: AuditedPools) -> tuple[dict[str, float], dict[str, float]]:
    """What each limit that is in force allows, and what the system takes of it."""
    limits, pools = query.limits, (both.prefill, both.decode)
    racks = sum(x.servers_bought / (s.offer.chip.server.per_rack if s.offer.chip.server else 1)
                for s, x in zip(pools, a.shares, strict=True))  # fmt: skip
    return audit.in_force({
        "budget": (a.capital_usd, limits.budget), "hourly": (a.hourly_usd, limits.hourly),
        "power": (a.power_w, limits.power), "chips": (a.chips_bought, limits.chips),
        "racks": (math.ceil(racks - 1e-9), limits.racks),
        "replicas": (max(s.replicas for s in pools), limits.replicas),
        "tensor": (max(s.layout.tensor for s in pools), limits.tensor),
        "user_speed": (a.user_speed, limits.user_speed), "users": (a.users, limits.users),
        "ttft": (a.ttft_s, limits.ttft),
        "prefill_memory": (a.prefill.memory_bytes, a.prefill.memory_limit),
        "memory": (a.decode.memory_bytes, a.decode.memory_limit),
        "prefill_time": (a.prefill.utilisation, CAP), "decode_time": (a.decode.utilisation, 1.0),
        "sent": (a.rate * a.cache_bytes, a.prefill.link * both.prefill.replicas),
        "received": (a.rate * a.cache_bytes, a.decode.link * both.decode.replicas),
    })  # fmt: skip


def grown(query: Query, both: Both, a: AuditedPools) -> dict[str, float]:
    """What the same two columns would take of every shared limit at their next higher rate."""
    slower = min((x.handled * s.replicas, x.handled) for x, s in _pairs_of(both, a))
    taken: dict[str, float] = dict.fromkeys(("budget", "hourly", "power", "chips", "racks", "replicas"), 0.0)
    for x, s in _pairs_of(both, a):
        replicas = max(math.ceil((slower[0] + slower[1]) / x.handled * (1 - EXACT)), s.replicas)
        bought, bill = audit.servers_for(s.offer, s.layout, replicas) + query.spare_servers, s.offer.bill
        taken["budget"] += (bill.capital_usd or 0.0) * bought
        taken["hourly"] += bill.hourly_usd * bought
        taken["power"] += (bill.power_w or 0.0) * bought
        taken["chips"] += bill.chips * bought
        taken["racks"] += bought / (s.offer.chip.server.per_rack if s.offer.chip.server else 1)
        taken["replicas"] = max(taken["replicas"], float(replicas))
    return taken


def _pairs_of(both: Both, a: AuditedPools) -> tuple[tuple[Share, System], tuple[Share, System]]:
    return (a.prefill, both.prefill), (a.decode, both.decode)
