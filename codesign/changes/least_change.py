"""The least change of one number that makes a system win, found on closed forms and solved again on both sides.

A number of the chip (its price, its bandwidth, ...) is moved the way that helps. Where the change touches only systems
that have what is asked, their best value rises and all others' stays: the crossing is bisected to 1e-9. Where it helps
others too, the first win is sought on a grid of factors and then bisected; the answer says which. A limit can only help
all when it is eased and hurt all when it is tightened, so stretches without a win are left out whole; a shared limit
matters only where another number of servers begins or ceases to fit.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codesign.changes.wanted import Wanted
from codesign.facts.errors import DataError
from codesign.physics.hardware import Chip
from codesign.study.parameters import Parameter, parameter, parameters
from codesign.study.query_study import Case, Point, Warm
from codesign.system.columns import servers_of
from codesign.system.conflicts import AT_LEAST
from codesign.system.cures import SHARED
from codesign.system.key import SystemKey
from codesign.system.query import Query

FARTHEST = 100.0     # a number is moved by this factor at most
GRID = 24            # factors tried up to there
CLOSE = 1e-9         # relative: how near the crossing is found
APART = 1e-6         # relative: how far from it both sides are solved again
REACH = 4.0          # limits are moved by this factor at most
FINE = 2**20         # steps up to there, where a limit has no jumps
MOST_JUMPS = 2_000_000


@dataclass(frozen=True)
class Kind:
    """Numbers of one chip that are moved together by a factor, up or down."""

    name: str
    paths: tuple[str, ...]
    up: bool
    monotone: bool = True  # whether it can only help those that have it


def kinds(warm: Warm, chip: Chip) -> list[Kind]:
    """What of a chip may be moved: catalogue paths that exist, of the chip or of its die and memory."""
    known = {p.path for p in parameters(warm.catalog, warm.query)}
    home = f"chips.{chip.name}" if chip.die is None else f"dies.{chip.die}"
    memory = f"memory.{chip.memory}"
    links = [link.name for link in (chip.scale_up, chip.scale_out) if link is not None]
    server = None if chip.server is None else f"servers.{chip.server.name}"
    composed = chip.die is not None
    wanted = [
        *_prices(warm.query, chip, home, memory, str(server)),
        # more of a stack costs power, and a price by the byte
        Kind("bandwidth", (f"{memory}.bandwidth",) if composed else (f"{home}.bandwidth",), True, not composed),
        Kind("capacity", (f"{memory}.capacity",) if composed else (f"{home}.usable_memory",), True, not composed),
        Kind("tensor arithmetic", tuple(f"{home}.peak.{p}" for p in ("bf16", "fp8", "fp4", "int8")), True),
        Kind("vector arithmetic", (f"{home}.peak.vector",), True),
        Kind("latency of the links", tuple(p for p in sorted(known) if any(
            p.startswith((f"links.{name}.limit.", f"links.{name}.hop")) for name in links)), False),
        Kind("bandwidth of the links", (f"{home}.connections.scale_up_bandwidth",
                                        f"{home}.connections.scale_out_bandwidth"), True),
        Kind("power of the chip", (f"{home}.logic_power",) if composed else (f"{home}.power",), False),
        Kind("power of the server", (f"{server}.power",), False),
    ]  # fmt: skip
    found = [replace(k, paths=tuple(path for path in k.paths if path in known)) for k in wanted]
    return [k for k in found if k.paths]


def _prices(query: Query, chip: Chip, home: str, memory: str, server: str) -> list[Kind]:
    """What the query's basis pays for."""
    if query.basis != "buy":
        return [Kind("price of a chip-hour", (f"{home}.{query.basis}",), False)]
    bought = Kind("price of the server", (f"{server}.price",), False)
    if chip.die is None:
        price = "price" if query.price_basis == "sold" else "manufacturing_cost"
        return [Kind("price of the chip", (f"{home}.{price}",), False), bought]
    margin = Kind("margin of the chip", (f"{home}.margin",), False)
    return [Kind("price of the memory", (f"{memory}.price",), False), margin, bought]


@dataclass(frozen=True)
class Line:
    """Values from near to far by index; `jumps`: nothing changes between them."""

    count: int
    value: Callable[[int], float]
    jumps: bool


