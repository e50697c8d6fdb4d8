"""The rows of `fleet`, in the order of its docstring: servers, serving, limits, choice of kinds.

Apart from `fleet` only for the length of its file; `fleet_stochastic` takes those of servers and limits.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo

from formulations.fleet import bounds, instance, terms
from formulations.fleet.instance import DECODE, PREFILL
from formulations.solvers.arrays import Array

if TYPE_CHECKING:
    from formulations.fleet.instance import Instance


def total(var: Any, each: Array) -> Any:
    """Sum of var[h, p] times each[h, p]."""
    return pyo.quicksum(float(each[h, p]) * var[h, p] for h, p in var if each[h, p])


def servers(m: Any, data: "Instance") -> None:
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


def serving(m: Any, data: "Instance", own: Any) -> None:
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


def limits(m: Any, data: "Instance") -> None:
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


def choice(m: Any, data: "Instance", most_owned: Array | None = None) -> None:
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


def hosting(m: Any, data: "Instance") -> None:
    """Only the kind that a workload has serves it."""
    sets, wanted = m.model(), instance.asked(data)
    if data.one_kind:

        @m.Constraint(sets.demands, sets.kinds, sets.periods)
        def serve_host(m: Any, d: int, h: int, p: int) -> Any:
            return m.served[d, h, p] <= float(wanted[d, p]) * sets.host[int(data.workload_of[d]), h]
