"""How wide a report is, and how a section, a count, a list of named values and a table look.

One rule for every command: the terminal's width; where nobody watches `WIDTH`, or `WIDE` for what is mostly tables,
whatever COLUMNS says: a file is the same from everywhere. Nothing is cut for it: texts fold, numbers stay in one
piece, and a table for which that is not enough is written row below row.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from rich import box
from rich import table as rich_table
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.text import Text

WIDTH = 110  # characters
WIDE = 160   # of commands that are mostly tables
LEAST = 16   # of a column of texts: what is longer folds
INDENT = (0, 0, 0, 2)


def console(*, wide: bool = False) -> Console:
    """Standard output, at its width."""
    unwatched = WIDE if wide else WIDTH
    return Console(width=None if sys.stdout.isatty() else unwatched, highlight=False, markup=False, emoji=False)


class Table(rich_table.Table):
    """A table of which nothing is cut: what is aligned to the right stays in one line, all else folds."""

    def add_column(self, *args: Any, **options: Any) -> None:
        """As Rich has it, but that a text which is too long goes on in the next line."""
        super().add_column(*args, **({"overflow": "fold"} | options))

    @classmethod
    def grid(cls, *headers: Any, **options: Any) -> "Table":
        """Without lines and heads, of two columns where none are named."""
        found = super().grid(*headers, **options)
        for _ in () if headers else range(2):
            found.add_column()
        return cast(Table, found)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        spans = [self._span(console, options, column) for column in self.columns]
        room = options.max_width - self._extra_width
        if not self.show_header or sum(full for _, full in spans) <= room:
            yield from super().__rich_console__(console, options)
        elif sum(least for least, _ in spans) > room:
            yield from self._stacked(options.max_width)
        else:
            yield from self._folded(console, options, _widths(spans, room))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as it may be where it does not fit: what is around it leaves it the room."""
        found = super().__rich_measure__(console, options)
        return Measurement(min(found.minimum, options.max_width), min(found.maximum, options.max_width))

    def _span(self, console: Console, options: ConsoleOptions, column: rich_table.Column) -> tuple[int, int]:
        """The least width of a column, in which no number breaks, and the full one, padding among both."""
        unbound = options.update(width=10**6)
        cells = [Measurement.get(console, unbound, cell.renderable)
                 for cell in self._get_cells(console, column._index, column)]  # fmt: skip
        full = max((cell.maximum for cell in cells), default=0)
        if column.no_wrap:
            return full, full
        if column.justify == "right":
            head, *numbers = cells
            return max([head.minimum, *(cell.maximum for cell in numbers)]), full
        return min(full, LEAST), full

    def _folded(self, console: Console, options: ConsoleOptions, widths: Sequence[int]) -> RenderResult:
        before = [column.width for column in self.columns]
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width - self._get_padding_width(column._index)
        try:
            yield from super().__rich_console__(console, options)
        finally:
            for column, width_before in zip(self.columns, before, strict=True):
                column.width = width_before

    def _stacked(self, room: int) -> RenderResult:
        """Each row as lines of a column's name and the cell."""
        if self.title:
            yield Text(str(self.title), style="bold")
        heads = [column.header for column in self.columns]
        numbers = [cell for column in self.columns if column.justify == "right" for cell in column.cells]
        longest = max((len(str(cell)) for cell in numbers), default=0)
        for row in zip(*(column.cells for column in self.columns), strict=True):
            block = rich_table.Table.grid(padding=(0, 2, 0, 0))
            block.add_column(style="dim", overflow="fold", max_width=max(1, room - 2 - longest))
            block.add_column(overflow="fold")
            for head, cell in zip(heads, row, strict=True):
                if cell != "":
                    block.add_row(head, cell)
            yield block
            yield Text("")


def _widths(spans: Sequence[tuple[int, int]], room: int) -> list[int]:
    """Of columns from their least width to their full one, the widest made narrower first."""
    level = max(full for _, full in spans)
    while sum(max(least, min(full, level)) for least, full in spans) > room:
        level -= 1
    return [max(least, min(full, level)) for least, full in spans]


def count(number: int, noun: str) -> str:
    """ "1 chip", "2 chips"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def pairs(rows: list[tuple[str, str]]) -> Table:
    """Names, dimmed, and their values."""
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(name, style="dim"), value)
    return table


def columns(*heads: str, left: int = 1, **options: Any) -> Table:
    """A table without rows: after `left` columns of texts come numbers, aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, **options)
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i < left else "right")
    return table


def section(head: str, *parts: RenderableType) -> Iterator[RenderableType]:
    """A heading below an empty line, and its tables or lines."""
    yield Text(f"\n{head}", style="bold")
    yield from (Padding(part, INDENT) for part in parts)


def doubts(unverified: Sequence[str], assumptions: Sequence[str]) -> Iterator[RenderableType]:
    """What an answer takes for granted."""
    if unverified:
        yield from section("Not verified, announced or assumed, and behind this answer", *unverified)
    yield from section("Assumptions", *assumptions)


def left_out(reasons: Mapping[str, str], remedy: str = "") -> Iterator[RenderableType]:
    """Names by the reason for which they are left out."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    if names:
        lines = (f"{', '.join(group)}: {reason}" for reason, group in names.items())
        yield from section(f"Left out ({len(reasons)}{remedy})", *lines)
