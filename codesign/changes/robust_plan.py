"""Which of the purchases that are best in some scenario should a plan make when its numbers are uncertain?"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from codesign.changes.robust import Choice, Terms, chosen
from codesign.changes.robust_plan_answer import (
    REGRET,
    TODAY,
    WORST,
    DrawnPart,
    FleetChoicePart,
    FleetRobustAnswer,
    PurchasesPart,
    ScenarioPart,
)
from codesign.changes.switch_plan import Told, fleet_part
from codesign.changes.switch_plan_answer import GAPS
from codesign.fleet.best_fleet import SAID, UNITS, up
from codesign.study.parameters import parameter
from codesign.study.plan_study import Counts, Point, Resolver
from codesign.study.uncertainty import Uncertain, published, scenarios
from codesign.system.answer_parts import versions
from codesign.system.layouts import Floats

DEMAND = (0.9, 1.1)  # factor on the requests of each workload; a choice
PROVEN = frozenset(("optimal", "infeasible"))
Scenarios = list[tuple[int, dict[str, float], Point]]  # number as drawn, changes, best fleet
TAKEN = (
    "uncertain: numbers with a published low and high behind the chips on offer, and of the prices, each for itself, "
    "triangular with today's value as the most likely",
    f"each workload's requests by a factor of its own, uniform {DEMAND[0]:g} to {DEMAND[1]:g} (a choice), the same in "
    "all periods",
    "compared: the best purchases of today and of each scenario, no others; other purchases may have less regret",
    "kept: exactly these servers are bought, replicas placed anew, installed servers kept or retired anew",
    "regret: relative loss against the best fleet found in that scenario (cost, power: 1 - best / value; else "
    "1 - value / best), at most 1; 1 where the purchases do not do",
    GAPS,
)


def fleet_robust(resolver: Resolver, terms: Terms, *, told: Told = lambda done, of: None) -> FleetRobustAnswer:
    """Solve every scenario, keep every candidate's purchases in all of them, choose with proof."""
    numbers = uncertain_of(resolver)
    today = resolver.at({})
    if today.bought is None:
        return _answer(resolver, terms, numbers, today,
                       status="infeasible" if today.status == "infeasible" else "undecided")  # fmt: skip
    drawn = [one.changes for one in scenarios(numbers, terms.count, terms.seed)]
    points = []
    for done, changes in enumerate(drawn):
        told(done, 2 * len(drawn))
        points.append(resolver.at(changes))
    solved = [(i, *pair) for i, pair in enumerate(zip(drawn, points, strict=True)) if pair[1].bought is not None]
    counted = {"infeasible": tuple(i for i, point in enumerate(points) if point.status == "infeasible"),
               "unknown": tuple(i for i, point in enumerate(points) if point.status == "unknown")}  # fmt: skip
    if not solved:
        return _answer(resolver, terms, numbers, today, **counted,
                       status="undecided" if counted["unknown"] else "infeasible")  # fmt: skip
    candidates = _distinct([today, *(point for _, _, point in solved)])
    kept = []
    for done, (_, changes, _) in enumerate(solved):
        told(len(drawn) + done, len(drawn) + len(solved))
        kept.append([resolver.at(changes, kept=bought) for bought in candidates])
    compared = _compared(resolver, terms, today, candidates, solved, kept, open_=bool(counted["unknown"]))
    return _answer(resolver, terms, numbers, today, **counted, **compared)


def uncertain_of(resolver: Resolver) -> tuple[Uncertain, ...]:
    """Published ranges behind the chips on offer, then the demand of each workload that has any."""
    p = resolver.prepared
    found = published(resolver.catalog, p.demands[0].query, p.kinds.offers)
    names = [name for name, one in resolver.plan.workloads.items() if any(one.requests)]
    return found + tuple(
        Uncertain(f"workloads.{name}.requests", DEMAND[0], 1.0, DEMAND[1], "uniform", len(found) + i)
        for i, name in enumerate(names)
    )  # fmt: skip


def _distinct(points: Sequence[Point]) -> list[Counts]:
    """Purchases, each once, in the order in which they were found."""
    found: list[Counts] = []
    for point in points:
        if point.bought is not None and point.bought not in found:
            found.append(point.bought)
    return found


def losses(values: Floats, best: Floats, *, more: bool) -> Floats:
    """Relative loss of values against the best, 0 .. 1; `more` is better; an infinite or NaN value loses all.

    A best of nothing (0, or less where more is better) has no relative loss: 0 for as good a value, 1 for another.
    """
    values, best = np.broadcast_arrays(np.asarray(values, dtype=np.float64), np.asarray(best, dtype=np.float64))
    there = np.isfinite(values)
    top, bottom = (values, best) if more else (best, values)
    share = np.divide(top, bottom, out=np.zeros(values.shape), where=there & (bottom > 0))
    found = np.where(bottom > 0, np.clip(1 - share, 0, 1), np.where(values == best, 0.0, 1.0))
    return np.where(there, found, 1.0)


