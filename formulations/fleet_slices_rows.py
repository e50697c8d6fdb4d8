"""The program of `fleet_slices` handed to HiGHS as arrays, without Pyomo: building must not outlast solving.

Rows and columns are those of `fleet_slices.build`, with the same names. Two kinds of row more look for what
is not known yet: pay_at_most, sum_g p[g] y[g] <= C, with C below the cost of the fleet that is known; and for
each fleet z that is known to be too small, rent_more: some kind g has z[g] + 1 replicas at least, which one
binary for each kind says (fewer replicas than too few are too few, so only more of some kind can do).
Prices are counted in their common unit: with whole numbers in the objective the solver's bounds are whole.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np

from formulations.fleet_slices_exact import money
from formulations.highs import INFINITY, Program, SolverFailure

if TYPE_CHECKING:  # the instance is declared beside the program that it feeds
    from formulations.fleet_slices import Instance

Array = np.ndarray[Any, np.dtype[np.float64]]
WHOLE, REAL = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous


def load(
    data: "Instance", unit: Fraction | None, *, ceiling: Fraction | None = None, rows: float = 1.0,
    too_small: Sequence[Array] = (),
) -> Program:  # fmt: skip
    """A quiet, single-threaded HiGHS with the program; carry_load is multiplied by `rows`.

    The objective is in `unit`, else in $/h; `too_small` are counts by kind.
    """
    bucket, kind = np.nonzero(np.isfinite(data.load))
    pairs, kinds, buckets, extra = len(bucket), len(data.kinds), len(data.buckets), len(too_small)
    slices = data.slices.astype(np.float64)
    price = np.array([float(money(p) / (unit or 1)) for p in data.price.tolist()])
    most = np.minimum(data.most, INFINITY)
    paid = [INFINITY if ceiling is None else float(ceiling / (unit or 1))]
    may = np.array([z + 1 <= data.most for z in too_small], dtype=np.float64).reshape(extra * kinds)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = pairs + kinds + extra * kinds, buckets + kinds + 1 + extra + extra * kinds
    lp.col_cost_ = np.concatenate([np.zeros(pairs), price, np.zeros(extra * kinds)])
    lp.col_lower_ = np.zeros(lp.num_col_)
    lp.col_upper_ = np.concatenate([_room(data, bucket, kind), most, may])
    lp.row_lower_ = np.concatenate([slices, np.full(kinds + 1, -INFINITY), np.ones(extra), np.zeros(extra * kinds)])
    lp.row_upper_ = np.concatenate([slices, np.zeros(kinds), paid, np.full(extra + extra * kinds, INFINITY)])
    _matrix(lp, bucket, kind, data.load[bucket, kind], rows, price, too_small)
    lp.integrality_ = [REAL if data.fractional else WHOLE] * pairs + [WHOLE] * (kinds + extra * kinds)
    labels = data.kinds.tolist()
    names = [f"assign[{b},{g}]" for b, g in zip(data.buckets[bucket], data.kinds[kind], strict=True)]
    names += [f"count[{g}]" for g in labels] + [f"more[{k},{g}]" for k in range(extra) for g in labels]
    return Program(passed(lp), names, {})


def _room(data: "Instance", bucket: Any, kind: Any) -> Array:
    """The most slices of each pair: all of the bucket, and no more than the most replicas carry."""
    slices: Array = data.slices[bucket].astype(np.float64)
    if data.fractional:
        return slices
    with np.errstate(divide="ignore", invalid="ignore"):
        carried = np.floor(data.most[kind] / data.load[bucket, kind] + 1e-9)
    return np.where(carried < slices, carried, slices)


def _matrix(
    lp: highspy.HighsLp, bucket: Any, kind: Any, each: Array, rows: float, price: Array, too_small: Sequence[Array]
) -> None:
    """Pairs in their bucket's and their kind's row; counts in their kind's, in what is paid and in rent_more."""
    pairs, kinds, extra = len(bucket), len(price), len(too_small)
    buckets = lp.num_row_ - kinds - 1 - extra - extra * kinds
    paid = buckets + kinds
    index = [np.stack([bucket, buckets + kind], axis=1).ravel()]
    value = [np.stack([np.ones(pairs), each * rows], axis=1).ravel()]
    ask = paid + 1 + extra + kinds * np.arange(extra)  # the first row of each fleet: y[g] - (z[g] + 1) more >= 0
    for g in range(kinds):
        index.append(np.concatenate([[buckets + g, paid], ask + g]))
        value.append(np.concatenate([[-rows, price[g]], np.ones(extra)]))
    for k, z in enumerate(too_small):
        index.append(np.stack([np.full(kinds, paid + 1 + k), ask[k] + np.arange(kinds)], axis=1).ravel())
        value.append(np.stack([np.ones(kinds), -(z + 1)], axis=1).ravel())
    lengths = [np.full(pairs, 2), np.full(kinds, 2 + extra), np.full(extra * kinds, 2)]
    by_columns(lp, index, value, np.concatenate(lengths))


def by_columns(lp: highspy.HighsLp, index: Sequence[Array], value: Sequence[Array], lengths: Array) -> None:
    """Set the matrix from rows and values of all columns, one after the other, and the length of each."""
    matrix = lp.a_matrix_
    matrix.format_, matrix.num_col_, matrix.num_row_ = highspy.MatrixFormat.kColwise, lp.num_col_, lp.num_row_
    matrix.start_ = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    matrix.index_ = np.concatenate(index).astype(np.int32)
    matrix.value_ = np.concatenate(value).astype(np.float64)


def passed(lp: highspy.HighsLp) -> highspy.Highs:
    """A quiet, single-threaded HiGHS that holds the program."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    if solver.passModel(lp) == highspy.HighsStatus.kError:
        raise SolverFailure("HiGHS refused a program of fleet_slices")
    return solver
