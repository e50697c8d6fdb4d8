"""The command `robust`. As in `codesign.cli`, first-party imports are inside the command.

Infeasible is what fits nothing today, in every scenario, or as often as it must.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codesign.cli.jobs import solves_many
from codesign.cli.parts import Json, exported, place, quantity, show, written
from codesign.cli.plan_change import progress
from codesign.cli.query import asks_query_or
from codesign.facts.exits import Exit

if TYPE_CHECKING:
    from codesign.fleet.plan import Plan
    from codesign.study.jobs import Many
    from codesign.system.query import Query


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(robust)


CATALOGUE, SCENARIOS, OF_PLAN, ERROR = "catalogue", 200, 10, "1.5"


def robust_of_plan(
    asked: "Plan", own: Path | None, *, uncertainty: str, scenarios: int | None, seed: int, must_fit: str,
    model_error: str | None, as_json: bool, export: Path | None, **many: Any,
) -> None:  # fmt: skip
    """Which of the purchases compared should the plan make when its numbers are uncertain?"""
    from codesign.changes.robust import Terms
    from codesign.changes.robust_plan import fleet_robust
    from codesign.facts.errors import DataError
    from codesign.output.robust_plan import render
    from codesign.study.plan_study import Resolver

    given = {"--uncertainty": uncertainty != CATALOGUE, "--model-error": model_error is not None,
             "--jobs": many["jobs"] != 1, "--dask": many["dask"] is not None,
             "--resume": many["resume"] is not None}  # fmt: skip
    if wrong := [name for name, there in given.items() if there]:
        raise DataError(f"{', '.join(wrong)}: of a query; a fleet plan takes --scenarios, --seed, --must-fit, --json "
                        "and --export, its ranges are the catalogue's")  # fmt: skip
    terms = Terms(CATALOGUE, OF_PLAN if scenarios is None else scenarios, seed, quantity("--must-fit", must_fit, "1"))
    resolver = Resolver(own, asked)
    with progress() as told:
        found = fleet_robust(resolver, terms, told=told)
    show(found.document() if as_json else None, render(found))
    if export is not None:
        from codesign.output.robust_plan_files import write_fleet_robust

        write_fleet_robust(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.of(found.status))


@asks_query_or(robust_of_plan)
@solves_many
def robust(
    asked: "Query",
    own: Path | None,
    many: "Many",
    uncertainty: Annotated[str, written("catalogue: what sources publish; or a file", metavar="FILE")] = CATALOGUE,
    scenarios: Annotated[
        int | None, typer.Option(metavar="N", help="scenarios drawn: 200; of a fleet plan 10, each an integer program",
                                 show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="of the draws")] = 0,
    must_fit: Annotated[str, written("share of scenarios in which a choice keeps every limit, '95%'")] = "0%",
    model_error: Annotated[str | None, written("step times off by up to this factor, 1.5", metavar="X")] = None,
    as_json: Json = False,
    export: Annotated[Path | None, place("write answer, tables and the chart")] = None,
) -> None:
    """Which design, or which purchases of a fleet plan, when the numbers are uncertain? Least worst regret, proven."""
    from codesign.changes.robust import Terms
    from codesign.changes.robust import robust as ask
    from codesign.changes.robust_answer import answer
    from codesign.facts.catalog import load
    from codesign.output.progress import bar
    from codesign.output.robust import render

    count = SCENARIOS if scenarios is None else scenarios
    terms = Terms(uncertainty, count, seed, quantity("--must-fit", must_fit, "1"),
                  quantity("--model-error", model_error or ERROR, "1"))  # fmt: skip
    found = ask(load(own, asked.assumptions()), asked, terms, many, bar)
    told = answer(found)
    show(told.document() if as_json else None, render(told), wide=False)
    if export is not None:
        from codesign.output.robust_files import write_robust

        write_robust(export, found, told)
        exported(export, as_json)
    undecided = told.status == "infeasible" and bool(told.failed)  # nobody knows whether something fits in those
    raise typer.Exit(Exit.UNDECIDED if undecided else Exit.of(told.status))
