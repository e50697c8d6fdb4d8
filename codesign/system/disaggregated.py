"""Which prefill pool and which decode pool, in which balance, are best under these limits?"""

import math
from dataclasses import dataclass

from codesign.facts.catalog import Catalog, unknown
from codesign.facts.errors import AuditError, DataError, SolverError
from codesign.facts.records import ModelRecord
from codesign.physics import workload
from codesign.system import audit, columns, offers, pools, pools_audit, pools_cures, pools_enumeration
from codesign.system import disaggregated_answer as words
from codesign.system.answer import Answer
from codesign.system.audit import Enumerated, System
from codesign.system.cures import Cures
from codesign.system.mode import settled
from codesign.system.offers import Supply
from codesign.system.pools import Pools, at_prompt
from codesign.system.pools_audit import AuditedPools, Both
from codesign.system.pools_program import instance_of
from codesign.system.prepared import Looked, PreparedPools, SolvedPools, Watch, in_time
from codesign.system.query import Query
from codesign.system.serving_space import enumerate_serving
from formulations import disaggregated
from formulations.solvers import highs
from formulations.solvers.deadline import NEVER, Deadline, OutOfTime
from formulations.solvers.outcome import Status

SHARE = 0.5  # of the time left that the enumeration may take; the program has the rest
MOST_PAIRS = 50_000_000  # of columns whose bounds are computed at once: about 5 GB


@dataclass(frozen=True)
class PoolsResult:
    """The document, and what it was made from, for exports."""

    answer: Answer
    prepared: PreparedPools
    solved: SolvedPools


def prepare(catalog: Catalog, query: Query, deadline: Deadline = NEVER) -> PreparedPools:
    """Domain -> numbers.

    Raises DataError for what two pools cannot answer, UnboundedError without a limit, UndecidedError after the
    `deadline`.
    """
    if query.model not in catalog.records["models"]:
        raise DataError(unknown("--model (model)", query.model, list(catalog.records["models"])))
    query = settled(catalog, query)
    pools.check(query)
    offered = offers.supply(catalog, query)
    with in_time():
        found = _pools(catalog, query, offered, deadline)
    return PreparedPools(query, catalog, offered, found, instance_of(query, found), pools.undominated(found))


def _pools(
    catalog: Catalog, query: Query, offered: Supply, deadline: Deadline = NEVER,
    like: tuple[Query, Pools] | None = None,
) -> Pools:  # fmt: skip
    """Both pools; the layouts of `like` where only limits differ that these do not rest on."""
    if offered.achieved is None:
        raise ValueError(f"mode = {query.mode!r}: two pools are known in mode achieved only")
    model = workload.model(catalog.get(ModelRecord, query.model))
    chips = [offer.chip for offer in offered.offers]
    most = float(query.limits.chips or float("inf"))
    if like is not None and all(getattr(like[0].limits, x) == getattr(query.limits, x) for x in ("chips", "tensor")):
        return pools.pools_of(query, like[1].prefill, like[1].decode, like[1].servers, deadline)
    prefill, decode = (enumerate_serving(model, chips, q, offered.achieved, most_chips=most, deadline=deadline)
                       for q in (at_prompt(query), query))  # fmt: skip
    return pools.pools_of(query, prefill, decode, columns.servers_of(decode, offered.offers), deadline)


def solve(p: PreparedPools, *, removal: bool = True, deadline: Deadline | None = None) -> SolvedPools:
    """Numbers -> proof, over the columns that none dominates; over all of them without removal.

    Ends at the `deadline`; without one, when the query's own time has passed since now.
    Raises DataError where the bounds of all pairs would not fit a computer's memory, SolverError.
    """
    split, count = p.pools.split, len(p.pools)
    if not removal and split * (count - split) > MOST_PAIRS:
        raise DataError(f"--no-removal: {split:,} prefill and {count - split:,} decode columns make more than "
                        f"{MOST_PAIRS:,} pairs; allow fewer chips (--chip) or smaller layouts (--tensor)")  # fmt: skip
    data = p.instance.only(p.kept) if removal else p.instance
    limits = highs.Limits(deadline=Deadline.after(p.query.time_limit) if deadline is None else deadline)
    try:
        outcome, proof = disaggregated.solve(data, removal=removal, limits=limits)
    except highs.SolverFailure as error:
        raise SolverError(str(error)) from error
    return SolvedPools(data, outcome, proof)


