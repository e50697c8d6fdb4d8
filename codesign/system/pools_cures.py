"""No two pools fit: which limit is in the way, and the nearest value of that limit alone that would work.

In closed form over all pairs of columns, one limit lifted at a time and all others held. A pair serves its users with
the fewest replicas of either pool that their rate needs; without users, with one of each.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from codesign.facts.document import CurePart
from codesign.system.columns import limits_of
from codesign.system.cures import SHARED, Cures, lifted, part, tried
from codesign.system.layouts import Floats, Ints
from codesign.system.pools import Pools, prompts_of, undominated
from codesign.system.query import Query
from formulations.solvers.deadline import NEVER, Deadline

IDLE = 0.01    # share of time that a prefill replica must be free to work for the first token to count as in time
EXACT = 1e-12  # relative


@dataclass(frozen=True)
class Pairs:
    """Pairs of a prefill column `i` and a decode column `j`."""

    i: Ints
    j: Ints


def cures(
    query: Query, pools: Pools, kept: Ints, repool: Callable[[Query], Pools], deadline: Deadline = NEVER
) -> Cures:
    """Every single limit whose change alone makes the query feasible, with the value from which it does.

    `pools` are those of the query, of which no other column dominates those at `kept`.
    """
    limits, pairs = query.limits, _pairs(kept, pools)
    looks: list[tuple[str, Callable[[], list[CurePart]]]] = [
        (limit, partial(_more, query, pools, pairs, repool, limit))
        for limit in SHARED if getattr(limits, limit) is not None
    ]  # fmt: skip
    if limits.replicas is not None:
        looks.append(("replicas", partial(_more_replicas, query, pools, pairs)))
    if limits.users is not None:
        looks.append(("users", partial(_fewer_users, query, pools, pairs, deadline)))
    if limits.user_speed is not None:
        looks.append(("user_speed", partial(_slower_users, query, repool, deadline)))
    if limits.ttft is not None:
        looks.append(("ttft", partial(_later_token, query, repool)))
    if limits.tensor is not None:
        looks.append(("tensor", partial(_larger_groups, query, repool, deadline)))
    return tried(looks, deadline)


def _more(query: Query, pools: Pools, pairs: Pairs, repool: Callable[[Query], Pools], limit: str) -> list[CurePart]:
    """The least of a shared limit with which something fits."""
    # a replica of more chips than the limit is no layout of the pools
    wide = repool(lifted(query, "chips")) if limit == "chips" else pools
    some = _pairs(undominated(wide), wide) if limit == "chips" else pairs
    fits, taken, _ = _fits(query, wide, some, _need(query, wide, some), without=limit)
    if not fits.any():
        return []
    least = float(np.min(taken[SHARED[limit]][fits]))
    works = math.ceil(least - 1e-9) if limit == "racks" else least
    return [part(f"limits.{limit}", getattr(query.limits, limit), works)]


def _more_replicas(query: Query, pools: Pools, pairs: Pairs) -> list[CurePart]:
    fits, _, replicas = _fits(query, pools, pairs, _need(query, pools, pairs), without="replicas")
    return [part("limits.replicas", query.limits.replicas, float(np.min(replicas[fits])))] if fits.any() else []


def _pairs(columns: Ints, pools: Pools) -> Pairs:
    i, j = np.meshgrid(columns[columns < pools.split], columns[columns >= pools.split], indexing="ij")
    return Pairs(i.ravel(), j.ravel())


def _need(query: Query, pools: Pools, pairs: Pairs) -> Floats:
    return pools.need(query.limits.users)[pairs.j]


def _fewest(rate: Floats, handled: Floats) -> Floats:
    result: Floats = np.maximum(np.ceil(rate / handled * (1 - EXACT)), 1.0)
    return result


def _fits(query: Query, pools: Pools, pairs: Pairs, need: Floats, *, without: str = "") -> tuple[Any, Any, Floats]:
    """Whether pairs that serve `need` keep all limits but one; what they take of each; their larger pool's replicas."""
    replicas = [_fewest(need, pools.handled[c]) for c in (pairs.i, pairs.j)]
    return _within(query, pools, (pools.layout[pairs.i], pools.layout[pairs.j]), replicas, without)


def _within(
    query: Query, pools: Pools, layouts: tuple[Ints, Ints], replicas: list[Floats], without: str
) -> tuple[Any, Any, Floats]:
    s, fits, taken = pools.servers, np.ones(len(layouts[0]), dtype=bool), {}
    bought = [s.count(n, at) + query.spare_servers for n, at in zip(replicas, layouts, strict=True)]
    for name, limit in limits_of(query).items():
        each = getattr(s, name)
        taken[name] = sum(each[pools.decode.chip[at]] * n for at, n in zip(layouts, bought, strict=True))
        if SHARED.get(without) != name:
            fits &= taken[name] <= limit * (1 + EXACT)
    larger = np.maximum(*replicas)
    if query.limits.replicas is not None and without != "replicas":
        fits &= larger <= query.limits.replicas
    return fits, taken, larger


