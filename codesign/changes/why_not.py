"""Why is the best system not one with this memory, chip, tensor degree or layout, and what would make it so?"""

import math
import time
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from codesign.changes.decomposition import decompose, parts
from codesign.changes.frontier_answer import named_system
from codesign.changes.least_change import Change, Least, kinds
from codesign.changes.relax_answer import BoughtPart
from codesign.changes.wanted import Wanted, why_absent
from codesign.changes.why_not_answer import LeastPart, SidePart, TermPart, WhyNotAnswer
from codesign.facts.catalog import Catalog
from codesign.facts.errors import AuditError, DataError
from codesign.study.query_study import Point, Warm
from codesign.system import answer_parts, audit, best_system, cures
from codesign.system import best_system_answer as words
from codesign.system.audit import Audited, System
from codesign.system.columns import columns_of
from codesign.system.conflicts import limits_set
from codesign.system.prepared import Prepared
from codesign.system.query import Query
from codesign.system.spaces import AnySpace
from formulations.solvers.deadline import Deadline
from formulations.solvers.outcome import Status

TIE = 1e-9  # relative


def why_not(catalog: Catalog, query: Query, wanted: Wanted) -> WhyNotAnswer:
    """The best system, the best that has what is wanted, and the way from one to the other. Raises DataError."""
    start = time.perf_counter()
    if query.phases == "disaggregated":
        raise DataError("phases = 'disaggregated': why-not compares systems of one pool, not of two")
    deadline = Deadline.after(query.time_limit)
    p = best_system.prepare(catalog, query, deadline)
    said = {
        **answer_parts.asked(p), **answer_parts.behind(p, []), "assumptions": words.assumptions_of(p),
        "wanted": wanted.said(), "objective": query.objective.order, "unit": p.query.objective.unit,
        "absent": why_absent(catalog, p.query, p.supply, wanted) if wanted.names_a_chip else {},
    }  # fmt: skip
    has = wanted.mask(p.space)
    if not has.any():
        return WhyNotAnswer(status="absent", **{**said, "absent": {**said["absent"], **_degrees(p.space, wanted)}})
    other = _restricted(p, wanted)
    (best, best_proven), (asked, asked_proven) = _solved(p), _solved(other)
    decided = best_proven and asked_proven
    if asked is None:
        found = cures.cures(p.query, other.space, p.servers, lambda q: _only(
            best_system.space_of(catalog, q, p.supply), wanted), deadline)  # fmt: skip
        status: Literal["infeasible", "undecided"] = "infeasible" if decided and not found.late else "undecided"
        return WhyNotAnswer(status=status, best=best and best.bought, cures=found.parts, **said)
    if best is None:
        raise AuditError("a system with what is wanted fits, and none without the wish")
    behind = p.query.objective.direction * (best.value - asked.value) / best.value
    said |= {"best": best.bought, "other": asked.bought, "bounds": (best.bound, asked.bound),
             "limited_by": (best.limited_by, asked.limited_by)}  # fmt: skip
    if behind <= TIE:
        return WhyNotAnswer(status="best" if decided else "undecided", behind=0.0, solves=2, **said)
    terms = _terms(p, best, asked)
    solved = time.perf_counter()
    if deadline.passed:
        return WhyNotAnswer(status="undecided", behind=behind, terms=terms, losing=losing(terms), solves=2,
                            seconds={"systems": solved - start}, **said)  # fmt: skip
    changes, hopeless, solves = _changes(Warm(None, p.query, catalog=catalog), wanted, asked.system)
    decided = decided and all(_known(point) for c in changes for point in (c.before, c.after))
    return WhyNotAnswer(
        status="behind" if decided else "undecided", behind=behind, terms=terms, losing=losing(terms),
        changes=tuple(map(_least_part, changes)), hopeless=hopeless,
        solves=solves + 2, seconds={"systems": solved - start, "changes": time.perf_counter() - solved}, **said,
    )  # fmt: skip


class _Solved:
    """One of the two systems, audited, with the bound that is proven of it."""

    def __init__(self, p: Prepared, system: System, audited: Audited, bound: float | None, *, proven: bool) -> None:
        self.system, self.audited, self.value, self.bound = system, audited, audited.value, bound
        self.proven = proven
        self.limited_by = words.batch_limit(p.query, system, audited)
        self.bought = BoughtPart(
            system=named_system(system), replicas=system.replicas, batch=system.batch, users=audited.users,
            servers_bought=audited.servers_bought, chips_bought=audited.chips_bought, value=audited.value,
            unit=p.query.objective.unit, proven=proven,
        )  # fmt: skip


