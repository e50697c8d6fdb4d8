"""Instances of best_system by hand and by Hypothesis, enumeration in plain Python, and every limit by hand."""

import math
from dataclasses import fields
from typing import Any

import numpy as np
from hypothesis import strategies as st

from formulations.best_system import Instance, Solution

COLUMN = {
    "stages": 1.0, "read_fixed": 4.0, "read_slope": 0.5, "compute_fixed": 1.0, "compute_slope": 0.25,
    "least_batch": 1.0, "most_batch": 8.0, "least_replicas": 1.0, "most_replicas": 1.0, "parcels": 1.0,
    "per_server": 1.0, "dollars": 100.0, "hourly": 10.0, "watts": 5.0, "chips": 8.0, "racks": 0.25,
    "gain": 1.0, "rate": 2.0, "price": 100.0, "served": 1.0,
}  # fmt: skip
LIMITS = ("slowest_step", "users", "budget", "hourly_budget", "power", "chip_limit", "rack_limit")
SHARED = {"dollars": "budget", "hourly": "hourly_budget", "watts": "power", "chips": "chip_limit", "racks": "rack_limit"}
NEAR = 1e-9  # a float's rounding, and the solver's row tolerance


def instance(columns: list[dict[str, float]], objective: Any, **limits: float | None) -> Instance:
    """Columns given by what differs from COLUMN; labels 10, 11, ... so that none is its position."""
    rows = [COLUMN | column for column in columns]
    arrays = {name: np.array([row[name] for row in rows]) for name in COLUMN}
    return Instance(columns=np.arange(10, 10 + len(rows)), objective=objective, **arrays, **limits)


def row_of(data: Instance, j: int) -> dict[str, float]:
    return {name: float(getattr(data, name)[j]) for name in COLUMN}


def step_of(c: dict[str, float], batch: int) -> float:
    return max(c["read_fixed"] + c["read_slope"] * batch, c["compute_fixed"] + c["compute_slope"] * batch)


def broken(data: Instance, j: int, batch: int, replicas: int, servers: int) -> list[str]:
    """The rows that a system breaks, checked one after the other."""
    c = row_of(data, j)
    count = replicas if data.objective == "cost" else batch
    rows = {
        "fit_memory": batch <= c["most_batch"],
        "fill_batch": batch >= c["least_batch"],
        "keep_pace": data.slowest_step is None or step_of(c, batch) <= data.slowest_step + NEAR,
        "replicate_most": replicas <= c["most_replicas"],
        "replicate_least": replicas >= c["least_replicas"],
        "own_servers": c["per_server"] * servers >= c["parcels"] * replicas,
        "serve_users": data.users is None or c["served"] * count >= data.users - NEAR,
    }
    for each, name in SHARED.items():
        limit = getattr(data, name)
        rows[name] = limit is None or c[each] * (servers + data.spares) <= limit * (1 + NEAR)
    return [name for name, kept in rows.items() if not kept]


def value_of(data: Instance, j: int, batch: int, servers: int) -> float:
    c = row_of(data, j)
    if data.objective == "speed":
        return step_of(c, batch)
    if data.objective == "cost":
        return c["price"] * (servers + data.spares)
    return c["gain"] * batch / (c["rate"] * step_of(c, batch))


def best_of_column(data: Instance, j: int) -> float | None:
    """Best value of one column over all its batches and replicas; None where it has no system."""
    c, best = row_of(data, j), None
    better = max if data.objective == "ratio" else min
    for batch in range(int(c["most_batch"]) + 1):
        for replicas in range(int(c["most_replicas"]) + 1):
            servers = math.ceil(c["parcels"] * replicas / c["per_server"])
            if not broken(data, j, batch, replicas, servers):
                value = value_of(data, j, batch, servers)
                best = value if best is None else better(best, value)
    return best


def best_by_enumeration(data: Instance) -> float | None:
    values = [v for j in range(len(data.columns)) if (v := best_of_column(data, j)) is not None]
    return (max if data.objective == "ratio" else min)(values) if values else None


def position(data: Instance, solution: Solution) -> int:
    return data.columns.tolist().index(solution.column)


def check_solution(data: Instance, solution: Solution, value: float) -> None:
    """A solution keeps every row, and its value is what it says."""
    j = position(data, solution)
    assert broken(data, j, solution.batch, solution.replicas, solution.servers) == []
    assert math.isclose(solution.step, step_of(row_of(data, j), solution.batch), rel_tol=1e-12)
    assert math.isclose(value, value_of(data, j, solution.batch, solution.servers), rel_tol=1e-9)


@st.composite
def _column(draw: st.DrawFn, objective: str, intercept: int) -> dict[str, float]:
    """Tenths and eighths: both decimal and binary fractions meet their limits exactly."""
    part = draw(st.sampled_from([8, 10]))

    def number(low: int, high: int) -> float:
        return draw(st.integers(low, high)) / part

    least = draw(st.sampled_from([1, 1, 1, 2, 5]))
    stages, replicas = draw(st.sampled_from([1, 2, 3, 4])), draw(st.integers(1, 4))
    most = draw(st.integers(0, 12))
    users = stages * (max(most, 1) if objective == "cost" else replicas)
    dollars = number(10, 5000)
    return {
        "stages": stages, "read_fixed": number(intercept, 300), "read_slope": number(0, 30),
        "compute_fixed": number(1, 60), "compute_slope": number(0, 60), "least_batch": least, "most_batch": most,
        "least_replicas": 1 if objective == "cost" else replicas, "most_replicas": replicas,
        "parcels": stages, "per_server": draw(st.sampled_from([1, 1, 2, 4, 8])),
        "dollars": dollars, "hourly": number(10, 500), "watts": number(10, 200),
        "chips": draw(st.sampled_from([1, 4, 8, 72])), "racks": draw(st.sampled_from([0.125, 0.25, 1.0])),
        "gain": stages, "rate": dollars * draw(st.integers(1, 4)), "price": dollars, "served": users,
    }  # fmt: skip


@st.composite
def instances(draw: st.DrawFn, *, intercept: int = 0, most: int = 5) -> Instance:
    """One to `most` columns; each limit is absent, loose, exactly what some system takes, or just less."""
    objective = draw(st.sampled_from(["ratio", "speed", "cost"]))
    columns = draw(st.lists(_column(objective, intercept), min_size=1, max_size=most))
    c = draw(st.sampled_from(columns))
    batch = draw(st.integers(1, max(1, int(c["most_batch"]))))
    replicas = draw(st.integers(int(c["least_replicas"]), int(c["most_replicas"])))
    spares = draw(st.sampled_from([0.0, 0.0, 1.0]))
    servers = math.ceil(c["parcels"] * replicas / c["per_server"]) + spares
    taken = {limit: c[each] * servers for each, limit in SHARED.items()}
    taken["slowest_step"] = step_of(c, batch)
    limits: dict[str, float | None] = {"spares": spares}
    for name, exactly in taken.items():
        limits[name] = draw(st.sampled_from([None, None, exactly * 3, exactly, exactly, exactly - 0.001]))
    served = c["served"] * (replicas if objective == "cost" else batch)
    limits["users"] = draw(st.sampled_from([None, 1.0, served, served, served + 1]))
    return instance(columns, objective, **limits)


def parameters(kind: type) -> list[str]:
    return [f.name for f in fields(kind)]
