"""How much would the answer move if its inputs were as low or as high as is published, or there were a little more?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.changes.sensitivity_answer import BarPart, EndPart, SensitivityAnswer, ShadowPart
from codesign.changes.switch import nearest_change, short
from codesign.facts.document import LimitPart
from codesign.facts.errors import DataError
from codesign.facts.records import ChipRecord, DieRecord, EconomicsRecord
from codesign.physics import chips
from codesign.study.line import Line
from codesign.study.parameters import Parameter, parameter, parameters
from codesign.study.query_study import Case, Point, Warm
from codesign.study.ranges import Range
from codesign.system import answer_parts as parts
from codesign.system import audit
from codesign.system.best_system import best_system_under
from codesign.system.columns import best_batch
from codesign.system.key import SystemKey, key_of
from codesign.system.offers import Supply
from codesign.system.prepared import Question
from codesign.system.query import Query

SAME = 1e-12  # relative
FAR = 10.0    # how far the next change of system is looked for, as a factor
SAID = (
    "bars: one input at a time at its published low and high, all else as asked",
    "re-optimised: the best system then, proven; kept: today's chip, layout and replicas, its batch free",
    "one more unit: solved again with exactly that; whole servers are bought, so most single units move nothing",
)
STEPS = {"limits.budget": (1.0, "+ $1"), "limits.hourly": (1.0, "+ $1/h"), "limits.power": (1.0, "+ 1 W"),
         "limits.chips": (1.0, "+ 1 chip"), "limits.racks": (1.0, "+ 1 rack"), "limits.replicas": (1.0, "+ 1 replica"),
         "limits.users": (-1.0, "- 1 user"), "limits.user_speed": (-1.0, "- 1 token/s"),
         "limits.ttft": (1e-3, "+ 1 ms")}  # fmt: skip


def sensitivity(warm: Warm, *, told: Callable[[int, int], None] = lambda done, of: None) -> SensitivityAnswer:
    """Tornado over every published range, shadow prices of limits and of today's hardware, binding limits."""
    today = warm.at({}, proven=True)
    limits: tuple[LimitPart, ...] = ()
    if today.system is None or today.value is None:
        return _answer(warm, today, limits, status="infeasible")
    answer = best_system_under(warm.catalog, warm.query, enumerate_all=False)
    wide = [one for one in parameters(warm.catalog, warm.query) if _uncertain(one) and warm.touched([one.path])]
    bars = []
    for done, one in enumerate(wide):
        told(done, len(wide))
        bars.append(_bar(warm, today, today.system, today.value, one))
    moving = [bar for bar in bars if bar.swing > SAME or bar.swing_kept > SAME or bar.low.breaks or bar.high.breaks]
    moving.sort(key=lambda bar: (-max(bar.swing, bar.swing_kept), bar.path))
    still = tuple(sorted({one.path for one in wide} - {bar.path for bar in moving}))
    decided = [_known(today), answer.status == "optimal"]
    shadows = tuple(_shadow(warm, today, *step, decided) for step in _steps(warm, today.system))
    proven = all((*(end.proven for bar in bars for end in (bar.low, bar.high)), *decided))
    return _answer(warm, today, answer.limits, status="proven" if proven else "undecided", bars=tuple(moving),
                   without_effect=still, shadows=shadows)  # fmt: skip


def _uncertain(one: Parameter) -> bool:
    return one.low is not None and one.high is not None and one.low < one.high


def _bar(warm: Warm, today: Point, system: SystemKey, value: float, one: Parameter) -> BarPart:
    ends = [_end(warm, today, system, value, one.path, end) for end in (one.low, one.high) if end is not None]
    swing = max(_swing(end.best, value) for end in ends)
    kept = max(_swing(end.kept, value) for end in ends)
    return BarPart(path=one.path, unit=one.unit, today=one.value, confidence=one.confidence, low=ends[0], high=ends[1],
                   swing=swing, swing_kept=kept)  # fmt: skip


