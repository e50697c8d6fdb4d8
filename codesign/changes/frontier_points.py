"""All points that no other dominates, in closed form over every layout, batch and replica count.

What a system costs depends on its chip and its servers alone. So the candidates are: for each chip and each number
of servers the layouts with as many replicas as these hold, at every batch. Layouts that share out servers alike
(the same parcels to a server) have the same replicas, and of their batches only those matter that no other of them
dominates. Resources and a rate leave one candidate for each chip and number of servers; with both rates there is a
staircase for each.
"""

import difflib
import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from codesign.facts.errors import DataError, UnboundedError
from codesign.system.columns import Servers, servers_in_limits
from codesign.system.layouts import Floats, Ints, meets, portions
from codesign.system.query import Query
from codesign.system.spaces import AnySpace

CHUNK = 200_000            # users' batches that are timed at once
MOST_CANDIDATES = 200_000_000
BOUNDING = "--budget, --power, --chips, --racks or --replicas"

# Values become whole keys on a logarithmic grid, so that two ways to compute one number make a tie, not a step.
GRID = 1e-10  # relative; values nearer than this are one value


@dataclass(frozen=True)
class Axis:
    """One axis: `each` is the array of `columns.Servers` that it adds up (None: a rate), `limit` the query's."""

    name: str
    title: str
    unit: str
    up: bool              # more is better
    whole: bool
    each: str | None
    limit: str | None


AXES = (
    Axis("capital", "capital", "USD", False, False, "dollars", "budget"),
    Axis("per-hour", "dollars per hour", "USD/h", False, False, "hourly", "hourly"),
    Axis("power", "IT power", "W", False, False, "watts", "power"),
    Axis("chips", "chips", "chips", False, True, "chips", "chips"),
    Axis("throughput", "throughput", "tokens/s", True, False, None, None),
    Axis("user-speed", "user speed", "tokens/s", True, False, None, "user_speed"),
)
BY_NAME = {axis.name: axis for axis in AXES}


def read_axes(written: str, query: Query) -> tuple[Axis, ...]:
    """Axes of names with commas; `dollars` is capital or per-hour, as the query counts. DataError names all faults."""
    names = [part.strip() for part in written.split(",") if part.strip()]
    money = "capital" if query.dollars == "capital" and query.basis == "buy" else "per-hour"
    names = [money if name == "dollars" else name for name in names]
    faults = [_unknown(name) for name in dict.fromkeys(names) if name not in BY_NAME]
    faults += [f"--axes: {name} twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if not faults and not 2 <= len(names) <= 3:
        faults = [f"--axes {written!r}: {len(names)} axes, expected two or three of {_known()}"]
    if "capital" in names and query.basis != "buy":
        faults.append(f"--axes capital: basis {query.basis!r} has no capital; use per-hour")
    if faults:
        raise DataError("\n".join(faults))
    return tuple(BY_NAME[name] for name in names)


def _known() -> str:
    return ", ".join(["dollars", *BY_NAME])


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, ["dollars", *BY_NAME], n=1, cutoff=0.5)
    return f"--axes: unknown axis {name!r}; " + (f"did you mean {near[0]}?" if near else f"known: {_known()}")


def key_of(values: Any, *, up: bool) -> Ints:
    """A whole number for each positive value, larger where the value is better."""
    found: Ints = np.rint(np.log(values) / GRID).astype(np.int64)
    return found if up else -found


def nondominated(keys: Ints) -> Ints:
    """Positions of the rows of `keys` (points x 2 or 3 axes) that no other row dominates; of equal rows the first."""
    if keys.shape[1] == 2:
        return _two(keys[:, 0], keys[:, 1])
    return _three(keys)


def _two(first: Ints, second: Ints) -> Ints:
    order = np.lexsort((-second, -first))  # stable: of equal rows the first stays first
    ranked = second[order]
    before = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(ranked)[:-1]]) if len(order) else ranked
    return np.sort(order[ranked > before])


