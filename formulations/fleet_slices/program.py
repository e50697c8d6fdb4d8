"""The program of `formulations.fleet_slices`: solve, build, read."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations.fleet_slices.exact import Fleet
from formulations.fleet_slices.instance import Instance
from formulations.fleet_slices.pack import shared
from formulations.fleet_slices.search import Proof, Search
from formulations.fleet_slices.start import able
from formulations.solvers import highs
from formulations.solvers.outcome import Outcome, Status

FINE = 1e3  # carry_load times this: what the solver then lets pass is within the 1e-9 of exact numbers


def solve(data: Instance, *, limits: highs.Limits | None = None) -> tuple[Outcome[Fleet], Proof]:
    """The cheapest fleet with proof; value and bound in $/h.

    Three steps, each only where those before have not proven the fleet known so far: a fleet by rounding;
    the cheapest fleets for slices divided at will, a floor for all others, one after the other until the
    slices fit one; the program itself. All look below the cost of the known fleet only. What they find is
    counted again in exact numbers: where the solver's tolerance let a load pass that is too much, the
    program with finer rows decides.
    """
    search = Search(data, limits or highs.Limits())
    if not able(data.load, data.most, fractional=data.fractional).any(axis=1).all():
        return Outcome(Status.INFEASIBLE, None, None, None), search.proof()
    if not search.proven:
        search.fleets()
    for rows in (1.0, FINE):
        if search.proven or search.last in (Status.INFEASIBLE, Status.UNKNOWN):
            break
        if data.fractional:
            search.divide()
            break
        result = search.run(rows=rows)
        search.last = result.status
        if result.values:
            search.improve(read(data, result.values))
    return _outcome(search), search.proof()


def _outcome(search: Search) -> Outcome[Fleet]:
    if search.known is not None:
        value, status = float(search.known.cost), Status.OPTIMAL if search.proven else Status.FEASIBLE
        return Outcome(status, search.known, value, min(value, float(search.bound)))
    if search.last is Status.INFEASIBLE:
        return Outcome(Status.INFEASIBLE, None, None, None)
    return Outcome(Status.UNKNOWN, None, None, float(search.bound) if search.bound > 0 else None)


def build(data: Instance) -> pyo.ConcreteModel:
    """The program in words; `fleet_slices.rows` hands the same rows to the solver, and tests compare both.

    Building it once takes a fifth to two thirds of the whole solve (measured: tests/benchmarks/test_slices_speed.py),
    and a search looks at dozens of fleets, each a program that HiGHS solves in 1 to 2 ms.
    """
    m = pyo.ConcreteModel("fleet_slices")
    m.buckets = pyo.Set(initialize=data.buckets.tolist(), ordered=True)
    m.kinds = pyo.Set(initialize=data.kinds.tolist(), ordered=True)
    bucket, kind = np.nonzero(np.isfinite(data.load))
    pairs = zip(data.buckets[bucket].tolist(), data.kinds[kind].tolist(), strict=True)
    load = dict(zip(pairs, data.load[bucket, kind].tolist(), strict=True))
    price = dict(zip(data.kinds.tolist(), data.price.tolist(), strict=True))
    slices = dict(zip(data.buckets.tolist(), data.slices.tolist(), strict=True))
    most = dict(zip(data.kinds.tolist(), data.most.tolist(), strict=True))
    m.count = pyo.Var(m.kinds, domain=pyo.NonNegativeIntegers)
    domain = pyo.NonNegativeReals if data.fractional else pyo.NonNegativeIntegers
    m.assign = pyo.Var(list(load), domain=domain)

    @m.Objective(sense=pyo.minimize)
    def cost(m: Any) -> Any:
        return pyo.quicksum(price[g] * m.count[g] for g in m.kinds)

    @m.Constraint(m.buckets)
    def serve_slices(m: Any, b: int) -> Any:
        served = [m.assign[b, g] for g in m.kinds if (b, g) in load]
        return pyo.quicksum(served) == slices[b] if served else pyo.Constraint.Infeasible

    @m.Constraint(m.kinds)
    def carry_load(m: Any, g: int) -> Any:
        carried = [load[b, g] * m.assign[b, g] for b in m.buckets if (b, g) in load]
        return pyo.quicksum(carried) <= m.count[g]

    @m.Constraint(m.kinds)
    def stay_in_supply(m: Any, g: int) -> Any:
        return m.count[g] <= most[g] if math.isfinite(most[g]) else pyo.Constraint.Skip

    return m


def read(data: Instance, values: Mapping[str, float]) -> Fleet | None:
    """The whole slices and the fewest replicas for them, counted exactly; None where supply ends."""
    share = np.zeros(data.load.shape)
    for (b, bucket), (g, kind) in itertools.product(enumerate(data.buckets), enumerate(data.kinds)):
        share[b, g] = round(values.get(f"assign[{bucket},{kind}]", 0.0))
    return shared(data, share)
