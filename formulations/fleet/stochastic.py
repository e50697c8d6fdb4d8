"""Buy servers first; place replicas when demand, and which servers are lost, are known.

Servers are bought as in `fleet` and are the same in every scenario; replicas are placed anew in each.

Sets
    scenarios         s in S
Parameters
    plan              -                           of `fleet`: all but what the scenarios say
    probability       [s]      1                  they sum to 1; 0: a scenario to be survived, not expected
    demand            [d,p,s]  requests/s
    least             [d,p,s]  requests/s         that must be served
    loss              [s]      -                  NONE, RACK or KIND
    lost              [s]      -                  the kind of which a rack, or every server, is lost
Variables
    buy               [h,p] integer >= 0
    keep              [h,p] integer >= 0
    own               [h,p] integer >= 0
    use               [h] in {0,1}
    host              [w,h] in {0,1}
    replicas          [j,p,s] integer >= 0
    served            [d,g,p,s] in [0, wanted]    requests/s
    left              [h,p,s] integer >= 0        servers that are not lost
    stand             [p,s] in {0,1}              1 if more than one rack of the lost kind is owned
Objective
    best              cost and power as in `fleet`; value and ratio with the expectation sum_s probability[s] of served
Constraints
    count_servers     as in `fleet`, and so all rows down to host_once
    keep_installed    as in `fleet`
    stay_retired      as in `fleet`
    stay_in_supply    as in `fleet`
    buy_least         as in `fleet`
    stay_in_capital   as in `fleet`
    stay_in_spending  as in `fleet`
    stay_in_power     as in `fleet`
    stay_in_racks     as in `fleet`
    stay_in_servers   as in `fleet`
    mix_vendors       as in `fleet`
    use_kind          as in `fleet`; most_owned counts the servers in reserve too
    stay_in_kinds     as in `fleet`
    host_once         as in `fleet`
    stay_left         left[h,p,s] <= own[h,p]; of a lost kind 0                h in H, p in P, s in S
    lose_rack         left[h,p,s] <= own[h,p] - rack[h] stand[p,s]    h of lost[s], p in P, s in S with loss RACK
    lose_all          left[h,p,s] <= need[h,p,s] stand[p,s]           h of lost[s], p in P, s in S with loss RACK
    serve_least       as in `fleet`, in every scenario, and so all rows from here on
    serve_prompts     as in `fleet`
    serve_tokens      as in `fleet`
    strict_prompts    as in `fleet`
    strict_tokens     as in `fleet`
    pack_servers      as in `fleet`, with left[h,p,s] for own[h,p]
    serve_host        as in `fleet`
Shorthands
    wanted            [d,p,s]  requests/s         as in `fleet`, of a scenario
    rack              [h]      servers            of a full rack, rounded up; where no more is owned, all of it is lost
    need              [h,p,s]  servers            that hold all that the kind helps to cover: `fleet.bounds`
Source
    Two stages with recourse: J. Birge, F. Louveaux, Introduction to Stochastic Programming, 2011. More
    servers than `need` need not be left.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations.fleet import bounds, check, dominance, instance, search, terms
from formulations.fleet import program as fleet
from formulations.solvers import highs
from formulations.solvers.arrays import Array, Labels
from formulations.solvers.outcome import Outcome

NONE, RACK, KIND = 0, 1, 2


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring."""

    scenarios: Labels = field(init=False)
    plan: instance.Instance
    probability: Array
    demand: Array
    least: Array
    loss: Labels
    lost: Labels

    def __post_init__(self) -> None:
        count, shape = len(self.probability), (*self.plan.demand.shape, len(self.probability))
        object.__setattr__(self, "scenarios", np.arange(count))
        faults = [f"{n} has shape {a.shape}, expected {shape}" for n in ("demand", "least")
                  if (a := getattr(self, n)).shape != shape]  # fmt: skip
        faults += [f"{n} must name {count} scenarios" for n in ("loss", "lost") if len(getattr(self, n)) != count]
        if not (self.probability >= 0).all() or abs(self.probability.sum() - 1) > 1e-9:
            faults.append("probability must not be negative and must sum to 1")
        if not np.isin(self.loss, (NONE, RACK, KIND)).all() or not np.isin(self.lost, self.plan.kinds).all():
            faults.append("loss must be NONE, RACK or KIND, lost must name kinds")
        if faults:
            raise ValueError("fleet_stochastic: " + "; ".join(faults))

    def situation(self, s: int) -> instance.Instance:
        """The plan with the demand of a scenario."""
        return replace(self.plan, demand=self.demand[:, :, s], least=self.least[:, :, s])

    def only(self, keep: Labels) -> "Instance":
        """The instance of the plan's columns at the positions `keep`."""
        return replace(self, plan=self.plan.only(keep))