def prepare_and_solve(
    catalog: Catalog, query: Query, *, removal: bool = True, enumerate_all: bool = True,
    deadline: Deadline | None = None,
) -> PoolsResult:  # fmt: skip
    """The proven best pair of pools, audited, and enumerated unless told not to or too many."""
    deadline, watch = Deadline.after(query.time_limit) if deadline is None else deadline, Watch()
    with watch("prepare"):
        p = prepare(catalog, query, deadline)
    with watch("audit"):
        every = enumerated(p, deadline.sooner(SHARE)) if enumerate_all else Looked(None, "")
    with watch("solve"):
        solved = solve(p, removal=removal, deadline=deadline)
    both = chosen(p, solved)
    if both is None:
        return PoolsResult(_without(p, solved, every, deadline), p, solved)
    with watch("audit"):
        audited = pools_audit.recompute(p.query, p.pools.decode.model, p.supply, both)
        _agreed(p, solved, audited, every.found)
    return PoolsResult(words.answer(p, solved, both, audited, every, watch, deadline), p, solved)


def chosen(p: PreparedPools, solved: SolvedPools) -> Both | None:
    """The program's system, or the start it was given where its time ended before; None: there is none."""
    solution, best = solved.outcome.solution, solved.proof.sweep.best
    if solution is not None:
        found = [(pool.column, pool.replicas) for pool in (solution.prefill, solution.decode)]
    elif best is not None:
        found = [(column, int(replicas)) for column, replicas, _ in best.pools]
    else:
        return None
    systems = []
    for column, replicas in found:
        at = int(p.pools.layout[column])
        offer, layout = p.supply.offers[int(p.pools.chip[column])], p.pools.space(column).layout(at)
        systems.append(System(offer, layout, int(p.pools.batch[column]), replicas))
    return Both(*systems)


def enumerated(p: PreparedPools, deadline: Deadline = NEVER) -> Looked:
    """The best of all pairs, over all columns or else over those kept, and in words over which, or why not."""
    try:
        for which, said in ((pools.every(p.pools), "all columns"), (p.kept, "columns that none dominates")):
            if (found := pools_enumeration.enumerate_pairs(p.query, p.pools, which, deadline)) is not None:
                return Looked(found, "", said)
    except OutOfTime:
        return Looked(None, "not in the time given")
    return Looked(None, f"more than {pools_enumeration.MOST_POINTS:,} points")


def _agreed(p: PreparedPools, solved: SolvedPools, a: AuditedPools, every: Enumerated | None) -> None:
    """The audit's value is the program's optimum and the enumeration's; AuditError otherwise."""
    bound = p.query.objective.pools_si(solved.bound(), p.query.output)
    if bound is not None and p.query.objective.better(a.value, bound, 1e-6):
        raise AuditError(f"value {a.value!r} is better than the proven bound {bound!r}")
    if (value := p.query.objective.pools_si(solved.outcome.value, p.query.output)) is not None:
        audit.agree("objective", a.value, value)
    if solved.outcome.status is Status.INFEASIBLE:
        raise AuditError(f"program: infeasible, closed form: pools of {a.value!r}")
    if every is None:
        return
    best = math.nan if every.value is None else every.value
    if solved.outcome.status is Status.OPTIMAL:
        audit.agree("enumeration", best, a.value)
    elif p.query.objective.better(a.value, best, audit.AGREE):
        raise AuditError(f"value {a.value!r} is better than the best of an enumeration, {best!r}")


def _without(p: PreparedPools, solved: SolvedPools, every: Looked, deadline: Deadline) -> Answer:
    """No system, by the closed form of all pairs; program and enumeration may not find one."""
    found = every.found
    if solved.outcome.status not in (Status.INFEASIBLE, Status.UNKNOWN) or (found and found.value is not None):
        raise AuditError(f"program: {solved.outcome.status.value}, enumeration: {found}")
    return nothing(p, deadline)


def nothing(p: PreparedPools, deadline: Deadline = NEVER) -> Answer:
    """The document where no two pools fit: what is in the way, in closed form."""
    if not p.supply.offers:
        return words.infeasible(p, Cures())
    return words.infeasible(p, _cures(p, deadline))


def _cures(p: PreparedPools, deadline: Deadline) -> Cures:
    def repool(query: Query) -> Pools:
        return _pools(p.catalog, query, p.supply, like=(p.query, p.pools))

    return pools_cures.cures(p.query, p.pools, p.kept, repool, deadline)