def _compared(
    resolver: Resolver, terms: Terms, today: Point, candidates: list[Counts], solved: Scenarios,
    kept: list[list[Point]], *, open_: bool,
) -> dict[str, Any]:  # fmt: skip
    """Candidates, choices and the status; positions are candidates, then scenarios."""
    more = up(resolver.prepared)
    values = np.array([[np.nan if point.value is None else point.value for point in row] for row in kept]).T
    own = np.array([np.nan if point.value is None else point.value for _, _, point in solved])
    pick = np.fmax if more else np.fmin
    best = pick(own, pick.reduce(values, axis=0))  # a kept fleet may be better, within the gaps
    regret = losses(values, best, more=more)
    overall = pick.reduce(best)
    fits = (~np.isnan(values)).mean(axis=1)
    first = chosen(regret, fits, terms.must_fit, complete=False)
    second = chosen(losses(values, overall, more=more), fits, terms.must_fit, complete=False)
    now = [resolver.at({}, kept=bought) for bought in candidates]
    points = [today, *now, *(point for _, _, point in solved), *(point for row in kept for point in row)]
    proven = not open_ and all(point.status in PROVEN for point in points)
    nothing = "proven" if first.design is not None else "infeasible"
    return {
        "status": nothing if proven else "undecided",
        "scenarios": tuple(ScenarioPart(number=i, changes=changes, best=fleet_part(point), reference=float(best[s]))
                           for s, (i, changes, point) in enumerate(solved)),
        "candidates": tuple(
            _candidate(bought, tuple(_roles(c, first, second)), (today, now[c]), [row[c] for row in kept], regret[c],
                       more=more) for c, bought in enumerate(candidates)),
        "choices": (_choice("least worst regret", first), _choice("best worst case", second)),
    }  # fmt: skip


def _roles(candidate: int, first: Choice, second: Choice) -> Iterator[str]:
    for role, position in ((TODAY, 0), (REGRET, first.design), (WORST, second.design)):
        if candidate == position:
            yield role


def _candidate(
    bought: Counts, roles: tuple[str, ...], now: tuple[Point, Point], fleets: list[Point], regret: Floats, *,
    more: bool,
) -> PurchasesPart:  # fmt: skip
    best, here = now
    values = [point.value for point in fleets if point.value is not None]
    broken = [point.why for point in fleets if point.status == "infeasible"]
    value = np.nan if here.value is None else here.value
    return PurchasesPart(
        bought=dict(bought), roles=roles, today=fleet_part(here),
        today_loss=float(losses(np.array([value]), np.array([best.value]), more=more)[0]),
        fleets=tuple(fleet_part(point) for point in fleets), regret=tuple(regret.tolist()),
        regret_mean=float(regret.mean()), regret_worst=float(regret.max()), break_share=len(broken) / len(fleets),
        breaks={why: n / len(fleets) for why, n in sorted(Counter(broken).items())},
        worst_value=(min if more else max)(values) if len(values) == len(fleets) else None,
    )  # fmt: skip


def _choice(question: str, choice: Choice) -> FleetChoicePart:
    found = choice.outcome
    return FleetChoicePart(
        question=question, status="infeasible" if found.solution is None else "optimal", candidate=choice.design,
        value=found.value, bound=found.bound, mean=None if found.solution is None else found.solution.mean,
    )  # fmt: skip


def _drawn(resolver: Resolver, one: Uncertain) -> DrawnPart:
    ours = one.path.startswith("workloads.")
    known = None if ours else parameter(resolver.catalog, resolver.prepared.demands[0].query, one.path)
    return DrawnPart(
        path=one.path, unit="1" if known is None else known.unit, low=one.low, value=one.value, high=one.high,
        distribution=one.distribution, confidence="choice" if known is None else known.confidence,
    )  # fmt: skip


def _answer(
    resolver: Resolver, terms: Terms, numbers: Sequence[Uncertain], today: Point, **found: Any
) -> FleetRobustAnswer:  # fmt: skip
    plan = resolver.plan
    return FleetRobustAnswer(
        plan=plan.content(), objective=SAID[plan.objective], unit=UNITS[plan.objective], periods=tuple(plan.periods),
        seed=terms.seed, asked=terms.count, must_fit=terms.must_fit,
        uncertain=tuple(_drawn(resolver, one) for one in numbers), today=fleet_part(today), solves=resolver.solves,
        assumptions=TAKEN, catalogue=resolver.catalog.digest(), versions=versions(), **found,
    )  # fmt: skip
