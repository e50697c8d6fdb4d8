"""What passes between the steps of the best-system query."""

from dataclasses import dataclass

from codesign.catalog import Catalog
from codesign.columns import Columns, Servers
from codesign.query import Query
from codesign.spaces import AnySpace
from codesign.supply import Supply
from formulations import best_system
from formulations.outcome import Outcome


@dataclass(frozen=True)
class Prepared:
    """Everything that is computed before a solver sees the query."""

    query: Query
    catalog: Catalog
    supply: Supply
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
        if self.outcome.bound is not None:
            return self.outcome.bound
        known = self.proof.sweep.bound[self.proof.sweep.bound == self.proof.sweep.bound]
        if len(known) == 0:
            return None
        return float(known.max() if self.columns.instance.objective == "ratio" else known.min())