def _three(keys: Ints) -> Ints:
    """Down the first axis, with the staircase of the other two of all points so far."""
    order = np.lexsort((-keys[:, 2], -keys[:, 1], -keys[:, 0]))
    across: list[int] = []  # rising
    height: list[int] = []  # falling
    kept = []
    for position, (_, x, y) in zip(order.tolist(), keys[order].tolist(), strict=True):
        at = bisect_left(across, x)
        if at < len(across) and height[at] >= y:
            continue
        kept.append(position)
        end = at + 1 if at < len(across) and across[at] == x else at
        start = at
        while start > 0 and height[start - 1] <= y:
            start -= 1
        across[start:end], height[start:end] = [x], [y]
    return np.sort(np.array(kept, dtype=np.int64))


class Staircase:
    """The nondominated of many points over two axes, which come in portions."""

    def __init__(self) -> None:
        self.across: Ints = np.zeros(0, dtype=np.int64)  # rising
        self.height: Ints = np.zeros(0, dtype=np.int64)  # falling

    def add(self, first: Ints, second: Ints) -> Ints:
        """Positions among the given points that nothing so far, nor among them, dominates; they are now part of it."""
        at = np.searchsorted(self.across, first)
        inside = at < len(self.across)
        reached = np.zeros(len(first), dtype=bool)
        reached[inside] = self.height[at[inside]] >= second[inside]
        fresh = np.flatnonzero(~reached)
        if len(fresh) == 0:
            return fresh
        fresh = fresh[_two(first[fresh], second[fresh])]
        both = np.concatenate([first[fresh], self.across]), np.concatenate([second[fresh], self.height])
        kept = _two(*both)
        order = kept[np.argsort(both[0][kept])]
        self.across, self.height = both[0][order], both[1][order]
        return fresh


def dominates(one: Floats, other: Floats, ups: tuple[bool, ...]) -> bool:
    """Whether values `one` are nowhere worse than `other`, to the grid, and somewhere better."""
    keys = [(int(key_of(a, up=up)), int(key_of(b, up=up))) for a, b, up in zip(one, other, ups, strict=True)]
    return all(a >= b for a, b in keys) and any(a > b for a, b in keys)


@dataclass(frozen=True)
class Points:
    """Systems by position: layout in the space, batch, replicas, servers bought; `values` by axis, in SI."""

    layout: Ints
    batch: Ints
    replicas: Ints
    bought: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.layout)

    def only(self, at: Any) -> "Points":
        """The points at these positions."""
        return Points(self.layout[at], self.batch[at], self.replicas[at], self.bought[at], self.values[at])


@dataclass(frozen=True)
class Found:
    """The nondominated points, along the first axis, and how many were looked at."""

    points: Points
    timed: int       # layouts at a batch
    candidates: int  # of these with a number of servers


