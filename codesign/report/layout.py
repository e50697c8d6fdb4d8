"""How a count and a list of named values look."""

from rich.table import Table
from rich.text import Text


def count(number: int, noun: str) -> str:
    """ "1 chip", "2 chips"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def pairs(rows: list[tuple[str, str]]) -> Table:
    """Names, dimmed, and their values."""
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(name, style="dim"), value)
    return table
