"""The frontier of the built-in query, beside a complete enumeration for one objective."""

from collections.abc import Callable
from typing import Any

import pytest

from codesign.changes.frontier import frontier
from codesign.facts import catalog
from codesign.facts.catalog import builtin_query
from codesign.system import audit
from codesign.system.best_system import prepare
from codesign.system.query import read_query

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("axes", ["dollars,throughput", "dollars,throughput,user-speed"])
def test_frontier_of_the_builtin_query(
    axes: str, report: Callable[[str, str], None], median_s: Callable[..., float], benchmark: Any
) -> None:
    loaded, query = catalog.load(), read_query(None, {}, builtin_query("best"))
    p = prepare(loaded, query)
    beside = median_s(lambda: audit.enumerate_all(p.query, p.space, p.servers), 3)
    answer = benchmark.pedantic(lambda: frontier(loaded, query, axes), rounds=1, warmup_rounds=1)
    took = benchmark.stats.stats.median
    report(f"frontier {axes}, proven ({answer.points:,} points, {answer.changes} changes, {answer.solves} solves)",
           f"{took:.1f} s, aim 10 s; {took / beside:.0f} times the enumeration for one objective")  # fmt: skip
