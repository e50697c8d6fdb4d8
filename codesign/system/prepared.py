"""What passes between the steps of the best-system query, of one pool or of two."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from codesign.facts.catalog import Catalog
from codesign.facts.errors import UndecidedError
from codesign.system.audit import Enumerated
from codesign.system.columns import Columns, Servers
from codesign.system.layouts import Floats, Ints
from codesign.system.offers import Supply
from codesign.system.pools import Pools
from codesign.system.query import Query
from codesign.system.spaces import AnySpace
from formulations import best_system, disaggregated
from formulations.solvers.deadline import OutOfTime
from formulations.solvers.outcome import Outcome


@dataclass(frozen=True)
class Question:
    """A query with its mode settled, and what it may choose from."""

    query: Query
    catalog: Catalog
    supply: Supply


@dataclass(frozen=True)
class Prepared(Question):
    """Everything that is computed before a solver sees the query."""

    space: AnySpace
    servers: Servers
    columns: Columns


@dataclass(frozen=True)
class Solved:
    """The program's last columns, outcome and proof, and the rounds of refinement."""

    columns: Columns
    outcome: Outcome[best_system.Solution]
    proof: best_system.Proof
    rounds: int

    def bound(self) -> float | None:
        """Proven bound in the program's unit: the solver's, or the weakest of the columns' own."""
        return _bound(self.outcome.bound, self.proof.sweep.bound, up=self.columns.instance.objective == "ratio")


@dataclass(frozen=True)
class PreparedPools(Question):
    """As `Prepared`, of two pools: `instance` holds all columns, `kept` those that no other of its pool dominates."""

    pools: Pools
    instance: disaggregated.Instance
    kept: Ints


@dataclass(frozen=True)
class SolvedPools:
    """The program that was solved (before removal by bounds), its outcome and proof."""

    instance: disaggregated.Instance
    outcome: Outcome[disaggregated.Solution]
    proof: disaggregated.Proof

    def bound(self) -> float | None:
        """Proven bound in the program's unit: the solver's, or the weakest of the columns' own."""
        return _bound(self.outcome.bound, self.proof.sweep.bound, up=self.instance.objective != "cost")


def _bound(solver: float | None, columns: Floats, *, up: bool) -> float | None:
    """The solver's bound, else the weakest of the columns' own; NaN is a column that is not feasible."""
    known = columns[~np.isnan(columns)]
    if solver is not None or len(known) == 0:
        return solver
    return float(known.max() if up else known.min())


@dataclass(frozen=True)
class Looked:
    """What a complete enumeration found, or None and why there is none; `over` says what it was over, if not all."""

    found: Enumerated | None
    why_not: str
    over: str = ""


@dataclass
class Watch:
    """Seconds of the parts of a question, by name; parts of the same name add up."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@contextmanager
def in_time() -> Iterator[None]:
    """What ends for want of time while a question is prepared is undecided: nothing is known of it yet."""
    try:
        yield
    except OutOfTime as error:
        raise UndecidedError("the time given ended while layouts were prepared: no system is known yet") from error
