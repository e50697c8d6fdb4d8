"""The program of `formulations.fleet`: solve, build, read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyomo.environ as pyo

from formulations.fleet import bounds, check, columns, dominance, instance, search, terms
from formulations.fleet.instance import DECODE, PREFILL, Instance, Placed, Solution
from formulations.fleet.search import Solved
from formulations.solvers import highs
from formulations.solvers.arrays import Array, Labels
from formulations.solvers.fractional import Trace
from formulations.solvers.outcome import Outcome

Method = Literal["full", "columns"]
LARGE = 500  # undominated columns times periods, above which cuts and patterns pay: `fleet.columns`


@dataclass(frozen=True)
class Proof:
    """Beside the outcome: how the solve went, and what the linear relaxation says, labelled as such."""

    method: Method
    columns: int                # of the instance
    undominated: int            # of them: no other one does as well in less space
    priced: int                 # reduced costs computed, over periods and rounds; 0: the full program
    entered: int                # columns times periods in the last integer program
    relaxation: float | None    # optimum of the last linear relaxation; None: the full program
    duals: Mapping[str, float]  # of that relaxation's rows: not prices of the integer program
    trace: Trace | None         # of Dinkelbach's method
    nodes: int


def solve(
    data: Instance,
    *,
    method: Method | None = None,
    removal: bool = True,
    limits: highs.Limits | None = None,
    gap: float = 1e-6,
) -> tuple[Outcome[Solution], Proof]:
    """Best fleet with proof; value and bound in k$, kW, k$ of worth, or k tokens/s times years per k$.

    `method` None: "columns" above LARGE undominated columns times periods. `removal` drops dominated columns.
    FEASIBLE where `limits` ended the search or the proof stops short of the relative `gap`; INFEASIBLE also
    for a ratio of nothing served. Raises SolverFailure where a solution, recounted, breaks a row.
    """
    limits, data = replace(limits or highs.Limits(), relative_gap=gap), bounds.whole_racks(data)
    kept = dominance.undominated(data) if removal else data.columns
    if method is None:
        method = "columns" if len(kept) * len(data.periods) > LARGE else "full"
    engine = _columns(data, kept) if method == "columns" else _full(data, kept)
    way = search.Way(engine, lambda values: read(data, values), limits, gap)
    if data.objective == "ratio":
        least = bounds.least_paid(data)
        outcome = way.ratio(lambda s: (check.gained(data, s), check.paid(data, s)), least)
    else:
        outcome = way.plain(lambda s: check.value(data, s), least=data.objective in ("cost", "power"))
    last = way.solved[-1]
    return outcome, Proof(
        method, len(data.columns), len(kept), last.priced, last.entered, last.relaxation, last.duals, way.trace,
        sum(each.result.nodes for each in way.solved),
    )  # fmt: skip


def _full(data: Instance, kept: Labels) -> search.Engine:
    """The full program through Pyomo."""
    reduced = data.only(kept)

    def engine(lam: float, limits: highs.Limits) -> Solved:
        unit = terms.unit(data, lam)
        model = build(reduced, lam=lam, scale=1.0 / unit)
        result = highs.solve(highs.load(model), limits).scaled(unit)
        values = {_renamed(name, kept): value for name, value in result.values.items()}
        return Solved(replace(result, values=values), 0, len(kept) * len(data.periods), None, {})

    return engine


def _renamed(name: str, kept: Labels) -> str:
    """replicas[j,p] with the position of j in the whole instance."""
    if not name.startswith("replicas["):
        return name
    j, p = name[len("replicas[") : -1].split(",")
    return f"replicas[{kept[int(j)]},{p}]"


def _columns(data: Instance, kept: Labels) -> search.Engine:
    """Column generation; rows as arrays."""
    return lambda lam, limits: columns.solve(data, kept, lam=lam, unit=terms.unit(data, lam), limits=limits)


def build(
    data: Instance, *, lam: float = 0.0, scale: float = 1.0, most_owned: Array | None = None
) -> pyo.ConcreteModel:
    """The program; `lam` is the trial ratio, `scale` multiplies the objective, `most_owned` replaces N."""
    m = pyo.ConcreteModel("fleet")
    m.demands = pyo.Set(initialize=data.demands.tolist())
    m.workloads = pyo.Set(initialize=data.workloads.tolist())
    m.kinds = pyo.Set(initialize=data.kinds.tolist())
    m.vendors = pyo.Set(initialize=data.vendors.tolist())
    m.periods = pyo.Set(initialize=data.periods.tolist())
    m.columns = pyo.Set(initialize=data.columns.tolist())
    m.hosts = pyo.Set(initialize=data.hosts.tolist())
    most = instance.asked(data)
    m.buy = pyo.Var(m.kinds, m.periods, domain=pyo.NonNegativeIntegers)
    m.keep = pyo.Var(m.kinds, m.periods, domain=pyo.NonNegativeIntegers)
    m.own = pyo.Var(m.kinds, m.periods, domain=pyo.NonNegativeIntegers)
    m.replicas = pyo.Var(m.columns, m.periods, domain=pyo.NonNegativeIntegers)
    m.served = pyo.Var(m.demands, m.hosts, m.periods, bounds=lambda m, d, g, p: (0.0, float(most[d, p])))
    if data.most_kinds is not None:
        m.use = pyo.Var(m.kinds, domain=pyo.Binary)
    if data.one_kind:
        m.host = pyo.Var(m.workloads, m.kinds, domain=pyo.Binary)
    weights = terms.objective(data, lam)

    @m.Objective(sense=pyo.minimize if data.objective in ("cost", "power") else pyo.maximize)
    def best(m: Any) -> Any:
        bought = total(m.buy, scale * weights.buy) + total(m.own, scale * weights.own)
        return bought + pyo.quicksum(
            scale * float(weights.served[d, p]) * m.served[d, g, p] for d, g, p in m.served if weights.served[d, p]
        )

    server_rows(m, data)
    serving_rows(m, data, m.own)
    limit_rows(m, data)
    choice_rows(m, data, most_owned)
    host_rows(m, data)
    return m


def total(var: Any, each: Array) -> Any:
    """Sum of var[h, p] times each[h, p]."""
    return pyo.quicksum(float(each[h, p]) * var[h, p] for h, p in var if each[h, p])


def server_rows(m: Any, data: Instance) -> None:
    """What is owned follows from what is bought, kept and supplied."""
    works = terms.alive(data)

    @m.Constraint(m.kinds, m.periods)
    def count_servers(m: Any, h: int, p: int) -> Any:
        return m.own[h, p] == m.keep[h, p] + pyo.quicksum(m.buy[h, b] for b in m.periods if works[h, b, p])

    @m.Constraint(m.kinds, m.periods)
    def keep_installed(m: Any, h: int, p: int) -> Any:
        return m.keep[h, p] <= int(data.installed[h, p])

    @m.Constraint(m.kinds, m.periods)
    def stay_retired(m: Any, h: int, p: int) -> Any:
        return m.keep[h, p] <= m.keep[h, p - 1] if p > 0 else pyo.Constraint.Skip

    @m.Constraint(m.kinds, m.periods)
    def stay_in_supply(m: Any, h: int, p: int) -> Any:
        return _within(m.buy[h, p], data.supply[h, p])

    if data.least_bought is not None:
        least = data.least_bought

        @m.Constraint(m.kinds)
        def buy_least(m: Any, h: int) -> Any:
            bought = pyo.quicksum(m.buy[h, p] for p in m.periods)
            return bought >= float(least[h]) if least[h] > 0 else pyo.Constraint.Skip


def serving_rows(m: Any, data: Instance, own: Any) -> None:
    """Every phase of every demand is covered, and the replicas' parcels lie in the servers `own` [h, p]."""
    sets = m.model()
    wanted = instance.asked(data)
    rate, quick = terms.usable(data, wanted)
    split, strict = terms.split(data), terms.strict_rows(data)
    packing = terms.packing(data)
    of: dict[tuple[int, int], list[int]] = {(d, g): [] for d in sets.demands for g in sets.hosts}
    for j in sets.columns:
        of[int(data.demand_of[j]), int(data.kind_of[j]) if data.one_kind else 0].append(j)
    on = {h: np.flatnonzero(data.kind_of == h).tolist() for h in sets.kinds}

    def covered(m: Any, d: int, g: int, p: int, each: Array, idle: int) -> Any:
        chosen = [j for j in of[d, g] if data.phase[j] != idle and each[j, p] > 0]
        return pyo.quicksum(float(each[j, p]) * m.replicas[j, p] for j in chosen)

    @m.Constraint(sets.demands, sets.periods)
    def serve_least(m: Any, d: int, p: int) -> Any:
        return pyo.quicksum(m.served[d, g, p] for g in sets.hosts) >= float(data.least[d, p])

    @m.Constraint(sets.demands, sets.hosts, sets.periods)
    def serve_prompts(m: Any, d: int, g: int, p: int) -> Any:
        return covered(m, d, g, p, rate, DECODE) >= m.served[d, g, p] if split[d] else pyo.Constraint.Skip

    @m.Constraint(sets.demands, sets.hosts, sets.periods)
    def serve_tokens(m: Any, d: int, g: int, p: int) -> Any:
        return covered(m, d, g, p, rate, PREFILL) >= m.served[d, g, p]

    @m.Constraint(sets.demands, sets.hosts, sets.periods)
    def strict_prompts(m: Any, d: int, g: int, p: int) -> Any:
        if not (split[d] and strict[d]):
            return pyo.Constraint.Skip
        return covered(m, d, g, p, quick, DECODE) >= float(data.strict[d]) * m.served[d, g, p]

    @m.Constraint(sets.demands, sets.hosts, sets.periods)
    def strict_tokens(m: Any, d: int, g: int, p: int) -> Any:
        if not strict[d]:
            return pyo.Constraint.Skip
        return covered(m, d, g, p, quick, PREFILL) >= float(data.strict[d]) * m.served[d, g, p]

    @m.Constraint(sets.kinds, range(packing.full.shape[1]), sets.periods)
    def pack_servers(m: Any, h: int, k: int, p: int) -> Any:
        if packing.full[h, k] == 0:
            return pyo.Constraint.Skip
        taken = pyo.quicksum(float(packing.weight[j, k]) * m.replicas[j, p] for j in on[h] if packing.weight[j, k])
        return taken <= float(packing.full[h, k]) * own[h, p]


