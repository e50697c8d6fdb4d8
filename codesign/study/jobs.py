"""Solve many points: here, on processes of this machine, or on a Dask cluster; the same results in any order.

Points are taken one by one as workers become free and results are handed on as they come, so memory does not
grow with their number. With a journal each finished point is on disk before it is handed on; one that is there
already is not solved again.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.study.dask import Cluster
from codesign.study.journal import Journal, key_of
from codesign.study.processes import Here, Processes
from codesign.study.work import Attempt, Failure, Maker, Workers


@dataclass(frozen=True)
class Many:
    """Where many points are solved: `jobs` processes of this machine (1: in this one), or a Dask scheduler."""

    jobs: int = 1
    dask: str | None = None     # address, tcp://HOST:PORT
    resume: Path | None = None  # folder of the journal

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"jobs = {self.jobs!r} must be at least 1")


@dataclass(frozen=True)
class Progress:
    """Points so far; `known` of those done came out of the journal."""

    done: int = 0
    failed: int = 0
    known: int = 0


Watch = Callable[[Progress], None]


def run(
    points: Iterable[Any], maker: Maker, many: Many, *, identity: str, progress: Watch | None = None
) -> Iterator[tuple[Any, Any | Failure]]:
    """(point, result) of every point as they finish, in no fixed order; a `Failure` in place of a result.

    `maker` is called once in each process and gives the function that solves points. Points and results are
    JSON values. `identity` says what the work is bound to (`journal.identity`): with the point it is the key in
    the journal. Raises DataError for a journal or a cluster that cannot be used.
    """
    with nullcontext() if many.resume is None else Journal(many.resume) as journal, _workers(maker, many) as workers:
        seen = Progress()
        for point, outcome, known in _outcomes(points, workers, identity, journal):
            failed = outcome.text is None
            seen = Progress(seen.done + 1, seen.failed + failed, seen.known + known)
            if progress is not None:
                progress(seen)
            yield point, Failure(outcome.error) if outcome.text is None else json.loads(outcome.text)


def _workers(maker: Maker, many: Many) -> Workers:
    if many.dask is not None:
        return Cluster(maker, many.dask)
    return Processes(maker, many.jobs) if many.jobs > 1 else Here(maker)


def _outcomes(
    points: Iterable[Any], workers: Workers, identity: str, journal: Journal | None
) -> Iterator[tuple[Any, Attempt, bool]]:
    """Point, attempt, and whether the journal knew it; it keeps an attempt before it is handed on."""
    held: dict[int, Any] = {}

    def answered() -> Iterator[tuple[Any, Attempt, bool]]:
        for number, outcome in workers.collect():
            point = held.pop(number)
            if journal is not None:
                journal.append(key_of(identity, point), point, outcome)
            yield point, outcome, False

    for number, point in enumerate(points):
        text = None if journal is None else journal.find(key_of(identity, point))
        if text is not None:
            yield point, Attempt(text), True
            continue
        while not workers.room:
            yield from answered()
        held[number] = point
        workers.submit(number, point)
    while workers.busy:
        yield from answered()