def nearest(count: int, values: Callable[[int], tuple[float, float]], *, generous: bool) -> int | None:
    """The first index at which what is asked for is no worse than the rest; None where there is none.

    `values` are the best of both. With a more generous limit neither falls, with a tighter one neither rises: so a
    stretch without a win is seen by its ends.
    """
    open_ranges = [(0, count - 1)] if count else []
    while open_ranges:
        low, high = open_ranges.pop()
        first, last = values(low), values(high)
        if 0 < first[0] >= first[1]:
            return low
        most, least = (last[0], first[1]) if generous else (first[0], last[1])
        if low == high or most == 0 or most < least:
            continue
        middle = (low + high) // 2
        open_ranges += [(middle + 1, high), (low, middle)]  # the nearer half comes first
    return None


@dataclass(frozen=True)
class Change:
    """The least change of a kind: new values (SI) by path, and the best systems just before and at it."""

    kind: str
    today: Mapping[str, float]
    values: Mapping[str, float]
    units: Mapping[str, str]
    factor: float
    exact: bool          # there is no smaller one; else the first on a grid of factors
    before: Point | None
    after: Point | None
    verified: bool


class Least:
    """The search for one wanted property; `warm` answers changed queries."""

    def __init__(self, warm: Warm, wanted: Wanted) -> None:
        self.warm, self.wanted = warm, wanted
        self.solves = 0

    def of_kind(self, kind: Kind) -> Change | None:
        """The least factor on a kind's numbers that makes what is wanted best; None where none up to a hundred does."""
        numbers = [parameter(self.warm.catalog, self.warm.query, path) for path in kind.paths]
        touched = self.warm.touched(kind.paths)
        rest = self._best(self.warm.case({}, without=touched))[1]
        whole_chips = self.wanted.tensor is None and not self.wanted.layout
        theirs = all(self.wanted.of_chip(chip) for chip in self.warm.space.chips if chip.name in touched)
        alone = kind.monotone and whole_chips and theirs

        def wins(factor: float) -> bool:
            changes = _changed(numbers, factor)
            if changes is None:
                return False
            asked, others = self._best(self.warm.case(changes, only=touched))
            return asked > 0 and asked >= max(others, rest)

        return self._found(kind.name, numbers, _factors(kind.up, alone), wins, exact=alone)

    def of_limit(self, name: str) -> list[Change]:
        """The least change of a limit, downwards and upwards, up to four times."""
        number = parameter(self.warm.catalog, self.warm.query, f"limits.{name}")
        found = [self._of_limit(number, name, up=up) for up in (False, True)]
        return [change for change in found if change is not None]

    def _of_limit(self, number: Parameter, name: str, *, up: bool) -> Change | None:
        line = self._line(number, name, up=up)
        known: dict[int, tuple[float, float]] = {}

        def values(i: int) -> tuple[float, float]:
            if i not in known:
                known[i] = self._best(self.warm.case({number.path: line.value(i)}))
            return known[i]

        first = nearest(line.count, values, generous=up != (name in AT_LEAST))
        if first is None:
            return None
        value = line.value(first)
        if line.jumps or number.whole:
            apart = (1.0 if number.whole else value * APART) * (1 if up else -1)
            sides = {number.path: value - apart}, {number.path: value}
            return self._change(number.path, [number], sides[1], value / number.value, True, sides)
        low = 1.0 if first == 0 else line.value(first - 1) / number.value

        def wins(factor: float) -> bool:
            asked, others = self._best(self.warm.case({number.path: number.value * factor}))
            return 0 < asked >= others

        return self._bisected(number.path, [number], low, value / number.value, wins, exact=True)

    def _line(self, number: Parameter, name: str, *, up: bool) -> Line:
        """The values of a limit from near to far at which something can change, or a fine grid of them."""
        today, end = number.value, number.value * (REACH if up else 1 / REACH)
        if name in SHARED and (jumps := self._amounts(number, name, up=up)) is not None:
            return Line(len(jumps), lambda i: float(jumps[i]), True)
        if number.whole:
            count = round(abs(end - today) // 1)
            return Line(count, lambda i: today + (i + 1 if up else -i - 1), False)
        return Line(FINE, lambda i: today * (end / today) ** ((i + 1) / FINE), False)

    def _amounts(self, number: Parameter, name: str, *, up: bool) -> Any:
        """Upwards: where a server more of a wanted chip fits. Downwards: just below what a server more of any takes."""
        space, offers = self.warm.space, self.warm.supply.offers
        each = getattr(servers_of(space, offers), SHARED[name])
        chosen = [i for i, chip in enumerate(space.chips) if not up or self.wanted.of_chip(chip)]
        last = [math.ceil(number.value * (REACH if up else 1) / each[i]) for i in chosen]
        if not chosen or sum(last) > MOST_JUMPS:
            return None
        amounts = np.concatenate([each[i] * np.arange(1, n + 1) for i, n in zip(chosen, last, strict=True)])
        amounts = np.unique(np.ceil(amounts - 1e-9) if name == "racks" else amounts)
        if up:
            return amounts[(amounts > number.value * (1 + CLOSE)) & (amounts <= REACH * number.value)]
        below = amounts - 1 if number.whole else amounts * (1 - CLOSE)
        return below[(below >= max(number.value / REACH, number.whole)) & (below < number.value)][::-1]

    def _best(self, case: Case) -> tuple[float, float]:
        """Best merit with what is wanted, and without; 0 where nothing fits."""
        profile = self.warm.profile(case)
        has = self.wanted.mask(case.space)[profile.at] if len(profile) else np.zeros(0, dtype=bool)
        return float(profile.merit[has].max(initial=0.0)), float(profile.merit[~has].max(initial=0.0))

    def _found(
        self, name: str, numbers: Sequence[Parameter], factors: Sequence[float], wins: Callable[[float], bool], *,
        exact: bool,
    ) -> Change | None:  # fmt: skip
        """Bisect between the last factor that does not win and the first that does."""
        low = 1.0
        for high in factors:
            if wins(high):
                return self._bisected(name, numbers, low, high, wins, exact=exact)
            low = high
        return None

    def _bisected(
        self, name: str, numbers: Sequence[Parameter], low: float, high: float, wins: Callable[[float], bool], *,
        exact: bool,
    ) -> Change | None:  # fmt: skip
        while abs(math.log(high / low)) > CLOSE / 4:
            middle = math.sqrt(low * high)
            low, high = (low, middle) if wins(middle) else (middle, high)
        return self._verified(name, numbers, high, exact=exact)

    def _verified(self, name: str, numbers: Sequence[Parameter], factor: float, *, exact: bool) -> Change | None:
        """Solve just before and just after; whole numbers one apart."""
        step = APART if factor > 1 else -APART
        if any(number.whole for number in numbers):
            values = _changed(numbers, factor)
            before = None if values is None else {p: v - math.copysign(1, factor - 1) for p, v in values.items()}
            after = values
        else:
            values, before = _changed(numbers, factor), _changed(numbers, factor / (1 + step))
            after = _changed(numbers, factor * (1 + step))
        if values is None:
            return None
        return self._change(name, numbers, values, factor, exact, (before, after))

    def _change(
        self, name: str, numbers: Sequence[Parameter], values: Mapping[str, float], factor: float, exact: bool,
        sides: tuple[Mapping[str, float] | None, Mapping[str, float] | None],
    ) -> Change:  # fmt: skip
        before, after = (None if side is None else self._solved(side) for side in sides)
        verified = self._has(after) and not self._has(before)
        return Change(name, {n.path: n.value for n in numbers}, dict(values), {n.path: n.unit for n in numbers}, factor,
                      exact, before, after, verified)  # fmt: skip

    def _solved(self, changes: Mapping[str, float]) -> Point | None:
        try:
            point = self.warm.at(changes, proven=True)
        except DataError:  # a value that cannot be
            return None
        self.solves += point.solves
        return point

    def _has(self, point: Point | None) -> bool:
        return point is not None and point.system is not None and self._wanted(point.system)

    def _wanted(self, s: SystemKey) -> bool:
        named: dict[str, Any] = {name: getattr(s, name) for name in ("tensor", "pipeline", "expert", "data", "weights",
                                                                     "kv")}  # fmt: skip
        chip = next(c for c in self.warm.space.chips if c.name == s.chip)
        tensor = self.wanted.tensor in (None, s.tensor)
        return self.wanted.of_chip(chip) and tensor and (not self.wanted.layout or named == dict(self.wanted.layout))


def _factors(up: bool, alone: bool) -> list[float]:
    """Factors to try, from near to far; only the farthest where one crossing is all that there can be."""
    end = FARTHEST if up else 1 / FARTHEST
    return [end] if alone else [end ** (i / GRID) for i in range(1, GRID + 1)]


def _changed(numbers: Sequence[Parameter], factor: float) -> dict[str, float] | None:
    """The values times the factor, whole where they must be; None where a number cannot be so."""
    found = {}
    for number in numbers:
        value = number.value * factor
        value = float(round(value)) if number.whole else value
        if not number.least <= value <= number.most:
            return None
        found[number.path] = value
    return found
