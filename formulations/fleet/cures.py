"""Which single limit of an infeasible fleet, eased by how little, would leave a fleet.

Each family of limits in turn is eased alone, all others as they are: the program keeps its rows, the
family's rows get a slack, and the least slack is the objective. A slack in a unit (k$, kW, racks, servers)
is added to every period's limit alike; that of a demand is the share that is not served, of one workload.
A rule that is not a number (one kind for a workload, a second source) is dropped as a whole.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo

from formulations.fleet import bounds, dominance
from formulations.fleet import program as fleet
from formulations.fleet.instance import Instance
from formulations.solvers import highs
from formulations.solvers.outcome import Status

ROWS = {
    "capital": "stay_in_capital", "spending": "stay_in_spending", "power": "stay_in_power", "racks": "stay_in_racks",
}  # fmt: skip
NEAR = 1e-9  # relative: what a limit gets on top of the least slack, so that it holds when it is written


@dataclass(frozen=True)
class Cure:
    """The least slack of one family of limits that leaves a fleet, all others as they are; FEASIBLE: less may do.

    family      of              least
    capital     -               k$ more in every period
    spending    -               k$ more in every period
    power       -               kW more in every period
    racks       -               racks more in every period
    supply      a kind          servers more in every period
    supply      None            servers more, all kinds and periods together
    servers     a kind          servers more
    kinds       -               kinds more
    demand      a workload      share of its demand that is not served
    one_kind, second_source     None: the rule has to go
    """

    family: str
    of: int | None
    least: float | None
    status: Status  # INFEASIBLE: this limit alone is no cure; UNKNOWN, FEASIBLE: not decided in the limits given


def cures(data: Instance, *, limits: highs.Limits | None = None) -> list[Cure]:
    """Every single cure of an infeasible fleet, and the families that are none (status INFEASIBLE).

    Those that are not looked at before the deadline of `limits` are UNKNOWN.
    """
    reduced, given = data.only(dominance.undominated(data)), limits or highs.Limits()
    return [Cure(family, of, None, Status.UNKNOWN) if given.deadline.passed else _cure(reduced, family, of, given)
            for family, of in _families(data)]  # fmt: skip


def cured(data: Instance, cure: Cure) -> Instance:
    """The instance with a cure applied; raises ValueError for one of supply that names no kind."""
    if cure.family in ("one_kind", "second_source"):
        return _dropped(data, cure.family)
    assert cure.least is not None
    more = cure.least
    if cure.family in ROWS:
        limit: dict[str, Any] = {cure.family: (getattr(data, cure.family) + more) * (1 + NEAR)}
        return replace(data, **limit)
    if cure.family == "kinds":
        return replace(data, most_kinds=(data.most_kinds or 0) + round(more))
    if cure.family == "demand":
        mine = (data.workload_of == cure.of)[:, None]
        return replace(data, least=np.where(mine, data.least * max(1 - more - NEAR, 0.0), data.least))
    if cure.of is None:
        raise ValueError("a cure of supply over all kinds does not say where its servers are")
    this = data.kinds == cure.of
    if cure.family == "servers" and data.most_servers is not None:
        return replace(data, most_servers=np.where(this, np.floor(data.most_servers) + more, data.most_servers))
    return replace(data, supply=np.where(this[:, None], np.floor(data.supply) + more, data.supply))


def _families(data: Instance) -> Iterator[tuple[str, int | None]]:
    yield from ((name, None) for name in ROWS if getattr(data, name) is not None)
    scarce = np.isfinite(data.supply).any(axis=1)
    if scarce.any():
        yield from (("supply", h) for h in np.flatnonzero(scarce).tolist())
        yield "supply", None
    if data.most_servers is not None:
        yield from (("servers", h) for h in np.flatnonzero(np.isfinite(data.most_servers)).tolist())
    if data.most_kinds is not None:
        yield "kinds", None
    for name in ("one_kind", "second_source"):
        if getattr(data, name):
            yield name, None
    asked = {int(data.workload_of[d]) for d in data.demands if data.least[d].any()}
    yield from (("demand", w) for w in sorted(asked))


def _dropped(data: Instance, rule: str) -> Instance:
    return replace(data, one_kind=False) if rule == "one_kind" else replace(data, second_source=None)


def _without(data: Instance, family: str, of: int | None) -> Instance:
    """The instance without the family: only to say how many servers it could own at most."""
    if family in ROWS:
        none: dict[str, Any] = {family: None}
        return replace(data, **none)
    this = np.isin(data.kinds, data.kinds if of is None else [of])
    if family == "supply":
        return replace(data, supply=np.where(this[:, None], np.inf, data.supply))
    if family == "servers" and data.most_servers is not None:
        return replace(data, most_servers=np.where(this, np.inf, data.most_servers))
    return data


def _cure(data: Instance, family: str, of: int | None, limits: highs.Limits) -> Cure:
    if family in ("one_kind", "second_source"):
        model = fleet.build(_dropped(data, family))
    else:
        without = _without(data, family, of)
        if bounds.unbounded(without):
            return Cure(family, of, None, Status.UNKNOWN)  # nothing else bounds the servers of a kind
        most = None if data.most_kinds is None else bounds.most_owned(without)
        model = fleet.build(data, most_owned=most)
    model.best.deactivate()
    slack = _ease(model, data, family, of)
    model.least = pyo.Objective(expr=slack)
    try:
        result = highs.solve(highs.load(model), limits)
    except highs.SolverFailure:
        return Cure(family, of, None, Status.UNKNOWN)  # no proof, of a program that only looks for what may help
    found = result.value if family in MEASURED else None
    return Cure(family, of, found, result.status)


MEASURED = (*ROWS, "supply", "servers", "kinds", "demand")


def _ease(model: Any, data: Instance, family: str, of: int | None) -> Any:
    """Slack in the rows of the family; what is to be least."""
    if family not in MEASURED:
        return 0.0 * next(iter(model.own.values()))
    if family == "supply" and of is None:
        model.more = pyo.Var(model.kinds, model.periods, domain=pyo.NonNegativeIntegers)
        _ease_rows(model, model.stay_in_supply, lambda index: model.more[index])
        return pyo.quicksum(model.more.values())
    whole = family in ("supply", "servers", "kinds")
    model.more = pyo.Var(domain=pyo.NonNegativeIntegers if whole else pyo.NonNegativeReals)
    if family in ROWS:
        _ease_rows(model, model.component(ROWS[family]), lambda index: model.more)
    elif family == "kinds":
        _ease_rows(model, model.stay_in_kinds, lambda index: model.more)
    elif family == "demand":
        mine = {d for d in data.demands.tolist() if data.workload_of[d] == of}
        least = {(d, p): float(data.least[d, p]) for d in mine for p in data.periods.tolist()}
        model.more.setub(1.0)
        _ease_rows(model, model.serve_least, lambda index: least.get(index, 0.0) * model.more)
    else:
        rows = model.stay_in_supply if family == "supply" else model.stay_in_servers
        _ease_rows(model, rows, lambda index: model.more if index[0] == of else 0.0)
    return model.more


def _ease_rows(model: Any, rows: Any, slack: Callable[[Any], Any]) -> None:
    """Every row again with its slack; whole limits of servers are rounded down, as they count."""
    whole = rows.local_name in ("stay_in_supply", "stay_in_servers")
    rows.deactivate()
    model.eased = pyo.ConstraintList()
    for index, row in rows.items():
        if row.has_ub():
            upper = pyo.value(row.upper)
            model.eased.add(row.body - slack(index) <= (float(np.floor(upper)) if whole else upper))
        else:
            model.eased.add(row.body + slack(index) >= pyo.value(row.lower))
