"""The chart of a frontier: a staircase, each change of system numbered, colours and shapes by memory.

Two axes are one staircase. Of three, the third is held at a few levels, a panel each: the staircase of the points that
are no worse there. Numbers name the systems, so nothing rests on colour alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import numpy as np

from codesign.changes.frontier_answer import AxisPart, FrontierAnswer, NamedSystem
from codesign.output.drawing import CHARACTER, INK, across, down, plain, texts, title
from codesign.output.frontier import quantity
from codesign.output.text import count

WIDTH, HEIGHT = 640, 440      # px of the plot
PANEL = 440, 300              # px of one of several
MANY = 100                    # dots, from which on they are small
ROW = 15                      # px of a line of the list of systems
LEVELS = 4                    # of a third axis
WIDE = 20                     # largest over least, from which on an axis is logarithmic
# Okabe and Ito: apart for colour-blind readers; shapes tell them apart in black and white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
SCALES = {"USD": (1e6, "million dollars"), "USD/h": (1.0, "dollars per hour"), "W": (1e3, "kW"),
          "chips": (1.0, "chips"), "tokens/s": (1.0, "tokens/s")}  # fmt: skip


@dataclass(frozen=True)
class _Dot:
    values: tuple[float, ...]
    system: NamedSystem


@dataclass(frozen=True)
class _Line:
    """One staircase, its dots along the first axis."""

    name: str
    dots: tuple[_Dot, ...]


@dataclass(frozen=True)
class _Scale:
    """One axis in px; `log` where it spans much."""

    axis: AxisPart
    low: float
    high: float
    log: bool
    length: float

    def px(self, value: float) -> float:
        a, b, x = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (x - a) / (b - a) * self.length

    def value(self, px: float) -> float:
        """What stands at a place, in the unit of the axis as drawn."""
        a, b = (math.log(v) if self.log else v for v in (self.low, self.high))
        x = a + px / self.length * (b - a)
        return (math.exp(x) if self.log else x) / SCALES[self.axis.unit][0]

    def channel(self, field: str, kind: Any) -> Any:
        factor, unit = SCALES[self.axis.unit]
        name = self.axis.name.replace("-", " ")
        ticks = {"values": self._decades(factor)} if self.log else {"tickCount": 6}
        shown = alt.Axis(title=f"{name}, {unit}" if unit not in (name, "dollars per hour") else unit, grid=True,
                         format=",.6~g", **ticks)  # fmt: skip
        scale = alt.Scale(type="log" if self.log else "linear", nice=False, zero=False,
                          domain=[self.low / factor, self.high / factor])  # fmt: skip
        return kind(f"{field}:Q", scale=scale, axis=shown)

    def _decades(self, factor: float) -> list[float]:
        """Powers of ten, and between them 2 and 5 where there are few."""
        low, high = self.low / factor, self.high / factor
        steps = (1.0,) if high > 1e3 * low else (1.0, 2.0, 5.0)
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        return [s * 10.0**k for k in powers for s in steps if low <= s * 10.0**k <= high]


def chart(answer: FrontierAnswer) -> Any:
    """The drawing; raises ValueError for a frontier without points."""
    if not answer.steps:
        raise ValueError("a frontier without points")
    dots = [_Dot(tuple(p.values[axis.name] for axis in answer.axes), step.system)
            for step in answer.steps for p in step.points]  # fmt: skip
    lines = _lines(answer.axes, dots)
    size = (WIDTH, HEIGHT) if len(lines) == 1 else PANEL
    x, y = (_scale(answer.axes[i], [d.values[i] for line in lines for d in line.dots], size[i]) for i in (0, 1))
    numbers = {name: i for i, name in enumerate(dict.fromkeys(d.system.name for line in lines for d in line.dots), 1)}
    families = sorted({d.system.memory_family for line in lines for d in line.dots})
    panels = [_panel(answer, line, families, numbers, x, y) for line in lines]
    rows = [alt.hconcat(*panels[i : i + 2], spacing=20) for i in range(0, len(panels), 2)]
    height = len(rows) * (size[1] + 60)
    drawn = alt.hconcat(alt.vconcat(*rows, spacing=16), _listed(numbers, height), spacing=12)
    return plain(drawn.properties(title=_title(answer, len(numbers))))


def _panel(
    answer: FrontierAnswer, line: _Line, families: list[str], numbers: dict[str, int], x: _Scale, y: _Scale
) -> Any:
    plot = alt.layer(_stairs(answer, line, x, y), _dots(line, families, x, y), *_tags(line, numbers, x, y))
    heading = alt.TitleParams(line.name, fontSize=11, anchor="start")
    return plot.properties(width=x.length, height=y.length, title=heading)


def _lines(axes: Sequence[AxisPart], dots: list[_Dot]) -> list[_Line]:
    if len(axes) == 2:
        return [_Line("", tuple(dots))]
    third = axes[2]
    up = third.better == "more"
    values = sorted({d.values[2] for d in dots})
    ends = np.quantile(values, np.linspace(0, 1, LEVELS + 1)[:-1] if up else np.linspace(0, 1, LEVELS + 1)[1:])
    found = []
    for level in dict.fromkeys(_round(float(v), up) for v in ends):
        able = [d for d in dots if (d.values[2] >= level if up else d.values[2] <= level)]
        stair = _staircase(axes, able)
        if stair:
            side = "at least" if up else "at most"
            shown = quantity(level, third.unit).replace("tok/", "tokens/")
            found.append(_Line(f"{third.name.replace('-', ' ')} {side} {shown}", stair))
    return found


def _round(value: float, up: bool) -> float:
    """Two digits, to the side that keeps the end."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return (math.floor if up else math.ceil)(value / unit) * unit


