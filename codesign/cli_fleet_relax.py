"""What `relax` and `frontier` do with a fleet plan.

As in `codesign.cli`, first-party imports are inside the functions.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from codesign.cli_fleet_change import progress, show_parts
from codesign.cli_parts import exported
from codesign.exits import Exit

if TYPE_CHECKING:
    from codesign.fleet.plan import Plan


def relax_of_plan(asked: "Plan", own: Path | None, *, weight: list[str] | None, most: int, as_json: bool,
                  export: Path | None) -> None:  # fmt: skip
    """Which limits of a plan contradict each other, and what cures?"""
    from codesign.errors import DataError
    from codesign.fleet.resolve import Resolver
    from codesign.queries.fleet_relax import fleet_relax
    from codesign.report.fleet_relax import render
    from codesign.report.progress import alive

    if weight:
        raise DataError("--weight: of a query; the limits of a fleet plan are moved by one common factor")
    with alive("looking for conflicts and cures"):
        found = fleet_relax(Resolver(own, asked), most=most)
    show_parts(found.document() if as_json else None, render(found))
    if export is not None:
        from codesign.exports.changes import write_fleet_relax

        write_fleet_relax(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.ANSWERED if found.status == "feasible" else Exit.of(found.status))


def frontier_of_plan(
    asked: "Plan", own: Path | None, *, axes: str | None, points: int | None, as_json: bool, export: Path | None
) -> None:
    """Which fleets of a plan trade dollars for power?"""
    from codesign.catalog import load
    from codesign.queries.fleet_frontier import POINTS, fleet_frontier
    from codesign.report.fleet_frontier import render

    with progress("points") as told:
        found = fleet_frontier(load(own, asked.assumptions()), asked, axes or "dollars,power",
                               POINTS if points is None else points, told=told)  # fmt: skip
    show_parts(found.document() if as_json else None, render(found))
    if export is not None:
        from codesign.exports.fleet_frontier import write_fleet_frontier

        write_fleet_frontier(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.of(found.status))
