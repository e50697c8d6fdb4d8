"""How fast: the built-in query cold and warm, growth to a million layouts, and `--help`."""

import dataclasses
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from codesign.facts.catalog import builtin_query, load
from codesign.facts.records import ModelRecord
from codesign.physics import workload
from codesign.system import audit, columns
from codesign.system import offers as supply
from codesign.system.best_system import prepare, prepare_and_solve
from codesign.system.layouts import enumerate_space
from codesign.system.query import read_query
from formulations import best_system
from formulations.solvers.outcome import Status

pytestmark = pytest.mark.benchmark


def run(*arguments: str) -> None:
    """A fresh interpreter."""
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def test_whole_process(benchmark, report, median_s):
    imports = median_s(lambda: run("-c", "import pyomo.environ, highspy"), rounds=3)
    benchmark.pedantic(lambda: run("-m", "codesign", "best"), rounds=3, warmup_rounds=1)
    best = benchmark.stats.stats.median
    report("codesign best / import pyomo.environ, highspy",
           f"{best:.2f} s / {imports:.2f} s = {best / imports:.2f} (aim 2.5)")  # fmt: skip


def test_help(benchmark, report, median_s, tmp_path: Path):
    names = ["best", "verify", "schema", "list", "show", "check"]
    empty = tmp_path / "empty.py"
    commands = "".join(f"@app.command()\ndef {name}(): pass\n" for name in names)
    empty.write_text(f"import typer\napp = typer.Typer()\n{commands}app()\n")
    bare = median_s(lambda: run(str(empty), "--help"), rounds=5)
    benchmark.pedantic(lambda: run("-m", "codesign", "--help"), rounds=5, warmup_rounds=1)
    ours = benchmark.stats.stats.median
    report("codesign --help / a Typer application with as many empty commands",
           f"{ours:.2f} s / {bare:.2f} s = {ours / bare:.2f} (at most 1.5)")  # fmt: skip


def test_warm_query(benchmark, report, median_s):
    catalog, query = load(), read_query(None, {}, builtin_query("best"))
    benchmark.pedantic(lambda: prepare_and_solve(catalog, query, enumerate_all=False), rounds=15, warmup_rounds=2)
    warm = benchmark.stats.stats.median
    p = prepare(catalog, query)
    every = audit.enumerate_all(query, p.space, p.servers)
    enumeration = median_s(lambda: audit.enumerate_all(query, p.space, p.servers))
    report("warm query, whole catalogue",
           f"{warm * 1e3:.0f} ms median over {len(p.space):,} layouts (aim 150 ms); numpy enumeration of "
           f"{every.points:,} batches {enumeration * 1e3:.0f} ms; ratio {warm / enumeration:.2f}")  # fmt: skip


GROWTH = """
    import resource, sys, time
    from tests.benchmarks.test_speed import widened
    prepared_s, solved_s, layouts, solved = widened(int(sys.argv[1]))
    print(prepared_s, solved_s, layouts, solved, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def widened(copies: int) -> tuple[float, float, int, int]:
    """Seconds to prepare and to prove the built-in query over `copies` variants of every composed and sold chip."""
    import time

    catalog, query = load(), read_query(None, {}, builtin_query("best"))
    offered = supply.supply(catalog, query)

    def variant(offer: supply.Offer, i: int) -> supply.Offer:
        bandwidth = offer.chip.bandwidth * (1 - 1e-3 * i)
        slower = dataclasses.replace(offer.chip, name=f"{offer.chip.name}#{i}", bandwidth=bandwidth)
        return dataclasses.replace(offer, chip=slower)

    offers = tuple(variant(offer, i) for i in range(copies) for offer in offered.offers)
    model = workload.model(catalog.get(ModelRecord, query.model))
    start = time.perf_counter()
    space = enumerate_space(model, [o.chip for o in offers], [("fp8", "fp8")], query.context)
    cols = columns.columns_of(query, space, columns.servers_of(space, offers))
    ready = time.perf_counter()
    outcome, proof = best_system.solve(cols.instance)
    assert outcome.status is Status.OPTIMAL
    return ready - start, time.perf_counter() - ready, len(space), proof.solved


@pytest.mark.parametrize("copies", [1, 3, 8, 25])
def test_growth(report, copies: int):
    command = [sys.executable, "-c", textwrap.dedent(GROWTH), str(copies)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    prepared, solved, layouts, kept, memory_gb = done.stdout.split()
    report(f"growth, {int(layouts):,} layouts",
           f"prepare {float(prepared):.2f} s, prove {float(solved) * 1e3:.0f} ms over {kept} columns kept, "
           f"peak {float(memory_gb):.2f} GB (aim at 10^6: 5 s, 1 GB)")  # fmt: skip
    assert int(kept) >= 1
