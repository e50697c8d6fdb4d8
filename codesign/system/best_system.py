"""Which system of one layout, replicated, is best under these limits?"""

import math
from dataclasses import dataclass

from codesign.facts.catalog import Catalog, unknown
from codesign.facts.document import CurePart
from codesign.facts.errors import AuditError, DataError, SolverError
from codesign.facts.records import ModelRecord
from codesign.physics import workload
from codesign.system import audit, columns, cures, disaggregated, offers
from codesign.system import best_system_answer as words
from codesign.system.answer import Answer
from codesign.system.audit import Enumerated, System
from codesign.system.conflicts import conflicts, ways
from codesign.system.cures import Cures
from codesign.system.disaggregated import PoolsResult
from codesign.system.joint_cure import TooManySystems, asked_words, cheapest, cure_part
from codesign.system.layouts import MOST_TENSOR, enumerate_space
from codesign.system.mode import settled
from codesign.system.offers import Supply
from codesign.system.prepared import Looked, Prepared, Solved, Watch, in_time
from codesign.system.query import Query
from codesign.system.serving_space import enumerate_serving
from codesign.system.spaces import AnySpace
from formulations import best_system
from formulations.solvers import highs
from formulations.solvers.deadline import NEVER, Deadline, OutOfTime
from formulations.solvers.outcome import Outcome, Status

SHARE = 0.5        # of the time left that the enumeration may take; the program has the rest
MOST_ROUNDS = 500  # of refining lines; each round makes one batch of one column exact


def prepare(catalog: Catalog, query: Query, deadline: Deadline = NEVER) -> Prepared:
    """Domain -> numbers.

    Raises DataError for names that do not exist, UnboundedError without a limit, UndecidedError after the `deadline`.
    """
    if query.model not in catalog.records["models"]:
        raise DataError(unknown("--model (model)", query.model, list(catalog.records["models"])))
    if query.phases == "disaggregated":
        raise ValueError("phases = 'disaggregated': two pools are prepared by queries.disaggregated")
    query = settled(catalog, query)
    offered = offers.supply(catalog, query)
    with in_time():
        space = space_of(catalog, query, offered, deadline)
    servers = columns.servers_of(space, offered.offers)
    return Prepared(query, catalog, offered, space, servers, columns.columns_of(query, space, servers))


def space_of(catalog: Catalog, query: Query, offered: Supply, deadline: Deadline = NEVER) -> AnySpace:
    """Every layout of every chip on offer, in the query's mode."""
    model = workload.model(catalog.get(ModelRecord, query.model))
    chips = [offer.chip for offer in offered.offers]
    most_chips = float(query.limits.chips or float("inf"))
    if offered.achieved is not None:
        return enumerate_serving(model, chips, query, offered.achieved, most_chips=most_chips, deadline=deadline)
    return enumerate_space(
        model, chips, [(weights, query.kv(weights)) for weights in query.precision], query.context,
        most_tensor=min(query.limits.tensor or MOST_TENSOR, MOST_TENSOR), most_chips=most_chips,
    )  # fmt: skip


def solve(p: Prepared, *, removal: bool = True, deadline: Deadline | None = None) -> Solved:
    """Numbers -> proof; lines below curves are refined until the bound meets the true value.

    Ends at the `deadline`; without one, when the query's own time has passed since now. Raises SolverError.
    """
    cols, deadline = p.columns, Deadline.after(p.query.time_limit) if deadline is None else deadline
    for rounds in range(1, MOST_ROUNDS + 1):
        known = cols.incumbent()
        try:
            outcome, proof = best_system.solve(
                cols.instance, removal=removal, limits=highs.Limits(deadline=deadline), known=known and known[1]
            )
        except highs.SolverFailure as error:
            raise SolverError(str(error)) from error
        finished = Solved(cols, outcome, proof, rounds)
        if outcome.solution is None or known is None or not p.space.curved or _met(outcome, known[1]):
            return finished
        cols = columns.split(cols, p.space, outcome.solution.column, outcome.solution.batch)
        if deadline.passed:
            break
    return finished


def _met(outcome: Outcome[best_system.Solution], true: float) -> bool:
    return outcome.bound is not None and abs(outcome.bound - true) <= 1e-6 * abs(true)


@dataclass(frozen=True)
class Result:
    """The document, and what it was made from, for exports."""

    answer: Answer
    prepared: Prepared
    solved: Solved


def best_system_under(catalog: Catalog, query: Query, *, removal: bool = True, enumerate_all: bool = True) -> Answer:
    """The proven best system as a document; audited, and enumerated unless told not to."""
    return prepare_and_solve(catalog, query, removal=removal, enumerate_all=enumerate_all).answer


