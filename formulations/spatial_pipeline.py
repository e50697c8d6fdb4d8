"""Balance one spatial pipeline: CTAs for every stage so that the slowest stage is fastest.

All stages are resident at once. An SM hosts at most one CTA of either class at a time, so each class
shares the SMs by itself. The model has no latency: no fill, drain, barrier or spin.

Sets
    stages            i in I
    counts            c in C = 1..N                        only with a table of scales
Parameters
    kinds             k[i]     -        "tensor" or "simt": the class of the stage's CTAs
    throughput        t[i]     units/s  run bulk-synchronously on the whole GPU
    utilisation       u[i]     1        of the stage's pipe in that run: fed from a queue it runs at t / u
    dram_bytes        d        B/unit   of the pipeline
    l2_bytes          l2       B/unit   of the pipeline
    dram_bandwidth    D        B/s
    l2_bandwidth      B        B/s
    sms               N        1
    scale             r[i,c]   1        share of t that c CTAs reach; None: c / N
    most_ctas         n[i]     1        None: N
Variables
    ctas              a[i] integer in 1..n[i]
    pick              x[i,c] in {0,1}              tables only: 1 if stage i has c CTAs
    speed             y in 0..1           1        throughput of the pipeline, in multiples of Th0
Objective
    fastest           max y
Constraints
    keep_up           Th0 y <= t[i] / u[i] * r[i,a[i]]     i in I    every stage keeps up
    read_dram         Th0 d y <= D
    cross_l2          Th0 l2 y <= B
    fit_tensor        sum_i a[i] <= N                      over the stages of class "tensor"
    fit_simt          sum_i a[i] <= N                      over the stages of class "simt"
    pick_one          sum_c x[i,c] = 1                     i in I    tables only
    count_ctas        a[i] = sum_c c x[i,c]                i in I    tables only
Source
    Kitsune, arXiv 2502.18403, balance of a pipeline. The paper writes the two sums with equality, which
    a pipeline of one class cannot meet. Th0 is the least of the limits taken one by one, with n[i] CTAs
    for stage i: no pipeline is faster, so y <= 1, and a rate above Th0 is as good as Th0. With a linear
    scale r[i,a] = a / N the row keep_up is linear in a; with a table it is a sum over x.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyomo.environ as pyo

from formulations import highs
from formulations import spatial_pipeline_bounds as bounds
from formulations.outcome import Outcome, Status

Kind = Literal["tensor", "simt"]
Array = np.ndarray[Any, np.dtype[np.float64]]
KINDS: tuple[Kind, ...] = ("tensor", "simt")


@dataclass(frozen=True)
class Instance:
    """Sets and parameters as in the module's docstring; arrays run over `stages`, `scale` over (stage, c - 1).

    Raises ValueError, naming the field, for arrays of another length and numbers out of range.
    """

    stages: tuple[str, ...]
    kinds: tuple[Kind, ...]
    throughput: Array
    utilisation: Array
    dram_bytes: float
    l2_bytes: float
    dram_bandwidth: float
    l2_bandwidth: float
    sms: int
    scale: Array | None = None
    most_ctas: np.ndarray[Any, np.dtype[np.int64]] | None = None

    def __post_init__(self) -> None:
        count = len(self.stages)
        rules = {
            "stages": count > 0 and len(set(self.stages)) == count,
            "kinds": len(self.kinds) == count and set(self.kinds) <= set(KINDS),
            "throughput": self.throughput.shape == (count,) and _within(self.throughput, above=0.0),
            "utilisation": self.utilisation.shape == (count,) and _within(self.utilisation, above=0.0, most=1.0),
            "dram_bytes": _within(self.dram_bytes, least=0.0), "l2_bytes": _within(self.l2_bytes, least=0.0),
            "dram_bandwidth": _within(self.dram_bandwidth, above=0.0),
            "l2_bandwidth": _within(self.l2_bandwidth, above=0.0), "sms": self.sms >= 1,
            "scale": self.scale is None
            or (self.scale.shape == (count, self.sms) and _within(self.scale, least=0.0)),
            "most_ctas": self.most_ctas is None
            or (self.most_ctas.shape == (count,) and _within(self.most_ctas, least=1.0, most=self.sms)),
        }  # fmt: skip
        if faults := [name for name, kept in rules.items() if not kept]:
            raise ValueError(f"spatial_pipeline, {count} stages: shape or range is wrong of {', '.join(faults)}")


def _within(numbers: Any, *, least: float = -np.inf, above: float = -np.inf, most: float = np.inf) -> bool:
    each = np.asarray(numbers, dtype=float)
    return bool((np.isfinite(each) & (each >= least) & (each > above) & (each <= most)).all())


@dataclass(frozen=True)
class Solution:
    """CTAs of every stage, and the pipeline's throughput (units/s) with them."""

    ctas: tuple[int, ...]
    throughput: float


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
