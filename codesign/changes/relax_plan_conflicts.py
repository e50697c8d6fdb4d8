"""Which limits of a plan contradict each other: every smallest set that no fleet satisfies, by a search over subsets.

Sets are tried from the smallest up, each with all other limits lifted, by the feasibility program. A set that holds a
conflict is not tried, nor one within a set that a fleet satisfies; such a set is first grown as far as it goes, so
programs are few. Proper subsets of a conflict are thus all proven feasible.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from codesign.fleet.cases import cases_of, several
from codesign.fleet.limits import kept
from codesign.fleet.prepared import Prepared
from codesign.fleet.program import instance_of, stochastic_of
from formulations import fleet
from formulations.fleet import bounds, stochastic
from formulations.solvers import highs
from formulations.solvers.deadline import NEVER, Deadline
from formulations.solvers.outcome import Status

NODES = 2_000    # of a program; one that is not decided is told
ROUGH_GAP = 0.9  # the first fleet that is found will do
MOST_SETS = 20
Names = tuple[str, ...]
Feasible = Callable[[Collection[str]], bool | None]


def feasible(p: Prepared, deadline: Deadline = NEVER) -> bool | None:
    """Whether some fleet satisfies the plan, in every case that may come; None: not decided."""
    if deadline.passed:
        return None
    data = instance_of(p)
    if data.objective == "power":
        data = replace(data, objective="cost")
    if bounds.unbounded(data):
        return None
    limits = highs.Limits(limit_s=deadline.left_s, node_limit=NODES, deadline=deadline)
    try:
        if several(p.plan):
            status = stochastic.solve(stochastic_of(p, data, cases_of(p)), limits=limits, gap=ROUGH_GAP)[0].status
        else:
            status = fleet.solve(data, limits=limits, gap=ROUGH_GAP)[0].status
    except highs.SolverFailure:
        return None
    return {Status.OPTIMAL: True, Status.FEASIBLE: True, Status.INFEASIBLE: False}.get(status)


class Oracle:
    """`feasible` of the plan with some of its limits and no other, each set asked once."""

    def __init__(self, p: Prepared, deadline: Deadline = NEVER) -> None:
        self.p, self.deadline = p, deadline
        self.known: dict[frozenset[str], bool | None] = {}

    def __call__(self, names: Collection[str]) -> bool | None:
        """None: not decided."""
        key = frozenset(names)
        if key not in self.known:
            self.known[key] = feasible(kept(self.p, key), self.deadline)
        return self.known[key]


@dataclass(frozen=True)
class Conflicts:
    """Minimal sets; `complete`: there is no other; `undecided`: sets of which it is not known."""

    sets: tuple[Names, ...]
    complete: bool
    undecided: tuple[Names, ...]


def conflicts(names: Names, fits: Feasible, most: int = MOST_SETS) -> Conflicts:
    """All minimal conflicts up to so many, the smallest first; the empty set: no fleet, limits or not."""
    found, undecided = list[Names](), list[Names]()
    for candidate, fit in _minimal(names, fits):
        if fit is None:
            undecided.append(candidate)
        elif len(found) == most:
            return Conflicts(tuple(found), False, tuple(undecided))
        else:
            found.append(candidate)
    return Conflicts(tuple(found), not undecided, tuple(undecided))


def _minimal(names: Names, fits: Feasible) -> Iterator[tuple[Names, bool | None]]:
    """Minimal sets that are not feasible (False) or not decided (None); nothing is said of what holds one of these."""
    closed, fine = list[set[str]](), list[set[str]]()
    for size in range(len(names) + 1):
        for candidate in combinations(names, size):
            some = set(candidate)
            if any(one <= some for one in closed) or any(some <= one for one in fine):
                continue
            fit = fits(candidate)
            if fit:
                fine.append(_grown(some, names, fits, closed))
            else:
                closed.append(some)
                yield candidate, fit


def _grown(some: set[str], names: Names, fits: Feasible, closed: list[set[str]]) -> set[str]:
    """A set that is feasible with every other limit that it can hold beside."""
    for name in names:
        more = some | {name}
        if name not in some and not any(one <= more for one in closed) and fits(more):
            some = more
    return some
