"""Closed forms beside `best_system`: the best column by itself, and a bound of every column.

Along one column, users per step never falls with the batch where the lines' intercepts are not
negative, so a ratio is best at the largest batch that memory and pace allow, a step is shortest at
the smallest batch that serves the users, and the cheapest system has the fewest whole servers. The
bound of a column drops integrality of the batch and of the fill of a server, so it is never worse
than the column's value. A column is removed when its bound says that it cannot beat the sweep's
best value; removed columns and bounds are part of the proof.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from formulations.best_system.instance import Instance
from formulations.solvers.arrays import Array, Labels, Mask

TIE = 1e-9        # relative; a column this near to the best value stays in the program
ROUNDING = 1e-12  # relative; a limit missed by less is met: 0.1 + 0.2 is within 0.3


@dataclass(frozen=True)
class Sweep:
    """Closed-form result; `value` and `bound` are per column, NaN where the column is infeasible."""

    position: int | None          # of the best column
    batch: float | None           # its batch
    value: float | None           # its value
    values: Array
    batches: Array
    bound: Array
    kept: Labels  # positions
    removed_bound: float | None   # best bound among the removed feasible columns


def step(data: Instance, batch: Any, at: Any = slice(None)) -> Any:
    """Least step (ms) that the lines allow at `batch`, for the columns `at`."""
    read = data.read_fixed[at] + data.read_slope[at] * batch
    return np.maximum(read, data.compute_fixed[at] + data.compute_slope[at] * batch)


def _pace(data: Instance) -> Array:
    """Largest real batch of each column whose step is within the slowest; below zero: none."""
    if data.slowest_step is None:
        return np.full(len(data.columns), np.inf)
    slowest = data.slowest_step * (1 + ROUNDING)
    with np.errstate(divide="ignore", invalid="ignore"):
        read = (slowest - data.read_fixed) / data.read_slope
        compute = (slowest - data.compute_fixed) / data.compute_slope
    for line, fixed, slope in (
        (read, data.read_fixed, data.read_slope), (compute, data.compute_fixed, data.compute_slope),
    ):  # fmt: skip
        flat = slope == 0
        line[flat] = np.where(fixed[flat] <= slowest, np.inf, -1.0)
    return np.minimum(read, compute)


def _whole_batch(data: Instance, real: Array) -> Array:
    """Largest whole batch within room and pace; one less or more where rounding of `real` erred."""
    batch = np.floor(np.minimum(real, data.most_batch))
    if data.slowest_step is None:
        return batch
    slowest = data.slowest_step * (1 + ROUNDING)
    more = (batch + 1 <= data.most_batch) & (step(data, batch + 1) <= slowest)
    batch = np.where(more, batch + 1, batch)
    return np.where((batch > 0) & (step(data, batch) > slowest), batch - 1, batch)


def _within_limits(data: Instance, servers: Array) -> Mask:
    """Whether `servers` and the spares stay in every shared limit."""
    fits = np.ones(len(data.columns), dtype=bool)
    for each, limit in (
        (data.dollars, data.budget), (data.hourly, data.hourly_budget), (data.watts, data.power),
        (data.chips, data.chip_limit), (data.racks, data.rack_limit),
    ):  # fmt: skip
        if limit is not None:
            fits &= each * (servers + data.spares) <= limit * (1 + ROUNDING)
    return fits


def sweep(data: Instance, known: float | None = None) -> Sweep:
    """Value, batch and bound of every column in closed form, the best of them, and what to keep.

    Columns are removed against `known`, a value some solution reaches, or else against the best here.
    """
    real = _pace(data)
    most = _whole_batch(data, real)
    if data.objective == "cost":
        values, batches, bound = _cost(data, most)
    else:
        servers = np.ceil(data.parcels * data.most_replicas / data.per_server)
        fits = _within_limits(data, servers) & (most >= data.least_batch) & (data.most_replicas >= 1)
        parts = _ratio(data, most, real) if data.objective == "ratio" else _speed(data, most)
        values, batches, bound = (np.where(fits, part, np.nan) for part in parts)
    return _choose(data, values, batches, bound, known)


def _choose(data: Instance, values: Array, batches: Array, bound: Array, known: float | None) -> Sweep:
    possible = ~np.isnan(values)
    if not possible.any():
        nothing = np.array([], dtype=np.int64)
        return Sweep(None, None, None, values, batches, bound, nothing, None)
    up = data.objective == "ratio"
    best = int(np.nanargmax(values) if up else np.nanargmin(values))
    value = float(values[best])
    with np.errstate(invalid="ignore"):
        edge_value = value if known is None else known
        alive = possible & (bound >= edge_value * (1 - TIE) if up else bound <= edge_value * (1 + TIE))
    removed = bound[possible & ~alive]
    edge = (float(removed.max()) if up else float(removed.min())) if len(removed) else None
    return Sweep(best, float(batches[best]), value, values, batches, bound, np.flatnonzero(alive), edge)


def _ratio(data: Instance, most: Array, real: Array) -> tuple[Array, Array, Array]:
    """Ratio at the largest whole batch; bound: each line by itself at its better end, batch real."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values = data.gain * most / (data.rate * step(data, most))
        end = np.minimum(real, data.most_batch)
        bound = np.full(len(values), np.inf)
        for fixed, slope in ((data.read_fixed, data.read_slope), (data.compute_fixed, data.compute_slope)):
            ends = [data.gain * b / (data.rate * (fixed + slope * b)) for b in (end, data.least_batch)]
            falls = np.where(fixed + slope * data.least_batch > 0, np.fmax(ends[0], ends[1]), np.inf)
            line = np.where(fixed >= 0, ends[0], falls)  # a line below zero at an end bounds nothing
            bound = np.fmin(bound, np.where(np.isnan(line), np.inf, line))
    short = np.zeros(len(values), dtype=bool) if data.users is None else data.served * most < data.users
    return np.where(short, np.nan, values), most, np.maximum(bound, values)


