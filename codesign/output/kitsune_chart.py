"""Charts of one schedule: the graph with its groups, CTAs, SMs, and its time beside one operator at a time."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import altair as alt

from codesign.facts.units import show
from codesign.kitsune.graph import Graph
from codesign.kitsune.schedule_answer import ExecutionPart, GroupPart, KitsuneAnswer
from codesign.output.drawing import (
    ALONE,
    CHARACTER,
    COLOURS,
    Named,
    across,
    down,
    legend,
    named,
    plain,
    plural,
    texts,
    title,
)
from codesign.output.kitsune_stages import ctas_chart, sms_chart
from codesign.output.layered import Layout, layered

CHARTS = ("graph", "ctas", "sms", "timeline")
BOX, PITCH, APART = 20, 40, 14        # px: height of an operator, from layer to layer, between operators
LANE, SPACE, WIDTH = 120, 26, 900     # px: height of a lane of the timeline, between lanes, its width
MOST_CHARACTERS = 26
MOST_US = 20_000                     # a longer axis is in ms
OFF = "alone"


def charts(graph: Graph, answer: KitsuneAnswer, sms: str) -> dict[str, Any]:
    """Charts of the chosen execution; `sms` is the text of sms.csv, without pipelines there is none of CTAs and SMs."""
    groups = named(answer.chosen())
    pipelines = [group for group in groups if group.part.pipeline]
    drawn = {"graph": graph_chart(graph, answer, groups), "timeline": timeline_chart(answer, groups)}
    if pipelines:
        drawn |= {"ctas": ctas_chart(answer, pipelines), "sms": sms_chart(answer, pipelines, sms)}
    return drawn


def graph_chart(graph: Graph, answer: KitsuneAnswer, groups: Sequence[Named]) -> Any:
    """Every operator in its layer, in the colour of its group; lines within a group have its colour."""
    owner = {name: group for group in groups for name in group.operators}
    tagged = len(groups) > len(COLOURS)  # then a colour is of more than one group
    labels = [_label(op.name, owner.get(op.name) if tagged else None) for op in graph.operators]
    box = CHARACTER * max(map(len, labels)) + 14
    layout = layered(len(graph), {(e.producer, e.consumer) for e in graph.edges}, box + APART)
    width = max(layout.across.values()) + (box + APART) / 2
    height = max(layout.layer) * PITCH + BOX + 4
    nodes = [_node(layout, i, box, label) | {
        "group": owner[op.name].label if op.name in owner else OFF, "operator": op.name, "kind": op.kind,
        "tensor": op.pipe == "tensor",
    } for i, (op, label) in enumerate(zip(graph.operators, labels, strict=True))]  # fmt: skip
    x, y = across("x", width), down("y", height)
    colour = _legend(nodes, groups, orient="right", offset=24)
    boxes = alt.Chart(alt.InlineData(values=nodes)).mark_rect(cornerRadius=4, stroke="#555555", strokeWidth=0.8).encode(
        x=x, x2="x2:Q", y=y, y2="y2:Q", color=colour, tooltip=["operator:N", "kind:N", "group:N"],
    )  # fmt: skip
    lines = alt.Chart(alt.InlineData(values=_segments(graph, layout, owner))).mark_rule(strokeCap="round").encode(
        x=x, x2="x2:Q", y=y, y2="y2:Q", color=alt.Color("colour:N", scale=None),
        strokeWidth=alt.StrokeWidth("weight:Q", scale=None),
    )  # fmt: skip
    middle = {"x": across("middle", width), "y": down("level", height)}
    drawn = alt.layer(
        lines, boxes, texts([n for n in nodes if n["tensor"]], **middle, fontWeight="bold"),
        texts([n for n in nodes if not n["tensor"]], **middle),
    ).resolve_scale(color="independent")  # fmt: skip
    return plain(drawn.properties(width=width, height=height, title=_graph_title(answer, groups)))


def _legend(rows: Sequence[Mapping[str, Any]], groups: Sequence[Named], **options: Any) -> alt.Color:
    """The groups that are drawn, in their order, and what runs alone."""
    shown = {group.label: group.colour for group in groups} | {OFF: ALONE}
    used = [label for label in shown if any(row["group"] == label for row in rows)]
    return legend(used, [shown[label] for label in used], **options)


def _graph_title(answer: KitsuneAnswer, groups: Sequence[Named]) -> alt.TitleParams:
    chosen = answer.chosen()
    pipelines = sum(1 for group in groups if group.part.pipeline)
    counts = {"pipeline": pipelines, "vertical group": len(groups) - pipelines}
    within = " and ".join(plural(n, noun) for noun, n in counts.items() if n) or "no group"
    return title(
        f"{answer.graph}: {chosen.covered} of {answer.operators} operators in {within}, {chosen.speed_up:.2f}x as fast",
        f"On {answer.gpu}, against one operator at a time; {chosen.traffic_cut:.0%} less traffic off the chip",
        "Data flow down; bold: tensor units; coloured lines stay within a group, grey ones go off the chip",
    )


def _label(name: str, group: Named | None) -> str:
    """Short enough for a box; the end of a long name tells more than its start."""
    short = name if len(name) <= MOST_CHARACTERS else name[:6] + "…" + name[7 - MOST_CHARACTERS :]
    return short if group is None else f"{group.tag} {short}"


def _node(layout: Layout, i: int, box: float, label: str) -> dict[str, Any]:
    middle, top = layout.across[i, layout.layer[i]], layout.layer[i] * PITCH + 2
    return {"x": middle - box / 2, "x2": middle + box / 2, "middle": middle, "y": top, "y2": top + BOX,
            "level": top + BOX / 2, "text": label}  # fmt: skip


def _segments(graph: Graph, layout: Layout, owner: Mapping[str, Named]) -> list[dict[str, Any]]:
    """Lines from below a box, past the bends, to the top of the next; those of groups are drawn last."""
    found = []
    for line in layout.lines:
        group = owner.get(graph.operators[line.producer].name)
        inside = group is not None and any(graph.operators[i].name in group.operators for i in line.consumers)
        look = {"colour": group.colour if group and inside else "#B5B5B5", "weight": 2.4 if inside else 1.0}
        (x, start), (x2, end) = ((layout.across[spot], spot[1] * PITCH + 2) for spot in (line.start, line.end))
        found.append({"x": x, "x2": x2, "y": start + BOX, "y2": end} | look)
        if layout.is_bend(line.end):
            found.append({"x": x2, "x2": x2, "y": end, "y2": end + BOX} | look)
    return sorted(found, key=lambda row: row["weight"])


def timeline_chart(answer: KitsuneAnswer, groups: Sequence[Named]) -> Any:
    """One operator at a time above, the chosen execution below, on one axis; an operator has its group's colour."""
    bulk, chosen = answer.executions[0], answer.chosen()
    unit, name = (1e-6, "us") if bulk.time_s < MOST_US * 1e-6 else (1e-3, "ms")
    owner = {name: group for group in groups for name in group.operators}
    lanes = [("one operator at a time", bulk)] + [(chosen.execution, chosen)] * (chosen.execution != "bulk")
    bars, ends = list[dict[str, Any]](), list[dict[str, Any]]()
    for row, (lane, execution) in enumerate(lanes):
        bars += _bars(execution, row * (LANE + SPACE) + 16, owner, bulk.time_s, unit)
        ends.append({"x": 0, "y": row * (LANE + SPACE) + 4, "text": f"{lane}: {show(execution.time_s, 's')}"})
    height = len(lanes) * (LANE + SPACE) - SPACE + 20
    x = alt.X("from:Q", scale=alt.Scale(domain=[0, bulk.time_s / unit], nice=False),
              axis=alt.Axis(title=f"time, {name}", grid=False))  # fmt: skip
    y = down("y", height)
    boxes = alt.Chart(alt.InlineData(values=bars)).mark_rect(stroke="#555555", strokeWidth=0.7).encode(
        x=x, x2="to:Q", y=y, y2="y2:Q", tooltip=["operator:N", "from:Q", "to:Q", "group:N"],
        color=_legend(bars, groups, orient="bottom", columns=4),
    )  # fmt: skip
    inside = {"x": alt.X("at:Q"), "y": down("level", height)}
    drawn = alt.layer(
        boxes, texts([b for b in bars if b["turn"]], **inside, angle=270),
        texts([b for b in bars if not b["turn"]], **inside),
        texts(ends, alt.X("x:Q"), y, align="left", fontSize=11, fontWeight="bold"),
    )  # fmt: skip
    saved = 1 - chosen.time_s / bulk.time_s
    finding = (f"{answer.graph} on {answer.gpu}: {show(bulk.time_s, 's')} one operator at a time, "
               f"{show(chosen.time_s, 's')} as {chosen.execution}: {saved:.0%} less time")  # fmt: skip
    note = "An operator above has the colour of the group that it runs in below; P: pipeline, V: vertical"
    return plain(drawn.properties(width=WIDTH, height=height, title=title(finding, note)))


