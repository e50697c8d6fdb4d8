"""What commands share: options that mean the same everywhere, items KEY=VALUE, tables on the terminal."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from codesign.output.shown import Shown

Own = Annotated[Path | None, typer.Option("--catalog", metavar="DIR", help="your own TOML files, over ours")]
Assume = Annotated[
    list[str] | None, typer.Option(metavar="PATH=VALUE", help="set a catalogue number: chips.NAME.price=20k$")
]
Json = Annotated[bool, typer.Option("--json", help="print the answer as one JSON document")]


def written(help_text: str, name: str | None = None, metavar: str = "TEXT") -> Any:
    """A quantity as people write it, read later against its unit."""
    return typer.Option(*([name] if name else []), help=help_text, metavar=metavar, show_default=False)


def place(help_text: str, name: str | None = None) -> Any:
    """A folder to write into, tried before any work is done."""
    return typer.Option(*([name] if name else []), metavar="DIR", help=help_text, callback=_tried)


def _tried(parameter: typer.CallbackParam, folder: Path | None) -> Path | None:
    from codesign.output.files import check_place

    if folder is not None:
        check_place(folder, parameter.opts[0])
    return folder


def exported(folder: Path, as_json: bool) -> None:
    """Say where an answer that was printed lies now."""
    if not as_json:
        typer.echo(f"Exported to {folder}")


def tell(found: "Shown[Any]", as_json: bool, export: Path | None = None, *, wide: bool = False) -> None:
    """Print what the Python interface found; then write it, where a folder is asked for."""
    show(found.to_json() if as_json else None, found.parts, wide=wide)
    if export is not None:
        found.export(export)
        exported(export, as_json)


def pairs(option: str, items: list[str] | None) -> dict[str, str] | None:
    """ "PATH=VALUE" items as a table."""
    from codesign.facts.errors import DataError

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
    from codesign.facts.errors import DataError
    from codesign.facts.units import sane, show

    try:
        number = sane(text, unit)
    except DataError as error:
        raise DataError(f"{option}: {error}") from error
    if not least <= number <= most:
        side = f"at least {show(least, unit)}" if number < least else f"at most {show(most, unit)}"
        raise DataError(f"{option} = {text!r} must be {side}")
    return number


def print_parts(*parts: Any, wide: bool = True) -> None:
    """Tables and lines; `wide` where they are mostly tables."""
    from codesign.output.text import console

    shown = console(wide=wide)
    for part in parts:
        shown.print(part)


def show(document: str | None, parts: Iterable[Any], *, wide: bool = True) -> None:
    """The document, or the parts for people."""
    if document is not None:
        typer.echo(document)
    else:
        print_parts(*parts, wide=wide)
