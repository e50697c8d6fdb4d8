"""No fleet satisfies a plan: which limits contradict each other, what cures alone, and what together?"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from codesign.changes.relax_answer import ConflictPart
from codesign.changes.relax_plan_answer import CuredPlanPart, FactorPart, FleetRelaxAnswer
from codesign.changes.relax_plan_conflicts import MOST_SETS, Oracle, conflicts, feasible
from codesign.changes.switch_plan import fleet_part
from codesign.changes.switch_plan_answer import GAPS, FleetPart
from codesign.facts.document import CurePart
from codesign.facts.errors import AuditError
from codesign.fleet import cures, limits
from codesign.fleet.best_fleet import SAID, UNITS
from codesign.fleet.cases import cases_of, several
from codesign.fleet.prepared import Prepared
from codesign.fleet.program import instance_of
from codesign.study.plan_study import Resolver, point_of, solved_of
from codesign.system.answer_parts import versions
from formulations.solvers.deadline import Deadline

TAKEN = (
    "a conflict has no fleet with all other limits lifted, and every proper subset of it has one, each by an integer "
    "program; the requests of a workload are a limit that can be lifted to none",
    "user speeds, first tokens, forbidden chips and what is on sale are no limits here: they always hold",
    f"together: all amounts of the limits in conflicts (of every limit, where conflicts are left out) by one common "
    f"factor, bisected to {cures.NEAR:.0%}; this is one direction, and another mix may move each of them less",
    GAPS,
)
Status = Literal["feasible", "cured", "incurable", "undecided"]


def fleet_relax(resolver: Resolver, *, most: int = MOST_SETS) -> FleetRelaxAnswer:
    """Minimal conflicts up to `most`, and cures, each with the best fleet that it buys."""
    deadline = Deadline.after(resolver.plan.time_limit)
    p, names = resolver.prepared, limits.limits_set(resolver.plan)
    oracle = Oracle(p, deadline)
    whole = oracle(names)
    if whole:
        return _answer(resolver, oracle, "feasible")
    sets = conflicts(names, oracle, most)
    found: dict[str, Any] = {
        "complete": sets.complete, "undecided": sets.undecided,
        "conflicts": tuple(ConflictPart(limits=one, asked=tuple(limits.asked(p.plan, name) for name in one))
                           for one in sets.sets),
    }  # fmt: skip
    if whole is None and not sets.sets:
        return _answer(resolver, oracle, "undecided", **found)
    alone = cures.cures(p, cases_of(p), deadline)
    single = tuple(one for one in (_single(p, cure, deadline) for cure in alone.parts) if one is not None)
    together = list(dict.fromkeys(name for one in sets.sets for name in one)) if sets.complete else names
    joint, told = _joint(p, together, deadline)
    bought = [one.bought for one in single if one.bought is not None] + [one.bought for one in joint]
    found_all = not deadline.passed and not sets.undecided and alone.decided and told
    decided = (found_all and all(one.decided for one in joint)
               and all(fleet.status == "optimal" for fleet in bought))  # fmt: skip
    status: Status = "undecided" if not decided else "cured" if single or joint else "incurable"
    return _answer(resolver, oracle, status, way=alone.way, single=single, joint=joint, **found)


def _single(p: Prepared, cure: CurePart, deadline: Deadline) -> CuredPlanPart | None:
    """A cure with its fleet; None where that fleet does not do in all cases, or serves nothing."""
    cured = limits.eased(p, cure)
    bought = None if cured is None or deadline.passed else _bought(cured, deadline)
    if bought is not None and bought.status == "infeasible":
        if several(p.plan) or p.plan.objective == "throughput-per-dollar":
            return None
        raise AuditError(f"{cure.limit} {cure.works}: called a cure, and no fleet fits with it")
    return CuredPlanPart(cure=cure, bought=bought)


def _bought(p: Prepared, deadline: Deadline) -> FleetPart:
    """The best fleet of the plan's own objective, audited."""
    if p.plan.time_limit is not None:
        p = replace(p, plan=p.plan.model_copy(update={"time_limit": deadline.left_s}))
    data = instance_of(p)
    return fleet_part(point_of(p, data, solved_of(p, data)).point)


def _joint(p: Prepared, names: Sequence[str], deadline: Deadline) -> tuple[tuple[FactorPart, ...], bool]:
    """Limits alone by one factor, with requests as asked; and requests divided by it too. Whether all was decided."""
    wider, less = limits.amounts(names), limits.demands(names)
    found = [_factor(p, *way, deadline) for way in dict.fromkeys(((wider, ()), (wider, less))) if any(way)]
    return tuple(one for one, _ in found if one is not None), all(told for _, told in found)


def _factor(
    p: Prepared, wider: Sequence[str], less: Sequence[str], deadline: Deadline
) -> tuple[FactorPart | None, bool]:
    """The least common factor that works, and whether every factor tried was decided."""
    tried: dict[float, bool | None] = {1.0: False}

    def fits(factor: float) -> bool:
        tried[factor] = feasible(limits.scaled(p, (*wider, *less), factor), deadline)
        return tried[factor] is True

    factor = cures.least_factor(fits)
    told = None not in tried.values()
    if factor is None:
        return None, told
    return FactorPart(
        multiplied=tuple(wider), divided=tuple(less), factor=factor, decided=told,
        too_little=max(x for x, fit in tried.items() if not fit and x < factor),
        bought=_bought(limits.scaled(p, (*wider, *less), factor), deadline),
    ), told  # fmt: skip


def _answer(resolver: Resolver, oracle: Oracle, status: Status, **found: Any) -> FleetRelaxAnswer:
    plan = resolver.plan
    return FleetRelaxAnswer(
        status=status, plan=plan.content(), objective=SAID[plan.objective], unit=UNITS[plan.objective],
        periods=tuple(plan.periods), limits=limits.limits_set(plan), solves=len(oracle.known), assumptions=TAKEN,
        catalogue=resolver.catalog.digest(), versions=versions(), **found,
    )  # fmt: skip
