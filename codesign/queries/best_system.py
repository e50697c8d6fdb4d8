"""Which system of one layout, replicated, is best under these limits?"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from codesign import audit, columns, cures, supply, workload
from codesign.answer import Answer
from codesign.audit import Enumerated, System
from codesign.catalog import Catalog, unknown
from codesign.changes.conflicts import conflicts, ways
from codesign.changes.joint_cure import asked_words, cheapest, cure_part
from codesign.errors import AuditError, DataError, SolverError
from codesign.layouts import MOST_TENSOR, enumerate_space
from codesign.mode import settled
from codesign.prepared import Prepared, Solved
from codesign.queries import best_system_answer as words
from codesign.queries import disaggregated
from codesign.queries.disaggregated import PoolsResult
from codesign.query import Query
from codesign.records import ModelRecord
from codesign.serving_space import enumerate_serving
from codesign.spaces import AnySpace
from codesign.supply import Supply
from formulations import best_system, highs
from formulations.outcome import Outcome, Status

MOST_ROUNDS = 500  # of refining lines; each round makes one batch of one column exact


def prepare(catalog: Catalog, query: Query) -> Prepared:
    """Domain -> numbers. Raises DataError for names that do not exist, UnboundedError without a limit."""
    if query.model not in catalog.records["models"]:
        raise DataError(unknown("--model (model)", query.model, list(catalog.records["models"])))
    if query.phases == "disaggregated":
        raise ValueError("phases = 'disaggregated': two pools are prepared by queries.disaggregated")
    query = settled(catalog, query)
    offered = supply.supply(catalog, query)
    space = space_of(catalog, query, offered)
    servers = columns.servers_of(space, offered.offers)
    return Prepared(query, catalog, offered, space, servers, columns.columns_of(query, space, servers))


def space_of(catalog: Catalog, query: Query, offered: Supply) -> AnySpace:
    """Every layout of every chip on offer, in the query's mode."""
    model = workload.model(catalog.get(ModelRecord, query.model))
    chips = [offer.chip for offer in offered.offers]
    most_chips = float(query.limits.chips or float("inf"))
    if offered.achieved is not None:
        return enumerate_serving(model, chips, query, offered.achieved, most_chips=most_chips)
    return enumerate_space(
        model, chips, [(weights, query.kv(weights)) for weights in query.precision], query.context,
        most_tensor=min(query.limits.tensor or MOST_TENSOR, MOST_TENSOR), most_chips=most_chips,
    )  # fmt: skip


def solve(p: Prepared, *, removal: bool = True, clock: Callable[[], float] = time.perf_counter) -> Solved:
    """Numbers -> proof; lines below curves are refined until the bound meets the true value."""
    cols, deadline = p.columns, None if p.query.time_limit is None else clock() + p.query.time_limit
    for rounds in range(1, MOST_ROUNDS + 1):
        left = float("inf") if deadline is None else max(deadline - clock(), 1e-3)
        known = cols.incumbent()
        try:
            outcome, proof = best_system.solve(
                cols.instance, removal=removal, limits=highs.Limits(limit_s=left), known=known and known[1]
            )
        except highs.SolverFailure as error:
            raise SolverError(str(error)) from error
        finished = Solved(cols, outcome, proof, rounds)
        if outcome.solution is None or known is None or not p.space.curved or _met(outcome, known[1]):
            return finished
        cols = columns.split(cols, p.space, outcome.solution.column, outcome.solution.batch)
        if deadline is not None and clock() > deadline:
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
    catalog: Catalog, query: Query, *, removal: bool = True, enumerate_all: bool = True
) -> Result | PoolsResult:
    """As `best_system_under`, with the program kept; two pools where the query's phases say so.

    Raises DataError, SolverError, AuditError.
    """
    asked_for = disaggregated.prepare_and_solve if query.phases == "disaggregated" else _one_pool
    return asked_for(catalog, query, removal=removal, enumerate_all=enumerate_all)


def _one_pool(catalog: Catalog, query: Query, *, removal: bool, enumerate_all: bool) -> Result:
    start = time.perf_counter()
    p = prepare(catalog, query)
    prepared = time.perf_counter()
    solved = solve(p, removal=removal)
    ended = time.perf_counter()
    seconds = {"prepare": prepared - start, "solve": ended - prepared}
    best = p.columns.incumbent()
    if solved.outcome.status is Status.INFEASIBLE or best is None:
        return Result(_without(p, solved, seconds), p, solved)
    system, audited = audited_system(p, best[0])
    every = audit.enumerate_all(p.query, p.space, p.servers) if enumerate_all else None
    _agreed(p, solved, audited.value, every)
    seconds["audit"] = time.perf_counter() - ended
    return Result(words.answer(p, solved, system, audited, every, seconds), p, solved)


def audited_system(p: Prepared, position: int) -> tuple[System, audit.Audited]:
    """The system of a column in whole numbers, recomputed from the domain's formulas."""
    at = int(p.columns.layout[position])
    batch = int(p.columns.true_batch[position])
    if p.query.maximize == "cost":
        batch = columns.shared_batch(p.query, p.columns, position, batch)
    replicas = columns.replicas_needed(p.query, p.columns, position, batch)
    system = System(p.supply.offers[int(p.space.chip[at])], p.space.layout(at), batch, replicas)
    return system, audit.recompute(p.query, p.space.model, p.supply, system)


def _agreed(p: Prepared, solved: Solved, value: float, every: Enumerated | None) -> None:
    """The audit's value is the program's optimum and the enumeration's; AuditError otherwise."""
    bound = words.objective_si(p.query, solved.bound())
    if bound is not None and words.better(p.query, value, bound * (1 + 1e-6 * words.direction(p.query))):
        raise AuditError(f"value {value!r} is better than the proven bound {bound!r}")
    if solved.outcome.status is Status.OPTIMAL and bound is not None:
        audit.agree("objective", value, bound)
    if every is not None and every.value is not None:
        audit.agree("enumeration", every.value, value)


def _without(p: Prepared, solved: Solved, seconds: dict[str, float]) -> Answer:
    """No system: both the program and the closed form must say so; then what is in the way."""
    if solved.outcome.status is not Status.INFEASIBLE or p.columns.incumbent() is not None:
        raise AuditError(f"program: {solved.outcome.status.value}, closed form: {p.columns.incumbent()}")
    if not p.supply.offers:
        return words.infeasible(p, [], seconds)
    found = cures.cures(p.query, p.space, p.servers, lambda q: space_of(p.catalog, q, p.supply))
    answer = words.infeasible(p, found, seconds)
    return answer if found else _together(p, answer)


def _together(p: Prepared, answer: Answer) -> Answer:
    """No limit cures alone: which contradict each other, and the cheapest change of several."""
    every = ways(p.query, p.servers, lambda q: space_of(p.catalog, q, p.supply))
    joint = cheapest(every, {})
    sets = tuple(tuple(asked_words(p.query, name) for name in one) for one in conflicts(every).sets)
    changes = () if joint is None else tuple(cure_part(p.query, *item) for item in joint.values.items())
    return answer.model_copy(update={"conflicts": sets, "together": changes})
