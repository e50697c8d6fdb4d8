"""What is in the way of a plan that no fleet satisfies: each single limit, or workload, and what would work alone.

Every value that is told leaves a fleet with all else held. A limit is eased by the least amount, the same in every
period, and a workload's demand by the least share, to NEAR of it (`formulations.fleet.cures`). A user speed and a time
to first token change the columns: they are moved by bisection.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from codesign.facts.document import CurePart
from codesign.facts.units import show
from codesign.fleet import limits
from codesign.fleet.cases import Case, several
from codesign.fleet.columns import Demand, query_of
from codesign.fleet.plan import ALL
from codesign.fleet.prepared import Prepared, columns_for, spaces_for
from codesign.fleet.program import KILO, instance_of, stochastic_of
from codesign.system.layouts import Floats
from codesign.system.mode import settled
from formulations import fleet
from formulations.fleet import Instance, bounds, stochastic
from formulations.fleet import cures as fleet_cures
from formulations.solvers import highs
from formulations.solvers.deadline import NEVER, Deadline
from formulations.solvers.outcome import Status

NEAR = 0.02        # relative: how near to the least amount, or to the speed, that just works
MOST = 1024.0      # times slower, at most
ALMOST = 0.9       # share of a demand that is not served, above which NEAR of it says little of the rest
NODES = 500        # of each try; one that is not decided is no cure, and no proof that there is none
EXTRA = 1e-9       # relative: on top of the least, so that it holds when it is written
AMOUNTS = {        # family of the program -> limit of the plan, unit, SI in the program's unit
    "capital": ("capital", "USD", KILO), "spending": ("hourly", "USD/h", KILO), "power": ("power", "W", KILO),
    "racks": ("racks", "1", 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What is in the way, in words, and the cures; `decided`: what is not among them is proven to be none."""

    way: str
    parts: tuple[CurePart, ...]
    decided: bool


class Tries:
    """Programs that were asked whether a fleet satisfies them; `decided` until one could not be told.

    After the `deadline` none is asked any more.
    """

    def __init__(self, deadline: Deadline = NEVER) -> None:
        self.decided, self.deadline = True, deadline

    @property
    def limits(self) -> highs.Limits:
        """Of the next program."""
        return highs.Limits(limit_s=self.deadline.left_s, node_limit=NODES, deadline=self.deadline)

    def works(self, data: Callable[[], Instance]) -> bool:
        """Whether some fleet satisfies the program, which is made only while there is time."""
        return self.fits(None if self.deadline.passed else works(data(), self.limits))

    def fits(self, found: bool | None) -> bool:
        """Whether one was found; None: not decided, which is noted."""
        self.decided = self.decided and found is not None
        return found is True


NONE = "no single limit and no single workload: at least two of them must give"
UNDECIDED = "no single limit and no single workload was found to be enough; some were not decided in the nodes given"
LATE = "the time given ended before every limit and every workload was looked at"


def cures(p: Prepared, cases: Sequence[Case] = (), deadline: Deadline = NEVER) -> Found:
    """What is in the way, and the cures: of limits, then of workloads, or of the cases that may come.

    Those that were found before the `deadline`; where it passed, the way says so.
    """
    tries = Tries(deadline)
    found = _found(p, cases, tries)
    if not deadline.passed:
        return found
    return Found("; ".join(dict.fromkeys(said for said in (found.way, LATE) if said != UNDECIDED)), found.parts, False)


def _found(p: Prepared, cases: Sequence[Case], tries: Tries) -> Found:
    hopeless = list(unserved(p))
    if hopeless:
        return Found("; ".join(hopeless), tuple(_speeds(p, tries)), tries.decided)
    data = instance_of(p)
    if several(p.plan) and tries.works(lambda: data):
        way, parts = _of_cases(p, data, cases, tries)
        return Found(way, tuple(parts), tries.decided)
    found = (*_limits(p, data, tries), *_supplies(p, data, tries), *_speeds(p, tries))
    return Found("" if found else NONE if tries.decided else UNDECIDED, found, tries.decided)


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


def _of_cases(p: Prepared, data: Instance, cases: Sequence[Case], tries: Tries) -> tuple[str, list[CurePart]]:
    """The cases that no servers hold, each beside the first; and the share of demand that survives every loss."""
    held = {case.name: _hold(p, data, [replace(cases[0], probability=1.0), _sure(case)], tries) for case in cases}
    tries.decided = tries.decided and None not in held.values()
    way = _in_words(held)
    if p.plan.survive is None or p.plan.survive_share == 0:
        return way, []

    def fits(inverse: float) -> bool:
        less = [case if not case.loss else replace(case, least=case.least / inverse) for case in cases]
        return tries.fits(_hold(p, data, less, tries))

    inverse = least_factor(fits)
    if inverse is None:
        return way, []
    share = p.plan.survive_share / inverse
    return way, [CurePart(limit="survive_share", asked=f"{p.plan.survive_share:.1%}", works=f"at most {share:.1%}",
                          value=share)]  # fmt: skip


def _in_words(held: Mapping[str, bool | None]) -> str:
    """Which cases no servers hold: those that are proven, and those that are not."""
    bad, unknown = ([name for name, fit in held.items() if fit is kind] for kind in (False, None))
    way = "a fleet serves the plan as it is, "
    if bad:
        way += f"but not in the case {', '.join(bad)}"
    else:
        way += f"and {'other cases' if unknown else 'each case'} alone, but none serves all of them"
    return f"{way}; not decided: {', '.join(unknown)}" if unknown else way


