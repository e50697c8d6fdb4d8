"""Choose one layout, its batch and its replicas so that the system is best under every limit.

A column is a layout with a range of replicas and a range of batches on which its step is bounded
from below by straight lines; exactly one column is chosen (hull form: one copy of every variable
for each column, zero unless chosen).

Sets
    columns           j in J
Parameters
    stages            p[j]     1          pipeline stages in flight; users of a replica = p * batch
    read_fixed        a[j]     ms         step bounded by memory: read_fixed + read_slope * batch
    read_slope        b[j]     ms/user
    compute_fixed     c[j]     ms         step bounded by compute: likewise
    compute_slope     d[j]     ms/user
    least_batch       l[j]     users      of one stage
    most_batch        u[j]     users      what memory has room for, or the end of the range of batches
    least_replicas    r0[j]    1
    most_replicas     r1[j]    1
    parcels           g[j]     1          parcels (tensor groups, or servers of one) in a replica
    per_server        h[j]     1          parcels that one server holds
    dollars           m[j]     k$         capital of one server
    hourly            o[j]     $/h        cost of one server-hour
    watts             w[j]     kW         IT power of one server
    chips             n[j]     1          chips of one server
    racks             e[j]     1          share of a rack that one server takes
    gain              y[j]     1          ratio: numerator of one unit of batch
    rate              z[j]     any        ratio: denominator of one ms of step
    price             v[j]     any        cost: objective of one server
    served            s[j]     users      serve_users: users of one unit of batch (of one replica for cost)
    objective         -        -          "ratio", "speed" or "cost"
    slowest_step      T        ms         None: no limit, here and below
    users             U        users
    budget            M        k$
    hourly_budget     O        $/h
    power             W        kW
    chip_limit        N        chips
    rack_limit        E        racks
    spares            S        servers    bought and kept idle
Variables
    choose            x[j] in {0,1}            1 if column j is the system
    batch             B[j] integer >= 0        users of one stage
    step              t[j] >= 0        ms      time of one decode step
    replicas          r[j] integer >= 0
    servers           k[j] integer >= 0        servers in use, without the spares
Objective
    best              ratio: max sum y B - lam * sum z t;  speed: min sum t;  cost: min sum v (k + S x)
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
    Physics of the lines: arXiv 2507.14397; ratio by Dinkelbach (1967), see `fractional`. A row whose
    limit is None is not built. Replicas are fixed (r0 = r1) for ratio and speed, where s = r1 * p:
    a ratio does not fall when more replicas of the same fill are bought, so the columns carry the
    replica counts that can be best; for cost they are free and s is the closed-form most users.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import pyomo.environ as pyo

from formulations import best_system_bounds as bounds
from formulations import highs
from formulations.fractional import Step, Trace, maximise_ratio
from formulations.outcome import Outcome, Status

Objective = Literal["ratio", "speed", "cost"]
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; arrays run over `columns`."""

    columns: np.ndarray[Any, np.dtype[np.int64]]
    stages: Array
    read_fixed: Array
    read_slope: Array
    compute_fixed: Array
    compute_slope: Array
    least_batch: Array
    most_batch: Array
    least_replicas: Array
    most_replicas: Array
    parcels: Array
    per_server: Array
    dollars: Array
    hourly: Array
    watts: Array
    chips: Array
    racks: Array
    gain: Array
    rate: Array
    price: Array
    served: Array
    objective: Objective
    slowest_step: float | None = None
    users: float | None = None
    budget: float | None = None
    hourly_budget: float | None = None
    power: float | None = None
    chip_limit: float | None = None
    rack_limit: float | None = None
    spares: float = 0.0

    def only(self, keep: np.ndarray[Any, Any]) -> "Instance":
        """The instance of the columns at positions (or under the mask) `keep`."""
        changed = {f.name: getattr(self, f.name) for f in fields(self)}
        return Instance(**{k: v[keep] if isinstance(v, np.ndarray) else v for k, v in changed.items()})


@dataclass(frozen=True)
class Solution:
    """The chosen column (its label in `columns`) with integer batch, replicas, servers; step in ms."""

    column: int
    batch: int
    replicas: int
    servers: int
    step: float


@dataclass(frozen=True)
class Proof:
    """Beside the outcome: the removal (kept positions, each column's bound) and how the solve went."""

    sweep: bounds.Sweep
    solved: int
    trace: Trace | None
    nodes: int


