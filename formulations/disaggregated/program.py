"""The program of `formulations.disaggregated`: solve, build, read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations.disaggregated import bounds
from formulations.disaggregated.instance import Instance, Objective, Pool, Solution, arrays_of
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
) -> tuple[Outcome[Solution], Proof]:
    """Best pair of pools with proof; bound covers the removed columns by their own bounds.

    `value` is requests/s per `price` unit for ratio, requests/s for throughput, `price` units for cost.
    Where neither a limit nor `most_replicas` bounds a pair of columns, throughput is UNBOUNDED; a ratio
    has a supremum that only ever larger systems approach, and raises ValueError.
    """
    limits = limits or highs.Limits()
    sweep = bounds.sweep(data)
    if sweep.unlimited and data.objective == "ratio":
        raise ValueError("objective 'ratio' needs a limit or most_replicas that bounds every pair of columns")
    if sweep.unlimited:
        return Outcome(Status.UNBOUNDED, None, None, None), Proof(sweep, 0, None, 0)
    kept = sweep.kept if removal else np.arange(len(data.columns))
    if len(kept) == 0 or min(len(data.prefill), len(data.decode)) == 0:
        return Outcome(Status.INFEASIBLE, None, None, None), Proof(sweep, 0, None, 0)
    reduced = data.only(kept)
    if data.objective == "ratio":
        outcome, trace, nodes = _solve_ratio(reduced, sweep, limits, gap)
    else:
        outcome, nodes = _solve_plain(reduced, sweep, limits, gap)
        trace = None
    if removal:
        outcome = _cover(outcome, data.objective, sweep)
    return outcome, Proof(sweep, len(kept), trace, nodes)


def _cover(outcome: Outcome[Solution], objective: Objective, sweep: bounds.Sweep) -> Outcome[Solution]:
    """Weaken the bound to the best bound among the removed columns, where that is weaker."""
    if outcome.bound is None or sweep.removed_bound is None:
        return outcome
    widest = min if objective == "cost" else max
    return Outcome(outcome.status, outcome.solution, outcome.value, widest(outcome.bound, sweep.removed_bound))


def _solve_ratio(
    data: Instance, sweep: bounds.Sweep, limits: highs.Limits, gap: float
) -> tuple[Outcome[Solution], Trace, int]:
    """Dinkelbach from the sweep's best ratio, rescaled so that N and lam * D are near 1 there."""
    size = sweep.best.rate if sweep.best is not None else 1.0
    nodes = 0

    def solve_at(lam: float) -> Step[Solution]:
        nonlocal nodes
        if limits.deadline.passed:  # a large program is seconds in the making
            return Step(Status.UNKNOWN, None, 0.0, 1.0, None)
        result = highs.solve(highs.load(build(data, lam=lam, scale=1.0 / size)), limits, _warm(sweep))
        nodes += result.nodes
        bound = None if result.bound is None else result.bound * size
        if not result.values:
            return Step(result.status, None, 0.0, 1.0, bound)
        solution = read(data, result.values)
        return Step(result.status, solution, solution.rate, paid(data, solution), bound)

    least = bounds.least_denominator(data)
    start = 0.0 if sweep.value is None else sweep.value
    outcome, trace = maximise_ratio(solve_at, start=start, least_denominator=least, gap=gap)
    return outcome, trace, nodes


def _solve_plain(
    data: Instance, sweep: bounds.Sweep, limits: highs.Limits, gap: float
) -> tuple[Outcome[Solution], int]:
    if limits.deadline.passed:
        return Outcome(Status.UNKNOWN, None, None, None), 0
    size = sweep.value or 1.0
    result = highs.solve(highs.load(build(data, scale=1.0 / size)), limits, _warm(sweep))
    bound = None if result.bound is None else result.bound * size
    if not result.values:
        return Outcome(result.status, None, None, bound), result.nodes
    solution = read(data, result.values)
    value = paid(data, solution) if data.objective == "cost" else solution.rate
    beyond = min if data.objective == "cost" else max
    bound = None if bound is None else beyond(bound, value)
    proven = result.status is Status.OPTIMAL and bound is not None and abs(value - bound) <= gap * value
    return Outcome(Status.OPTIMAL if proven else Status.FEASIBLE, solution, value, bound), result.nodes


def paid(data: Instance, solution: Solution) -> float:
    """`price` of all servers of a solution, with the spares."""
    at = {int(label): c for c, label in enumerate(data.columns)}
    pools = (solution.prefill, solution.decode)
    return float(sum(data.price[at[pool.column]] * (pool.servers + data.spares) for pool in pools))


