"""How fast: slices counted, against the published form with a binary for each slice and kind, by PuLP with CBC."""

import json
import math
import time
from typing import Any

import pytest

from codesign.mix.published import mix_of
from codesign.mix.question import instance_of
from formulations import fleet_slices
from formulations.solvers import highs
from formulations.solvers.outcome import Status
from tests.cases.mix_tables import EXAMPLES, published

pulp = pytest.importorskip("pulp")
pytestmark = pytest.mark.benchmark
CBC_LIMIT_S = 3.0  # of one instance; a limit that CBC reaches counts as its time
NOTICEABLE_S = 0.1
OWN = [
    {"size": 3, "slices": 1, "rate": 8.0, "kinds": 3}, {"size": 6, "slices": 1, "rate": 16.0},
    {"size": 6, "slices": 4, "rate": 16.0}, {"size": 6, "slices": 8, "rate": 64.0},
    {"size": 6, "slices": 2, "rate": 20.0, "kinds": 6}, {"size": 8, "slices": 1, "rate": 100.0},
    {"size": 10, "slices": 1, "rate": 50.0, "kinds": 8},
]  # fmt: skip


def instances() -> list[dict[str, Any]]:
    """Our own, seeds 0 and 1 of each size, and the published ones where they are."""
    own = [published(seed, **size) for size in OWN for seed in (0, 1)]
    if not EXAMPLES.is_file():
        return own
    return own + json.loads(EXAMPLES.read_text(encoding="utf-8"))["instances"]


def published_program(document: dict[str, Any]) -> Any:
    """Melange's program (arXiv 2404.14527): a binary for each slice and kind, an integer for each kind."""
    info, factor = document["gpu_info"], document["slice_factor"]
    rates = [share * document["total_request_rate"] for row in document["workload_distribution"] for share in row]
    served = {kind: [rate for row in entry["tputs"] for rate in row] for kind, entry in info.items()}
    slices = [(b, rate / factor) for b, rate in enumerate(rates) for _ in range(factor)]
    problem = pulp.LpProblem("mix", pulp.LpMinimize)
    use = {(i, kind): pulp.LpVariable(f"x_{i}_{g}", cat="Binary")
           for i in range(len(slices)) for g, kind in enumerate(info)}  # fmt: skip
    count = {kind: pulp.LpVariable(f"y_{g}", 0, None, "Integer") for g, kind in enumerate(info)}
    problem += pulp.lpSum(entry["cost"] * count[kind] for kind, entry in info.items())
    for i, (b, _) in enumerate(slices):
        problem += pulp.lpSum(use[i, kind] for kind in info) == 1
        for kind in info:
            if served[kind][b] <= 1e-6:
                problem += use[i, kind] == 0
    for kind in info:
        problem += pulp.lpSum(rate / served[kind][b] * use[i, kind] for i, (b, rate) in enumerate(slices)
                              if served[kind][b] > 1e-6) <= count[kind]  # fmt: skip
    return problem


def timed(work: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    done = work()
    return time.perf_counter() - start, done


def test_slices_against_the_published_form(report):
    """Ours from the document to the proof; CBC's solve alone, one thread, its building not counted."""
    rows = []
    for document in instances():
        problem = published_program(document)
        ours_s, (outcome, _) = timed(lambda document=document: fleet_slices.solve(instance_of(mix_of(document))))
        solver = pulp.PULP_CBC_CMD(msg=0, threads=1, timeLimit=CBC_LIMIT_S)
        cbc_s, _ = timed(lambda problem=problem, solver=solver: problem.solve(solver))
        found = pulp.value(problem.objective) if problem.sol_status in (1, 2) else math.inf
        assert outcome.status is Status.OPTIMAL
        assert outcome.value <= found + 1e-6
        rows.append((document["name"], ours_s, cbc_s, found - outcome.value))
        said = "the same cost" if abs(rows[-1][3]) < 1e-6 else f"CBC's fleet is {rows[-1][3]:.2f} $/h dearer"
        report(f"mix, {document['name']}",
               f"ours {ours_s * 1e3:.0f} ms, CBC {cbc_s * 1e3:.0f} ms: {cbc_s / ours_s:.1f} times; {said}")  # fmt: skip
    ours, theirs = sum(row[1] for row in rows), sum(row[2] for row in rows)
    slow = [row for row in rows if row[2] > NOTICEABLE_S]
    ahead = sum(row[1] < row[2] for row in slow)
    report("mix, all instances",
           f"ours {ours:.2f} s, CBC {theirs:.2f} s (at most {CBC_LIMIT_S:g} s each): {theirs / ours:.0f} times; ours "
           f"first on {ahead} of {len(slow)} where CBC needs more than {NOTICEABLE_S} s")  # fmt: skip


@pytest.mark.parametrize(("size", "kinds"), [(6, 4), (10, 8)])
def test_building_the_program(report, median_s, size, kinds):
    """Pyomo's model handed to HiGHS, without solving, against the whole proof by arrays."""
    data = instance_of(mix_of(published(0, size=size, kinds=kinds, slices=8, rate=64.0)))
    build = median_s(lambda: highs.load(fleet_slices.build(data)), rounds=3)
    solve = median_s(lambda: fleet_slices.solve(data), rounds=3)
    report(f"mix, {size * size} buckets and {kinds} kinds",
           f"building by Pyomo alone {build * 1e3:.0f} ms, whole solve by arrays {solve * 1e3:.0f} ms: "
           f"{build / solve:.2f}")  # fmt: skip


def test_growth(report):
    """Published sizes and far beyond: buckets, slices and kinds."""
    for size, slices, rate, kinds in ((6, 8, 16.0, 4), (10, 32, 300.0, 8), (20, 16, 1000.0, 12), (30, 64, 3000.0, 12)):
        data = instance_of(mix_of(published(3, size=size, slices=slices, rate=rate, kinds=kinds)))
        seconds, (outcome, proof) = timed(lambda data=data: fleet_slices.solve(data, limits=highs.Limits(limit_s=20.0)))
        gap = (outcome.value - (outcome.bound or 0.0)) / outcome.value
        report(f"mix, {size * size} buckets, {slices} slices, {kinds} kinds",
               f"{seconds:.2f} s, gap {gap:.1e}, {proof.solves} solves, {proof.fleets} fleets tried")  # fmt: skip