def solve(
    data: Instance,
    *,
    removal: bool = True,
    limits: highs.Limits | None = None,
    gap: float = 1e-6,
    known: float | None = None,
) -> tuple[Outcome[Solution], Proof]:
    """Best column with proof; bound covers the removed columns by their own bounds.

    `known` is a value that some solution is known to reach, where the instance's lines are only
    below its true step times; columns are removed against it instead of the sweep's best.

    `value` is users/(ms * rate) for ratio, ms for speed, `price` units for cost.
    """
    limits = limits or highs.Limits()
    sweep = bounds.sweep(data, known)
    kept = sweep.kept if removal else np.arange(len(data.columns))
    if len(kept) == 0:
        return Outcome(Status.INFEASIBLE, None, None, None), Proof(sweep, 0, None, 0)
    reduced = data.only(kept)
    if data.objective == "ratio":
        outcome, trace, nodes = _solve_ratio(reduced, known if known is not None else sweep.value, limits, gap)
    else:
        outcome, nodes = _solve_plain(reduced, sweep.value, limits, gap)
        trace = None
    if removal:
        outcome = _cover(outcome, data.objective, sweep)
    return outcome, Proof(sweep, len(kept), trace, nodes)


def _cover(outcome: Outcome[Solution], objective: Objective, sweep: bounds.Sweep) -> Outcome[Solution]:
    """Weaken the bound to the best bound among the removed columns, where that is weaker."""
    if outcome.bound is None or sweep.removed_bound is None:
        return outcome
    widest = max if objective == "ratio" else min
    return Outcome(outcome.status, outcome.solution, outcome.value, widest(outcome.bound, sweep.removed_bound))


def _solve_ratio(
    data: Instance, removal_start: float | None, limits: highs.Limits, gap: float
) -> tuple[Outcome[Solution], Trace, int]:
    """Dinkelbach from the sweep's best ratio; rescaled so that N and lam * D are near 1 at that column."""
    best = bounds.sweep(data)
    if best.position is None or best.batch is None:
        size, warm = float(np.max(data.gain)), None
    else:
        size, warm = float(data.gain[best.position]) * best.batch, _warm(data, best.position, best.batch)
    nodes = 0

    def solve_at(lam: float) -> Step[Solution]:
        nonlocal nodes
        if limits.deadline.passed:  # a large program is seconds in the making
            return Step(Status.UNKNOWN, None, 0.0, 1.0, None)
        result = highs.solve(highs.load(build(data, lam=lam, scale=1.0 / size)), limits, warm)
        nodes += result.nodes
        bound = None if result.bound is None else result.bound * size
        if not result.values:
            return Step(result.status, None, 0.0, 1.0, bound)
        solution = read(data, result.values)
        j = int(np.flatnonzero(data.columns == solution.column)[0])
        numerator, denominator = data.gain[j] * solution.batch, data.rate[j] * solution.step
        return Step(result.status, solution, float(numerator), float(denominator), bound)

    least = bounds.least_denominator(data)
    outcome, trace = maximise_ratio(solve_at, start=removal_start or 0.0, least_denominator=least, gap=gap)
    return outcome, trace, nodes


def _solve_plain(
    data: Instance, start: float | None, limits: highs.Limits, gap: float
) -> tuple[Outcome[Solution], int]:
    """The program in units of the sweep's best value: HiGHS's gap is absolute, and a price may be a billionth."""
    if limits.deadline.passed:
        return Outcome(Status.UNKNOWN, None, None, None), 0
    size = start or 1.0
    result = highs.solve(highs.load(build(data, scale=1.0 / size)), limits).scaled(size)
    if not result.values:
        return Outcome(result.status, None, None, result.bound), result.nodes
    solution = read(data, result.values)
    j = int(np.flatnonzero(data.columns == solution.column)[0])
    value = solution.step if data.objective == "speed" else float(data.price[j]) * (solution.servers + data.spares)
    bound = None if result.bound is None else min(result.bound, value)
    proven = result.status is Status.OPTIMAL and bound is not None and value - bound <= gap * abs(value)
    return Outcome(Status.OPTIMAL if proven else Status.FEASIBLE, solution, value, bound), result.nodes


def _warm(data: Instance, j: int, batch: float) -> Mapping[str, float]:
    """The sweep's best column as a start: nothing is left to find, only to prove."""
    label, replicas = int(data.columns[j]), data.most_replicas[j]
    return {
        f"choose[{label}]": 1.0, f"batch[{label}]": batch, f"replicas[{label}]": replicas,
        f"step[{label}]": float(bounds.step(data, batch, j)),
        f"servers[{label}]": float(np.ceil(data.parcels[j] * replicas / data.per_server[j])),
    }  # fmt: skip


