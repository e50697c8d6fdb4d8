"""Commands on what else could be: `frontier`, `why-not`, `relax`.

As in `codesign.cli`, first-party imports are inside the commands.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codesign.cli.parts import Json, exported, pairs, place, show, written
from codesign.cli.plan_change import why_not_of_plan
from codesign.cli.plan_relax import frontier_of_plan, relax_of_plan
from codesign.cli.query import asks_query_or
from codesign.facts.exits import Exit

if TYPE_CHECKING:
    from codesign.system.query import Query


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(frontier)
    app.command("why-not")(why_not)
    app.command()(relax)


@asks_query_or(frontier_of_plan)
def frontier(
    asked: "Query",
    own: Path | None,
    axes: Annotated[
        str | None, typer.Option(metavar="LIST", show_default="dollars,throughput; of a fleet plan dollars,power",
                                 help="two or three of dollars (capital or per-hour), power, chips, throughput, "
                                      "user-speed")
    ] = None,
    points: Annotated[
        int | None, typer.Option(metavar="N", help="of a fleet plan: so many, both ends among them", show_default="6")
    ] = None,
    as_json: Json = False,
    export: Annotated[Path | None, place("write frontier.csv, .json and charts")] = None,
) -> None:
    """Which systems does nothing beat? The complete staircase of two or three axes, every change of system proven.

    Of a fleet plan: fleets that trade dollars for power, each of proven least cost within its power.
    """
    from codesign.changes.frontier import frontier as ask
    from codesign.facts.catalog import load
    from codesign.facts.errors import DataError
    from codesign.output.frontier import render
    from codesign.output.progress import alive

    if points is not None:
        raise DataError("--points: of a fleet plan; the frontier of a query is complete")
    with alive("walking along the frontier"):
        found = ask(load(own, asked.assumptions()), asked, axes or "dollars,throughput")
    show(found.document() if as_json else None, render(found), wide=False)
    if export is not None:
        from codesign.output.frontier_files import write_frontier

        write_frontier(export, found, asked)
        exported(export, as_json)
    raise typer.Exit(Exit.of(found.status))


@asks_query_or(why_not_of_plan, called={"memory": "--allow-memory", "chip": "--allow-chip", "tensor": "--most-tensor"})
def why_not(
    asked: "Query",
    own: Path | None,
    memory: Annotated[str | None, written("why not this memory (or family)?", metavar="NAME")] = None,
    chip: Annotated[str | None, written("why not this chip or die?", metavar="NAME")] = None,
    tensor: Annotated[int | None, typer.Option(min=1, help="why not this tensor degree?", show_default=False)] = None,
    system: Annotated[
        Path | None, typer.Option(metavar="ANSWER.json", help="why not the chip and layout of this answer?")
    ] = None,
    as_json: Json = False,
    export: Annotated[Path | None, place("write answer and tables")] = None,
) -> None:
    """Why is the best system not one with this memory, chip, degree or layout, and what would make it so?

    --memory, --chip and --tensor are the question; the query's own lists are --allow-memory, --allow-chip and
    --most-tensor here. A fleet plan in place of a query takes --chip: the best fleet that buys it.
    """
    from codesign.changes.wanted import read_wanted
    from codesign.changes.why_not import why_not as ask
    from codesign.facts.catalog import load
    from codesign.output.why_not import render

    catalog = load(own, asked.assumptions())
    found = ask(catalog, asked, read_wanted(catalog, memory=memory, chip=chip, tensor=tensor, system=system))
    show(found.document() if as_json else None, render(found), wide=False)
    if export is not None:
        from codesign.output.changes_files import write_why_not

        write_why_not(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.of(found.status))


@asks_query_or(relax_of_plan)
def relax(
    asked: "Query",
    own: Path | None,
    weight: Annotated[
        list[str] | None, written("what it costs to move a limit by its own size, budget=2 (1), or users=fixed",
                                  metavar="LIMIT=WEIGHT")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="so many conflicts at most")] = 20,
    as_json: Json = False,
    export: Annotated[Path | None, place("write answer and tables")] = None,
) -> None:
    """Nothing fits: which limits contradict each other, what cures alone, and what is the cheapest cure together?"""
    from codesign.changes.relax import relax as ask
    from codesign.facts.catalog import load
    from codesign.output.relax import render

    found = ask(load(own, asked.assumptions()), asked, weights=_weights(weight), most=most)
    show(found.document() if as_json else None, render(found), wide=False)
    if export is not None:
        from codesign.output.changes_files import write_relax

        write_relax(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.ANSWERED if found.status == "feasible" else Exit.of(found.status))


def _weights(items: list[str] | None) -> dict[str, float]:
    """Weights by the limit's name; `fixed` holds it. DataError tells every one that is no number."""
    import math

    from codesign.changes.relax import FIXED
    from codesign.facts.errors import DataError

    found, faults = {}, []
    for key, value in (pairs("--weight", items) or {}).items():
        try:
            found[key.replace("-", "_")] = math.inf if value == FIXED else float(value)
        except ValueError:
            faults.append(f"--weight {key}={value}: expected a positive number, or {FIXED}")
    if faults:
        raise DataError("\n".join(faults))
    return found
