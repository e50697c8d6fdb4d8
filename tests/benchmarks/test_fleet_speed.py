"""Fleets proven: 20 workloads with 5,000 columns each to 0.01 %, 50 with 20,000 to 0.1 %, growth with size.

Instances are those of `tests.cases.fleet_generator.plan`, seeds 0 to 19, each solved in a process of its own.
FLEET_INSTANCES=20 runs all of them; without it a few are run. On a machine that is shared FLEET_SECONDS=120
gives every solve more wall clock; the seconds of one core, over both its processes, tell what it took. Memory is
the sum of the peaks of both.
"""

import json
import os
import statistics
import subprocess
import sys

import pytest

pytestmark = pytest.mark.benchmark

SOLVE = """
import json, resource, sys, time
from formulations import fleet
from formulations.solvers import highs
from tests.cases.fleet_generator import plan
workloads, each, seed, gap, limit, method = json.loads(sys.argv[1])
data = plan(workloads, each, seed=seed)
start, busy = time.perf_counter(), time.process_time()
outcome, proof = fleet.solve(data, method=method, gap=gap, limits=highs.Limits(limit_s=limit))
own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "s": time.perf_counter() - start, "cpu": time.process_time() - busy + others.ru_utime + others.ru_stime,
    "gap": None if outcome.value is None else 1 - outcome.bound / outcome.value,
    "GB": (own.ru_maxrss + others.ru_maxrss) / 1e6,
    "entered": proof.entered, "priced": proof.priced,
    "servers": 0 if outcome.solution is None else int(outcome.solution.own.sum()),
}))
"""


def solve(workloads: int, each: int, seed: int, gap: float, limit: float, method: str | None = "columns") -> dict:
    """Seconds, proven gap and peak memory of one solve in a fresh interpreter."""
    arguments = json.dumps([workloads, each, seed, gap, limit, method])
    run = subprocess.run([sys.executable, "-c", SOLVE, arguments], check=True, capture_output=True, text=True)
    return dict(json.loads(run.stdout))


def show(report, name: str, rows: list[dict], aim: float) -> None:
    for seed, row in enumerate(rows):
        size = f"{row['servers']:,} servers; {row['priced']:,} priced, {row['entered']:,} entered"
        spent = f"{row['s']:.1f} s ({row['cpu']:.1f} s of one core), {row['GB']:.2f} GB"
        report(f"{name}, seed {seed}", f"gap {row['gap']:.2e} in {spent}, {size}")
    gap, seconds, cpu = (statistics.median(row[key] for row in rows) for key in ("gap", "s", "cpu"))
    reached = sum(row["gap"] <= aim * (1 + 1e-6) for row in rows)
    report(f"{name}, median of {len(rows)}",
           f"gap {gap:.2e} (aim {aim:.0e}) in {seconds:.1f} s ({cpu:.1f} s of one core); "
           f"{reached} of {len(rows)} reach the aim")  # fmt: skip


def count(few: int) -> int:
    return int(os.environ.get("FLEET_INSTANCES", few))


def within(seconds: float) -> float:
    return float(os.environ.get("FLEET_SECONDS", seconds))


def test_twenty_workloads_with_5_000_columns(report):
    rows = [solve(20, 5_000, seed, 1e-4, within(30.0)) for seed in range(count(2))]
    show(report, "fleet of 20 x 5,000 columns", rows, 1e-4)


def test_fifty_workloads_with_20_000_columns(report):
    rows = [solve(50, 20_000, seed, 1e-3, within(120.0)) for seed in range(count(1))]
    show(report, "fleet of 50 x 20,000 columns", rows, 1e-3)


def test_growth(report):
    """Seconds to 0.1 % at growing sizes, as a ratio to the smallest; the full program where it is small."""
    first = None
    for workloads, each in ((10, 500), (10, 2_000), (20, 2_000), (20, 8_000)):
        row = solve(workloads, each, 1, 1e-3, 60.0)
        first = first or row["s"]
        report(f"fleet growth, {workloads} x {each:,} columns",
               f"{row['s']:.2f} s = {row['s'] / first:.2f} times the first; gap {row['gap']:.1e}")  # fmt: skip
    full, columns = solve(5, 500, 1, 1e-3, 60.0, "full"), solve(5, 500, 1, 1e-3, 60.0)
    report("fleet, column generation / full program of 5 x 500 columns",
           f"{columns['s']:.2f} s / {full['s']:.2f} s = {columns['s'] / full['s']:.2f}")  # fmt: skip
