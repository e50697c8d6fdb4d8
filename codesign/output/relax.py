"""Conflicts and cures on the terminal."""

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from codesign.changes.relax_answer import BoughtPart, JointPart, RelaxAnswer
from codesign.output.system import limits_said, quantity, workload_said
from codesign.output.text import Table, count


def render(answer: RelaxAnswer) -> Iterator[RenderableType]:
    """The parts of the answer in reading order."""
    yield Text(f"Asked: {workload_said(answer.mode, answer.query)}; {limits_said(answer.query)}", style="dim")
    if answer.status == "undecided":
        yield Text("Not decided in the time given: what a cure buys may not be the best.", style="bold")
    if answer.status == "feasible":
        yield Text("Nothing to relax: a system satisfies all limits; `codesign best` names it.", style="bold")
        return
    if not answer.conflicts and not answer.single and answer.joint is None:
        yield Text("No chip is allowed that has every number this query needs; no limit cures that.", style="bold")
        return
    yield from _conflicts(answer)
    yield Text("\nEach limit that cures alone, with all others held, and the best system then", style="bold")
    if answer.single:
        table = _table("limit as asked", "works")
        for one in answer.single:
            table.add_row(one.cure.asked, one.cure.works, *_bought(one.bought))
        yield Padding(table, (0, 0, 0, 2))
    else:
        yield Padding("none: at least two must give", (0, 0, 0, 2))
    yield from _joint(answer.joint, answer)
    if answer.status == "undecided":
        yield "Not every system that a cure buys is proven best in the time given."


def _conflicts(answer: RelaxAnswer) -> Iterator[RenderableType]:
    more = "" if answer.complete else " (there may be more; --most finds them)"
    yield Text(f"{count(len(answer.conflicts), 'smallest set')} of limits that nothing satisfies{more}", style="bold")
    for one in answer.conflicts:
        yield Padding(" with ".join(one.asked) or "none: the model fits nowhere, whatever the limits", (0, 0, 0, 2))


def _joint(joint: JointPart | None, answer: RelaxAnswer) -> Iterator[RenderableType]:
    held = f", {', '.join(answer.held)} held" if answer.held else ""
    yield Text(f"\nThe cheapest cure of all limits together (by weight times how far each moves{held})", style="bold")
    if joint is None:
        yield Padding("none", (0, 0, 0, 2))
        return
    table = _table("limit as asked", "works", "moves by", "weight", bought=False)
    for change in joint.changes:
        table.add_row(change.cure.asked, change.cure.works, f"{1 + change.share:.4g}x", f"{change.weight:g}")
    yield Padding(table, (0, 0, 0, 2))
    buys = _table()
    buys.add_row(*_bought(joint.bought))
    yield Padding(buys, (0, 0, 0, 2))
    yield Padding(f"cost {joint.cost:.4g}; no other change costs less: {answer.looked_at:,} systems looked at",
                  (0, 0, 0, 2))  # fmt: skip


def _table(*heads: str, bought: bool = True) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in (*heads, *(("memory", "system", "replicas", "users", "objective") if bought else ())):
        table.add_column(head, justify="right" if head in ("replicas", "users", "objective", "moves by") else "left")
    return table


def _bought(b: BoughtPart) -> tuple[str, ...]:
    return (b.system.memory_family, b.system.name, f"{b.replicas:,}", f"{b.users:,}", quantity(b.value, b.unit))