def limit_rows(m: Any, data: Instance) -> None:
    """Money, power, racks, servers and vendors; a limit that is None builds no row."""
    if data.capital is not None:
        capital = data.capital

        @m.Constraint(m.periods)
        def stay_in_capital(m: Any, p: int) -> Any:
            return _within(pyo.quicksum(float(data.price[h, p]) * m.buy[h, p] for h in m.kinds), capital[p])

    if data.spending is not None:
        spending = data.spending

        @m.Constraint(m.periods)
        def stay_in_spending(m: Any, p: int) -> Any:
            charged = total(m.buy, data.charge[:, :, p])
            running = pyo.quicksum(float(data.running[h, p]) * m.own[h, p] for h in m.kinds)
            return _within(charged + running, spending[p])

    if data.power is not None:
        power = data.power

        @m.Constraint(m.periods)
        def stay_in_power(m: Any, p: int) -> Any:
            return _within(pyo.quicksum(float(data.watts[h]) * m.own[h, p] for h in m.kinds), power[p])

    if data.racks is not None:
        racks = data.racks

        @m.Constraint(m.periods)
        def stay_in_racks(m: Any, p: int) -> Any:
            return _within(pyo.quicksum(m.own[h, p] / float(data.servers_per_rack[h]) for h in m.kinds), racks[p])

    if data.most_servers is not None:
        servers = data.most_servers

        @m.Constraint(m.kinds, m.periods)
        def stay_in_servers(m: Any, h: int, p: int) -> Any:
            return _within(m.own[h, p], servers[h])

    if data.second_source is not None:
        most = 1.0 - data.second_source

        @m.Constraint(m.vendors, m.periods)
        def mix_vendors(m: Any, v: int, p: int) -> Any:
            part = {h: int(data.chips_per_server[h]) * (float(data.vendor[h] == v) - most) for h in m.kinds}
            return _within(pyo.quicksum(part[h] * m.own[h, p] for h in m.kinds), 0.0)


