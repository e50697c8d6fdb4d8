"""Nothing fits: which limits contradict each other, and what is the least that cures?"""

import math
import time
from collections.abc import Mapping
from typing import Literal

from codesign.changes.frontier_answer import NamedSystem
from codesign.changes.relax_answer import BoughtPart, ChangePart, ConflictPart, CuredPart, JointPart, RelaxAnswer
from codesign.facts.catalog import Catalog
from codesign.facts.errors import AuditError, DataError, UndecidedError
from codesign.system import answer_parts as parts
from codesign.system import cures
from codesign.system.answer import Answer
from codesign.system.best_system import prepare, prepare_and_solve, space_of
from codesign.system.best_system_answer import assumptions_of
from codesign.system.conflicts import MOST_SETS, WHOLE, Conflicts, conflicts, limits_set, ways, with_limits
from codesign.system.joint_cure import Joint, asked_words, cheapest, cure_part
from codesign.system.prepared import Prepared
from codesign.system.query import Query
from formulations.solvers.deadline import Deadline, OutOfTime

FIXED = "fixed"


def relax(
    catalog: Catalog, query: Query, *, weights: Mapping[str, float] | None = None, most: int = MOST_SETS
) -> RelaxAnswer:
    """Conflicts up to `most`, single cures, and the cheapest joint cure by `weights` (infinite: the limit stays)."""
    start = time.perf_counter()
    if query.phases == "disaggregated":
        raise DataError("phases = 'disaggregated': conflicts are searched for one pool; `codesign best` names the "
                        "single limits that cure two")  # fmt: skip
    _check_weights(query, weights or {})
    deadline = Deadline.after(query.time_limit)
    p = prepare(catalog, query, deadline)
    said = {**parts.asked(p), **parts.behind(p, []), "assumptions": assumptions_of(p)}
    if p.columns.incumbent() is not None:
        return RelaxAnswer(status="feasible", **said)
    if not p.supply.offers:
        return RelaxAnswer(status="incurable", **said)
    w = ways(p.query, p.servers, lambda q: space_of(p.catalog, q, p.supply))
    try:
        sets = conflicts(w, most, deadline)
        found = cures.cures(p.query, p.space, p.servers, lambda q: space_of(p.catalog, q, p.supply), deadline)
        joint = cheapest(w, weights or {}, deadline)
    except OutOfTime as error:
        raise UndecidedError("nothing fits; the time given ended while conflicts and cures were searched") from error
    searched = time.perf_counter()
    single = tuple(CuredPart(cure=cure, bought=_bought(p, _cured(p.query, {cure.limit: cure.value or 0.0})))
                   for cure in found.parts)  # fmt: skip
    together = None if joint is None else _joint(p, joint, weights or {})
    bought = [one.bought for one in single] + ([together.bought] if together else [])
    status: Literal["cured", "incurable", "undecided"] = "cured" if bought else "incurable"
    decided = all(one.proven for one in bought) and not found.late
    return RelaxAnswer(
        status=status if decided else "undecided", conflicts=conflict_parts(p.query, sets),
        complete=sets.complete, single=single, joint=together, looked_at=0 if joint is None else joint.points,
        held=tuple(name for name in limits_set(p.query) if math.isinf((weights or {}).get(name, 1.0))),
        seconds={"search": searched - start, "systems": time.perf_counter() - searched}, **said,
    )  # fmt: skip


def conflict_parts(query: Query, sets: Conflicts) -> tuple[ConflictPart, ...]:
    """The sets with what was asked."""
    return tuple(ConflictPart(limits=one, asked=tuple(asked_words(query, name) for name in one)) for one in sets.sets)


def _check_weights(query: Query, weights: Mapping[str, float]) -> None:
    known = limits_set(query)
    faults = [f"--weight {name}: the query sets no such limit; it sets: {', '.join(known) or 'none'}"
              for name in weights if name not in known]  # fmt: skip
    faults += [f"--weight {name}={value:g}: must be positive, or {FIXED}" for name, value in weights.items()
               if not value > 0]  # fmt: skip
    if faults:
        raise DataError("\n".join(faults))


def _cured(query: Query, values: Mapping[str, float]) -> Query:
    """The query with these limits (or the context), by key, at the values that cure."""
    for key, value in values.items():
        name = key.removeprefix("limits.")
        number = round(value) if name in (*WHOLE, "context") else value
        query = query.at_context(int(number)) if name == "context" else with_limits(query, {name: number})
    return query


def _joint(p: Prepared, joint: Joint, weights: Mapping[str, float]) -> JointPart:
    asked = {name: float(getattr(p.query.limits, name)) for name in joint.values}
    changes = tuple(
        ChangePart(cure=cure_part(p.query, name, value), share=max(value / asked[name], asked[name] / value) - 1,
                   weight=weights.get(name, 1.0))
        for name, value in joint.values.items()
    )  # fmt: skip
    cured = _cured(p.query, {f"limits.{name}": value for name, value in joint.values.items()})
    return JointPart(changes=changes, cost=joint.cost, bought=_bought(p, cured))


def _bought(p: Prepared, cured: Query) -> BoughtPart:
    """The best system of the cured query, and whether that is proven; AuditError where a cure does not cure.

    UndecidedError where the time ended before a system of it was known.
    """
    answer: Answer = prepare_and_solve(p.catalog, cured, enumerate_all=False).answer
    s, performance, proof = answer.system, answer.performance, answer.proof
    if s is None and answer.status != "infeasible":
        raise UndecidedError("the time given ended before the best system of a cured query was known")
    if s is None or performance is None or proof is None:
        raise AuditError(f"a cure leaves the query {answer.status}: {cured.limits}")
    named = NamedSystem(**{name: getattr(s, name) for name in NamedSystem.model_fields})
    return BoughtPart(
        system=named, replicas=s.replicas, batch=s.batch, users=performance.users, servers_bought=s.servers_bought,
        chips_bought=s.chips_bought, value=proof.value, unit=proof.unit,
        proven=answer.status == "optimal",
    )  # fmt: skip