def build(data: Instance, *, lam: float = 0.0, scale: float = 1.0) -> pyo.ConcreteModel:
    """The program; `lam` is the trial ratio, `scale` multiplies the objective."""
    m = pyo.ConcreteModel("best_system")
    at = {int(label): i for i, label in enumerate(data.columns)}
    m.columns = pyo.Set(initialize=list(at), ordered=True)
    m.choose = pyo.Var(m.columns, domain=pyo.Binary)
    m.batch = pyo.Var(m.columns, domain=pyo.NonNegativeIntegers)
    m.step = pyo.Var(m.columns, domain=pyo.NonNegativeReals)
    m.replicas = pyo.Var(m.columns, domain=pyo.NonNegativeIntegers)
    m.servers = pyo.Var(m.columns, domain=pyo.NonNegativeIntegers)
    p = {f.name: getattr(data, f.name).tolist() for f in fields(data) if isinstance(getattr(data, f.name), np.ndarray)}

    @m.Objective(sense=pyo.maximize if data.objective == "ratio" else pyo.minimize)
    def best(m: Any) -> Any:
        if data.objective == "ratio":
            return pyo.quicksum(
                scale * p["gain"][i] * m.batch[j] - scale * lam * p["rate"][i] * m.step[j] for j, i in at.items()
            )
        if data.objective == "speed":
            return pyo.quicksum(scale * m.step[j] for j in m.columns)
        return pyo.quicksum(scale * p["price"][i] * (m.servers[j] + data.spares * m.choose[j]) for j, i in at.items())

    @m.Constraint()
    def pick_one(m: Any) -> Any:
        return pyo.quicksum(m.choose[j] for j in m.columns) == 1

    @m.Constraint(m.columns)
    def read_memory(m: Any, j: int) -> Any:
        return m.step[j] >= p["read_fixed"][at[j]] * m.choose[j] + p["read_slope"][at[j]] * m.batch[j]

    @m.Constraint(m.columns)
    def do_compute(m: Any, j: int) -> Any:
        return m.step[j] >= p["compute_fixed"][at[j]] * m.choose[j] + p["compute_slope"][at[j]] * m.batch[j]

    @m.Constraint(m.columns)
    def fit_memory(m: Any, j: int) -> Any:
        return m.batch[j] <= p["most_batch"][at[j]] * m.choose[j]

    @m.Constraint(m.columns)
    def fill_batch(m: Any, j: int) -> Any:
        return m.batch[j] >= p["least_batch"][at[j]] * m.choose[j]

    if data.slowest_step is not None:

        @m.Constraint(m.columns)
        def keep_pace(m: Any, j: int) -> Any:
            return m.step[j] <= data.slowest_step * m.choose[j]

    @m.Constraint(m.columns)
    def replicate_most(m: Any, j: int) -> Any:
        return m.replicas[j] <= p["most_replicas"][at[j]] * m.choose[j]

    @m.Constraint(m.columns)
    def replicate_least(m: Any, j: int) -> Any:
        return m.replicas[j] >= p["least_replicas"][at[j]] * m.choose[j]

    @m.Constraint(m.columns)
    def own_servers(m: Any, j: int) -> Any:
        return p["per_server"][at[j]] * m.servers[j] >= p["parcels"][at[j]] * m.replicas[j]

    if data.users is not None:
        count = m.replicas if data.objective == "cost" else m.batch

        @m.Constraint()
        def serve_users(m: Any) -> Any:
            return pyo.quicksum(p["served"][i] * count[j] for j, i in at.items()) >= data.users

    def total(m: Any, each: list[float]) -> Any:
        return pyo.quicksum(each[i] * (m.servers[j] + data.spares * m.choose[j]) for j, i in at.items())

    if data.budget is not None:

        @m.Constraint()
        def stay_in_budget(m: Any) -> Any:
            return total(m, p["dollars"]) <= data.budget

    if data.hourly_budget is not None:

        @m.Constraint()
        def stay_in_hourly(m: Any) -> Any:
            return total(m, p["hourly"]) <= data.hourly_budget

    if data.power is not None:

        @m.Constraint()
        def stay_in_power(m: Any) -> Any:
            return total(m, p["watts"]) <= data.power

    if data.chip_limit is not None:

        @m.Constraint()
        def stay_in_chips(m: Any) -> Any:
            return total(m, p["chips"]) <= data.chip_limit

    if data.rack_limit is not None:

        @m.Constraint()
        def stay_in_racks(m: Any) -> Any:
            return total(m, p["racks"]) <= data.rack_limit

    return m


def read(data: Instance, values: Mapping[str, float]) -> Solution:
    """The chosen column in whole numbers; its step is the least that its lines allow at that batch."""
    (label,) = [int(j) for j in data.columns if round(values[f"choose[{j}]"]) == 1]
    position = int(np.flatnonzero(data.columns == label)[0])
    batch, replicas = round(values[f"batch[{label}]"]), round(values[f"replicas[{label}]"])
    servers = int(np.ceil(data.parcels[position] * replicas / data.per_server[position]))
    return Solution(label, batch, replicas, servers, float(bounds.step(data, float(batch), position)))