def _within(taken: Any, limit: float) -> Any:
    """A row, where the limit is one and something counts against it."""
    if not np.isfinite(limit) or isinstance(taken, int | float):
        return pyo.Constraint.Skip
    return taken <= float(limit)


def choice_rows(m: Any, data: Instance, most_owned: Array | None = None) -> None:
    """How many kinds there are, and that a workload has one."""
    if data.most_kinds is not None:
        most = bounds.most_owned(data) if most_owned is None else most_owned

        @m.Constraint(m.kinds, m.periods)
        def use_kind(m: Any, h: int, p: int) -> Any:
            return m.own[h, p] <= float(most[h, p]) * m.use[h]

        @m.Constraint()
        def stay_in_kinds(m: Any) -> Any:
            return pyo.quicksum(m.use[h] for h in m.kinds) <= data.most_kinds

    if data.one_kind:

        @m.Constraint(m.workloads)
        def host_once(m: Any, w: int) -> Any:
            return pyo.quicksum(m.host[w, h] for h in m.kinds) <= 1


def host_rows(m: Any, data: Instance) -> None:
    """Only the kind that a workload has serves it."""
    sets, wanted = m.model(), instance.asked(data)
    if data.one_kind:

        @m.Constraint(sets.demands, sets.kinds, sets.periods)
        def serve_host(m: Any, d: int, h: int, p: int) -> Any:
            return m.served[d, h, p] <= float(wanted[d, p]) * sets.host[int(data.workload_of[d]), h]


