"""At which values of a parameter does another system become the best one?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from codesign.changes.switch_answer import BandPart, LinePart, NearPart, SwitchAnswer, SwitchPart, SystemShort
from codesign.facts.errors import AuditError, DataError
from codesign.study.envelope import Change, Found, Shape, envelope, scan
from codesign.study.line import Line
from codesign.study.movement import kinks, shape, up_and_down
from codesign.study.parameters import Parameter, parameter, parameters
from codesign.study.query_study import Point, Warm
from codesign.study.ranges import Range, read_range, usual_range
from codesign.system import answer_parts as parts
from codesign.system.key import SystemKey
from codesign.system.prepared import Question

MOST_SCANNED = 4096  # whole values, where each must be looked at
CURVE = 120           # points of a picture
BESIDE = 1e-8         # relative: how far within a band the program is asked
ALIKE = ("chip", "memory", "stacks", "replicas")
TAKEN = "mode achieved: that fitted times only rise or only fall with each number of the hardware is taken, not proven"
SAID = (
    "a system is a chip, its memory and stacks, a layout, and replicas; a change of batch alone is no switch",
    "one parameter moves, all else stays as asked; a switch lies between two adjacent numbers",
    "a limit missed by less than 1e-12 (relative) is met; the program proves each system 1e-8 within its band",
    "systems whose objectives differ by less than 1e-12 (relative) are equal; rounding orders them",
)


def switch(warm: Warm, paths: Sequence[str], ranges: Sequence[str] = (), *, together: bool = False) -> SwitchAnswer:
    """All switches of each parameter over its range, each proven by a solve on both sides.

    `ranges`: one for all parameters or one for each; none: half to twice today's value. `together`: all are
    multiplied by one factor. Raises DataError with every fault of paths and ranges.
    """
    if len(ranges) > 1 and len(ranges) != len(paths):
        raise DataError(f"--range: {len(ranges)} ranges for {len(paths)} parameters; give one, or one for each")
    texts = [ranges[0] if len(ranges) == 1 else ranges[i] if ranges else None for i in range(len(paths))]
    read = _read(warm, dict(zip(paths, texts, strict=True)))
    if together:
        moved = [one for one, _ in read]
        _check_together(moved, ranges)
        return _answer(warm, lines=(_line(warm, moved, read[0][1]),))
    return _answer(warm, lines=tuple(_line(warm, [one], over) for one, over in read))


def _read(warm: Warm, asked: Mapping[str, str | None]) -> list[tuple[Parameter, Range]]:
    """Each parameter with its range; DataError with every fault of both."""
    found, faults = [], []
    for path, text in asked.items():
        try:
            one = parameter(warm.catalog, warm.query, path)
            over = usual_range(one) if text is None else read_range(text, one)
            if over is None:
                raise DataError(f"{path}: today's {one.shown()} has no usual range; give one with --range LOW..HIGH")
            found.append((one, over))
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError("\n".join(faults))
    return found


def _check_together(moved: Sequence[Parameter], texts: Sequence[str]) -> None:
    """By one factor only numbers of one kind, which all raise or all lower what they move."""
    if len(texts) > 1:
        raise DataError("--together takes one --range, the first parameter's")
    if len({(one.unit, one.path.rpartition(".")[2]) for one in moved}) > 1 or any(
        one.whole or one.asked or one.value == 0 for one in moved
    ):
        raise DataError("--together: parameters must be numbers of the catalogue of one kind (all prices of memories, "
                        "all bandwidths, ...), none whole, none zero")  # fmt: skip


def _line(warm: Warm, moved: Sequence[Parameter], over: Range) -> LinePart:
    line, one = Line(warm, {p.path: p.value for p in moved}), moved[0]
    found = _search(warm, line, moved, over)
    ends = [found.low.value, *(v for c in found.changes for v in (c.below, c.above)), found.high.value]
    points = {value: warm.at(line.changes(value)) for value in dict.fromkeys(ends)}
    systems = [found.low.key, *(change.after for change in found.changes)]
    spans = list(zip(ends[::2], ends[1::2], systems, strict=True))
    proven = [_proven(warm, line, *span, whole=one.whole) for span in spans]
    bands = tuple(
        BandPart(low=low, high=high, system=short(system), low_value=points[low].value, high_value=points[high].value)
        for low, high, system in spans
    )
    switches = tuple(
        _switch(one, change, points, proven=proven[i][1] and proven[i + 1][0]) for i, change in enumerate(found.changes)
    )
    outer = [(proven[0][0], spans[0]), (proven[-1][1], spans[-1])]  # the ends of the range, beside which is no switch
    undecided = (*found.undecided, *dict.fromkeys((low, high) for known, (low, high, _) in outer if not known))
    return LinePart(
        path=one.path, also=tuple(p.path for p in moved[1:]), unit=one.unit, whole=one.whole, today=one.value,
        published_low=one.low, published_high=one.high, confidence=one.confidence, low=over.low, high=over.high,
        bands=bands, switches=switches,
        curve=tuple(_curve(warm, line, spans, one.whole)), undecided=undecided, samples=found.samples,
    )  # fmt: skip


def _search(warm: Warm, line: Line, moved: Sequence[Parameter], over: Range, nearest: str = "") -> Found:
    if any(up_and_down(one, warm.query) for one in moved):
        if not moved[0].whole:
            raise DataError(f"{moved[0].path}: merits rise and fall along it in mode achieved; only whole numbers can "
                            "be looked at one by one")  # fmt: skip
        if over.high - over.low > MOST_SCANNED:
            raise DataError(f"{moved[0].path}: each whole number of the range is looked at; give a --range of at most "
                            f"{MOST_SCANNED:,}")  # fmt: skip
        return scan(line, int(over.low), int(over.high))
    return envelope(line, over.low, over.high, _shape(warm, line, moved, over), nearest=nearest)


def _shape(warm: Warm, line: Line, moved: Sequence[Parameter], over: Range) -> Shape:
    known = [(one, kink) for one in moved for kink in kinks(warm.catalog, warm.query, one)]
    at = tuple(kink if one is moved[0] else kink / one.value * moved[0].value for one, kink in known)
    return shape(moved, line.sample(over.low), line.sample(over.high), warm.space, at)


def _curve(
    warm: Warm, line: Line, spans: Sequence[tuple[float, float, SystemKey | None]], whole: bool
) -> Iterator[tuple[float, float | None]]:
    """The objective at both ends of each band and in between, of the system that is best there."""
    names = {system.chip for _, _, system in spans if system is not None}
    each = max(2, CURVE // len(spans))
    for low, high, _ in spans:
        values = (low + (high - low) * i / (each - 1) for i in range(each))
        for value in dict.fromkeys(float(round(v)) if whole else v for v in (*values,)):
            winner = line.sample(min(max(value, low), high), names).winner
            yield value, None if winner is None else warm.objective(winner.merit)


def _proven(
    warm: Warm, line: Line, low: float, high: float, system: SystemKey | None, *, whole: bool
) -> tuple[bool, bool]:
    """Whether the program has the band's system as its optimum at both of its ends, `BESIDE` within.

    At the very edge it could not say: a solver meets a limit to 1e-9, the closed form to 1e-12.
    """
    inside = 0.0 if whole else BESIDE
    if high - low < 4 * inside * abs(high):
        return False, False
    found = []
    for value in (low + inside * abs(low), high - inside * abs(high)):
        point = warm.at(line.changes(value), proven=True)
        found.append(point.system == system and point.status in ("optimal", "infeasible"))
    return found[0], found[1]


def _switch(one: Parameter, change: Change, points: dict[float, Point], *, proven: bool) -> SwitchPart:
    below, above = points[change.below], points[change.above]
    for point, system in ((below, change.before), (above, change.after)):
        if point.system != system:
            raise AuditError(f"{one.path}: among all chips {point.system} is best, among those that can win {system}")
    return SwitchPart(
        below=change.below, above=change.above, factor=change.above / one.value if one.value else None,
        changes=differing(change.before, change.after), value_below=below.value, value_above=above.value, proven=proven,
    )  # fmt: skip


def differing(before: SystemKey | None, after: SystemKey | None) -> tuple[str, ...]:
    """What of a system another one does not share."""
    if before is None or after is None:
        return ("feasible",)
    found = [name for name in ALIKE if getattr(before, name) != getattr(after, name)]
    other = {name for name in SystemKey.model_fields if getattr(before, name) != getattr(after, name)}
    return (*found, *(["layout"] if other - set(ALIKE) else []))


def short(key: SystemKey | None) -> SystemShort | None:
    """A system as a part of a document."""
    return None if key is None else SystemShort(**key.model_dump(), shown=key.name)


def switch_all(warm: Warm, *, told: Callable[[int, int], None] = lambda done, of: None) -> SwitchAnswer:
    """Every parameter over half to twice today's value and what is published, the nearest switch first."""
    every = parameters(warm.catalog, warm.query)
    behind = [one for one in every if one.asked or warm.touched([one.path])]
    rows = []
    for done, one in enumerate(behind):
        told(done, len(behind))
        rows.append(nearest(warm, one))
    rows.sort(key=lambda row: (row.distance is None, row.distance or 0.0, row.path))
    return _answer(warm, ranking=tuple(rows), without_effect=len(every) - len(behind))


