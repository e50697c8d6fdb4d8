"""Instances of disaggregated by hand and by Hypothesis, enumeration in plain Python, every limit by hand."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from formulations.disaggregated import Instance, Solution

Column = dict[str, float]
COLUMN = {
    "speed": 2.0, "utilisation": 0.5, "link": 8.0, "pace": 0.0, "most_replicas": 6.0, "parcels": 1.0,
    "per_server": 1.0, "dollars": 100.0, "hourly": 10.0, "watts": 5.0, "chips": 8.0, "racks": 0.25, "price": 100.0,
}  # fmt: skip
LIMITS = {
    "cache": ("send_cache", "receive_cache"), "rate_demanded": ("serve_rate",), "users": ("serve_users",),
    "budget": ("stay_in_budget",), "hourly_budget": ("stay_in_hourly",), "power": ("stay_in_power",),
    "chip_limit": ("stay_in_chips",), "rack_limit": ("stay_in_racks",),
}  # fmt: skip
SHARED = {
    "dollars": "budget",
    "hourly": "hourly_budget",
    "watts": "power",
    "chips": "chip_limit",
    "racks": "rack_limit",
}
NEAR = 1e-9  # a float's rounding, and the solver's row tolerance
FIRST, SECOND = 10, 1000  # labels of the first column of either pool, so that none is its position


def instance(prefill: list[Column], decode: list[Column], objective: Any, **limits: float | None) -> Instance:
    """Columns of either pool, given by what differs from COLUMN."""
    rows = [COLUMN | column for column in [*prefill, *decode]]
    arrays = {name: np.array([float(row[name]) for row in rows]) for name in COLUMN}
    labels = np.arange(FIRST, FIRST + len(prefill)), np.arange(SECOND, SECOND + len(decode))
    return Instance(prefill=labels[0], decode=labels[1], objective=objective, **arrays, **limits)


def row_of(data: Instance, label: int) -> Column:
    c = data.columns.tolist().index(label)
    return {name: float(getattr(data, name)[c]) for name in COLUMN}


def servers_of(c: Column, replicas: int) -> int:
    return math.ceil(c["parcels"] * replicas / c["per_server"])


def rate_of(data: Instance, i: Column, j: Column, counts: tuple[int, int]) -> float:
    """Requests/s that the pools serve: the least of the chips' and the links' in either of them."""
    rates = []
    for c, replicas in zip((i, j), counts, strict=True):
        rates.append(c["utilisation"] * c["speed"] * replicas)
        if data.cache:
            rates.append(c["link"] * replicas / data.cache)
    return min(rates)


def broken(
    data: Instance, i: Column, j: Column, counts: tuple[int, int], servers: tuple[int, int], rate: float
) -> list[str]:
    """The rows that a system breaks, checked one after the other."""
    cache = data.cache or 0.0
    rows = {
        "prefill_prompts": rate <= i["utilisation"] * i["speed"] * counts[0] + NEAR,
        "decode_tokens": rate <= j["utilisation"] * j["speed"] * counts[1] + NEAR,
        "send_cache": cache * rate <= i["link"] * counts[0] + NEAR,
        "receive_cache": cache * rate <= j["link"] * counts[1] + NEAR,
        "replicate_most": counts[0] <= i["most_replicas"] and counts[1] <= j["most_replicas"],
        "replicate_least": min(counts) >= 1,
        "own_servers": all(
            c["per_server"] * k >= c["parcels"] * r for c, k, r in zip((i, j), servers, counts, strict=True)
        ),
        "serve_rate": data.rate_demanded is None or rate >= data.rate_demanded - NEAR,
        "serve_users": data.users is None or rate >= data.users * j["pace"] - NEAR,
    }
    for each, name in SHARED.items():
        limit = getattr(data, name)
        taken = i[each] * (servers[0] + data.spares) + j[each] * (servers[1] + data.spares)
        rows[name] = limit is None or taken <= limit * (1 + NEAR)
    return [name for name, kept in rows.items() if not kept]


def value_of(data: Instance, i: Column, j: Column, servers: tuple[int, int], rate: float) -> float:
    paid = i["price"] * (servers[0] + data.spares) + j["price"] * (servers[1] + data.spares)
    if data.objective == "cost":
        return paid
    return rate if data.objective == "throughput" else rate / paid


def systems(data: Instance) -> Iterator[tuple[int, int, float]]:
    """Every system that breaks no row: labels of its columns and its value."""
    rows = {label: row_of(data, label) for label in data.columns.tolist()}
    for a in data.prefill.tolist():
        for b in data.decode.tolist():
            i, j = rows[a], rows[b]
            for first in range(1, int(i["most_replicas"]) + 1):
                for second in range(1, int(j["most_replicas"]) + 1):
                    counts, servers = (first, second), (servers_of(i, first), servers_of(j, second))
                    rate = rate_of(data, i, j, counts)
                    if not broken(data, i, j, counts, servers, rate):
                        yield a, b, value_of(data, i, j, servers, rate)


def best_by_enumeration(data: Instance) -> tuple[float | None, dict[int, float]]:
    """Best value of all systems, and of the systems with each column; no entry where it has none."""
    better = min if data.objective == "cost" else max
    best: dict[int, float] = {}
    for a, b, value in systems(data):
        for label in (a, b):
            best[label] = better(best.get(label, value), value)
    return (better(best.values()) if best else None), best


def check_solution(data: Instance, solution: Solution, value: float) -> None:
    """A solution keeps every row, and its value is what it says."""
    i, j = row_of(data, solution.prefill.column), row_of(data, solution.decode.column)
    assert solution.prefill.column in data.prefill
    assert solution.decode.column in data.decode
    counts = solution.prefill.replicas, solution.decode.replicas
    servers = solution.prefill.servers, solution.decode.servers
    assert servers == (servers_of(i, counts[0]), servers_of(j, counts[1]))
    assert broken(data, i, j, counts, servers, solution.rate) == []
    assert math.isclose(solution.rate, rate_of(data, i, j, counts), rel_tol=1e-12)
    assert math.isclose(value, value_of(data, i, j, servers, solution.rate), rel_tol=1e-9)


@st.composite
def _column(draw: st.DrawFn) -> Column:
    """Tenths and eighths: both decimal and binary fractions meet their limits exactly."""
    part = draw(st.sampled_from([8, 10]))

    def number(low: int, high: int) -> float:
        return draw(st.integers(low, high)) / part

    dollars = number(10, 5000)
    return {
        "speed": number(1, 80), "utilisation": draw(st.sampled_from([1.0, 1.0, 0.8, 0.75])), "link": number(1, 400),
        "pace": number(1, 10) / 10, "most_replicas": draw(st.sampled_from([1, 2, 3, 6])),
        "parcels": draw(st.sampled_from([1, 1, 2, 3])), "per_server": draw(st.sampled_from([1, 1, 2, 4, 8])),
        "dollars": dollars, "hourly": number(10, 500), "watts": number(10, 200),
        "chips": draw(st.sampled_from([1, 4, 8, 72])), "racks": draw(st.sampled_from([0.125, 0.25, 1.0])),
        "price": draw(st.sampled_from([dollars, dollars, number(10, 500)])),
    }  # fmt: skip


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    """One to three columns a pool; each limit is absent, loose, exactly what some system takes, or just less."""
    objective = draw(st.sampled_from(["ratio", "throughput", "cost"]))
    prefill, decode = (draw(st.lists(_column(), min_size=1, max_size=3)) for _ in range(2))
    spares = draw(st.sampled_from([0.0, 0.0, 1.0]))
    cache = draw(st.sampled_from([None, 0.5, 3.0]))
    i, j = draw(st.sampled_from(prefill)), draw(st.sampled_from(decode))
    counts = draw(st.integers(1, int(i["most_replicas"]))), draw(st.integers(1, int(j["most_replicas"])))
    servers = servers_of(i, counts[0]) + spares, servers_of(j, counts[1]) + spares
    limits: dict[str, float | None] = {"spares": spares, "cache": cache}
    for each, name in SHARED.items():
        exactly = i[each] * servers[0] + j[each] * servers[1]
        limits[name] = draw(st.sampled_from([None, None, None, exactly * 3, exactly * 3, exactly, exactly - 0.001]))
    rate = rate_of(instance([i], [j], "throughput", cache=cache), i, j, counts)
    demands = [rate, rate, rate + 0.001, rate / 2]
    asked = draw(st.sampled_from(demands if objective == "cost" else [None, None, *demands]))
    if asked is not None and draw(st.booleans()):
        return instance(prefill, decode, objective, users=asked / j["pace"], **limits)
    return instance(prefill, decode, objective, rate_demanded=asked, **limits)


def large(objective: str, count: int = 200) -> Instance:
    """Columns as a catalogue makes them: faster chips cost more, tensor 1..32, servers of eight chips."""
    draw = np.random.default_rng(11)
    pools: list[list[Column]] = [[], []]
    for pool, speed in zip(pools, (4.0, 2.0), strict=True):
        for _ in range(count):
            tensor, worth = 2.0 ** draw.integers(0, 6), draw.uniform(0.5, 2.0)
            price = float(150.0 * worth * draw.uniform(0.8, 1.2))
            pool.append({
                "speed": speed * tensor / 8 * worth * draw.uniform(0.5, 1.5), "utilisation": draw.uniform(0.5, 0.9),
                "link": 50.0 * tensor, "pace": draw.uniform(0.002, 0.02), "most_replicas": math.inf,
                "parcels": max(tensor // 8, 1.0), "per_server": max(8.0 // tensor, 1.0), "dollars": price,
                "hourly": price / 20, "watts": 10.0 * worth, "price": price,
            })  # fmt: skip
    demanded = 40.0 if objective == "cost" else None
    return instance(*pools, objective, cache=2.0, rate_demanded=demanded, budget=10_000.0, power=600.0)


# For every row of the program a pair: what just keeps it, what just breaks it. Prefill, decode, objective, limits.
Case = tuple[list[Column], list[Column], str, dict[str, float]]
FAST = {"speed": 100.0, "link": 800.0}  # one replica never holds the other pool up
PAIRS: dict[str, tuple[Case, Case]] = {
    "pick_prefill": (  # the replicas of two columns together do not count
        ([{}, {}], [FAST], "cost", {"rate_demanded": 6.0}),
        ([{}, {}], [FAST], "cost", {"rate_demanded": 7.0}),
    ),
    "pick_decode": (
        ([FAST], [{}, {}], "cost", {"rate_demanded": 6.0}),
        ([FAST], [{}, {}], "cost", {"rate_demanded": 7.0}),
    ),
    "prefill_prompts": (
        ([{"utilisation": 0.8}], [FAST], "throughput", {"rate_demanded": 9.6}),
        ([{"utilisation": 0.7999}], [FAST], "throughput", {"rate_demanded": 9.6}),
    ),
    "decode_tokens": (
        ([FAST], [{"speed": 3.0}], "throughput", {"rate_demanded": 9.0}),
        ([FAST], [{"speed": 2.9999}], "throughput", {"rate_demanded": 9.0}),
    ),
    "send_cache": (
        ([FAST | {"link": 8.0}], [FAST], "throughput", {"cache": 4.0, "rate_demanded": 12.0}),
        ([FAST | {"link": 8.0}], [FAST], "throughput", {"cache": 4.0001, "rate_demanded": 12.0}),
    ),
    "receive_cache": (
        ([FAST], [FAST | {"link": 8.0}], "throughput", {"cache": 4.0, "rate_demanded": 12.0}),
        ([FAST], [FAST | {"link": 7.9999}], "throughput", {"cache": 4.0, "rate_demanded": 12.0}),
    ),
    "replicate_most": (
        ([{"most_replicas": 3.0}], [FAST], "cost", {"rate_demanded": 3.0}),
        ([{"most_replicas": 2.999}], [FAST], "cost", {"rate_demanded": 3.0}),
    ),
    "replicate_least": (  # one replica in each pool, even where no request is asked for
        ([{}], [{}], "cost", {"rate_demanded": 0.0, "chip_limit": 16.0}),
        ([{}], [{}], "cost", {"rate_demanded": 0.0, "chip_limit": 15.0}),
    ),
    "own_servers": (
        ([{"parcels": 8.0, "per_server": 4.0}], [{}], "ratio", {"chip_limit": 24.0}),
        ([{"parcels": 9.0, "per_server": 4.0}], [{}], "ratio", {"chip_limit": 24.0}),
    ),
    "serve_rate": (
        ([{}], [{}], "ratio", {"rate_demanded": 6.0}),
        ([{}], [{}], "ratio", {"rate_demanded": 6.0001}),
    ),
    "serve_users": (
        ([{}], [{"pace": 0.125}, {"pace": 0.2}], "ratio", {"users": 48.0}),
        ([{}], [{"pace": 0.1251}, {"pace": 0.2}], "ratio", {"users": 48.0}),
    ),
    **{
        f"stay_in_{row}": (
            ([{"parcels": 2.0}], [{}], "ratio", {limit: COLUMN[each] * 5, "spares": 1.0}),
            ([{"parcels": 2.0}], [{}], "ratio", {limit: COLUMN[each] * 5 - 1e-4, "spares": 1.0}),
        )
        for (each, limit), row in zip(
            SHARED.items(), ("budget", "hourly", "power", "chips", "racks"), strict=True
        )
    },
}
