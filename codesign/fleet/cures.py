"""What is in the way of a plan that no fleet satisfies: each single limit, or workload, and what would work alone.

Every value that is told leaves a fleet with all else held. A limit is eased by the least amount, the same in every
period, and a workload's demand by the least share, to NEAR of it (`formulations.fleet_cures`). A user speed and a time
to first token change the columns: they are moved by bisection.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from codesign.answer import CurePart
from codesign.fleet.cases import Case, several
from codesign.fleet.columns import Demand, query_of
from codesign.fleet.prepared import Prepared, columns_for, spaces_for
from codesign.fleet.program import KILO, instance_of, stochastic_of
from codesign.layouts import Floats
from codesign.mode import settled
from codesign.units import show
from formulations import fleet, fleet_cures, fleet_stochastic, highs
from formulations.fleet import Instance
from formulations.outcome import Status

NEAR = 0.02        # relative: how near to the least amount, or to the speed, that just works
MOST = 1024.0      # times slower, at most
ALMOST = 0.9       # share of a demand that is not served, above which NEAR of it says little of the rest
NODES = 500        # of each try; one that is not decided is told
DECIDED = {Status.OPTIMAL: True, Status.FEASIBLE: True, Status.INFEASIBLE: False}
EXTRA = 1e-9       # relative: on top of the least, so that it holds when it is written
AMOUNTS = {        # family of the program -> limit of the plan, unit, SI in the program's unit
    "capital": ("capital", "USD", KILO), "spending": ("hourly", "USD/h", KILO), "power": ("power", "W", KILO),
    "racks": ("racks", "1", 1.0),
}  # fmt: skip
NAMES = {"spending": "limits.hourly", "one_kind": "limits.one_kind_per_workload"}  # of families called otherwise


def cures(p: Prepared, cases: Sequence[Case] = ()) -> tuple[str, list[CurePart], tuple[str, ...]]:
    """What is in the way, in words, and the cures: of limits, then of workloads, or of the cases that may come.

    Last, what was not decided in the nodes of a try: of these nothing is said.
    """
    hopeless, left = list(unserved(p)), list[str]()
    if hopeless:
        return "; ".join(hopeless), list(_speeds(p, left)), tuple(left)
    data = instance_of(p)
    if several(p.plan):
        as_it_is = works(data)
        if as_it_is:
            return _of_cases(p, data, cases)
        left += ["the plan without its cases"] if as_it_is is None else []
    found = [*_limits(p, data, left), *_supplies(p, data, left), *_speeds(p, left)]
    open_ones = tuple(dict.fromkeys(left))
    if found:
        return "", found, open_ones
    if open_ones:
        return f"no single cure was found, and not decided are: {', '.join(open_ones)}", [], open_ones
    return "no single limit and no single workload: at least two of them must give", [], ()


def unserved(p: Prepared) -> Iterator[str]:
    """Demands that no replica on any chip can serve as asked."""
    for d, of in enumerate(p.demands):
        if not p.requests[d].any():
            continue
        here = [c for c in p.columns if c.demand == d and (c.meets or p.strict(d) == 0)]
        phases = {c.phase for c in here}
        if "both" not in phases and not {"prefill", "decode"} <= phases:
            one, length = p.plan.workloads[of.workload], of.length
            asked = [text for text in (
                None if one.user_speed is None else f"user speed {show(one.user_speed, 'tokens/s')}",
                None if one.ttft is None else f"first token in {show(one.ttft, 's')}",
            ) if text]  # fmt: skip
            said = " and ".join(asked) or "its caches and weights in memory"
            yield (f"workloads.{of.workload}: no allowed chip serves {one.model} with {length.input:,} tokens in and "
                   f"{length.output:,} out with {said}")  # fmt: skip


def _of_cases(p: Prepared, data: Instance, cases: Sequence[Case]) -> tuple[str, list[CurePart], tuple[str, ...]]:
    """The cases that no servers hold, each beside the first; and the share of demand that survives every loss."""
    held = {case.name: _hold(p, data, [replace(cases[0], probability=1.0), _sure(case)]) for case in cases}
    bad, left = ([name for name, fit in held.items() if fit is which] for which in (False, None))
    way = "a fleet serves the plan as it is, and each case alone, but none serves all of them"
    if bad:
        way = f"a fleet serves the plan as it is, but not in the case {', '.join(bad)}"
    elif left:
        way = f"a fleet serves the plan as it is; not decided are the cases {', '.join(left)}"
    if p.plan.survive is None or p.plan.survive_share == 0:
        return way, [], tuple(left)

    def fits(inverse: float) -> bool:
        less = [case if not case.loss else replace(case, least=case.least / inverse) for case in cases]
        return _sure_of(_hold(p, data, less), "survive_share", left)

    inverse = least_factor(fits)
    if inverse is None:
        return way, [], tuple(dict.fromkeys(left))
    share = p.plan.survive_share / inverse
    return way, [CurePart(limit="survive_share", asked=f"{p.plan.survive_share:.1%}", works=f"at most {share:.1%}",
                          value=share)], tuple(dict.fromkeys(left))  # fmt: skip


def _sure_of(fit: bool | None, name: str, left: list[str]) -> bool:
    """Whether it fits for sure; what is not decided is told in `left`."""
    if fit is None:
        left.append(name)
    return fit is True


def _sure(case: Case) -> Case:
    """A case that must only hold."""
    return replace(case, probability=None)


def _hold(p: Prepared, data: Instance, cases: Sequence[Case]) -> bool | None:
    """Whether some servers do in every case; None: not decided."""
    outcome, _ = fleet_stochastic.solve(stochastic_of(p, data, cases), limits=highs.Limits(node_limit=NODES), gap=0.9)
    return DECIDED.get(outcome.status)


def works(data: Instance) -> bool | None:
    """Whether some fleet satisfies the program; None: not decided."""
    outcome, _ = fleet.solve(data, limits=highs.Limits(node_limit=NODES), gap=0.9)
    return DECIDED.get(outcome.status)


def least_factor(fits: Callable[[float], bool]) -> float | None:
    """The least factor above 1 that fits, to NEAR; None where MOST does not."""
    low, high = 1.0, 2.0
    while not fits(high):
        if high == MOST:
            return None
        low, high = high, min(high * 4, MOST)
    while high / low > 1 + NEAR:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _scaled(fits: Callable[[float | None], bool], asked: float, sign: int, factor: float) -> bool:
    return fits(asked * factor**sign)


def _limits(p: Prepared, data: Instance, left: list[str]) -> Iterator[CurePart]:
    """Each limit, and each workload's demand, eased alone by the least that leaves a fleet."""
    for cure in fleet_cures.cures(data, limits=highs.Limits(node_limit=10 * NODES, relative_gap=NEAR)):
        if cure.family == "demand" and cure.of is not None and cure.status not in (Status.OPTIMAL, Status.INFEASIBLE):
            yield from _tried(p, cure.of, left)
        elif cure.status is Status.UNKNOWN and cure.family != "supply":
            left.append(NAMES.get(cure.family, f"limits.{cure.family}"))
        found = cure.status is Status.FEASIBLE and cure.least is not None and cure.family in AMOUNTS
        if (cure.status is not Status.OPTIMAL and not found) or cure.family == "supply":
            continue
        more = 0.0 if cure.least is None else cure.least * (1 + EXTRA)
        if cure.family in AMOUNTS:
            yield _amount(p, data, cure.family, more, "" if cure.status is Status.OPTIMAL else ", or less,")
        elif cure.family == "demand" and cure.of is not None:
            small = list(_tried(p, cure.of, left)) if more > ALMOST else []
            yield from small or [_demand(p, cure.of, max(1 - more, 0.0))]
        elif cure.family == "kinds":
            most = (data.most_kinds or 0) + round(more)
            yield CurePart(limit="limits.kinds", asked=f"{data.most_kinds}", works=f"{most}", value=float(most))
        elif cure.family == "one_kind":
            yield CurePart(limit="limits.one_kind_per_workload", asked="true", works="false", value=None)
        elif cure.family == "second_source":
            yield CurePart(limit="limits.second_source", asked=f"{data.second_source:.1%}", works="none", value=None)