def _sure(case: Case) -> Case:
    """A case that must only hold."""
    return replace(case, probability=None)


TOLD = {Status.OPTIMAL: True, Status.FEASIBLE: True, Status.INFEASIBLE: False}


def _hold(p: Prepared, data: Instance, cases: Sequence[Case], tries: Tries) -> bool | None:
    """Whether some servers do in every case; None: not decided."""
    if tries.deadline.passed or bounds.unbounded(data):
        return None
    try:
        outcome, _ = stochastic.solve(stochastic_of(p, data, cases), limits=tries.limits, gap=0.9)
    except highs.SolverFailure:
        return None
    return TOLD.get(outcome.status)


def works(data: Instance, limits: highs.Limits) -> bool | None:
    """Whether some fleet satisfies the program; None: not decided."""
    if bounds.unbounded(data):
        return None
    try:
        outcome, _ = fleet.solve(data, limits=limits, gap=0.9)
    except highs.SolverFailure:
        return None
    return TOLD.get(outcome.status)


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


def _limits(p: Prepared, data: Instance, tries: Tries) -> Iterator[CurePart]:
    """Each limit, and each workload's demand, eased alone by the least that leaves a fleet."""
    limits = replace(tries.limits, node_limit=10 * NODES, relative_gap=NEAR)
    for cure in fleet_cures.cures(data, limits=limits):
        if cure.family == "demand" and cure.of is not None and cure.status not in (Status.OPTIMAL, Status.INFEASIBLE):
            yield from _tried(p, cure.of, tries)
        found = cure.status is Status.FEASIBLE and cure.least is not None and cure.family in (*AMOUNTS, "kinds")
        if cure.family != "supply":  # `_supplies`: on sale or not
            tries.fits(found or TOLD.get(cure.status) if cure.status is not Status.FEASIBLE or found else None)
        less = "" if cure.status is Status.OPTIMAL else ", or less,"
        if (cure.status is not Status.OPTIMAL and not found) or cure.family == "supply":
            continue
        more = 0.0 if cure.least is None else cure.least * (1 + EXTRA)
        if cure.family in AMOUNTS:
            yield _amount(p, data, cure.family, more, less)
        elif cure.family == "demand" and cure.of is not None:
            small = list(_tried(p, cure.of, tries)) if more > ALMOST else []
            yield from small or [_demand(p, cure.of, max(1 - more, 0.0))]
        elif cure.family == "kinds":
            most = (data.most_kinds or 0) + round(more)
            yield CurePart(limit="limits.kinds", asked=f"{data.most_kinds}", works=f"{most}{less}", value=float(most))
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


def _tried(p: Prepared, workload: int, tries: Tries) -> Iterator[CurePart]:
    """As `_demand` where the least was not decided: shares that a fleet was found for, by bisection."""
    mine = np.array([[of.workload == p.workloads[workload]] for of in p.demands])

    def fits(inverse: float) -> bool:
        return tries.works(lambda: instance_of(replace(p, requests=np.where(mine, 1 / inverse, 1.0) * p.requests)))

    if (inverse := least_factor(fits)) is not None:
        yield _demand(p, workload, 1 / inverse)


def _rates(values: Floats) -> str:
    return " / ".join(f"{value:,.4g}" for value in values) + " requests/s"


def _supplies(p: Prepared, data: Instance, tries: Tries) -> Iterator[CurePart]:
    """More of one kind, in the periods in which it is on sale; or of all that share a limit, where none is enough."""
    limited = np.isfinite(data.supply) & limits.on_sale(p)
    enough = False
    for chip in [name for h, name in enumerate(p.kinds.names) if limited[h].any()]:
        if tries.works(partial(_opened, p, data, chip)):
            enough = True
            h = p.kinds.names.index(chip)
            chips = " / ".join(_chips(n * p.kinds.offers[h].bill.chips) for n in data.supply[h])
            yield _more_of(chip, chips)
    if ALL in p.plan.limits.chips and not enough and tries.works(partial(_opened, p, data, ALL)):
        yield _more_of(ALL, " / ".join(f"{n:,}" for n in p.plan.limits.chips[ALL]))


def _opened(p: Prepared, data: Instance, chip: str) -> Instance:
    return replace(data, supply=limits.opened(p, chip))


def _more_of(chip: str, asked: str) -> CurePart:
    return CurePart(limit=f"limits.chips.{chip}", asked=f"{asked} chips", value=None,
                    works="more of them, wherever some can be bought,")  # fmt: skip


def _chips(number: float) -> str:
    return "any" if np.isinf(number) else f"{number:,.0f}"


def _speeds(p: Prepared, tries: Tries) -> Iterator[CurePart]:
    """A slower user speed, or a later first token, of one workload."""
    for name, one in p.plan.workloads.items():
        asks = (one.user_speed or one.ttft) and not tries.deadline.passed
        spaces = {d: spaces_for(p, of) for d, of in enumerate(p.demands) if of.workload == name} if asks else {}
        for key, unit, sign in (("user_speed", "tokens/s", -1), ("ttft", "s", 1)):
            asked = getattr(one, key)

            def fits(value: float | None, name: str = name, key: str = key, spaces: Any = spaces) -> bool:
                return tries.works(lambda: instance_of(_asking(p, name, key, value, spaces)))

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
