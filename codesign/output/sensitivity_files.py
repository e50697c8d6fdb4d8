"""answer.json, tornado.csv, shadow.csv and the tornado (PNG, SVG, HTML)."""

from pathlib import Path
from typing import Any

import altair as alt

from codesign.changes.sensitivity_answer import BarPart, SensitivityAnswer
from codesign.facts.cells import csv_text
from codesign.facts.units import show
from codesign.output.drawing import FORMATS, INK, plain, save, title
from codesign.output.files import write_folder

FILES = ("answer.json", "tornado.csv", "shadow.csv", *(f"tornado.{kind}" for kind in FORMATS))
TORNADO = ("input", "unit", "today", "end", "value", "objective", "relative", "system", "kept_objective",
           "kept_relative", "kept_breaks")  # fmt: skip
SHADOW = ("of", "unit", "step", "gain", "relative", "next_value", "next_system")
MOST, ROW, WIDTH = 18, 26, 560
UPRIGHT = "M0,-1.4V1.4"  # a tick, as a legend can show it
LOW, HIGH = "#F0C060", "#0072B2"  # apart in lightness too


def write_sensitivity(folder: Path, answer: SensitivityAnswer) -> None:
    """Write the folder whole or not at all."""

    def fill(stage: Path) -> None:
        (stage / "answer.json").write_text(answer.document() + "\n", encoding="utf-8")
        (stage / "tornado.csv").write_text(_tornado(answer), encoding="utf-8")
        (stage / "shadow.csv").write_text(_shadow(answer), encoding="utf-8")
        if answer.bars:
            save(stage, "tornado", tornado_chart(answer))

    write_folder(folder, fill, FILES)


def _relative(value: float | None, answer: SensitivityAnswer) -> float | None:
    return None if value is None or not answer.value else value / answer.value - 1


def _tornado(answer: SensitivityAnswer) -> str:
    rows: list[list[object]] = []
    for bar in answer.bars:
        for name, end in (("low", bar.low), ("high", bar.high)):
            rows.append([bar.path, bar.unit, bar.today, name, end.value, end.best, _relative(end.best, answer),
                         "" if end.system is None else end.system.shown, end.kept, _relative(end.kept, answer),
                         " ".join(end.breaks)])  # fmt: skip
    return csv_text(TORNADO, rows)


def _shadow(answer: SensitivityAnswer) -> str:
    rows: list[list[object]] = []
    for row in answer.shadows:
        rows.append([row.path, row.unit, row.step, row.gain, row.relative, row.next_value,
                     "" if row.next_system is None else row.next_system.shown])  # fmt: skip
    return csv_text(SHADOW, rows)


def tornado_chart(answer: SensitivityAnswer) -> Any:
    """Bars: the best system at both published ends; marks: today's design there, crossed where it breaks a limit."""
    shown = answer.bars[:MOST]
    order = [_label(bar) for bar in shown]
    y = alt.Y("input:N", sort=order, title=None, axis=alt.Axis(labelLimit=0, domain=False, ticks=False))
    rows = [row for bar in shown for row in _rows(bar, answer)]
    reach = [x for row in rows for x in (row["best"], row["kept"], 0.0) if x is not None]
    spare = (max(reach) - min(reach)) * 0.04
    scale = alt.Scale(domain=[min(reach) - spare, max(reach) + spare], nice=False)
    x = alt.X("best:Q", title=f"change of {answer.objective} against today's best system",
              axis=alt.Axis(format="+.0%"), scale=scale)  # fmt: skip
    data = alt.InlineData(values=rows)
    ends = alt.Color("end:N", scale=alt.Scale(domain=["at its published low", "at its published high"],
                     range=[LOW, HIGH]), legend=alt.Legend(title=None, orient="top", labelLimit=0))  # fmt: skip
    bars = alt.Chart(data).mark_bar(height=ROW * 0.55, stroke="#444444", strokeWidth=0.6).encode(x=x, y=y, color=ends)
    marks = alt.Chart(data).mark_point(size=70, color=INK, strokeWidth=1.6, opacity=1).encode(
        x=alt.X("kept:Q"), y=y, shape=alt.Shape("mark:N", scale=alt.Scale(
            domain=["today's design kept", "... and breaks a limit"], range=[UPRIGHT, "cross"]),
            legend=alt.Legend(title=None, orient="top", labelLimit=0)))  # fmt: skip
    zero = alt.Chart(alt.InlineData(values=[{"best": 0}])).mark_rule(color=INK).encode(x=x)
    system = "" if answer.system is None else answer.system.shown
    head = title(
        f"{answer.bars[0].path} moves the answer most",
        f"Today: {system}, {answer.value:.6g} {answer.unit}, mode {answer.mode}; one input at a time",
        "Bars: the best system is chosen again; marks: today's chip, layout and replicas, the batch free",
    )  # fmt: skip
    return plain(alt.layer(bars, zero, marks).properties(width=WIDTH, height=ROW * len(shown), title=head))


def _label(bar: BarPart) -> str:
    return f"{bar.path}: {show(bar.low.value, bar.unit)} .. {show(bar.high.value, bar.unit)}"


def _rows(bar: BarPart, answer: SensitivityAnswer) -> list[dict[str, Any]]:
    return [
        {"input": _label(bar), "end": f"at its published {name}", "best": _relative(end.best, answer),
         "kept": _relative(end.kept, answer),
         "mark": "... and breaks a limit" if end.breaks else "today's design kept"}
        for name, end in (("low", bar.low), ("high", bar.high))
    ]  # fmt: skip
