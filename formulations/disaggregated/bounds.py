"""Closed forms beside `disaggregated`: a good system to start from, and a bound of every column.

For a pair of columns, a system wastes nothing when no pool has more replicas than its rate needs; the
rate is then what one pool's replicas handle, and the other's follow by rounding up. So the cheapest
system at a demand and the most rate in the limits (by bisection: fewer requests never need more) are
closed forms, and the best ratio is one of a list of replica counts, of which the first and the last
are tried: the start need not be best.

The bound of a pair drops integrality: of the servers for cost, of replicas and servers for rate and
ratio. The bound of a column is the best of its pairs'. A column is removed when its bound says that
none of its pairs beats the start; removed columns and bounds are part of the proof.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from formulations.disaggregated.instance import Instance
from formulations.solvers.arrays import Array, Labels, Mask

Positions = Labels
TIE = 1e-9        # relative; a column this near to the best value stays in the program
ROUNDING = 1e-12  # relative; a limit missed by less is met: 0.1 + 0.2 is within 0.3
TRIED = 64        # replica counts of a pool from the fewest, and as many from the most
HALVINGS = 60     # of an interval of rates: to neighbouring floats


@dataclass(frozen=True)
class System:
    """A system by the labels of its columns: (column, replicas, servers) of each pool, and its rate."""

    pools: tuple[tuple[int, float, float], tuple[int, float, float]]
    rate: float


@dataclass(frozen=True)
class Sweep:
    """Closed-form result; `bound` is per column, NaN where no pair with the column is feasible."""

    unlimited: bool               # nothing bounds the replicas of some pair, and nothing else is filled in
    best: System | None           # the best system tried
    value: float | None           # its value
    bound: Array
    kept: Positions
    removed_bound: float | None   # best bound among the removed feasible columns


@dataclass(frozen=True)
class Pairs:
    """Pairs of columns by position: `at` is (prefill, decode), `need` the rate that the pair must serve."""

    at: tuple[Positions, Positions]
    need: Array

    def only(self, mask: np.ndarray[Any, Any]) -> "Pairs":
        """The pairs under the mask."""
        return Pairs((self.at[0][mask], self.at[1][mask]), self.need[mask])


def handled(data: Instance) -> Array:
    """Requests/s of one replica of each column: what its chips and its link handle."""
    own: Array = data.utilisation * data.speed
    return own if data.cache is None or data.cache == 0 else np.minimum(own, data.link / data.cache)


def servers(data: Instance, replicas: Any, at: Any = slice(None)) -> Any:
    """Whole servers that hold `replicas` of the columns `at`."""
    return np.ceil(data.parcels[at] * replicas / data.per_server[at])


def shares(data: Instance) -> list[tuple[Array, float]]:
    """Every shared limit that is given: what one server takes, and the limit with its rounding."""
    given = (
        (data.dollars, data.budget), (data.hourly, data.hourly_budget), (data.watts, data.power),
        (data.chips, data.chip_limit), (data.racks, data.rack_limit),
    )  # fmt: skip
    return [(each, limit * (1 + ROUNDING)) for each, limit in given if limit is not None]


def demand(data: Instance) -> Array:
    """Requests/s that the system must serve, for each column of the decode pool."""
    pace = data.pace[len(data.prefill) :]
    return np.maximum(data.rate_demanded or 0.0, (data.users or 0.0) * pace)


def most_replicas(data: Instance) -> Array:
    """Replicas of each column beyond which nothing is gained or a limit broken; infinite: unlimited."""
    split, most, rate = len(data.prefill), np.floor(data.most_replicas), handled(data)
    least = servers(data, 1.0) + data.spares
    for each, limit in shares(data):
        taken = each * least
        beside = np.where(np.arange(len(each)) < split, taken[split:].min(), taken[:split].min())
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(each > 0, (limit - beside) / each - data.spares, np.inf)
            fill = np.floor((np.floor(room * (1 + ROUNDING) + ROUNDING) * data.per_server) / data.parcels)
        most = np.minimum(most, np.maximum(fill, 0.0))
    if data.objective == "cost":
        other = np.full(len(rate), demand(data).max())
    else:
        reach = rate * most
        other = np.where(np.arange(len(rate)) < split, reach[split:].max(), reach[:split].max())
    return np.minimum(most, np.maximum(np.ceil(other / rate), 1.0))


def least_denominator(data: Instance) -> float:
    """Proven lower bound of the ratio's denominator: one replica of the cheapest column in each pool."""
    least, split = data.price * (servers(data, 1.0) + data.spares), len(data.prefill)
    return float(least[:split].min() + least[split:].min())


