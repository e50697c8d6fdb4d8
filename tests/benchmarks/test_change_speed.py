"""How fast: one changed query proven warm, and the ranking of all parameters, beside an ordinary warm query."""

import time

import pytest

from codesign.changes.switch import nearest
from codesign.facts.catalog import builtin_query, load
from codesign.study.parameters import parameters
from codesign.study.query_study import Warm
from codesign.system.best_system import prepare_and_solve
from codesign.system.query import read_query

pytestmark = pytest.mark.benchmark

CHANGES = {"a price": "memory.hbm4.price", "a limit": "limits.budget", "a bandwidth": "memory.hbm4.bandwidth",
           "the context": "context"}  # fmt: skip
SHARE = 16  # of all parameters, every sixteenth is timed


@pytest.mark.parametrize("name", CHANGES)
def test_changed_query(benchmark, report, median_s, name: str):
    asked = read_query(None, {}, builtin_query("best"))
    warm, catalog = Warm(None, asked), load()
    today = next(p.value for p in parameters(warm.catalog, warm.query) if p.path == CHANGES[name])
    values = iter(range(1, 1000))

    def solve() -> None:
        value = today * (1 + 1e-3 * next(values))
        point = warm.at({CHANGES[name]: float(round(value)) if name == "the context" else value}, proven=True)
        assert point.status == "optimal"

    benchmark.pedantic(solve, rounds=15, warmup_rounds=2)
    one = benchmark.stats.stats.median
    whole = median_s(lambda: prepare_and_solve(catalog, asked, enumerate_all=False))
    report(f"{name} changed, proven warm", f"{1 / one:.0f} a second (aim 20); {one / whole:.2f} of a query by itself")


def test_all_parameters(report, median_s):
    asked = read_query(None, {}, builtin_query("best"))
    warm, catalog = Warm(None, asked), load()
    every = [p for p in parameters(warm.catalog, warm.query) if p.asked or warm.touched([p.path])]
    start = time.perf_counter()
    for one in every[::SHARE]:
        nearest(warm, one)
    spent = (time.perf_counter() - start) * len(every) / len(every[::SHARE])
    whole = median_s(lambda: prepare_and_solve(catalog, asked, enumerate_all=False), rounds=5)
    report(f"nearest switch of {len(every)} parameters (from every {SHARE}th)",
           f"{spent:.0f} s (aim 120 s) = {spent / whole:,.0f} queries by themselves")  # fmt: skip
