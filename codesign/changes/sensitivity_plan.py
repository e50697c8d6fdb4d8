"""How much would a plan's best fleet move if its inputs were at what else is published, or there were a little more?"""

from collections.abc import Iterator
from typing import Any

from codesign.changes.switch_plan import Told, fleet_part
from codesign.changes.switch_plan_answer import GAPS, FleetBarPart, FleetEndPart, FleetPart, FleetSensitivityAnswer
from codesign.facts.errors import AuditError, DataError
from codesign.facts.records import numbers as facts_of
from codesign.fleet import best_fleet_answer as words
from codesign.fleet import cases
from codesign.fleet.best_fleet import SAID, UNITS, shadows_of
from codesign.fleet.plan import ALL
from codesign.study import plan_numbers as numbers
from codesign.study.parameters import parameter
from codesign.study.plan_numbers import Number
from codesign.study.plan_study import Point, Resolved, Resolver
from codesign.system.answer_parts import versions

SAME = 1e-9    # relative
CHOSEN = 0.10  # of demand, either way
TAKEN = (
    "bars: one input at a time, all else as planned: published low and high of the numbers behind the kinds that the "
    "plan buys or keeps, and of the prices; of kinds that it does not have, nothing is moved",
    f"demand has no published range: {CHOSEN:.0%} less and more are a choice (confidence: choice)",
    "re-optimised: other servers are bought; kept: exactly today's purchases, replicas placed anew, installed servers "
    "kept or retired anew",
    "shadow prices: the program again with a binding limit a step further, as in `codesign fleet`",
    GAPS,
)


def fleet_sensitivity(resolver: Resolver, *, told: Told = lambda done, of: None) -> FleetSensitivityAnswer:
    """Tornado over published ranges and demand, steps of the limits that bind."""
    today = resolver.resolve({})
    if today.point.bought is None or today.point.value is None or today.audited is None:
        return _answer(resolver, today, status="infeasible" if today.point.status == "infeasible" else "undecided")
    inputs = list(_inputs(resolver, today.point))
    bars = []
    for done, (path, ends, confidence) in enumerate(inputs):
        told(done, len(inputs))
        bars.append(_bar(resolver, today.point, path, ends, confidence))
    moving = [bar for bar in bars if any(s is None or s > SAME for s in (bar.swing, bar.swing_kept))]
    moving.sort(key=lambda bar: (-_rank(bar.swing), -_rank(bar.swing_kept), bar.path))
    still = tuple(sorted({bar.path for bar in bars} - {bar.path for bar in moving}))
    open_ends = [end for bar in bars for end in (bar.low, bar.high) if not (_proven(end.best) and _proven(end.kept))]
    return _answer(
        resolver, today, status="undecided" if open_ends or today.point.status != "optimal" else "proven",
        bars=tuple(moving), without_effect=still, **_limits(today),
    )  # fmt: skip


def _rank(swing: float | None) -> float:
    return float("inf") if swing is None else swing


def _proven(fleet: FleetPart) -> bool:
    return fleet.status in ("optimal", "infeasible")


def _inputs(resolver: Resolver, today: Point) -> Iterator[tuple[str, tuple[float, float], str]]:
    """Path, values for `Resolver.at`, confidence."""
    workloads = list(resolver.plan.workloads)
    for name in [ALL, *workloads] if len(workloads) > 1 else workloads:
        yield f"workloads.{name}.requests", (1 - CHOSEN, 1 + CHOSEN), "choice"
    p = resolver.prepared
    entries = [path for chip in today.owned or {} for path in p.kinds.of(chip).chip.paths]
    for entry in dict.fromkeys((*entries, "prices.default")):
        folder, _, name = entry.partition(".")
        for key, _fact in facts_of(resolver.catalog.records[folder][name]):
            try:
                one = parameter(resolver.catalog, p.demands[0].query, f"{entry}.{key}")
            except DataError:
                continue  # not among what systems rest on
            if one.low is not None and one.high is not None and one.low < one.high:
                yield one.path, (one.low, one.high), one.confidence


def _bar(resolver: Resolver, today: Point, path: str, ends: tuple[float, float], confidence: str) -> FleetBarPart:
    number = resolver.number(path)
    low, high = (_end(resolver, today, path, number, end) for end in ends)
    one = number.parameter
    return FleetBarPart(
        path=path, unit=one.unit, today=one.value, confidence=confidence, low=low, high=high,
        swing=_swing(today, low.best, high.best), swing_kept=_swing(today, low.kept, high.kept),
    )  # fmt: skip


def _end(resolver: Resolver, today: Point, path: str, number: Number, end: float) -> FleetEndPart:
    best, kept = resolver.at({path: end}), resolver.at({path: end}, kept=today.bought)
    shown = end * number.per if numbers.is_own(path) and number.per is not None else end
    return FleetEndPart(value=shown, best=fleet_part(best), kept=fleet_part(kept))


def _swing(today: Point, *ends: FleetPart) -> float | None:
    values = [end.value for end in ends]
    if today.value is None:
        raise AuditError("today's fleet has no value")
    if any(value is None for value in values):
        return None
    return max(abs(value / today.value - 1) for value in values if value is not None)


def _limits(today: Resolved) -> dict[str, Any]:
    """Shadow prices and limits by period; a plan of several cases has no shadow prices."""
    p, audited = today.prepared, today.audited
    if audited is None or today.solved is None:
        return {}
    periods = words.periods_of(p, audited)
    found: dict[str, Any] = {"limits": {period.name: period.limits for period in periods}}
    if not cases.several(p.plan) and today.point.status == "optimal":
        found["shadows"] = shadows_of(p, today.instance, today.solved, periods)
    return found


def _answer(resolver: Resolver, today: Resolved, **found: Any) -> FleetSensitivityAnswer:
    plan = resolver.plan
    return FleetSensitivityAnswer(
        plan=plan.content(), objective=SAID[plan.objective], unit=UNITS[plan.objective], periods=tuple(plan.periods),
        today=fleet_part(today.point), solves=resolver.solves, assumptions=TAKEN, catalogue=resolver.catalog.digest(),
        versions=versions(), **found,
    )  # fmt: skip
