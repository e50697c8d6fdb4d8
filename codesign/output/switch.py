"""Switch points on the terminal: bands of one best system, and parameters by how near their switch is."""

from collections.abc import Iterator
from typing import Any

from codesign.changes.switch_answer import LinePart, NearPart, SwitchAnswer, SwitchPart, SystemShort
from codesign.facts.units import show
from codesign.output.text import Table

NOTHING = "nothing fits"
MOST_RANKED = 30


def render(answer: SwitchAnswer) -> Iterator[Any]:
    """The parts of the answer in order."""
    yield f"Objective: {answer.objective} ({answer.unit}), mode {answer.mode}"
    yield f"Today: {_system(answer.system)}, {_value(answer.value)}"
    for line in answer.lines:
        yield ""
        yield from _line(line)
    if answer.ranking:
        yield ""
        yield from _ranking(answer)
    yield ""
    yield "Assumptions"
    for said in answer.assumptions:
        yield f"  {said}"


def _line(line: LinePart) -> Iterator[Any]:
    also = f" (and {', '.join(line.also)} by the same factor)" if line.also else ""
    published = "" if line.published_low is None or line.published_high is None else (
        f", published {show(line.published_low, line.unit)} to {show(line.published_high, line.unit)}")  # fmt: skip
    yield f"{line.path}{also}: today {show(line.today, line.unit)}{published}"
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for name in ("from", "to", "best system", "memory", "objective", "switch"):
        table.add_column(name, justify="right" if name in ("from", "to", "objective") else "left")
    for i, band in enumerate(line.bands):
        ends = [_exact(value, line.unit) for value in (band.low, band.high)]
        memory = "" if band.system is None else band.system.memory
        mark = "  <- today" if band.low <= line.today <= band.high else ""
        table.add_row(*ends, _system(band.system), memory, f"{_value(band.low_value)} .. {_value(band.high_value)}",
                      (_changes(line.switches[i - 1]) if i else "") + mark)  # fmt: skip
    yield table
    if not line.switches:
        yield "No switch in this range."
    for low, high in line.undecided:
        yield f"Undecided: {_exact(low, line.unit)} .. {_exact(high, line.unit)}"
    yield f"{len(line.switches)} switches, each solved on both sides; {line.samples:,} values computed"


def _changes(switch: SwitchPart) -> str:
    return ", ".join(switch.changes) + ("" if switch.proven else " (not proven)")


def _ranking(answer: SwitchAnswer) -> Iterator[Any]:
    near = [row for row in answer.ranking if row.nearest is not None]
    yield f"What should you know better before you sign? {len(near)} of {len(answer.ranking)} parameters switch the"
    yield "best system between half and twice their value (or what is published), the nearest first:"
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for name in ("parameter", "today", "switch at", "away", "published", "to", "changes"):
        table.add_column(name, justify="right" if name in ("today", "switch at", "away") else "left")
    for row in near[:MOST_RANKED]:
        table.add_row(row.path, show(row.today, row.unit), show(row.nearest or 0.0, row.unit), _away(row),
                      _published(row), _system(row.system), ", ".join(row.changes))  # fmt: skip
    yield table
    if len(near) > MOST_RANKED:
        yield f"... and {len(near) - MOST_RANKED} more (--json)"
    noted = [row for row in answer.ranking if row.note]
    if noted:
        yield f"Not moved: {', '.join(row.path for row in noted)}"
    yield f"{answer.without_effect} numbers stand behind no chip on offer."


def _away(row: NearPart) -> str:
    factor = (row.nearest or 0.0) / row.today - 1
    return f"{factor:+.2%}"


def _published(row: NearPart) -> str:
    if row.published_low is None or row.published_high is None:
        return f"{row.confidence}, no range"
    said = f"{show(row.published_low, row.unit)} .. {show(row.published_high, row.unit)}"
    return f"{said} (inside)" if row.inside else said


def _system(system: SystemShort | None) -> str:
    return NOTHING if system is None else system.shown


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _exact(value: float, unit: str) -> str:
    """As people write it; the neighbouring doubles are in the JSON."""
    return show(value, unit)