def nearest(warm: Warm, one: Parameter) -> NearPart:
    """The switch that is nearest to today's value in the usual range, on either side."""
    row: dict[str, Any] = {
        "path": one.path, "unit": one.unit, "today": one.value, "published_low": one.low, "published_high": one.high,
        "confidence": one.confidence, "low": one.value, "high": one.value, "nearest": None, "distance": None,
        "below": None, "above": None,
    }  # fmt: skip
    over = usual_range(one)
    if over is None or one.value == 0:
        return NearPart(**row, note="cannot be moved by a factor")
    row |= {"low": over.low, "high": over.high}
    line = Line(warm, {one.path: one.value})
    try:
        sides = _sides(warm, line, one, over)
    except DataError as error:
        return NearPart(**row, note=str(error))
    near = {side: value for side, (value, _) in sides.items()}
    if not sides:
        return NearPart(**row)
    value, change = min(sides.values(), key=lambda found: abs(found[0] - one.value))
    system = change.after if value == change.above else change.before
    other = change.before if value == change.above else change.after
    low, high = (one.value if end is None else end for end in (one.low, one.high))
    row |= {"nearest": value, "distance": abs(value / one.value - 1), "system": short(system), **near}
    return NearPart(**row, changes=differing(other, system), inside=low <= value <= high)


