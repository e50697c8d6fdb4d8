"""The program of `formulations.fleet`: solve, build, read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyomo.environ as pyo

from formulations.fleet import (
    bounds as fleet_bounds,
)
from formulations.fleet import (
    check,
    dominance,
    instance,
    search,
)
from formulations.fleet import (
    columns as fleet_columns,
)
from formulations.fleet import (
    rows as fleet_rows,
)
from formulations.fleet import (
    terms as fleet_terms,
)
from formulations.fleet.instance import Instance, Placed, Solution
from formulations.fleet.search import Solved
from formulations.solvers import highs
from formulations.solvers.arrays import Array, Labels
from formulations.solvers.fractional import Trace
from formulations.solvers.outcome import Outcome

Method = Literal["full", "columns"]
LARGE = 500  # undominated columns times periods, above which cuts and patterns pay: `fleet_columns`


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
    limits = replace(limits or highs.Limits(), relative_gap=gap)
    kept = dominance.undominated(data) if removal else data.columns
    if method is None:
        method = "columns" if len(kept) * len(data.periods) > LARGE else "full"
    engine = _columns(data, kept) if method == "columns" else _full(data, kept)
    way = search.Way(engine, lambda values: read(data, values), limits, gap)
    if data.objective == "ratio":
        least = fleet_bounds.least_paid(data)
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
        unit = fleet_terms.unit(data, lam)
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
    return lambda lam, limits: fleet_columns.solve(data, kept, lam=lam, unit=fleet_terms.unit(data, lam), limits=limits)


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
    terms = fleet_terms.objective(data, lam)

    @m.Objective(sense=pyo.minimize if data.objective in ("cost", "power") else pyo.maximize)
    def best(m: Any) -> Any:
        bought = fleet_rows.total(m.buy, scale * terms.buy) + fleet_rows.total(m.own, scale * terms.own)
        return bought + pyo.quicksum(
            scale * float(terms.served[d, p]) * m.served[d, g, p] for d, g, p in m.served if terms.served[d, p]
        )

    fleet_rows.servers(m, data)
    fleet_rows.serving(m, data, m.own)
    fleet_rows.limits(m, data)
    fleet_rows.choice(m, data, most_owned)
    fleet_rows.hosting(m, data)
    return m


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
