"""frontier.json, frontier.csv (a row a point, SI) and the chart of a fleet plan's dollars and power."""

from pathlib import Path
from typing import Any

import altair as alt

from codesign.changes.frontier_plan_answer import FleetFrontierAnswer, FrontierPlanPart
from codesign.facts.cells import csv_text
from codesign.facts.units import show
from codesign.output.drawing import FORMATS, INK, plain, save, texts, title
from codesign.output.files import write_folder

FILES = ("frontier.json", "frontier.csv", *(f"frontier.{kind}" for kind in FORMATS))
WIDTH, HEIGHT = 640, 360  # px
ROOM = 0.12               # of an axis, beyond its ends
MONEY = ((1e9, "billion dollars"), (1e6, "million dollars"), (1e3, "thousand dollars"), (1.0, "dollars"))
WATTS = ((1e6, "MW"), (1e3, "kW"), (1.0, "W"))


def write_fleet_frontier(folder: Path, answer: FleetFrontierAnswer) -> None:
    """Write the folder whole or not at all; a plan without a fleet has no chart."""

    def fill(stage: Path) -> None:
        (stage / "frontier.json").write_text(answer.document() + "\n", encoding="utf-8")
        (stage / "frontier.csv").write_text(table(answer), encoding="utf-8")
        if answer.points:
            save(stage, "frontier", chart(answer))

    write_folder(folder, fill, FILES)


def table(answer: FleetFrontierAnswer) -> str:
    """The points as CSV, a column of servers bought for each kind and period."""
    chips = sorted({chip for one in answer.points for chip in one.fleet.bought or {}})
    header = ("point", "dollars_usd", "bound_usd", "gap", "power_w", "status", "capital_usd",
                     *(f"power_limit_w {period}" for period in answer.periods),
                     *(f"{chip} {period}" for chip in chips for period in answer.periods))  # fmt: skip
    rows: list[tuple[object, ...]] = []
    for number, one in enumerate(answer.points, 1):
        none, bought = (0,) * len(answer.periods), one.fleet.bought or {}
        rows.append((number, one.dollars, one.fleet.bound, one.fleet.gap, one.power_w, one.fleet.status,
                     one.fleet.capital_usd, *one.power_limit_w,
                     *(n for chip in chips for n in bought.get(chip, none))))  # fmt: skip
    return csv_text(header, rows)


def chart(answer: FleetFrontierAnswer) -> Any:
    """Solved points, numbered; the dashed steps are what they prove feasible, not the frontier between them."""
    points = answer.points
    usd, money = next(pair for pair in MONEY if pair[0] <= max(p.dollars for p in points) or pair[0] == 1.0)
    watt, power = next(pair for pair in WATTS if pair[0] <= max(p.power_w for p in points) or pair[0] == 1.0)
    rows: list[dict[str, Any]] = [{"x": p.power_w / watt, "y": p.dollars / usd, "text": str(i)}
                                  for i, p in enumerate(points, 1)]  # fmt: skip
    x = alt.X("x:Q", scale=_scale([row["x"] for row in rows]), title=f"mean provisioned power, {power}")
    y = alt.Y("y:Q", scale=_scale([row["y"] for row in rows]), title=f"cost of all periods, {money}")
    data = alt.InlineData(values=rows)
    steps = alt.Chart(data).mark_line(interpolate="step-after", strokeDash=[4, 3], strokeWidth=1.2, color="#777777")
    dots = alt.Chart(data).mark_point(filled=True, size=60, color=INK, opacity=1)
    drawn = alt.layer(steps.encode(x=x, y=y), dots.encode(x=x, y=y),
                      texts(rows, x, y, dx=9, dy=-9, fontSize=12, fontWeight="bold"))  # fmt: skip
    head = title(
        f"{show(points[0].power_w, 'W')} at {show(points[0].dollars, 'USD')} to {show(points[-1].power_w, 'W')} at "
        f"{show(points[-1].dollars, 'USD')}" if len(points) > 1 else "One fleet is best on both axes",
        "Dots: fleets of proven least cost within their power; dashed: what they alone show, others may lie below",
        *(f"[{i}]  {_listed(p)}" for i, p in enumerate(points, 1)),
    )  # fmt: skip
    return plain(drawn.properties(width=WIDTH, height=HEIGHT, title=head))


def _listed(point: FrontierPlanPart) -> str:
    """Servers of a point by kind, over all periods."""
    kinds = [f"{sum(n):,} x {chip}" for chip, n in (point.fleet.bought or {}).items()]
    return f"{show(point.power_w, 'W')}, {show(point.dollars, 'USD')}: buys {' + '.join(kinds) or 'nothing'}"


def _scale(values: list[float]) -> alt.Scale:
    """A linear scale with room for the numbers beside the dots."""
    low, high = min(values), max(values)
    room = ROOM * (high - low) or 0.1 * abs(high) or 1.0
    return alt.Scale(domain=[low - room, high + room], nice=False, zero=False)
