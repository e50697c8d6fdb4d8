"""Switch points, sensitivity and why-not of a fleet plan on the terminal."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from codesign.changes.switch_plan_answer import (
    FleetBarPart,
    FleetEndPart,
    FleetLinePart,
    FleetPart,
    FleetSensitivityAnswer,
    FleetSwitchAnswer,
    FleetWhyNotAnswer,
    bands,
    counted,
    said,
)
from codesign.facts.units import show
from codesign.output.text import Table

MOST = 25


def render_switch(answer: FleetSwitchAnswer) -> Iterator[Any]:
    """The parts of the answer in order."""
    yield f"Objective: {answer.objective} ({answer.unit}); each point a program with its proven bound"
    yield f"Today: {said(answer.today, answer.periods)}{_value(answer.today)}"
    for line in answer.lines:
        yield ""
        yield from _line(line, answer.periods)
    yield ""
    yield f"{answer.solves} integer programs solved"
    yield from _taken(answer.assumptions)


def _value(fleet: FleetPart) -> str:
    return "" if fleet.value is None else f"; {fleet.value:,.6g}, gap {fleet.gap or 0.0:.2g}"


def _taken(assumptions: Sequence[str]) -> Iterator[str]:
    yield ""
    yield "Assumptions"
    for each in assumptions:
        yield f"  {each}"


def _line(line: FleetLinePart, periods: Sequence[str]) -> Iterator[Any]:
    factor = " (a factor on what the plan says)" if line.unit == "1" and not line.whole else ""
    yield f"{line.path}{factor}: today {show(line.today, line.unit)}"
    table = _table(">from", ">to", "kinds bought", ">objective", ">points", ">largest gap", "")
    for run in bands(line.points):
        first, last = run[0], run[-1]
        ends = [_number(one.fleet) for one in (first, last)]
        mark = "<- today" if first.value <= line.today <= last.value else ""
        table.add_row(show(first.value, line.unit), show(last.value, line.unit), said(first.fleet, periods),
                      ends[0] if len(run) == 1 else " .. ".join(ends), f"{len(run)}",
                      f"{max(one.fleet.gap or 0.0 for one in run):.2g}", mark)  # fmt: skip
    yield table
    wide = [s for s in line.switches if not (s.narrow and s.proven)]
    widest = max((s.ratio for s in line.switches if s.ratio), default=None)
    yield ("No switch between the points of this range." if not line.switches else
           f"{counted(line)}, each between two neighbouring points"
           + (f" at most {widest - 1:.2%} apart" if widest else ""))  # fmt: skip
    if wide:
        yield f"{len(wide)} of them not narrowed, or not proven on both sides (--json)"


def _number(fleet: FleetPart) -> str:
    return "-" if fleet.value is None else f"{fleet.value:,.6g}"


def render_sensitivity(answer: FleetSensitivityAnswer) -> Iterator[Any]:
    """The parts of the answer in order."""
    yield f"Objective: {answer.objective} ({answer.unit}); each point a program with its proven bound"
    if answer.today.value is None:
        yield ("Infeasible: no fleet satisfies all limits; `codesign fleet` says what is in the way."
               if answer.status == "infeasible" else "Nothing found in the time given.")  # fmt: skip
        return
    yield f"Today: {said(answer.today, answer.periods)}{_value(answer.today)}"
    yield ""
    yield "Low and high of each input, one at a time (published; of demand chosen)"
    yield _tornado(answer)
    if len(answer.bars) > MOST:
        yield f"... and {len(answer.bars) - MOST} more (--json)"
    yield f"{len(answer.without_effect)} published ranges move nothing; {answer.solves} integer programs solved"
    yield ""
    if answer.shadows:
        yield "A step further of the limits that bind"
        yield _shadows(answer)
        yield ""
    binding = [f"{limit.name} in {period}" for period, limits in answer.limits.items() for limit in limits
               if limit.binding]  # fmt: skip
    yield f"Binding limits: {', '.join(binding) or 'none'}"
    yield from _taken(answer.assumptions)


def render_why_not(answer: FleetWhyNotAnswer) -> Iterator[Any]:
    """The parts of the answer in order."""
    yield f"Why not {answer.wanted}? Objective: {answer.objective} ({answer.unit})"
    yield f"Best fleet: {said(answer.best, answer.periods)}{_value(answer.best)}"
    if answer.absent:
        yield f"Not on offer: {answer.absent}"
    elif answer.status == "best":
        yield "The best fleet buys it."
    elif answer.other is not None:
        yield f"Best that buys it: {said(answer.other, answer.periods)}{_value(answer.other)}"
    if answer.behind is not None and answer.status != "best":
        yield f"Behind by {answer.behind:.3%}; at least {answer.at_least or 0.0:.3%} is proven"
    if answer.other is not None and answer.other.status == "infeasible":
        yield f"Lifted alone, each of these lets it in: {', '.join(answer.lets_in) or 'none'}"
    if answer.entry is not None:
        entry = answer.entry
        yield (f"Its price: bought at {entry.inside:.4g} times today's ({show(entry.price_usd, 'USD')}), not at "
               f"{entry.out:.4g}; then {said(entry.fleet, answer.periods)}{_value(entry.fleet)}")  # fmt: skip
    if answer.hopeless:
        yield f"Its price alone does not help: {answer.hopeless}"
    yield f"{answer.solves} integer programs solved"
    yield from _taken(answer.assumptions)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for name in columns:
        side: Literal["left", "right"] = "right" if name.startswith(">") else "left"
        table.add_column(name.lstrip(">"), justify=side, no_wrap=name.startswith(">") or name in ("input", "limit"))
    return table


def _tornado(answer: FleetSensitivityAnswer) -> Table:
    table = _table("input", ">low .. high", ">re-optimised", ">purchases kept", "kept, it fails", "bought then")
    for bar in answer.bars[:MOST]:
        ends = bar.low, bar.high
        table.add_row(
            bar.path + (" (choice)" if bar.confidence == "choice" else ""),
            " .. ".join(show(end.value, bar.unit) for end in ends),
            *(" .. ".join(_moved(fleet, answer) for fleet in fleets)
              for fleets in ([end.best for end in ends], [end.kept for end in ends])),
            "; ".join(f"{side}: {end.kept.why}" for side, end in _sides(bar) if end.kept.why), _then(bar, answer),
        )  # fmt: skip
    return table


def _sides(bar: FleetBarPart) -> tuple[tuple[str, FleetEndPart], tuple[str, FleetEndPart]]:
    return ("low", bar.low), ("high", bar.high)


def _moved(fleet: FleetPart, answer: FleetSensitivityAnswer) -> str:
    if fleet.value is None:
        return "no fleet" if fleet.status == "infeasible" else "not known"
    return f"{fleet.value / (answer.today.value or 1.0) - 1:+.1%}"


def _then(bar: FleetBarPart, answer: FleetSensitivityAnswer) -> str:
    """Only where other kinds are bought."""
    return "; ".join(f"{side}: {said(end.best, answer.periods)}" for side, end in _sides(bar)
                     if end.best.kinds != answer.today.kinds and end.best.kinds is not None)  # fmt: skip


def _shadows(answer: FleetSensitivityAnswer) -> Table:
    table = _table("limit", "period", ">allowed", ">step", ">gain", ">at least", ">at most")
    for row in answer.shadows:
        gains = ("-" if x is None else f"{x:,.4g}" for x in (row.gain, row.at_least, row.at_most))
        table.add_row(row.limit, row.period or "all", row.allowed, row.step, *gains)
    return table
