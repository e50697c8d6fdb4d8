"""Charts of switch points: the best system along one parameter, and all parameters by their nearest switch."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import altair as alt

from codesign.changes.switch_answer import BandPart, LinePart, NearPart, SwitchAnswer, SystemShort
from codesign.facts.units import show, si
from codesign.output.drawing import CHARACTER, COLOURS, INK, plain, title

WIDTH, HEIGHT, STRIP, ROW = 720, 220, 34, 17  # px
MOST_LEGEND, MOST_ROWS = 24, 30
NOTHING = "nothing fits"


@dataclass(frozen=True)
class _Run:
    """Neighbouring bands of one chip and layout, which differ in replicas alone."""

    number: int
    bands: tuple[BandPart, ...]

    @property
    def label(self) -> str:
        system = self.bands[0].system
        if system is None:
            return NOTHING
        counts = sorted({band.system.replicas for band in self.bands if band.system is not None})
        replicas = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        return f"{replicas} x {_name(system)}"


def _name(system: SystemShort | None) -> str:
    return NOTHING if system is None else system.shown.partition(" x ")[2]


def runs_of(bands: Sequence[BandPart]) -> list[_Run]:
    """The bands of a line, those of one chip and layout together."""
    grouped = [tuple(group) for _, group in groupby(bands, key=lambda band: _name(band.system))]
    return [_Run(i, group) for i, group in enumerate(grouped, 1)]


def scaled(line: LinePart) -> tuple[float, str]:
    """What a value is divided by to be read in the unit that people write, and that unit."""
    shown = show(max(abs(line.today), abs(line.high)), line.unit)
    name = shown.partition(" ")[2]
    if line.unit in ("USD", "USD/h"):
        factor = 1e6 if line.high >= 1e6 else 1.0
        return factor, line.unit if factor == 1.0 else "million " + line.unit
    return (si(f"1 {name}", line.unit), name) if name else (1.0, "")


def bands_chart(answer: SwitchAnswer, line: LinePart) -> Any:
    """The objective above, the bands below on the same axis; black rule: today; pale: published range."""
    factor, unit = scaled(line)
    runs = runs_of(line.bands)
    scale = alt.Scale(domain=[line.low / factor, line.high / factor], nice=False, zero=False)
    name = line.path + (f" ({unit})" if unit else "") + (" and others, by one factor" if line.also else "")
    upper = alt.layer(*_objective(answer, line, scale, factor)).properties(width=WIDTH, height=HEIGHT)
    lower = alt.layer(*_strip(line, runs, scale, factor, name)).properties(width=WIDTH, height=STRIP)
    head = title(
        f"{len(line.switches)} switches of the best system along {line.path}",
        f"{answer.objective}, mode {answer.mode}; dashed: today, {show(line.today, line.unit)}; white lines: replicas"
        + ("" if line.published_low is None else "; grey: published range"),
        *_legend(line, runs),
    )  # fmt: skip
    return plain(alt.vconcat(upper, lower, spacing=6).properties(title=head))


def _legend(line: LinePart, runs: Sequence[_Run]) -> list[str]:
    rows = [f"[{run.number}]  {run.label}: {show(run.bands[0].low, line.unit)} .. {show(run.bands[-1].high, line.unit)}"
            for run in runs[:MOST_LEGEND]]  # fmt: skip
    return [*rows, *([f"... and {len(runs) - MOST_LEGEND} more, in bands.csv"] if len(runs) > MOST_LEGEND else [])]


def _objective(answer: SwitchAnswer, line: LinePart, scale: alt.Scale, factor: float) -> list[Any]:
    rows = [
        {"x": value / factor, "y": objective, "band": i}
        for i, band in enumerate(line.bands)
        for value, objective in line.curve
        if objective is not None and band.low <= value <= band.high
    ]
    x = alt.X("x:Q", scale=scale, axis=alt.Axis(labels=False, title=None, ticks=False))
    heights = [row["y"] for row in rows] or [0.0]
    low, high = min(heights), max(heights)
    flat = high - low <= 1e-6 * high  # else its rounding is the picture
    ends = alt.Scale(domain=[low * 0.9, high * 1.1], zero=False) if flat else alt.Scale(zero=False)
    y = alt.Y("y:Q", scale=ends, title=f"{answer.objective}, {answer.unit}")
    layers = [_published(line, scale, factor)] if line.published_low is not None else []
    layers.append(alt.Chart(alt.InlineData(values=rows)).mark_line(strokeWidth=2, color=INK).encode(
        x=x, y=y, detail="band:N"))  # fmt: skip
    return [*layers, _today(line, scale, factor)]


def _published(line: LinePart, scale: alt.Scale, factor: float) -> Any:
    low, high = line.published_low or line.today, line.published_high or line.today
    ends = {"x": max(low, line.low) / factor, "x2": min(high, line.high) / factor}
    return alt.Chart(alt.InlineData(values=[ends])).mark_rect(color="#EEEEEE").encode(
        x=alt.X("x:Q", scale=scale), x2="x2:Q")  # fmt: skip


def _today(line: LinePart, scale: alt.Scale, factor: float) -> Any:
    values = [{"x": line.today / factor}] if line.low <= line.today <= line.high else []
    return alt.Chart(alt.InlineData(values=values)).mark_rule(strokeDash=[4, 3], color=INK).encode(
        x=alt.X("x:Q", scale=scale))  # fmt: skip


def _strip(line: LinePart, runs: Sequence[_Run], scale: alt.Scale, factor: float, name: str) -> list[Any]:
    px = WIDTH / (line.high - line.low)
    rows, texts = [], []
    for run in runs:
        colour = "#FFFFFF" if run.bands[0].system is None else COLOURS[(run.number - 1) % len(COLOURS)]
        rows += [{"x": band.low / factor, "x2": band.high / factor, "colour": colour, "system": run.label}
                 for band in run.bands]  # fmt: skip
        low, high = run.bands[0].low, run.bands[-1].high
        room = (high - low) * px / CHARACTER - 2
        short = f"[{run.number}]"
        text = next((t for t in (f"{short}  {run.label}", short) if len(t) <= room), "")
        texts.append({"x": (low + high) / 2 / factor, "text": text})
    x = alt.X("x:Q", scale=scale, title=name)
    boxes = alt.Chart(alt.InlineData(values=rows)).mark_rect(stroke="#FFFFFF", strokeWidth=0.8).encode(
        x=x, x2="x2:Q", color=alt.Color("colour:N", scale=None), tooltip=["system:N"])  # fmt: skip
    ends = [{"x": run.bands[0].low / factor, "x2": run.bands[-1].high / factor} for run in runs]
    frames = alt.Chart(alt.InlineData(values=ends)).mark_rect(filled=False, stroke="#444444", strokeWidth=1).encode(
        x=x, x2="x2:Q")  # fmt: skip
    words = alt.Chart(alt.InlineData(values=texts)).mark_text(fontSize=10, color=INK).encode(x=x, text="text:N")
    return [boxes, frames, words]


def ranking_chart(answer: SwitchAnswer) -> Any:
    """A row a parameter: how far its nearest switches are, as factors of today's value, over what is published."""
    near = [row for row in answer.ranking if row.nearest is not None][:MOST_ROWS]
    order = [row.path for row in near]
    y = alt.Y("path:N", sort=order, title=None, axis=alt.Axis(labelLimit=0, grid=True, domain=False, ticks=False))
    factors = [point["x"] for row in near for point in _marks(row)] + [p[k] for r in near for p in _ranges(r) for k in p
                                                                     if k != "path"]  # fmt: skip
    domain = [min(0.95, *factors) / 1.02, max(1.05, *factors) * 1.02]
    scale = alt.Scale(type="log", domain=domain, nice=False)
    x = alt.X("x:Q", scale=scale, title="factor of today's value", axis=alt.Axis(values=_ticks(*domain), format="~g"))
    published = alt.Chart(alt.InlineData(values=[p for row in near for p in _ranges(row)])).mark_bar(
        color="#CFCFCF", height=7).encode(x=x, x2="x2:Q", y=y)  # fmt: skip
    shapes = alt.Scale(domain=["another chip or memory", "another layout", "replicas only"],
                       range=["square", "circle", "triangle-up"])  # fmt: skip
    colours = alt.Scale(domain=shapes.domain, range=["#D55E00", "#0072B2", "#777777"])
    legend = alt.Legend(title=None, orient="top", symbolSize=90, labelLimit=0)
    marks = alt.Chart(alt.InlineData(values=[m for row in near for m in _marks(row)])).mark_point(
        filled=True, size=75, opacity=1).encode(
        x=x, y=y, shape=alt.Shape("kind:N", scale=shapes, legend=legend),
        color=alt.Color("kind:N", scale=colours, legend=legend))  # fmt: skip
    today = alt.Chart(alt.InlineData(values=[{"x": 1.0}])).mark_rule(strokeDash=[4, 3], color=INK).encode(x=x)
    head = title(
        "What to know better before you sign: how far each input is from another best system",
        f"{answer.objective}, mode {answer.mode}; one input at a time; grey bar: what is published",
    )  # fmt: skip
    return plain(alt.layer(published, today, marks).properties(width=520, height=ROW * len(near), title=head))


def _ranges(row: NearPart) -> list[dict[str, Any]]:
    if row.published_low is None or row.published_high is None:
        return []
    return [{"path": row.path, "x": row.published_low / row.today, "x2": row.published_high / row.today}]


def _marks(row: NearPart) -> list[dict[str, Any]]:
    moved = set(row.changes)
    kind = "another chip or memory" if moved & {"chip", "memory", "feasible"} else (
        "another layout" if "layout" in moved else "replicas only")  # fmt: skip
    return [{"path": row.path, "x": (row.nearest or 0.0) / row.today, "kind": kind}]


def _ticks(low: float, high: float) -> list[float]:
    marks = (0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
    return [mark for mark in marks if low <= mark <= high]
