"""Commands on what would change the answer: `switch`, `sensitivity`.

As in `codesign.cli`, first-party imports are inside the commands. Exit codes: 0 answered, 1 infeasible, 2 bad
input, 3 not proven on the whole range.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codesign.cli_parts import Json, print_table, written
from codesign.cli_query import asks_query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codesign.query import Query


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(switch)
    app.command()(sensitivity)


@asks_query
def switch(
    asked: "Query",
    own: Path | None,
    parameter: Annotated[
        list[str] | None, written("a number of catalogue or query: memory.hbm4.price, limits.power", metavar="PATH")
    ] = None,
    over: Annotated[
        list[str] | None, written("for all or for each: 0.5x..3x, '10 USD/GB..40 USD/GB'", "--range", "LOW..HIGH")
    ] = None,
    together: Annotated[bool, typer.Option("--together", help="multiply all parameters by one factor")] = False,
    every: Annotated[bool, typer.Option("--all", help="rank all parameters by their nearest switch")] = False,
    as_json: Json = False,
    export: Annotated[Path | None, typer.Option(metavar="DIR", help="write answer, bands.csv and charts")] = None,
) -> None:
    """At which values of a parameter does another system become the best one?"""
    from codesign.errors import DataError
    from codesign.queries import switch as query
    from codesign.warm import Warm

    if every == bool(parameter):
        raise DataError("give --parameter PATH (one or more), or --all")
    if every and (over or together):
        raise DataError("--all moves each parameter alone over its usual range; --range and --together do not apply")
    warm = Warm(own, asked)
    if every:
        with _progress() as told:
            found = query.switch_all(warm, told=told)
    else:
        found = query.switch(warm, parameter or [], over or [], together=together)
    if export is not None:
        from codesign.exports.switch import write_switch

        write_switch(export, found)
    from codesign.report.switch import render

    _show(found.document() if as_json else None, render(found), export)
    raise typer.Exit(0 if found.status == "proven" else 3)


@asks_query
def sensitivity(
    asked: "Query",
    own: Path | None,
    as_json: Json = False,
    export: Annotated[Path | None, typer.Option(metavar="DIR", help="write answer, tornado.csv and the chart")] = None,
) -> None:
    """How far does the answer move over what is published of its inputs? And with one more dollar, watt, ...?"""
    from codesign.queries.sensitivity import sensitivity as ask
    from codesign.warm import Warm

    warm = Warm(own, asked)
    with _progress() as told:
        found = ask(warm, told=told)
    if export is not None:
        from codesign.exports.sensitivity import write_sensitivity

        write_sensitivity(export, found)
    from codesign.report.sensitivity import render

    _show(found.document() if as_json else None, render(found), export)
    raise typer.Exit(0 if found.status == "proven" else 1)


def _progress() -> Any:
    """A bar on a terminal, nothing elsewhere; its `told(done, of)` moves it."""
    import contextlib
    import sys
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.progress import Progress

    @contextlib.contextmanager
    def bar() -> Iterator[Callable[[int, int], None]]:
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
            task = progress.add_task("parameters", total=None)
            yield lambda done, of: progress.update(task, completed=done, total=of)

    return bar()


def _show(document: str | None, rendered: "Iterable[Any]", export: Path | None) -> None:
    if document is not None:
        typer.echo(document)
        return
    from rich.console import Group

    print_table(Group(*rendered))
    if export is not None:
        typer.echo(f"Exported to {export}")
