"""Work for many solves, by name: worker processes import it."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codesign.facts.errors import DataError


def squares() -> Callable[[Any], Any]:
    return lambda point: {"square": point * point, "third": point / 3}


def lengths() -> Callable[[Any], Any]:
    return lambda point: {"length": len(point), "text": point}


def noted(folder: str) -> Callable[[Any], Any]:
    """Leaves a line in `folder` for each point that it begins, so that repeated work shows."""

    def solve(point: int) -> int:
        with open(Path(folder) / "begun.txt", "a", encoding="utf-8") as begun:
            begun.write(f"{point} {os.getpid()}\n")
        time.sleep(0.02)
        return point + 1

    return solve


def faulty() -> Callable[[Any], Any]:
    def solve(point: int) -> Any:
        if point % 5 == 1:
            raise DataError(f"point {point} says no")
        if point % 5 == 2:
            return 1 / (point - point)
        if point % 5 == 3:
            return float("nan")
        return point

    return solve


def deadly(folder: str, deaths: int) -> Callable[[Any], Any]:
    """Point 3 kills its process the first `deaths` times that it is begun."""

    def solve(point: int) -> int:
        marks = Path(folder)
        if point == 3 and (before := len(list(marks.glob("death-*")))) < deaths:
            (marks / f"death-{before}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return point

    return solve


def unmade() -> Callable[[Any], Any]:
    raise DataError("no such catalogue")


def large(size: int) -> Callable[[Any], Any]:
    return lambda point: point["text"][::-1] + "x" * size


def burn(rounds: int) -> Callable[[Any], Any]:
    """Pure arithmetic, the same for every point."""

    def solve(point: int) -> int:
        total = point
        for i in range(rounds):
            total = (total * 31 + i) % 1_000_003
        return total

    return solve