@dataclass(frozen=True)
class _Class:
    """Layouts of one chip that hold the same replicas on so many servers, at the batches that can matter."""

    chip: int
    parcels: int     # of a replica, over `holds` of a server, in lowest terms
    holds: int
    layout: Ints
    batch: Ints
    gain: Floats     # tokens/s of a replica
    speed: Floats    # tokens/s of a user
    users: Ints      # of a replica

    def replicas(self, servers: Any, most: float) -> Any:
        """Most replicas on whole servers."""
        return np.minimum(servers * self.holds // self.parcels, most)

    def only(self, at: Any) -> "_Class":
        return _Class(self.chip, self.parcels, self.holds, self.layout[at], self.batch[at], self.gain[at],
                      self.speed[at], self.users[at])  # fmt: skip


def frontier_points(query: Query, space: AnySpace, servers: Servers, axes: Sequence[Axis]) -> Found:
    """Every nondominated point. Raises UnboundedError where nothing bounds throughput, DataError where too many."""
    search = _Search(query, space, servers, axes)
    resources = [axis for axis in axes if axis.each is not None]
    if search.both and len(resources) == 1:
        found = search.swept(resources[0])
    else:
        found = search.joined(list(search.best_of_each() if not search.both else search.largest()))
    order = np.lexsort(found.values.T[::-1])
    return Found(found.only(order), search.timed, search.candidates)


class _Search:
    def __init__(self, query: Query, space: AnySpace, servers: Servers, axes: Sequence[Axis]) -> None:
        self.query, self.space, self.servers, self.axes = query, space, servers, tuple(axes)
        names = {axis.name for axis in axes}
        self.gains, self.speeds = "throughput" in names, "user-speed" in names
        self.both = self.gains and self.speeds
        self.most = math.inf if query.limits.replicas is None else float(query.limits.replicas)
        self.asked = 1 if query.limits.users is None else query.limits.users
        self.spare = query.spare_servers
        self.within = servers_in_limits(query, servers)  # by chip, without spares
        self.timed = self.candidates = 0

    def classes(self) -> Iterator[list[_Class]]:
        """The classes of each chip."""
        space, servers = self.space, self.servers
        alive = np.flatnonzero((space.reason == 0) & (space.room > 0) & (self.within[space.chip] >= 1))
        for chip in np.unique(space.chip[alive]).tolist():
            here = alive[space.chip[alive] == chip]
            layout, batch, gain, speed = self._timed(here)
            fill = [Fraction(int(g), int(h)) for g, h in zip(servers.parcels[here], servers.per_server[here],
                                                             strict=True)]  # fmt: skip
            index = {share: i for i, share in enumerate(sorted(set(fill)))}
            of_layout = np.zeros(len(space), dtype=np.int64)
            of_layout[here] = [index[share] for share in fill]
            classed, found = of_layout[layout], []
            for share, i in index.items():
                at = np.flatnonzero(classed == i)
                if len(at):
                    one = _Class(chip, share.numerator, share.denominator, layout[at], batch[at], gain[at], speed[at],
                                 space.pipeline[layout[at]] * batch[at])  # fmt: skip
                    found.append(self._reduced(one))
            if found:
                yield found

    def _timed(self, layouts: Ints) -> tuple[Ints, Ints, Floats, Floats]:
        """Every batch at which users get what they must."""
        parts = []
        for index, turn in portions(self.space.room[layouts], CHUNK):
            at, batch = layouts[index], turn + 1
            step, cycle, first = self.space.times(batch.astype(np.float64), at)
            keep = meets(self.query.limits, step, first)
            gain = self.space.pipeline[at] * batch / cycle
            parts.append((at[keep], batch[keep], gain[keep], 1.0 / step[keep]))
            self.timed += len(at)
        at, batch, gain, speed = (np.concatenate(part) for part in zip(*parts, strict=True))
        return at, batch, gain, speed

    def _reduced(self, one: _Class) -> _Class:
        """Without the batches that another of the class beats in all that counts; three criteria stay as they are."""
        criteria = [key_of(one.gain, up=True)] * self.gains + [key_of(one.speed, up=True)] * self.speeds
        if self.asked > 1 or not criteria:
            criteria.append(one.users)
        if len(criteria) == 3:
            return one
        return one.only(nondominated(np.stack([*criteria, criteria[0]][:2], axis=1)))

    def _steps(self, one: _Class) -> int:
        """Most servers that are of use to a class; UnboundedError where there is no such number."""
        most = min(float(self.within[one.chip]), math.ceil(one.parcels * self.most / one.holds)
                   if math.isfinite(self.most) else math.inf)  # fmt: skip
        if not self.gains:
            need = -(-self.asked // int(one.users.min()))
            most = min(most, float(-(-one.parcels * need // one.holds)))
        if most == math.inf:
            raise UnboundedError(f"no limit bounds throughput, so its frontier has no end; give {BOUNDING}")
        return int(most)

    def _count(self, candidates: int) -> None:
        self.candidates += candidates
        if self.candidates > MOST_CANDIDATES:
            raise DataError(f"more than {MOST_CANDIDATES:,} candidates for the frontier; tighten one of {BOUNDING}")

    def points(self, one: _Class, at: Any, servers: Any) -> Points:
        """Points `at` of a class, each on so many servers, with the replicas that are of use."""
        replicas = self.replicas(one, at, servers)
        bought = self.bought(one, replicas)
        values = np.stack([self._value(axis, one, at, replicas, bought) for axis in self.axes], axis=-1)
        return Points(one.layout[at], one.batch[at], replicas, bought, values)

    def replicas(self, one: _Class, at: Any, servers: Any) -> Ints:
        """All that the servers hold for throughput, else as many as the users need."""
        held = one.replicas(servers, self.most)
        return np.asarray(held if self.gains else -(-self.asked // one.users[at]), dtype=np.int64)

    def bought(self, one: _Class, replicas: Ints) -> Ints:
        """Servers of so many replicas, with spares."""
        return -(-replicas * one.parcels // one.holds) + self.spare

    def _value(self, axis: Axis, one: _Class, at: Any, replicas: Ints, bought: Ints) -> Floats:
        if axis.each is not None:
            return np.asarray(bought * getattr(self.servers, axis.each)[one.chip], dtype=np.float64)
        rate: Floats = one.speed[at] if axis.name == "user-speed" else replicas * one.gain[at]
        return rate

    def best_of_each(self) -> Iterator[Points]:
        """For each class and number of servers the one best point; without a rate the fewest servers of each class."""
        for classes in self.classes():
            for one in classes:
                servers = np.arange(1, self._steps(one) + 1)
                self._count(len(servers))
                replicas = one.replicas(servers, self.most)
                servers, replicas = servers[replicas >= 1], replicas[replicas >= 1]
                order = np.argsort(one.users)  # where users count too, what remains of a class falls as they rise
                spot = np.searchsorted(one.users[order], np.ceil(self.asked / replicas))
                able = np.flatnonzero(spot < len(order))
                able = able if self.gains or self.speeds else able[:1]
                yield self.points(one, order[spot[able]], servers[able])

    def largest(self) -> Iterator[Points]:
        """Throughput against user speed: every class on all servers within the limits."""
        for classes in self.classes():
            for one in classes:
                servers = self._steps(one)
                held = one.replicas(servers, self.most)
                at = np.flatnonzero(held * one.users >= self.asked)
                self._count(len(at))
                if held >= 1 and len(at):
                    yield self.points(one, at, np.full(len(at), servers))

    def joined(self, parts: list[Points]) -> Points:
        """The nondominated of all parts."""
        if not parts:
            return _nothing(len(self.axes))
        every = _concatenated(parts)
        keys = np.stack([key_of(every.values[:, i], up=axis.up) for i, axis in enumerate(self.axes)], axis=1)
        return every.only(nondominated(keys))

    def swept(self, resource: Axis) -> Points:
        """One resource and both rates: numbers of servers from the cheapest up, with the staircase so far."""
        chips = list(self.classes())
        each = getattr(self.servers, str(resource.each))
        events: list[tuple[int, int, int]] = []
        for i, classes in enumerate(chips):
            most = np.arange(1, max(self._steps(one) for one in classes) + 1)
            self._count(len(most) * sum(len(one.layout) for one in classes))
            costs = key_of((most + self.spare) * each[classes[0].chip], up=True)
            events += list(zip(costs.tolist(), [i] * len(most), most.tolist(), strict=True))
        stairs, kept, group = Staircase(), [], list[tuple[int, int]]()
        events.sort()
        for position, (cost, i, count) in enumerate(events):
            group.append((i, count))
            if position + 1 == len(events) or events[position + 1][0] != cost:
                kept += self._added(stairs, chips, group)
                group = []
        return _concatenated(kept) if kept else _nothing(len(self.axes))

    def _added(self, stairs: Staircase, chips: list[list[_Class]], group: list[tuple[int, int]]) -> list[Points]:
        """What the chips and numbers of servers of one cost add to the staircase."""
        held = [(one, n, one.replicas(n, self.most)) for i, n in group for one in chips[i]]
        held = [(one, n, int(r)) for one, n, r in held if r >= 1]
        if not held:
            return []
        gains = np.concatenate([r * one.gain for one, _, r in held])
        speeds = np.concatenate([one.speed for one, _, _ in held])
        able = np.flatnonzero(np.concatenate([r * one.users >= self.asked for one, _, r in held]))
        fresh = able[stairs.add(key_of(gains[able], up=True), key_of(speeds[able], up=True))]
        starts = np.cumsum([0] + [len(one.layout) for one, _, _ in held])
        owner = np.searchsorted(starts, fresh, side="right") - 1
        found = []
        for j in np.unique(owner).tolist():
            one, n, _ = held[j]
            at = fresh[owner == j] - starts[j]
            found.append(self.points(one, at, np.full(len(at), n)))
        return found


def _concatenated(parts: Sequence[Points]) -> Points:
    return Points(*(np.concatenate([getattr(part, name) for part in parts]) for name in Points.__dataclass_fields__))


def _nothing(axes: int) -> Points:
    empty = np.zeros(0, dtype=np.int64)
    return Points(empty, empty, empty, empty, np.zeros((0, axes)))
