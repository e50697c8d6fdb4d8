"""The program of `fleet_slices` handed to HiGHS as arrays, without Pyomo: building must not outlast solving.

Rows and columns are those of `fleet_slices.build`, with the same names, and two kinds of row more.
pay_at_most, sum_g p[g] y[g] <= C, with C below the cost of the fleet that is known, looks for cheaper ones
only. rent_to_use, x[b,g] <= s[b] y[g], is there for small loads a[b,g] s[b], which the solver's tolerance would
let pass without a replica. Prices are counted in their common unit: with whole numbers in the objective the
bounds are whole.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import highspy
import numpy as np

from formulations.fleet_slices.exact import money
from formulations.fleet_slices.instance import Instance
from formulations.solvers import highs
from formulations.solvers.arrays import Array
from formulations.solvers.highs import Program
from formulations.solvers.rows import INFINITY, Rows

SMALL = 1e-4    # replicas
WHOLE = highspy.HighsVarType.kInteger


def load(
    data: Instance, unit: Fraction | None, *, ceiling: Fraction | None = None, rows: float = 1.0,
    beyond: Sequence[Array] = (),
) -> Program:  # fmt: skip
    """A quiet, single-threaded HiGHS with the program; carry_load is multiplied by `rows`.

    The objective is in `unit`, else in $/h.
    """
    bucket, kind = np.nonzero(np.isfinite(data.load))
    pairs, kinds, buckets = len(bucket), len(data.kinds), len(data.buckets)
    slices = data.slices.astype(np.float64)
    price = np.array([float(money(p) / (unit or 1)) for p in data.price.tolist()])
    paid = [INFINITY if ceiling is None else float(ceiling / (unit or 1))]
    small = np.flatnonzero(data.load[bucket, kind] * slices[bucket] < SMALL)
    column, pair, use = np.arange(kinds) + pairs, np.arange(pairs), buckets + kinds + 1 + np.arange(len(small))
    parts = [
        (pair, bucket, np.ones(pairs)), (pair, buckets + kind, rows * data.load[bucket, kind]),
        (column, buckets + np.arange(kinds), np.full(kinds, -rows)), (column, np.full(kinds, buckets + kinds), price),
        (small, use, np.ones(len(small))), (pairs + kind[small], use, -slices[bucket[small]]),
    ]  # fmt: skip
    columns, at, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    given = Rows(
        cost=np.concatenate([np.zeros(pairs), price]), low=np.zeros(pairs + kinds),
        high=np.concatenate([_room(data, bucket, kind), np.minimum(data.most, INFINITY)]),
        least=np.concatenate([slices, np.full(kinds + 1 + len(small), -INFINITY)]),
        most=np.concatenate([slices, np.zeros(kinds), paid, np.zeros(len(small))]),
        row=at, column=columns, value=values,
        whole=np.append(np.full(pairs, not data.fractional), np.full(kinds, True)),
    )  # fmt: skip
    names = [f"assign[{b},{g}]" for b, g in zip(data.buckets[bucket], data.kinds[kind], strict=True)]
    program = Program(highs.quiet(given.lp()), [*names, *(f"count[{g}]" for g in data.kinds)], {})
    for counts in beyond:
        _more_of_some(program, data, counts, pairs)
    return program


def _more_of_some(program: Program, data: Instance, counts: Array, first: int) -> None:
    """more_of_some, sum_g z[g] >= 1 with y[g] >= (counts[g] + 1) z[g], z binary: no part of this fleet."""
    solver, before = program.highs, program.highs.getNumCol()
    for g, count in enumerate(counts.tolist()):
        solver.addVar(0.0, float(count + 1 <= data.most[g]))
        solver.changeColIntegrality(before + g, WHOLE)
        program.names.append(f"more[{before + g}]")
        row, value = np.array([first + g, before + g], dtype=np.int32), np.array([1.0, -(count + 1.0)])
        solver.addRow(0.0, INFINITY, 2, row, value)
    chosen = np.arange(before, before + len(counts), dtype=np.int32)
    solver.addRow(1.0, INFINITY, len(chosen), chosen, np.ones(len(chosen)))


def _room(data: Instance, bucket: Any, kind: Any) -> Array:
    """The most slices of each pair: all of the bucket, and no more than the most replicas carry."""
    slices: Array = data.slices[bucket].astype(np.float64)
    if data.fractional:
        return slices
    most: Array = np.minimum(slices, np.floor(data.most[kind] / data.load[bucket, kind] + 1e-9))
    return most