def _bars(execution: ExecutionPart, top: float, owner: Mapping[str, Named], bulk_s: float,
          unit: float) -> list[dict[str, Any]]:  # fmt: skip
    ends = list(accumulate(group.time_s for group in execution.groups))
    rows = []
    for part, end in zip(execution.groups, ends, strict=True):
        group, start = owner.get(part.stages[0].operator), end - part.time_s
        own = group is not None and group.part is part
        text, turn = _inside(_texts(part, group if own else None), part.time_s / bulk_s * WIDTH)
        rows.append({"from": start / unit, "to": end / unit, "at": (start + end) / 2 / unit, "y": top, "y2": top + LANE,
                     "level": top + LANE / 2, "text": text, "turn": turn, "group": group.label if group else OFF,
                     "operator": ", ".join(stage.operator for stage in part.stages)})  # fmt: skip
    return rows


def _texts(part: GroupPart, group: Named | None) -> tuple[str, ...]:
    """What a bar can say, longest first."""
    if group is None:
        name = part.stages[0].operator
        return name, _label(name, None)
    return f"{group.label}, {part.speed_up:.2f}x", group.label, f"{group.tag}: {show(part.time_s, 's')}", group.tag


def _inside(candidates: Sequence[str], width: float) -> tuple[str, bool]:
    """The longest text that a bar of `width` px holds, and whether it is turned; a bar too narrow says nothing."""
    for text in candidates:
        for room, turn in ((width - 6, False), (LANE - 6 if width >= 9.5 else 0, True)):
            if len(text) * CHARACTER <= room:
                return text, turn
    return "", False