def _sides(warm: Warm, line: Line, one: Parameter, over: Range) -> dict[str, tuple[float, Change]]:
    """The nearest change below and above today's value, each with the first value of the other system."""
    found = {}
    if over.low < one.value and (change := nearest_change(warm, line, one, Range(over.low, one.value), upward=False)):
        found["below"] = (change.below, change)
    if one.value < over.high and (change := nearest_change(warm, line, one, Range(one.value, over.high), upward=True)):
        found["above"] = (change.above, change)
    return found


def nearest_change(warm: Warm, line: Line, one: Parameter, over: Range, *, upward: bool) -> Change | None:
    """The first change of system going up from the low end, or down from the high end."""
    changes = _search(warm, line, [one], over, "low" if upward else "high").changes
    return None if not changes else changes[0] if upward else changes[-1]


def _answer(warm: Warm, **found: Any) -> SwitchAnswer:
    question, today = Question(warm.query, warm.catalog, warm.supply), warm.at({}, proven=True)
    behind, asked = parts.behind(question, []), parts.asked(question)
    open_lines = [line for line in found.get("lines", ()) if line.undecided or not all(s.proven for s in line.switches)]
    known = today.status in ("optimal", "infeasible")
    return SwitchAnswer(
        status="undecided" if open_lines or not known else "proven", mode=asked["mode"], query=asked["query"],
        objective=warm.query.maximize, unit=warm.query.objective.unit, system=short(today.system), value=today.value,
        assumptions=SAID if asked["mode"] == "limit" else (*SAID, TAKEN),
        catalogue=behind["catalogue"], versions=behind["versions"], **found,
    )  # fmt: skip
