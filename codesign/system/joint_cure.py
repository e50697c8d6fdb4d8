"""Nothing fits: the cheapest change of several limits together, exact over every layout, batch and replica count.

A limit that a system breaks by a share costs its weight times that share: a budget of 3 that must be 4 costs a third,
and so do 40 tokens/s of which 30 are left. A first system bounds the cost; from that follow bounds on every limit,
and all systems within them are looked at.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.facts.document import CurePart
from codesign.facts.errors import DataError
from codesign.facts.units import show
from codesign.system.columns import best_batch, most_replicas
from codesign.system.conflicts import AT_LEAST, ROUNDING, WHOLE, Ways, limits_set, with_limits
from codesign.system.cures import UNITS, part
from codesign.system.layouts import Floats, Ints, portions
from codesign.system.query import Query, option_name
from formulations.solvers.deadline import NEVER, Deadline

CHUNK = 200_000
MOST_POINTS = 200_000_000
GUESSES = 12  # batches of each layout that are tried for a first bound


@dataclass(frozen=True)
class Joint:
    """New values (SI) of the limits to change, the cost of the change, and the system that then fits."""

    values: Mapping[str, float]
    cost: float
    layout: int
    batch: int
    replicas: int
    points: int  # looked at


class TooManySystems(DataError):
    """More systems than MOST_POINTS could be the cheapest change."""


def cheapest(w: Ways, weights: Mapping[str, float], deadline: Deadline = NEVER) -> Joint | None:
    """The cheapest change with these weights (absent: 1; infinite: the limit stays); None where nothing cures.

    Raises TooManySystems, OutOfTime.
    """
    search = _Search(w, {name: weights.get(name, 1.0) for name in limits_set(w.query)}, deadline)
    return search.best()


def asked_words(query: Query, name: str) -> str:
    """A limit as asked, "--power 5 kW"."""
    return f"{option_name(f'limits.{name}')} {show(float(getattr(query.limits, name)), UNITS[name])}"


def cure_part(query: Query, name: str, value: float) -> CurePart:
    """A limit as asked, and its value in a cure."""
    return part(f"limits.{name}", float(getattr(query.limits, name)), value)


class _Search:
    def __init__(self, w: Ways, weights: Mapping[str, float], deadline: Deadline) -> None:
        self.deadline = deadline
        self.w, self.query, self.space, self.weights = w, w.query, w.space, weights
        self.users = float(self.query.limits.users or 1)
        self.found: Joint | None = None
        self.points = 0

    def best(self) -> Joint | None:
        self._guess()
        relaxed = self._relaxed(math.inf if self.found is None else self.found.cost)
        self._enumerate(relaxed)
        return None if self.found is None else Joint(**{**self.found.__dict__, "points": self.points})

    def _guess(self) -> None:
        """A few batches of each layout with all replicas that the users need, and with one."""
        at = np.flatnonzero((self.space.reason == 0) & (self.space.room > 0))
        room = self.space.room[at].astype(np.float64)
        pace = np.maximum(best_batch(self.space, self.query.limits)[at], 1)
        for batch in (pace, *(np.maximum(np.floor(room ** (i / GUESSES)), 1.0) for i in range(GUESSES + 1))):
            need = np.ceil(self.users / (self.space.pipeline[at] * batch))
            for replicas in (need, np.ones(len(at))):
                self._look(at, batch.astype(np.float64), replicas)

    def _relaxed(self, cost: float) -> Query:
        """The query with every limit as far away as a change of that cost could move it; None: no matter."""
        values: dict[str, float | int | None] = {}
        for name, weight in self.weights.items():
            limit = float(getattr(self.query.limits, name))
            share = 0.0 if math.isinf(weight) else cost / weight if weight > 0 else math.inf
            factor = (1 + share) * (1 + 1e-9)
            moved = limit / factor if name in AT_LEAST else limit * factor
            if math.isinf(moved) or moved == 0:
                values[name] = None
            elif name in WHOLE:
                values[name] = max(math.ceil(moved) if name in AT_LEAST else math.floor(moved), 1)
            else:
                values[name] = moved
        return with_limits(self.query, values)

    def _enumerate(self, relaxed: Query) -> None:
        limits = relaxed.limits
        batches = best_batch(self.space, limits)
        most = most_replicas(relaxed, self.space, self.w.servers)
        able = (batches > 0) & (most >= 1)
        if limits.tensor is not None:
            able &= self.space.tensor <= limits.tensor
        at = np.flatnonzero(able)
        fewest = float(limits.users or 1)
        with np.errstate(divide="ignore"):
            low = np.maximum(np.ceil(fewest / (most[at] * self.space.pipeline[at])), 1).astype(np.int64)
        for here, turn in portions(np.maximum(batches[at] - low + 1, 0), CHUNK):
            batch = (low[here] + turn).astype(np.float64)
            self._replicas(at[here], batch, most[at[here]], fewest)

    def _replicas(self, at: Ints, batch: Floats, most: Floats, fewest: float) -> None:
        """Every count of replicas from the fewest that a change could leave to those that serve all users."""
        each = self.space.pipeline[at] * batch
        first = np.maximum(np.ceil(fewest / each), 1)
        last = np.minimum(np.ceil(self.users / each), most)
        for here, turn in portions(np.maximum(last - first + 1, 0).astype(np.int64), CHUNK):
            self._look(at[here], batch[here], first[here] + turn)

    def _look(self, at: Ints, batch: Floats, replicas: Floats) -> None:
        """Keep the cheapest of these systems where it is cheaper than what is known."""
        self.deadline.check()
        self.points += len(at)
        if self.points > MOST_POINTS:
            raise TooManySystems(f"more than {MOST_POINTS:,} systems for the cheapest joint cure; hold a limit with "
                                 "`codesign relax --weight NAME=fixed`")  # fmt: skip
        if len(at) == 0:
            return
        taken = self._taken(at, batch, replicas)
        cost = np.zeros(len(at))
        for name, amount in taken.items():
            cost += self._cost(name, amount)
        i = int(np.argmin(cost))
        if math.isfinite(cost[i]) and (self.found is None or cost[i] < self.found.cost):
            values = {name: float(amount[i]) for name, amount in taken.items()
                      if self._cost(name, amount[i : i + 1])[0] > 0}  # fmt: skip
            self.found = Joint(values, float(cost[i]), int(at[i]), int(batch[i]), int(replicas[i]), 0)

    def _taken(self, at: Ints, batch: Floats, replicas: Floats) -> dict[str, Floats]:
        """What these systems take of each limit, and give their users."""
        servers = self.w.servers.count(replicas, at) + self.query.spare_servers
        step, _, first = self.space.times(batch, at)
        found: dict[str, Any] = {}
        for name in self.weights:
            if name == "users":
                found[name] = replicas * self.space.pipeline[at] * batch
            elif name == "user_speed":
                found[name] = 1.0 / step
            elif name == "ttft":
                found[name] = np.zeros(len(at)) if first is None else first
            else:
                found[name] = self.w.used(name, servers, replicas, at)
        if "racks" in found:
            found["racks"] = np.ceil(found["racks"] - 1e-9)
        return found

    def _cost(self, name: str, amount: Floats) -> Floats:
        limit, weight = float(getattr(self.query.limits, name)), self.weights[name]
        share = (limit / amount if name in AT_LEAST else amount / limit) - 1
        broken = share > ROUNDING
        result: Floats = np.where(broken, math.inf if math.isinf(weight) else weight * share, 0.0)
        return result
