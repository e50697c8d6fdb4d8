"""Buy servers over the periods, and place replicas of every workload on them: one program, any mix of kinds.

A kind is a chip in its server. A column is a way to serve one demand: a kind, a layout and a batch, in
both phases or in one. Its replica takes parcels, each inside one server; a stage that spans servers is
as many parcels of whole servers.

Sets
    demands           d in D                      a workload in a range of lengths
    workloads         w in W
    kinds             h in H
    vendors           v in V
    periods           p in P
    columns           j in J
    hosts             g in G                      the kinds where one_kind, else one that stands for all
Parameters
    demand            A[d,p]   requests/s
    least             L[d,p]   requests/s         that must be served; None: cost and power all, else none
    strict            f[d]     1                  share of what is served by columns that meet the limits of speed
    worth             u[d,p]   k$/(requests/s)    value of serving them all period long
    tokens            t[d]     ktokens/request    of output
    workload_of       w[d]     -
    demand_of         d[j]     -
    kind_of           h[j]     -
    phase             -        -                  BOTH, PREFILL or DECODE
    meets             -        -                  fast enough for the strict share
    rate              q[j]     requests/s         of one replica
    parcels           g[j]     1                  of one replica
    size              s[j]     chips              of one parcel, at most those of a server
    chips_per_server  C[h]     1
    servers_per_rack  e[h]     1
    watts             w[h]     kW                 of one server
    vendor            v[h]     -
    life              n[h]     periods            a server bought in b works from b to b + n - 1
    price             m[h,p]   k$                 capital of a server bought in p
    charge            c[h,b,p] k$                 that a server bought in b costs in p
    running           o[h,p]   k$                 that a server owned in p costs beside
    installed         I[h,p]   servers            there from the start that still work in p
    supply            S[h,p]   servers            that can be bought in p; infinite: no limit
    length            y[p]     years
    objective         -        -                  "cost", "ratio", "value" or "power"
    capital           M[p]     k$                 spent in p; None: no limit, here and below
    spending          O[p]     k$                 charges and running cost of p
    power             W[p]     kW
    racks             E[p]     1
    most_servers      Z[h]     servers
    most_kinds        K        1
    one_kind          -        -                  True: one kind serves all of a workload
    second_source     z        1                  least share of the chips that is not of one vendor
    least_bought      G[h]     servers            that are bought in all periods together
Variables
    buy               b[h,p] integer >= 0
    keep              k[h,p] integer >= 0         installed servers that are not retired
    own               n[h,p] integer >= 0
    replicas          r[j,p] integer >= 0
    served            y[d,g,p] in [0, B[d,p]]     requests/s
    use               x[h] in {0,1}               1 if the kind is ever owned
    host              x[w,h] in {0,1}             1 if the kind serves the workload
Objective
    best              cost: min sum c b + sum o n;  power: min sum w n y / sum y;  value: max sum u y;
                      ratio: max sum t y y - lam * cost
Constraints
    count_servers     n[h,p] = k[h,p] + sum_{b <= p < b + n[h]} b[h,b]             h in H, p in P
    keep_installed    k[h,p] <= I[h,p]                                             h in H, p in P
    stay_retired      k[h,p] <= k[h,p-1]                                           h in H, p > 0
    stay_in_supply    b[h,p] <= S[h,p]                                             h in H, p in P
    buy_least         sum_p b[h,p] >= G[h]                                         h in H, G[h] > 0
    serve_least       sum_g y[d,g,p] >= L[d,p]                                     d in D, p in P
    serve_prompts     sum_{j: d, g, not DECODE} q[j,p] r[j,p] >= y[d,g,p]          split demands d
    serve_tokens      sum_{j: d, g, not PREFILL} q[j,p] r[j,p] >= y[d,g,p]         d in D
    strict_prompts    sum_{j: serve_prompts, meets} f[j,p] r[j,p] >= f[d] y[d,g,p]     split demands d
    strict_tokens     sum_{j: serve_tokens, meets} f[j,p] r[j,p] >= f[d] y[d,g,p]  d in D
    pack_servers      sum_{j: h} s[j,k] r[j,p] <= F[h,k] n[h,p]                    rows k of h, p in P
    stay_in_capital   sum_h m[h,p] b[h,p] <= M[p]                                  p in P
    stay_in_spending  sum_{h,b} c[h,b,p] b[h,b] + sum_h o[h,p] n[h,p] <= O[p]      p in P
    stay_in_power     sum_h w[h] n[h,p] <= W[p]                                    p in P
    stay_in_racks     sum_h n[h,p] / e[h] <= E[p]                                  p in P
    stay_in_servers   n[h,p] <= Z[h]                                               h in H, p in P
    mix_vendors       sum_{h: v} C[h] n[h,p] <= (1 - z) sum_h C[h] n[h,p]          v in V, p in P
    use_kind          n[h,p] <= N[h,p] x[h]                                        h in H, p in P
    stay_in_kinds     sum_h x[h] <= K
    host_once         sum_h x[w,h] <= 1                                            w in W
    serve_host        y[d,h,p] <= B[d,p] x[w[d],h]                                 d in D, h in H, p in P
Source
    A request is served by a replica of both phases or by a replica of each, so every phase covers all
    requests. B is L for cost and power, else A; q[j,p] = min(q[j], B[d,p]) and f[j,p] = min(q[j],
    f[d] B[d,p]). Rows where they say nothing are not built: the prompts of a demand without columns of
    one phase, the strict share where it is 0 or every column meets it. Weights s[j,k] and F[h,k] of
    pack_servers, with the proof that they pack: `fleet_terms`. N, tight: `fleet_bounds`. Ratio by
    Dinkelbach (1967), see `fractional`. Larger programs by column generation: `fleet_columns`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyomo.environ as pyo

from formulations import (
    fleet_bounds,
    fleet_check,
    fleet_columns,
    fleet_dominance,
    fleet_rows,
    fleet_search,
    fleet_terms,
    highs,
)
from formulations.fleet_search import Solved
from formulations.fractional import Trace
from formulations.outcome import Outcome

Objective = Literal["cost", "ratio", "value", "power"]
Method = Literal["full", "columns"]
Array = np.ndarray[Any, np.dtype[np.float64]]
Labels = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
LARGE = 500  # undominated columns times periods, above which cuts and patterns pay: `fleet_columns`


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; sets count from 0 and follow from the arrays."""

    demands: Labels = field(init=False)
    workloads: Labels = field(init=False)
    kinds: Labels = field(init=False)
    vendors: Labels = field(init=False)
    periods: Labels = field(init=False)
    columns: Labels = field(init=False)
    hosts: Labels = field(init=False)
    demand: Array
    least: Array = field(default=None)  # type: ignore[arg-type]  # read as in the docstring
    strict: Array = field(kw_only=True)
    worth: Array = field(kw_only=True)
    tokens: Array = field(kw_only=True)
    workload_of: Labels = field(kw_only=True)
    demand_of: Labels = field(kw_only=True)
    kind_of: Labels = field(kw_only=True)
    phase: Labels = field(kw_only=True)
    meets: Mask = field(kw_only=True)
    rate: Array = field(kw_only=True)
    parcels: Labels = field(kw_only=True)
    size: Labels = field(kw_only=True)
    chips_per_server: Labels = field(kw_only=True)
    servers_per_rack: Array = field(kw_only=True)
    watts: Array = field(kw_only=True)
    vendor: Labels = field(kw_only=True)
    life: Labels = field(kw_only=True)
    price: Array = field(kw_only=True)
    charge: Array = field(kw_only=True)
    running: Array = field(kw_only=True)
    installed: Labels = field(kw_only=True)
    supply: Array = field(kw_only=True)
    length: Array = field(kw_only=True)
    objective: Objective = field(kw_only=True)
    capital: Array | None = field(default=None, kw_only=True)
    spending: Array | None = field(default=None, kw_only=True)
    power: Array | None = field(default=None, kw_only=True)
    racks: Array | None = field(default=None, kw_only=True)
    most_servers: Array | None = field(default=None, kw_only=True)
    most_kinds: int | None = field(default=None, kw_only=True)
    one_kind: bool = field(default=False, kw_only=True)
    second_source: float | None = field(default=None, kw_only=True)
    least_bought: Array | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        kinds = np.arange(len(self.chips_per_server))
        sets = {
            "demands": np.arange(len(self.demand)), "workloads": np.unique(self.workload_of), "kinds": kinds,
            "vendors": np.unique(self.vendor), "periods": np.arange(len(self.length)),
            "columns": np.arange(len(self.rate)), "hosts": kinds if self.one_kind else np.arange(1),
        }  # fmt: skip
        if self.least is None:
            sets["least"] = self.demand if self.objective in ("cost", "power") else np.zeros(self.demand.shape)
        for name, value in sets.items():
            object.__setattr__(self, name, value)
        fleet_terms.refuse(self)

    def only(self, keep: np.ndarray[Any, Any]) -> "Instance":
        """The instance of the columns at the positions (or under the mask) `keep`, renumbered."""
        return replace(self, **{name: getattr(self, name)[keep] for name in fleet_terms.COLUMN})


