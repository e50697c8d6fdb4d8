"""Look at every pair of columns of two pools and every useful replica count: the enumeration behind an optimum."""

import math
from typing import Any

import numpy as np

from codesign.system.audit import Enumerated
from codesign.system.columns import counted_of, limits_of
from codesign.system.layouts import Floats, Ints, portions
from codesign.system.pools import Pools
from codesign.system.query import Query
from formulations.solvers.deadline import NEVER, Deadline

MOST_POINTS = 4_000_000  # a few seconds
CHUNK = 400_000          # points held at once
EXACT = 1e-12            # relative: replicas that a rate needs, limits that are met


def enumerate_pairs(
    query: Query, pools: Pools, columns: Ints, deadline: Deadline = NEVER
) -> Enumerated | None:
    """Every pair of `columns`, each count of one pool with the fewest of the other that match it.

    More replicas than match the other pool's add nothing, so no other counts are useful. None where that would be
    more than MOST_POINTS. Raises OutOfTime.
    """
    most = _most(query, pools)
    first, last = columns[columns < pools.split], columns[columns >= pools.split]
    if len(first) * len(last) > MOST_POINTS:
        return None
    i, j = (x.ravel() for x in np.meshgrid(first, last, indexing="ij"))
    reach = pools.handled * most
    counts = [np.minimum(most[a], np.ceil(np.minimum(reach[b], 1e300) / pools.handled[a])) for a, b in ((i, j), (j, i))]
    points = sum(float(x.sum()) for x in counts)
    if points > MOST_POINTS:
        return None
    up, best = query.objective.up, None
    for (own, other), several in zip(((i, j), (j, i)), counts, strict=True):
        for here, turn in portions(several.astype(np.int64), CHUNK):
            deadline.check()
            values = _values(query, pools, most, own[here], other[here], (turn + 1).astype(np.float64))
            if not np.isnan(values).all():
                top = float(np.nanmax(values) if up else np.nanmin(values))
                best = top if best is None else max(best, top) if up else min(best, top)
    return Enumerated(best, int(points))


def _most(query: Query, pools: Pools) -> Floats:
    """Replicas of each column that the limits allow it alone; for the cheapest system, no more than all users need."""
    s = pools.servers
    servers = np.full(len(s.chips), np.inf)
    for name, limit in limits_of(query).items():
        servers = np.minimum(servers, np.floor(limit * (1 + EXACT) / getattr(s, name)))
    fill = np.floor((servers - query.spare_servers)[pools.chip] * s.per_server[pools.layout] / s.parcels[pools.layout])
    most = np.minimum(fill, math.inf if query.limits.replicas is None else query.limits.replicas)
    if query.objective.kind == "cost":
        most = np.minimum(most, np.ceil(pools.need(query.limits.users).max(initial=0.0) / pools.handled))
    return np.maximum(most, 0.0)


def _values(query: Query, pools: Pools, most: Floats, a: Ints, b: Ints, replicas: Floats) -> Any:
    """Objective (SI) with `replicas` of the columns `a` and the fewest of `b` that match them; NaN: infeasible."""
    handled = pools.handled
    rate = handled[a] * replicas
    others = np.maximum(np.ceil(rate / handled[b] * (1 - EXACT)), 1.0)
    rate = np.minimum(rate, handled[b] * others)
    fits = (others <= most[b]) & (rate >= pools.need(query.limits.users)[np.maximum(a, b)] * (1 - EXACT))
    bought = [pools.servers.count(n, pools.layout[c]) + query.spare_servers for c, n in ((a, replicas), (b, others))]

    def total(each: Floats) -> Floats:
        result: Floats = each[pools.chip[a]] * bought[0] + each[pools.chip[b]] * bought[1]
        return result

    for name, limit in limits_of(query).items():
        fits &= total(getattr(pools.servers, name)) <= limit * (1 + EXACT)
    if query.objective.counted is None:
        return np.where(fits, rate * query.output, np.nan)
    paid = total(counted_of(query, pools.servers))
    return np.where(fits, paid if query.objective.kind == "cost" else rate * query.output / paid, np.nan)