def read(data: Instance, values: Mapping[str, float]) -> Solution:
    """The fleet in whole numbers; served is what its replicas can serve, at most what is asked.

    Replicas without which as much is served are left out: their chips are free.
    """
    buy, keep, own = (grid(data, values, name) for name in ("buy", "keep", "own"))
    solution = place(data, values, Solution(buy, keep, own, (), np.zeros(data.demand.shape)))
    if rows := check.broken(data, solution):
        raise highs.SolverFailure(f"the fleet found breaks {', '.join(rows[:5])} when it is recounted")
    return solution


def as_cheap_as_possible(data: Instance, solution: Solution) -> Instance:
    """The instance of least cost whose fleets serve what a solution serves: value alone leaves servers idle."""
    return replace(data, objective="cost", least=np.minimum(solution.served, data.demand))


def grid(data: Instance, values: Mapping[str, float], name: str) -> Labels:
    """[h, p] whole numbers of a variable of servers."""
    counts = np.zeros(data.running.shape, dtype=np.int64)
    for h, p in np.ndindex(*counts.shape):
        counts[h, p] = highs.whole(f"{name}[{h},{p}]", values[f"{name}[{h},{p}]"])
    return counts


def place(data: Instance, values: Mapping[str, float], solution: Solution, prefix: str = "") -> Solution:
    """A solution with its replicas, read from the variables that begin with `prefix`, and what they serve."""
    hosts = {name for name, value in values.items() if name.startswith("host[") and highs.whole(name, value)}
    placed, head = [], f"{prefix}replicas["
    for name, value in values.items():
        if name.startswith(head) and (count := highs.whole(name, value)):
            j, p = (int(i) for i in name[len(head) : -1].split(","))
            if not data.one_kind or f"host[{data.workload_of[data.demand_of[j]]},{data.kind_of[j]}]" in hosts:
                placed.append(Placed(j, p, count))
    placed.sort(key=lambda each: (each.period, each.column))
    solution = replace(solution, placed=tuple(placed))
    solution = replace(solution, served=check.most_served(data, solution))
    return replace(solution, placed=tuple(check.needed(data, solution)))
