"""Why not, on the terminal: the gap, the terms that make it, and the least changes that close it."""

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from codesign.changes.why_not_answer import LeastPart, TermPart, WhyNotAnswer
from codesign.facts.units import show
from codesign.output.system import limits_said, quantity, workload_said
from codesign.output.text import Table
from codesign.system.objective import OBJECTIVES

MOST_ABSENT = 8


def render(answer: WhyNotAnswer) -> Iterator[RenderableType]:
    """The parts of the answer in reading order."""
    yield Text(f"Asked: {workload_said(answer.mode, answer.query)}, {answer.objective}; {limits_said(answer.query)}",
               style="dim")  # fmt: skip
    yield Text(f"Why not {answer.wanted}? {_verdict(answer)}", style="bold")
    if answer.best is not None:
        yield Padding(_systems(answer), (0, 0, 0, 2))
    if answer.terms:
        yield Text("What makes the gap (factors multiply to it; memory and compute time overlap, the shorter counts 0)",
                   style="bold")  # fmt: skip
        yield Padding(_terms(answer.terms), (0, 0, 0, 2))
        yield from _changes(answer)
    for cure in answer.cures:
        yield Padding(f"{cure.asked}: {cure.works} would let it in", (0, 0, 0, 2))
    yield from _absent(answer)


def _verdict(answer: WhyNotAnswer) -> str:
    if answer.status == "undecided":
        said = "" if answer.behind is None else f" The best found with it is {answer.behind:.1%} behind the best found."
        return "Not decided in the time given: no proof of all of this." + said
    if answer.status == "best":
        return "It is the best."
    if answer.status == "absent":
        return "No layout that the query allows has it."
    if answer.status == "infeasible":
        return "No system with it satisfies all limits." if answer.best else "Nothing satisfies all limits."
    if not OBJECTIVES[answer.query["maximize"]].up:
        return f"The cheapest with it costs {answer.behind:.1%} more, most by {answer.losing}."
    return f"The best with it is {answer.behind:.1%} behind, most by {answer.losing}."


def _systems(answer: WhyNotAnswer) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("", "memory", "system", "replicas", "users", "batch limited by", "objective", "proven bound"):
        right = head in ("replicas", "users", "objective", "proven bound")
        table.add_column(head, justify="right" if right else "left")
    for name, one, bound, limited in (("best", answer.best, *_at(answer, 0)), ("asked", answer.other, *_at(answer, 1))):
        if one is not None:
            table.add_row(name, one.system.memory_family, one.system.name, f"{one.replicas:,}", f"{one.users:,}",
                          limited, quantity(one.value, one.unit), "" if bound is None else f"{bound:.6g}")  # fmt: skip
    return table


def _at(answer: WhyNotAnswer, i: int) -> tuple[float | None, str]:
    return answer.bounds[i], answer.limited_by[i]


def _terms(terms: tuple[TermPart, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("term", "best", "asked", "factor"):
        table.add_column(head, justify="left" if head == "term" else "right")
    for term in terms:
        table.add_row(term.name, _value(term.best, term.unit), _value(term.other, term.unit), f"{term.factor:.4g}")
    return table


def _value(value: float, unit: str) -> str:
    return f"{value * 1e6:.4g} chip-us" if unit == "chip-s" else show(value, unit)


def _changes(answer: WhyNotAnswer) -> Iterator[RenderableType]:
    yield Text("Least single change that makes it win, each alone; * the first on a grid, not proven the least",
               style="bold")  # fmt: skip
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("number", "today", "needs", "factor", "best then", "solved on both sides"):
        table.add_column(head, justify="right" if head in ("today", "needs", "factor") else "left", overflow="fold")
    for change in answer.changes:
        for i, path in enumerate(change.needs):
            table.add_row(*_row(change, path, i == 0))
    if answer.changes:
        yield Padding(table, (0, 0, 0, 2))
    if answer.hopeless:
        yield Padding(f"Not alone (up to 100 times, limits up to 4 times): {', '.join(answer.hopeless)}", (0, 0, 0, 2))


def _row(change: LeastPart, path: str, first: bool) -> tuple[str, ...]:
    unit, mark = change.units[path], "" if change.exact else " *"
    same = ("", "", "") if not first else (f"{change.factor:.4g}x{mark}", change.after.system or "nothing",
                                           "yes" if change.verified else "no")  # fmt: skip
    return (path, show(change.today[path], unit), show(change.needs[path], unit), *same)


def _absent(answer: WhyNotAnswer) -> Iterator[RenderableType]:
    """Chips that have it and could not be taken, by reason."""
    if not answer.absent:
        return
    yield Text("Not on offer", style="bold")
    grouped: dict[str, list[str]] = {}
    for name, reason in answer.absent.items():
        grouped.setdefault(reason, []).append(name)
    for reason, names in grouped.items():
        more = f" and {len(names) - MOST_ABSENT} more" if len(names) > MOST_ABSENT else ""
        yield Padding(f"{', '.join(names[:MOST_ABSENT])}{more}: {reason}", (0, 0, 0, 2))