def _staircase(axes: Sequence[AxisPart], dots: list[_Dot]) -> tuple[_Dot, ...]:
    """Those that none beats on the first two axes, along the first."""
    signs = [1 if axis.better == "more" else -1 for axis in axes]
    best, found = -math.inf, []
    for d in sorted(dots, key=lambda d: (-signs[0] * d.values[0], -signs[1] * d.values[1])):
        if signs[1] * d.values[1] > best:
            best = signs[1] * d.values[1]
            found.append(d)
    return tuple(sorted(found, key=lambda d: d.values[0]))


def _scale(axis: AxisPart, values: list[float], length: float) -> _Scale:
    low, high = min(values), max(values)
    if high > WIDE * low:
        return _Scale(axis, low / 1.15, high * 1.25, True, length)
    room = max(high - low, 0.1 * high)
    return _Scale(axis, max(low - 0.06 * room, 0.0), high + 0.08 * room, False, length)


def _row(d: _Dot, x: _Scale, y: _Scale, **more: Any) -> dict[str, Any]:
    return {"x": d.values[0] / SCALES[x.axis.unit][0], "y": d.values[1] / SCALES[y.axis.unit][0]} | more


def _stairs(answer: FrontierAnswer, line: _Line, x: _Scale, y: _Scale) -> Any:
    """The best of the second axis from each point on."""
    corner: Literal["step-after", "step-before"] = (
        "step-after" if answer.axes[0].better == "less" else "step-before")  # fmt: skip
    drawn = alt.Chart(alt.InlineData(values=[_row(d, x, y) for d in line.dots]))
    return drawn.mark_line(interpolate=corner, color="#555555", strokeWidth=1.2).encode(
        x=x.channel("x", alt.X), y=y.channel("y", alt.Y))  # fmt: skip


