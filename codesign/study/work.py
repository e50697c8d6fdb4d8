"""One point in a worker: what is done with it, and what comes back.

A `Maker` is called once in each process and gives the function that solves points there, so that a catalogue
is read and a space of layouts built once, and not sent with every point. Makers, points and results cross
process borders: a maker is picklable and holds its data (another machine has not our files); points and
results are JSON values.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from codesign.facts.errors import CodesignError

Solve = Callable[[Any], Any]   # a point -> its result
Maker = Callable[[], Solve]


@dataclass(frozen=True)
class Failure:
    """In place of a result: what the point said, or what became of its worker."""

    error: str


@dataclass(frozen=True)
class Attempt:
    """The JSON text of a result, or what went wrong."""

    text: str | None
    error: str = ""


class Workers(Protocol):
    """Where points are solved; a context, at whose end nothing is left running."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None: ...

    @property
    def room(self) -> bool:
        """Whether another point can be taken."""
    @property
    def busy(self) -> bool:
        """Whether a point is not yet answered."""
    def submit(self, number: int, point: Any) -> None:
        """Take a point under a number of its own; only where there is room."""
    def collect(self) -> Iterator[tuple[int, Attempt]]:
        """Wait until something happens; what was answered, if anything."""


def attempt(solve: Solve, point: Any) -> Attempt:
    """The result of a point as text; an exception is a failure of this point alone."""
    try:
        return Attempt(json.dumps(solve(point), allow_nan=False))
    except CodesignError as error:
        return Attempt(None, str(error))
    except Exception as error:  # whatever it is, other points go on, and the user is told
        return Attempt(None, f"{type(error).__name__}: {error}")


def made(maker: Maker) -> Solve:
    """The maker's function; where making fails, one that says so for every point."""
    try:
        return maker()
    except Exception as error:
        said = error if isinstance(error, CodesignError) else CodesignError(f"{type(error).__name__}: {error}")

        def fails(point: Any) -> Any:
            raise said

        return fails