def _warm(sweep: bounds.Sweep) -> Mapping[str, float] | None:
    """The sweep's best system as a start: little is left to find, only to prove."""
    if sweep.best is None:
        return None
    start = {"rate": sweep.best.rate}
    for label, replicas, servers in sweep.best.pools:
        start |= {f"choose[{label}]": 1.0, f"replicas[{label}]": replicas, f"servers[{label}]": servers}
    return start


def build(data: Instance, *, lam: float = 0.0, scale: float = 1.0) -> pyo.ConcreteModel:
    """The program; `lam` is the trial ratio, `scale` multiplies the objective."""
    m = pyo.ConcreteModel("disaggregated")
    at = {int(label): c for c, label in enumerate(data.columns)}
    m.prefill = pyo.Set(initialize=data.prefill.tolist(), ordered=True)
    m.decode = pyo.Set(initialize=data.decode.tolist(), ordered=True)
    m.columns = pyo.Set(initialize=list(at), ordered=True)
    m.choose = pyo.Var(m.columns, domain=pyo.Binary)
    m.replicas = pyo.Var(m.columns, domain=pyo.NonNegativeIntegers)
    m.servers = pyo.Var(m.columns, domain=pyo.NonNegativeIntegers)
    m.rate = pyo.Var(domain=pyo.NonNegativeReals)
    p = {name: getattr(data, name).tolist() for name in arrays_of(data)}
    most = bounds.most_replicas(data).tolist()

    def total(m: Any, each: list[float]) -> Any:
        return pyo.quicksum(each[c] * (m.servers[label] + data.spares * m.choose[label]) for label, c in at.items())

    @m.Objective(sense=pyo.minimize if data.objective == "cost" else pyo.maximize)
    def best(m: Any) -> Any:
        if data.objective == "ratio":
            return scale * m.rate - total(m, [scale * lam * price for price in p["price"]])
        if data.objective == "throughput":
            return scale * m.rate
        return total(m, [scale * price for price in p["price"]])

    @m.Constraint()
    def pick_prefill(m: Any) -> Any:
        return pyo.quicksum(m.choose[i] for i in m.prefill) == 1

    @m.Constraint()
    def pick_decode(m: Any) -> Any:
        return pyo.quicksum(m.choose[j] for j in m.decode) == 1

    def handled(m: Any, pool: Any) -> Any:
        return pyo.quicksum(p["utilisation"][at[c]] * p["speed"][at[c]] * m.replicas[c] for c in pool)

    @m.Constraint()
    def prefill_prompts(m: Any) -> Any:
        return m.rate <= handled(m, m.prefill)

    @m.Constraint()
    def decode_tokens(m: Any) -> Any:
        return m.rate <= handled(m, m.decode)

    if data.cache is not None:

        @m.Constraint()
        def send_cache(m: Any) -> Any:
            return data.cache * m.rate <= pyo.quicksum(p["link"][at[i]] * m.replicas[i] for i in m.prefill)

        @m.Constraint()
        def receive_cache(m: Any) -> Any:
            return data.cache * m.rate <= pyo.quicksum(p["link"][at[j]] * m.replicas[j] for j in m.decode)

    @m.Constraint(m.columns)
    def replicate_most(m: Any, c: int) -> Any:
        return m.replicas[c] <= most[at[c]] * m.choose[c]

    @m.Constraint(m.columns)
    def replicate_least(m: Any, c: int) -> Any:
        return m.replicas[c] >= m.choose[c]

    @m.Constraint(m.columns)
    def own_servers(m: Any, c: int) -> Any:
        return p["per_server"][at[c]] * m.servers[c] >= p["parcels"][at[c]] * m.replicas[c]

    if data.rate_demanded is not None:

        @m.Constraint()
        def serve_rate(m: Any) -> Any:
            return m.rate >= data.rate_demanded

    if data.users is not None:

        @m.Constraint()
        def serve_users(m: Any) -> Any:
            return m.rate >= pyo.quicksum(data.users * p["pace"][at[j]] * m.choose[j] for j in m.decode)

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
    """Both pools in whole numbers; replicas and servers are the fewest that serve what both pools can."""
    handled, chosen = bounds.handled(data), []
    for labels in (data.prefill, data.decode):
        (label,) = [int(c) for c in labels if round(values[f"choose[{c}]"]) == 1]
        c = int(np.flatnonzero(data.columns == label)[0])
        chosen.append((label, c, round(values[f"replicas[{label}]"])))
    both = min(float(handled[c]) * replicas for _, c, replicas in chosen)
    pools, rates = [], []
    for label, c, replicas in chosen:
        fewest = min(replicas, int(bounds.fewest(data, both, c)))
        pools.append(Pool(label, fewest, int(bounds.servers(data, fewest, c))))
        rates.append(float(handled[c]) * fewest)
    return Solution(pools[0], pools[1], min(rates))