def sweep(data: Instance) -> Sweep:
    """The best system tried, every column's bound, and what to keep against that system."""
    split, count = len(data.prefill), len(data.columns)
    nothing = Sweep(False, None, None, np.full(count, np.nan), np.array([], dtype=np.int64), None)
    if split == 0 or split == count:
        return nothing
    first, second = np.divmod(np.arange(split * (count - split)), count - split)
    pairs = Pairs((first, second + split), demand(data)[second])
    pairs = pairs.only(_fits(data, pairs, _least(data, pairs)))
    if len(pairs.need) == 0:
        return nothing
    reach = _reach(data, pairs)
    if np.isinf(reach).any() and data.objective != "cost":
        return Sweep(True, None, None, nothing.bound, nothing.kept, None)
    bound = _bound(data, pairs, reach)
    value, best = _start(data, pairs, reach, bound)
    return _choose(data, pairs, bound, value, best)


def _choose(data: Instance, pairs: Pairs, bound: Array, value: float, best: System) -> Sweep:
    up = data.objective != "cost"
    columns = np.full(len(data.columns), -np.inf if up else np.inf)
    for positions in pairs.at:
        (np.maximum if up else np.minimum).at(columns, positions, bound)
    possible = np.isfinite(columns)
    alive = possible & (columns >= value * (1 - TIE) if up else columns <= value * (1 + TIE))
    removed = columns[possible & ~alive]
    edge = (float(removed.max()) if up else float(removed.min())) if len(removed) else None
    return Sweep(False, best, value, np.where(possible, columns, np.nan), np.flatnonzero(alive), edge)


def fewest(data: Instance, rate: Any, at: Any) -> Any:
    """Fewest replicas of the columns `at` that handle `rate`, at least one."""
    return np.maximum(np.ceil(rate / handled(data)[at] * (1 - ROUNDING)), 1.0)


def _replicas(data: Instance, pairs: Pairs, rate: Any) -> tuple[Array, Array]:
    """Fewest replicas of both pools that serve `rate`."""
    return fewest(data, rate, pairs.at[0]), fewest(data, rate, pairs.at[1])


def _least(data: Instance, pairs: Pairs) -> tuple[Array, Array]:
    return _replicas(data, pairs, pairs.need)


def _fits(data: Instance, pairs: Pairs, replicas: tuple[Array, Array]) -> Mask:
    """Whether systems of so many replicas stay in every limit."""
    fits = np.ones(len(pairs.need), dtype=bool)
    for at, own in zip(pairs.at, replicas, strict=True):
        fits &= own <= data.most_replicas[at]
    bought = [servers(data, own, at) + data.spares for at, own in zip(pairs.at, replicas, strict=True)]
    for each, limit in shares(data):
        fits &= each[pairs.at[0]] * bought[0] + each[pairs.at[1]] * bought[1] <= limit
    return fits


def _rate(data: Instance, pairs: Pairs, replicas: tuple[Array, Array]) -> Array:
    each = handled(data)
    return np.minimum(each[pairs.at[0]] * replicas[0], each[pairs.at[1]] * replicas[1])


def _paid(data: Instance, pairs: Pairs, replicas: tuple[Array, Array]) -> Array:
    first, second = (
        data.price[at] * (servers(data, own, at) + data.spares) for at, own in zip(pairs.at, replicas, strict=True)
    )
    return np.asarray(first + second)


