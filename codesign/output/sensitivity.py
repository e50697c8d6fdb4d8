"""The tornado, shadow prices and binding limits on the terminal."""

from collections.abc import Iterator
from typing import Any, Literal

from codesign.changes.sensitivity_answer import BarPart, EndPart, SensitivityAnswer
from codesign.facts.units import show
from codesign.output.text import Table

MOST = 25


def render(answer: SensitivityAnswer) -> Iterator[Any]:
    """The parts of the answer in order."""
    yield f"Objective: {answer.objective} ({answer.unit}), mode {answer.mode}"
    if answer.system is None or answer.value is None:
        yield "Infeasible: no system satisfies all limits; `codesign best` says what is in the way."
        return
    yield f"Today: {answer.system.shown}, {answer.value:.6g}"
    if answer.status == "undecided":
        yield "Not all of it is proven in the time given."
    yield ""
    yield "Published low and high of each input, one at a time"
    yield _tornado(answer)
    if len(answer.bars) > MOST:
        yield f"... and {len(answer.bars) - MOST} more (--json)"
    yield f"{len(answer.without_effect)} published ranges move nothing."
    yield ""
    yield "One more unit"
    yield _shadows(answer)
    yield ""
    binding = [f"{limit.name} ({show(limit.used, limit.unit)} of {show(limit.allowed, limit.unit)})"
               for limit in answer.limits if limit.binding]  # fmt: skip
    yield f"Binding limits: {', '.join(binding) or 'none'}"
    yield ""
    yield "Assumptions"
    for said in answer.assumptions:
        yield f"  {said}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for name in columns:
        side: Literal["left", "right"] = "right" if name.startswith(">") else "left"
        table.add_column(name.lstrip(">"), justify=side, no_wrap="then" not in name)
    return table


def _tornado(answer: SensitivityAnswer) -> Table:
    table = _table("input", ">today", ">low .. high", ">re-optimised", ">design kept", "kept, it breaks", "best then")
    for bar in answer.bars[:MOST]:
        ends = bar.low, bar.high
        table.add_row(
            bar.path, show(bar.today, bar.unit), " .. ".join(show(end.value, bar.unit) for end in ends),
            " .. ".join(_moved(end.best, answer) for end in ends), " .. ".join(_kept(end, answer) for end in ends),
            ", ".join(sorted({limit for end in ends for limit in end.breaks})), _then(bar, answer),
        )  # fmt: skip
    return table


def _moved(value: float | None, answer: SensitivityAnswer) -> str:
    return "none fits" if value is None else f"{value / (answer.value or 1.0) - 1:+.1%}"


def _kept(end: EndPart, answer: SensitivityAnswer) -> str:
    return "does not run" if end.kept is None else _moved(end.kept, answer)


def _then(bar: BarPart, answer: SensitivityAnswer) -> str:
    ends = [(side, end.system) for side, end in (("low", bar.low), ("high", bar.high))]
    other = [(side, system) for side, system in ends if system is not None and system != answer.system]
    return "; ".join(f"{side}: {system.shown}" for side, system in other)


def _shadows(answer: SensitivityAnswer) -> Table:
    table = _table("of", "step", ">objective", "next change of system at", "then")
    for row in answer.shadows:
        at = "none within a factor of 10" if row.next_value is None else show(row.next_value, row.unit)
        gain = "-" if row.relative is None else f"{row.relative:+.4%}"
        table.add_row(row.path, row.step, gain, at, "" if row.next_system is None else row.next_system.shown)
    return table

