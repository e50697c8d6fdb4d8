"""A bar for many solves: how many are done and failed, and how long the rest will take; a sign of life for one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from codesign.study import jobs


@contextmanager
def bar(what: str, total: int) -> Iterator[jobs.Watch]:
    """A function to call with the progress of a run; shown on the error stream, and only where somebody watches.

    Points out of the journal take no time and do not count towards the speed.
    """
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    console = Console(file=sys.stderr, highlight=False)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=total, note="")
        known = 0

        def watch(seen: jobs.Progress) -> None:
            nonlocal known
            if seen.known > known:  # begin again with fewer to do, so that speed is that of the new ones
                known = seen.known
                shown.reset(task, total=total - known, note=_note(seen))
            shown.update(task, completed=seen.done - known, note=_note(seen))

        yield watch


@contextmanager
def alive(what: str) -> Iterator[None]:
    """A sign of life with the time so far, of work without steps that could be counted; where somebody watches."""
    console = Console(file=sys.stderr, highlight=False)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        shown.add_task(what, total=None)
        yield


def _note(seen: jobs.Progress) -> str:
    parts = [f"{seen.known} known"] * bool(seen.known) + [f"{seen.failed} failed"] * bool(seen.failed)
    return ", ".join(parts)