def _reach(data: Instance, pairs: Pairs) -> Array:
    """Proven upper bound of a pair's rate: replicas and servers unrounded; infinite: unlimited."""
    each = handled(data)
    reach = np.minimum(*(each[at] * np.floor(data.most_replicas[at]) for at in pairs.at))
    for taken, limit in shares(data):
        per_request = sum(taken[at] * data.parcels[at] / (data.per_server[at] * each[at]) for at in pairs.at)
        idle = sum(taken[at] * data.spares for at in pairs.at)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.minimum(reach, np.where(per_request > 0, (limit - idle) / per_request, np.inf))
    return np.maximum(reach * (1 + ROUNDING), pairs.need)


def _bound(data: Instance, pairs: Pairs, reach: Array) -> Array:
    """Bound of every pair; a ratio never falls with the rate, since price(rate) / rate never rises."""
    if data.objective == "throughput":
        return reach
    each = handled(data)
    least, paid = _least(data, pairs), np.zeros(len(pairs.need))
    for at, own in zip(pairs.at, least, strict=True):
        replicas = own if data.objective == "cost" else np.maximum(reach / each[at], 1.0)
        fill = np.maximum(data.parcels[at] * replicas / data.per_server[at], servers(data, 1.0, at))
        paid += data.price[at] * (fill + data.spares)
    return paid if data.objective == "cost" else reach / paid


def _start(data: Instance, pairs: Pairs, reach: Array, bound: Array) -> tuple[float, System]:
    """The best system tried: exact for cost and throughput, over few replica counts for ratio."""
    if data.objective == "cost":
        least = _least(data, pairs)
        values = _paid(data, pairs, least)
        return _system(data, pairs, least, values, int(values.argmin()))
    most = _replicas(data, pairs, _top(data, pairs, reach))
    if data.objective == "throughput":
        values = _rate(data, pairs, most)
        return _system(data, pairs, most, values, int(values.argmax()))
    values = _rate(data, pairs, most) / _paid(data, pairs, most)
    best = _system(data, pairs, most, values, int(values.argmax()))
    for step in range(TRIED):
        spans = (own - least for own, least in zip(most, _least(data, pairs), strict=True))
        alive = (bound > best[0]) & (np.maximum(*spans) >= step)
        pairs, most, bound = pairs.only(alive), (most[0][alive], most[1][alive]), bound[alive]
        if len(bound) == 0:
            break
        best = _try(data, pairs, most, step, best)
    return best


def _try(
    data: Instance, pairs: Pairs, most: tuple[Array, Array], step: int, best: tuple[float, System]
) -> tuple[float, System]:
    """Better of `best` and of `step` more replicas than the fewest or less than the most in either pool."""
    each, least = handled(data), _least(data, pairs)
    for pool in (0, 1):
        for own in (least[pool] + step, np.maximum(most[pool] - step, least[pool])):
            handles = np.maximum(each[pairs.at[pool]] * own, pairs.need)
            others = _replicas(data, pairs, handles)
            replicas = (own, others[1]) if pool == 0 else (others[0], own)
            fits = _fits(data, pairs, replicas)
            values = np.where(fits, _rate(data, pairs, replicas) / _paid(data, pairs, replicas), -np.inf)
            at = int(values.argmax())
            if values[at] > best[0]:
                best = _system(data, pairs, replicas, values, at)
    return best


def _top(data: Instance, pairs: Pairs, reach: Array) -> Array:
    """Most rate of every pair in whole replicas and servers; `need` fits, by the choice of pairs."""
    low, high = pairs.need.copy(), reach.copy()
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = _fits(data, pairs, _replicas(data, pairs, middle))
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return low


def _system(
    data: Instance, pairs: Pairs, replicas: tuple[Array, Array], values: Array, best: int
) -> tuple[float, System]:
    first, second = (
        (int(data.columns[at[best]]), float(own[best]), float(servers(data, own[best], at[best])))
        for at, own in zip(pairs.at, replicas, strict=True)
    )
    return float(values[best]), System((first, second), float(_rate(data, pairs, replicas)[best]))
