"""The command `mix`: a measured throughput table, or a published instance, decides which replicas to rent.

As in `codesign.cli`, first-party imports are inside the commands. Exit codes: 0 answered, 1 infeasible,
2 bad input, 3 undecided in the time given.
"""

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli_parts import Json, print_table, written


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(mix)


def mix(
    instance: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="a mix in the published form of Melange")
    ] = None,
    name: Annotated[str | None, typer.Option(help="which instance of a file with many", show_default=False)] = None,
    slices: Annotated[int | None, typer.Option(min=1, help="slices of each bucket", show_default=False)] = None,
    fractional: Annotated[bool, typer.Option("--fractional", help="buckets divided at will")] = False,
    time_limit: Annotated[str | None, written("stop then with the best found: '10 s'")] = None,
    as_json: Json = False,
) -> None:
    """Which replicas of which kinds serve a demand by buckets for the least money, by a measured table?"""
    from codesign.errors import DataError
    from codesign.mix_published import mix_of, read_published
    from codesign.queries.mix import cheapest_mix
    from codesign.units import si

    if instance is None:
        raise DataError("--instance is required")
    seconds = None if time_limit is None else si(time_limit, "s")
    asked = mix_of(read_published(instance, name), where=str(instance), slices=slices, fractional=fractional)
    found = cheapest_mix(asked, query={"instance": str(instance), "name": name}, time_limit=seconds).answer
    if as_json:
        typer.echo(found.document())
    else:
        from rich.console import Group

        from codesign.report.mix import render

        print_table(Group(*render(found)))
    raise typer.Exit({"optimal": 0, "infeasible": 1}.get(found.status, 3))