@dataclass(frozen=True)
class Placed:
    """Replicas of a column (its position) that work in a period."""

    column: int
    period: int
    replicas: int


@dataclass(frozen=True)
class Solution:
    """Servers [h, p] in whole numbers, the replicas placed on them, and requests/s served [d, p]."""

    buy: Labels
    keep: Labels
    own: Labels
    placed: tuple[Placed, ...]
    served: Array


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
    kept = fleet_dominance.undominated(data) if removal else data.columns
    if method is None:
        method = "columns" if len(kept) * len(data.periods) > LARGE else "full"
    engine = _columns(data, kept) if method == "columns" else _full(data, kept)
    way = fleet_search.Way(engine, lambda values: read(data, values), limits, gap)
    if data.objective == "ratio":
        least = fleet_bounds.least_paid(data)
        outcome = way.ratio(lambda s: (fleet_check.gained(data, s), fleet_check.paid(data, s)), least)
    else:
        outcome = way.plain(lambda s: fleet_check.value(data, s), least=data.objective in ("cost", "power"))
    last = way.solved[-1]
    return outcome, Proof(
        method, len(data.columns), len(kept), last.priced, last.entered, last.relaxation, last.duals, way.trace,
        sum(each.result.nodes for each in way.solved),
    )  # fmt: skip


def _full(data: Instance, kept: Labels) -> fleet_search.Engine:
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


def _columns(data: Instance, kept: Labels) -> fleet_search.Engine:
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
    most = fleet_terms.asked(data)
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
    if rows := fleet_check.broken(data, solution):
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
    solution = replace(solution, served=fleet_check.most_served(data, solution))
    return replace(solution, placed=tuple(fleet_check.needed(data, solution)))
