"""Columns are removed before the solve by bounds of their own: the optimum must not notice. And two solvers agree."""

import math
from typing import Any

import numpy as np
import pytest

from codesign.facts.catalog import builtin_query
from codesign.facts.errors import UnboundedError
from codesign.system.best_system import prepare, solve
from codesign.system.columns import Columns
from codesign.system.objective import MAXIMIZE
from codesign.system.prepared import Prepared, Solved
from codesign.system.query import Query, read_query
from formulations import best_system
from formulations.best_system import cpsat
from formulations.solvers.outcome import Status
from tests.cases.best_system_cases import row_of
from tests.cases.query_strategies import DENSE, EXPERTS, built_in, queries
from tests.codesign.system.test_best_system import repeat

SAME = 1e-9  # relative


def in_full(p: Prepared, columns: Columns, j: int) -> float | None:
    """Best value of one column over all its batches and replica counts, by the true step times."""
    data, layout = p.columns.instance, int(columns.layout[j])
    c = row_of(columns.instance, j)
    batch = np.arange(int(c["least_batch"]), int(c["most_batch"]) + 1)
    step = p.space.step_s(batch, np.full(len(batch), layout)) * 1e3
    if data.slowest_step is not None:
        kept = step <= data.slowest_step * (1 - 1e-11)
        step, batch = step[kept], batch[kept]
    users = data.users or 1.0
    replicas = np.arange(1, int(c["most_replicas"]) + 1)
    if data.objective == "cost":
        servers = np.ceil(c["parcels"] * replicas / c["per_server"]) + data.spares
        values = c["price"] * servers[c["served"] * replicas >= users] if len(batch) else np.array([])
        return float(values.min()) if len(values) else None
    able = c["served"] * batch >= users
    values = step if data.objective == "speed" else c["gain"] * batch / (c["rate"] * step)
    best = np.min if data.objective == "speed" else np.max
    return float(best(values[able])) if able.any() else None


def removed_columns_cannot_win(p: Prepared, solved: Solved, best: float) -> None:
    """Every column that was not solved has no system, or a bound that no system of it beats and that loses."""
    sweep, data = solved.proof.sweep, solved.columns.instance
    sign = 1 if data.objective == "ratio" else -1
    for j in set(range(len(data.columns))) - set(sweep.kept.tolist()):
        found, bound = in_full(p, solved.columns, j), float(sweep.bound[j])
        if found is not None:
            assert sign * (bound - found) >= -SAME * found, f"column {j} has {found}, beyond its bound {bound}"
            assert sign * (best - bound) > 0, f"column {j} was removed with bound {bound}, and {best} is the best"


def same_with_removal_off(p: Prepared) -> Solved:
    on, off = solve(p), solve(p, removal=False)
    assert on.outcome.status is off.outcome.status
    known = p.columns.incumbent()
    if off.outcome.status is Status.INFEASIBLE:
        assert known is None
        return on
    assert off.outcome.status is Status.OPTIMAL and known is not None
    assert off.proof.solved == len(off.columns.layout)
    for solved in (on, off):
        assert solved.outcome.value == pytest.approx(known[1], rel=1e-6)
        assert solved.outcome.bound == pytest.approx(known[1], rel=1e-6)
    return on


@pytest.mark.parametrize("maximize", ["throughput-per-dollar", pytest.param("cost", marks=pytest.mark.slow)])
def test_same_optimum_at_1600_columns(maximize: str) -> None:
    options = {"maximize": maximize} | ({"limits.users": "200"} if maximize == "cost" else {})
    p = prepare(built_in(), read_query(None, options, builtin_query("best")))
    assert len(p.columns.layout) >= 1600
    on = same_with_removal_off(p)
    assert on.proof.solved < len(on.columns.layout) / 10
    removed_columns_cannot_win(p, on, p.columns.incumbent()[1])


@pytest.mark.slow
@pytest.mark.parametrize("maximize", MAXIMIZE)
def test_same_optimum_at_1600_columns_with_experts(maximize: str) -> None:
    options: dict[str, Any] = {"maximize": maximize, "model": "deepseek-v3", "allow.memories": "hbm3e"}
    options |= {"limits.users": "200"} if maximize == "cost" else {}
    p = prepare(built_in(), read_query(None, options, builtin_query("best")))
    assert len(p.columns.layout) >= 1600
    removed_columns_cannot_win(p, same_with_removal_off(p), p.columns.incumbent()[1])


@pytest.mark.slow
@pytest.mark.parametrize("maximize", MAXIMIZE)
def test_same_optimum_on_generated_queries(maximize: str) -> None:
    removed = []

    def check(asked: Query) -> None:
        try:
            p = prepare(built_in(), asked)
        except UnboundedError:
            return
        on, known = same_with_removal_off(p), p.columns.incumbent()
        removed_columns_cannot_win(p, on, math.nan if known is None else known[1])
        removed.append(len(on.columns.layout) - on.proof.solved)

    repeat(14, queries(maximize), check, start=maximize)
    assert len(removed) >= 8 and max(removed) > 50


@pytest.mark.slow
@pytest.mark.parametrize("maximize", MAXIMIZE)
@pytest.mark.parametrize("models", [DENSE, EXPERTS])
def test_highs_and_cpsat_agree(maximize: str, models: tuple[str, ...]) -> None:
    """On the columns of real queries, at most 200 of them, within the error that the twin's grid states."""
    proven = []

    def check(asked: Query) -> None:
        try:
            data = prepare(built_in(), asked).columns.instance
        except UnboundedError:
            return
        data = data.only(np.arange(len(data.columns)) % math.ceil((len(data.columns) + 1) / 200) == 0)
        assert len(data.columns) <= 200
        outcome, _ = best_system.solve(data, removal=False)
        twin, error = cpsat.solve(data)
        if math.isinf(error):  # some column is within 1e-8 of a limit: the twin says so and proves nothing
            return
        assert error < 1e-6 and twin.status is outcome.status
        if outcome.value is not None:
            assert abs(twin.value - outcome.value) <= (error + 1e-6) * outcome.value
            proven.append(error)

    repeat(10, queries(maximize, models=models), check, start=maximize + models[0])
    assert len(proven) >= 5
