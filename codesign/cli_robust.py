"""The command `robust`. As in `codesign.cli`, first-party imports are inside the command.

Exit codes: 0 answered, 1 infeasible (today, in every scenario, or no design fits as often as it must), 2 bad input.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codesign.cli_jobs import solves_many
from codesign.cli_parts import Json, written
from codesign.cli_query import asks_query

if TYPE_CHECKING:
    from codesign.jobs.run import Many
    from codesign.query import Query


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(robust)


@asks_query
@solves_many
def robust(
    asked: "Query",
    own: Path | None,
    many: "Many",
    uncertainty: Annotated[str, written("catalogue: what sources publish; or a file", metavar="FILE")] = "catalogue",
    scenarios: Annotated[int, typer.Option(metavar="N", help="scenarios drawn")] = 200,
    seed: Annotated[int, typer.Option(metavar="S", help="of the draws")] = 0,
    must_fit: Annotated[str, written("share of scenarios in which a choice keeps every limit, '95%'")] = "0%",
    model_error: Annotated[str, written("step times off by up to this factor", metavar="X")] = "1.5",
    as_json: Json = False,
    export: Annotated[Path | None, typer.Option(metavar="DIR", help="write answer, tables and the chart")] = None,
) -> None:
    """Which design should be bought when the numbers are uncertain? Least worst regret and best worst case, proven."""
    from codesign.catalog import load
    from codesign.queries.robust import Terms
    from codesign.queries.robust import robust as ask
    from codesign.queries.robust_answer import answer
    from codesign.report.progress import bar
    from codesign.units import si

    terms = Terms(uncertainty, scenarios, seed, si(must_fit, "1"), si(model_error, "1"))
    found = ask(load(own, asked.assumptions()), asked, terms, many, bar)
    told = answer(found)
    if export is not None:
        from codesign.exports.robust import write_robust

        write_robust(export, found, told)
    if as_json:
        typer.echo(told.document())
    else:
        from rich.console import Console

        from codesign.report.robust import render

        console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False, emoji=False)
        for part in render(told):
            console.print(part)
        if export is not None:
            typer.echo(f"Exported to {export}")
    raise typer.Exit(0 if told.status == "optimal" else 1)
