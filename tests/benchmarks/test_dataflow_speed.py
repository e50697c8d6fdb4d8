"""How fast: balance in closed form and by both solvers, schedules of chains and layered graphs as they grow."""

import time
from dataclasses import replace

import numpy as np
import pytest

from formulations import dataflow_schedule, spatial_pipeline
from formulations.dataflow_schedule import Instance
from formulations.dataflow_schedule.graph import Graph
from formulations.dataflow_schedule.price import pipeline
from formulations.spatial_pipeline import bounds, cpsat
from tests.cases.dataflow_schedule_cases import chain, layered
from tests.cases.spatial_pipeline_cases import instance

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("stages", [4, 40])
@pytest.mark.parametrize("tables", [False, True], ids=["linear", "tables"])
def test_balance(benchmark, report, median_s, stages: int, tables: bool):
    rng = np.random.default_rng(stages)
    speeds = 10 ** rng.uniform(3, 5, stages)
    rows = [{"kind": ("tensor", "simt")[i % 2], "throughput": float(t)} for i, t in enumerate(speeds)]
    data = instance(rows, sms=108, dram_bytes=1e4, l2_bytes=3e4, dram_bandwidth=1.555e12, l2_bandwidth=4.7e12)
    if tables:
        data = replace(data, scale=np.sort(rng.uniform(0, 1, (stages, 108))))
    benchmark.pedantic(lambda: bounds.balance(data), rounds=15, warmup_rounds=2)
    closed = benchmark.stats.stats.median
    first = median_s(lambda: spatial_pipeline.solve(data), rounds=1)
    second = median_s(lambda: cpsat.solve(data), rounds=1)
    report(f"balance of {stages} stages, {'tables' if tables else 'linear'}",
           f"closed form {closed * 1e3:.2f} ms; HiGHS {first:.2f} s, {first / closed:,.0f} times; "
           f"CP-SAT {second:.2f} s, {second / closed:,.0f} times")  # fmt: skip


def schedule(benchmark, report, median_s, name: str, data: Instance) -> None:
    """Seconds of the proof, and how many times those of one priced pipeline: the whole graph's first operators."""
    start = time.process_time()
    outcome, proof = benchmark.pedantic(lambda: dataflow_schedule.solve(data), rounds=1)
    seconds = time.process_time() - start
    assert outcome.bound >= 0.99 * outcome.value
    graph, largest = Graph(data), max(outcome.solution.groups, key=lambda group: len(group.members))
    one = median_s(lambda: pipeline(data, graph, largest.members))
    report(name, f"{seconds:.1f} s by {proof.method}, as long as {seconds / one:,.0f} prices of its largest pipeline "
           f"({len(largest.members)} operators); {proof.sets:,} sets, {outcome.status.value}, "
           f"{outcome.value / outcome.bound - 1:.2%} above its bound, {sum(data.alone_s) / outcome.value:.2f} times "
           "as fast as all alone")  # fmt: skip


@pytest.mark.parametrize("count", [100, 500])
def test_chain(benchmark, report, median_s, count: int):
    schedule(benchmark, report, median_s, f"chain of {count} operators, seed 0", chain(count))


@pytest.mark.parametrize("count", [60, 250, 500])
def test_layered(benchmark, report, median_s, count: int):
    schedule(benchmark, report, median_s, f"layered graph of {count} operators, width 4, seed 0", layered(count))
