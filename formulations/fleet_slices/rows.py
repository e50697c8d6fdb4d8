"""The program of `fleet_slices` handed to HiGHS as arrays, without Pyomo: building must not outlast solving.

Rows and columns are those of `fleet_slices.build`, with the same names, and two kinds of row more.
pay_at_most, sum_g p[g] y[g] <= C, with C below the cost of the fleet that is known, looks for cheaper ones
only. rent_to_use, x[b,g] <= s[b] y[g], is there for small loads a[b,g] s[b], which the solver's tolerance would
let pass without a replica. Prices are counted in their common unit: with whole numbers in the objective the
bounds are whole.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np

from formulations.fleet_slices.exact import money
from formulations.solvers.highs import INFINITY, Program, SolverFailure

if TYPE_CHECKING:  # the instance is declared beside the program that it feeds
    from formulations.fleet_slices.instance import Instance

Array = np.ndarray[Any, np.dtype[np.float64]]
SMALL = 1e-4    # replicas
NOTHING = 1e-9  # a coefficient that HiGHS drops
WHOLE, REAL = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous


def load(
    data: "Instance", unit: Fraction | None, *, ceiling: Fraction | None = None, rows: float = 1.0,
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
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = pairs + kinds, buckets + kinds + 1 + len(small)
    lp.col_cost_ = np.concatenate([np.zeros(pairs), price])
    lp.col_lower_ = np.zeros(pairs + kinds)
    lp.col_upper_ = np.concatenate([_room(data, bucket, kind), np.minimum(data.most, INFINITY)])
    lp.row_lower_ = np.concatenate([slices, np.full(kinds + 1 + len(small), -INFINITY)])
    lp.row_upper_ = np.concatenate([slices, np.zeros(kinds), paid, np.zeros(len(small))])
    column, pair, use = np.arange(kinds) + pairs, np.arange(pairs), buckets + kinds + 1 + np.arange(len(small))
    parts = [
        (pair, bucket, np.ones(pairs)), (pair, buckets + kind, rows * data.load[bucket, kind]),
        (column, buckets + np.arange(kinds), np.full(kinds, -rows)), (column, np.full(kinds, buckets + kinds), price),
        (small, use, np.ones(len(small))), (pairs + kind[small], use, -slices[bucket[small]]),
    ]  # fmt: skip
    entries(lp, *(np.concatenate(part) for part in zip(*parts, strict=True)))
    lp.integrality_ = [REAL if data.fractional else WHOLE] * pairs + [WHOLE] * kinds
    names = [f"assign[{b},{g}]" for b, g in zip(data.buckets[bucket], data.kinds[kind], strict=True)]
    program = Program(passed(lp), [*names, *(f"count[{g}]" for g in data.kinds)], {})
    for counts in beyond:
        _more_of_some(program, data, counts, pairs)
    return program


def _more_of_some(program: Program, data: "Instance", counts: Array, first: int) -> None:
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


def _room(data: "Instance", bucket: Any, kind: Any) -> Array:
    """The most slices of each pair: all of the bucket, and no more than the most replicas carry."""
    slices: Array = data.slices[bucket].astype(np.float64)
    if data.fractional:
        return slices
    most: Array = np.minimum(slices, np.floor(data.most[kind] / data.load[bucket, kind] + 1e-9))
    return most


def entries(lp: highspy.HighsLp, column: Any, row: Any, value: Any) -> None:
    """Set the matrix from its entries, in any order, without those that HiGHS takes for 0."""
    order = np.argsort(column, kind="stable")
    order = order[np.abs(value[order]) > NOTHING]
    column = column[order]
    matrix = lp.a_matrix_
    matrix.format_, matrix.num_col_, matrix.num_row_ = highspy.MatrixFormat.kColwise, lp.num_col_, lp.num_row_
    lengths = np.bincount(column, minlength=lp.num_col_)
    matrix.start_ = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    matrix.index_, matrix.value_ = row[order].astype(np.int32), value[order].astype(np.float64)


def passed(lp: highspy.HighsLp) -> highspy.Highs:
    """A quiet, single-threaded HiGHS that holds the program."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    if solver.passModel(lp) == highspy.HighsStatus.kError:
        raise SolverFailure("HiGHS refused a program of fleet_slices")
    return solver
