"""The program of `formulations.spatial_pipeline`: solve, build, read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations.solvers import highs
from formulations.solvers.outcome import Outcome, Status
from formulations.spatial_pipeline import bounds
from formulations.spatial_pipeline.instance import Instance, Kind, Solution


def solve(data: Instance, *, limits: highs.Limits | None = None, gap: float = 1e-6) -> Outcome[Solution]:
    """Most throughput (units/s) with its proven bound; OPTIMAL: within `gap`, relative, or 1e-9 of Th0.

    INFEASIBLE when a class has more stages than SMs: `bounds.too_many` names it.
    """
    result = highs.solve(highs.load(build(data)), limits or highs.Limits())
    bound = None if result.bound is None else result.bound * bounds.ceiling(data)
    if not result.values:
        return Outcome(result.status, None, None, bound)
    solution = read(data, result.values)
    bound = None if bound is None else max(bound, solution.throughput)
    close = bound is not None and bound - solution.throughput <= max(
        gap * solution.throughput, highs.FEASIBILITY * bounds.ceiling(data)
    )
    proven = result.status is Status.OPTIMAL and close
    return Outcome(Status.OPTIMAL if proven else Status.FEASIBLE, solution, solution.throughput, bound)


def build(data: Instance) -> pyo.ConcreteModel:
    """The program; a speed of 1 is `bounds.ceiling`."""
    m = pyo.ConcreteModel("spatial_pipeline")
    at = {stage: i for i, stage in enumerate(data.stages)}
    top = bounds.ceiling(data)
    rates = np.minimum(bounds.rates(data) / top, 1.0) if top > 0 else np.zeros((len(at), data.sms))
    slope = np.minimum(bounds.rates(data)[:, 0] / top, 1.0) if top > 0 else np.zeros(len(at))  # y <= 1 <= a[i]
    most = bounds.most_ctas(data)
    m.stages = pyo.Set(initialize=list(at), ordered=True)
    if data.scale is not None:
        m.counts = pyo.Set(initialize=range(1, data.sms + 1), ordered=True)
    m.ctas = pyo.Var(m.stages, domain=pyo.Integers, bounds=lambda m, i: (1, int(most[at[i]])))
    if data.scale is not None:
        m.pick = pyo.Var(m.stages, m.counts, domain=pyo.Binary)
    m.speed = pyo.Var(domain=pyo.NonNegativeReals, bounds=(0, 1))

    @m.Objective(sense=pyo.maximize)
    def fastest(m: Any) -> Any:
        return m.speed

    @m.Constraint(m.stages)
    def keep_up(m: Any, i: str) -> Any:
        if data.scale is None:
            return m.speed <= float(slope[at[i]]) * m.ctas[i]
        return m.speed <= pyo.quicksum(float(rates[at[i], c - 1]) * m.pick[i, c] for c in m.counts)

    @m.Constraint()
    def read_dram(m: Any) -> Any:
        return top * data.dram_bytes / data.dram_bandwidth * m.speed <= 1

    @m.Constraint()
    def cross_l2(m: Any) -> Any:
        return top * data.l2_bytes / data.l2_bandwidth * m.speed <= 1

    def fit(m: Any, kind: Kind) -> Any:
        stages = [i for i in m.stages if data.kinds[at[i]] == kind]
        return pyo.quicksum(m.ctas[i] for i in stages) <= data.sms if stages else pyo.Constraint.Feasible

    @m.Constraint()
    def fit_tensor(m: Any) -> Any:
        return fit(m, "tensor")

    @m.Constraint()
    def fit_simt(m: Any) -> Any:
        return fit(m, "simt")

    if data.scale is not None:

        @m.Constraint(m.stages)
        def pick_one(m: Any, i: str) -> Any:
            return pyo.quicksum(m.pick[i, c] for c in m.counts) == 1

        @m.Constraint(m.stages)
        def count_ctas(m: Any, i: str) -> Any:
            return m.ctas[i] == pyo.quicksum(c * m.pick[i, c] for c in m.counts)

    return m


def read(data: Instance, values: Mapping[str, float]) -> Solution:
    """CTAs in whole numbers; the throughput is what they reach."""
    ctas = tuple(round(values[f"ctas[{stage}]"]) for stage in data.stages)
    return Solution(ctas, bounds.reached(data, ctas))
