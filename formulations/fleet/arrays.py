"""The rows of `fleet` as sparse arrays: the replicas of any number of columns at a time, and their reduced costs.

The same program as `fleet.build`, row by row (a test compares them), for sizes at which Pyomo takes longer
to build than HiGHS to solve. Columns come in pairs (column j, period p), a variable replicas[j,p] each.
"""

from typing import Any

import highspy
import numpy as np

from formulations.fleet import bounds as fleet_bounds
from formulations.fleet import instance
from formulations.fleet import terms as fleet_terms
from formulations.fleet.instance import DECODE, PREFILL, Instance
from formulations.solvers import highs
from formulations.solvers.arrays import Array, Labels
from formulations.solvers.rows import INFINITY, Frame

ERROR = highspy.HighsStatus.kError


class Program:
    """Rows and the variables that are always there, as arrays; the replicas' coefficients in closed form.

    `cost` is to be least: the objective of `fleet` times `scale`, its sign turned where it is to be most.
    """

    def __init__(self, data: Instance, lam: float = 0.0, scale: float = 1.0) -> None:
        self.data, self.frame = data, Frame()
        self.packing = fleet_terms.packing(data)
        wanted = instance.asked(data)
        self.rate, self.quick = fleet_terms.usable(data, wanted)
        sign = scale if data.objective in ("cost", "power") else -scale
        terms = fleet_terms.objective(data, lam)
        f, p = self.frame, data.periods
        both = [(h, q) for h in data.kinds for q in p]
        self.buy = self._grid([f.variable(f"buy[{h},{q}]", sign * terms.buy[h, q]) for h, q in both])
        self.keep = self._grid([f.variable(f"keep[{h},{q}]") for h, q in both])
        self.own = self._grid([f.variable(f"own[{h},{q}]", sign * terms.own[h, q]) for h, q in both])
        self.served = np.array([
            f.variable(f"served[{d},{g},{q}]", sign * terms.served[d, q], wanted[d, q], whole=False)
            for d in data.demands for g in data.hosts for q in p
        ], dtype=np.int64).reshape(len(data.demands), len(data.hosts), len(p))  # fmt: skip
        self._servers()
        self._serving()
        self._limits()
        self._choice(wanted)
        self.cuts: list[tuple[Labels, Array]] = []  # rows [d, p] and prices [j, p]; row -1: no cut

    def cut(self, price: Array, bounds: Array) -> None:
        """Add the rows cover_cut of `fleet.patterns`: `price` [j, p], `bounds` [d, p], minus infinity: none."""
        f, at = self.frame, np.full(bounds.shape, -1, dtype=np.int64)
        for d, p in np.argwhere(np.isfinite(bounds)):
            served = [(i, f.cost[i]) for i in self.served[d, :, p]]
            at[d, p] = f.row(f"cover_cut[{d},{p},{len(self.cuts)}]", served, low=bounds[d, p])
        self.cuts.append((at, price))

    def _grid(self, positions: list[int]) -> Labels:
        return np.array(positions, dtype=np.int64).reshape(len(self.data.kinds), len(self.data.periods))

    def _servers(self) -> None:
        data, f, works = self.data, self.frame, fleet_terms.alive(self.data)
        cells = [(h, p) for h in data.kinds for p in data.periods]
        for h, p in cells:
            bought = [(self.buy[h, b], -1.0) for b in data.periods if works[h, b, p]]
            f.row(f"count_servers[{h},{p}]", [(self.own[h, p], 1.0), (self.keep[h, p], -1.0), *bought], 0.0, 0.0)
        for h, p in cells:
            f.row(f"keep_installed[{h},{p}]", [(self.keep[h, p], 1.0)], high=data.installed[h, p])
        for h, p in cells:
            if p > 0:
                f.row(f"stay_retired[{h},{p}]", [(self.keep[h, p], 1.0), (self.keep[h, p - 1], -1.0)], high=0.0)
        for h, p in cells:
            if np.isfinite(data.supply[h, p]):
                f.row(f"stay_in_supply[{h},{p}]", [(self.buy[h, p], 1.0)], high=data.supply[h, p])
        least = np.zeros(len(data.kinds)) if data.least_bought is None else data.least_bought
        for h in np.flatnonzero(least > 0):
            f.row(f"buy_least[{h}]", [(i, 1.0) for i in self.buy[h, :]], low=least[h])

    def _serving(self) -> None:
        data, f = self.data, self.frame
        split, strict = fleet_terms.split(data), fleet_terms.strict_rows(data)
        cells = [(d, g, p) for d in data.demands for g in data.hosts for p in data.periods]
        for d in data.demands:
            for p in data.periods:
                f.row(f"serve_least[{d},{p}]", [(i, 1.0) for i in self.served[d, :, p]], low=data.least[d, p])
        ones = np.ones(len(data.demands))
        kinds = {
            "serve_prompts": (split, ones), "serve_tokens": (ones > 0, ones),
            "strict_prompts": (split & strict, data.strict), "strict_tokens": (strict, data.strict),
        }  # fmt: skip
        self.cover: dict[str, Labels] = {}  # rows [d, g, p]; -1: not built
        for name, (built, share) in kinds.items():
            at = np.full(self.served.shape, -1, dtype=np.int64)
            for d, g, p in cells:
                if built[d]:
                    at[d, g, p] = f.row(f"{name}[{d},{g},{p}]", [(self.served[d, g, p], -share[d])], low=0.0)
            self.cover[name] = at
        full = self.packing.full
        self.pack = np.full((*full.shape, len(data.periods)), -1, dtype=np.int64)
        for h, k, p in np.ndindex(*self.pack.shape):
            if full[h, k] > 0:
                self.pack[h, k, p] = f.row(f"pack_servers[{h},{k},{p}]", [(self.own[h, p], -full[h, k])], high=0.0)

    def _limits(self) -> None:
        data, f = self.data, self.frame
        per_rack = 1.0 / data.servers_per_rack
        for name in ("capital", "spending", "power", "racks"):
            limit = getattr(data, name)
            for p in data.periods if limit is not None else ():
                owned = {"capital": None, "spending": data.running[:, p], "power": data.watts, "racks": per_rack}[name]
                terms = [] if owned is None else [(self.own[h, p], float(owned[h])) for h in data.kinds]
                if name == "capital":
                    terms = [(self.buy[h, p], data.price[h, p]) for h in data.kinds]
                if name == "spending":
                    terms += [(self.buy[h, b], data.charge[h, b, p]) for h in data.kinds for b in data.periods]
                if np.isfinite(limit[p]):
                    f.row(f"stay_in_{name}[{p}]", terms, high=limit[p])
        if data.most_servers is not None:
            for h, p in np.ndindex(*self.own.shape):
                if np.isfinite(data.most_servers[h]):
                    f.row(f"stay_in_servers[{h},{p}]", [(self.own[h, p], 1.0)], high=data.most_servers[h])
        if data.second_source is not None:
            part = data.chips_per_server * 1.0
            for v in data.vendors:
                each = part * ((data.vendor == v) - (1.0 - data.second_source))
                for p in data.periods:
                    f.row(f"mix_vendors[{v},{p}]", [(self.own[h, p], each[h]) for h in data.kinds], high=0.0)

    def _choice(self, wanted: Array) -> None:
        data, f = self.data, self.frame
        if data.most_kinds is not None:
            most = fleet_bounds.most_owned(data)
            use = [f.variable(f"use[{h}]", upper=1.0) for h in data.kinds]
            for h, p in np.ndindex(*self.own.shape):
                f.row(f"use_kind[{h},{p}]", [(self.own[h, p], 1.0), (use[h], -most[h, p])], high=0.0)
            f.row("stay_in_kinds", [(i, 1.0) for i in use], high=data.most_kinds)
        if data.one_kind:
            host = {(w, h): f.variable(f"host[{w},{h}]", upper=1.0) for w in data.workloads for h in data.kinds}
            for w in data.workloads:
                f.row(f"host_once[{w}]", [(host[w, h], 1.0) for h in data.kinds], high=1.0)
            for d, h, p in np.ndindex(*self.served.shape):
                chosen = host[int(data.workload_of[d]), h]
                f.row(f"serve_host[{d},{h},{p}]", [(self.served[d, h, p], 1.0), (chosen, -wanted[d, p])], high=0.0)

    def coefficients(self, j: Labels, p: Labels) -> tuple[Labels, Array]:
        """Rows and coefficients, [pair, entry], of the variables replicas[j, p]; row -1: no entry."""
        data = self.data
        d, h = data.demand_of[j], data.kind_of[j]
        g = h if data.one_kind else np.zeros_like(h)
        rows, values = [], []
        for name, at in self.cover.items():
            each = (self.quick if name.startswith("strict") else self.rate)[j, p]
            idle = DECODE if name.endswith("prompts") else PREFILL
            rows.append(np.where((data.phase[j] != idle) & (each > 0), at[d, g, p], -1))
            values.append(each)
        for at, price in self.cuts:
            rows.append(np.where(price[j, p] > 0, at[d, p], -1))
            values.append(price[j, p])
        for k in range(self.packing.full.shape[1]):
            weight = self.packing.weight[j, k]
            rows.append(np.where(weight > 0, self.pack[h, k, p], -1))
            values.append(weight)
        return np.stack(rows, axis=1), np.stack(values, axis=1)

    def reduced_costs(self, duals: Array, p: int) -> Array:
        """[j] of replicas[j, p] for all columns in closed form: they cost nothing but what their rows say."""
        j = self.data.columns
        rows, values = self.coefficients(j, np.full(len(j), p))
        padded = np.append(duals, 0.0)  # row -1 is the last
        costs: Array = -(values * padded[rows]).sum(axis=1)
        return costs

    def load(self) -> highspy.Highs:
        """A quiet HiGHS with the rows and no replicas."""
        return highs.quiet(self.frame.relaxed().lp())

    def add(self, solver: highspy.Highs, j: Labels, p: Labels) -> None:
        """Append the variables replicas[j, p] to a loaded program."""
        rows, values = self.coefficients(j, p)
        there = rows >= 0
        append(solver, there.sum(axis=1), rows[there], values[there])

    def names(self, j: Labels, p: Labels) -> list[str]:
        """Names of all variables once the pairs are added."""
        return self.frame.names + [f"replicas[{a},{b}]" for a, b in zip(j.tolist(), p.tolist(), strict=True)]


def append(solver: highspy.Highs, counts: Labels, rows: Labels, values: np.ndarray[Any, Any]) -> None:
    """Append variables that cost nothing and have no upper bound: `counts` entries each, one after the other."""
    n, nothing = len(counts), np.zeros(len(counts))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32)
    most = np.full(n, INFINITY)
    if solver.addCols(n, nothing, nothing, most, len(rows), starts, rows.astype(np.int32), values) == ERROR:
        raise highs.SolverFailure("HiGHS refused columns of replicas")
