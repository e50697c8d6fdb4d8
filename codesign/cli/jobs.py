"""The options of commands that solve many points: where, and where what is finished is kept.

As in `codesign.cli`, first-party imports are inside the functions.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codesign.cli.parts import place

if TYPE_CHECKING:
    from codesign.study.jobs import Many

GIVEN = "many"  # what a command takes in place of the options


def solves_many(command: Callable[..., None]) -> Callable[..., None]:
    """A command `(..., many, ...)` with --jobs, --dask and --resume in place of `many`; see `cli_query.asks_query`.

    Under `asks_query` where a command takes both.
    """
    signature, rest = inspect.signature(many_of), inspect.signature(command)
    theirs = [parameter for name, parameter in rest.parameters.items() if name != GIVEN]

    def run(*args: Any, **given: Any) -> None:
        many = many_of(**{name: given.pop(name) for name in signature.parameters})
        command(*args, many=many, **given)

    parameters = [*theirs, *signature.parameters.values()]
    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
    run.__signature__ = rest.replace(parameters=[p.replace(kind=p.KEYWORD_ONLY) for p in parameters])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def many_of(
    jobs: Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="processes of this machine")] = 1,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="a Dask scheduler in place of --jobs, tcp://HOST:8786")
    ] = None,
    resume: Annotated[
        Path | None, place("keep what is finished here, and go on from it", "--resume")
    ] = None,
) -> "Many":
    """Where many points are solved; DataError where both places are given."""
    from codesign.facts.errors import DataError
    from codesign.study.jobs import Many

    if dask is not None and jobs != 1:
        raise DataError("--jobs and --dask exclude each other: a cluster has the workers that it has")
    return Many(jobs, dask, resume)
