"""What `relax` and `frontier` do with a fleet plan.

As in `codesign.cli`, first-party imports are inside the functions.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from codesign.cli.parts import exported, show
from codesign.cli.plan_change import progress
from codesign.facts.exits import Exit

if TYPE_CHECKING:
    from codesign.fleet.plan import Plan


def relax_of_plan(asked: "Plan", own: Path | None, *, weight: list[str] | None, most: int, as_json: bool,
                  export: Path | None) -> None:  # fmt: skip
    """Which limits of a plan contradict each other, and what cures?"""
    from codesign.changes.relax_plan import fleet_relax
    from codesign.facts.errors import DataError
    from codesign.output.progress import alive
    from codesign.output.relax_plan import render
    from codesign.study.plan_study import Resolver

    if weight:
        raise DataError("--weight: of a query; the limits of a fleet plan are moved by one common factor")
    with alive("looking for conflicts and cures"):
        found = fleet_relax(Resolver(own, asked), most=most)
    show(found.document() if as_json else None, render(found))
    if export is not None:
        from codesign.output.changes_files import write_fleet_relax

        write_fleet_relax(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.ANSWERED if found.status == "feasible" else Exit.of(found.status))


def frontier_of_plan(
    asked: "Plan", own: Path | None, *, axes: str | None, points: int | None, as_json: bool, export: Path | None
) -> None:
    """Which fleets of a plan trade dollars for power?"""
    from codesign.changes.frontier_plan import POINTS, fleet_frontier
    from codesign.facts.catalog import load
    from codesign.output.frontier_plan import render

    with progress("points") as told:
        found = fleet_frontier(load(own, asked.assumptions()), asked, axes or "dollars,power",
                               POINTS if points is None else points, told=told)  # fmt: skip
    show(found.document() if as_json else None, render(found))
    if export is not None:
        from codesign.output.frontier_plan_files import write_fleet_frontier

        write_fleet_frontier(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.of(found.status))
