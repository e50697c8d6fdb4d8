"""At which values of a parameter does a plan buy other kinds of chip, in any period?"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from codesign.changes.switch_plan_answer import (
    GAPS,
    BracketPart,
    FleetLinePart,
    FleetPart,
    FleetSwitchAnswer,
    PointPart,
)
from codesign.facts.errors import DataError
from codesign.fleet.best_fleet import SAID, UNITS
from codesign.study.plan_numbers import Number
from codesign.study.plan_study import Point, Resolver
from codesign.study.ranges import Range, read_range, usual_range
from codesign.system.answer_parts import versions

STEP, NARROW = 1.2, 1.01  # ratios: of neighbouring points at first; of the two ends of a switch
MOST_POINTS = 120         # of a parameter
NEAR = 1e-12
Told = Callable[[int, int], None]
TAKEN = (
    "a switch is a change of the kinds bought in some period; counts alone, layouts and replicas are no switch",
    f"points lie in geometric progression, at most {STEP:g} apart, today's among them; between two of other kinds "
    f"it is halved until they are within {NARROW:g} (whole numbers: neighbours); the switch lies in between",
    "no closed form is complete here: between two points of the same kinds a pair of changes could hide",
    GAPS,
    "a number that the plan gives by period is moved by one factor on all of it; one parameter moves at a time",
)


def fleet_switch(
    resolver: Resolver, paths: Sequence[str], ranges: Sequence[str] = (), *, told: Told = lambda done, of: None
) -> FleetSwitchAnswer:
    """Brackets of the switches of each parameter over its range; DataError with every fault of paths and ranges.

    `ranges`: one for all parameters or one for each; none: half to twice today's value.
    """
    if len(ranges) > 1 and len(ranges) != len(paths):
        raise DataError(f"--range: {len(ranges)} ranges for {len(paths)} parameters; give one, or one for each")
    texts = [ranges[0] if len(ranges) == 1 else ranges[i] if ranges else None for i in range(len(paths))]
    read = _read(resolver, dict(zip(paths, texts, strict=True)))
    lines = tuple(_line(resolver, path, *found, told) for path, found in read.items())
    open_lines = [line for line in lines if not all(s.narrow and s.proven for s in line.switches)
                  or any(point.fleet.status in ("feasible", "unknown") for point in line.points)]  # fmt: skip
    plan = resolver.plan
    return FleetSwitchAnswer(
        status="undecided" if open_lines else "proven", plan=plan.content(), objective=SAID[plan.objective],
        unit=UNITS[plan.objective], periods=tuple(plan.periods), today=fleet_part(resolver.at({})), lines=lines,
        solves=resolver.solves, assumptions=TAKEN, catalogue=resolver.catalog.digest(), versions=versions(),
    )  # fmt: skip


def fleet_part(point: Point) -> FleetPart:
    """A point as a part of a document."""
    return FleetPart(
        status=point.status, value=point.value, bound=point.bound, gap=point.gap,
        bought=None if point.bought is None else dict(point.bought), kinds=point.kinds, cost_usd=point.cost_usd,
        capital_usd=point.capital_usd, why=point.why,
    )  # fmt: skip


def _read(resolver: Resolver, asked: Mapping[str, str | None]) -> dict[str, tuple[Number, Range]]:
    found, faults = {}, []
    for path, text in asked.items():
        try:
            one = resolver.number(path)
            over = usual_range(one.parameter) if text is None else read_range(text, one.parameter)
            if over is None:
                raise DataError(f"{path}: today's {one.parameter.shown()} has no usual range; give one with --range "
                                "LOW..HIGH")  # fmt: skip
            if over.low <= 0:
                raise DataError(f"--range of {path}: points lie in geometric progression; the low end must be above 0")
            found[path] = (one, over)
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError("\n".join(faults))
    return found


def first_values(over: Range, today: float, *, whole: bool) -> list[float]:
    """Both ends, today's value where it lies between, and values at most STEP apart (whole numbers: rounded).

    >>> first_values(Range(1.0, 1.44), 1.2, whole=False)
    [1.0, 1.2, 1.44]
    >>> first_values(Range(1, 6), 9, whole=True)
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    """
    ends = sorted({over.low, over.high, *([today] if over.low < today < over.high else [])})
    found = set(ends)
    for low, high in pairwise(ends):
        n = max(1, math.ceil(math.log(high / low) / math.log(STEP) - 1e-9))
        inner = (low * (high / low) ** (i / n) for i in range(1, n))
        found |= {float(round(v)) if whole else v for v in inner}
    return sorted(float(v) for v in found)


def _line(resolver: Resolver, path: str, number: Number, over: Range, told: Told) -> FleetLinePart:
    one = number.parameter
    points: dict[float, Point] = {}

    def solve(values: Sequence[float]) -> None:
        for value in values:
            told(len(points), len(points) + len(values))
            points[value] = resolver.at({} if value == one.value else {path: number.change(value)})

    solve(first_values(over, one.value, whole=one.whole))
    while wide := [pair for pair in _changes(points) if _open(points, pair, whole=one.whole)]:
        if len(points) + len(wide) > MOST_POINTS:
            break
        solve([_middle(*pair, whole=one.whole) for pair in wide])
    switches = tuple(
        BracketPart(
            below=a, above=b, ratio=None if one.whole else b / a, narrow=_narrow(a, b, whole=one.whole),
            proven=all(points[v].status in ("optimal", "infeasible") for v in (a, b)), before=points[a].kinds,
            after=points[b].kinds,
        ) for a, b in _changes(points)
    )  # fmt: skip
    return FleetLinePart(
        path=path, unit=one.unit, whole=one.whole, today=one.value, published_low=one.low, published_high=one.high,
        confidence=one.confidence, low=over.low, high=over.high, switches=switches,
        points=tuple(PointPart(value=v, fleet=fleet_part(points[v])) for v in sorted(points)),
    )  # fmt: skip


def _changes(points: Mapping[float, Point]) -> list[tuple[float, float]]:
    """Neighbours that buy other kinds; of what is not known nothing is said."""
    known = [v for v in sorted(points) if points[v].status != "unknown"]
    return [(a, b) for a, b in pairwise(known) if points[a].kinds != points[b].kinds]


def _open(points: Mapping[float, Point], pair: tuple[float, float], *, whole: bool) -> bool:
    """Whether a value in between is still to be asked."""
    return not _narrow(*pair, whole=whole) and not any(pair[0] < value < pair[1] for value in points)


def _narrow(a: float, b: float, *, whole: bool) -> bool:
    return b - a <= 1 if whole else b / a <= NARROW * (1 + NEAR)


def _middle(a: float, b: float, *, whole: bool) -> float:
    return float((int(a) + int(b)) // 2) if whole else math.sqrt(a * b)
