"""Charts of schedules: files are valid and name every stage; the layered layout keeps its promises on any graph."""

import re
import struct
from collections import Counter
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.facts.catalog import load
from codesign.kitsune.apps import application
from codesign.kitsune.backward import training
from codesign.kitsune.gpu import gpu_named
from codesign.kitsune.graph import Graph
from codesign.kitsune.schedule import Execution
from codesign.kitsune.schedule_answer import KitsuneAnswer, ask
from codesign.kitsune.times import Assumptions, Times
from codesign.output.drawing import ALONE, COLOURS, FORMATS, SIMT, TENSOR, named, pictures
from codesign.output.files import write_files
from codesign.output.kitsune_chart import CHARTS, charts, timeline_chart
from codesign.output.kitsune_files import placed_on, sms_table
from codesign.output.kitsune_speedup import SpeedUp, speedup_chart
from codesign.output.kitsune_stages import ctas_chart, sms_chart
from codesign.output.layered import BEND, Layout, layered, layers
from tests.cases.small_gpu import mlp

WIDTH = 100.0


@cache
def asked(app: str, execution: Execution) -> tuple[Graph, KitsuneAnswer, str]:
    graph, gpu = mlp() if app == "mlp" else application(app), gpu_named(load(), "a100-40gb")
    answer = ask(graph, gpu, execution)
    pipelines = [group for group in answer.chosen().groups if group.pipeline is not None]
    times = Times(graph, gpu, Assumptions())
    return graph, answer, sms_table(pipelines, [placed_on(times, group) for group in pipelines])


def rows_of(drawn: Any) -> list[dict[str, Any]]:
    """Every row of data in a chart, once."""
    return [row for rows in drawn.to_dict()["datasets"].values() for row in rows]


def drawn_text(svg: str) -> set[str]:
    found = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return {"".join(text.itertext()).strip() for text in found}


def check_files(folder: Path, name: str) -> set[str]:
    """PNG of a sensible size and whole, SVG that parses, HTML that needs nothing else; the texts drawn."""
    png = (folder / f"{name}.png").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    assert png.startswith(b"\x89PNG\r\n\x1a\n") and png.endswith(b"IEND\xaeB`\x82")
    assert min(width, height) >= 300 and max(width, height) <= 12_000
    html = (folder / f"{name}.html").read_text(encoding="utf-8")
    assert "vegaEmbed" in html and not re.search(r"<script[^>]*\ssrc|<link[^>]*\shref", html)
    return drawn_text((folder / f"{name}.svg").read_text(encoding="utf-8"))


def test_every_chart_stands_alone_and_names_every_stage(tmp_path: Path) -> None:
    graph, answer, sms = asked("mlp", "kitsune")
    write_files(tmp_path, pictures(charts(graph, answer, sms)))
    files = [f"{name}.{kind}" for name in CHARTS for kind in FORMATS]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)
    names = {op.name for op in graph.operators}
    for name in CHARTS:
        assert names <= check_files(tmp_path, name), name


def test_findings_are_the_answers_numbers() -> None:
    graph, answer, sms = asked("dlrm", "kitsune")
    chosen = answer.chosen()
    titles = {name: chart.title.text for name, chart in charts(graph, answer, sms).items()}
    assert f"{chosen.covered} of {answer.operators} operators" in titles["graph"]
    assert f"{chosen.speed_up:.2f}x" in titles["graph"]
    assert f"{1 - 1 / chosen.speed_up:.0%} less time" in titles["timeline"]
    assert f"{sum(g.pipeline is not None for g in chosen.groups)} pipelines" in titles["ctas"] + titles["sms"]


def test_sm_map_has_every_cta_and_every_sm() -> None:
    _, answer, sms = asked("dlrm", "kitsune")
    pipelines = named(answer.chosen())
    cells = [row for row in rows_of(sms_chart(answer, pipelines, sms)) if "stage" in row]
    ctas = {stage.operator: stage.ctas for group in pipelines for stage in group.part.stages}
    assert len({(row["x"], row["y"]) for row in cells}) == len(cells) == 2 * 108 * len(pipelines)
    assert Counter(row["stage"] for row in cells if row["stage"]) == ctas


def test_timeline_adds_up_and_the_bottleneck_is_marked() -> None:
    graph, answer, _ = asked("dlrm", "kitsune")
    groups = named(answer.chosen())
    bars = [row for row in rows_of(timeline_chart(answer, groups)) if row.get("operator")]
    assert max(row["to"] for row in bars) == pytest.approx(answer.executions[0].time_s * 1e6)
    lanes = {row["y"]: max(b["to"] for b in bars if b["y"] == row["y"]) for row in bars}
    assert sorted(lanes.values()) == pytest.approx([answer.chosen().time_s * 1e6, answer.executions[0].time_s * 1e6])
    stages = [row for row in rows_of(ctas_chart(answer, [g for g in groups if g.part.pipeline])) if row.get("bound")]
    marked = {row["text"] for row in stages if row["text"] in graph.position}
    names = {group.pipeline.bottleneck for group in answer.chosen().groups if group.pipeline}
    assert marked == names - {"dram", "l2"} and marked