def _fewer_users(query: Query, pools: Pools, pairs: Pairs, deadline: Deadline) -> list[CurePart]:
    """The most users of any pair, by bisection: fewer users never need more."""
    pace = pools.pace[pairs.j]
    low, high = np.zeros(len(pairs.j)), np.full(len(pairs.j), float(query.limits.users or 0))
    while len(high) and (low < high).any():
        deadline.check()
        middle = np.ceil((low + high) / 2)
        fits, _, _ = _fits(query, pools, pairs, middle * pace)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
    most = float(low.max(initial=0.0))
    return [part("limits.users", query.limits.users, most)] if most >= 1 else []


def _slower_users(query: Query, repool: Callable[[Query], Pools], deadline: Deadline) -> list[CurePart]:
    """The best user speed of any pair, at the smallest batch that serves the users: a larger one never needs more."""
    pools = repool(lifted(query, "user_speed"))
    first = undominated(pools)
    able = np.unique(pools.layout[pools.split :])
    i, at = (x.ravel() for x in np.meshgrid(first[first < pools.split], able, indexing="ij"))
    users, wide = query.limits.users or 0, pools.decode.group * pools.decode.pipeline
    bandwidth = np.array([c.scale_out_bandwidth or np.nan for c in pools.decode.chips])

    def fits(batch: Ints) -> tuple[Any, Floats]:
        points, back = np.unique(np.stack([at, batch]), axis=1, return_inverse=True)
        step = pools.decode.step_s(points[1].astype(np.float64), points[0])[back.ravel()]
        stays = (query.output - 1) * step
        handled = batch * pools.decode.pipeline[at] / stays
        if pools.cache_bytes:
            handled = np.minimum(handled, (bandwidth[pools.decode.chip] * wide)[at] / pools.cache_bytes)
        replicas = [_fewest(users / stays, pools.handled[i]), _fewest(users / stays, handled)]
        return _within(query, pools, (pools.layout[i], at), replicas, "")[0], step

    low, high = np.ones(len(at), dtype=np.int64), pools.decode.room[at].astype(np.int64)
    able_at_all = fits(high)[0] if len(at) else np.zeros(0, dtype=bool)
    i, at, low, high = i[able_at_all], at[able_at_all], low[able_at_all], high[able_at_all]
    while (low < high).any():
        deadline.check()
        middle = (low + high) // 2
        good, _ = fits(middle)
        low, high = np.where(good, low, middle + 1), np.where(good, middle, high)
    if len(at) == 0:
        return []
    return [part("limits.user_speed", query.limits.user_speed, 1.0 / float(np.min(fits(low)[1])))]


def _later_token(query: Query, repool: Callable[[Query], Pools]) -> list[CurePart]:
    """The soonest mean first token of any pair: as many prefill replicas as the limits leave beside its decode pool."""
    pools = repool(lifted(query, "ttft"))
    last, s = undominated(pools), pools.servers
    pairs = _pairs(np.concatenate([np.arange(pools.split), last[last >= pools.split]]), pools)
    need, layouts = _need(query, pools, pairs), (pools.layout[pairs.i], pools.layout[pairs.j])
    fits, _, _ = _fits(query, pools, pairs, need)
    beside = s.count(_fewest(need, pools.handled[pairs.j]), layouts[1]) + query.spare_servers
    room = np.full(len(need), np.inf)
    for name, limit in limits_of(query).items():
        each = getattr(s, name)
        left = limit * (1 + EXACT) - each[pools.chip[pairs.j]] * beside
        room = np.minimum(room, np.floor(left / each[pools.chip[pairs.i]] * (1 + EXACT)) - query.spare_servers)
    most = np.floor(room * s.per_server[layouts[0]] / s.parcels[layouts[0]])
    most = np.minimum(most, math.inf if query.limits.replicas is None else query.limits.replicas)
    if not fits.any():
        return []
    prompts = prompts_of(pools.prefill, layouts[0][fits], pools.cache_bytes, pools.link[pairs.i][fits])
    rho = np.maximum(need[fits] * prompts.interval_s / np.maximum(most[fits], 1.0), IDLE)
    return [part("limits.ttft", query.limits.ttft, float(np.min(prompts.ttft_s(rho))))]


def _larger_groups(query: Query, repool: Callable[[Query], Pools], deadline: Deadline) -> list[CurePart]:
    """The smallest degree that works: columns up to each degree in turn, since a larger one may dominate them."""
    pools = repool(lifted(query, "tensor"))
    degree = pools.decode.tensor[pools.layout]
    for tensor in np.unique(degree).tolist():
        deadline.check()
        pairs = _pairs(undominated(pools, np.flatnonzero(degree <= tensor)), pools)
        if _fits(query, pools, pairs, _need(query, pools, pairs))[0].any():
            return [part("limits.tensor", query.limits.tensor, float(tensor))]
    return []
