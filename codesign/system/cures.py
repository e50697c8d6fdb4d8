"""Nothing fits: which limit is in the way, and the nearest value of that limit alone that would work.

By closed form over the whole space, one limit lifted at a time and all others held.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from codesign.facts.document import CurePart
from codesign.facts.units import show, si
from codesign.system.columns import Servers, best_batch, fill_of, limits_of, most_replicas
from codesign.system.layouts import Floats
from codesign.system.query import Query, option_name
from codesign.system.spaces import AnySpace
from formulations.solvers.deadline import NEVER, Deadline, OutOfTime

UNITS = {"budget": "USD", "hourly": "USD/h", "power": "W", "chips": "1", "racks": "1", "replicas": "1",
         "users": "1", "user_speed": "tokens/s", "ttft": "s", "tensor": "1", "context": "tokens"}  # fmt: skip
SHARED = {"budget": "dollars", "hourly": "hourly", "power": "watts", "chips": "chips", "racks": "racks"}


@dataclass(frozen=True)
class Need:
    """For each layout: the fewest replicas that serve the users at pace, and the servers that they fill."""

    batch: Floats
    replicas: Floats
    servers: Floats  # with spares


def need(query: Query, space: AnySpace, servers: Servers) -> Need:
    """What each layout needs at least; NaN where it cannot run at that pace at all."""
    batch = best_batch(space, query.limits).astype(np.float64)
    batch[batch == 0] = np.nan
    users = 1.0 if query.limits.users is None else float(query.limits.users)
    replicas = np.ceil(users / (space.pipeline * batch))
    return Need(batch, replicas, servers.count(replicas) + query.spare_servers)


def _fits(query: Query, space: AnySpace, servers: Servers, n: Need, *, without: str = "") -> Any:
    fits = ~np.isnan(n.servers)
    for name, limit in limits_of(query).items():
        if SHARED.get(without) != name:
            fits &= n.servers * getattr(servers, name)[space.chip] <= limit * (1 + 1e-12)
    if query.limits.replicas is not None and without != "replicas":
        fits &= n.replicas <= query.limits.replicas
    return fits


@dataclass(frozen=True)
class Cures:
    """Limits whose change alone makes a query feasible, and the names of those not tried in the time given."""

    parts: tuple[CurePart, ...] = ()
    late: tuple[str, ...] = ()


def tried(looks: Iterable[tuple[str, Callable[[], list[CurePart]]]], deadline: Deadline) -> Cures:
    """Each look by the name of its limit; OutOfTime in one leaves it, and all after the deadline, for late."""
    parts: list[CurePart] = []
    late: list[str] = []
    for name, look in looks:
        try:
            deadline.check()
            parts += look()
        except OutOfTime:
            late.append(name)
    return Cures(tuple(parts), tuple(late))


def cures(
    query: Query, space: AnySpace, servers: Servers, respace: Callable[[Query], AnySpace],
    deadline: Deadline = NEVER,
) -> Cures:  # fmt: skip
    """Every single limit whose change alone makes the query feasible, with the value from which it does."""
    limits, n = query.limits, need(query, space, servers)
    looks: list[tuple[str, Callable[[], list[CurePart]]]] = [
        (limit, partial(_more, query, space, servers, n, respace, limit))
        for limit in SHARED if getattr(limits, limit) is not None
    ]  # fmt: skip
    if limits.replicas is not None:
        looks.append(("replicas", partial(_more_replicas, query, space, servers, n)))
    if limits.users is not None:
        looks.append(("users", partial(_fewer_users, query, space, servers, n)))
    looks += [(name, partial(_slower_users, query, space, servers, name))
              for name in ("user_speed", "ttft") if getattr(limits, name) is not None]  # fmt: skip
    if limits.tensor is not None:
        looks.append(("tensor", partial(_larger_groups, query, respace, servers)))
    looks.append(("context", partial(_shorter_context, query, respace, servers, deadline)))
    return tried(looks, deadline)


def _more(
    query: Query, space: AnySpace, servers: Servers, n: Need, respace: Callable[[Query], AnySpace], limit: str
) -> list[CurePart]:
    """The least of a shared limit with which something fits."""
    # a replica of more chips than the limit is no layout of `space`
    wide = respace(lifted(query, "chips")) if limit == "chips" else space
    filled = filled_by(servers, wide) if limit == "chips" else servers
    needed = need(query, wide, filled) if limit == "chips" else n
    fits = _fits(query, wide, filled, needed, without=limit)
    if not fits.any():
        return []
    least = float(np.min((needed.servers * getattr(servers, SHARED[limit])[wide.chip])[fits]))
    works = math.ceil(least - 1e-9) if limit == "racks" else least
    return [part(f"limits.{limit}", getattr(query.limits, limit), works)]


def _more_replicas(query: Query, space: AnySpace, servers: Servers, n: Need) -> list[CurePart]:
    fits = _fits(query, space, servers, n, without="replicas")
    if not fits.any():
        return []
    return [part("limits.replicas", query.limits.replicas, float(np.min(n.replicas[fits])))]


def lifted(query: Query, limit: str) -> Query:
    """The query without one of its limits."""
    return query.model_copy(update={"limits": query.limits.model_copy(update={limit: None})})


def _fewer_users(query: Query, space: AnySpace, servers: Servers, n: Need) -> list[CurePart]:
    with np.errstate(invalid="ignore"):
        users = most_replicas(query, space, servers) * space.pipeline * n.batch
    most = np.nanmax(np.where(np.isnan(users), 0.0, users), initial=0.0)
    return [part("limits.users", query.limits.users, float(most))] if most >= 1 else []


def _slower_users(query: Query, space: AnySpace, servers: Servers, name: str) -> list[CurePart]:
    """The best user speed (or time to first token) of any affordable layout at the smallest batch that serves."""
    most = most_replicas(query, space, servers)
    users = 1.0 if query.limits.users is None else float(query.limits.users)
    with np.errstate(divide="ignore", invalid="ignore"):
        batch = np.maximum(np.ceil(users / (most * space.pipeline)), 1.0)
    able = np.flatnonzero((space.reason == 0) & (most >= 1) & (batch <= space.room))
    able = able[space.within(batch[able], lifted(query, name).limits, able)]
    if len(able) == 0:
        return []
    asked, (step, _, first) = getattr(query.limits, name), space.times(batch[able], able)
    if name == "ttft":
        return [] if first is None else [part("limits.ttft", asked, float(np.min(first)))]
    return [part("limits.user_speed", asked, 1.0 / float(np.min(step)))]


def _larger_groups(
    query: Query, respace: Callable[[Query], AnySpace], servers: Servers
) -> list[CurePart]:
    space = respace(lifted(query, "tensor"))
    wider = filled_by(servers, space)
    fits = _fits(query, space, wider, need(query, space, wider))
    return [part("limits.tensor", query.limits.tensor, float(np.min(space.tensor[fits])))] if fits.any() else []


def _shorter_context(
    query: Query, respace: Callable[[Query], AnySpace], servers: Servers, deadline: Deadline
) -> list[CurePart]:
    """The longest context that works, by bisection: time and memory never fall as it grows."""

    def works(context: int) -> bool:
        deadline.check()
        shorter = query.at_context(context)
        space = respace(shorter)
        filled = filled_by(servers, space)
        return bool(_fits(shorter, space, filled, need(shorter, space, filled)).any())

    low, high = 1 if query.mode == "limit" else 2, query.context - 1
    if high < low or not works(low):
        return []
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if works(middle) else (low, middle - 1)
    return [part("context", query.context, float(low))]


def filled_by(servers: Servers, space: AnySpace) -> Servers:
    """The same servers, filled by another space of the same chips."""
    parcels, per_server = fill_of(space, servers.chips)
    return replace(servers, parcels=parcels, per_server=per_server)


def part(key: str, asked: float | None, works: float) -> CurePart:
    """The limit `key`, what was asked, and from which value on (SI) it would work, in words."""
    unit = UNITS[key.split(".")[-1]]
    fewer = key in ("limits.users", "limits.user_speed", "context")
    shown = _written(works, unit, -1 if fewer else 1)
    return CurePart(
        limit=key, asked=f"{option_name(key)} {show(float(asked or 0), unit)}",
        works=f"{'at most' if fewer else 'at least'} {shown}", value=works,
    )  # fmt: skip


def _written(works: float, unit: str, sign: int) -> str:
    """The value for people, rounded to the side that still works: they will type it."""
    if unit in ("1", "tokens"):
        return f"{works:,.0f}" + ("" if unit == "1" else " tokens")
    near = works
    while sign * (si(shown := show(near, unit), unit) - works) < 0:
        near *= 1 + sign * 1e-5
    return shown
