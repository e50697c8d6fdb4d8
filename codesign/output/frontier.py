"""A frontier on the terminal: its steps along the first axis, and what proves them."""

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from codesign.changes.frontier_answer import AxisPart, FrontierAnswer, StepPart
from codesign.facts.units import show
from codesign.output.system import limits_said, workload_said
from codesign.output.text import Table, count, doubts, pairs

MOST_STEPS = 60  # of a table


def render(answer: FrontierAnswer) -> Iterator[RenderableType]:
    """The parts of the answer in reading order."""
    yield Text(f"Asked: {workload_said(answer.mode, answer.query)}; {limits_said(answer.query)}", style="dim")
    if not answer.steps:
        yield Text("Infeasible: no system in the catalogue satisfies all limits; `codesign relax` says what cures.",
                   style="bold")  # fmt: skip
        return
    over = " against ".join(f"{axis.name} ({axis.better} is better)" for axis in answer.axes)
    yield Text(f"{over}: {count(answer.points, 'point')} that nothing beats, in {count(len(answer.steps), 'step')}",
               style="bold")  # fmt: skip
    yield Padding(_steps(answer), (0, 0, 0, 2))
    if len(answer.steps) > MOST_STEPS:
        yield f"  ... {len(answer.steps) - MOST_STEPS} more steps; --export DIR or --json has all"
    yield Text("\nProof", style="bold")
    yield Padding(_proof(answer), (0, 0, 0, 2))
    yield from doubts((), answer.assumptions)
    yield Text(f"  {count(len(answer.unverified), 'number')} behind the systems not verified, announced or assumed, "
               f"{len(answer.left_out)} chips and dies left out for numbers that they lack: --json lists them")


def _steps(answer: FrontierAnswer) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for axis in answer.axes:
        rate = ", tok/s" if axis.unit == "tokens/s" else ""
        table.add_column(axis.name + rate, justify="right", no_wrap=True)
    for head in ("memory", "chip", "layout"):
        table.add_column(head, no_wrap=head == "layout", overflow="fold")
    for head in ("replicas", "users", "points"):
        table.add_column(head, justify="right", no_wrap=True)
    for step in answer.steps[:MOST_STEPS]:
        s = step.system
        table.add_row(*(_range(step, axis) for axis in answer.axes), s.memory_family, s.chip, s.layout,
                      _span([p.replicas for p in step.points]), _span([p.users for p in step.points]),
                      f"{len(step.points):,}")  # fmt: skip
    return table


def _range(step: StepPart, axis: AxisPart) -> str:
    """First and last value of a step, or the least and the most where they do not rise along it."""
    values = [point.values[axis.name] for point in step.points]
    low, high = (quantity(end(values), axis.unit).removesuffix(" tok/s") for end in (min, max))
    return low if low == high else f"{low}..{high}"


def quantity(value: float, unit: str) -> str:
    """A value of an axis for people."""
    if unit == "chips":
        return f"{value:,.0f}"
    if unit == "tokens/s":
        return f"{value:,.0f} tok/s" if value >= 1000 else f"{value:,.4g} tok/s"
    return show(value, unit)


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,}..{high:,}"


def _proof(answer: FrontierAnswer) -> Table:
    held = sum(proof.holds for step in answer.steps for proof in step.proofs) + sum(x.holds for x in answer.ends)
    asked = sum(len(step.proofs) for step in answer.steps) + len(answer.ends)
    undecided = "" if held == asked else f"; {asked - held} undecided in the time given"
    return pairs([
        ("space", f"{answer.considered:,} layouts, {answer.timed:,} with a batch, {answer.candidates:,} of these "
                  "with a number of servers"),
        ("program", f"{count(answer.changes, 'change')} of system, {count(answer.solves, 'epsilon-constraint solve')}, "
                    f"{held} agree with the closed form{undecided}"),
        ("audit", f"{count(answer.audited, 'point')} of {answer.points:,} recomputed without a solver"),
        ("seconds", ", ".join(f"{name} {s:.2f}" for name, s in answer.seconds.items())),
    ])  # fmt: skip
