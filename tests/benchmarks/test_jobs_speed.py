"""How well two processes are used: their speed-up over one on solves, beside that of bare processes on a pure burn.

All are timed in turns, one after the other, and the best turn of each counts: what else runs on the machine slows
each of them at random. Starting processes and making solvers does not count, for either.
"""

import multiprocessing
import time
from collections.abc import Callable
from functools import partial

import pytest

from codesign.facts.catalog import builtin_query, load
from codesign.study.jobs import Many, run
from codesign.study.scenario import NOMINAL, asked
from codesign.study.uncertainty import published, scenarios
from codesign.system.query import read_query
from tests.cases import job_makers

pytestmark = pytest.mark.benchmark
POINTS, ROUNDS, TURNS = 16, 400_000, 2


def bare(points: int, ready, go) -> None:
    solve = job_makers.burn(ROUNDS)
    ready.release()
    go.wait()
    for point in range(points):
        solve(point)


def bare_s(processes: int) -> float:
    """Seconds of bare processes that share the points."""
    spawn = multiprocessing.get_context("spawn")
    ready, go = spawn.Semaphore(0), spawn.Event()
    started = [spawn.Process(target=bare, args=(POINTS // processes, ready, go)) for _ in range(processes)]
    for process in started:
        process.start()
    for _ in started:
        ready.acquire()
    begin = time.perf_counter()
    go.set()
    for process in started:
        process.join()
    return time.perf_counter() - begin


def run_s(maker, points, jobs: int) -> float:
    """Seconds of all points, as `run` solves them once it is under way."""
    results = run(points, maker, Many(jobs), identity="")
    for _ in range(4 * jobs):
        next(results)
    begin, left = time.perf_counter(), sum(1 for _ in results)
    return (time.perf_counter() - begin) / left * POINTS


def best_of(works: dict[str, Callable[[], float]], turns: int) -> dict[str, float]:
    rounds = [{name: work() for name, work in works.items()} for _ in range(turns)]
    return {name: min(each[name] for each in rounds) for name in works}


def test_two_processes_on_a_burn(report):
    maker = partial(job_makers.burn, ROUNDS)
    s = best_of({"bare 1": lambda: bare_s(1), "bare 2": lambda: bare_s(2),
                 "ours 1": lambda: run_s(maker, range(POINTS + 4), 1),
                 "ours 2": lambda: run_s(maker, range(POINTS + 8), 2)}, TURNS)  # fmt: skip
    up, bare_up = s["ours 1"] / s["ours 2"], s["bare 1"] / s["bare 2"]
    report("two processes, burn",
           f"speed-up {up:.2f}, of bare processes {bare_up:.2f}: {up / bare_up:.0%} of it (at least 85%)")  # fmt: skip


def test_two_processes_on_scenarios(report):
    question = asked(load(), read_query(None, {}, builtin_query("best")))
    offers = question.at(NOMINAL).supply.offers
    points = [s.point() for s in scenarios(published(question.catalog, question.query, offers), 24, 0)]
    s = best_of({"bare 1": lambda: bare_s(1), "bare 2": lambda: bare_s(2),
                 "ours 1": lambda: run_s(question.solver(), points, 1),
                 "ours 2": lambda: run_s(question.solver(), points, 2)}, 2)  # fmt: skip
    up, bare_up = s["ours 1"] / s["ours 2"], s["bare 1"] / s["bare 2"]
    report("two processes, proven scenarios of 120 changed numbers",
           f"{POINTS / s['ours 1']:.1f}/s on one, {POINTS / s['ours 2']:.1f}/s on two; speed-up {up:.2f}, of bare "
           f"processes on a burn {bare_up:.2f}: {up / bare_up:.0%} of it (at least 85%)")  # fmt: skip
