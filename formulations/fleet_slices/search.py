"""The state of one solve of `fleet_slices`: the cheapest fleet known, the proven bound, what the solves took."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from formulations.fleet_slices import start, walk
from formulations.fleet_slices.exact import SPARED, Fleet, money, price_unit
from formulations.fleet_slices.instance import Instance
from formulations.fleet_slices.pack import MARGIN, fit, roomy, shared
from formulations.fleet_slices.rows import load
from formulations.solvers import highs
from formulations.solvers.arrays import Array
from formulations.solvers.outcome import Status

NOT_WHOLE = Fraction(1, 10**6)  # price units: a proven bound so little above whole ones may be a rounding error
FLEETS = 300                    # tried one after the other; beyond them one program over all is no slower
WINDOWS = 16                    # of cost, at least so many between the floor and the known fleet, if not narrow
FINER = 1e3                     # times the rows, where the solver failed
AGAIN = 50                      # programs of divided slices; each leaves out a fleet that floats let pass
ENOUGH = 0.99                   # price units between value and bound: less than one proves


@dataclass(frozen=True)
class Proof:
    """Beside the outcome: what was known before the program, what it held, and how the solves went."""

    rounded: float | None  # $/h of the fleet by rounding, before any solve
    floor: float | None    # $/h that no fleet is below even with slices divided at will
    pairs: int             # pairs of bucket and kind in the last program
    removed: int           # pairs that a cheaper fleet cannot have
    fleets: int            # tried with whole slices
    solves: int
    nodes: int


class Search:
    """Programs that look for a fleet cheaper than the known one only."""

    def __init__(self, data: Instance, limits: highs.Limits) -> None:
        self.data, self.limits = data, limits
        self.began = time.monotonic()
        self.unit = price_unit(data.price.tolist())
        self.known = start.cheapest(data)
        self.rounded = self.known
        self.bound = Fraction(0)
        self.floor: float | None = None
        self.struck = walk.Struck()
        self.last: Status | None = None
        self.solves = self.nodes = self.pairs = self.tried = 0

    def improve(self, found: Fleet | None) -> None:
        """Keep the cheaper fleet."""
        if found is not None and (self.known is None or found.cost < self.known.cost):
            self.known = found

    @property
    def proven(self) -> bool:
        """No fleet is cheaper, to within 1e-9 where prices have no common unit."""
        if self.known is None:
            return False
        return self.bound >= (self.known.cost if self.unit is not None else self.known.cost * (1 - 2 * start.CLOSE))

    def left(self) -> highs.Limits:
        """The limits of the next solve."""
        seconds = self.limits.limit_s - (time.monotonic() - self.began)
        return replace(self.limits, limit_s=max(seconds, 0.0))

    def run(self, *, divided: bool = False, rows: float = 1.0, beyond: Sequence[Array] = ()) -> highs.Result:
        """One program, which raises the bound by what it proves; INFEASIBLE: nothing is cheaper than the known.

        `divided` lets it divide slices, but only over the pairs that those of the instance can have. Of each of
        the fleets `beyond`, which cannot serve, the next has more of some kind.
        """
        reduced = start.reduced(self.data, self.known, self.unit)
        reduced = replace(reduced, fractional=reduced.fractional or divided)
        ceiling = None if self.known is None else start.below(self.known, self.unit)
        gap = self.limits.absolute_gap if self.unit is None else ENOUGH

        def program_of(finer: float) -> highs.Program:
            return load(reduced, self.unit, ceiling=ceiling, rows=rows * finer, beyond=beyond)

        result = self._solved(program_of, gap)
        self.solves, self.nodes = self.solves + 1, self.nodes + max(result.nodes, 0)
        self.pairs = int(np.isfinite(reduced.load).sum())
        if result.status is Status.INFEASIBLE and self.known is not None:
            self.bound = max(self.bound, self.known.cost if self.unit is not None else start.below(self.known, None))
        elif result.bound is not None:
            self._raise(result.bound)
        return result

    def _solved(self, program_of: Callable[[float], highs.Program], gap: float) -> highs.Result:
        """Where a load is beyond its replicas by just about the solver's tolerance, HiGHS may find a solution, lose it
        when it undoes its presolve, and end with an error: finer rows, or no presolve, leave no doubt.
        """
        for finer, presolve in ((1.0, "choose"), (FINER, "choose"), (1.0, "off")):
            program = program_of(finer)
            program.highs.setOptionValue("presolve", presolve)
            try:
                return highs.solve(program, replace(self.left(), absolute_gap=gap))
            except highs.SolverFailure as error:
                failed = error
        raise failed

    def _raise(self, proven: float) -> None:
        """A solver's bound, up to whole price units."""
        if self.unit is None:
            self.bound = max(self.bound, Fraction(proven) * (1 - start.CLOSE))
        else:
            self.bound = max(self.bound, math.ceil(Fraction(proven) - NOT_WHOLE) * self.unit)

    def fleets(self) -> None:
        """The fleet that is cheapest for slices divided at will, then the next dearer ones, until the slices fit.

        Ends without a proof where fleets are too many, too hard to fill, or time is over.
        """
        result = self.run(divided=True)
        self.floor, self.last = float(self.bound), result.status
        if not result.values:
            return
        if not self._cannot(self._counts(result)) or self.unit is None or self.data.price.min() == 0:
            return
        while self.known is not None and not self.proven:
            if not self._window(self.unit):
                return

    def divide(self) -> None:
        """The program of slices divided at will, again while its replicas cannot carry them when counted exactly."""
        beyond: list[Array] = []
        for _ in range(AGAIN):
            result = self.run(rows=FINER, beyond=beyond)
            self.last = result.status
            if not result.values:
                return
            beyond.append(self._counts(result))
            if not self._cannot(beyond[-1]):
                return

    def _counts(self, result: highs.Result) -> Array:
        return np.array([round(result.values[f"count[{g}]"]) for g in self.data.kinds], dtype=np.float64)

    def _window(self, unit: Fraction) -> bool:
        """Fill the fleets from the bound on, in a narrow window of cost; whether the next window may help.

        The next fleet is a bound, since all before cannot do.
        """
        if self.known is None:
            return False
        reduced = start.reduced(self.data, self.known, self.unit)
        top = start.below(self.known, self.unit)
        width = max(money(float(self.data.price.min())), (top - self.bound) / WINDOWS)
        high = min(self.bound + width, top)
        listed = walk.fleets(reduced, unit, self.bound, high, self.struck)
        while listed is not None and len(listed):
            counts, since = listed[0], len(self.struck.fleets)
            self.bound = max(self.bound, walk.cost(self.data, counts))
            if self.tried == FLEETS or self.left().limit_s <= 0 or self.proven or not self._cannot(counts):
                return False
            listed = self.struck.left(listed, since)
        if listed is not None:
            following = (math.floor(high / unit) + 1) * unit  # no fleet costs anything between
            self.bound = max(self.bound, min(following, self.known.cost))
        return listed is not None

    def _cannot(self, counts: Array) -> bool:
        """Try to serve the slices by these replicas; whether they certainly cannot, and are struck off."""
        self.tried += 1
        divided = roomy(self.data, counts)
        if divided is not None and self.data.fractional:
            if divided.room >= -SPARED:
                self.improve(shared(self.data, divided.share))
                return False
        elif divided is not None and divided.room >= -MARGIN:
            status, found, nodes = fit(self.data, counts, divided, self.left())
            self.nodes += nodes
            self.improve(found)
            if status is not Status.INFEASIBLE:
                return False
        self.struck.add(self.data, counts, divided)
        return True

    def proof(self) -> Proof:
        """What happened."""
        rounded = None if self.rounded is None else float(self.rounded.cost)
        removed = int(np.isfinite(self.data.load).sum()) - self.pairs if self.solves else 0
        return Proof(rounded, self.floor, self.pairs, removed, self.tried, self.solves, self.nodes)
