"""At which value of one number of the GPU does the best schedule of this graph change?"""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

from pydantic import Field

from codesign.facts.document import Document, Part
from codesign.facts.errors import DataError
from codesign.kitsune.gpu import UNITS, WHOLE, Gpu
from codesign.kitsune.graph import Graph
from codesign.kitsune.pipelines import price
from codesign.kitsune.schedule import Execution, Run, Schedule, evaluate
from codesign.kitsune.times import Assumptions, Times

POINTS = 9
CLOSE = 1.01  # a switch lies between two values of no larger ratio
TIE = 1e-6  # of the time: the proof of a schedule is no finer
Form = tuple[tuple[str, tuple[int, ...]], ...]
At = Callable[[float], Schedule]


class PointPart(Part):
    """The schedule at one value."""

    value: float = Field(description="SI")
    time_s: float
    speed_up: float = Field(description="against bulk-synchronous execution on the same GPU")
    traffic_cut: float
    groups: int = Field(description="of two operators and more")
    covered: int = Field(description="operators in them")
    status: Literal["optimal", "feasible"]


class SwitchPart(Part):
    """Between two values other groups become faster; between two points one such change is looked for."""

    above: float
    below: float
    gone: tuple[str, ...] = Field(description="groups of the lower value only")
    new: tuple[str, ...] = Field(description="groups of the higher value only")
    gain: float = Field(description="share of the time that the new groups save there; the old ones keep their CTAs")


class SweepAnswer(Document):
    """Schedules over a range of one number of the GPU, as one document."""

    kind: Literal["kitsune-sweep"] = "kitsune-sweep"
    graph: str
    gpu: str
    settings: dict[str, str]
    execution: Execution
    key: str
    unit: str
    points: tuple[PointPart, ...]
    switches: tuple[SwitchPart, ...]
    assumptions: tuple[str, ...]


def sweep(graph: Graph, gpu: Gpu, execution: Execution, written: str, *, points: int = POINTS) -> SweepAnswer:
    """Evaluate at points in geometric progression over "KEY=LOW..HIGH"; bisect where neighbours differ."""
    key, low, high = _range(gpu, written)
    found: dict[float, Schedule] = {}

    def times(value: float) -> Times:
        text = str(int(value)) if key in WHOLE else f"{value!r} {UNITS[key]}"
        return Times(graph, gpu.with_settings({key: text}), Assumptions())

    def at(value: float) -> Schedule:
        if value not in found:
            found[value] = evaluate(times(value), execution)
        return found[value]

    values = [low * (high / low) ** (n / (points - 1)) for n in range(points)]
    values = sorted({float(round(v)) for v in values}) if key in WHOLE else [*values[:-1], high]
    part = tuple(_point(v, at(v)) for v in values)
    switches = []
    for below, above in pairwise(values):
        if not _serves(times(above), at(below), at(above)):
            lower, higher = _bisected(times, at, below, above, key in WHOLE)
            switches.append(_switch(times(higher), lower, at(lower), higher, at(higher)))
    return SweepAnswer(graph=graph.name, gpu=gpu.name, settings=dict(gpu.settings), execution=execution, key=key,
                       unit=UNITS[key], points=part, switches=tuple(switches),
                       assumptions=Assumptions().stated())  # fmt: skip


def _range(gpu: Gpu, written: str) -> tuple[str, float, float]:
    key, sign, span = (part.strip() for part in written.partition("="))
    first, dots, last = (part.strip() for part in span.partition(".."))
    if not sign or not dots or not first or not last:
        raise DataError(f"--sweep {written!r}: expected KEY=LOW..HIGH, as l2_bandwidth=1x..4x")
    try:
        low, high = (float(getattr(gpu.with_settings({key: text}), key)) for text in (first, last))
    except DataError as error:
        raise DataError(f"--sweep {written!r}: {error}") from error
    if low >= high:
        raise DataError(f"--sweep {written!r}: {first} is not below {last}")
    return key, low, high


def _point(value: float, schedule: Schedule) -> PointPart:
    joined = [run for run in schedule.runs if len(run.members) > 1]
    return PointPart.model_validate({
        "value": value, "time_s": schedule.time_s, "speed_up": schedule.speed_up,
        "traffic_cut": schedule.traffic_cut, "groups": len(joined),
        "covered": sum(len(run.members) for run in joined), "status": schedule.status.value,
    })  # fmt: skip


def _form(schedule: Schedule) -> Form:
    """Groups and their kinds: what makes two schedules the same here, whatever their CTAs."""
    return tuple(sorted((run.kind, run.members) for run in schedule.runs))


def _serves(times: Times, old: Schedule, new: Schedule) -> bool:
    """Whether the groups of another GPU are best here too: the same, or as fast with their CTAs."""
    return _form(old) == _form(new) or _kept_s(times, old) <= new.time_s * (1 + TIE)


def _bisected(at_gpu: Callable[[float], Times], at: At, low: float, high: float, whole: bool) -> tuple[float, float]:
    """Two near values around a change; where there are several, around one of them."""
    while high / low > CLOSE and not (whole and high - low <= 1):
        middle = float(round((low + high) / 2)) if whole else (low * high) ** 0.5
        if _serves(at_gpu(middle), at(low), at(middle)):
            low = middle
        else:
            high = middle
    return low, high


def _switch(times: Times, low: float, before: Schedule, high: float, after: Schedule) -> SwitchPart:
    """`times` are those of the higher value."""
    old, new = _form(before), _form(after)
    return SwitchPart(above=low, below=high, gone=_named(times.graph, old, new), new=_named(times.graph, new, old),
                      gain=max(0.0, 1 - after.time_s / _kept_s(times, before)))  # fmt: skip


def _kept_s(times: Times, schedule: Schedule) -> float:
    return sum(_priced(times, run) for run in schedule.runs)


def _priced(times: Times, run: Run) -> float:
    """A group as it is, on another GPU."""
    if run.pipeline is not None:
        return price(times, run.members, run.pipeline.ctas).time_s
    fused = times.vertical_s(run.members) if run.kind == "vertical" else None
    return times.alone_s[run.members[0]] if run.kind == "alone" else fused or float("inf")


def _named(graph: Graph, form: Form, other: Form) -> tuple[str, ...]:
    return tuple(_group(graph, kind, group) for kind, group in form if (kind, group) not in other)


def _group(graph: Graph, kind: str, group: tuple[int, ...]) -> str:
    names = [graph.operators[i].name for i in (group[0], group[-1])]
    return f"{kind} {names[0]}" if len(group) == 1 else f"{kind} {names[0]} .. {names[1]} ({len(group)})"
