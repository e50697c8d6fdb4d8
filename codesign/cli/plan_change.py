"""What `switch`, `sensitivity` and `why-not` do with a fleet plan, and what they share with those of a query.

As in `codesign.cli`, first-party imports are inside the functions.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from codesign.cli.parts import exported, show
from codesign.facts.exits import Exit

if TYPE_CHECKING:

    from codesign.fleet.plan import Plan


def switch_of_plan(
    asked: "Plan", own: Path | None, *, parameter: list[str] | None, over: list[str] | None, together: bool,
    every: bool, as_json: bool, export: Path | None,
) -> None:  # fmt: skip
    """At which values of a parameter does the plan buy other kinds of chip?"""
    from codesign.changes.switch_plan import fleet_switch
    from codesign.facts.errors import DataError
    from codesign.output.switch_plan import render_switch
    from codesign.study.plan_study import Resolver

    if every or together:
        raise DataError(f"--{'all' if every else 'together'}: of a query; a fleet plan is solved anew at every point: "
                        "give --parameter PATH (one or more)")  # fmt: skip
    if not parameter:
        raise DataError("give --parameter PATH (one or more): limits.capital, workloads.NAME.requests, "
                        "chips.NAME.price, ...")  # fmt: skip
    resolver = Resolver(own, asked)
    with progress() as told:
        found = fleet_switch(resolver, parameter, over or [], told=told)
    show(found.document() if as_json else None, render_switch(found))
    if export is not None:
        from codesign.output.plan_change_files import write_fleet_switch

        write_fleet_switch(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.of(found.status))


def sensitivity_of_plan(asked: "Plan", own: Path | None, *, as_json: bool, export: Path | None) -> None:
    """How far does the best fleet of a plan move over what is published of its inputs, and with demand?"""
    from codesign.changes.sensitivity_plan import fleet_sensitivity
    from codesign.output.switch_plan import render_sensitivity
    from codesign.study.plan_study import Resolver

    resolver = Resolver(own, asked)
    with progress() as told:
        found = fleet_sensitivity(resolver, told=told)
    show(found.document() if as_json else None, render_sensitivity(found))
    if export is not None:
        from codesign.output.plan_change_files import write_fleet_sensitivity

        write_fleet_sensitivity(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.of(found.status))


def why_not_of_plan(
    asked: "Plan", own: Path | None, *, memory: str | None, chip: str | None, tensor: int | None, system: Path | None,
    as_json: bool, export: Path | None,
) -> None:  # fmt: skip
    """Why does the plan's best fleet not buy this chip, and at which price would it?"""
    from codesign.changes.why_not_plan import fleet_why_not
    from codesign.facts.errors import DataError
    from codesign.output.switch_plan import render_why_not
    from codesign.study.plan_study import Resolver

    given = {"--memory": memory, "--tensor": tensor, "--system": system}
    if wrong := [name for name, value in given.items() if value is not None]:
        raise DataError(f"{', '.join(wrong)}: of a query; of a fleet plan it is asked why not --chip NAME")
    if chip is None:
        raise DataError("give --chip NAME: of a fleet plan it is asked why not that chip")
    resolver = Resolver(own, asked)
    with progress() as told:
        found = fleet_why_not(resolver, chip, told=told)
    show(found.document() if as_json else None, render_why_not(found))
    if export is not None:
        from codesign.output.changes_files import write_fleet_why_not

        write_fleet_why_not(export, found)
        exported(export, as_json)
    raise typer.Exit(Exit.of(found.status))


def progress(what: str = "parameters") -> Any:
    """A bar on a terminal, nothing elsewhere; its `told(done, of)` moves it."""
    import contextlib
    import sys
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.progress import Progress

    @contextlib.contextmanager
    def bar() -> Iterator[Callable[[int, int], None]]:
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
            task = progress.add_task(what, total=None)
            yield lambda done, of: progress.update(task, completed=done, total=of)

    return bar()