def test_without_pipelines_there_are_no_ctas_to_draw() -> None:
    graph, answer, sms = asked("mlp", "kitsune")
    for execution in ("bulk", "vertical"):
        other = answer.model_copy(update={"execution": execution})
        assert set(charts(graph, other, sms)) == {"graph", "timeline"}


def test_speedup_chart_names_every_application(tmp_path: Path) -> None:
    apps = ("dlrm", "nerf", "graphcast", "meshgraphnets")
    passes: tuple[Literal["inference", "training"], ...] = ("inference", "training")
    models: tuple[tuple[Literal["vertical fusion", "Kitsune"], float], ...] = (("vertical fusion", 0.5), ("Kitsune", 1))
    rows = [
        SpeedUp(app, mode, model, cut * factor, 1 + factor * n / 4)
        for n, (app, cut) in enumerate(zip(apps, (44, 98, 57, 55), strict=True))
        for mode in passes for model, factor in models
    ]  # fmt: skip
    write_files(tmp_path, pictures({"speedup": speedup_chart(rows)}))
    shown = check_files(tmp_path, "speedup")
    assert {*apps, "inference", "training", "Kitsune", "vertical fusion"} <= shown
    assert any("1.35x" in text for text in shown)  # (1 x 1.25 x 1.5 x 1.75) ** (1 / 4)


# what a reader without red, green or blue cones sees, in linear RGB: Machado, Oliveira, Fernandes, IEEE TVCG 15 (2009)
SIGHT = {
    "normal": np.eye(3),
    "no red": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "no green": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "no blue": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, sight: str) -> Any:
    """CIELAB of a colour as some readers see it."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(SIGHT[sight] @ linear, 0, 1) / XYZ.sum(axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("colours", [(*COLOURS, ALONE), (TENSOR, SIMT)], ids=["groups", "classes"])
def test_colours_differ_for_every_reader(colours: tuple[str, ...], sight: str) -> None:
    for one, other in combinations(colours, 2):
        assert np.linalg.norm(lab(one, sight) - lab(other, sight)) >= 15, (one, other)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    nodes = draw(st.integers(1, 25))
    pair = st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1))
    return nodes, [(min(p), max(p)) for p in draw(st.lists(pair, max_size=50)) if p[0] != p[1]]


def check_layout(layout: Layout, nodes: int, edges: list[tuple[int, int]]) -> None:
    assert all(layout.layer[a] < layout.layer[b] for a, b in edges)
    assert len({(layout.across[i, layout.layer[i]], layout.layer[i]) for i in range(nodes)}) == nodes
    for at in set(layout.layer):
        row = sorted((x, layout.is_bend(spot)) for spot, x in layout.across.items() if spot[1] == at)
        for (x, bend), (following, other) in pairwise(row):
            assert following - x >= sum(BEND if b else WIDTH for b in (bend, other)) / 2 - 1e-6
    assert min(layout.across.values()) >= 0


@settings(max_examples=50)
@given(graphs())
def test_edges_lead_to_later_layers_and_nothing_shares_a_place(given: tuple[int, list[tuple[int, int]]]) -> None:
    check_layout(layered(*given, WIDTH), *given)


@settings(max_examples=50)
@given(graphs())
def test_lines_follow_every_edge_step_by_step(given: tuple[int, list[tuple[int, int]]]) -> None:
    nodes, edges = given
    layout = layered(nodes, edges)
    for a, b in edges:
        steps = sorted((line.start, line.end) for line in layout.lines if line.producer == a and b in line.consumers)
        assert sorted(end[1] for _, end in steps) == list(range(layout.layer[a] + 1, layout.layer[b] + 1))
        assert (b, layout.layer[b]) in {end for _, end in steps}
    assert all(line.end[1] == line.start[1] + 1 for line in layout.lines)


@settings(max_examples=50)
@given(graphs())
def test_crossings_are_those_of_the_picture(given: tuple[int, list[tuple[int, int]]]) -> None:
    layout = layered(*given)
    at = layout.across
    crossed = sum(
        (at[p.start] - at[q.start]) * (at[p.end] - at[q.end]) < 0
        for p, q in combinations(layout.lines, 2) if p.start[1] == q.start[1]
    )  # fmt: skip
    assert crossed == layout.crossings


def test_applications_are_laid_out_with_few_crossings() -> None:
    for app, most in (("dlrm", 0), ("nerf", 0), ("graphcast", 0), ("meshgraphnets", 2)):
        graph = application(app)
        layout = layered(len(graph), [(e.producer, e.consumer) for e in graph.edges], WIDTH)
        check_layout(layout, len(graph), [(e.producer, e.consumer) for e in graph.edges])
        assert layout.crossings <= most
    graph = training(application("meshgraphnets"))
    assert layered(len(graph), [(e.producer, e.consumer) for e in graph.edges]).crossings <= 150


def test_barycentres_untangle_what_can_be() -> None:
    """Six chains, given so that each crosses the others."""
    assert layered(12, [(i, 11 - i) for i in range(6)]).crossings == 0


@pytest.mark.parametrize("edge", [(1, 0), (0, 0), (0, 3), (-1, 0)])
def test_an_edge_must_lead_to_a_later_node(edge: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="later"):
        layers(3, [edge])
