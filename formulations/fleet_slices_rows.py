"""The program of `fleet_slices` handed to HiGHS as arrays, without Pyomo: building must not outlast solving.

Rows and columns are those of `fleet_slices.build`, with the same names, and one row more where a fleet is
known: pay_at_most, sum_g p[g] y[g] <= C, with C below its cost, so that only a cheaper one is looked for.
Prices are counted in their common unit: with whole numbers in the objective the solver's bounds are whole.
"""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np

from formulations.fleet_slices_exact import money
from formulations.highs import INFINITY, Program, SolverFailure

if TYPE_CHECKING:  # the instance is declared beside the program that it feeds
    from formulations.fleet_slices import Instance

WHOLE, REAL = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous


def load(data: "Instance", unit: Fraction | None, *, ceiling: Fraction | None = None, rows: float = 1.0) -> Program:
    """A quiet, single-threaded HiGHS with the program; carry_load is multiplied by `rows`.

    The objective is in `unit`, else in $/h.
    """
    bucket, kind = np.nonzero(np.isfinite(data.load))
    pairs, kinds, buckets = len(bucket), len(data.kinds), len(data.buckets)
    slices = data.slices.astype(np.float64)
    each = data.load[bucket, kind]
    with np.errstate(divide="ignore"):
        room = np.where(each > 0, np.floor(data.most[kind] / each + 1e-9), np.inf)
    if data.fractional:
        room = np.full(pairs, np.inf)
    scale = Fraction(1) if unit is None else unit
    price = np.array([float(money(p) / scale) for p in data.price.tolist()])
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = pairs + kinds, buckets + kinds + (ceiling is not None)
    lp.col_cost_ = np.concatenate([np.zeros(pairs), price])
    lp.col_lower_ = np.zeros(pairs + kinds)
    lp.col_upper_ = np.concatenate([np.minimum(slices[bucket], room), np.minimum(data.most, INFINITY)])
    paid = [] if ceiling is None else [float(ceiling / scale)]
    lp.row_lower_ = np.concatenate([slices, np.full(kinds + len(paid), -INFINITY)])
    lp.row_upper_ = np.concatenate([slices, np.zeros(kinds), paid])
    _matrix(lp, bucket, kind, each * rows, rows, price if paid else None)
    lp.integrality_ = [REAL if data.fractional else WHOLE] * pairs + [WHOLE] * kinds
    labels = data.kinds.tolist()
    names = [f"assign[{data.buckets[b]},{labels[g]}]" for b, g in zip(bucket, kind, strict=True)]
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    if highs.passModel(lp) == highspy.HighsStatus.kError:
        raise SolverFailure("HiGHS refused the model fleet_slices")
    return Program(highs, [*names, *(f"count[{g}]" for g in labels)], {})


def _matrix(lp: highspy.HighsLp, bucket: Any, kind: Any, each: Any, rows: float, price: Any) -> None:
    """By columns: each pair in its bucket's and its kind's row, each count in its kind's row and the last."""
    pairs, kinds, buckets = len(bucket), lp.num_col_ - len(bucket), lp.num_row_
    first = buckets - kinds - (price is not None)
    deep = 1 if price is None else 2
    index, value = np.empty(2 * pairs + deep * kinds, dtype=np.int32), np.empty(2 * pairs + deep * kinds)
    index[0 : 2 * pairs : 2], index[1 : 2 * pairs : 2] = bucket, first + kind
    value[0 : 2 * pairs : 2], value[1 : 2 * pairs : 2] = 1.0, each
    index[2 * pairs :: deep], value[2 * pairs :: deep] = first + np.arange(kinds), -rows
    if price is not None:
        index[2 * pairs + 1 :: 2], value[2 * pairs + 1 :: 2] = buckets - 1, price
    starts = [np.arange(0, 2 * pairs, 2), 2 * pairs + deep * np.arange(kinds + 1)]
    matrix = lp.a_matrix_
    matrix.format_, matrix.num_col_, matrix.num_row_ = highspy.MatrixFormat.kColwise, lp.num_col_, lp.num_row_
    matrix.start_, matrix.index_, matrix.value_ = np.concatenate(starts).astype(np.int32), index, value
