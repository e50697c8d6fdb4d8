"""What commands share: options that mean the same everywhere, items KEY=VALUE, tables on the terminal."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Own = Annotated[Path | None, typer.Option("--catalog", metavar="DIR", help="your own TOML files, over ours")]
Assume = Annotated[
    list[str] | None, typer.Option(metavar="PATH=VALUE", help="set a catalogue number: chips.NAME.price=20k$")
]
Json = Annotated[bool, typer.Option("--json", help="print the answer as one JSON document")]


def written(help_text: str, name: str | None = None, metavar: str = "TEXT") -> Any:
    """A quantity as people write it, read later against its unit."""
    return typer.Option(*([name] if name else []), help=help_text, metavar=metavar, show_default=False)


def pairs(option: str, items: list[str] | None) -> dict[str, str] | None:
    """ "PATH=VALUE" items as a table."""
    from codesign.errors import DataError

    if items is None:
        return None
    found = {}
    for item in items:
        key, sign, value = item.partition("=")
        if not sign or not key.strip() or not value.strip():
            raise DataError(f"{option} {item!r}: expected KEY=VALUE")
        found[key.strip()] = value.strip()
    return found


def quantity(option: str, text: str, unit: str, *, least: float = 0.0, most: float = float("inf")) -> float:
    """An option's value in the SI unit; DataError names the option where it cannot be read, or is out of range."""
    from codesign.errors import DataError
    from codesign.units import sane, show

    try:
        number = sane(text, unit)
    except DataError as error:
        raise DataError(f"{option}: {error}") from error
    if not least <= number <= most:
        side = f"at least {show(least, unit)}" if number < least else f"at most {show(most, unit)}"
        raise DataError(f"{option} = {text!r} must be {side}")
    return number


def print_table(table: Any) -> None:
    """A Rich table, on 160 columns where nobody watches."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False, emoji=False).print(table)
