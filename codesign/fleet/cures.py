"""What is in the way of a plan that no fleet satisfies: each single limit, or workload, and what would work alone.

Every value that is told was tried: a fleet exists there, with all else held. Limits are moved in all their periods by
one factor, found by bisection to NEAR; a limit that does not help when it is gone is no cure.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from codesign.answer import CurePart
from codesign.fleet.columns import Demand, query_of
from codesign.fleet.plan import Plan, PlanLimits
from codesign.fleet.prepared import Prepared, columns_for, spaces_for
from codesign.fleet.program import instance_of
from codesign.mode import settled
from codesign.units import show
from formulations import fleet, highs
from formulations.fleet import Instance
from formulations.outcome import Status

NEAR = 0.02        # relative: how near to the least that works
MOST = 1024.0      # times a limit, at most
NODES = 500        # of each try; one that is not decided counts as none that works
UNITS = {"capital": "USD", "hourly": "USD/h", "power": "W", "racks": "1"}


def cures(p: Prepared) -> tuple[str, list[CurePart]]:
    """What is in the way, in words, and the cures: of limits, then of workloads."""
    hopeless = list(unserved(p))
    if hopeless:
        return "; ".join(hopeless), list(_speeds(p))
    found = [*_limits(p), *_workloads(p), *_speeds(p)]
    if found:
        return "", found
    return "no single limit and no single workload: at least two of them must give", []


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


def works(data: Instance) -> bool:
    """Whether some fleet satisfies the program."""
    outcome, _ = fleet.solve(data, limits=highs.Limits(node_limit=NODES), gap=0.9)
    return outcome.status in (Status.OPTIMAL, Status.FEASIBLE)


def _least(fits: Callable[[float], bool]) -> float | None:
    """The least factor above 1 that fits, to NEAR; None where MOST does not."""
    low, high = 1.0, 2.0
    while not fits(high):
        low, high = high, high * 4
        if high > MOST:
            return None
    while high / low > 1 + NEAR:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _inverse(fits: Callable[[float], bool], factor: float) -> bool:
    return fits(1 / factor)


def _scaled(fits: Callable[[float | None], bool], asked: float, sign: int, factor: float) -> bool:
    return fits(asked * factor**sign)


def _limited(p: Prepared, **changes: Any) -> Instance:
    """The program under other limits, with the same columns."""
    return instance_of(replace(p, plan=_with_limits(p.plan, **changes)))


def _with_limits(plan: Plan, **changes: Any) -> Plan:
    limits: PlanLimits = plan.limits.model_copy(update=changes)
    return plan.model_copy(update={"limits": limits})


def _limits(p: Prepared) -> Iterator[CurePart]:
    limits, data = p.plan.limits, instance_of(p)
    for name, unit in UNITS.items():
        asked = getattr(limits, name)
        if asked is None or not works(_limited(p, **{name: None})):
            continue

        def fits(factor: float, name: str = name, asked: tuple[float, ...] = asked) -> bool:
            return works(_limited(p, **{name: _times(asked, factor)}))

        if (factor := _least(fits)) is not None:
            yield CurePart(limit=f"limits.{name}", asked=_shown(asked, unit), value=factor,
                           works=_shown(_times(asked, factor), unit))  # fmt: skip
    yield from _supplies(p, data)
    yield from _rules(p)


def _supplies(p: Prepared, data: Instance) -> Iterator[CurePart]:
    for h, chip in enumerate(p.kinds.names):
        if np.isfinite(data.supply[h]).any() and data.supply[h].any():
            many = data.supply.copy()
            many[h] = np.where(many[h] > 0, np.inf, 0)
            if works(replace(data, supply=many)):
                yield CurePart(limit=f"limits.chips.{chip}", asked=_servers(p, data, h), value=None,
                               works="more of them, wherever some can be bought")  # fmt: skip


def _rules(p: Prepared) -> Iterator[CurePart]:
    limits = p.plan.limits
    if limits.kinds is not None:
        for most in range(limits.kinds + 1, len(p.kinds.names) + 1):
            if works(_limited(p, kinds=most)):
                yield CurePart(limit="limits.kinds", asked=f"{limits.kinds}", works=f"{most}", value=float(most))
                break
    if limits.one_kind_per_workload and works(_limited(p, one_kind_per_workload=False)):
        yield CurePart(limit="limits.one_kind_per_workload", asked="true", works="false", value=None)
    if limits.second_source is not None and works(_limited(p, second_source=None)):
        shares = [share / 100 for share in range(int(limits.second_source * 100 + 1e-9), -1, -1)]
        best = next((x for x in shares if x < limits.second_source and works(_limited(p, second_source=x))), 0.0)
        yield CurePart(limit="limits.second_source", asked=f"{limits.second_source:.1%}", works=f"at most {best:.0%}",
                       value=best)  # fmt: skip


def _times(values: tuple[float, ...], factor: float) -> tuple[float, ...]:
    return tuple(value * factor for value in values)


def _shown(values: tuple[float, ...], unit: str) -> str:
    return " / ".join(show(value, unit) for value in values)


def _servers(p: Prepared, data: Instance, h: int) -> str:
    chips = data.supply[h] * p.kinds.offers[h].bill.chips
    return " / ".join("any" if np.isinf(n) else f"{n:,.0f}" for n in chips) + " chips"


def _workloads(p: Prepared) -> Iterator[CurePart]:
    """The share of one workload's requests with which the others and it can be served."""
    for name in p.workloads:
        mine = np.array([of.workload == name for of in p.demands])

        def served(share: float, mine: Any = mine) -> bool:
            return works(instance_of(replace(p, requests=np.where(mine[:, np.newaxis], share, 1.0) * p.requests)))

        if not served(0.0):
            continue
        inverse = _least(partial(_inverse, served))
        share = 0.0 if inverse is None else 1 / inverse
        asked = [float(p.requests[mine, i].sum()) for i in range(len(p.periods))]
        told = f"at most {_rates([share * x for x in asked])}" if share else "none: the plan without it"
        yield CurePart(limit=f"workloads.{name}.requests", asked=_rates(asked), value=share, works=told)


def _rates(values: list[float]) -> str:
    return " / ".join(f"{value:,.4g}" for value in values) + " requests/s"


def _speeds(p: Prepared) -> Iterator[CurePart]:
    """A slower user speed, or a later first token, of one workload."""
    for name, one in p.plan.workloads.items():
        spaces = {d: spaces_for(p, of) for d, of in enumerate(p.demands) if of.workload == name} if (
            one.user_speed or one.ttft) else {}  # fmt: skip
        for key, unit, sign in (("user_speed", "tokens/s", -1), ("ttft", "s", 1)):
            asked = getattr(one, key)

            def fits(value: float | None, name: str = name, key: str = key, spaces: Any = spaces) -> bool:
                return works(instance_of(_asking(p, name, key, value, spaces)))

            if asked is None or not fits(None):
                continue
            factor = _least(partial(_scaled, fits, asked, sign))
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