def _solved(p: Prepared) -> tuple[_Solved | None, bool]:
    """Closed form, program and audit of the best, None where nothing fits, and whether the program proved it.

    AuditError where they differ.
    """
    best, solved = p.columns.incumbent(), best_system.solve(p)
    infeasible = solved.outcome.status is Status.INFEASIBLE
    if (infeasible and best is not None) or (solved.outcome.solution is not None and best is None):
        raise AuditError(f"program: {solved.outcome.status.value}, closed form: {best}")
    if best is None:
        return None, infeasible
    system, audited = best_system.audited_system(p, best[0])
    bound, proven = p.query.objective.si(solved.bound()), solved.outcome.status is Status.OPTIMAL
    if bound is not None and proven:
        audit.agree("objective", audited.value, bound)
    return _Solved(p, system, audited, bound, proven=proven), proven


def _only(space: AnySpace, wanted: Wanted) -> AnySpace:
    """The space with all layouts that lack what is wanted ruled out."""
    return replace(space, reason=np.where(wanted.mask(space), space.reason, np.maximum(space.reason, 1)))


def _restricted(p: Prepared, wanted: Wanted) -> Prepared:
    space = _only(p.space, wanted)
    return replace(p, space=space, columns=columns_of(p.query, space, p.servers))


def _terms(p: Prepared, best: _Solved, asked: _Solved) -> tuple[TermPart, ...]:
    """Terms by how much they put the wanted system behind; AuditError unless their factors multiply to the gap."""
    model = p.space.model
    ours, theirs = (parts(p.query, model, one.system, one.audited) for one in (best, asked))
    found = decompose(ours, theirs)
    product, ratio = math.prod(term.factor for term in found), best.value / asked.value
    audit.agree("factors of the gap", product, p.query.objective.merit(ratio))
    return tuple(TermPart(**term.__dict__) for term in found)


def _degrees(space: AnySpace, wanted: Wanted) -> dict[str, str]:
    """Why no layout has a tensor degree."""
    known = sorted(set(space.tensor.tolist()))
    if wanted.tensor is None or wanted.tensor in known:
        return {}
    return {f"tensor degree {wanted.tensor}": "no layout has it; these are possible: " + ", ".join(map(str, known))}


def losing(terms: tuple[TermPart, ...]) -> str:
    """The kind of term with the largest factor: "memory time: weights" and "memory time: caches" count together."""
    by_kind: dict[str, float] = {}
    for term in terms:
        kind = term.name.partition(":")[0]
        by_kind[kind] = by_kind.get(kind, 1.0) * term.factor
    return max(by_kind, key=lambda kind: by_kind[kind])


def _changes(warm: Warm, wanted: Wanted, system: System) -> tuple[list[Change], tuple[str, ...], int]:
    """The least change of each kind that makes what is wanted win, the least first, and the kinds that never do."""
    least, found, hopeless = Least(warm, wanted), list[Change](), list[str]()
    for kind in kinds(warm, system.offer.chip):
        change = least.of_kind(kind)
        if change is None:
            hopeless.append(kind.name)
        else:
            found.append(change)
    for name in limits_set(warm.query):
        changes = least.of_limit(name)
        found += changes
        hopeless += [] if changes else [f"limits.{name}"]
    ordered = sorted(found, key=lambda change: abs(math.log(change.factor)))
    return ordered, tuple(hopeless), least.solves


def _least_part(c: Change) -> LeastPart:
    return LeastPart(kind=c.kind, today=dict(c.today), needs=dict(c.values), units=dict(c.units), factor=c.factor,
                     exact=c.exact, before=_side(c.before), after=_side(c.after),
                     verified=c.verified and _known(c.before) and _known(c.after))  # fmt: skip


def _known(point: Point | None) -> bool:
    """Whether the program proved what is best there; where nothing can be there is nothing to prove."""
    return point is None or point.status in (Status.OPTIMAL.value, Status.INFEASIBLE.value)


def _side(point: Point | None) -> SidePart:
    named: Any = None if point is None or point.system is None else point.system.name
    return SidePart(system=named, value=point and point.value, bound=point and point.bound)