def _dots(line: _Line, families: list[str], x: _Scale, y: _Scale) -> Any:
    rows = [_row(d, x, y, memory=d.system.memory_family, system=d.system.name) for d in line.dots]
    legend = alt.Legend(title="memory", orient="bottom", direction="horizontal", columns=8, symbolSize=70,
                        labelFontSize=11)  # fmt: skip
    colours, shapes = list(COLOURS[: len(families)]), list(SHAPES[: len(families)])
    size = 38 if len(rows) < MANY else 14
    return alt.Chart(alt.InlineData(values=rows)).mark_point(filled=True, size=size, opacity=1).encode(
        x=x.channel("x", alt.X), y=y.channel("y", alt.Y),
        color=alt.Color("memory:N", scale=alt.Scale(domain=families, range=colours), legend=legend),
        shape=alt.Shape("memory:N", scale=alt.Scale(domain=families, range=shapes), legend=legend),
        tooltip=["system:N", "x:Q", "y:Q"],
    )  # fmt: skip


def _tags(line: _Line, numbers: dict[str, int], x: _Scale, y: _Scale) -> list[Any]:
    """The number of a system where the line comes to it, moved off what is there already."""
    places = [(x.px(d.values[0]), y.length - y.px(d.values[1])) for d in line.dots]
    taken = [(px, py, 5.0) for px, py in places]
    rows = []
    for before, d, (px, py) in zip((None, *line.dots[:-1]), line.dots, places, strict=True):
        if before is not None and before.system.name == d.system.name:
            continue
        text = str(numbers[d.system.name])
        spot = _free(px, py, len(text) * CHARACTER, taken, (x.length, y.length))
        if spot is not None:
            taken.append((*spot, 3.0 + len(text) * CHARACTER / 2))
            rows.append(_row(d, x, y, text=text, x2=x.value(spot[0]), y2=y.value(y.length - spot[1])))
    thin = alt.Chart(alt.InlineData(values=rows)).mark_rule(color="#999999", strokeWidth=0.6).encode(
        x=x.channel("x", alt.X), y=y.channel("y", alt.Y), x2="x2:Q", y2="y2:Q")  # fmt: skip
    at = x.channel("x2", alt.X), y.channel("y2", alt.Y)
    bold = {"fontSize": 11, "fontWeight": "bold"}
    return [thin, texts(rows, *at, **bold, stroke="white", strokeWidth=3), texts(rows, *at, **bold)]


def _free(
    x: float, y: float, width: float, taken: list[tuple[float, float, float]], size: tuple[float, float]
) -> tuple[float, float] | None:
    """The nearest place around a dot, inside the plot, that touches nothing; None: there is none."""
    for away in (14, 22, 32, 44, 58):
        for degrees in (135, 90, 180, 45, 315, 0, 270, 225):  # above, and left of it, first
            px, py = x + away * math.cos(math.radians(degrees)), y - away * math.sin(math.radians(degrees))
            inside = width < px < size[0] - width and 8 < py < size[1] - 8
            if inside and all(math.hypot(px - a, py - b) > r + width / 2 + 2 for a, b, r in taken):
                return px, py
    return None


def _listed(numbers: dict[str, int], height: float) -> Any:
    """What the numbers mean."""
    said = [f"{number}  {name}" for name, number in numbers.items()]
    rows = [{"x": 0, "y": i * ROW + 10, "text": text} for i, text in enumerate(said)]
    height = max(height, len(said) * ROW + ROW)
    width = max(map(len, said)) * CHARACTER * 1.05
    return texts(rows, across("x", width), down("y", height), align="left", color=INK, fontSize=11).properties(
        width=width, height=height)  # fmt: skip


def _title(answer: FrontierAnswer, systems: int) -> alt.TitleParams:
    names = " against ".join(axis.name.replace("-", " ") for axis in answer.axes)
    return title(
        f"{names}: {count(answer.points, 'point')} that nothing beats, {count(systems, 'system')} drawn",
        f"{answer.query['model']}, {answer.query['context']:,} tokens of context, mode {answer.mode}; every change of "
        f"system {'proven' if answer.status == 'proven' else 'not all proven'}",
        "A number is the system that the line comes to there, named on the right; the line goes on to the next point",
    )
