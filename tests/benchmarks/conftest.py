"""Speed is reported as ratios of two things timed in one run; nothing here asserts a time."""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

ROWS: list[tuple[str, str]] = []


@pytest.fixture
def report() -> Callable[[str, str], None]:
    """Add a line to the table that closes the run."""
    return lambda name, text: ROWS.append((name, text))


@pytest.fixture
def median_s() -> Callable[..., float]:
    """Median seconds of `rounds` calls, after one call that does not count; `rounds` 1: of the only call."""

    def timed(work: Callable[[], Any], rounds: int = 7) -> float:
        if rounds > 1:
            work()
        seconds = []
        for _ in range(rounds):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)

    return timed


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: Any) -> Iterator[None]:
    if ROWS:
        terminalreporter.section("speed, as ratios")
        for name, text in ROWS:
            terminalreporter.write_line(f"{name}: {text}")
