"""How well two processes are used: their speed-up over one on solves, beside that of bare processes on a pure burn."""

import multiprocessing
import time
from functools import partial

import pytest

from codesign.catalog import builtin_query, load
from codesign.jobs.run import Many, run
from codesign.query import read_query
from codesign.scenario import NOMINAL, asked
from codesign.uncertainty import published, scenarios
from tests import job_makers

pytestmark = pytest.mark.benchmark
POINTS, ROUNDS, TURNS = 40, 400_000, 3


def bare(rounds: int, points: int) -> None:
    solve = job_makers.burn(rounds)
    for point in range(points):
        solve(point)


def burn_s(processes: int, points: int) -> float:
    """Seconds from the first start to the last end of bare processes that share the points."""
    spawn = multiprocessing.get_context("spawn")
    started = [spawn.Process(target=bare, args=(ROUNDS, points // processes)) for _ in range(processes)]
    begin = time.perf_counter()
    for process in started:
        process.start()
    for process in started:
        process.join()
    return time.perf_counter() - begin


def run_s(maker, points, jobs: int) -> float:
    """Seconds of all points but the first few: the processes have started and made their solvers by then."""
    results = run(points, maker, Many(jobs), identity="")
    for _ in range(4 * jobs):
        next(results)
    begin, left = time.perf_counter(), sum(1 for _ in results)
    return (time.perf_counter() - begin) / left


def speed_ups(one, two) -> float:
    """The best of some turns, one beside the other: what else the machine does slows either at random."""
    return min(one() for _ in range(TURNS)) / min(two() for _ in range(TURNS))


def test_two_processes_on_a_burn(report):
    maker = partial(job_makers.burn, ROUNDS)
    bare_up = speed_ups(lambda: burn_s(1, POINTS), lambda: burn_s(2, POINTS))
    ours = speed_ups(lambda: run_s(maker, range(POINTS), 1), lambda: run_s(maker, range(POINTS), 2))
    report("two processes, burn", f"speed-up {ours:.2f}, of bare processes {bare_up:.2f}: "
           f"{ours / bare_up:.0%} of it (at least 85%)")  # fmt: skip


def test_two_processes_on_scenarios(report):
    question = asked(load(), read_query(None, {}, builtin_query("best")))
    offers = question.at(NOMINAL).supply.offers
    points = [s.point() for s in scenarios(published(question.catalog, question.query, offers), 40, 0)]
    bare_up = speed_ups(lambda: burn_s(1, POINTS), lambda: burn_s(2, POINTS))
    one, two = (min(run_s(question.solver(), points, jobs) for _ in range(2)) for jobs in (1, 2))
    report("two processes, proven scenarios", f"{1 / one:.1f}/s on one, {1 / two:.1f}/s on two, speed-up "
           f"{one / two:.2f}, of bare processes on a burn {bare_up:.2f}: {one / two / bare_up:.0%} (at least 85%)")  # fmt: skip
