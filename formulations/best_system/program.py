"""The program of `formulations.best_system`: solve, build, read."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations.best_system import bounds
from formulations.best_system.instance import Instance, Objective, Solution
from formulations.solvers import highs
from formulations.solvers.fractional import Step, Trace, maximise_ratio
from formulations.solvers.outcome import Outcome, Status


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