def prepare_and_solve(
    catalog: Catalog, query: Query, *, removal: bool = True, enumerate_all: bool = True,
    deadline: Deadline | None = None,
) -> Result | PoolsResult:  # fmt: skip
    """As `best_system_under`, with the program kept; two pools where the query's phases say so.

    The query's time counts from the start of the command where that gives a `deadline`, else from now.
    Raises DataError, SolverError, AuditError.
    """
    asked_for = disaggregated.prepare_and_solve if query.phases == "disaggregated" else _one_pool
    deadline = Deadline.after(query.time_limit) if deadline is None else deadline
    return asked_for(catalog, query, removal=removal, enumerate_all=enumerate_all, deadline=deadline)


def _one_pool(
    catalog: Catalog, query: Query, *, removal: bool, enumerate_all: bool, deadline: Deadline
) -> Result:
    watch = Watch()
    with watch("prepare"):
        p = prepare(catalog, query, deadline)
    best = p.columns.incumbent()
    with watch("audit"):
        every = enumerated(p, deadline.sooner(SHARE)) if enumerate_all and best is not None else Looked(None, "")
    with watch("solve"):
        solved = solve(p, removal=removal, deadline=deadline)
    if best is None:
        return Result(_without(p, solved, deadline), p, solved)
    with watch("audit"):
        system, audited = audited_system(p, best[0])
        _agreed(p, solved, audited.value, every.found)
    return Result(words.answer(p, solved, system, audited, every, watch.seconds), p, solved)


def enumerated(p: Prepared, deadline: Deadline = NEVER) -> Looked:
    """The best of all layouts, batches and replica counts, or why it was not looked for."""
    try:
        found = audit.enumerate_all(p.query, p.space, p.servers, deadline)
    except OutOfTime:
        return Looked(None, "not in the time given")
    return Looked(found, "" if found else f"more than {audit.MOST_POINTS:,} layouts and batches")


def audited_system(p: Prepared, position: int) -> tuple[System, audit.Audited]:
    """The system of a column in whole numbers, recomputed from the domain's formulas."""
    at = int(p.columns.layout[position])
    batch, stages = int(p.columns.true_batch[position]), int(p.space.pipeline[at])
    if p.query.objective.kind == "cost":
        batch = columns.shared_batch(p.query, stages, batch)
    replicas = int(columns.replicas_needed(p.query, p.columns, position, stages, batch))
    system = System(p.supply.offers[int(p.space.chip[at])], p.space.layout(at), batch, replicas)
    return system, audit.recompute(p.query, p.space.model, p.supply, system)


def _agreed(p: Prepared, solved: Solved, value: float, every: Enumerated | None) -> None:
    """The audit's value is the program's optimum and the enumeration's; AuditError otherwise."""
    if solved.outcome.status is Status.INFEASIBLE:
        raise AuditError(f"program: infeasible, closed form: a system of {value!r}")
    bound = p.query.objective.si(solved.bound())
    if bound is not None and p.query.objective.better(value, bound, 1e-6):
        raise AuditError(f"value {value!r} is better than the proven bound {bound!r}")
    if solved.outcome.status is Status.OPTIMAL and bound is not None:
        audit.agree("objective", value, bound)
    if every is not None:
        audit.agree("enumeration", math.nan if every.value is None else every.value, value)


def _without(p: Prepared, solved: Solved, deadline: Deadline) -> Answer:
    """No system, by the closed form of all columns; the program may not find one."""
    if solved.outcome.status not in (Status.INFEASIBLE, Status.UNKNOWN):
        raise AuditError(f"program: {solved.outcome.status.value}, closed form: no system")
    return nothing(p, deadline)


def nothing(p: Prepared, deadline: Deadline = NEVER) -> Answer:
    """The document where no system fits: what is in the way, in closed form."""
    if not p.supply.offers:
        return words.infeasible(p, Cures())
    found = cures.cures(p.query, p.space, p.servers, lambda q: space_of(p.catalog, q, p.supply), deadline)
    answer = words.infeasible(p, found)
    return answer if found.parts else _together(p, answer, deadline)


def _together(p: Prepared, answer: Answer, deadline: Deadline) -> Answer:
    """No limit cures alone: which contradict each other, and the cheapest change of several."""
    late = list(answer.not_looked_for)
    sets: tuple[tuple[str, ...], ...] = ()
    changes: tuple[CurePart, ...] = ()
    try:
        every = ways(p.query, p.servers, lambda q: space_of(p.catalog, q, p.supply))
        found = conflicts(every, deadline=deadline).sets
        sets = tuple(tuple(asked_words(p.query, name) for name in one) for one in found)
        joint = cheapest(every, {}, deadline)
        changes = () if joint is None else tuple(cure_part(p.query, *item) for item in joint.values.items())
    except (OutOfTime, TooManySystems) as error:
        late.append("a change of several limits" + (f": {error}" if str(error) else ""))
    return answer.model_copy(update={"conflicts": sets, "together": changes, "not_looked_for": tuple(late)})
