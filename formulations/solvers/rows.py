"""A linear or integer program as sparse arrays, and as HiGHS takes it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import highspy
import numpy as np

from formulations.solvers.arrays import Array, Labels, Mask

INFINITY = highspy.kHighsInf
NOTHING = 1e-9  # a coefficient that HiGHS drops


@dataclass(frozen=True)
class Rows:
    """Variables `low` <= x <= `high` at `cost`; rows `least` <= sum `value` x <= `most`, entries in any order.

    `whole` None: a linear program. Of an entry, `row` and `column` are positions; those that HiGHS takes for 0 go.
    """

    cost: Array
    low: Array
    high: Array
    least: Array
    most: Array
    row: Labels
    column: Labels
    value: Array
    whole: Mask | None = None
    offset: float = 0.0

    def lp(self) -> highspy.HighsLp:
        """The program to be least, its entries by column."""
        lp, matrix = highspy.HighsLp(), highspy.HighsSparseMatrix()
        lp.num_col_, lp.num_row_, lp.offset_ = len(self.cost), len(self.least), self.offset
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = self.cost, self.low, self.high
        lp.row_lower_, lp.row_upper_ = self.least, self.most
        order = np.lexsort((self.row, self.column))
        order = order[np.abs(self.value[order]) > NOTHING]
        matrix.format_, matrix.num_col_, matrix.num_row_ = highspy.MatrixFormat.kColwise, lp.num_col_, lp.num_row_
        counts = np.bincount(self.column[order], minlength=lp.num_col_)
        matrix.start_ = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        matrix.index_, matrix.value_ = self.row[order].astype(np.int32), self.value[order].astype(np.float64)
        lp.a_matrix_ = matrix
        if self.whole is not None:
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [kinds[int(w)] for w in self.whole]
        return lp


def rows_of(highs: highspy.Highs) -> Rows:
    """The integer program, to be least, that a HiGHS holds."""
    lp = highs.getLp()
    matrix = lp.a_matrix_
    whole = np.array([kind == highspy.HighsVarType.kInteger for kind in lp.integrality_])
    column = np.repeat(np.arange(lp.num_col_), np.diff(matrix.start_))
    return Rows(
        cost=np.array(lp.col_cost_), low=np.array(lp.col_lower_), high=np.array(lp.col_upper_),
        least=np.array(lp.row_lower_), most=np.array(lp.row_upper_),
        row=np.array(matrix.index_), column=column, value=np.array(matrix.value_), whole=whole, offset=lp.offset_,
    )  # fmt: skip


@dataclass
class Frame:
    """Variables, not negative, and rows by name, to be filled in order."""

    names: list[str] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    entries: list[tuple[int, int, float]] = field(default_factory=list)  # (row, variable, coefficient)

    def variable(self, name: str, cost: float = 0.0, upper: float = INFINITY, *, whole: bool = True) -> int:
        """Position of a new variable."""
        self.names.append(name)
        self.cost.append(float(cost))
        self.upper.append(float(upper))
        self.whole.append(whole)
        return len(self.names) - 1

    def row(self, name: str, terms: Sequence[tuple[Any, Any]], low: Any = -INFINITY, high: Any = INFINITY) -> int:
        """Position of a new row; `terms` are variables, by position, and their coefficients."""
        self.rows.append(name)
        self.low.append(float(low))
        self.high.append(float(high))
        self.entries += [(len(self.rows) - 1, i, float(a)) for i, a in terms if a]
        return len(self.rows) - 1

    def relaxed(self) -> Rows:
        """The program with variables that need not be whole."""
        row, column, value = (np.array(each) for each in zip(*self.entries, strict=True))
        cost, upper, low, high = (np.array(each) for each in (self.cost, self.upper, self.low, self.high))
        return Rows(cost, np.zeros(len(cost)), upper, low, high, row, column, value)