def survive(plan: instance.Instance, loss: int, *, share: float = 1.0) -> Instance:
    """The plan as it is, and with the loss of a rack, or all servers, of any kind: then a share of demand is served."""
    count = 1 + len(plan.kinds)
    least = np.repeat((share * plan.demand)[:, :, None], count, axis=2)
    least[:, :, 0] = plan.least
    return Instance(
        plan=plan, probability=np.eye(1, count)[0], demand=np.repeat(plan.demand[:, :, None], count, axis=2),
        least=least, loss=np.array([NONE] + [loss] * (count - 1)), lost=np.concatenate([[0], plan.kinds]),
    )  # fmt: skip


@dataclass(frozen=True)
class Solution:
    """Servers [h, p], the same in every scenario, and a placement for each, whose `own` are the servers left."""

    buy: Labels
    keep: Labels
    own: Labels
    situations: tuple[instance.Solution, ...]


@dataclass(frozen=True)
class Proof:
    """Beside the outcome: columns, those left by removal, branch-and-bound nodes."""

    columns: int
    undominated: int
    nodes: int


def solve(
    data: Instance, *, removal: bool = True, limits: highs.Limits | None = None, gap: float = 1e-6
) -> tuple[Outcome[Solution], Proof]:
    """Best fleet with proof, as `fleet.solve`; through Pyomo, over the columns that no other one dominates."""
    limits = replace(limits or highs.Limits(), relative_gap=gap)
    data = replace(data, plan=bounds.whole_racks(data.plan))
    most = np.max([instance.asked(data.situation(s)) for s in data.scenarios.tolist()], axis=0)
    kept = dominance.undominated(data.plan, most) if removal else data.plan.columns
    reduced = data.only(kept)

    def engine(lam: float, limits: highs.Limits) -> search.Solved:
        unit = terms.unit(data.plan, lam)
        model = build(reduced, lam=lam, scale=1.0 / unit)
        return search.Solved(highs.solve(highs.load(model), limits).scaled(unit))

    way = search.Way(engine, lambda values: _renumbered(read(reduced, values), kept), limits, gap)
    if data.plan.objective == "ratio":
        outcome = way.ratio(lambda s: (gained(data, s), paid(data, s)), bounds.least_paid(data.plan))
    else:
        outcome = way.plain(lambda s: value(data, s), least=data.plan.objective in ("cost", "power"))
    nodes = sum(each.result.nodes for each in way.solved)
    return outcome, Proof(len(data.plan.columns), len(kept), nodes)


def gained(data: Instance, solution: Solution) -> float:
    """Expected k$ of worth, or k tokens/s times years."""
    each = [check.gained(data.situation(s), placed) for s, placed in enumerate(solution.situations)]
    return float(np.dot(data.probability, each))


def paid(data: Instance, solution: Solution) -> float:
    """k$ over all periods."""
    return check.paid(data.plan, _servers(data, solution))


def value(data: Instance, solution: Solution) -> float:
    """k$, kW, expected k$ of worth, or expected k tokens/s times years per k$."""
    if data.plan.objective == "ratio":
        return gained(data, solution) / paid(data, solution)
    if data.plan.objective == "value":
        return gained(data, solution)
    return check.value(data.plan, _servers(data, solution))


def _servers(data: Instance, solution: Solution) -> instance.Solution:
    return instance.Solution(solution.buy, solution.keep, solution.own, (), np.zeros(data.plan.demand.shape))


def build(data: Instance, *, lam: float = 0.0, scale: float = 1.0) -> pyo.ConcreteModel:
    """The program; `lam` is the trial ratio, `scale` multiplies the objective."""
    plan, m = data.plan, pyo.ConcreteModel("fleet_stochastic")
    m.scenarios = pyo.Set(initialize=data.scenarios.tolist())
    for name in ("demands", "workloads", "kinds", "vendors", "periods", "columns", "hosts"):
        m.add_component(name, pyo.Set(initialize=getattr(plan, name).tolist()))
    m.buy = pyo.Var(m.kinds, m.periods, domain=pyo.NonNegativeIntegers)
    m.keep = pyo.Var(m.kinds, m.periods, domain=pyo.NonNegativeIntegers)
    m.own = pyo.Var(m.kinds, m.periods, domain=pyo.NonNegativeIntegers)
    if plan.most_kinds is not None:
        m.use = pyo.Var(m.kinds, domain=pyo.Binary)
    if plan.one_kind:
        m.host = pyo.Var(m.workloads, m.kinds, domain=pyo.Binary)
    fleet.server_rows(m, plan)
    fleet.limit_rows(m, plan)
    fleet.choice_rows(m, plan, None if plan.most_kinds is None else bounds.most_owned(plan, reserve(data)))

    @m.Block(m.scenarios)
    def situation(b: Any, s: int) -> None:
        here = data.situation(s)
        most = instance.asked(here)
        b.replicas = pyo.Var(m.columns, m.periods, domain=pyo.NonNegativeIntegers)
        b.served = pyo.Var(m.demands, m.hosts, m.periods, bounds=lambda b, d, g, p: (0.0, float(most[d, p])))
        _lose(b, m, data, s, here)
        fleet.serving_rows(b, here, b.left)
        fleet.host_rows(b, here)

    weights = terms.objective(plan, lam)

    @m.Objective(sense=pyo.minimize if plan.objective in ("cost", "power") else pyo.maximize)
    def best(m: Any) -> Any:
        expected = pyo.quicksum(
            scale * float(data.probability[s] * weights.served[d, p]) * m.situation[s].served[d, g, p]
            for s in m.scenarios for d in m.demands for g in m.hosts for p in m.periods
            if weights.served[d, p] and data.probability[s]
        )  # fmt: skip
        return fleet.total(m.buy, scale * weights.buy) + fleet.total(m.own, scale * weights.own) + expected

    return m


