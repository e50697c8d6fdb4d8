"""What the charts of a schedule share: colours, names of groups, boxes and texts placed in px, files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from codesign.facts.units import show
from codesign.kitsune.schedule_answer import ExecutionPart, GroupPart

# light enough for black text, and far apart for colour-blind readers too (CIELAB, Machado's matrices: 15 and more)
COLOURS = ("#56B4E9", "#E69F00", "#A0E888", "#B888A0", "#F0E442", "#7088E8", "#88A070")
TENSOR, SIMT = "#0072B2", "#D55E00"  # Okabe and Ito
ALONE, GREY, INK = "#FFFFFF", "#9A9A9A", "#222222"
FORMATS = ("png", "svg", "html")
SLOT = "the specification"
ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
CHARACTER = 5.9  # px of a character of 10 px, on average


@dataclass(frozen=True)
class Named:
    """A group with the name and colour that it has in every chart: P1 the first pipeline, V1 the first vertical."""

    tag: str
    colour: str
    part: GroupPart

    @property
    def operators(self) -> tuple[str, ...]:
        """Its members."""
        return tuple(stage.operator for stage in self.part.stages)

    @property
    def label(self) -> str:
        """For a legend."""
        kind = "pipeline" if self.part.pipeline else "vertical"
        return f"{self.tag}: {kind} of {len(self.part.stages)}, {show(self.part.time_s, 's')}"


def named(execution: ExecutionPart) -> list[Named]:
    """Pipelines, and vertical groups of two operators and more, in the order in which they run."""
    found: list[Named] = []
    counts = {"P": 0, "V": 0}
    for part in execution.groups:
        if part.pipeline or len(part.stages) > 1:
            letter = "P" if part.pipeline else "V"
            counts[letter] += 1
            found.append(Named(f"{letter}{counts[letter]}", COLOURS[len(found) % len(COLOURS)], part))
    return found


def plural(count: int, noun: str) -> str:
    """`1 pipeline`, `2 pipelines`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def title(finding: str, *notes: str) -> alt.TitleParams:
    """A heading that states what was found, and lines that say how to read the picture."""
    return alt.TitleParams(finding, subtitle=list(notes), anchor="start", frame="bounds", fontSize=14, offset=12,
                           subtitleFontSize=11, subtitleColor="#555555", subtitlePadding=4)  # fmt: skip


def across(field: str, width: float, **options: Any) -> alt.X:
    """A place in px from the left."""
    return alt.X(f"{field}:Q", axis=None, scale=alt.Scale(domain=[0, width], nice=False, zero=False), **options)


def down(field: str, height: float) -> alt.Y:
    """A place in px from the top."""
    return alt.Y(f"{field}:Q", axis=None, scale=alt.Scale(domain=[height, 0], nice=False, zero=False))


def legend(labels: Sequence[str], colours: Sequence[str], **options: Any) -> alt.Color:
    """Colours of the field `group`, named beside the picture."""
    shown = alt.Legend(title=None, symbolLimit=0, labelLimit=0, symbolType="square", symbolSize=120, symbolOpacity=1,
                       symbolStrokeColor=GREY, symbolStrokeWidth=1, labelFontSize=11, **options)  # fmt: skip
    return alt.Color("group:N", scale=alt.Scale(domain=list(labels), range=list(colours)), legend=shown)


def texts(rows: Sequence[dict[str, Any]], x: Any, y: Any, **mark: Any) -> alt.Chart:
    """The field `text` at places; nothing is left out or cut."""
    look: dict[str, Any] = {"fontSize": 10, "color": INK, "baseline": "middle"} | mark
    drawn: alt.Chart = alt.Chart(alt.InlineData(values=list(rows))).mark_text(**look).encode(x=x, y=y, text="text:N")
    return drawn


def plain(drawn: Any) -> Any:
    """Without a frame."""
    return drawn.configure_view(stroke=None).configure_axis(gridColor="#E5E5E5", labelFontSize=10, titleFontSize=11)


def page(spec: str, version: str) -> str:
    """A drawing as HTML that stands alone; a name in it, whatever it is, stays a text within the script.

    vl-convert writes the specification into the script as it is, where `</script>` would end it; so it is given an
    empty one, whose place ours then takes with every character escaped that HTML or an old JavaScript could read.
    """
    before, slot, after = _frame(version).partition(json.dumps({"description": SLOT}, separators=(",", ":")))
    if not slot:
        raise RuntimeError("vl-convert writes its page in another way than 1.9 did")
    return before + spec.translate(ESCAPES) + after


@lru_cache(maxsize=1)
def _frame(version: str) -> str:
    """The page of an empty drawing: the bundled scripts take longer than all the rest."""
    return vl_convert.vegalite_to_html({"description": SLOT}, vl_version=version, bundle=True)


def pictures(charts: Mapping[str, Any | None]) -> dict[str, bytes | None]:
    """Files of charts by name: PNG, SVG and HTML that stands alone; without a chart there is nothing in them."""
    found: dict[str, bytes | None] = {}
    for name, drawn in charts.items():
        files = (None, None, None) if drawn is None else _files(drawn)
        found |= {f"{name}.{kind}": content for kind, content in zip(FORMATS, files, strict=True)}
    return found


def _files(drawn: Any) -> tuple[bytes, bytes, bytes]:
    """In the order of FORMATS."""
    version = ".".join(alt.SCHEMA_VERSION.split(".")[:2])
    spec = drawn.to_json()  # once: checking it takes longer than drawing
    svg = vl_convert.vegalite_to_svg(spec, vl_version=version)
    return vl_convert.svg_to_png(svg, scale=2), svg.encode(), page(spec, version).encode()


def save(stage: Path, name: str, drawn: Any) -> None:
    """Write the files of a chart."""
    for file, content in zip(FORMATS, _files(drawn), strict=True):
        (stage / f"{name}.{file}").write_bytes(content)
