"""Charts of a fleet plan's answers: the objective and the kinds bought along a parameter, and the tornado."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from codesign.changes.switch_plan_answer import (
    FleetBarPart,
    FleetLinePart,
    FleetPart,
    FleetSensitivityAnswer,
    FleetSwitchAnswer,
    PointPart,
    bands,
    counted,
    said,
)
from codesign.facts.units import show
from codesign.output.drawing import COLOURS, INK, plain, title
from codesign.output.sensitivity_files import HIGH, LOW, UPRIGHT

WIDTH, HEIGHT, STRIP, ROW = 720, 220, 34, 26  # px
MOST, MOST_LEGEND = 18, 24
WORDS = 8.0    # px that a number needs


def line_chart(answer: FleetSwitchAnswer, line: FleetLinePart) -> Any:
    """Points solved above, joined where the same kinds are bought; the kinds below, numbered; dashed: today."""
    runs = bands(line.points)
    numbered = _numbered(runs, answer.periods)
    scale = alt.Scale(type="log", domain=[line.low, line.high], nice=False)
    upper = alt.layer(*_objective(answer, line, runs, scale)).properties(width=WIDTH, height=HEIGHT)
    lower = alt.layer(*_strip(line, runs, numbered, scale, answer.periods)).properties(width=WIDTH, height=STRIP)
    legend = [f"[{n}]  {text}" for text, n in numbered.items()]
    more = [f"... and {len(legend) - MOST_LEGEND} more, in points.csv"] if len(legend) > MOST_LEGEND else []
    head = title(
        f"{counted(line)} of the kinds bought along {line.path}",
        f"{answer.objective}; dots: programs solved; dashed: today, {show(line.today, line.unit)}; "
        "lines guide the eye; gaps: a switch lies in between", *legend[:MOST_LEGEND], *more,
    )  # fmt: skip
    return plain(alt.vconcat(upper, lower, spacing=6).properties(title=head))


def _numbered(runs: Sequence[Sequence[PointPart]], periods: Sequence[str]) -> dict[str, int]:
    """A number for each choice of kinds, in the order of the line."""
    found: dict[str, int] = {}
    for run in runs:
        found.setdefault(said(run[0].fleet, periods), len(found) + 1)
    return found


def _objective(answer: FleetSwitchAnswer, line: FleetLinePart, runs: Sequence[Sequence[PointPart]],
               scale: alt.Scale) -> list[Any]:  # fmt: skip
    rows = [{"x": p.value, "y": p.fleet.value, "run": i} for i, run in enumerate(runs) for p in run
            if p.fleet.value is not None]  # fmt: skip
    x = alt.X("x:Q", scale=scale, axis=alt.Axis(labels=False, title=None, ticks=False, grid=False))
    heights = [row["y"] for row in rows if row["y"] is not None] or [0.0]
    flat = max(heights) - min(heights) <= 1e-6 * max(heights)  # else its rounding is the picture
    ends = alt.Scale(domain=[min(heights) * 0.9, max(heights) * 1.1]) if flat else alt.Scale(zero=False)
    y = alt.Y("y:Q", scale=ends, title=f"objective, {answer.unit}", axis=alt.Axis(format="~s"))
    data = alt.InlineData(values=rows)
    drawn = alt.Chart(data).mark_line(strokeWidth=1.6, color=INK).encode(x=x, y=y, detail="run:N")
    dots = alt.Chart(data).mark_point(filled=True, size=28, color=INK, opacity=1).encode(x=x, y=y)
    today = [{"x": line.today}] if line.low <= line.today <= line.high else []
    rule = alt.Chart(alt.InlineData(values=today)).mark_rule(strokeDash=[4, 3], color=INK).encode(x=x)
    return [drawn, dots, rule]


def _strip(line: FleetLinePart, runs: Sequence[Sequence[PointPart]], numbered: dict[str, int],
           scale: alt.Scale, periods: Sequence[str]) -> list[Any]:  # fmt: skip
    rows = []
    for i, run in enumerate(runs):
        low = run[0].value if i == 0 else math.sqrt(runs[i - 1][-1].value * run[0].value)
        high = run[-1].value if i == len(runs) - 1 else math.sqrt(run[-1].value * runs[i + 1][0].value)
        text = said(run[0].fleet, periods)
        number = numbered[text]
        empty = run[0].fleet.kinds is None
        px = WIDTH * math.log(high / low) / math.log(line.high / line.low) if high > low else 0.0
        rows.append({"x": low, "x2": high, "middle": math.sqrt(low * high), "text": f"[{number}]" if px > 3 * WORDS else
                     f"{number}" if px > WORDS else "", "said": text,
                     "colour": "#FFFFFF" if empty else COLOURS[(number - 1) % len(COLOURS)]})  # fmt: skip
    name = line.path + (": factor on what the plan says" if line.unit == "1" and not line.whole else f" ({line.unit})")
    axis = alt.Axis(grid=False, format="~s" if line.high >= 1000 else "~g", values=_ticks(line))
    data = alt.InlineData(values=rows)
    x = alt.X("x:Q", scale=scale, title=name, axis=axis)
    boxes = alt.Chart(data).mark_rect(stroke="#444444", strokeWidth=0.8).encode(
        x=x, x2="x2:Q", color=alt.Color("colour:N", scale=None), tooltip=["said:N"])  # fmt: skip
    words = alt.Chart(data).mark_text(fontSize=10, color=INK).encode(
        x=alt.X("middle:Q", scale=scale, title=name, axis=axis), text="text:N")  # fmt: skip
    return [boxes, words]


def _ticks(line: FleetLinePart) -> list[float]:
    """About seven round values, even on a logarithmic axis."""
    found = (float(f"{line.low * (line.high / line.low) ** (i / 6):.2g}") for i in range(7))
    return sorted({value for value in found if line.low <= value <= line.high})


def tornado_chart(answer: FleetSensitivityAnswer) -> Any:
    """Bars: the best fleet at both ends; marks: exactly today's purchases there; a cross at 0: they do not do."""
    shown = answer.bars[:MOST]
    order = [_label(bar) for bar in shown]
    rows = [row for bar in shown for row in _rows(bar, answer)]
    reach = [value for row in rows for value in (row["best"], row["kept"], 0.0) if value is not None]
    spare = max((max(reach) - min(reach)) * 0.04, 1e-4)
    scale = alt.Scale(domain=[min(reach) - spare, max(reach) + spare], nice=False)
    x = alt.X("best:Q", title="change of the objective against today's best fleet", axis=alt.Axis(format="+.0%"),
              scale=scale)  # fmt: skip
    y = alt.Y("input:N", sort=order, title=None, axis=alt.Axis(labelLimit=0, domain=False, ticks=False))
    data = alt.InlineData(values=rows)
    ends = alt.Color("end:N", scale=alt.Scale(domain=["at its low", "at its high"], range=[LOW, HIGH]),
                     legend=alt.Legend(title=None, orient="top", labelLimit=0))  # fmt: skip
    bars = alt.Chart(data).mark_bar(height=ROW * 0.55, stroke="#444444", strokeWidth=0.6).encode(x=x, y=y, color=ends)
    marks = alt.Chart(data).mark_point(size=70, color=INK, strokeWidth=1.6, opacity=1).encode(
        x=alt.X("kept:Q", scale=scale), y=y, shape=alt.Shape("mark:N", scale=alt.Scale(
            domain=["today's purchases kept", "... and they do not do"], range=[UPRIGHT, "cross"]),
            legend=alt.Legend(title=None, orient="top", labelLimit=0)))  # fmt: skip
    zero = alt.Chart(alt.InlineData(values=[{"best": 0}])).mark_rule(color=INK).encode(x=x)
    head = title(
        f"{shown[0].path} moves the plan most",
        f"{answer.objective}, today {answer.today.value:,.6g} {answer.unit}; one input at a time",
        "Bars: bought anew; ticks: exactly today's purchases; crosses: these fail (too little, or over a limit);",
        "a cross without a bar: there is no fleet at all",
    )  # fmt: skip
    return plain(alt.layer(bars, zero, marks).properties(width=560, height=ROW * len(shown), title=head))


def _label(bar: FleetBarPart) -> str:
    ends = f"{show(bar.low.value, bar.unit)} .. {show(bar.high.value, bar.unit)}"
    return f"{bar.path}: {ends}" + (" (choice)" if bar.confidence == "choice" else "")


def _rows(bar: FleetBarPart, answer: FleetSensitivityAnswer) -> list[dict[str, Any]]:
    """Where purchases kept do not do, the cross stands at the end of the bar."""
    rows = []
    for name, end in (("low", bar.low), ("high", bar.high)):
        best, kept = _moved(end.best, answer), _moved(end.kept, answer)
        rows.append({"input": _label(bar), "end": f"at its {name}", "best": best,
                     "kept": (best or 0.0) if kept is None else kept,
                     "mark": "... and they do not do" if kept is None else "today's purchases kept"})  # fmt: skip
    return rows


def _moved(fleet: FleetPart, answer: FleetSensitivityAnswer) -> float | None:
    return None if fleet.value is None or not answer.today.value else fleet.value / answer.today.value - 1