def _swing(found: float | None, value: float) -> float:
    """A design that does not run moves the objective by all of it."""
    return 1.0 if found is None else abs(found / value - 1)


def _end(warm: Warm, today: Point, system: SystemKey, value: float, path: str, end: float) -> EndPart:
    changes = {path: end}
    best = warm.at(changes)
    moved = best.system != today.system or best.value is None or abs(best.value / value - 1) > SAME
    if moved:
        best = warm.at(changes, proven=True)
    kept = keep(warm, system, changes)
    return EndPart(value=end, best=best.value, system=short(best.system),
                   proven=not moved or _known(best),
                   kept=kept.value, breaks=kept.breaks)  # fmt: skip


def _known(point: Point) -> bool:
    return point.status in ("optimal", "infeasible")


def _steps(warm: Warm, system: SystemKey) -> list[tuple[str, float, str]]:
    """What there could be one unit more of: each limit that is set, and the hardware of today's best system."""
    found = [(path, step, said) for path, (step, said) in STEPS.items()
             if getattr(warm.query.limits, path.partition(".")[2]) is not None]  # fmt: skip
    for path, step, said in _hardware(warm, system):
        try:
            parameter(warm.catalog, warm.query, path)
        except DataError:  # nobody publishes it, and no system needs it
            continue
        found.append((path, step, said))
    return found


def _hardware(warm: Warm, system: SystemKey) -> list[tuple[str, float, str]]:
    die = system.chip.partition("+")[0]
    composed = system.chip != die
    record = warm.catalog.get(DieRecord, die) if composed else warm.catalog.get(ChipRecord, system.chip)
    home = f"memory.{system.memory}" if composed else f"chips.{system.chip}"
    size = f"{home}.capacity" if composed else f"{home}.usable_memory"
    of = "a stack" if composed else "a chip"
    found = [(size, 1e9, f"+ 1 GB {of}"), (f"{home}.bandwidth", 1e12, f"+ 1 TB/s {of}")]
    link = record.connections.scale_up
    steps = () if link is None else warm.catalog.records["links"][link].limit  # type: ignore[attr-defined]
    at = next((i for i, entry in enumerate(steps) if system.tensor <= entry.group), None)
    if at is not None and system.tensor > 1:
        path = f"links.{link}.limit.{at}.latency"
        less = min(1e-6, parameter(warm.catalog, warm.query, path).value / 2)
        said = "- 1 us" if less == 1e-6 else f"- {less * 1e6:g} us (half of it)"
        found.append((path, -less, f"{said} a collective"))
    return found


