"""Which limits contradict each other: every smallest set that nothing satisfies, by closed form over all layouts.

Limits are few and the closed form decides a set of them in milliseconds, so sets are tried from the smallest up, and
none that holds a set already found. The chips on offer stay those of the query, whichever limits are left away.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from codesign.system.columns import Servers
from codesign.system.cures import SHARED, Need, filled_by, need
from codesign.system.layouts import Floats
from codesign.system.query import Query
from codesign.system.spaces import AnySpace
from formulations.solvers.deadline import NEVER, Deadline

LIMITS = ("budget", "hourly", "power", "chips", "racks", "replicas", "tensor", "users", "user_speed", "ttft")
AT_LEAST = ("users", "user_speed")
WHOLE = ("chips", "racks", "replicas", "tensor", "users")
ROUNDING = 1e-12  # relative: a limit missed by less is met
MOST_SETS = 20


def limits_set(query: Query) -> tuple[str, ...]:
    """Names of the limits that a query sets."""
    return tuple(name for name in LIMITS if getattr(query.limits, name) is not None)


def with_limits(query: Query, values: Mapping[str, Any]) -> Query:
    """The query with these limits in place of its own of the same names."""
    return query.model_copy(update={"limits": query.limits.model_copy(update=dict(values))})


@dataclass(frozen=True)
class Ways:
    """Every layout that could run if no limit but memory held, and the servers on offer."""

    query: Query
    space: AnySpace
    servers: Servers

    def used(self, name: str, servers: Any, replicas: Any, at: Any = slice(None)) -> Floats:
        """What so many servers (spares included) and replicas of the layouts `at` take of a limit that sums up."""
        if name == "replicas":
            found: Floats = np.asarray(replicas, dtype=np.float64)
        elif name == "tensor":
            found = self.space.tensor[at].astype(np.float64)
        else:
            found = servers * getattr(self.servers, SHARED[name])[self.space.chip[at]]
        return found


def ways(query: Query, servers: Servers, respace: Callable[[Query], AnySpace]) -> Ways:
    """The layouts of a query without its limits on chips and tensor degree, which narrow the space itself."""
    space = respace(with_limits(query, {"chips": None, "tensor": None}))
    return Ways(query, space, filled_by(servers, space))


@dataclass(frozen=True)
class Conflicts:
    """The minimal sets found; `complete`: there is no other."""

    sets: tuple[tuple[str, ...], ...]
    complete: bool


def conflicts(w: Ways, most: int = MOST_SETS, deadline: Deadline = NEVER) -> Conflicts:
    """All minimal conflict sets up to so many, the smallest first; the empty set: it fits nowhere, limits or not.

    Raises OutOfTime.
    """
    found: list[tuple[str, ...]] = []
    for candidate in _minimal(limits_set(w.query), _Oracle(w, deadline)):
        if len(found) == most:
            return Conflicts(tuple(found), False)
        found.append(candidate)
    return Conflicts(tuple(found), True)


def _minimal(names: tuple[str, ...], feasible: Callable[[tuple[str, ...]], bool]) -> Iterator[tuple[str, ...]]:
    found: list[set[str]] = []
    for size in range(len(names) + 1):
        for candidate in combinations(names, size):
            if not any(one <= set(candidate) for one in found) and not feasible(candidate):
                found.append(set(candidate))
                yield candidate


class _Oracle:
    """Whether anything satisfies some of the limits; what each layout needs is kept by the limits that it rests on."""

    def __init__(self, w: Ways, deadline: Deadline) -> None:
        self.ways, self.deadline = w, deadline
        self.needs: dict[tuple[str, ...], Need] = {}

    def __call__(self, kept: tuple[str, ...]) -> bool:
        self.deadline.check()
        n, query = self._need(tuple(x for x in kept if x in ("users", "user_speed", "ttft"))), self.ways.query
        fits = ~np.isnan(n.servers)
        for name in kept:
            if name in SHARED or name in ("replicas", "tensor"):
                limit = float(getattr(query.limits, name)) * (1 + ROUNDING)
                with np.errstate(invalid="ignore"):
                    fits &= self.ways.used(name, n.servers, n.replicas) <= limit
        return bool(fits.any())

    def _need(self, kept: tuple[str, ...]) -> Need:
        if kept not in self.needs:
            gone = {x: None for x in ("users", "user_speed", "ttft") if x not in kept}
            self.needs[kept] = need(with_limits(self.ways.query, gone), self.ways.space, self.ways.servers)
        return self.needs[kept]
