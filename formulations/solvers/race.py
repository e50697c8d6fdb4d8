"""One integer program searched twice at once by HiGHS, with two random seeds: the shorter proof counts.

How long a search takes is much a matter of luck, so two of them, on two cores, are through sooner than one. The
first runs here, the second in a process of its own. A search is as long as its nodes: of two that are proven the
one with fewer nodes counts, of equally long ones the first, and each is given up once it is longer than the other
was. So the answer does not depend on which ends first on the clock. With a time limit the clock decides in any
case: then the first proof ends both, and where there is none the better solution and the better bound count.
Where no process can be started, the first search is alone.

Measured on 20 fleets of 20 workloads x 5,000 columns, see `tests/benchmarks/test_fleet_speed.py`.
"""

import contextlib
import math
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from formulations.solvers import highs
from formulations.solvers.outcome import Status
from formulations.solvers.rows import Rows, rows_of

COMMAND = "from formulations.solvers.race import work; work()"
EARLY_S = 0.5    # seconds before the end of the time given at which the second search ends, to hand over what it has
LATE_S = 1.0     # seconds that it may take beyond the time given
PROVEN = (Status.OPTIMAL, Status.INFEASIBLE)
TASK, ANSWER, LENGTH = "task", "answer", "length"


@dataclass(frozen=True)
class Task:
    """A minimisation, and how to search it; `limit_s` counts from its start."""

    names: list[str]
    rows: Rows
    start: Mapping[str, float]
    limits: highs.Limits


def solve(program: highs.Program, limits: highs.Limits, start: Mapping[str, float]) -> highs.Result:
    """As `highs.solve`, by two searches; `limits.seed` is the first one's, and the next number the second's."""
    if limits.node_limit < highs.Limits().node_limit:
        return highs.solve(program, limits, start)
    ends = time.monotonic() + limits.limit_s
    try:
        with tempfile.TemporaryDirectory() as name, _process(_task(program, limits, start), Path(name)) as process:
            first = _first(program, limits, start, Path(name))
            if first.status in PROVEN:
                if math.isfinite(limits.limit_s):
                    return first
                _write(Path(name) / LENGTH, first.nodes)
            second = _answer(process, Path(name), ends)
    except OSError:  # no process or no folder can be had here
        return highs.solve(program, limits, start)
    return first if second is None else _of_both(first, second)


def _of_both(first: highs.Result, second: highs.Result) -> highs.Result:
    """The one that counts, with the nodes of both."""
    nodes = first.nodes + second.nodes
    if done := [result for result in (first, second) if result.status in PROVEN]:
        return replace(min(done, key=lambda result: result.nodes), nodes=nodes)
    found = [result for result in (first, second) if result.value is not None]
    bounds = [result.bound for result in (first, second) if result.bound is not None]
    best = min(found, key=lambda result: result.value or 0.0, default=first)
    bound = max(bounds, default=None)
    if bound is not None and best.value is not None:
        bound = min(bound, best.value)
    return replace(best, bound=bound, nodes=nodes)


def _first(program: highs.Program, limits: highs.Limits, start: Mapping[str, float], folder: Path) -> highs.Result:
    """The search of this process, given up where it is longer than the other one was."""
    other, clock = folder / ANSWER, math.isfinite(limits.limit_s)

    def longer(event: Any) -> None:
        if not other.exists():
            return
        answer = _read(other)
        if answer.status in PROVEN and (clock or event.data_out.mip_node_count > answer.nodes):
            event.interrupt()

    program.highs.cbMipInterrupt.subscribe(longer)
    try:
        return highs.solve(program, limits, start)
    finally:
        program.highs.cbMipInterrupt.unsubscribe(longer)


def _task(program: highs.Program, limits: highs.Limits, start: Mapping[str, float]) -> Task:
    return Task(program.names, rows_of(program.highs), start, replace(limits, seed=limits.seed + 1))


@contextlib.contextmanager
def _process(task: Task, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process at work on the task in the folder, ended when the context is left."""
    _write(folder / TASK, task)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    process = subprocess.Popen([sys.executable, "-c", COMMAND, str(folder)], stdin=subprocess.DEVNULL, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _answer(process: "subprocess.Popen[bytes]", folder: Path, ends: float) -> highs.Result | None:
    """The answer of the process; None where it ended without one or is late."""
    left = ends + LATE_S - time.monotonic()
    try:
        ended = process.wait(max(left, 0.0) if math.isfinite(left) else None)
    except subprocess.TimeoutExpired:
        return None
    return _read(folder / ANSWER) if ended == 0 and (folder / ANSWER).exists() else None


def _write(path: Path, content: Any) -> None:
    """Whole or not at all: the other process may look for it at any time."""
    part = path.with_suffix(".part")
    part.write_bytes(pickle.dumps(content))
    part.replace(path)


def _read(path: Path) -> Any:
    return pickle.loads(path.read_bytes())


def work() -> None:
    """What the process does: search as the task in the folder says, and leave there what it found."""
    folder, parent, began = Path(sys.argv[1]), os.getppid(), time.monotonic()
    task = _read(folder / TASK)
    spent = time.monotonic() - began + EARLY_S
    limits = replace(task.limits, limit_s=max(task.limits.limit_s - spent, 0.0))
    program, length = highs.Program(highs.quiet(task.rows.lp()), task.names, {}), folder / LENGTH

    def given_up(event: Any) -> None:
        longer = length.exists() and event.data_out.mip_node_count > _read(length)
        if longer or os.getppid() != parent:
            event.interrupt()

    program.highs.cbMipInterrupt.subscribe(given_up)
    _write(folder / ANSWER, highs.solve(program, limits, task.start))