def _shadow(warm: Warm, today: Point, path: str, step: float, said: str, decided: list[bool]) -> ShadowPart:
    """What one step gains; whether the program proved it is added to `decided`."""
    one = parameter(warm.catalog, warm.query, path)
    value = one.value + step
    row: dict[str, Any] = {"path": path, "unit": one.unit, "step": said}
    row |= {"gain": None, "relative": None, "replicas": None}
    if value > one.least or (one.whole and value >= one.least):
        then = warm.at({path: value}, proven=True)
        decided.append(_known(then))
        if then.value is not None and today.value is not None:
            row |= {"gain": then.value - today.value, "relative": then.value / today.value - 1,
                    "replicas": then.system.replicas if then.system else None}  # fmt: skip
    upward = step > 0
    low, high = max(one.value / FAR, one.least), min(one.value * FAR, one.most)
    over = Range(one.value, high) if upward else Range(float(-(-low // 1)) if one.whole else low, one.value)
    line = Line(warm, {path: one.value})
    change = nearest_change(warm, line, one, over, upward=upward) if over.low < over.high else None
    if change is None:
        return ShadowPart(**row, next_value=None, next_system=None)
    after = (change.above, change.after) if upward else (change.below, change.before)
    return ShadowPart(**row, next_value=after[0], next_system=short(after[1]))


def _answer(warm: Warm, today: Point, limits: tuple[LimitPart, ...], **found: Any) -> SensitivityAnswer:
    question = Question(warm.query, warm.catalog, warm.supply)
    behind, asked = parts.behind(question, []), parts.asked(question)
    return SensitivityAnswer(
        mode=asked["mode"], query=asked["query"], objective=warm.query.maximize, unit=warm.query.objective.unit,
        system=short(today.system), value=today.value, limits=limits, assumptions=SAID, catalogue=behind["catalogue"],
        versions=behind["versions"], **found,
    )  # fmt: skip


SHARED = ("budget", "hourly", "power", "chips", "racks", "replicas", "tensor", "users")


@dataclass(frozen=True)
class Kept:
    """Objective in SI (None: it does not run at all), batch, and the limits that the design breaks."""

    value: float | None
    batch: int | None
    breaks: tuple[str, ...]


def keep(warm: Warm, system: SystemKey, changes: Mapping[str, float]) -> Kept:
    """The design as it was bought (chip, layout and replicas; its batch is free), with these numbers.

    Its value is that of its best batch, by the audit; it is told which limits it then breaks.
    """
    case = warm.case(changes, {system.chip})
    position = _position(case, system)
    if position is None:
        return Kept(None, None, ("chip",))
    batch = int(best_batch(case.space, case.query.limits)[position])
    if batch < 1:
        room = int(np.where(case.space.reason == 0, case.space.room, 0)[position])
        return Kept(None, None, ("memory",) if room < 1 else ("user_speed",))
    found = [_audited(warm, case, system, position, b) for b in _batches(case, system, position, batch)]
    best = max(found, key=lambda a: case.query.objective.direction * a.value)
    users = system.replicas * int(case.space.pipeline[position])
    return Kept(best.value, best.users // users, _broken(case.query, system, best))


def _position(case: Case, system: SystemKey) -> int | None:
    """Where the design's layout is in the space of its chip."""
    for position in range(len(case.space)):
        chip = case.offers[int(case.space.chip[position])].chip
        if key_of(chip, case.space.layout(position), system.replicas) == system:
            return position
    return None


def _batches(case: Case, system: SystemKey, position: int, most: int) -> list[int]:
    """Batches that may be the best: the most, or where users per step peak; for speed the least."""
    users = case.query.limits.users or 1
    if case.query.objective.fewest:
        return [min(most, -(-users // (int(case.space.pipeline[position]) * system.replicas)))]
    at, least = np.array([position]), np.ones(1)
    peaks = [int(b) for here, batch in case.space.peaks(at, least, np.array([float(most)])) for b in batch[: len(here)]]
    return sorted({most, *peaks})


def _audited(warm: Warm, case: Case, system: SystemKey, position: int, batch: int) -> audit.Audited:
    limits = case.query.limits.model_copy(update=dict.fromkeys(SHARED))
    free = case.query.model_copy(update={"limits": limits})
    money = chips.economics(case.catalog.get(EconomicsRecord, "default"))
    offer = case.offers[int(case.space.chip[position])]
    bought = audit.System(offer, case.space.layout(position), batch, system.replicas)
    return audit.recompute(free, case.space.model, Supply(case.offers, (), money, warm.supply.achieved), bought)


def _broken(query: Query, system: SystemKey, a: audit.Audited) -> tuple[str, ...]:
    """Shared limits that the design takes more of than there is (users: serves fewer)."""
    limits = query.limits
    taken: dict[str, Any] = {
        "budget": a.capital_usd, "hourly": a.hourly_usd, "power": a.power_w, "chips": a.chips_bought, "racks": a.racks,
        "replicas": system.replicas, "tensor": system.tensor,
    }  # fmt: skip
    over = [name for name, amount in taken.items()
            if (limit := getattr(limits, name)) is not None and amount > limit * (1 + 1e-12)]  # fmt: skip
    return (*over, *(["users"] if limits.users is not None and a.users < limits.users else []))
