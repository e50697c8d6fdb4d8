"""The whole numbers of `best_system.cpsat`, and a proof of how far they can move its optimum.

Error of the grid
    A need is rounded up by less than one tick, so the step of batch B is at most 1 + B ticks too
    long. For speed the twin's step is then within tick (1 + B) / t of the least. For a ratio let
    beta be the proven bound of max q B - t. Any solution has (N / D - lam) / lam
    <= (beta + 1 + B) tick / t, and beta <= B at lam = the best ratio, because q is rounded up. Both
    fractions are monotone in B along each line, so their greatest value is at an end of the batches.
    For cost, k + 1 prices are rounded up by less than one unit each.
    This holds when rounding leaves every column the same whole batches, replicas and servers.
    `blurred` tests that, and leaves a margin for the tolerance of the floating-point solver too.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

import numpy as np

from formulations.best_system.instance import Instance
from formulations.solvers import cpsat
from formulations.solvers.arrays import Array

Number = TypeVar("Number", int, Fraction)
MARGIN = Fraction(1, 10**8)  # ten times the row tolerance of `highs`; relative for limits above 1
FLOATS = 1e-12  # relative; numbers are read to 15 digits and values computed in floats


@dataclass(frozen=True)
class Shared(Generic[Number]):
    """sum each[j] k[j] + idle[j] x[j] <= limit, in units of 10**-digits; `idle` is of the spares."""

    name: str
    digits: int
    each: Sequence[Number]
    idle: Sequence[Number]
    limit: Number


@dataclass(frozen=True)
class Grid(Generic[Number]):
    """Numbers of the rows by column; `digits` are of the columns' ticks, `top` their longest steps."""

    digits: Sequence[int]
    weight: Sequence[int]
    lines: Sequence[tuple[Number, Number, Number, Number]]  # read_fixed, read_slope, compute_fixed, ...
    slowest: Sequence[Number] | None
    top: Sequence[Number]
    least_batch: Sequence[Number]
    most_batch: Sequence[Number]
    least_replicas: Sequence[Number]
    most_replicas: Sequence[Number]
    parcels: Sequence[Number]
    per_server: Sequence[Number]
    served: Sequence[Number]
    users: Number | None
    users_digits: int
    price: Shared[Number]
    shared: Sequence[Shared[Number]]


def grid(data: Instance, lam: float) -> Grid[int]:
    """The instance on its grid, where the trial ratio is `lam`: needs rounded up and capacities down."""
    return _lay(data, lam, need=cpsat.up, have=cpsat.down)


def unrounded(data: Instance) -> Grid[Fraction]:
    """The same numbers as they were written, to compare with."""

    def as_written(number: float, digits: int) -> Fraction:
        return cpsat.exact(number) * Fraction(10) ** digits

    return _lay(data, 1.0, need=as_written, have=as_written)


def _lay(
    data: Instance, lam: float, *, need: Callable[[float, int], Number], have: Callable[[float, int], Number]
) -> Grid[Number]:
    digits, weight = _ticks(data, lam)
    times = (data.read_fixed, data.read_slope, data.compute_fixed, data.compute_slope)
    lines = [tuple(need(float(t[j]), e) for t in times) for j, e in enumerate(digits)]
    room = [have(max(float(u), 0.0), 0) for u in data.most_batch]
    fill = cpsat.digits_of([*data.parcels, *data.per_server])
    count = data.most_replicas if data.objective == "cost" else data.most_batch
    users = 0 if data.users is None else _digits([*data.served, data.users], float(data.served @ count))
    servers = np.ceil(data.parcels * data.most_replicas / data.per_server)
    limits = {"budget": (data.dollars, data.budget), "hourly": (data.hourly, data.hourly_budget),
              "power": (data.watts, data.power), "chips": (data.chips, data.chip_limit),
              "racks": (data.racks, data.rack_limit)}  # fmt: skip

    def share(name: str, each: Array, limit: float) -> Shared[Number]:
        total = float(each @ (servers + data.spares + 1))
        spare: list[float] = [float(cost) * data.spares for cost in each]
        m = _digits([*each, *spare, limit], max(total, limit))
        return Shared(name, m, [need(float(c), m) for c in each], [need(c, m) for c in spare], have(limit, m))

    return Grid(
        digits=digits, weight=weight, lines=lines,  # type: ignore[arg-type]
        slowest=None if data.slowest_step is None else [have(data.slowest_step, e) for e in digits],
        top=[max(a + b * u, c + d * u) for (a, b, c, d), u in zip(lines, room, strict=True)],
        least_batch=[need(float(b), 0) for b in data.least_batch],
        most_batch=room,
        least_replicas=[need(float(r), 0) for r in data.least_replicas],
        most_replicas=[have(float(r), 0) for r in data.most_replicas],
        parcels=[need(float(g), fill) for g in data.parcels],
        per_server=[have(float(h), fill) for h in data.per_server],
        served=[have(float(s), users) for s in data.served],
        users=None if data.users is None else need(data.users, users), users_digits=users,
        price=share("price", data.price if data.objective == "cost" else np.zeros(len(servers)), 0.0),
        shared=[share(name, each, limit) for name, (each, limit) in limits.items() if limit is not None],
    )  # fmt: skip


