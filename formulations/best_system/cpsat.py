"""Choose one layout, its batch and its replicas: the twin of `best_system`, in whole numbers only.

Sets, rows and variables are those of `best_system`, from the same `Instance`; the code between is
not: no closed-form sweep, no removal, no Pyomo, no floating-point solver. Time of column j counts
in its own ticks of 10**-f[j] ms, so fine that the sum of all columns' steps stays below 2**60.

Sets
    columns           j in J
Parameters
    digits            f[j]     1          decimal digits of a tick
    weight            q[j]     tick/user  ratio: y / (lam z), the time that one unit of batch is worth
    others            as in `best_system`, on the grid of their row, 10**-digits of it: needs
                      a b c d l r0 g U m o w n e v q rounded up, capacities u r1 h s T M O W N E down
Variables
    choose            x[j] in {0,1}            1 if column j is the system
    batch             B[j] integer >= 0        users of one stage
    step              t[j] integer >= 0  tick  time of one decode step
    replicas          r[j] integer >= 0
    servers           k[j] integer >= 0        servers in use, without the spares
Objective
    best              ratio: max sum q B - t;  speed: min sum t;  cost: min sum v (k + S x)
Constraints
    pick_one          sum_j x[j] = 1                                     one layout, replicated
    read_memory       t[j] >= a[j] x[j] + b[j] B[j]             j in J   weights and KV cache are read
    do_compute        t[j] >= c[j] x[j] + d[j] B[j]             j in J   the arithmetic is done
    fit_memory        B[j] <= u[j] x[j]                         j in J   the users' KV cache fits
    fill_batch        B[j] >= l[j] x[j]                         j in J   the lines hold from here
    keep_pace         t[j] <= T x[j]                            j in J   the users' speed
    replicate_most    r[j] <= r1[j] x[j]                        j in J
    replicate_least   r[j] >= r0[j] x[j]                        j in J
    own_servers       h[j] k[j] >= g[j] r[j]                    j in J   whole servers are bought
    serve_users       sum_j s[j] B[j] >= U   (cost: s[j] r[j])           all users at once
    stay_in_budget    sum_j m[j] (k[j] + S x[j]) <= M
    stay_in_hourly    sum_j o[j] (k[j] + S x[j]) <= O
    stay_in_power     sum_j w[j] (k[j] + S x[j]) <= W
    stay_in_chips     sum_j n[j] (k[j] + S x[j]) <= N
    stay_in_racks     sum_j e[j] (k[j] + S x[j]) <= E
Source
    Ratio by Dinkelbach (1967), see `fractional`: N - lam D keeps its sign when a column's share is
    multiplied by a positive number of its own, here 1 / (lam z[j] tick[j]). The error of the grid
    is proven in `best_system.grid`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from formulations.best_system import grid as grids
from formulations.best_system.instance import Instance, Solution
from formulations.solvers import cpsat
from formulations.solvers.fractional import Step, maximise_ratio
from formulations.solvers.outcome import Outcome, Status


def solve(
    data: Instance, *, limits: cpsat.Limits | None = None, gap: float = 1e-6
) -> tuple[Outcome[Solution], float]:
    """Best column, and the relative error of the grid: how much worse than the true best it may be.

    Where the error is infinite the grid cuts off a system that is within 1e-8 of a limit: then a
    solution stands, but nothing is proven (FEASIBLE or UNKNOWN, no bound).
    """
    limits = limits or cpsat.Limits()
    if len(data.columns) == 0:
        return Outcome(Status.INFEASIBLE, None, None, None), 0.0
    if data.objective == "ratio":
        outcome, error = _solve_ratio(data, limits, gap)
    else:
        outcome, error = _solve_plain(data, limits, gap)
    if error < float("inf"):
        return outcome, error
    status = Status.UNKNOWN if outcome.solution is None else Status.FEASIBLE
    return Outcome(status, outcome.solution, outcome.value, None), error


def _solve_ratio(data: Instance, limits: cpsat.Limits, gap: float) -> tuple[Outcome[Solution], float]:
    """Dinkelbach from the best ratio without any limit; every bound is of (N - lam D) / D, so D >= 1."""
    if min(data.gain.min(), data.rate.min(), data.least_batch.min()) <= 0:
        raise ValueError("a ratio needs gain, rate and least_batch above zero in every column")
    error = 0.0

    def solve_at(lam: float) -> Step[Solution]:
        nonlocal error
        on = grids.grid(data, lam)
        error = grids.error(data, on)
        result = cpsat.solve(build(data, on), limits)
        bound = None if result.bound is None else lam * grids.surplus(data, on, max(result.bound, 0))
        if not result.values:
            return Step(result.status, None, 0.0, 1.0, bound)
        solution, j = read(data, result.values)
        numerator, denominator = data.gain[j] * solution.batch, data.rate[j] * solution.step
        return Step(result.status, solution, float(numerator), float(denominator), bound)

    largest = np.maximum(data.most_batch, data.least_batch)
    start = float((data.gain * largest / (data.rate * grids.longest(data))).max())
    outcome, _ = maximise_ratio(solve_at, start=start, least_denominator=1.0, gap=gap)
    return outcome, error


def _solve_plain(data: Instance, limits: cpsat.Limits, gap: float) -> tuple[Outcome[Solution], float]:
    on = grids.grid(data, 1.0)
    error = grids.error(data, on)
    result = cpsat.solve(build(data, on), limits)
    digits = on.digits[0] if data.objective == "speed" else on.price.digits
    bound = None if result.bound is None else result.bound * 10.0**-digits / (1 + error)
    if not result.values:
        return Outcome(result.status, None, None, bound), error
    solution, j = read(data, result.values)
    value = (
        solution.step
        if data.objective == "speed"
        else float(data.price[j]) * (solution.servers + data.spares)
    )
    bound = None if bound is None else min(bound, value)
    proven = result.status is Status.OPTIMAL and bound is not None and value - bound <= gap * abs(value)
    return Outcome(Status.OPTIMAL if proven else Status.FEASIBLE, solution, value, bound), error


def build(data: Instance, on: grids.Grid[int]) -> cp_model.CpModel:
    """The program on its grid; names are `row[label]` as in the docstring."""
    m = cp_model.CpModel()
    m.name = "best_system"
    labels = [int(label) for label in data.columns]
    every = range(len(labels))
    most = [-(-r * g // h) for r, g, h in zip(on.most_replicas, on.parcels, on.per_server, strict=True)]

    def variables(name: str, ends: Sequence[int]) -> list[cp_model.IntVar]:
        return [
            m.new_int_var(0, max(end, 0), f"{name}[{label}]") for label, end in zip(labels, ends, strict=True)
        ]

    choose = [m.new_bool_var(f"choose[{label}]") for label in labels]
    batch = variables("batch", on.most_batch)
    step = variables("step", on.top)
    replicas = variables("replicas", on.most_replicas)
    servers = variables("servers", most)

    def each(name: str, row: Callable[[int], Any]) -> None:
        for j in every:
            m.add(row(j)).with_name(f"{name}[{labels[j]}]")

    if data.objective == "ratio":
        m.maximize(cp_model.LinearExpr.weighted_sum(batch, on.weight) - cp_model.LinearExpr.sum(step))
    elif data.objective == "speed":
        m.minimize(cp_model.LinearExpr.sum(step))
    else:
        m.minimize(_total(on.price, servers, choose))

    m.add_exactly_one(choose).with_name("pick_one")
    each("read_memory", lambda j: step[j] >= on.lines[j][0] * choose[j] + on.lines[j][1] * batch[j])
    each("do_compute", lambda j: step[j] >= on.lines[j][2] * choose[j] + on.lines[j][3] * batch[j])
    each("fit_memory", lambda j: batch[j] <= on.most_batch[j] * choose[j])
    each("fill_batch", lambda j: batch[j] >= on.least_batch[j] * choose[j])
    if on.slowest is not None:
        pace = [
            min(slowest, top) for slowest, top in zip(on.slowest, on.top, strict=True)
        ]  # keeps sums small
        each("keep_pace", lambda j: step[j] <= pace[j] * choose[j])
    each("replicate_most", lambda j: replicas[j] <= on.most_replicas[j] * choose[j])
    each("replicate_least", lambda j: replicas[j] >= on.least_replicas[j] * choose[j])
    each("own_servers", lambda j: on.per_server[j] * servers[j] >= on.parcels[j] * replicas[j])
    if on.users is not None:
        count = replicas if data.objective == "cost" else batch
        m.add(cp_model.LinearExpr.weighted_sum(count, on.served) >= on.users).with_name("serve_users")
    for row in on.shared:
        m.add(_total(row, servers, choose) <= row.limit).with_name(f"stay_in_{row.name}")
    return m


def _total(
    row: grids.Shared[int], servers: list[cp_model.IntVar], choose: list[cp_model.IntVar]
) -> cp_model.LinearExpr:
    return cp_model.LinearExpr.weighted_sum([*servers, *choose], [*row.each, *row.idle])


def read(data: Instance, values: Mapping[str, int]) -> tuple[Solution, int]:
    """The chosen column and its position; its step in ms is the least that its lines allow at that batch."""
    (j,) = [i for i, label in enumerate(data.columns) if values[f"choose[{label}]"] == 1]
    label = int(data.columns[j])
    batch, replicas = values[f"batch[{label}]"], values[f"replicas[{label}]"]
    servers = math.ceil(data.parcels[j] * replicas / data.per_server[j])
    lines = (
        data.read_fixed[j] + data.read_slope[j] * batch,
        data.compute_fixed[j] + data.compute_slope[j] * batch,
    )
    return Solution(label, batch, replicas, servers, float(max(lines))), j
