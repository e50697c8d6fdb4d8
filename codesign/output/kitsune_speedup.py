"""The chart of the study's reproduction: speed-up against traffic cut over applications."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import exp, log
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import altair as alt

from codesign.kitsune.reproduce import KitsuneReproduction
from codesign.output.drawing import CHARACTER, pictures, plain, texts, title
from codesign.output.files import write_files

MODELS = {"vertical fusion": "#D55E00", "Kitsune": "#0072B2"}
MODES = ("inference", "training")
SIZE = 380  # px of a panel


@dataclass(frozen=True)
class SpeedUp:
    """One application under one execution model, against one operator at a time; `traffic_cut` in percent."""

    app: str
    mode: Literal["inference", "training"]
    model: Literal["vertical fusion", "Kitsune"]
    traffic_cut: float
    speed_up: float


def write_study(folder: Path, found: KitsuneReproduction) -> None:
    """Write the document and its chart, whole or not at all."""
    write_files(folder, {"reproduction.json": found.document() + "\n",
                         **pictures({"speedup": speedup_chart(speedups(found))})})  # fmt: skip


def speedups(found: KitsuneReproduction) -> list[SpeedUp]:
    """Ours, of every application and pass."""
    cut = {(cell.app, cell.mode, cell.what): cell.ours for cell in found.cells}
    rows = []
    for s in found.speeds:
        rows.append(SpeedUp(s.app, s.mode, "vertical fusion", cut[s.app, s.mode, "vertical traffic cut"], s.vertical))
        rows.append(SpeedUp(s.app, s.mode, "Kitsune", cut[s.app, s.mode, "Kitsune traffic cut"], s.kitsune))
    return rows


def speedup_chart(rows: Sequence[SpeedUp]) -> Any:
    """A panel for each pass; a line leads from vertical fusion to Kitsune of the same application."""
    modes = [mode for mode in MODES if any(row.mode == mode for row in rows)]
    high = max(row.speed_up for row in rows) * 1.08
    panels = [_panel([row for row in rows if row.mode == mode], mode, high) for mode in modes]
    means = [_mean(rows, mode) for mode in modes]
    finding = " and ".join(f"{mode} {mean:.2f}x" for mode, mean in zip(modes, means, strict=True))
    notes = ("Each application against one operator at a time, without fill and queue cost; the mean is geometric",
             "Dashed: time falls as traffic does; a point above it saves time by overlap too")  # fmt: skip
    drawn = alt.hconcat(*panels, spacing=40).resolve_scale(color="shared", shape="shared")
    return plain(drawn.properties(title=title(f"Kitsune speeds up {finding} in the mean", *notes)))


def _mean(rows: Sequence[SpeedUp], mode: str) -> float:
    return exp(fmean(log(row.speed_up) for row in rows if row.mode == mode and row.model == "Kitsune"))


def _panel(rows: Sequence[SpeedUp], mode: str, high: float) -> Any:
    x = alt.X("traffic_cut:Q", scale=alt.Scale(domain=[0, 100], nice=False), title="traffic off the chip saved, %")
    y = alt.Y("speed_up:Q", scale=alt.Scale(domain=[0.9, high], nice=False, zero=False), title="speed-up, x")
    data = alt.InlineData(values=[asdict(row) for row in rows])
    names = alt.Scale(domain=list(MODELS), range=list(MODELS.values()))
    shapes = alt.Scale(domain=list(MODELS), range=["diamond", "circle"])
    key = alt.Legend(title=None, orient="bottom", symbolSize=90, symbolOpacity=1)
    base = alt.Chart(data).encode(x=x, y=y)
    moves = base.mark_line(color="#BBBBBB", strokeWidth=1).encode(detail="app:N")
    points = base.mark_point(filled=True, size=75, opacity=1).encode(
        color=alt.Color("model:N", scale=names, legend=key), shape=alt.Shape("model:N", scale=shapes, legend=key),
        tooltip=["app:N", "traffic_cut:Q", "speed_up:Q"],
    )  # fmt: skip
    cuts = [n / 2 for n in range(200) if 1 / (1 - n / 200) <= high]
    falls = alt.InlineData(values=[{"traffic_cut": cut, "speed_up": 1 / (1 - cut / 100)} for cut in cuts])
    bound = alt.Chart(falls).mark_line(color="#555555", strokeDash=[4, 3], strokeWidth=1).encode(x=x, y=y)
    at = {"x": alt.X("traffic_cut:Q"), "y": alt.Y("speed_up:Q")}
    named = _placed(rows, high)
    halo = texts(named, **at, align="left", stroke="#FFFFFF", strokeWidth=4)  # keeps lines off the names
    drawn = bound + moves + halo + points + texts(named, **at, align="left")
    return drawn.properties(width=SIZE, height=SIZE, title=mode)


Box = tuple[float, float, float, float]  # px: left, top, right, bottom


def _placed(rows: Sequence[SpeedUp], high: float) -> list[dict[str, Any]]:
    """Names of applications beside their Kitsune points, where they cover neither a point nor a name if possible."""
    at = [(row, row.traffic_cut / 100 * SIZE, (high - row.speed_up) / (high - 0.9) * SIZE) for row in rows]
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for _, x, y in at]
    found = []
    for row, x, y in sorted((spot for spot in at if spot[0].model == "Kitsune"), key=lambda spot: spot[2]):
        wide = CHARACTER * len(row.app)
        sides = ((x + 9, y), (x - wide - 9, y), (x - wide / 2, y - 14), (x - wide / 2, y + 14), (x + 7, y - 12),
                 (x + 7, y + 12), (x - wide - 7, y - 12), (x - wide - 7, y + 12), (x - wide / 2, y - 26))  # fmt: skip
        boxes = [(left, top - 6, left + wide, top + 6) for left, top in sides]
        best = min(boxes, key=lambda box: sum(_overlap(box, other) for other in taken) + 9 * _outside(box))
        taken.append(best)
        found.append({"text": row.app, "traffic_cut": best[0] / SIZE * 100,
                      "speed_up": high - (best[1] + 6) / SIZE * (high - 0.9)})  # fmt: skip
    return found


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _outside(box: Box) -> float:
    return max(0.0, -box[0]) + max(0.0, box[2] - SIZE - 12) + max(0.0, -box[1]) + max(0.0, box[3] - SIZE)