def _lose(b: Any, m: Any, data: Instance, s: int, here: instance.Instance) -> None:
    """What is left of the servers in a scenario."""
    loss, lost = int(data.loss[s]), int(data.lost[s])
    b.left = pyo.Var(m.kinds, m.periods, domain=pyo.NonNegativeIntegers)

    @b.Constraint(m.kinds, m.periods)
    def stay_left(b: Any, h: int, p: int) -> Any:
        return b.left[h, p] <= (0 if loss == KIND and h == lost else m.own[h, p])

    if loss == RACK:
        most, rack = bounds.need(here), float(np.ceil(data.plan.servers_per_rack[lost]))
        b.stand = pyo.Var(m.periods, domain=pyo.Binary)

        @b.Constraint(m.periods)
        def lose_rack(b: Any, p: int) -> Any:
            return b.left[lost, p] <= m.own[lost, p] - rack * b.stand[p]

        @b.Constraint(m.periods)
        def lose_all(b: Any, p: int) -> Any:
            return b.left[lost, p] <= float(most[lost, p]) * b.stand[p]


def reserve(data: Instance) -> Array:
    """[h, p] servers enough in the scenario that needs most of a kind, with the rack that it loses."""
    most = np.zeros(data.plan.running.shape)
    for s in data.scenarios.tolist():
        each = bounds.need(data.situation(s))
        if data.loss[s] == RACK:
            each[data.lost[s]] += np.ceil(data.plan.servers_per_rack[data.lost[s]])
        most = np.maximum(most, each)
    return most


def left(data: Instance, own: Labels, s: int) -> Labels:
    """[h, p] servers that a scenario leaves of those owned."""
    h, remaining = int(data.lost[s]), own.copy()
    if data.loss[s] == KIND:
        remaining[h] = 0
    if data.loss[s] == RACK:
        remaining[h] = np.maximum(own[h] - int(np.ceil(data.plan.servers_per_rack[h])), 0)
    return remaining


def read(data: Instance, values: Mapping[str, float]) -> Solution:
    """Servers and every scenario's replicas in whole numbers, recounted."""
    buy, keep, own = (fleet.grid(data.plan, values, name) for name in ("buy", "keep", "own"))
    situations = []
    for s in data.scenarios.tolist():
        empty = instance.Solution(buy, keep, left(data, own, s), (), np.zeros(data.plan.demand.shape))
        situations.append(fleet.place(data.situation(s), values, empty, f"situation[{s}]."))
    solution = Solution(buy, keep, own, tuple(situations))
    if rows := broken(data, solution):
        raise highs.SolverFailure(f"the fleet found breaks {', '.join(rows[:5])} when it is recounted")
    return solution


def broken(data: Instance, solution: Solution) -> list[str]:
    """Names of the rows that a solution breaks, recounted without a solver; those of a scenario with its number."""
    rows = check.broken_servers(data.plan, _servers(data, solution))
    for s, placed in enumerate(solution.situations):
        if (placed.own != left(data, solution.own, s)).any():
            rows.append(f"situation[{s}].stay_left")
        rows += [f"situation[{s}].{row}" for row in check.broken_serving(data.situation(s), placed)]
    return rows + _hosts(data, solution)


def _hosts(data: Instance, solution: Solution) -> list[str]:
    """A workload has the same kind in every scenario, where it has one."""
    plan, hosts = data.plan, set()
    for each in solution.situations:
        hosts |= {(int(plan.workload_of[plan.demand_of[e.column]]), int(plan.kind_of[e.column])) for e in each.placed}
    twice = len(hosts) > len({w for w, _ in hosts})
    return ["host_once"] if plan.one_kind and twice else []


def _renumbered(solution: Solution, kept: Labels) -> Solution:
    """Columns by their position in the whole instance."""
    situations = [
        replace(each, placed=tuple(replace(e, column=int(kept[e.column])) for e in each.placed))
        for each in solution.situations
    ]
    return replace(solution, situations=tuple(situations))