def _speed(data: Instance, most: Array) -> tuple[Array, Array, Array]:
    """Step at the smallest batch that serves the users; bound: that batch unrounded."""
    need = _needed(data)
    batch = np.maximum(np.ceil(need * (1 - ROUNDING)), data.least_batch)
    fits = batch <= most
    batch, need = np.where(fits, batch, 0.0), np.where(fits, need, 0.0)
    values = np.where(fits, step(data, batch), np.nan)
    return values, batch, np.minimum(step(data, np.maximum(need, data.least_batch)), values)


def _needed(data: Instance) -> Array:
    """Batches (cost: replicas) that serve the users, unrounded; a column that serves nobody is enough for nobody."""
    if not data.users:
        return np.zeros(len(data.columns))
    with np.errstate(divide="ignore"):
        return np.asarray(data.users / data.served)


def _cost(data: Instance, most: Array) -> tuple[Array, Array, Array]:
    """Fewest whole servers that hold enough replicas; bound: the servers' fill unrounded."""
    need = np.maximum(np.ceil(_needed(data) * (1 - ROUNDING)), np.maximum(data.least_replicas, 1.0))
    able = (most >= data.least_batch) & (need <= data.most_replicas)
    need = np.where(able, need, 0.0)
    servers = np.ceil(data.parcels * need / data.per_server)
    fits = able & _within_limits(data, servers)
    values = np.where(fits, data.price * (servers + data.spares), np.nan)
    lower = data.price * (data.parcels * need / data.per_server + data.spares)
    return values, np.where(fits, data.least_batch, np.nan), np.where(fits, lower, np.nan)


def least_denominator(data: Instance) -> float:
    """Proven lower bound of the ratio's denominator: every line at the smallest batch of its column."""
    return float(np.min(data.rate * step(data, np.maximum(data.least_batch, 1.0))))
