"""Schedules of one GPU on the terminal: execution models side by side, groups of the chosen one, a sweep."""

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from codesign.facts.units import show
from codesign.kitsune.gpu import UNITS
from codesign.kitsune.schedule_answer import ExecutionPart, GroupPart, KitsuneAnswer, QueuePart, StagePart
from codesign.kitsune.sweep import SweepAnswer
from codesign.output.text import INDENT, Table, columns, section

SHOWN = ("sms", "tensor", "simt", "dram_bandwidth", "l2_bandwidth", "l2_capacity")


def render(answer: KitsuneAnswer, *, alone: bool = False) -> Iterator[RenderableType]:
    """The parts in reading order; `alone`: the chosen execution model without the others."""
    chosen = answer.chosen()
    numbers = ", ".join(f"{key} {show(value, UNITS[key])}" for key in SHOWN
                        if (value := answer.gpu_numbers[key]) is not None)  # fmt: skip
    yield Text(f"{answer.graph}, {answer.operators} operators, on {answer.gpu}", style="bold")
    yield Text(numbers)
    if answer.settings:
        yield Text("your own: " + ", ".join(f"{key} = {value}" for key, value in answer.settings.items()))
    parts = (chosen,) if alone else answer.executions
    yield _section("Execution models", _executions(parts))
    yield _section(f"Groups of '{chosen.execution}'", _groups(chosen))
    if any(group.pipeline is not None for group in chosen.groups):
        yield _section(f"Pipelines of '{chosen.execution}'", _pipelines(chosen))
        yield Padding("stages: operator with its CTAs, and the parts that a sum over rows is split into; queues: "
                      "entries x payload of one CTA, x2 where two read it", INDENT)  # fmt: skip
    yield Text(proven(chosen), style="bold")
    if notes := (*answer.notes, *chosen.notes, *_blocked(answer)):
        yield from section("Notes", *notes)
    yield from section("Assumptions", *answer.assumptions)


def proven(part: ExecutionPart) -> str:
    """What is known of the chosen schedule, in one sentence."""
    if part.blocked:
        return (f"\nInfeasible: '{part.execution}' has {len(part.blocked)} group(s) that the GPU cannot hold as a "
                "pipeline; the notes say by how much. The figures are with their operators run alone.")
    if part.status == "optimal":
        return f"\nNo schedule of '{part.execution}' is faster by more than {part.gap:.2%}."
    return (f"\nNot decided: {_s(part.time_s)} found, {_s(part.bound_s)} proven necessary, gap {part.gap:.1%}; "
            "the search was cut short.")  # fmt: skip


def _blocked(answer: KitsuneAnswer) -> tuple[str, ...]:
    """Groups of the study that the GPU cannot hold, with the reason."""
    return tuple(f"'{part.execution}': {reason}; runs alone" for part in answer.executions for reason in part.blocked)


def render_sweep(answer: SweepAnswer) -> Iterator[RenderableType]:
    """Points, then where the schedule changes."""
    yield Text(f"{answer.graph} on {answer.gpu}, '{answer.execution}', over {answer.key}", style="bold")
    table = columns(answer.key, "time", "speed-up", "traffic cut", "groups", "operators in them", "")
    for p in answer.points:
        table.add_row(show(p.value, answer.unit), _s(p.time_s), f"{p.speed_up:.2f}x", f"{p.traffic_cut:.1%}",
                      str(p.groups), str(p.covered), "" if p.status == "optimal" else "not proven")  # fmt: skip
    yield _section("Points", table)
    if not answer.switches:
        yield Text("\nNo other groups become faster anywhere.")
        return
    table = columns("between", "and", "no longer", "instead", "saves", left=4)
    for s in answer.switches:
        table.add_row(show(s.above, answer.unit), show(s.below, answer.unit), "\n".join(s.gone), "\n".join(s.new),
                      f"{s.gain:.3%}")  # fmt: skip
    yield _section("Where other groups become faster", table)


def _executions(parts: tuple[ExecutionPart, ...]) -> Table:
    table = columns("execution", "time", "speed-up", "off-chip traffic", "cut", "in groups", "tensor", "SIMT", "DRAM",
                   "bound", "gap", "status")  # fmt: skip
    for part in parts:
        use = (_mean(part, "tensor_use"), _mean(part, "simt_use"), _mean(part, "dram_use"))
        table.add_row(part.execution, _s(part.time_s), f"{part.speed_up:.2f}x", show(part.dram_bytes, "B"),
                      f"{part.traffic_cut:.1%}", str(part.covered), *(f"{share:.0%}" for share in use),
                      _s(part.bound_s), f"{part.gap:.1%}", part.status)  # fmt: skip
    return table


def _mean(part: ExecutionPart, name: str) -> float:
    """Utilisation over the time of all groups."""
    return float(sum(getattr(group, name) * group.time_s for group in part.groups)) / part.time_s


def _groups(part: ExecutionPart) -> Table:
    table = columns("group", "kind", "time", "alone", "speed-up", "off-chip", "tensor", "SIMT", "DRAM", "bottleneck",
                   left=2)  # fmt: skip
    for group in part.groups:
        bottleneck = "" if group.pipeline is None else group.pipeline.bottleneck
        table.add_row(_title(group), group.kind, _s(group.time_s), _s(group.alone_s), f"{group.speed_up:.2f}x",
                      show(group.dram_bytes, "B"), f"{group.tensor_use:.0%}", f"{group.simt_use:.0%}",
                      f"{group.dram_use:.0%}", bottleneck)  # fmt: skip
    return table


def _pipelines(part: ExecutionPart) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, leading=1)
    for head, ratio in (("stages, tensor", 4), ("stages, SIMT", 4), ("queues", 3), ("tiles", 1), ("rings in L2", 1),
                        ("predicted", 1), ("simulated", 1)):  # fmt: skip
        table.add_column(head, ratio=ratio)
    for group in part.groups:
        p = group.pipeline
        if p is not None:
            queues = ", ".join(_queue(queue) for queue in p.queues)
            simulated = "-" if p.simulated_queued_s is None else _s(p.simulated_queued_s)
            table.add_row(_stages(group, "tensor"), _stages(group, "simt"), queues, str(p.tiles),
                          show(p.ring_bytes, "B"), _s(group.time_s), simulated)  # fmt: skip
    return table


def _queue(queue: QueuePart) -> str:
    readers = f" x{len(queue.consumers)}" if len(queue.consumers) > 1 else ""
    return f"{queue.producer} {queue.entries} x {show(queue.payload, 'B')}{readers}"


def _stages(group: GroupPart, pipe: str) -> str:
    return ", ".join(_stage(stage) for stage in group.stages if stage.pipe == pipe)


def _stage(stage: StagePart) -> str:
    if stage.ctas is None:
        return stage.operator
    return f"{stage.operator} {stage.ctas}" + (f" in {stage.parts} parts" if stage.parts > 1 else "")


def _title(group: GroupPart) -> str:
    names = [stage.operator for stage in group.stages]
    return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]} ({len(names)})"


def _s(seconds: float) -> str:
    return show(seconds, "s")


def _section(title: str, table: Table) -> RenderableType:
    table.title, table.title_justify, table.title_style = title, "left", "bold"
    return Padding(table, (1, 0, 0, 0))
