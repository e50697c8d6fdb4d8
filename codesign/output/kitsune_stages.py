"""Charts of the stages of pipelines: their CTAs, and the SMs that host them."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import altair as alt

from codesign.facts.cells import unquoted
from codesign.facts.units import show
from codesign.kitsune.schedule_answer import KitsuneAnswer
from codesign.output.drawing import (
    CHARACTER,
    COLOURS,
    INK,
    SIMT,
    TENSOR,
    Named,
    across,
    down,
    plain,
    plural,
    texts,
    title,
)

ROW, HEADING, BARS = 17, 34, 460   # px: of a stage, of a pipeline's name, of the longest bar
CELL, HALF, BETWEEN = 25, 16, 9    # px: width of an SM, height of one class on it, between GPCs
SIDE = 48                          # px left of an SM map, for the names of GPCs
MOST_MAPS = 6


def ctas_chart(answer: KitsuneAnswer, pipelines: Sequence[Named]) -> Any:
    """CTAs of every stage, the share of the time that they work, and what bounds each pipeline."""
    sms, rows, headings, top = int(answer.gpu_numbers["sms"] or 0), list[dict[str, Any]](), list[dict[str, Any]](), 0
    for group in pipelines:
        headings.append({"y": top + HEADING / 2 + 4, "x": 0, "text": _bound(group, sms)})
        top += HEADING
        for stage in group.part.stages:
            bound = group.part.pipeline is not None and group.part.pipeline.bottleneck == stage.operator
            ctas = stage.ctas or 0
            rows.append({
                "y": top + 2, "bottom": top + ROW - 2, "middle": top + ROW / 2, "ctas": ctas, "text": stage.operator,
                "zero": 0, "working": ctas * min(1.0, stage.busy or 0.0), "bound": bound,
                "class": "tensor" if stage.pipe == "tensor" else "SIMT",
                "end": f"{ctas}" + f" in {stage.parts} parts" * (stage.parts > 1) + ", bottleneck" * bound,
            })  # fmt: skip
            top += ROW
    most = max(row["ctas"] for row in rows)
    axis = alt.Axis(title="CTAs of the stage, one on each SM", tickMinStep=1, format="d", grid=False)
    x = alt.X("zero:Q", scale=alt.Scale(domain=[0, most], nice=False), axis=axis)
    colour = alt.Color("class:N", scale=alt.Scale(domain=["tensor", "SIMT"], range=[TENSOR, SIMT]),
                       legend=alt.Legend(title=None, orient="top", symbolType="square", symbolOpacity=1))  # fmt: skip
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=down("y", top), y2="bottom:Q", color=colour, x=x,
                                                         tooltip=["text:N", "ctas:Q", "working:Q"])  # fmt: skip
    y = down("middle", top)
    drawn = alt.layer(
        base.mark_rect(opacity=0.3).encode(x2="ctas:Q"), base.mark_rect().encode(x2="working:Q"),
        base.transform_filter("datum.bound").mark_rect(filled=False, stroke=INK, strokeWidth=1.5).encode(x2="ctas:Q"),
        texts(rows, x, y, align="right", dx=-6),
        texts([row | {"text": row["end"]} for row in rows if not row["bound"]], alt.X("ctas:Q"), y, align="left", dx=5),
        texts([row | {"text": row["end"]} for row in rows if row["bound"]], alt.X("ctas:Q"), y, align="left", dx=5,
              fontWeight="bold"),
        texts(headings, alt.X("x:Q"), down("y", top), align="left", fontWeight="bold", fontSize=11),
    )  # fmt: skip
    return plain(drawn.properties(width=BARS, height=top, title=_ctas_title(answer, pipelines)))


def _ctas_title(answer: KitsuneAnswer, pipelines: Sequence[Named]) -> alt.TitleParams:
    bounds = [_bottleneck(group) for group in pipelines]
    memory = sum(bound in ("DRAM", "L2") for bound in bounds)
    if len(bounds) == 1:
        finding = f"{answer.graph}: {bounds[0]} bounds the pipeline of {len(pipelines[0].part.stages)} stages"
    else:
        others = ", a stage bounds the others" if 0 < memory < len(bounds) else ""
        finding = f"{answer.graph}: memory bounds {memory} of {len(bounds)} pipelines{others}"
    return title(finding, f"CTAs of each stage on {answer.gpu}; dark: share of the steady state in which they work")


def _bottleneck(group: Named) -> str:
    name = group.part.pipeline.bottleneck if group.part.pipeline else ""
    return name.upper() if name in ("dram", "l2") else name


def _bound(group: Named, sms: int) -> str:
    taken = {pipe: sum(s.ctas or 0 for s in group.part.stages if s.pipe == pipe) for pipe in ("tensor", "simt")}
    return (f"{group.tag}: {show(group.part.time_s, 's')}, bound by {_bottleneck(group)}; CTAs on {sms} SMs: "
            f"{taken['tensor']} tensor, {taken['simt']} SIMT")  # fmt: skip


@dataclass(frozen=True)
class _Sm:
    """What an SM of a GPC hosts; None: no CTA of that class."""

    gpc: int
    tensor: str | None
    simt: str | None


def sms_chart(answer: KitsuneAnswer, pipelines: Sequence[Named], table: str) -> Any:
    """Which stage each SM hosts while a pipeline runs: `table` as sms.csv has it; the longest where there are many."""
    hosts: dict[int, list[_Sm]] = {}
    for row in csv.DictReader(StringIO(table)):
        sm = _Sm(int(row["gpc"]), unquoted(row["tensor_stage"]) or None, unquoted(row["simt_stage"]) or None)
        hosts.setdefault(int(row["pipeline"]), []).append(sm)
    every = list(enumerate(pipelines, 1))
    longest = sorted(sorted(every, key=lambda p: -p[1].part.time_s)[:MOST_MAPS], key=lambda p: p[0])
    used = [sum(1 for sm in hosts[number] if sm.tensor or sm.simt) for number, _ in every]
    low, high = min(used), max(used)
    share = f"{high}" if low == high else f"{low} to {high}"
    finding = f"{answer.graph}: {plural(len(every), 'pipeline')} on {share} of {len(hosts[1])} SMs of {answer.gpu}"
    notes = ["Each cell is an SM: above its tensor stage, below its SIMT stage, as numbered at the right; white: none"]
    if len(longest) < len(every):
        notes.append(f"The {MOST_MAPS} longest pipelines; sms.csv has all")
    drawn = _maps([_map(group, hosts[number]) for number, group in longest])
    return plain(drawn.properties(title=title(finding, *notes)))


@dataclass(frozen=True)
class _Map:
    """The SMs of one pipeline, placed in px from its own corner."""

    heading: str
    cells: list[dict[str, Any]]
    gpcs: list[dict[str, Any]]
    names: list[dict[str, Any]]
    width: float
    height: float


def _maps(maps: Sequence[_Map]) -> Any:
    """All in one picture, two in a row where there are more than two."""
    columns = 2 if len(maps) > 2 else 1
    wide, tall = max(m.width for m in maps) + SIDE, max(m.height for m in maps) + HEADING + 10
    width, height = wide * columns, tall * -(-len(maps) // columns)
    corners = [(n % columns * wide + SIDE, n // columns * tall + HEADING) for n in range(len(maps))]

    def placed(kind: str) -> list[dict[str, Any]]:
        return [{**row, **{key: row[key] + corner[key[0] == "y"] for key in ("x", "x2", "y", "y2") if key in row}}
                for m, corner in zip(maps, corners, strict=True) for row in getattr(m, kind)]  # fmt: skip

    x, y, colour = across("x", width), down("y", height), alt.Color("colour:N", scale=None)
    cells, names = placed("cells"), placed("names")
    boxes = alt.Chart(alt.InlineData(values=cells)).mark_rect(stroke="#777777", strokeWidth=0.6).encode(
        x=x, x2="x2:Q", y=y, y2="y2:Q", color=colour, tooltip=["stage:N", "gpc:Q"],
    )  # fmt: skip
    numbers = [{"x": (cell["x"] + cell["x2"]) / 2, "y": (cell["y"] + cell["y2"]) / 2, "text": cell["text"]}
               for cell in cells if cell["text"]]  # fmt: skip
    marks = alt.Chart(alt.InlineData(values=names)).mark_square(size=210, opacity=1, stroke="#777777", strokeWidth=0.6)
    heads = [{"x": left - SIDE, "y": top - 12, "text": m.heading} for m, (left, top) in zip(maps, corners, strict=True)]
    drawn = alt.layer(
        boxes, marks.encode(x=x, y=y, color=colour), texts(placed("gpcs"), x, y, align="right", dx=-8),
        texts([*numbers, *({**row, "text": row["number"]} for row in names)], x, y, fontSize=9),
        texts(names, x, y, align="left", dx=13), texts(heads, x, y, align="left", fontSize=11, fontWeight="bold"),
    )  # fmt: skip
    return drawn.properties(width=width, height=height)


def _map(group: Named, hosts: Sequence[_Sm]) -> _Map:
    number = {name: n for n, name in enumerate(group.operators, 1)}
    cells = list(_cells(hosts, number))
    height = (2 * HALF + BETWEEN) * len({sm.gpc for sm in hosts}) - BETWEEN
    names = _names(group, max(cell["x2"] for cell in cells) + 24, height)
    middles = {cell["gpc"]: cell["y"] + HALF for cell in reversed(cells)}
    both = sum(1 for sm in hosts if sm.tensor and sm.simt)
    return _Map(
        f"{group.tag}: {plural(len(number), 'stage')}, {show(group.part.time_s, 's')}; "
        f"{plural(both, 'SM')} with both classes",
        cells, [{"x": 0, "y": y, "text": f"GPC {gpc}"} for gpc, y in middles.items()], names,
        max(row["x"] for row in names) + 30 + CHARACTER * max(len(name) for name in number), height,
    )  # fmt: skip


def _cells(hosts: Sequence[_Sm], number: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Two for each SM, rows by GPC."""
    for row, gpc in enumerate(sorted({sm.gpc for sm in hosts})):
        for column, sm in enumerate(host for host in hosts if host.gpc == gpc):
            for side, name in enumerate((sm.tensor, sm.simt)):
                top = row * (2 * HALF + BETWEEN) + side * HALF
                yield {"gpc": gpc, "x": column * CELL, "x2": column * CELL + CELL - 3, "y": top, "y2": top + HALF,
                       "stage": name, "text": str(number[name]) if name else "",
                       "colour": _colour(number[name]) if name else "#FFFFFF"}  # fmt: skip


def _colour(number: int) -> str:
    return COLOURS[(number - 1) % len(COLOURS)]


def _names(group: Named, left: float, height: float) -> list[dict[str, Any]]:
    """Number and name of every stage, in columns."""
    count = len(group.operators)
    columns = -(-count // max(1, int(height // (HALF + 4))))
    fits = -(-count // columns)
    wide = 36 + CHARACTER * max(len(name) for name in group.operators)
    return [{"x": left + (n // fits) * wide, "y": (n % fits) * (HALF + 4) + HALF / 2 + 2, "text": name,
             "number": str(n + 1), "colour": _colour(n + 1)} for n, name in enumerate(group.operators)]  # fmt: skip