def _amount(p: Prepared, data: Instance, family: str, more: float, less: str = "") -> CurePart:
    """A limit in a unit, by as much more in every period; `less`: said where it may not be the least."""
    name, unit, scale = AMOUNTS[family]
    per = p.kinds.hours if family == "spending" else np.ones(len(p.periods))
    asked = getattr(data, family) / per / scale
    works = (getattr(data, family) + more) / per / scale
    return CurePart(limit=f"limits.{name}", asked=_shown(asked, unit), works=_shown(works, unit) + less,
                    value=more / scale)  # fmt: skip


def _shown(values: Floats, unit: str) -> str:
    return " / ".join(show(float(value), unit) for value in values)


def _demand(p: Prepared, workload: int, share: float) -> CurePart:
    """The share of one workload's requests that can be served beside the others."""
    name = p.workloads[workload]
    mine = [d for d, of in enumerate(p.demands) if of.workload == name]
    asked = p.requests[mine].sum(axis=0)
    told = f"at most {_rates(share * asked)}" if share > 1e-6 else "none: the plan without it"
    return CurePart(limit=f"workloads.{name}.requests", asked=_rates(asked), works=told, value=share)


def _tried(p: Prepared, workload: int, left: list[str]) -> Iterator[CurePart]:
    """As `_demand` where the least was not decided: shares that a fleet was found for, by bisection."""
    mine = np.array([[of.workload == p.workloads[workload]] for of in p.demands])

    def fits(inverse: float) -> bool:
        less = replace(p, requests=np.where(mine, 1 / inverse, 1.0) * p.requests)
        return _sure_of(works(instance_of(less)), f"workloads.{p.workloads[workload]}.requests", left)

    if (inverse := least_factor(fits)) is not None:
        yield _demand(p, workload, 1 / inverse)


