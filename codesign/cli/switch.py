"""Commands on what would change the answer: `switch`, `sensitivity`.

As in `codesign.cli`, first-party imports are inside the commands.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codesign.cli.parts import Json, exported, place, show, written
from codesign.cli.plan_change import progress, sensitivity_of_plan, switch_of_plan
from codesign.cli.query import asks_query_or
from codesign.facts.exits import Exit

if TYPE_CHECKING:
    from codesign.system.query import Query


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(switch)
    app.command()(sensitivity)


@asks_query_or(switch_of_plan)
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
    export: Annotated[Path | None, place("write answer, bands.csv and charts")] = None,
) -> None:
    """At which values of a parameter does another system become the best one? Of a fleet plan: other kinds of chip?"""
    from codesign.changes import switch as query
    from codesign.facts.errors import DataError
    from codesign.study.query_study import Warm

    if every == bool(parameter):
        raise DataError("give --parameter PATH (one or more), or --all")
    if every and (over or together):
        raise DataError("--all moves each parameter alone over its usual range; --range and --together do not apply")
    warm = Warm(own, asked)
    if every:
        with progress() as told:
            found = query.switch_all(warm, told=told)
    else:
        found = query.switch(warm, parameter or [], over or [], together=together)
    from codesign.output.switch import render

    show(found.document() if as_json else None, render(found))
    if export is not None:
        from codesign.output.switch_files import write_switch

        write_switch(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.of(found.status))


@asks_query_or(sensitivity_of_plan)
def sensitivity(
    asked: "Query",
    own: Path | None,
    as_json: Json = False,
    export: Annotated[Path | None, place("write answer, tornado.csv and the chart")] = None,
) -> None:
    """How far does the answer move over what is published of its inputs? And with one more dollar, watt, ...?

    A fleet plan in place of a query: the same of its best fleet, by proven points.
    """
    from codesign.changes.sensitivity import sensitivity as ask
    from codesign.study.query_study import Warm

    warm = Warm(own, asked)
    with progress() as told:
        found = ask(warm, told=told)
    from codesign.output.sensitivity import render

    show(found.document() if as_json else None, render(found))
    if export is not None:
        from codesign.output.sensitivity_files import write_sensitivity

        write_sensitivity(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.of(found.status))
