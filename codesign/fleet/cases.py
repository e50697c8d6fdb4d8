"""What may come once the servers are bought: a demand, or a loss; replicas are then placed anew.

Demand scenarios carry their probabilities. A loss must be survived at the plan's own demand: in each of its cases the
stated share of every workload's requests is served by what is left. One rack of a kind is as many of its servers as a
rack holds, or all if there are fewer; one kind is all of its servers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.fleet import audit
from codesign.fleet.audit import Audited, Fleet
from codesign.fleet.plan import Plan
from codesign.fleet.prepared import Prepared
from codesign.system.layouts import Floats

PLANNED = "as planned"


@dataclass(frozen=True)
class Case:
    """Arrays over demands and periods, and over kinds; a case of no probability must only hold."""

    name: str
    probability: float | None
    loss: str
    demand: Floats     # [d, p] requests/s
    least: Floats      # [d, p] requests/s that must be served
    lost: Floats       # [h] servers; infinite: all


def several(plan: Plan) -> bool:
    """Whether a plan asks for more than its own demand on all of its servers."""
    return bool(plan.scenarios) or plan.survive is not None


def cases_of(p: Prepared) -> tuple[Case, ...]:
    """Demand scenarios, or the plan's demand, then every loss that must be survived."""
    plan, none = p.plan, np.zeros(len(p.kinds.offers))
    must = 1.0 if plan.objective in ("cost", "power") else 0.0
    found = []
    for name, one in plan.scenarios.items():
        factor = np.array([one.factor(d.workload) for d in p.demands])
        demand = p.requests * factor[:, np.newaxis]
        found.append(Case(name, one.probability, "", demand, demand * must, none))
    if not found:
        found.append(Case(PLANNED, 1.0, "", p.requests, p.requests * must, none))
    if plan.survive is not None:
        for h, chip in enumerate(p.kinds.names):
            lost = none.copy()
            lost[h] = math.ceil(p.kinds.per_rack[h]) if plan.survive == "one-rack" else math.inf
            what = f"a rack of {chip}" if plan.survive == "one-rack" else f"every {chip}"
            found.append(Case(f"without {what}", None, what, p.requests, p.requests * plan.survive_share, lost))
    return tuple(found)


@dataclass(frozen=True)
class Met:
    """A case, and what its replicas do."""

    case: Case
    audited: Audited


def recompute(p: Prepared, cases: Sequence[Case], fleets: Sequence[Fleet]) -> tuple[Met, ...]:
    """Audit the fleet of every case, all on the same servers. AuditError names the first rule that is broken."""
    return tuple(
        Met(case, audit.recompute(replace(p, requests=case.demand), fleet, least=case.least, lost=case.lost))
        for case, fleet in zip(cases, fleets, strict=True)
    )  # fmt: skip


def expected(p: Prepared, met: Sequence[Met]) -> float:
    """The objective in SI: of the servers, and of what is served the mean over the cases by their probabilities."""
    likely = [(one.case.probability, one) for one in met if one.case.probability is not None]
    if p.plan.objective in ("cost", "power"):
        return likely[0][1].audited.value
    if p.plan.objective == "value":
        return sum(weight * one.audited.value for weight, one in likely)
    cost = likely[0][1].audited.cost
    return sum(weight * one.audited.value * cost for weight, one in likely) / cost if cost > 0 else 0.0
