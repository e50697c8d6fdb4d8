"""The optimum of `spatial_pipeline` in closed form, and a check of its solutions; no solver.

For a target Th the fewest CTAs of stage i are the first count whose rate reaches Th; they never fall as
Th grows, so the targets that can be met are those up to the best one. The best Th is the limit of DRAM
or L2 or the rate of some stage at some count: finitely many, searched by bisection, compared as they
are and never computed again. So the result is exact for every table of scales, rising or not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from formulations.solvers.arrays import Array, Labels
from formulations.spatial_pipeline.instance import Instance, Solution

ROUNDING = 1e-12  # relative


@dataclass(frozen=True)
class Balance:
    """Fewest CTAs of every stage that reach the best throughput (units/s), and what limits it."""

    ctas: tuple[int, ...]
    throughput: float
    limit: str  # "dram", "l2" or the label of a stage that cannot be faster


def most_ctas(data: Instance) -> Labels:
    """Most CTAs of every stage."""
    return np.full(len(data.stages), data.sms) if data.most_ctas is None else data.most_ctas


def rates(data: Instance) -> Array:
    """Units/s of stage i (rows) with c CTAs (columns, c - 1), fed from a queue; zero above its most CTAs."""
    counts = np.arange(1, data.sms + 1)
    scale = np.tile(counts / data.sms, (len(data.stages), 1)) if data.scale is None else data.scale
    each: Array = np.where(counts <= most_ctas(data)[:, None], (data.throughput / data.utilisation)[:, None] * scale, 0)
    return each


def memory_limits(data: Instance) -> dict[str, float]:
    """Units/s that DRAM and L2 let pass; infinite where nothing is read."""
    moved = {"dram": (data.dram_bytes, data.dram_bandwidth), "l2": (data.l2_bytes, data.l2_bandwidth)}
    return {name: bandwidth / each if each > 0 else np.inf for name, (each, bandwidth) in moved.items()}


def ceiling(data: Instance) -> float:
    """Units/s that no balance exceeds: the least of all limits taken one by one."""
    return float(min(rates(data).max(axis=1).min(), *memory_limits(data).values()))


def reached(data: Instance, ctas: Sequence[int]) -> float:
    """Units/s of the pipeline with the given CTAs."""
    own = rates(data)[np.arange(len(ctas)), np.array(ctas) - 1].min()
    return float(min(own, *memory_limits(data).values()))


def too_many(data: Instance) -> list[str]:
    """The classes with more stages than SMs: such a pipeline cannot be resident."""
    return [
        f"{count} {kind} stages on {data.sms} SMs"
        for kind in ("tensor", "simt")
        if (count := data.kinds.count(kind)) > data.sms
    ]


def balance(data: Instance) -> Balance | None:
    """The best balance; None when it cannot be resident."""
    if too_many(data):
        return None
    each, top = rates(data), ceiling(data)
    targets = np.unique(each[each <= top])
    targets = np.union1d(targets, [top])
    fewest = _fewest(data, each)
    low, high = 0, len(targets)  # the lowest target is met by one CTA each, or by as few as all need
    if fewest(float(targets[0])) is None:
        targets, high = np.array([0.0]), 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fewest(float(targets[middle])) is None else (middle, high)
    ctas = fewest(float(targets[low])) or (1,) * len(data.stages)
    throughput = reached(data, ctas)
    memory = memory_limits(data)
    own = each[np.arange(len(ctas)), np.array(ctas) - 1]
    limit = next((n for n, most in memory.items() if most == throughput), data.stages[int(own.argmin())])
    return Balance(ctas, throughput, limit)


def _fewest(data: Instance, each: Array) -> Callable[[float], tuple[int, ...] | None]:
    """The function from a target to the fewest CTAs that reach it; None: they do not fit."""
    tensor = np.array([kind == "tensor" for kind in data.kinds])

    def fewest(target: float) -> tuple[int, ...] | None:
        enough = each >= target
        if not enough.any(axis=1).all():
            return None
        ctas = enough.argmax(axis=1) + 1
        fits = ctas[tensor].sum() <= data.sms and ctas[~tensor].sum() <= data.sms
        return tuple(ctas.tolist()) if fits else None

    return fewest


def check(data: Instance, solution: Solution) -> list[str]:
    """The rows that a solution breaks, in plain numbers; empty: it is what it says."""
    ctas, speed, most = solution.ctas, solution.throughput, most_ctas(data).tolist()
    if len(ctas) != len(data.stages):
        return [f"{len(ctas)} counts for {len(data.stages)} stages"]
    faults = [
        f"ctas[{i}] = {a}, not a whole number in 1..{n}"
        for i, a, n in zip(data.stages, ctas, most, strict=True)
        if int(a) != a or not 1 <= a <= n
    ]
    if faults:
        return faults
    for p, i in enumerate(data.stages):
        share = ctas[p] / data.sms if data.scale is None else float(data.scale[p, ctas[p] - 1])
        if float(data.throughput[p]) / float(data.utilisation[p]) * share < speed * (1 - ROUNDING):
            faults.append(f"keep_up[{i}]")
    if data.dram_bytes * speed > data.dram_bandwidth * (1 + ROUNDING):
        faults.append("read_dram")
    if data.l2_bytes * speed > data.l2_bandwidth * (1 + ROUNDING):
        faults.append("cross_l2")
    for kind in ("tensor", "simt"):
        if sum(a for a, k in zip(ctas, data.kinds, strict=True) if k == kind) > data.sms:
            faults.append(f"fit_{kind}")
    return faults
