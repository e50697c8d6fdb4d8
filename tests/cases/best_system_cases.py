"""Instances of best_system by hand and by Hypothesis, enumeration in plain Python, every limit by hand."""

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from formulations.best_system import Instance, Solution

COLUMN = {
    "read_fixed": 4.0, "read_slope": 0.5, "compute_fixed": 1.0, "compute_slope": 0.25,
    "least_batch": 1.0, "most_batch": 8.0, "least_replicas": 1.0, "most_replicas": 1.0, "parcels": 1.0,
    "per_server": 1.0, "dollars": 100.0, "hourly": 10.0, "watts": 5.0, "chips": 8.0, "racks": 0.25,
    "gain": 1.0, "rate": 2.0, "price": 100.0, "served": 1.0,
}  # fmt: skip
LIMITS = ("slowest_step", "users", "budget", "hourly_budget", "power", "chip_limit", "rack_limit")
SHARED = {
    "dollars": "budget",
    "hourly": "hourly_budget",
    "watts": "power",
    "chips": "chip_limit",
    "racks": "rack_limit",
}
NEAR = 1e-9  # a float's rounding, and the solver's row tolerance


def instance(columns: list[dict[str, float]], objective: Any, **limits: float | None) -> Instance:
    """Columns given by what differs from COLUMN; labels 10, 11, ... so that none is its position."""
    rows = [COLUMN | column for column in columns]
    arrays = {name: np.array([float(row[name]) for row in rows]) for name in COLUMN}
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
        "read_fixed": number(intercept, 300), "read_slope": number(0, 30),
        "compute_fixed": number(1, 60), "compute_slope": number(0, 60),
        "least_batch": least, "most_batch": most,
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
        limits[name] = draw(
            st.sampled_from([None, None, None, exactly * 3, exactly * 3, exactly, exactly - 0.001])
        )
    served = c["served"] * (replicas if objective == "cost" else batch)
    limits["users"] = draw(st.sampled_from([None, None, 1.0, served, served + 1]))
    return instance(columns, objective, **limits)


def large(objective: str, count: int = 1600) -> Instance:
    """Columns as a catalogue makes them: tensor 1..32, pipeline 1..4, thousands of users of room."""
    draw = np.random.default_rng(7)
    rows = []
    for _ in range(count):
        tensor, stages = 2.0 ** draw.integers(0, 6), 2.0 ** draw.integers(0, 3)
        replicas, room = float(draw.integers(1, 30)), float(draw.integers(1, 3000))
        per_server = max(8.0 // tensor, 1.0)
        price = float(draw.uniform(100.0, 4000.0))
        rows.append({
            "read_fixed": draw.uniform(1.0, 60.0), "read_slope": draw.uniform(1e-3, 0.2),
            "compute_fixed": draw.uniform(0.05, 5.0), "compute_slope": draw.uniform(1e-3, 0.3),
            "most_batch": room, "least_replicas": 1.0 if objective == "cost" else replicas,
            "most_replicas": replicas, "parcels": stages, "per_server": per_server, "dollars": price,
            "gain": stages, "rate": price * math.ceil(stages * replicas / per_server) / replicas,
            "price": price, "served": stages * (room if objective == "cost" else replicas),
        })  # fmt: skip
    return instance(rows, objective, users=3000.0, slowest_step=50.0, budget=20_000.0)


# For every row of the program a pair: what just keeps it, what just breaks it. Columns, objective, limits.
Case = tuple[list[dict[str, float]], str, dict[str, float]]
PAIRS: dict[str, tuple[Case, Case]] = {
    "pick_one": (  # the users of two columns together do not count
        ([{}, {}], "ratio", {"users": 8.0}),
        ([{}, {}], "ratio", {"users": 9.0}),
    ),
    "read_memory": (
        ([{"least_batch": 2.0}], "speed", {"slowest_step": 5.0}),
        ([{"least_batch": 2.0, "read_slope": 0.501}], "speed", {"slowest_step": 5.0}),
    ),
    "do_compute": (
        ([{"least_batch": 2.0, "compute_slope": 2.0}], "speed", {"slowest_step": 5.0}),
        ([{"least_batch": 2.0, "compute_slope": 2.001}], "speed", {"slowest_step": 5.0}),
    ),
    "fit_memory": (
        ([{"most_batch": 8.0}], "speed", {"users": 8.0}),
        ([{"most_batch": 7.999}], "speed", {"users": 8.0}),
    ),
    "fill_batch": (
        ([{"least_batch": 3.0}], "ratio", {"slowest_step": 5.5}),
        ([{"least_batch": 3.001}], "ratio", {"slowest_step": 5.5}),
    ),
    "keep_pace": (
        ([{}], "ratio", {"slowest_step": 4.5}),
        ([{}], "ratio", {"slowest_step": 4.4999}),
    ),
    "replicate_most": (
        ([{"most_replicas": 3.0}], "cost", {"users": 3.0}),
        ([{"most_replicas": 2.999}], "cost", {"users": 3.0}),
    ),
    "replicate_least": (
        ([{"least_replicas": 2.0, "most_replicas": 9.0}], "cost", {"chip_limit": 16.0}),
        ([{"least_replicas": 3.0, "most_replicas": 9.0}], "cost", {"chip_limit": 16.0}),
    ),
    "own_servers": (
        ([{"parcels": 8.0, "per_server": 4.0}], "ratio", {"chip_limit": 16.0}),
        ([{"parcels": 9.0, "per_server": 4.0}], "ratio", {"chip_limit": 16.0}),
    ),
    "serve_users": (
        ([{"served": 2.0, "most_replicas": 5.0}], "cost", {"users": 10.0}),
        ([{"served": 2.0, "most_replicas": 5.0}], "cost", {"users": 10.001}),
    ),
    **{
        f"stay_in_{row}": (
            ([{"parcels": 2.0}], "ratio", {limit: COLUMN[each] * 3, "spares": 1.0}),
            ([{"parcels": 2.0}], "ratio", {limit: COLUMN[each] * 3 - 1e-4, "spares": 1.0}),
        )
        for (each, limit), row in zip(
            SHARED.items(), ("budget", "hourly", "power", "chips", "racks"), strict=True
        )
    },
}
