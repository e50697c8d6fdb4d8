"""Balance one spatial pipeline: the twin of `spatial_pipeline`, in whole numbers only.

Sets, rows and variables are those of `spatial_pipeline`, from the same `Instance`; the code between is
not. Speed counts in ticks of Th0 / 10**f, so fine that every row's sum stays below 2**60.

Sets
    stages            i in I
    counts            c in C = 1..N                        only with a table of scales
Parameters
    digits            f        1        decimal digits of a tick
    rate              R[i,c]   tick     t / u * r[i,c] at c CTAs, rounded down; linear: R[i] of one CTA
    others            as in `spatial_pipeline`; the limits of DRAM and L2 in ticks, rounded down
Variables
    ctas              a[i] integer in 1..n[i]
    pick              x[i,c] in {0,1}              tables only: 1 if stage i has c CTAs
    speed             y integer in 0..10**f  tick  throughput of the pipeline
Objective
    fastest           max y
Constraints
    keep_up           y <= R[i] a[i], or sum_c R[i,c] x[i,c]         i in I    every stage keeps up
    read_dram         y <= D / (Th0 d)
    cross_l2          y <= B / (Th0 l2)
    fit_tensor        sum_i a[i] <= N                      over the stages of class "tensor"
    fit_simt          sum_i a[i] <= N                      over the stages of class "simt"
    pick_one          sum_c x[i,c] = 1                     i in I    tables only
    count_ctas        a[i] = sum_c c x[i,c]                i in I    tables only
Source
    Kitsune, arXiv 2502.18403. Error of the grid: take the best balance, of throughput Th. A stage's rate
    on the grid is less than a[i] <= N ticks below its true rate (one tick with a table), and a memory limit
    less than one tick; so y = floor(Th / tick) - N is feasible on the grid, and the proven bound Y of the
    twin gives Th < (Y + N + 1) ticks. No CTA count is rounded, so its balance is a true one, and its
    throughput is computed again from the counts.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from formulations.solvers import cpsat
from formulations.solvers.arrays import Array
from formulations.solvers.outcome import Outcome, Status
from formulations.spatial_pipeline import bounds
from formulations.spatial_pipeline.instance import Instance, Solution

DIGITS = 12  # relative error of the grid: (N + 1) / 10**12 of Th0


def solve(
    data: Instance, *, limits: cpsat.Limits | None = None, gap: float = 1e-6
) -> tuple[Outcome[Solution], float]:
    """Most throughput (units/s), and the error of the grid (units/s) that its bound includes."""
    top = bounds.ceiling(data)
    error = (data.sms + 1) * top / 10**DIGITS
    result = cpsat.solve(build(data), limits or cpsat.Limits())
    if not result.values:  # CP-SAT's bound of a search that found nothing is not proven: it starts at zero
        return Outcome(result.status, None, None, top if result.status is Status.UNKNOWN else None), error
    solution = read(data, result.values)
    bound = top if result.bound is None else min(result.bound * top / 10**DIGITS + error, top)
    bound = max(bound, solution.throughput)
    close = bound - solution.throughput <= max(gap * solution.throughput, 2 * error)
    proven = result.status is Status.OPTIMAL and close
    return Outcome(Status.OPTIMAL if proven else Status.FEASIBLE, solution, solution.throughput, bound), error


def build(data: Instance) -> cp_model.CpModel:
    """The program on its grid; names are `row[stage]` as in the docstring."""
    m = cp_model.CpModel()
    m.name = "spatial_pipeline"
    top, most = bounds.ceiling(data), bounds.most_ctas(data).tolist()
    rates = _ticks(bounds.rates(data), top)
    ctas = [m.new_int_var(1, n, f"ctas[{i}]") for i, n in zip(data.stages, most, strict=True)]
    counts, pick = range(1, data.sms + 1), []
    if data.scale is not None:
        pick = [[m.new_bool_var(f"pick[{i},{c}]") for c in counts] for i in data.stages]
    speed = m.new_int_var(0, 10**DIGITS, "speed")

    def each(name: str, row: Callable[[int], Any]) -> None:
        for p, i in enumerate(data.stages):
            m.add(row(p)).with_name(f"{name}[{i}]")

    m.maximize(speed)
    if data.scale is None:
        each("keep_up", lambda p: speed <= rates[p][0] * ctas[p])
    else:
        each("keep_up", lambda p: speed <= cp_model.LinearExpr.weighted_sum(pick[p], rates[p]))
    for name, most_speed in zip(("read_dram", "cross_l2"), bounds.memory_limits(data).values(), strict=True):
        m.add(speed <= _ticks(np.array([[most_speed]]), top)[0][0]).with_name(name)
    for kind in ("tensor", "simt"):
        own = [a for a, k in zip(ctas, data.kinds, strict=True) if k == kind]
        m.add(cp_model.LinearExpr.sum(own) <= data.sms).with_name(f"fit_{kind}")
    if data.scale is not None:
        each("pick_one", lambda p: cp_model.LinearExpr.sum(pick[p]) == 1)
        each("count_ctas", lambda p: ctas[p] == cp_model.LinearExpr.weighted_sum(pick[p], list(counts)))
    return m


def _ticks(rates: Array, top: float) -> list[list[int]]:
    """Rates in ticks, rounded down; nothing above Th0 counts."""
    shares: Array = np.minimum(rates / top, 1.0) if top > 0 else np.zeros(rates.shape)
    return [[cpsat.down(float(share), DIGITS) for share in row] for row in shares]


def read(data: Instance, values: Mapping[str, int]) -> Solution:
    """The counts as they are; the throughput is what they reach."""
    ctas = tuple(values[f"ctas[{stage}]"] for stage in data.stages)
    return Solution(ctas, bounds.reached(data, ctas))