def _rates(values: Floats) -> str:
    return " / ".join(f"{value:,.4g}" for value in values) + " requests/s"


def _supplies(p: Prepared, data: Instance, left: list[str]) -> Iterator[CurePart]:
    """More of one kind, in the periods in which some can be bought."""
    for h, chip in enumerate(p.kinds.names):
        if np.isfinite(data.supply[h]).any() and data.supply[h].any():
            many = data.supply.astype(np.float64)
            many[h] = np.where(many[h] > 0, np.inf, 0)
            if _sure_of(works(replace(data, supply=many)), f"limits.chips.{chip}", left):
                chips = " / ".join(_chips(n * p.kinds.offers[h].bill.chips) for n in data.supply[h])
                yield CurePart(limit=f"limits.chips.{chip}", asked=f"{chips} chips", value=None,
                               works="more of them, wherever some can be bought,")  # fmt: skip


def _chips(number: float) -> str:
    return "any" if np.isinf(number) else f"{number:,.0f}"


def _speeds(p: Prepared, left: list[str]) -> Iterator[CurePart]:
    """A slower user speed, or a later first token, of one workload."""
    for name, one in p.plan.workloads.items():
        spaces = {d: spaces_for(p, of) for d, of in enumerate(p.demands) if of.workload == name} if (
            one.user_speed or one.ttft) else {}  # fmt: skip
        for key, unit, sign in (("user_speed", "tokens/s", -1), ("ttft", "s", 1)):
            asked = getattr(one, key)

            def fits(value: float | None, name: str = name, key: str = key, spaces: Any = spaces) -> bool:
                asked_so = works(instance_of(_asking(p, name, key, value, spaces)))
                return _sure_of(asked_so, f"workloads.{name}.{key}", left)

            if asked is None or not fits(None):
                continue
            factor = least_factor(partial(_scaled, fits, asked, sign))
            value = None if factor is None else asked * factor**sign
            told = "no limit" if value is None else f"at {'most' if sign < 0 else 'least'} {show(value, unit)}"
            yield CurePart(limit=f"workloads.{name}.{key}", asked=show(asked, unit), value=value, works=told)


def _asking(p: Prepared, name: str, key: str, value: float | None, spaces: Mapping[int, Any]) -> Prepared:
    """The plan with another limit of one workload, whose columns alone are made again from its deployments."""
    one = p.plan.workloads[name].model_copy(update={key: value})
    plan = p.plan.model_copy(update={"workloads": {**p.plan.workloads, name: one}})
    demands = tuple(
        Demand(name, of.bucket, of.length, settled(p.catalog, query_of(plan, one, of.length))) if d in spaces else of
        for d, of in enumerate(p.demands)
    )  # fmt: skip
    changed = replace(p, plan=plan, demands=demands)
    columns = [c for c in p.columns if c.demand not in spaces]
    for d, made in spaces.items():
        columns += columns_for(changed, d, made)
    return replace(changed, columns=tuple(columns))