def _digits(numbers: Sequence[float], total: float) -> int:
    """As many digits as the numbers have, but no more than keep `total` in half of the room."""
    return min(cpsat.digits_of(numbers), cpsat.most_digits(max(total, 1.0), cpsat.ROOM / 2))


def longest(data: Instance) -> Array:
    """Step (ms) of every column at its largest batch, or at its least where there is no room."""
    batch = np.maximum(data.most_batch, data.least_batch)
    result: Array = np.maximum(
        data.read_fixed + data.read_slope * batch, data.compute_fixed + data.compute_slope * batch
    )
    return result


def _ticks(data: Instance, lam: float) -> tuple[list[int], list[int]]:
    """Digits of every column's tick, and the ticks that a unit of its batch is worth at `lam`."""
    room = cpsat.ROOM / (4 * len(data.columns))
    top = longest(data)
    if data.objective == "ratio":
        worth = data.gain / (lam * data.rate)  # ms
        digits = [cpsat.most_digits(float(t), room) for t in np.maximum(top, worth * np.maximum(data.most_batch, 1.0))]
        return digits, [cpsat.up(float(w), e) for w, e in zip(worth, digits, strict=True)]
    return [cpsat.most_digits(float(top.max()), room)] * len(top), [0] * len(top)


def surplus(data: Instance, on: Grid[int], beta: float) -> float:
    """Greatest (beta + 1 + B) tick / step over all columns and batches, see the proof above."""
    tick = np.array([10.0**-e for e in on.digits])
    least, worst = np.maximum(data.least_batch, 0.0), np.full(len(tick), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for fixed, slope in ((data.read_fixed, data.read_slope), (data.compute_fixed, data.compute_slope)):
            ends = [(beta + 1 + b) * tick / (fixed + slope * b) for b in (least, data.most_batch)]
            line = np.where(fixed + slope * least > 0, np.maximum(*ends), np.inf)
            worst = np.fmin(worst, np.where(np.isnan(line), np.inf, line))
    return float(worst[data.most_batch >= least].max(initial=0.0))


def error(data: Instance, on: Grid[int]) -> float:
    """Relative error of the twin's value; infinite when a column is blurred, so that nothing is proven."""
    if blurred(data, on):
        return math.inf
    if data.objective == "ratio":
        return surplus(data, on, float(data.most_batch.max())) + FLOATS
    if data.objective == "speed":
        return surplus(data, on, 0.0) + FLOATS
    off = unrounded(data).price
    if [*off.each, *off.idle] == [*on.price.each, *on.price.idle]:
        return FLOATS
    return max(2.0 / (1.0 + data.spares), 1.0) * 10.0**-off.digits / float(data.price.min()) + FLOATS


def blurred(data: Instance, on: Grid[int]) -> list[int]:
    """Positions of the columns that could hold other whole numbers on the grid than off it."""
    off = unrounded(data)
    cost = data.objective == "cost"
    wide = [_ranges(off, j, MARGIN, cost) for j in range(len(data.columns))]
    return [j for j, r in enumerate(wide) if r is not None and r != _ranges(on, j, Fraction(0), cost)]


def _ranges(on: Grid[Number], j: int, margin: Fraction, cost: bool) -> tuple[int, ...] | None:
    """Whole batches, replicas, and fewest servers of column j with all limits widened; None: no system."""

    def wider(limit: Number, digits: int) -> Fraction:
        return limit + margin * max(Fraction(abs(limit)), Fraction(10) ** digits)

    batch: list[int] = [math.ceil(on.least_batch[j] - margin), math.floor(on.most_batch[j] + margin)]
    replicas: list[int] = [math.ceil(on.least_replicas[j] - margin), math.floor(on.most_replicas[j] + margin)]
    if on.slowest is not None:
        slowest, (a, b, c, d) = wider(on.slowest[j], on.digits[j]), on.lines[j]
        batch[1] = min(batch[1], _most(slowest - a, b), _most(slowest - c, d))
    if on.users is not None:
        count, less = (replicas if cost else batch), 2 * on.users - wider(on.users, on.users_digits)
        count[0] = max(count[0], math.ceil(less / on.served[j]) if on.served[j] > 0 else 2**62)
    for row in on.shared:
        servers = _most(wider(row.limit, row.digits) - row.idle[j], row.each[j])
        replicas[1] = min(replicas[1], _most(servers * on.per_server[j], on.parcels[j]))
    if batch[0] > batch[1] or replicas[0] > replicas[1]:
        return None
    return *batch, *replicas, math.ceil(Fraction(on.parcels[j] * replicas[0]) / on.per_server[j] - margin)


def _most(room: Fraction | int, each: Fraction | int) -> int:
    """Largest whole n with each n <= room; below zero: none."""
    if each == 0:
        return 2**62 if room >= 0 else -1
    return math.floor(Fraction(room) / each)
